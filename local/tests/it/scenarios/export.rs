//! Whoever asks what is held about a person gets all of it, wherever it lies, and nothing of anybody else.

use std::time::Duration;

use local::api_client::ApiClient;
use local::stack::{People, Stack};
use serde_json::{Value, json};
use simulator::Behaviour;

use super::consent::notify;
use super::web::{BROWSER, feed, link_of, write_key};
use super::{account, stack, until};

const AISHA: &str = "60123451111";
const BEN: &str = "60123452222";

/// The contact of this number, once there is one.
async fn contact_of(api: &ApiClient, digits: &str) -> String {
    let id = until("the contact", Duration::from_secs(20), async || {
        let found = api.get(&format!("/v1/contacts?q=%2B{digits}")).await.ok()?;
        found["data"].get(0).map(|contact| contact["id"].clone())
    })
    .await;
    id.as_str().unwrap().to_owned()
}

/// A campaign to both, sent; its id.
async fn sent_campaign(api: &ApiClient) -> String {
    let account = account(api).await;
    let person = |digits: &str, name: &str| json!({"phone": format!("+{digits}"), "variables": {"first_name": name}});
    let campaign = json!({
        "name": "Offer", "account_id": account, "append_click_id": true,
        "variants": [{"name": "A", "message": {"type": "text", "text": {"body": "Hi {{first_name}}, see https://shop.example/offer"}}}],
        "audience": {"recipients": [person(AISHA, "Aisha"), person(BEN, "Benedict")]},
    });
    let id = api.post("/v1/campaigns", &campaign).await.unwrap()["id"].as_str().unwrap().to_owned();
    api.post(&format!("/v1/campaigns/{id}/start"), &Value::Null).await.unwrap();
    until("both messages", Duration::from_secs(30), async || {
        let read = api.get(&format!("/v1/campaigns/{id}/recipients?stage=read")).await.unwrap();
        (read["data"].as_array().unwrap().len() == 2).then_some(Value::Null)
    })
    .await;
    id
}

