//! Templates from their creation to their end, as an account sees them.

use http::Method;
use serde_json::{Value, json};
use simulator::{Running, Template, TemplateCategory, TemplatePolicy};

use crate::receiver::{Receiver, call, client, config, send, settled, simulator};

const ACCOUNT: &str = "v24.0/104996122399160";

fn offer(name: &str, text: &str) -> Value {
    json!({ "name": name, "language": "en_US", "category": "MARKETING", "components": [
        { "type": "BODY", "text": text, "example": { "body_text": [["Ana"]] } } ] })
}

async fn create(running: &Running, body: &Value) -> (u16, Value) {
    call(running, Method::POST, &format!("{ACCOUNT}/message_templates"), Some(body)).await
}

async fn get(running: &Running, path: &str) -> Value {
    call(running, Method::GET, path, None).await.1
}

fn message(name: &str, language: &str, parameters: &[&str]) -> Value {
    let parameters: Vec<Value> = parameters.iter().map(|text| json!({ "type": "text", "text": text })).collect();
    json!({ "messaging_product": "whatsapp", "to": "+447700900001", "type": "template", "template": {
        "name": name, "language": { "code": language }, "components": [{ "type": "body", "parameters": parameters }] } })
}

async fn code(running: &Running, body: &Value) -> Option<i64> {
    send(running, &client(), body).await.expect("an answer").1["error"]["code"].as_i64()
}

#[tokio::test]
async fn a_template_is_pending_then_approved_and_can_be_sent_then() {
    let (receiver, url) = Receiver::start().await;
    let mut config = config(&url);
    config.template_policy = TemplatePolicy::CatalogueOnly;
    config.speed = 20.0;
    let running = simulator(config).await;
    let (status, created) = create(&running, &offer("offer", "Hi {{1}}, it is here.")).await;
    assert_eq!(status, 200);
    assert_eq!((created["status"].as_str(), created["category"].as_str()), (Some("PENDING"), Some("MARKETING")));
    let id = created["id"].as_str().expect("an id");
    assert_eq!(code(&running, &message("offer", "en_US", &["Ana"])).await, Some(132_001));
    settled(&running).await;
    let notices = receiver.notices("message_template_status_update");
    let expected = json!({ "event": "APPROVED", "message_template_id": id.parse::<u64>().expect("a number"),
        "message_template_name": "offer", "message_template_language": "en_US", "reason": "NONE",
        "message_template_category": "MARKETING" });
    assert_eq!(notices, [expected]);
    assert_eq!(get(&running, &format!("v24.0/{id}?fields=status")).await, json!({ "status": "APPROVED", "id": id }));
    assert_eq!(code(&running, &message("offer", "en_US", &["Ana"])).await, None);
    assert_eq!(code(&running, &message("offer", "en", &["Ana"])).await, Some(132_001));
    assert_eq!(code(&running, &message("offer", "en_US", &[])).await, Some(132_000));
    assert_eq!(code(&running, &message("unknown", "en_US", &[])).await, Some(132_001));
}

#[tokio::test]
async fn the_marker_in_a_text_makes_the_review_reject_it() {
    let (receiver, url) = Receiver::start().await;
    let running = simulator(config(&url)).await;
    create(&running, &offer("offer", "Hi {{1}}, [reject] this.")).await;
    settled(&running).await;
    let notices = receiver.notices("message_template_status_update");
    assert_eq!((&notices[0]["event"], &notices[0]["reason"]), (&json!("REJECTED"), &json!("INVALID_FORMAT")));
    assert!(notices[0]["rejection_info"]["recommendation"].is_string());
    assert_eq!(code(&running, &message("offer", "en_US", &["Ana"])).await, Some(132_001));
}

#[tokio::test]
async fn what_meta_would_refuse_at_once_is_refused_with_its_code_and_texts() {
    let (_receiver, url) = Receiver::start().await;
    let running = simulator(config(&url)).await;
    let (status, body) = create(&running, &offer("offer", "{{1}} is here")).await;
    assert_eq!(
        (status, &body["error"]["code"], &body["error"]["error_subcode"]),
        (400, &json!(100), &json!(2_388_299))
    );
    assert!(body["error"]["error_user_title"].is_string() && body["error"]["error_user_msg"].is_string());
    let with = |key: &str, value: Value| {
        let mut body = offer("offer", "Hi {{1}} there");
        body[key] = value;
        body
    };
    for body in [
        with("name", json!("Offer!")),
        with("category", json!("FUN")),
        with("language", json!("xx")),
        with("components", json!("no")),
        with("message_send_ttl_seconds", json!(60)),
    ] {
        assert_eq!(create(&running, &body).await.1["error"]["code"], 100, "{body}");
    }
    assert_eq!(create(&running, &offer("offer", "Hi {{1}} there")).await.0, 200);
    let (_, twice) = create(&running, &offer("offer", "Hi {{1}} there")).await;
    assert_eq!(twice["error"]["error_subcode"], 2_388_024);
}

