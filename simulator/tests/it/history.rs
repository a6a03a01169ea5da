//! What `message_history` lists, and that a sender who has lost an answer can find its message there.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use simulator::{Faults, Running, Trigger};

use crate::receiver::{NUMBER, Receiver, client, config, send, settled, simulator, text};

async fn get(running: &Running, url: &str) -> (u16, Value) {
    let url = running.url().join(url).expect("a path");
    let response = client().get(url).bearer_auth("t").send().await.expect("an answer");
    (response.status().as_u16(), response.json().await.expect("JSON"))
}

fn wamids(page: &Value) -> Vec<String> {
    let data = page["data"].as_array().expect("data");
    data.iter().map(|entry| entry["message_id"].as_str().expect("an id").to_owned()).collect()
}

/// The address inside a message id: its third byte is the length, the address follows.
fn address_in(wamid: &str) -> String {
    let bytes = STANDARD.decode(wamid.strip_prefix("wamid.").expect("a wamid")).expect("base64");
    String::from_utf8(bytes[3..3 + usize::from(bytes[2])].to_vec()).expect("ASCII")
}

#[tokio::test]
async fn the_history_pages_through_all_messages_newest_first() {
    let (_receiver, url) = Receiver::start().await;
    let running = simulator(config(&url)).await;
    let client = client();
    let mut sent = Vec::new();
    for n in 0..60 {
        let (_, body) = send(&running, &client, &text(&format!("+4477009{n:05}"), "hi")).await.expect("an answer");
        sent.push(body["messages"][0]["id"].as_str().expect("an id").to_owned());
    }
    sent.reverse();
    let mut listed = Vec::new();
    let mut next = Some(format!("v24.0/{NUMBER}/message_history?limit=25&fields=message_id"));
    let mut pages = 0;
    while let Some(page_url) = next {
        let (_, page) = get(&running, &page_url).await;
        listed.extend(wamids(&page));
        assert!(page["paging"]["cursors"]["after"].is_string());
        next = page["paging"]["next"].as_str().map(str::to_owned);
        pages += 1;
        // What comes in while somebody pages does not move the pages.
        send(&running, &client, &text(&format!("+44770091{pages:04}"), "hi")).await.expect("an answer");
    }
    assert_eq!((pages, listed), (3, sent));
}

#[tokio::test]
async fn a_message_whose_answer_was_lost_is_listed_and_found_by_its_recipient() {
    let (_receiver, url) = Receiver::start().await;
    let mut config = config(&url);
    config.speed = 0.001;
    let running = simulator(config).await;
    running.set_faults(Faults { drop_after_accept: Some(Trigger::Next(1)), ..Faults::default() });
    assert!(send(&running, &client(), &text("+5511987654321", "hi")).await.is_err());
    let (_, page) = get(&running, &format!("v24.0/{NUMBER}/message_history")).await;
    let listed = wamids(&page);
    assert_eq!(listed.iter().map(|wamid| address_in(wamid)).collect::<Vec<_>>(), ["551187654321"]);
    // Nothing has happened to it yet.
    assert_eq!(page["data"][0]["events"]["data"], serde_json::json!([]));
    assert!(page["paging"].get("next").is_none());
}

#[tokio::test]
async fn fields_choose_what_is_told_of_messages_and_their_events() {
    let (_receiver, url) = Receiver::start().await;
    let running = simulator(config(&url)).await;
    send(&running, &client(), &text("+447700900001", "hi")).await.expect("an answer");
    settled(&running).await;
    let path = format!("v24.0/{NUMBER}/message_history?fields=id,message_id,events%7Bdelivery_status,timestamp%7D");
    let (_, page) = get(&running, &path).await;
    let event = page["data"][0]["events"]["data"][0].as_object().expect("an event");
    assert_eq!(event.keys().collect::<Vec<_>>(), ["delivery_status", "id", "timestamp"]);
    let id = page["data"][0]["id"].as_str().expect("an id");
    let (_, events) = get(&running, &format!("v24.0/{id}/events")).await;
    assert_eq!(events["data"][0]["delivery_status"], "SENT");
}

#[tokio::test]
async fn limits_cursors_and_fields_that_meta_does_not_know_are_refused() {
    let (_receiver, url) = Receiver::start().await;
    let running = simulator(config(&url)).await;
    for query in ["limit=24", "limit=101", "after=x", "fields=nonsense"] {
        let (status, body) = get(&running, &format!("v24.0/{NUMBER}/message_history?{query}")).await;
        assert_eq!((status, &body["error"]["code"]), (400, &serde_json::json!(100)), "{query}");
    }
}
