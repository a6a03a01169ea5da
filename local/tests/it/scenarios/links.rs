//! Free links, aliases, passwords and brand domains, as those who make them and those who follow them see them.

use std::time::{Duration, Instant};

use local::api_client::ApiClient;
use local::stack::{People, Stack};
use reqwest::{Method, Response, StatusCode, redirect};
use serde_json::{Value, json};
use shared::config::Settings;
use shared::link::{Link, ShortLinks};
use shared::store::{Core, schema};

use super::web::BROWSER;
use super::{account, stack, until};
use crate::support::memory;

const IPHONE: &str = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_7 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.0 Mobile/15E148 Safari/604.1";
const WINDOWS: &str =
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36";

/// Somebody who follows links, and sees where they lead.
struct Visitor {
    http: reqwest::Client,
    base: String,
}

impl Visitor {
    fn new(stack: &Stack) -> Self {
        let http = reqwest::Client::builder().no_proxy().user_agent(BROWSER).redirect(redirect::Policy::none());
        Self { http: http.build().unwrap(), base: stack.base_url().to_owned() }
    }

    async fn go(&self, url: &str) -> Response {
        self.http.get(url).send().await.unwrap()
    }

    /// The end of a short link on a host that is not the stack's own.
    async fn on(&self, host: &str, end: &str) -> Response {
        self.http.get(format!("{}/l/{end}", self.base)).header("host", host).send().await.unwrap()
    }
}

fn location(answer: &Response) -> &str {
    answer.headers()["location"].to_str().unwrap()
}

