//! Web pages and servers tell what happened: events of the feed, once each, put down to the click and the person.

use std::time::Duration;

use local::api_client::ApiClient;
use local::stack::{People, Stack};
use reqwest::{Response, StatusCode, redirect};
use serde_json::{Value, json};
use simulator::Behaviour;

use super::{account, stack, until};

pub(crate) const BROWSER: &str = "Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Mobile Safari/537.36";

/// A page: it posts as the script does, text without a preflight.
struct Page {
    http: reqwest::Client,
    base: String,
    key: String,
}

impl Page {
    fn new(stack: &Stack, key: &str) -> Self {
        let http = reqwest::Client::builder().no_proxy().user_agent(BROWSER).redirect(redirect::Policy::none());
        Self { http: http.build().unwrap(), base: stack.base_url().to_owned(), key: key.to_owned() }
    }

    async fn post(&self, origin: Option<&str>, body: impl Into<reqwest::Body>) -> Response {
        let mut request =
            self.http.post(format!("{}/collect", self.base)).header("content-type", "text/plain;charset=UTF-8");
        if let Some(origin) = origin {
            request = request.header("origin", origin);
        }
        request.body(body).send().await.unwrap()
    }

    /// Posts events; the answer.
    async fn report(&self, events: Value) -> Value {
        let answer = self.post(None, json!({"write_key": self.key, "events": events}).to_string()).await;
        assert_eq!(answer.status(), StatusCode::ACCEPTED);
        answer.json().await.unwrap()
    }
}

pub(crate) async fn write_key(api: &ApiClient, body: Value) -> String {
    api.post("/v1/write-keys", &body).await.unwrap()["key"].as_str().unwrap().to_owned()
}

/// The feed once it holds so many events.
pub(crate) async fn feed(api: &ApiClient, query: &str, events: usize) -> Vec<Value> {
    let listed = until(&format!("{events} events of {query}"), Duration::from_secs(30), async || {
        let feed = api.get(&format!("/v1/events?{query}")).await.unwrap();
        (feed["data"].as_array().unwrap().len() >= events).then(|| feed["data"].clone())
    })
    .await;
    let listed = listed.as_array().unwrap().clone();
    assert_eq!(listed.len(), events, "{listed:#?}");
    listed
}

