//! A person's journey from the first message on, where a conversation stands, and how long its answers take.

use std::time::Duration;

use local::api_client::ApiClient;
use local::stack::People;
use serde_json::{Value, json};
use simulator::Behaviour;

use super::consent::notify;
use super::{account, campaign_from, settled_report, stack, until};

fn one_who_does_everything() -> People {
    let behaviour = Behaviour::Exact { delivered: 1, read: 1, clicked: 1, replied: 1, skip_delivered: 0 };
    People { speed: 3_000.0, behaviour, ..People::default() }
}

/// The types of a list's rows.
fn types(list: &Value) -> Vec<String> {
    list["data"].as_array().unwrap().iter().map(|row| row["type"].as_str().unwrap().to_owned()).collect()
}

/// Waits until the journey has a row of each of these types; gives it.
async fn journey_with(api: &ApiClient, contact: &str, wanted: &[&str]) -> Value {
    until("a journey", Duration::from_secs(30), async || {
        let journey = api.get(&format!("/v1/contacts/{contact}/journey?limit=200")).await.unwrap();
        let types = types(&journey);
        wanted.iter().all(|kind| types.iter().any(|found| found == kind)).then_some(journey)
    })
    .await
}

fn seconds_of(time: &Value) -> i64 {
    let time: jiff::Timestamp = time.as_str().unwrap().parse().unwrap();
    time.as_second()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_journey_goes_from_the_first_message_to_the_answer_of_a_colleague() {
    let (stack, api) = stack(one_who_does_everything(), None).await;
    let account = account(&api).await;
    let person = json!({"phone": "+60123450000", "name": "Aisha"});
    let contact = api.post("/v1/contacts", &person).await.unwrap()["id"].as_str().unwrap().to_owned();
    let campaign = campaign_from(&api, &account, "Hi {{first_name}}, see https://shop.example/offer", 1).await;
    settled_report(&stack, &api, &campaign).await;
    let wanted = ["message.sent", "message.delivered", "message.read", "link.clicked", "message.received"];
    let journey = journey_with(&api, &contact, &wanted).await;
    let rows = journey["data"].as_array().unwrap();
    let times: Vec<&str> = rows.iter().map(|row| row["at"].as_str().unwrap()).collect();
    assert!(times.is_sorted(), "{times:?}");
    let row = |kind: &str| rows.iter().find(|row| row["type"] == kind).unwrap();
    assert_eq!(row("message.sent")["campaign"], json!({"id": campaign, "name": "Offer"}));
    assert!(row("message.sent")["flags"]["clicked"].is_string());
    assert_eq!(row("message.received")["answers"], json!({"campaign_id": campaign, "recipient": 0}));
    assert!(row("message.received")["message"].is_object());
    assert_eq!(journey["complete"], true);

    // Page by page it is the same, in either direction.
    let (mut paged, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = api.get(&format!("/v1/contacts/{contact}/journey?limit=2&order=newest{cursor}")).await.unwrap();
        paged.extend(page["data"].as_array().unwrap().iter().map(|row| row["id"].clone()));
        let Some(next) = page["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    paged.reverse();
    assert_eq!(paged, rows.iter().map(|row| row["id"].clone()).collect::<Vec<_>>());

    // What the campaign did opened no session; the person's acts did.
    let sessions = api.get(&format!("/v1/contacts/{contact}/sessions")).await.unwrap();
    let acts: u64 = sessions["data"].as_array().unwrap().iter().map(|session| session["acts"].as_u64().unwrap()).sum();
    let done = rows.iter().filter(|row| row["type"] == "message.received" || row["data"]["visitor"] == "human");
    assert_eq!(acts, done.count() as u64);

    // The person waits, until a colleague answers in the app.
    let path = format!("/v1/contacts/{contact}/conversations");
    let talks = api.get(&path).await.unwrap();
    let talk = &talks["data"][0];
    assert_eq!((&talk["account_id"], &talk["state"]), (&json!(account), &json!("waiting_for_us")));
    assert_eq!(talk["window"]["open"], true);
    let wrote = seconds_of(&talk["waiting_since"]);
    let echo = json!({"message_echoes": [{
        "from": "15550783881", "to": "60123450000", "id": "wamid.ECHO", "timestamp": (wrote + 600).to_string(),
        "type": "text", "text": {"body": "Yes, we have it"},
    }]});
    notify(&stack, "smb_message_echoes", echo.clone()).await;
    notify(&stack, "smb_message_echoes", echo).await;
    let talks = until("the answer", Duration::from_secs(20), async || {
        let talks = api.get(&path).await.unwrap();
        (talks["data"][0]["state"] == "waiting_for_them").then_some(talks)
    })
    .await;
    let exchange = &talks["data"][0]["exchanges"][0];
    assert_eq!((&exchange["opened_by"], &exchange["first_response_ms"]), (&json!("person"), &json!(600_000)));
    assert_eq!(exchange["answered"], 1, "a repeat of the echo is none");

    let times = api.get(&format!("/v1/analytics/response-times?account={account}")).await.unwrap();
    assert_eq!((&times["complete"], &times["conversations"]), (&json!(true), &json!(1)), "{times}");
    assert_eq!((&times["reply"]["n"], &times["reply"]["median_ms"]), (&json!(1), &json!(600_000)));
    assert_eq!(times["first_response"]["buckets"][0], json!({"took": "0-1h", "n": 1}));
    let visits = api.get(&format!("/v1/analytics/sessions?account={account}")).await.unwrap();
    assert_eq!(
        (&visits["people"], &visits["sessions"]),
        (&json!(1), &json!(sessions["data"].as_array().unwrap().len()))
    );

    let list = |state: &str| format!("/v1/conversations?account={account}&state={state}");
    let listed = api.get(&list("waiting_for_them")).await.unwrap();
    assert_eq!(listed["data"][0]["contact_id"], json!(contact), "{listed}");
    assert_eq!(api.get(&list("waiting_for_us")).await.unwrap()["data"], json!([]));
    stack.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_wrongly_is_named_and_what_is_anothers_is_not_found() {
    let (stack, api) = stack(People::default(), None).await;
    let account = account(&api).await;
    for (path, problem) in [
        ("/v1/contacts/ctc_01J00000000000000000000000/journey".to_owned(), "404"),
        ("/v1/analytics/response-times".to_owned(), "/account"),
        (format!("/v1/analytics/sessions?account={account}&from=2026-01-01&to=2026-03-01"), "31 days"),
        (format!("/v1/analytics/sessions?account={account}&gap_minutes=0"), "gap_minutes"),
        (format!("/v1/conversations?account={account}&state=asleep"), "waiting_for_us"),
        ("/v1/accounts/acc_01J00000000000000000000000/health".to_owned(), "404"),
    ] {
        let error = api.get(&path).await.unwrap_err().to_string();
        assert!(error.contains(problem), "{path}: {error}");
    }
    let times = api.get(&format!("/v1/analytics/response-times?account={account}")).await.unwrap();
    assert_eq!((&times["conversations"], &times["reply"]["median_ms"]), (&json!(0), &Value::Null));
    stack.shutdown().await;
}
