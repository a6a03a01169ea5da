//! How webhooks are delivered: signed, repeated, out of order, until they are taken.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use serde_json::json;
use sha2::Sha256;
use simulator::Behaviour;

use crate::receiver::{Receiver, SECRET, client, config, send, settled, simulator, text, until};

fn signature(body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).expect("any length");
    mac.update(body);
    format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
}

#[tokio::test]
async fn webhooks_are_ascii_and_signed_over_their_exact_bytes() {
    let (receiver, url) = Receiver::start().await;
    let mut config = config(&url);
    config.behaviour = Behaviour::Exact { delivered: 30, read: 30, clicked: 0, replied: 30, skip_delivered: 0 };
    let running = simulator(config).await;
    let client = client();
    for n in 0..30 {
        // Brazilians answer with accents and emoji.
        let mut message = text(&format!("+5511987{n:06}"), "Olá");
        message["biz_opaque_callback_data"] = json!(format!("ção/{n}@<%👍"));
        assert_eq!(send(&running, &client, &message).await.expect("an answer").0, 200);
    }
    settled(&running).await;
    let posts = receiver.posts();
    assert!(posts.iter().all(|post| post.body.is_ascii()));
    assert!(posts.iter().all(|post| post.headers["x-hub-signature-256"] == signature(&post.body)));
    assert!(posts.iter().all(|post| post.headers["x-hub-signature"].len() == 45));
    let all: String = posts.iter().map(|post| String::from_utf8_lossy(&post.body).into_owned()).collect();
    assert!(all.contains(r"\u00e7\u00e3o\/0\u0040\u003C\u0025\ud83d\udc4d"));
    let echoed: BTreeSet<_> =
        receiver.statuses().iter().map(|seen| seen.value["biz_opaque_callback_data"].to_string()).collect();
    assert_eq!(echoed.len(), 30);
}

#[tokio::test]
async fn the_handshake_verifies_a_webhook_and_refuses_a_wrong_one() {
    let (_receiver, url) = Receiver::start().await;
    let running = simulator(config(&url)).await;
    assert!(running.verify_subscription().await.is_ok());
    let mut wrong = config(&url);
    wrong.verify_token = "something else".to_owned();
    let running = simulator(wrong).await;
    assert!(matches!(running.verify_subscription().await, Err(simulator::VerifyError::Status(403))));
}

#[tokio::test]
async fn repeated_updates_come_in_other_posts_and_shuffled_ones_out_of_order() {
    let (receiver, url) = Receiver::start().await;
    let mut config = config(&url);
    config.behaviour = Behaviour::Exact { delivered: 30, read: 30, clicked: 0, replied: 10, skip_delivered: 0 };
    config.delivery.repeat = 3;
    config.delivery.shuffle = Some(Duration::from_millis(400));
    let running = simulator(config).await;
    let client = client();
    for n in 0..30 {
        send(&running, &client, &text(&format!("+4477009{n:05}"), "hi")).await.expect("an answer");
    }
    settled(&running).await;

    let mut posts_of: BTreeMap<(String, String), BTreeSet<usize>> = BTreeMap::new();
    let mut first_seen: BTreeMap<(String, String), usize> = BTreeMap::new();
    let statuses = receiver.statuses();
    for (n, seen) in statuses.iter().enumerate() {
        let key = (seen.id().to_owned(), seen.status().to_owned());
        first_seen.entry(key.clone()).or_insert(n);
        posts_of.entry(key).or_default().insert(seen.post);
    }
    assert_eq!(statuses.len(), 3 * 90);
    assert!(posts_of.len() == 90 && posts_of.values().all(|posts| posts.len() == 3));
    assert_eq!(receiver.messages().len(), 30);
    let overtaken = first_seen.iter().filter(|((id, status), n)| {
        status == "sent" && first_seen.get(&(id.clone(), "read".to_owned())).is_some_and(|read| read < n)
    });
    assert!(overtaken.count() > 0, "no read came before its sent");
}

#[tokio::test]
async fn a_refused_webhook_is_repeated_with_identical_bytes() {
    let (receiver, url) = Receiver::start().await;
    receiver.fail_next.store(2, Ordering::SeqCst);
    let mut config = config(&url);
    config.behaviour = Behaviour::Exact { delivered: 0, read: 0, clicked: 0, replied: 0, skip_delivered: 0 };
    let running = simulator(config).await;
    send(&running, &client(), &text("+447700900001", "hi")).await.expect("an answer");
    settled(&running).await;
    let posts = receiver.posts();
    assert_eq!(posts.iter().map(|post| post.status).collect::<Vec<_>>(), [500, 500, 200]);
    assert!(posts.iter().all(|post| post.body == posts[0].body));
    let webhooks = running.ledger().webhooks;
    assert_eq!((webhooks.acknowledged, webhooks.failed_attempts, webhooks.updates_acknowledged), (1, 2, 1));
}

#[tokio::test]
async fn an_early_sent_is_delivered_before_the_answer() {
    let (receiver, url) = Receiver::start().await;
    let mut config = config(&url);
    config.speed = 1.0;
    config.delivery.early_sent_share = 1.0;
    config.behaviour = Behaviour::Exact { delivered: 0, read: 0, clicked: 0, replied: 0, skip_delivered: 0 };
    let running = simulator(config).await;
    let (_, body) = send(&running, &client(), &text("+447700900001", "hi")).await.expect("an answer");
    let statuses = receiver.statuses();
    assert_eq!(statuses.len(), 1);
    assert_eq!(statuses[0].id(), body["messages"][0]["id"]);
    until("nothing is outstanding", || running.pending() == 0).await;
}

#[tokio::test]
async fn batches_are_as_large_as_allowed_and_no_larger() {
    let (receiver, url) = Receiver::start().await;
    let mut config = config(&url);
    config.behaviour = Behaviour::Exact { delivered: 0, read: 0, clicked: 0, replied: 0, skip_delivered: 0 };
    config.delivery.batch_max = 7;
    config.delivery.window = Duration::from_secs(2);
    let running = simulator(config).await;
    let client = client();
    for n in 0..14 {
        send(&running, &client, &text(&format!("+4477009{n:05}"), "hi")).await.expect("an answer");
    }
    until("14 statuses have come", || receiver.statuses().len() == 14).await;
    assert_eq!(receiver.posts().len(), 2);
}