#[tokio::test(flavor = "multi_thread")]
async fn a_purchase_behind_a_tracked_link_closes_the_recipient_whose_link_it_was() {
    let behaviour = Behaviour::Exact { delivered: 2, read: 2, clicked: 0, replied: 0, skip_delivered: 0 };
    let (stack, api) = stack(People { behaviour, ..People::default() }, None).await;
    let account = account(&api).await;
    let key = write_key(&api, json!({"name": "Shop"})).await;
    let page = Page::new(&stack, &key);
    let campaign = json!({
        "name": "Offer", "account_id": account, "append_click_id": true,
        "variants": [{"name": "A", "message": {"type": "text", "text": {"body": "See https://shop.example/offer?a=1#top"}}}],
        "audience": {"recipients": [{"phone": "+60123450001"}, {"phone": "+60123450002"}]},
    });
    let campaign = api.post("/v1/campaigns", &campaign).await.unwrap();
    assert_eq!(campaign["append_click_id"], true);
    let id = campaign["id"].as_str().unwrap();
    api.post(&format!("/v1/campaigns/{id}/start"), &Value::Null).await.unwrap();
    let recipients = until("both messages", Duration::from_secs(30), async || {
        let recipients = api.get(&format!("/v1/campaigns/{id}/recipients?stage=sent")).await.unwrap();
        (recipients["data"].as_array().unwrap().len() == 2).then(|| recipients["data"].clone())
    })
    .await;
    let link = link_of(&stack, id, 0).await;

    let answer = page.http.get(&link).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::FOUND);
    let location: url::Url = answer.headers()["location"].to_str().unwrap().parse().unwrap();
    assert_eq!((location.fragment(), location.query_pairs().count()), (Some("top"), 2));
    let click_id = location.query_pairs().find(|(name, _)| name == "tt_cid").unwrap().1.into_owned();

    let purchase = json!({"id": "order-1", "name": "purchase", "anonymous_id": "browser-1", "click_id": click_id,
        "value": {"amount": 49.9, "currency": "MYR"}});
    let mut again = purchase.clone();
    again["time"] = json!(jiff::Timestamp::from_second(jiff::Timestamp::now().as_second() - 90).unwrap().to_string());
    let forged = format!("{}.{}", "000000000000", &click_id[13..]);
    let answer = page
        .report(json!([
            purchase, again,
            {"id": "v-1", "name": "page_view", "anonymous_id": "browser-1", "properties": {"url": "https://shop.example/"}},
            {"id": "f-1", "name": "purchase", "anonymous_id": "browser-2", "click_id": forged, "conversion": true},
        ]))
        .await;
    assert_eq!((&answer["accepted"], &answer["rejected"]), (&json!(4), &json!([])));
    // The browser did not hear the answer, and sends all of it again.
    page.report(json!([purchase])).await;

    let events = feed(&api, "type=purchase,page_view", 3).await;
    let event = |id: &str| events.iter().find(|event| event["data"]["own_id"] == id).unwrap();
    let (bought, viewed, forged_one) = (event("order-1"), event("v-1"), event("f-1"));
    assert_eq!((&bought["campaign_id"], &bought["account_id"]), (&json!(id), &json!(account)));
    assert_eq!((&bought["data"]["device"], &bought["data"]["conversion"]), (&json!("mobile"), &json!(true)));
    assert!(bought["contact_id"].is_string() && bought["contact_id"] == viewed["contact_id"], "one person");
    assert_eq!(
        (&viewed["account_id"], &viewed["data"]["properties"]["url"]),
        (&Value::Null, &json!("https://shop.example/"))
    );
    assert_eq!((&forged_one["campaign_id"], &forged_one["data"]["click_id"]), (&Value::Null, &json!(forged)));

    let (core, _) = stack.tables();
    let key = super::stored(&stack, id).await.attempt_key(shared::attempt::Seq(0));
    until("what the deal was worth", Duration::from_secs(20), async || {
        let attempt = core.attempt(&key).await.unwrap().unwrap();
        let worth = serde_json::to_value(attempt.closed_value?).unwrap();
        assert_eq!(worth, json!({"amount": 49.9, "currency": "MYR"}));
        assert_eq!(attempt.closed_by.unwrap().event.to_string(), bought["id"].as_str().unwrap());
        Some(worth)
    })
    .await;
    let closed = api.get(&format!("/v1/campaigns/{id}/recipients?stage=closed")).await.unwrap();
    assert_eq!(closed["data"].as_array().unwrap().len(), 1);
    assert_eq!(closed["data"][0]["phone"], recipients[0]["phone"]);
    stack.shutdown().await;
}

