//! What the webhook answers to the handshake, to right and wrong signatures, and to bodies that are none.

use local::stack::{People, Stack};
use serde::Deserialize;
use shared::meta::signature::{AppSecret, sign};

use super::stack;

#[derive(Deserialize)]
struct Vector {
    note: String,
    app_secret: String,
    body: String,
    x_hub_signature_256: String,
}

async fn post(stack: &Stack, body: &str, signature: Option<&str>) -> u16 {
    let mut request = reqwest::Client::new().post(format!("{}/webhooks/meta", stack.base_url()));
    if let Some(signature) = signature {
        request = request.header("x-hub-signature-256", signature);
    }
    request.body(body.to_owned()).send().await.unwrap().status().as_u16()
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_right_signature_over_the_very_bytes_is_taken() {
    let (stack, _) = stack(People::default(), None).await;
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/tests/webhooks/signature-vectors.json");
    let vectors: Vec<Vector> = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let ours = AppSecret::new(stack.app_secret()).unwrap();
    for vector in &vectors {
        let theirs = AppSecret::new(&vector.app_secret).unwrap();
        assert_eq!(sign(vector.body.as_bytes(), &theirs), vector.x_hub_signature_256, "{}", vector.note);
        // Another app's signature is right for its secret and wrong for ours.
        assert_eq!(post(&stack, &vector.body, Some(&vector.x_hub_signature_256)).await, 401, "{}", vector.note);
        let expected = if vector.body.is_empty() { 400 } else { 200 };
        let signature = sign(vector.body.as_bytes(), &ours);
        assert_eq!(post(&stack, &vector.body, Some(&signature)).await, expected, "{}", vector.note);
    }
    let escaped = &vectors[1].body;
    let reserialised = &vectors[2].body;
    assert_eq!(post(&stack, reserialised, Some(&sign(escaped.as_bytes(), &ours))).await, 401);
    let right = sign(escaped.as_bytes(), &ours);
    for wrong in [None, Some(""), Some("sha256="), Some(&right[7..]), Some(&right[..right.len() - 1])] {
        assert_eq!(post(&stack, escaped, wrong).await, 401, "{wrong:?}");
    }
    stack.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_no_json_or_too_large_is_refused() {
    let (stack, _) = stack(People::default(), None).await;
    let ours = AppSecret::new(stack.app_secret()).unwrap();
    let not_json = "{\"object\":";
    assert_eq!(post(&stack, not_json, Some(&sign(not_json.as_bytes(), &ours))).await, 400);
    let large = format!("{{\"pad\":\"{}\"}}", "x".repeat(4 * 1024 * 1024));
    assert_eq!(post(&stack, &large, Some(&sign(large.as_bytes(), &ours))).await, 413);
    // Too large for the queue, so it goes through the bucket; 200 all the same.
    let mid = format!(
        "{{\"object\":\"whatsapp_business_account\",\"entry\":[],\"pad\":\"{}\"}}",
        "x".repeat(3 * 1024 * 1024)
    );
    assert_eq!(post(&stack, &mid, Some(&sign(mid.as_bytes(), &ours))).await, 200);
    stack.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_handshake_gives_the_bare_challenge_to_the_right_token_only() {
    let (stack, _) = stack(People::default(), None).await;
    stack.simulator().unwrap().verify_subscription().await.unwrap();
    let wrong = format!(
        "{}/webhooks/meta?hub.mode=subscribe&hub.verify_token=wrong&hub.challenge=1158201444",
        stack.base_url()
    );
    let answer = reqwest::get(wrong).await.unwrap();
    assert_eq!(answer.status(), 403);
    assert!(!answer.text().await.unwrap().contains("1158201444"));
    stack.shutdown().await;
}
