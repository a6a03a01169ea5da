//! What the Graph API answers.

use serde_json::{Value, json};
use simulator::{Faults, InjectedError, NumberPolicy, NumberProfile, Trigger};

use crate::receiver::{NUMBER, Receiver, client, config, send, settled, simulator, text, until};

#[tokio::test]
async fn an_accepted_message_is_answered_in_metas_shape() {
    let (_receiver, url) = Receiver::start().await;
    let running = simulator(config(&url)).await;
    let (status, body) = send(&running, &client(), &text("+5511987654321", "hi")).await.expect("an answer");
    assert_eq!(status, 200);
    assert_eq!(body["messaging_product"], "whatsapp");
    assert_eq!(body["contacts"], json!([{ "input": "+5511987654321", "wa_id": "551187654321" }]));
    assert!(body["messages"][0]["id"].as_str().is_some_and(|id| id.starts_with("wamid.HBgMNTUxMTg3NjU0MzIxFQIAERgS")));
    assert!(body["messages"][0].get("message_status").is_none());
}

#[tokio::test]
async fn token_then_node_then_schema_are_checked_in_that_order() {
    let (_receiver, url) = Receiver::start().await;
    let mut config = config(&url);
    config.numbers = NumberPolicy::Listed(vec![NumberProfile::derived(NUMBER, "1")]);
    let running = simulator(config).await;
    let client = client();
    let post = |node: &str, token: Option<&str>| {
        let request = client.post(running.url().join(&format!("v24.0/{node}/messages")).expect("a path")).body("{}");
        let request = if let Some(token) = token { request.bearer_auth(token) } else { request };
        async move {
            let response = request.send().await.expect("an answer");
            let status = response.status().as_u16();
            let body: Value = response.json().await.expect("JSON");
            (status, body["error"]["code"].as_i64(), body["error"]["error_subcode"].as_i64())
        }
    };
    assert_eq!(post("999", None).await, (401, Some(104), None));
    assert_eq!(post("999", Some("expired")).await, (401, Some(190), Some(463)));
    assert_eq!(post("999", Some("t")).await, (400, Some(100), Some(33)));
    assert_eq!(post(NUMBER, Some("t")).await, (400, Some(100), None));
}

#[tokio::test]
async fn throughput_is_limited_per_second_and_refusals_do_not_count() {
    let (_receiver, url) = Receiver::start().await;
    let mut config = config(&url);
    config.messages_per_second = 20;
    let running = simulator(config).await;
    let client = client();
    let mut refused = None;
    for n in 0..200 {
        let (status, body) = send(&running, &client, &text(&format!("+4477009{n:05}"), "hi")).await.expect("an answer");
        if status != 200 {
            refused = Some((status, body));
            break;
        }
    }
    let (status, body) = refused.expect("200 messages take less than ten seconds");
    assert_eq!((status, body["error"]["code"].as_i64()), (429, Some(130_429)));
    assert_eq!(body["error"]["message"], "(#130429) Rate limit hit");
    assert_eq!(body["error"]["error_data"]["messaging_product"], "whatsapp");
    assert_eq!(running.ledger().refused.get(&130_429), Some(&1));
}

#[tokio::test]
async fn the_46th_message_of_a_burst_to_one_person_hits_the_pair_limit() {
    let (_receiver, url) = Receiver::start().await;
    let running = simulator(config(&url)).await;
    let client = client();
    for _ in 0..45 {
        assert_eq!(send(&running, &client, &text("+447700900001", "hi")).await.expect("an answer").0, 200);
    }
    let (status, body) = send(&running, &client, &text("+447700900001", "hi")).await.expect("an answer");
    assert_eq!((status, body["error"]["code"].as_i64()), (400, Some(131_056)));
    assert_eq!(send(&running, &client, &text("+447700900002", "hi")).await.expect("an answer").0, 200);
}

#[tokio::test]
async fn read_receipts_succeed_without_being_messages() {
    let (_receiver, url) = Receiver::start().await;
    let running = simulator(config(&url)).await;
    let receipt = json!({ "messaging_product": "whatsapp", "status": "read", "message_id": "wamid.A" });
    let answer = send(&running, &client(), &receipt).await.expect("an answer");
    assert_eq!(answer, (200, json!({ "success": true })));
    assert_eq!(running.ledger().totals().accepted, 0);
}