/// The link of the recipient in the message that the simulator took.
pub(crate) async fn link_of(stack: &Stack, campaign: &str, seq: u32) -> String {
    let stored = super::stored(stack, campaign).await;
    let (core, _) = stack.tables();
    let link = core.link(stored.links[0].id).await.unwrap().unwrap();
    let keys = stack.link_keys().parse().unwrap();
    let links = shared::link::ShortLinks::new(&format!("{}/l", stack.base_url()), keys);
    links.of_recipient(&link, shared::attempt::Seq(seq)).unwrap().short_url
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_event_is_told_back_and_a_wrong_key_is_refused() {
    let (stack, api) = stack(People::default(), None).await;
    let key = write_key(&api, json!({"name": "Shop", "allowed_origins": ["https://shop.example"]})).await;
    let page = Page::new(&stack, &key);
    let origin = Some("https://shop.example");
    let body = |key: &str, events: Value| json!({"write_key": key, "events": events}).to_string();

    let answer = page.post(origin, body(&key, json!([{"name": "a"}, {"name": 7}, {"name": "b", "phone": "12"}]))).await;
    assert_eq!(answer.status(), StatusCode::ACCEPTED);
    assert_eq!(answer.headers()["access-control-allow-origin"], "*");
    let answer: Value = answer.json().await.unwrap();
    assert_eq!((&answer["accepted"], &answer["rejected"][0]["index"]), (&json!(2), &json!(1)));
    assert_eq!(answer["warnings"][0]["index"], 2);
    feed(&api, "type=a,b", 2).await;

    let refused = [
        (origin, "wk_01J00000000000000000000000".to_owned(), StatusCode::UNAUTHORIZED),
        (origin, "no key".to_owned(), StatusCode::UNAUTHORIZED),
        (Some("https://evil.example"), key.clone(), StatusCode::FORBIDDEN),
        (None, key.clone(), StatusCode::FORBIDDEN),
    ];
    for (origin, key, expected) in refused {
        let answer = page.post(origin, body(&key, json!([{"name": "a"}]))).await;
        assert_eq!(answer.status(), expected);
        assert_eq!(answer.headers()["access-control-allow-origin"], "*", "the page can read why");
    }
    assert_eq!(page.post(origin, "{").await.status(), StatusCode::BAD_REQUEST);
    let many = vec![json!({"name": "a"}); 101];
    assert_eq!(page.post(origin, body(&key, json!(many))).await.status(), StatusCode::UNPROCESSABLE_ENTITY);
    let large = vec![b' '; 512 * 1024 + 1];
    assert_eq!(page.post(origin, large).await.status(), StatusCode::PAYLOAD_TOO_LARGE);

    let listed = api.get("/v1/write-keys").await.unwrap();
    assert_eq!((&listed["data"][0]["key"], &listed["data"][0]["revoked_at"]), (&json!(key), &Value::Null));
    let url = format!("{}/v1/write-keys/{key}", stack.base_url());
    for expected in [StatusCode::NO_CONTENT, StatusCode::NO_CONTENT] {
        let answer = page.http.delete(&url).bearer_auth(stack.admin_key()).send().await.unwrap();
        assert_eq!(answer.status(), expected);
    }
    assert!(api.get("/v1/write-keys").await.unwrap()["data"][0]["revoked_at"].is_string());
    // A key that this process has not seen before is read, and found revoked.
    let fresh = write_key(&api, json!({"name": "Old shop"})).await;
    let url = format!("{}/v1/write-keys/{fresh}", stack.base_url());
    page.http.delete(&url).bearer_auth(stack.admin_key()).send().await.unwrap();
    assert_eq!(page.post(origin, body(&fresh, json!([{"name": "a"}]))).await.status(), StatusCode::FORBIDDEN);
    stack.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_ask_first_and_load_the_script() {
    let (stack, _) = stack(People::default(), None).await;
    let page = Page::new(&stack, "wk_x");
    let preflight = page.http.request(reqwest::Method::OPTIONS, format!("{}/collect", stack.base_url()));
    let preflight = preflight
        .header("origin", "https://shop.example")
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "content-type");
    let answer = preflight.send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::NO_CONTENT);
    assert_eq!(answer.headers()["access-control-allow-origin"], "*");
    assert_eq!(answer.headers()["access-control-allow-headers"], "content-type");

    let url = format!("{}/tt.js", stack.base_url());
    let script = page.http.get(&url).send().await.unwrap();
    assert_eq!(script.status(), StatusCode::OK);
    assert!(script.headers()["content-type"].to_str().unwrap().starts_with("text/javascript"));
    let etag = script.headers()["etag"].clone();
    assert!(script.text().await.unwrap().contains("tt_cid"));
    let again = page.http.get(&url).header("if-none-match", etag).send().await.unwrap();
    assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
    stack.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_tells_of_chats_and_of_its_own_events_once() {
    let (stack, api) = stack(People::default(), None).await;
    let account = account(&api).await;
    let person = json!({"phone": "+60123450009"});
    let now = jiff::Timestamp::now().as_second();
    let ago = |seconds: i64| jiff::Timestamp::from_second(now - seconds).unwrap();
    let (assigned, sent, bot, resolved) = (ago(7_200), ago(7_140), ago(6_660), ago(3_600));
    let told = json!({"events": [
        {"id": "a-1", "type": "chat.assigned", "time": assigned.to_string(), "contact": person, "data": {"agent": "kim"}},
        {"id": "s-1", "type": "message.sent", "time": sent.to_string(), "contact": person, "data": {"agent": "kim"}},
        {"id": "s-2", "type": "message.sent", "time": bot.to_string(), "contact": person, "data": {"bot": true}},
        {"id": "r-1", "type": "chat.resolved", "time": resolved.to_string(), "contact": person, "data": {"outcome": "sold"}},
        {"id": "o-1", "type": "order refunded", "contact": person, "data": {"order": 7, "huge": 1e300}},
    ]});
    assert_eq!(api.post("/v1/events", &told).await.unwrap(), json!({"accepted": 5}));
    // Told again, once with another time: the same events.
    api.post("/v1/events", &told).await.unwrap();
    let mut late = told["events"][0].clone();
    late["time"] = json!(ago(60).to_string());
    api.post("/v1/events", &late).await.unwrap();
    let single = json!({"id": "m-1", "type": "marker"});
    api.post("/v1/events", &single).await.unwrap();

    feed(&api, "type=marker", 1).await;
    let events = feed(&api, "type=chat.*,message.*,order%20refunded", 5).await;
    let kinds: Vec<&str> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["order refunded", "chat.resolved", "message.sent", "message.sent", "chat.assigned"]);
    assert!(events[1..].iter().all(|event| event["account_id"] == account.as_str()), "the only account is theirs");
    assert_eq!(events[0]["data"]["properties"], json!({"order": 7, "huge": 1e300}));
    let contact = events[0]["contact_id"].as_str().unwrap();
    assert!(events.iter().all(|event| event["contact_id"] == contact));
    let of_contact = feed(&api, &format!("contact={contact}&type=chat.*"), 2).await;
    assert_eq!(of_contact, vec![events[1].clone(), events[4].clone()]);

    let (core, _) = stack.tables();
    let row = until("the conversation", Duration::from_secs(10), async || {
        let workspace = shared::id::WorkspaceId::FIRST;
        let row = core.conversation(workspace, contact.parse().unwrap(), account.parse().unwrap()).await.unwrap()?;
        row.resolved_at?;
        Some(serde_json::to_value(row).unwrap())
    })
    .await;
    assert_eq!(row["assigned"], json!({"at": assigned.as_millisecond(), "to": "kim"}));
    assert_eq!(
        (&row["last_outbound_at"], &row["resolved_at"]),
        (&json!(sent.as_millisecond()), &json!(resolved.as_millisecond()))
    );

    let wrong =
        api.post("/v1/events", &json!({"events": [{"type": "a"}, {"type": "chat.assigned", "data": {}}]})).await;
    let detail = wrong.unwrap_err().to_string();
    assert!(detail.contains("/events/1/contact") || detail.contains("/events/1/data"), "{detail}");
    stack.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_too_large_for_the_queue_goes_through_the_bucket() {
    let (stack, api) = stack(People::default(), None).await;
    let events: Vec<Value> = (0..60)
        .map(|n| json!({"id": format!("e-{n}"), "type": "import", "data": {"text": "x".repeat(30_000)}}))
        .collect();
    api.post("/v1/events", &json!({"events": events})).await.unwrap();
    let first = feed(&api, "type=import&limit=60", 60).await;

    // The same in pages: none twice, none left out.
    let mut paged: Vec<Value> = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = api.get(&format!("/v1/events?type=import&limit=7{cursor}")).await.unwrap();
        paged.extend(page["data"].as_array().unwrap().iter().cloned());
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(paged, first);
    stack.shutdown().await;
}