#[tokio::test]
async fn lists_page_and_filter_and_hold_the_configured_templates() {
    let (_receiver, url) = Receiver::start().await;
    let mut config = config(&url);
    config.templates = vec![Template::text("first", "de", TemplateCategory::Utility, "Hallo {{1}}, da.")];
    let running = simulator(config).await;
    for n in 0..4 {
        assert_eq!(create(&running, &offer(&format!("offer_{n}"), "Hi {{1}} there")).await.0, 200);
    }
    settled(&running).await;
    let mut names = Vec::new();
    let mut next = Some(format!("{ACCOUNT}/message_templates?fields=name&limit=2"));
    while let Some(path) = next {
        let page = get(&running, &path).await;
        let data = page["data"].as_array().cloned().expect("data");
        assert!(data.len() <= 2);
        names.extend(data.iter().map(|node| node["name"].as_str().expect("a name").to_owned()));
        next = page["paging"]["next"].as_str().map(str::to_owned);
    }
    assert_eq!(names, ["offer_3", "offer_2", "offer_1", "offer_0", "first"]);
    for (filter, count) in
        [("language=de", 1), ("category=MARKETING", 4), ("status=PENDING", 0), ("status=APPROVED", 5), ("name=r_2", 1)]
    {
        let page = get(&running, &format!("{ACCOUNT}/message_templates?{filter}")).await;
        assert_eq!(page["data"].as_array().map(Vec::len), Some(count), "{filter}");
    }
    let page = get(&running, &format!("{ACCOUNT}/message_templates?language=de")).await;
    assert_eq!(page["data"][0]["components"], json!([{ "type": "BODY", "text": "Hallo {{1}}, da." }]));
}

#[tokio::test]
async fn an_edit_is_in_force_at_once_and_the_second_of_a_day_is_refused() {
    let (receiver, url) = Receiver::start().await;
    let mut config = config(&url);
    config.templates = vec![Template::text("offer", "en_US", TemplateCategory::Utility, "Hi {{1}}, hello.")];
    let running = simulator(config).await;
    let page = get(&running, &format!("{ACCOUNT}/message_templates?fields=id")).await;
    let path = format!("v24.0/{}", page["data"][0]["id"].as_str().expect("an id"));
    let edit = json!({ "components": [{ "type": "BODY", "text": "Hello without a name" }] });
    assert_eq!(call(&running, Method::POST, &path, Some(&edit)).await.0, 200);
    assert_eq!(code(&running, &message("offer", "en_US", &[])).await, None);
    let (_, again) = call(&running, Method::POST, &path, Some(&edit)).await;
    assert_eq!(again["error"]["error_subcode"], 2_388_039);
    let (_, other) = call(&running, Method::POST, &path, Some(&json!({ "category": "MARKETING" }))).await;
    assert_eq!(other["error"]["code"], 100);
    settled(&running).await;
    assert_eq!(receiver.notices("message_template_status_update")[0]["event"], "APPROVED");
}

#[tokio::test]
async fn deletion_takes_one_language_by_id_or_all_by_name() {
    let (receiver, url) = Receiver::start().await;
    let mut config = config(&url);
    let in_language = |language| Template::text("offer", language, TemplateCategory::Utility, "Hello");
    config.templates = vec![in_language("en"), in_language("de"), in_language("fr")];
    let running = simulator(config).await;
    let german = get(&running, &format!("{ACCOUNT}/message_templates?language=de&fields=id")).await;
    let id = german["data"][0]["id"].as_str().expect("an id");
    let delete = |query: String| {
        let running = &running;
        async move { call(running, Method::DELETE, &format!("{ACCOUNT}/message_templates?{query}"), None).await.0 }
    };
    assert_eq!(delete(format!("hsm_id={id}&name=other")).await, 400);
    assert_eq!(delete(format!("hsm_id={id}&name=offer")).await, 200);
    assert_eq!(code(&running, &message("offer", "de", &[])).await, Some(132_001));
    assert_eq!(code(&running, &message("offer", "fr", &[])).await, None);
    assert_eq!(delete("name=offer".to_owned()).await, 200);
    assert_eq!(code(&running, &message("offer", "fr", &[])).await, Some(132_001));
    assert_eq!(delete("name=offer".to_owned()).await, 400);
    settled(&running).await;
    let events = receiver.notices("message_template_status_update");
    assert_eq!(events.iter().filter(|notice| notice["event"] == "DELETED").count(), 3);
}

#[tokio::test]
async fn templates_and_their_reviews_survive_the_process() {
    let (receiver, url) = Receiver::start().await;
    let folder = tempfile::tempdir().expect("a folder");
    let mut config = config(&url);
    config.journal = Some(folder.path().join("journal.ndjson"));
    let mut slow = config.clone();
    slow.speed = 0.01;
    let first = simulator(slow).await;
    let (_, created) = create(&first, &offer("offer", "Hi {{1}} there")).await;
    first.shutdown().await;
    let second = simulator(config).await;
    settled(&second).await;
    let id = created["id"].as_str().expect("an id");
    assert_eq!(get(&second, &format!("v24.0/{id}?fields=status")).await["status"], "APPROVED");
    assert_eq!(receiver.notices("message_template_status_update").len(), 1);
}
