//! The script of web pages in a real browser: Chromium, driven by its own driver. `scripts/test-browser` installs both where
//! it may and runs this; without them there is nothing to show, so `cargo test` leaves it out.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use axum::Router;
use axum::extract::Path;
use axum::response::Html;
use axum::routing::get;
use local::api_client::ApiClient;
use local::stack::{People, Stack};
use serde_json::{Value, json};
use simulator::Behaviour;
use tokio::net::TcpListener;

use super::web::{BROWSER, feed, link_of, write_key};
use super::{account, stack, until};

/// A browser, for as long as this lives.
struct Browser {
    driver: Child,
    http: reqwest::Client,
    session: String,
}

impl Browser {
    async fn start() -> Self {
        let program = std::env::var("CHROMEDRIVER").unwrap_or_else(|_| "chromedriver".to_owned());
        let mut driver = Command::new(program).arg("--port=0").stdout(Stdio::piped()).spawn().expect("a chromedriver");
        let mut lines = BufReader::new(driver.stdout.take().unwrap()).lines();
        let port: u16 = lines
            .find_map(|line| {
                line.unwrap().split("successfully on port ").nth(1)?.trim().trim_end_matches('.').parse().ok()
            })
            .expect("the driver's port");
        // What it says later is read, so that it never waits for a reader.
        std::thread::spawn(move || lines.for_each(drop));
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let agent = format!("--user-agent={BROWSER}");
        let args = ["--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", &agent];
        let wanted = json!({"capabilities": {"alwaysMatch": {"goog:chromeOptions": {"args": args}}}});
        let url = format!("http://127.0.0.1:{port}/session");
        let answer: Value = http.post(&url).json(&wanted).send().await.unwrap().json().await.unwrap();
        let id = answer["value"]["sessionId"].as_str().unwrap_or_else(|| panic!("no session: {answer}"));
        Self { driver, session: format!("{url}/{id}"), http }
    }

    async fn call(&self, what: &str, body: Value) -> Value {
        let answer = self.http.post(format!("{}/{what}", self.session)).json(&body).send().await.unwrap();
        let answer: Value = answer.json().await.unwrap();
        assert!(answer["value"].get("error").is_none(), "{what}: {answer}");
        answer["value"].clone()
    }

    async fn open(&self, url: &str) {
        self.call("url", json!({ "url": url })).await;
        until("the script", Duration::from_secs(20), async || {
            (self.run("return !!(window.tt && tt.track) || !document.querySelector('script[data-key]')").await == true)
                .then_some(Value::Null)
        })
        .await;
    }

    /// Runs a script in the page; what it returns.
    async fn run(&self, script: &str) -> Value {
        self.call("execute/sync", json!({"script": script, "args": []})).await
    }

    async fn end(mut self) {
        self.http.delete(&self.session).send().await.unwrap();
        self.driver.kill().unwrap();
        self.driver.wait().unwrap();
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Also when the test fails: nothing is left running.
        drop(self.driver.kill());
    }
}

/// A shop on an origin of its own; where it is.
async fn shop(stack: &Stack, key: &str) -> String {
    let script = format!("{}/tt.js", stack.base_url());
    let key = key.to_owned();
    let page = async move |Path(name): Path<String>| {
        let (before, attributes) = match name.as_str() {
            "waits" => ("", "data-consent=\"wait\""),
            "private" => ("Object.defineProperty(navigator, 'globalPrivacyControl', {value: true});", ""),
            "early" => ("window.tt = []; tt.push(['track', 'early', {n: 1}]);", "data-auto=\"off\""),
            _ => ("", "data-clean-url"),
        };
        Html(format!(
            "<!doctype html><title>{name}</title><script>{before}</script>\
             <script async src=\"{script}\" data-key=\"{key}\" {attributes}></script><h1>{name}</h1>"
        ))
    };
    let empty = async || Html("<!doctype html><title>elsewhere</title>");
    let router = Router::new().route("/{name}", get(page)).route("/x/elsewhere", get(empty));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    // Another host than the stack's, so that nothing is shared but what is meant to be.
    format!("http://localhost:{}", address.port())
}

