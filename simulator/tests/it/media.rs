//! Files: uploaded, described, downloaded, sent, deleted, expired.

use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};
use simulator::Running;

use crate::receiver::{NUMBER, Receiver, client, config, send, simulator};

async fn upload(running: &Running, mime_type: &str, content: Vec<u8>) -> Value {
    let part = Part::bytes(content).mime_str(mime_type).expect("a type").file_name("a");
    let form = Form::new().text("messaging_product", "whatsapp").part("file", part);
    let url = running.url().join(&format!("v24.0/{NUMBER}/media")).expect("a path");
    let response = client().post(url).bearer_auth("t").multipart(form).send().await.expect("an answer");
    response.json().await.expect("JSON")
}

async fn id_of_upload(running: &Running, content: &[u8]) -> String {
    let answer = upload(running, "image/jpeg", content.to_vec()).await;
    answer["id"].as_str().expect("an id").to_owned()
}

fn image(id: &str) -> Value {
    json!({ "messaging_product": "whatsapp", "to": "+447700900001", "type": "image", "image": { "id": id } })
}

async fn code(running: &Running, body: &Value) -> Option<i64> {
    send(running, &client(), body).await.expect("an answer").1["error"]["code"].as_i64()
}

#[tokio::test]
async fn types_and_sizes_are_limited() {
    let (_receiver, url) = Receiver::start().await;
    let running = simulator(config(&url)).await;
    const MB: usize = 1024 * 1024;
    assert_eq!(upload(&running, "image/tiff", vec![1]).await["error"]["code"], 100);
    assert_eq!(upload(&running, "image/png", vec![1; 5 * MB + 1]).await["error"]["code"], 131_053);
    assert_eq!(upload(&running, "image/png", Vec::new()).await["error"]["code"], 131_053);
    assert!(upload(&running, "image/png", vec![1; 5 * MB]).await["id"].is_string());
    assert!(upload(&running, "audio/ogg; codecs=opus", vec![1]).await["id"].is_string());
}

#[tokio::test]
async fn an_expired_file_can_neither_be_sent_nor_fetched_even_after_a_restart() {
    let (_receiver, url) = Receiver::start().await;
    let folder = tempfile::tempdir().expect("a folder");
    let mut config = config(&url);
    config.journal = Some(folder.path().join("journal.ndjson"));
    let running = simulator(config.clone()).await;
    let id = id_of_upload(&running, b"old").await;
    assert_eq!(code(&running, &image(&id)).await, None);
    let expire = running.url().join("simulator/media/expire").expect("a path");
    let answer: Value = client().post(expire).send().await.expect("an answer").json().await.expect("JSON");
    assert_eq!(answer, json!({ "expired": 1 }));
    assert_eq!(running.expire_media().await, 0);
    let fresh = id_of_upload(&running, b"new").await;
    running.shutdown().await;

    let running = simulator(config).await;
    assert_eq!(code(&running, &image(&id)).await, Some(131_053));
    assert_eq!(code(&running, &image("1234567")).await, Some(100));
    assert_eq!(code(&running, &image(&fresh)).await, None);
    let node = running.url().join(&format!("v24.0/{id}?phone_number_id={NUMBER}")).expect("a path");
    let described = client().get(node).bearer_auth("t").send().await.expect("an answer");
    // Under a policy by which any number exists, what is no media id is a number's.
    assert!(described.json::<Value>().await.expect("JSON").get("url").is_none());
}

#[tokio::test]
async fn a_file_is_found_only_under_the_number_that_uploaded_it() {
    let (_receiver, url) = Receiver::start().await;
    let running = simulator(config(&url)).await;
    let id = id_of_upload(&running, b"file").await;
    let node = |number: &str| running.url().join(&format!("v24.0/{id}?phone_number_id={number}")).expect("a path");
    let deleted = client().delete(node("999")).bearer_auth("t").send().await.expect("an answer");
    assert_eq!(deleted.status(), 400);
    let described = client().get(node(NUMBER)).bearer_auth("t").send().await.expect("an answer");
    assert!(described.json::<Value>().await.expect("JSON")["url"].is_string());
}

#[tokio::test]
async fn uploads_are_counted_and_told_apart_by_their_content() {
    let (_receiver, url) = Receiver::start().await;
    let running = simulator(config(&url)).await;
    let first = id_of_upload(&running, b"one").await;
    id_of_upload(&running, b"two").await;
    id_of_upload(&running, b"one").await;
    let ledger = running.ledger();
    assert_eq!(ledger.totals().uploads, 3);
    assert_eq!((&ledger.uploads[0].id, ledger.uploads[0].bytes), (&first, 3));
    assert_eq!(ledger.uploads[0].sha256, ledger.uploads[2].sha256);
    assert_ne!(ledger.uploads[0].sha256, ledger.uploads[1].sha256);
}

#[tokio::test]
async fn media_is_uploaded_described_downloaded_sent_and_deleted() {
    let (_receiver, url) = Receiver::start().await;
    let running = simulator(config(&url)).await;
    let (client, base) = (client(), running.url());
    let part = reqwest::multipart::Part::bytes(b"\xff\xd8jpeg".to_vec()).mime_str("image/jpeg").expect("a type");
    let form =
        reqwest::multipart::Form::new().text("messaging_product", "whatsapp").part("file", part.file_name("a.jpg"));
    let upload =
        client.post(base.join(&format!("v24.0/{NUMBER}/media")).expect("a path")).bearer_auth("t").multipart(form);
    let uploaded: Value = upload.send().await.expect("an answer").json().await.expect("JSON");
    let id = uploaded["id"].as_str().expect("an id");

    let node = base.join(&format!("v24.0/{id}")).expect("a path");
    let described: Value =
        client.get(node.clone()).bearer_auth("t").send().await.expect("an answer").json().await.expect("JSON");
    assert_eq!((described["mime_type"].as_str(), described["file_size"].as_str()), (Some("image/jpeg"), Some("6")));
    let file = described["url"].as_str().expect("a URL");
    assert_eq!(client.get(file).send().await.expect("an answer").status(), 401);
    assert_eq!(
        &client.get(file).bearer_auth("t").send().await.expect("an answer").bytes().await.expect("bytes")[..],
        b"\xff\xd8jpeg"
    );

    let image = json!({ "messaging_product": "whatsapp", "to": "+447700900001", "type": "image", "image": { "id": id, "caption": "c" } });
    assert_eq!(send(&running, &client, &image).await.expect("an answer").0, 200);
    assert_eq!(client.delete(node.clone()).bearer_auth("t").send().await.expect("an answer").status(), 200);
    assert_eq!(send(&running, &client, &image).await.expect("an answer").0, 400);
}
