//! A person who is erased is nowhere any more, in no row, no object and no file; the others, and the counters, stay.

use std::time::Duration;

use local::stack::{BUCKET, People};
use serde_json::{Value, json};
use shared::archive;
use shared::blob::Bucket;
use shared::erasure::{Names, Person};

use super::consent::notify;
use super::{settled_report, stack, started_campaign, until};

/// The number of the first person of `started_campaign`.
const DIGITS: &str = "60123450000";

#[tokio::test(flavor = "multi_thread")]
async fn nothing_names_the_person_and_the_report_stays_as_it_was() {
    let (stack, api) = stack(People::default(), None).await;
    let id = started_campaign(&api, "Hi {{first_name}}, see https://shop.example/offer", 20).await;
    let message = json!({"messages": [{
        "id": "wamid.erase", "from": DIGITS, "timestamp": "1790000000", "type": "text", "text": {"body": "my secret"},
    }]});
    notify(&stack, "messages", message).await;
    let contact = until("the contact", Duration::from_secs(20), async || {
        let found = api.get(&format!("/v1/contacts?q=%2B{DIGITS}")).await.ok()?;
        found["data"].get(0).map(|contact| contact["id"].clone())
    })
    .await;
    let before = settled_report(&stack, &api, &id).await;

    let asked = api.post(&format!("/v1/contacts/{}/erase", contact.as_str().unwrap()), &json!({})).await.unwrap();
    assert_eq!(asked["status"], "pending");
    let path = format!("/v1/erasures/{}", asked["id"].as_str().unwrap());
    let erasure = until("the erasure", Duration::from_secs(60), async || {
        let erasure = api.get(&path).await.unwrap();
        (erasure["status"] == "complete").then_some(erasure)
    })
    .await;
    for kind in ["attempts", "touches", "aliases", "contacts", "events", "audiences_and_imports", "raw_archive"] {
        assert!(erasure["erased"][kind].as_u64() > Some(0), "nothing erased of {kind}: {erasure}");
    }
    assert!(!erasure.to_string().contains(DIGITS));

    // Held against everything there is, by other means than the job's own list of kinds.
    let person = Person { digits: [DIGITS.to_owned()].into(), ..Person::default() };
    let names = Names::of([&person]).unwrap();
    let (core, _) = stack.tables();
    let mut behind = None;
    loop {
        let rows = core.rows_behind(behind).await.unwrap();
        let Some(last) = rows.last() else { break };
        behind = Some(last.place());
        for row in &rows {
            assert!(!row.names(&names), "a row names the person: {:?}", row.place());
        }
    }
    let bucket = Bucket::new(stack.engines().s3(), BUCKET);
    let keys = bucket.list("", None, 1_000).await.unwrap();
    assert!(keys.iter().any(|key| key.starts_with(archive::PREFIX)));
    for key in keys {
        let body = bucket.get(&key).await.unwrap();
        let texts: Vec<String> = if key.starts_with(archive::PREFIX) {
            archive::lines(&body)
                .unwrap()
                .map(|line| String::from_utf8_lossy(&line.unwrap().body).into_owned())
                .collect()
        } else {
            vec![String::from_utf8_lossy(&body).into_owned()]
        };
        assert!(!texts.iter().any(|text| names.are_in(text)), "{key} names the person");
        assert!(!texts.iter().any(|text| text.contains("my secret")), "{key} holds what they wrote");
    }

    let mut after = settled_report(&stack, &api, &id).await;
    after["as_of"] = before["as_of"].clone();
    assert_eq!(after, before, "counters stay as they were");
    let recipients = api.get(&format!("/v1/campaigns/{id}/recipients?limit=200")).await.unwrap();
    let erased = |one: &&Value| one["phone"] == "+0";
    assert_eq!(recipients["data"].as_array().unwrap().iter().filter(erased).count(), 1);
    let found = api.get(&format!("/v1/contacts?q=%2B{DIGITS}")).await.unwrap();
    assert_eq!(found["data"], json!([]));
    stack.shutdown().await;
}