async fn campaign_to(api: &ApiClient, account: &str, url: &str) -> String {
    let campaign = json!({
        "name": "Offer", "account_id": account, "append_click_id": true,
        "variants": [{"name": "A", "message": {"type": "text", "text": {"body": format!("See {url}")}}}],
        "audience": {"recipients": [{"phone": "+60123450001"}]},
    });
    let id = api.post("/v1/campaigns", &campaign).await.unwrap()["id"].as_str().unwrap().to_owned();
    api.post(&format!("/v1/campaigns/{id}/start"), &Value::Null).await.unwrap();
    until("the message", Duration::from_secs(30), async || {
        let sent = api.get(&format!("/v1/campaigns/{id}/recipients?stage=sent")).await.unwrap();
        (!sent["data"].as_array().unwrap().is_empty()).then_some(Value::Null)
    })
    .await;
    id
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Chromium and its driver: scripts/test-browser"]
async fn a_browser_goes_from_a_tracked_link_to_a_purchase() {
    let behaviour = Behaviour::Exact { delivered: 1, read: 1, clicked: 0, replied: 0, skip_delivered: 0 };
    let (stack, api) = stack(People { behaviour, ..People::default() }, None).await;
    let account = account(&api).await;
    let key = write_key(&api, json!({"name": "Shop"})).await;
    let shop = shop(&stack, &key).await;
    let browser = Browser::start().await;

    // The click id is read, remembered, and taken out of the address; the page is viewed.
    let id = campaign_to(&api, &account, &format!("{shop}/offer?utm_source=wa#top")).await;
    browser.open(&link_of(&stack, &id, 0).await).await;
    let address = browser.run("return location.href").await;
    assert_eq!(address, format!("{shop}/offer?utm_source=wa#top"));
    let viewed = feed(&api, "type=page_view", 1).await;
    let properties = &viewed[0]["data"]["properties"];
    assert_eq!((&properties["url"], &properties["utm_source"]), (&json!(format!("{shop}/offer")), &json!("wa")));
    assert_eq!((&viewed[0]["campaign_id"], &viewed[0]["data"]["device"]), (&json!(id), &json!("mobile")));

    // A single-page application goes to another page; the purchase there is one however often it is told.
    let buy = "tt.convert('purchase', {amount: 49.9, currency: 'MYR'}, {items: 2}, {id: 'order-1'});";
    browser.run("history.pushState({}, '', '/thanks?secret=1'); document.title = 'Thanks'").await;
    browser.run(&format!("{buy} {buy} tt.identify({{email: 'Aisha@shop.example'}})")).await;
    let viewed = feed(&api, "type=page_view", 2).await;
    assert_eq!(viewed[0]["data"]["properties"]["url"], format!("{shop}/thanks"));
    let bought = feed(&api, "type=purchase", 1).await;
    let told = feed(&api, "type=identify", 1).await;
    assert_eq!((&bought[0]["campaign_id"], &bought[0]["data"]["value"]["amount"]), (&json!(id), &json!(49.9)));
    assert!(bought[0]["contact_id"].is_string() && bought[0]["contact_id"] == told[0]["contact_id"]);
    until("the closed deal", Duration::from_secs(20), async || {
        let report = api.get(&format!("/v1/campaigns/{id}/report")).await.unwrap();
        (report["stages"]["closed"]["count"] == 1 && report["stages"]["clicked"]["count"] == 1).then_some(Value::Null)
    })
    .await;

    // A later visit, without the click id in the address, is the same visitor's and still that click's.
    browser.open(&format!("{shop}/later")).await;
    let later = feed(&api, "type=page_view", 3).await;
    assert_eq!((&later[0]["contact_id"], &later[0]["campaign_id"]), (&viewed[0]["contact_id"], &json!(id)));

    // What happens just before the page is left arrives.
    browser.run("tt.track('left'); location.href = '/x/elsewhere'").await;
    feed(&api, "type=left", 1).await;
    browser.end().await;
    stack.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Chromium and its driver: scripts/test-browser"]
async fn a_browser_keeps_what_it_could_not_send_and_asks_before_it_sends() {
    let (stack, api) = stack(People::default(), None).await;
    let key = write_key(&api, json!({"name": "Shop"})).await;
    let shop = shop(&stack, &key).await;
    let browser = Browser::start().await;

    // Before anybody has agreed nothing is stored or sent; then what waited is sent.
    browser.open(&format!("{shop}/waits")).await;
    browser.run("tt.track('waited')").await;
    let kept = "return document.cookie + Object.keys(localStorage).join()";
    assert_eq!(browser.run(kept).await, "");
    assert_eq!(browser.run("return tt.anonymousId()").await, Value::Null);
    browser.run("tt.consent(true)").await;
    feed(&api, "type=waited,page_view", 2).await;
    assert!(browser.run("return document.cookie").await.as_str().unwrap().starts_with("tt_id="));

    // Who takes it back is forgotten, and no page asks again.
    browser.run("tt.consent(false); tt.track('refused')").await;
    assert_eq!(browser.run(kept).await, "tt_consent");
    browser.open(&format!("{shop}/offer")).await;
    browser.run("tt.track('refused')").await;
    browser.run("localStorage.clear()").await;

    // A browser that asks not to be tracked is not, unless the person agrees.
    browser.open(&format!("{shop}/private")).await;
    browser.run("tt.track('refused')").await;
    assert_eq!(browser.run(kept).await, "");
    browser.run("tt.consent(true); tt.track('agreed')").await;
    feed(&api, "type=agreed", 1).await;

    // What was called before the script was there is not lost.
    browser.open(&format!("{shop}/early")).await;
    feed(&api, "type=early", 1).await;

    // A server that fails, twice, gets the same event again; and what a page could not send at all, the next page does.
    browser
        .run(
            "window.sends = []; const real = window.fetch; window.fetch = (url, options) => { sends.push(options.body); \
             return sends.length < 3 ? Promise.resolve(new Response('', {status: 503})) : real(url, options); }; \
             tt.track('again')",
        )
        .await;
    feed(&api, "type=again", 1).await;
    let sends = browser.run("return window.sends").await;
    let ids: Vec<Value> = sends
        .as_array()
        .unwrap()
        .iter()
        .map(|body| serde_json::from_str::<Value>(body.as_str().unwrap()).unwrap()["events"][0]["id"].clone())
        .collect();
    assert!(ids.len() == 3 && ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    let offline = "window.fetch = () => Promise.reject(new Error('offline')); navigator.sendBeacon = () => false; \
                   tt.track('kept')";
    browser.run(offline).await;
    browser.open(&format!("{shop}/offer")).await;
    feed(&api, "type=kept", 1).await;

    // Nothing of what was refused has come.
    assert_eq!(api.get("/v1/events?type=refused").await.unwrap()["data"], json!([]));
    browser.end().await;
    stack.shutdown().await;
}
