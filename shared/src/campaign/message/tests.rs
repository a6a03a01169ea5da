//! Messages filled and checked.

use std::collections::BTreeMap;

use super::*;

fn link(url: &str) -> Option<Filled> {
    url.starts_with("https://shop")
        .then(|| Filled { code: "c0de".to_owned(), short_url: "https://go.example/c0de".to_owned() })
}

fn fill(message: &Message, variables: &[(&str, &str)]) -> Result<Value, Unfilled> {
    let variables: BTreeMap<String, String> =
        variables.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    let media = |id: MediaId| (id == stored()).then(|| "META1".to_owned());
    message.fill(&Fields { variables: &variables, name: None, link: &link, media: &media })
}

fn stored() -> MediaId {
    "med_01J00000000000000000000000".parse().unwrap()
}

fn message(json: Value) -> Message {
    serde_json::from_value(json).unwrap()
}

#[test]
fn a_text_gets_the_name_and_the_recipients_own_link() {
    let message = Message::text("Hi {{first_name}}, see https://shop.example/offer.");
    assert_eq!(message.links().unwrap(), ["https://shop.example/offer"]);
    let filled = fill(&message, &[("first_name", "Aïcha")]).unwrap();
    assert_eq!(filled["text"]["body"], "Hi Aïcha, see https://go.example/c0de.");
}

#[test]
fn a_template_button_gets_the_code_and_its_body_the_whole_link() {
    let message: Message = serde_json::from_value(serde_json::json!({
        "type": "template",
        "template": {"name": "offer", "language": "en_US", "components": [
            {"type": "body", "parameters": [
                {"type": "text", "text": "{{first_name}}"}, {"type": "link", "url": "https://shop.example/a"}]},
            {"type": "button", "sub_type": "url", "index": "0", "parameters": [
                {"type": "link", "url": "https://shop.example/b"}]}]}
    }))
    .unwrap();
    assert_eq!(message.links().unwrap(), ["https://shop.example/a", "https://shop.example/b"]);
    let filled = fill(&message, &[("first_name", "Wei")]).unwrap();
    let components = &filled["template"]["components"];
    assert_eq!(components[0]["parameters"][0]["text"], "Wei");
    assert_eq!(components[0]["parameters"][1], serde_json::json!({"type": "text", "text": "https://go.example/c0de"}));
    assert_eq!(components[1]["parameters"][0], serde_json::json!({"type": "text", "text": "c0de"}));
}

#[test]
fn a_file_gets_metas_id_and_its_caption_is_filled_and_tracked() {
    let document = message(serde_json::json!({
        "type": "document", "media_id": stored(), "caption": "For {{first_name}}: https://shop.example/a",
        "file_name": "Offer {{first_name}}.pdf"}));
    assert_eq!(document.links().unwrap(), ["https://shop.example/a"]);
    assert_eq!(document.media_of_kinds(), [(stored(), MediaKind::Document)]);
    let filled = fill(&document, &[("first_name", "Wei")]).unwrap();
    assert_eq!(
        filled,
        serde_json::json!({"type": "document", "document": {
            "id": "META1", "caption": "For Wei: https://go.example/c0de", "filename": "Offer Wei.pdf"}})
    );
    let linked = message(serde_json::json!({"type": "sticker", "link": "https://shop.example/s.webp"}));
    assert_eq!(linked.links().unwrap(), Vec::<String>::new(), "the link of a file is Meta's to follow");
    assert_eq!(fill(&linked, &[]).unwrap()["sticker"], serde_json::json!({"link": "https://shop.example/s.webp"}));
}

#[test]
fn a_file_without_an_id_at_meta_and_a_caption_too_long_are_found() {
    let other: MediaId = "med_01J00000000000000000000001".parse().unwrap();
    let image = message(serde_json::json!({"type": "image", "media_id": other}));
    assert_eq!(fill(&image, &[]).unwrap_err(), Unfilled::NoMedia(other));
    let image = message(serde_json::json!({"type": "image", "media_id": stored(), "caption": "{{x}}"}));
    assert!(fill(&image, &[("x", &"é".repeat(1_024))]).is_ok());
    let long = fill(&image, &[("x", &"é".repeat(1_025))]).unwrap_err();
    assert_eq!(long, Unfilled::TooLong { length: 1_025, limit: 1_024 });
}

#[test]
fn a_file_in_the_header_of_a_template_or_of_buttons_gets_metas_id() {
    let template = message(serde_json::json!({"type": "template", "template": {
        "name": "offer", "language": "en_US", "components": [{"type": "header", "parameters": [
            {"type": "image", "image": {"media_id": stored()}}]}]}}));
    assert_eq!(template.media_of_kinds(), [(stored(), MediaKind::Image)]);
    let filled = fill(&template, &[]).unwrap();
    assert_eq!(
        filled["template"]["components"][0]["parameters"][0],
        serde_json::json!({"type": "image", "image": {"id": "META1"}})
    );
    let buttons = message(serde_json::json!({"type": "interactive", "interactive": {
        "type": "button", "header": {"type": "video", "video": {"media_id": stored()}}}}));
    assert_eq!(buttons.media(), [stored()]);
    assert_eq!(fill(&buttons, &[]).unwrap()["interactive"]["header"]["video"]["id"], "META1");
}

#[test]
fn a_file_that_cannot_be_sent_so_is_refused() {
    let id = stored();
    for (json, expected) in [
        (serde_json::json!({"type": "image"}), Unusable::OneSource),
        (serde_json::json!({"type": "image", "media_id": id, "link": "https://a.example/x"}), Unusable::OneSource),
        (serde_json::json!({"type": "image", "link": "http://a.example/x"}), Unusable::NotHttps),
        (serde_json::json!({"type": "audio", "media_id": id, "caption": "x"}), Unusable::NoCaption),
        (serde_json::json!({"type": "video", "media_id": id, "file_name": "x"}), Unusable::NoFileName),
        (serde_json::json!({"type": "image", "media_id": id, "caption": "{{x"}), Unusable::MalformedPlaceholder),
        (
            serde_json::json!({"type": "interactive", "interactive": {"header": {"image": {"media_id": "med_1"}}}}),
            Unusable::MalformedMediaId,
        ),
    ] {
        assert_eq!(message(json.clone()).links(), Err(expected), "{json}");
    }
    let unknown = serde_json::json!({"type": "image", "media_id": id, "captoin": "x"});
    assert!(serde_json::from_value::<Message>(unknown).unwrap_err().to_string().contains("captoin"));
}

#[test]
fn a_missing_variable_and_a_text_too_long_skip_the_recipient() {
    let message = Message::text("Hi {{first_name}}");
    assert_eq!(fill(&message, &[]).unwrap_err(), Unfilled::MissingVariable("first_name".to_owned()));
    let long = "x".repeat(4_100);
    assert!(matches!(fill(&message, &[("first_name", &long)]), Err(Unfilled::TooLong { .. })));
}

#[test]
fn a_message_that_nobody_can_get_is_refused() {
    assert_eq!(Message::text("  ").links(), Err(Unusable::EmptyText));
    assert_eq!(Message::text("Hi {{first_name").links(), Err(Unusable::MalformedPlaceholder));
}

#[test]
fn a_debug_never_shows_the_text() {
    assert_eq!(format!("{:?}", Message::text("secret")), "Message(text)");
}