#[tokio::test]
async fn number_and_account_nodes_can_be_read() {
    let (_receiver, url) = Receiver::start().await;
    let running = simulator(config(&url)).await;
    let client = client();
    let get = |path: String| {
        let request = client.get(running.url().join(&path).expect("a path")).bearer_auth("t");
        async move { request.send().await.expect("an answer").json::<Value>().await.expect("JSON") }
    };
    let number = get(format!("v24.0/{NUMBER}?fields=quality_rating,throughput")).await;
    assert_eq!(number, json!({ "quality_rating": "GREEN", "throughput": { "level": "HIGH" }, "id": NUMBER }));
    send(&running, &client, &text("+447700900001", "hi")).await.expect("an answer");
    let numbers = get("v24.0/104996122399160/phone_numbers".to_owned()).await;
    assert_eq!(numbers["data"][0]["id"], NUMBER);
    assert!(
        get("v24.0/104996122399160/subscribed_apps".to_owned()).await["data"][0]["whatsapp_business_api_data"]["id"]
            .is_string()
    );
    assert_eq!(get("v24.0/nonsense".to_owned()).await["error"]["error_subcode"], 33);
}

#[tokio::test]
async fn message_history_tells_what_has_happened() {
    let (_receiver, url) = Receiver::start().await;
    let mut config = config(&url);
    config.behaviour = simulator::Behaviour::Exact { delivered: 1, read: 1, clicked: 0, replied: 0, skip_delivered: 0 };
    let running = simulator(config).await;
    let client = client();
    let (_, body) = send(&running, &client, &text("+447700900001", "hi")).await.expect("an answer");
    settled(&running).await;
    let wamid = body["messages"][0]["id"].as_str().expect("an id");
    let mut url = running.url().join(&format!("v24.0/{NUMBER}/message_history")).expect("a path");
    url.query_pairs_mut().append_pair("message_id", wamid);
    let history: Value = client.get(url).bearer_auth("t").send().await.expect("an answer").json().await.expect("JSON");
    let events = history["data"][0]["events"]["data"].as_array().expect("events");
    let statuses: Vec<_> = events.iter().map(|event| event["delivery_status"].as_str().unwrap_or_default()).collect();
    assert_eq!(statuses, ["SENT", "DELIVERED", "READ"]);
    assert!(events.iter().all(|event| event["webhook_update_state"] == "SUCCESS"));
}

#[tokio::test]
async fn a_lost_answer_leaves_an_accepted_message_whose_statuses_arrive() {
    let (receiver, url) = Receiver::start().await;
    let running = simulator(config(&url)).await;
    let client = client();
    let faults = client
        .post(running.url().join("simulator/faults").expect("a path"))
        .json(&json!({ "drop_after_accept": { "next": 1 } }));
    assert_eq!(faults.send().await.expect("an answer").status(), 200);
    let mut message = text("+447700900001", "hi");
    message["biz_opaque_callback_data"] = json!("attempt-1");
    assert!(send(&running, &client, &message).await.is_err());
    until("the status of the lost message arrives", || {
        receiver.statuses().iter().any(|seen| seen.value["biz_opaque_callback_data"] == "attempt-1")
    })
    .await;
    assert_eq!(running.ledger().totals().accepted, 1);
    assert_eq!(send(&running, &client, &text("+447700900002", "hi")).await.expect("an answer").0, 200);
}

#[tokio::test]
async fn injected_errors_and_forced_phones_are_refused() {
    let (receiver, url) = Receiver::start().await;
    let mut config = config(&url);
    config.forced.insert("+447700900001".to_owned(), simulator::ForcedError::Sync(131_030));
    config.forced.insert("+447700900002".to_owned(), simulator::ForcedError::Async(131_026));
    let running = simulator(config).await;
    let client = client();
    running.set_faults(Faults {
        error: Some(InjectedError { code: 131_048, when: Trigger::Next(1) }),
        ..Faults::default()
    });
    assert_eq!(
        send(&running, &client, &text("+447700900003", "hi")).await.expect("an answer").1["error"]["code"],
        131_048
    );
    assert_eq!(
        send(&running, &client, &text("+447700900001", "hi")).await.expect("an answer").1["error"]["code"],
        131_030
    );
    assert_eq!(send(&running, &client, &text("+447700900002", "hi")).await.expect("an answer").0, 200);
    settled(&running).await;
    let failed: Vec<_> = receiver.statuses().into_iter().filter(|seen| seen.status() == "failed").collect();
    assert_eq!(failed.len(), 1);
    assert_eq!(failed[0].value["errors"][0]["code"], 131_026);
}