async fn free_link(api: &ApiClient, body: Value) -> Value {
    api.post("/v1/links", &body).await.unwrap()
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_free_link_leads_on_with_what_the_click_brings_and_its_clicks_are_counted() {
    let (stack, api) = stack(People::default(), None).await;
    let visitor = Visitor::new(&stack);
    let utm = json!({"source": "whatsapp", "medium": "qr"});
    let link = free_link(&api, json!({"url": "https://shop.example/offer?a=1#top", "utm": utm})).await;
    assert!(text(&link, "id").starts_with("lnk_") && text(&link, "code").len() == 12);
    let short = text(&link, "short_url");
    assert_eq!(short, format!("{}/l/{}", stack.base_url(), text(&link, "code")));

    let answer = visitor.go(&format!("{short}?fbclid=x&a=evil&utm_medium=flyer")).await;
    assert_eq!(answer.status(), StatusCode::FOUND);
    assert_eq!(location(&answer), "https://shop.example/offer?a=1&fbclid=x&utm_medium=flyer&utm_source=whatsapp#top");
    assert_eq!(answer.headers()["cache-control"], "no-store");
    assert_eq!(answer.headers()["referrer-policy"], "no-referrer-when-downgrade");
    let head = visitor.http.head(short).send().await.unwrap();
    assert_eq!((head.status(), head.headers().contains_key("location")), (StatusCode::FOUND, true));
    assert_eq!(visitor.http.put(short).send().await.unwrap().status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(visitor.http.post(short).send().await.unwrap().status(), StatusCode::METHOD_NOT_ALLOWED);
    let preview = visitor.http.get(short).header("user-agent", "WhatsApp/2.23.20.0 A");
    assert_eq!(preview.send().await.unwrap().status(), StatusCode::FOUND);

    // The same browser once more: a repeat.
    assert_eq!(visitor.go(short).await.status(), StatusCode::FOUND);
    // A browser that asks before anybody has tapped gets nothing to keep, so that the tap comes to us.
    let early = visitor.http.get(short).header("sec-purpose", "prefetch;prerender").send().await.unwrap();
    assert_eq!(
        (early.status(), &early.headers()["cache-control"]),
        (StatusCode::NOT_IMPLEMENTED, &"no-store".parse().unwrap())
    );

    let id = text(&link, "id");
    let stats = until("five clicks, one of them a person's", Duration::from_secs(30), async || {
        let stats = api.get(&format!("/v1/links/{id}/stats")).await.unwrap();
        (stats["clicks"]["raw"] == 5 && stats["clicks"]["human"] != 0).then_some(stats)
    })
    .await;
    assert_eq!(stats["clicks"], json!({"raw": 5, "human": 1, "unique": 1}));
    assert_eq!(stats["excluded"], json!({"head": 1, "prefetch": 1, "preview": 1}));
    for (dimension, value) in [("device", "mobile"), ("os", "Android"), ("browser", "Chrome"), ("country", "unknown")] {
        assert_eq!(stats["by"][dimension], json!({value: 1}), "{dimension}");
    }
    let listed = api.get("/v1/links").await.unwrap();
    assert_eq!((&listed["data"][0], &listed["next_cursor"]), (&link, &Value::Null));
    assert_eq!(api.get(&format!("/v1/links/{id}")).await.unwrap(), link);
    stack.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_forged_and_revoked_links_get_the_same_bytes_and_an_expired_one_is_gone() {
    let (stack, api) = stack(People::default(), None).await;
    let visitor = Visitor::new(&stack);
    let link = free_link(&api, json!({"url": "https://shop.example/"})).await;
    let short = text(&link, "short_url");
    let code = text(&link, "code");
    let forged = format!("{}{}", if code.starts_with('A') { "B" } else { "A" }, &code[1..]);
    let revoked = api.post(&format!("/v1/links/{}/revoke", text(&link, "id")), &Value::Null).await.unwrap();
    assert!(revoked["revoked_at"].is_string());
    let again = api.post(&format!("/v1/links/{}/revoke", text(&link, "id")), &Value::Null).await.unwrap();
    assert_eq!(again, revoked, "the first revocation stays");

    let base = format!("{}/l", stack.base_url());
    let mut seen = Vec::new();
    let ends = ["000000000000", &forged, "no-such-alias", "x", "robots.txt"];
    for url in ends.iter().map(|end| format!("{base}/{end}")).chain([short.to_owned()]) {
        let answer = visitor.go(&url).await;
        assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{url}");
        let mut headers = answer.headers().clone();
        headers.remove("date");
        headers.remove("apigw-requestid");
        seen.push((format!("{headers:?}"), answer.text().await.unwrap()));
    }
    assert!(seen.iter().all(|one| one == &seen[0]), "{seen:#?}");
    assert!(seen[0].1.contains("leads nowhere") && seen[0].1.contains("color-scheme"));

    let soon = jiff::Timestamp::now() + Duration::from_millis(400);
    let expiring = free_link(&api, json!({"url": "https://shop.example/", "expires_at": soon.to_string()})).await;
    let gone = until("the end", Duration::from_secs(10), async || {
        let answer = visitor.go(text(&expiring, "short_url")).await;
        (answer.status() == StatusCode::GONE).then_some(json!(answer.text().await.unwrap()))
    })
    .await;
    assert!(gone.as_str().unwrap().contains("expired"));
    stack.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_with_a_password_opens_by_post_alone_and_bears_few_guesses() {
    let (stack, api) = stack(People::default(), None).await;
    let visitor = Visitor::new(&stack);
    let link = free_link(&api, json!({"url": "https://shop.example/secret", "password": "open sesame"})).await;
    assert_eq!((&link["has_password"], link.get("password")), (&json!(true), None));
    let short = text(&link, "short_url");
    let asked = visitor.go(&format!("{short}?password=open+sesame&fbclid=x")).await;
    assert_eq!((asked.status(), asked.headers().get("location")), (StatusCode::OK, None));
    assert!(asked.text().await.unwrap().contains("<form method=\"post\">"));
    let head = visitor.http.head(short).send().await.unwrap();
    assert_eq!((head.status(), head.headers().get("location")), (StatusCode::OK, None));

    let post = async |password: &str| {
        visitor.http.post(format!("{short}?fbclid=x")).form(&[("password", password)]).send().await.unwrap()
    };
    assert_eq!(post("Open Sesame").await.status(), StatusCode::FORBIDDEN);
    let opened = post("open sesame").await;
    assert_eq!(opened.status(), StatusCode::SEE_OTHER);
    assert_eq!(location(&opened), "https://shop.example/secret?fbclid=x");
    let mut guesses = 2;
    let refused = loop {
        let answer = post("guess").await;
        guesses += 1;
        if answer.status() == StatusCode::TOO_MANY_REQUESTS {
            break answer;
        }
        assert!(answer.status() == StatusCode::FORBIDDEN && guesses < 20);
    };
    assert!(refused.headers().contains_key("retry-after"));
    assert_eq!(guesses, 11);

    // Who was asked for a password and did not know it has not followed the link.
    let path = format!("/v1/links/{}/stats", text(&link, "id"));
    let stats = until("the click", Duration::from_secs(30), async || {
        let stats = api.get(&path).await.unwrap();
        (stats["clicks"]["human"] != 0).then_some(stats)
    })
    .await;
    assert_eq!(stats["clicks"], json!({"raw": 1, "human": 1, "unique": 1}));
    stack.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn targets_differ_by_system_and_an_alias_stands_for_the_code() {
    let (stack, api) = stack(People::default(), None).await;
    let visitor = Visitor::new(&stack);
    let targets = json!({"ios": "https://apps.example/ios", "android": "https://play.example/app"});
    let body =
        json!({"url": "https://shop.example/app", "targets": targets, "alias": "get-the-app", "append_click_id": true});
    let link = free_link(&api, body.clone()).await;
    let short = text(&link, "short_url");
    assert_eq!(short, format!("{}/l/get-the-app", stack.base_url()));
    for (agent, expected) in [
        (IPHONE, "https://apps.example/ios"),
        (BROWSER, "https://play.example/app"),
        (WINDOWS, "https://shop.example/app"),
    ] {
        let answer = visitor.http.get(short).header("user-agent", agent).send().await.unwrap();
        let (address, query) = location(&answer).split_once('?').unwrap();
        assert_eq!(address, expected);
        assert!(query.starts_with(&format!("tt_cid={}.", text(&link, "code"))), "{query}");
    }
    let desktop_site =
        visitor.http.get(short).header("user-agent", WINDOWS).header("sec-ch-ua-platform", "\"Android\"");
    let answer = desktop_site.send().await.unwrap();
    assert!(location(&answer).starts_with("https://play.example/app?"), "a phone that asks for desktop pages says so");
    let by_code = visitor.go(&format!("{}/l/{}", stack.base_url(), text(&link, "code"))).await;
    assert_eq!(by_code.status(), StatusCode::FOUND, "both lead there");

    let taken = api.post("/v1/links", &body).await.unwrap_err().to_string();
    assert!(taken.contains("422") && taken.contains("taken"), "{taken}");
    stack.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_link_is_told_at_once_and_private_addresses_are_refused() {
    let (stack, api) = stack(People::default(), None).await;
    let account = account(&api).await;
    let wrong = json!({"url": "http://127.0.0.1:3000/", "targets": {"ios": "myshop://open"}, "alias": "a b", "password": "x",
        "domain": "go.nobody.example", "expires_at": "2020-01-01T00:00:00Z", "utm": {"source": ""},
        "account_id": "acc_01J00000000000000000000000"});
    let request = reqwest::Client::builder().no_proxy().build().unwrap().post(format!("{}/v1/links", stack.base_url()));
    let answer = request.bearer_auth(stack.admin_key()).json(&wrong).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::UNPROCESSABLE_ENTITY);
    let problem: Value = answer.json().await.unwrap();
    let named: Vec<&str> = problem["errors"].as_array().unwrap().iter().map(|error| text(error, "pointer")).collect();
    for pointer in
        ["/url", "/targets/ios", "/alias", "/password", "/domain", "/expires_at", "/utm/source", "/account_id"]
    {
        assert!(named.contains(&pointer), "{pointer} in {named:?}");
    }
    for url in ["http://localhost/", "http://192.168.0.1/", "https://user:x@shop.example/", "javascript:alert(1)"] {
        assert!(api.post("/v1/links", &json!({"url": url})).await.is_err(), "{url}");
    }
    let campaign = json!({"name": "Offer", "account_id": account,
        "variants": [{"name": "A", "message": {"type": "text", "text": {"body": "See http://169.254.169.254/latest"}}}],
        "audience": {"recipients": [{"phone": "+60123450001"}]}});
    let refused = api.post("/v1/campaigns", &campaign).await.unwrap_err().to_string();
    assert!(refused.contains("422"), "{refused}");
    stack.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_of_one_domain_is_nothing_on_another() {
    let (stack, api) = stack(People::default(), None).await;
    let visitor = Visitor::new(&stack);
    let account = account(&api).await;
    let shared = free_link(&api, json!({"url": "https://shop.example/shared"})).await;
    let added = api.post("/v1/link-domains", &json!({"domain": "GO.brand.example", "default": true})).await.unwrap();
    assert_eq!((&added["domain"], &added["default"]), (&json!("go.brand.example"), &json!(true)));
    assert_eq!(added["dns"]["type"], "CNAME");
    api.post("/v1/link-domains", &json!({"domain": "go.other.example"})).await.unwrap();
    let listed = api.get("/v1/link-domains").await.unwrap();
    let names: Vec<&str> = listed["data"].as_array().unwrap().iter().map(|row| text(row, "domain")).collect();
    assert_eq!(names, ["go.brand.example", "go.other.example"]);
    let checked = api.post("/v1/link-domains/go.brand.example/check", &Value::Null).await.unwrap();
    assert_eq!(checked["status"], "unresolved", "no name service knows .example");
    assert!(api.post("/v1/link-domains", &json!({"domain": "127.0.0.1"})).await.is_err());

    let own = free_link(&api, json!({"url": "https://shop.example/own", "alias": "sale"})).await;
    assert_eq!(text(&own, "short_url"), "https://go.brand.example/sale");
    let (own, of_shared) = (text(&own, "code"), text(&shared, "code"));
    for (host, end, expected) in [
        ("go.brand.example", own, StatusCode::FOUND),
        ("go.brand.example:443", own, StatusCode::FOUND),
        ("go.brand.example", "sale", StatusCode::FOUND),
        ("go.brand.example", of_shared, StatusCode::NOT_FOUND),
        ("go.other.example", own, StatusCode::NOT_FOUND),
        ("go.other.example", "sale", StatusCode::NOT_FOUND),
        ("go.nobody.example", own, StatusCode::NOT_FOUND),
        ("localhost", own, StatusCode::NOT_FOUND),
        ("localhost", of_shared, StatusCode::FOUND),
    ] {
        assert_eq!(visitor.on(host, end).await.status(), expected, "{end} on {host}");
    }
    // A campaign's links are on the default domain, and the link's own page is none to lead to.
    let campaign = json!({"name": "Offer", "account_id": account,
        "variants": [{"name": "A", "message": {"type": "text", "text": {"body": "See https://shop.example/offer"}}}],
        "audience": {"recipients": [{"phone": "+60123450001"}]}});
    let campaign = api.post("/v1/campaigns", &campaign).await.unwrap();
    let link = super::web::link_of(&stack, text(&campaign, "id"), 0).await;
    let code = link.strip_prefix("https://go.brand.example/").unwrap();
    assert_eq!(visitor.on("go.brand.example", code).await.status(), StatusCode::FOUND);
    assert!(api.post("/v1/links", &json!({"url": "https://go.brand.example/x"})).await.is_err());

    let url = format!("{}/v1/link-domains/go.other.example", stack.base_url());
    for expected in [StatusCode::NO_CONTENT, StatusCode::NOT_FOUND] {
        let answer = visitor.http.delete(&url).bearer_auth(stack.admin_key()).send().await.unwrap();
        assert_eq!(answer.status(), expected);
    }
    stack.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_links_of_a_campaign_are_revoked_at_once() {
    let (stack, api) = stack(People::default(), None).await;
    let visitor = Visitor::new(&stack);
    let account = account(&api).await;
    let body = "See https://shop.example/a and https://shop.example/b";
    let campaign = json!({"name": "Offer", "account_id": account,
        "variants": [{"name": "A", "message": {"type": "text", "text": {"body": body}}}],
        "audience": {"recipients": [{"phone": "+60123450001"}, {"phone": "+60123450002"}]}});
    let id = text(&api.post("/v1/campaigns", &campaign).await.unwrap(), "id").to_owned();
    for _ in 0..2 {
        let revoked = api.post(&format!("/v1/campaigns/{id}/revoke-links"), &Value::Null).await.unwrap();
        assert_eq!(revoked["revoked"], 2);
        let link = text(&revoked["links"][0], "id").to_owned();
        assert_eq!(api.get(&format!("/v1/links/{link}")).await.unwrap()["campaign_id"], json!(id));
    }
    for seq in 0..2 {
        let answer = visitor.go(&super::web::link_of(&stack, &id, seq).await).await;
        assert_eq!(answer.status(), StatusCode::NOT_FOUND);
    }
    stack.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_is_led_on_when_the_queue_does_not_answer() {
    let engines = memory().await;
    schema::create_missing(&engines.dynamodb(), "core", "rollup").await.unwrap();
    let stored = json!({"v": 1, "id": 7, "workspace": "wsp_00000000000000000000000001", "url": "https://shop.example/offer", "kid": 1,
        "recipients": 0, "shards": 1, "created_at": 0});
    let link: Link = serde_json::from_value(stored).unwrap();
    assert!(Core::new(engines.dynamodb(), "core").create_link(&link).await.unwrap());
    // It takes connections and never says a word.
    let silent = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let queue = format!("http://{}/events", silent.local_addr().unwrap());
    let sqs = engines.sqs().config().to_builder().endpoint_url(&queue).build();
    let keys = "1:000102030405060708090a0b0c0d0e0f";
    let settings = [("CORE_TABLE", "core"), ("EVENTS_QUEUE_URL", &queue), ("LINK_KEYS", keys)];
    let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let config = ::redirect::Config::read(Settings::from_values(settings)).unwrap();
    let redirect = ::redirect::Redirect::new(config, engines.dynamodb(), aws_sdk_sqs::Client::from_conf(sqs));

    let code = ShortLinks::new("", keys.parse().unwrap()).shared_code(&link).unwrap();
    let request =
        lambda_http::http::Request::get(format!("https://go.example/{code}")).body(lambda_http::Body::Empty).unwrap();
    let begun = Instant::now();
    let answer = ::redirect::handle(&redirect, request).await;
    assert_eq!(answer.status().as_u16(), 302);
    assert_eq!(answer.headers()["location"], "https://shop.example/offer");
    assert!(begun.elapsed() >= Duration::from_millis(250), "the queue was given its chance");
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_is_printed_as_svg_and_as_png() {
    let (stack, api) = stack(People::default(), None).await;
    let visitor = Visitor::new(&stack);
    let link = free_link(&api, json!({"url": "https://shop.example/"})).await;
    let get = async |end: &str| {
        let url = format!("{}/v1/links/{}/{end}", stack.base_url(), text(&link, "id"));
        visitor.http.request(Method::GET, url).bearer_auth(stack.admin_key()).send().await.unwrap()
    };
    let svg = get("qr.svg").await;
    assert_eq!(svg.headers()["content-type"], "image/svg+xml");
    let svg = svg.text().await.unwrap();
    assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>"), "{svg}");
    let png = get("qr.png?size=300").await;
    assert_eq!(png.headers()["content-type"], "image/png");
    let png = png.bytes().await.unwrap();
    assert_eq!(&png[..8], b"\x89PNG\r\n\x1a\n");
    // IHDR: the width comes first.
    let width = u32::from_be_bytes(png[16..20].try_into().unwrap());
    assert!((150..=300).contains(&width), "{width}");
    assert_eq!(get("qr.png?size=9").await.status(), StatusCode::UNPROCESSABLE_ENTITY);
    stack.shutdown().await;
}