/// The first recipient follows their link, and their browser reports a visit.
async fn visit(stack: &Stack, api: &ApiClient, campaign: &str) {
    let redirects = reqwest::redirect::Policy::none();
    let http = reqwest::Client::builder().no_proxy().user_agent(BROWSER).redirect(redirects).build().unwrap();
    let answer = http.get(link_of(stack, campaign, 0).await).send().await.unwrap();
    let location: url::Url = answer.headers()["location"].to_str().unwrap().parse().unwrap();
    let click_id = location.query_pairs().find(|(name, _)| name == "tt_cid").unwrap().1.into_owned();
    let key = write_key(api, json!({"name": "Shop"})).await;
    let events = json!([{"id": "v-1", "name": "page_view", "anonymous_id": "browser-aisha", "click_id": click_id,
        "email": "aisha@example.com", "properties": {"url": "https://shop.example/secret-page"}}]);
    let report = http.post(format!("{}/collect", stack.base_url())).header("content-type", "text/plain");
    let answer = report.body(json!({"write_key": key, "events": events}).to_string()).send().await.unwrap();
    assert_eq!(answer.status(), 202);
    feed(api, "type=page_view", 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_holds_everything_of_one_person_and_nothing_of_another() {
    let behaviour = Behaviour::Exact { delivered: 2, read: 2, clicked: 0, replied: 0, skip_delivered: 0 };
    let (stack, api) = stack(People { behaviour, ..People::default() }, None).await;
    for (digits, name, email) in [(AISHA, "Aisha Nunez", "aisha@example.com"), (BEN, "Benedict Ong", "ben@example.com")]
    {
        let contact = json!({"phone": format!("+{digits}"), "name": name, "email": email, "tags": ["vip"]});
        api.post("/v1/contacts", &contact).await.unwrap();
    }
    // Whom a message is to is known when it is sent, so its published steps are theirs.
    let campaign = sent_campaign(&api).await;
    visit(&stack, &api, &campaign).await;
    let now = jiff::Timestamp::now().as_second().to_string();
    let message = |from: &str, text: &str| json!({"id": format!("wamid.{text}"), "from": from, "timestamp": now, "type": "text", "text": {"body": text}});
    // Both in one notification.
    let messages = json!({"messages": [message(AISHA, "words-of-aisha"), message(BEN, "words-of-ben")]});
    notify(&stack, "messages", messages).await;
    feed(&api, "type=message.received", 2).await;
    let (aisha, ben) = (contact_of(&api, AISHA).await, contact_of(&api, BEN).await);
    api.post(&format!("/v1/contacts/{aisha}/opt-out"), &Value::Null).await.unwrap();

    let path = format!("/v1/contacts/{aisha}/export");
    // What is published follows the rows within a second.
    let export = until("the whole export", Duration::from_secs(60), async || {
        let export = api.get(&path).await.unwrap();
        let published = export["held"]["published_events"].as_array()?;
        let is_whole = published.iter().any(|event| event["type"] == "message.read")
            && export["held"]["attempts"][0]["clicked"].is_object();
        is_whole.then_some(export)
    })
    .await;
    let held =
        |kind: &str| export["held"][kind].as_array().unwrap_or_else(|| panic!("nothing of {kind}: {export:#}")).clone();

    let attempts = held("attempts");
    assert_eq!(attempts.len(), 1);
    assert_eq!((&attempts[0]["campaign"], &attempts[0]["recipient"]), (&json!(campaign), &json!(0)));
    for flag in ["accepted", "delivered", "read", "clicked"] {
        assert!(attempts[0][flag]["at"].as_str().unwrap().ends_with('Z'), "{flag}: {}", attempts[0]);
    }
    assert!(attempts[0]["wamid"].is_string());
    let message = &export["campaigns"][0]["variants"][0]["message"];
    assert_eq!(message["text"]["body"], "Hi {{first_name}}, see https://shop.example/offer");
    assert_eq!(held("audiences_and_imports")[0]["record"]["variables"]["first_name"], "Aisha");
    let kinds: Vec<String> = held("events").iter().map(|event| event["type"].to_string()).collect();
    for kind in ["link.clicked", "message.received", "contact.created", "custom"] {
        assert!(kinds.contains(&format!("\"{kind}\"")), "no {kind} in {kinds:?}");
    }
    for kind in ["contacts", "aliases", "touches", "conversations", "found_by", "raw_archive", "audit"] {
        assert!(!held(kind).is_empty(), "nothing of {kind}");
    }
    let contact = held("contacts").into_iter().find(|row| row["key"]["sk"] == "CONTACT").unwrap();
    assert_eq!((&contact["name"], &contact["tags"]), (&json!("Aisha Nunez"), &json!(["vip"])));

    let text = export.to_string();
    for theirs in [AISHA, "aisha@example.com", "browser-aisha", "secret-page", "words-of-aisha", "opt_out"] {
        assert!(text.contains(theirs), "{theirs} is not in it");
    }
    for of_the_other in [BEN, ben.as_str(), "ben@example.com", "Benedict", "words-of-ben"] {
        assert!(!text.contains(of_the_other), "{of_the_other} is in it");
    }

    let audit = api.get("/v1/audit?limit=1").await.unwrap();
    let entry = &audit["data"][0];
    assert_eq!((&entry["method"], &entry["route"]), (&json!("GET"), &json!("/v1/contacts/{id}/export")));
    assert_eq!((&entry["targets"]["id"], &entry["status"]), (&json!(aisha), &json!(200)));
    assert!(!entry.to_string().contains("6012345"));
    let nobody = api.get("/v1/contacts/ctc_01J00000000000000000000000/export").await.unwrap_err();
    assert!(nobody.to_string().contains("404"), "{nobody}");
    stack.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_export_is_fetched_from_an_address_and_goes_with_its_person() {
    let (stack, api) = stack(People::default(), None).await;
    account(&api).await;
    let person = json!({"phone": format!("+{AISHA}")});
    let events: Vec<Value> = (0..40)
        .map(|n| json!({"id": format!("e-{n}"), "type": "note", "contact": person, "data": {"text": "x".repeat(30_000)}}))
        .collect();
    api.post("/v1/events", &json!({"events": events})).await.unwrap();
    feed(&api, "type=note&limit=40", 40).await;
    let contact = contact_of(&api, AISHA).await;
    let path = format!("/v1/contacts/{contact}/export");
    let answer = until("the export", Duration::from_secs(60), async || {
        let answer = api.get(&path).await.unwrap();
        answer["url"].is_string().then_some(answer)
    })
    .await;
    assert!(answer["expires_at"].is_string() && answer["bytes"].as_u64() > Some(1_000_000), "{answer}");
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let fetched = http.get(answer["url"].as_str().unwrap()).send().await.unwrap();
    assert_eq!(fetched.status(), 200);
    let export: Value = fetched.json().await.unwrap();
    assert!(export["held"]["events"].as_array().unwrap().len() >= 40);

    let asked = api.post(&format!("/v1/contacts/{contact}/erase"), &json!({})).await.unwrap();
    let path = format!("/v1/erasures/{}", asked["id"].as_str().unwrap());
    let erasure = until("the erasure", Duration::from_secs(60), async || {
        let erasure = api.get(&path).await.unwrap();
        (erasure["status"] == "complete").then_some(erasure)
    })
    .await;
    assert!(erasure["erased"]["exports"].as_u64() > Some(0), "{erasure}");
    let gone = http.get(answer["url"].as_str().unwrap()).send().await.unwrap();
    assert_eq!(gone.status(), 404);
    stack.shutdown().await;
}
