//! What people buy is put down to the campaigns that led them there, once, by whichever model one asks for.

use std::time::Duration;

use local::api_client::ApiClient;
use local::stack::{People, Stack};
use reqwest::{StatusCode, redirect};
use serde_json::{Value, json};
use simulator::Behaviour;

use super::web::{BROWSER, link_of, write_key};
use super::{account, stack, until};

/// Nobody does anything on their own.
pub(crate) fn silent() -> People {
    let behaviour = Behaviour::Exact { delivered: 0, read: 0, clicked: 0, replied: 0, skip_delivered: 0 };
    People { behaviour, ..People::default() }
}

/// A campaign that was sent to these people; its id.
async fn sent(api: &ApiClient, account: &str, name: &str, phones: &[String], holdout_percent: u8) -> String {
    let recipients: Vec<Value> = phones.iter().map(|phone| json!({ "phone": phone })).collect();
    let campaign = json!({
        "name": name, "account_id": account, "append_click_id": true, "holdout_percent": holdout_percent,
        "variants": [{"name": "A", "message": {"type": "text", "text": {"body": "See https://shop.example/offer"}}}],
        "audience": {"recipients": recipients},
    });
    let created = api.post("/v1/campaigns", &campaign).await.unwrap();
    let id = created["id"].as_str().unwrap().to_owned();
    let planned = phones.len() - usize::try_from(created["holdout"].as_u64().unwrap_or(0)).unwrap();
    api.post(&format!("/v1/campaigns/{id}/start"), &Value::Null).await.unwrap();
    reached(api, &id, "sent", planned).await;
    id
}

/// Waits until so many have reached the stage.
async fn reached(api: &ApiClient, campaign: &str, stage: &str, people: usize) -> Value {
    until(&format!("{people} {stage}"), Duration::from_secs(30), async || {
        let listed = api.get(&format!("/v1/campaigns/{campaign}/recipients?stage={stage}")).await.unwrap();
        (listed["data"].as_array().unwrap().len() == people).then(|| listed["data"].clone())
    })
    .await
}

/// Follows a recipient's link; the click id that their page is told.
async fn follow(stack: &Stack, campaign: &str, seq: u32) -> String {
    let http = reqwest::Client::builder().no_proxy().user_agent(BROWSER).redirect(redirect::Policy::none());
    let answer = http.build().unwrap().get(link_of(stack, campaign, seq).await).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::FOUND);
    let location: url::Url = answer.headers()["location"].to_str().unwrap().parse().unwrap();
    location.query_pairs().find(|(name, _)| name == "tt_cid").unwrap().1.into_owned()
}

async fn close(api: &ApiClient, campaign: &str, phone: &str, amount: u32) {
    let path = format!("/v1/campaigns/{campaign}/recipients/{}/close", phone.replace('+', "%2B"));
    api.post(&path, &json!({"value": {"amount": amount, "currency": "MYR"}})).await.unwrap();
}

/// The answer once it is as wanted.
async fn attributed(api: &ApiClient, query: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    until(&format!("attribution by {query}"), Duration::from_secs(30), async || {
        let answer = api.get(&format!("/v1/analytics/attribution?{query}")).await.unwrap();
        wanted(&answer).then_some(answer)
    })
    .await
}

/// What a campaign is credited with.
fn of<'a>(answer: &'a Value, campaign: &str) -> &'a Value {
    answer["campaigns"].as_array().unwrap().iter().find(|row| row["campaign_id"] == campaign).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_conversion_is_credited_once_whichever_way_it_was_told() {
    let (stack, api) = stack(silent(), None).await;
    let account = account(&api).await;
    let phones = ["+60123450001".to_owned(), "+60123450002".to_owned()];
    let (a, b) = (sent(&api, &account, "A", &phones, 0).await, sent(&api, &account, "B", &phones, 0).await);
    follow(&stack, &a, 0).await;
    follow(&stack, &a, 1).await;
    let click_id = follow(&stack, &b, 0).await;
    reached(&api, &a, "clicked", 2).await;
    reached(&api, &b, "clicked", 1).await;

    // The first buys on the page that B led to; the second is sold to by hand; a third was never written to.
    let key = write_key(&api, json!({"name": "Shop"})).await;
    let purchase = json!({"id": "order-1", "name": "purchase", "anonymous_id": "browser-1", "click_id": click_id,
        "value": {"amount": 50, "currency": "MYR"}});
    let collected = reqwest::Client::builder().no_proxy().user_agent(BROWSER).build().unwrap();
    let body = json!({"write_key": key, "events": [purchase]}).to_string();
    let request = collected.post(format!("{}/collect", stack.base_url())).header("content-type", "text/plain");
    let answer = request.body(body).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::ACCEPTED);
    close(&api, &a, &phones[1], 100).await;
    let stranger = json!({"id": "o-2", "type": "purchase", "contact": {"phone": "+60123450009"},
        "value": {"amount": 10.5, "currency": "USD"}});
    api.post("/v1/events", &stranger).await.unwrap();

    let last = attributed(&api, "", |answer| answer["total"]["conversions"] == 3).await;
    assert_eq!((&last["closed_by_hand"], &last["truncated"]), (&json!(1), &json!(false)), "{last:#}");
    assert_eq!(last["unattributed"], json!({"conversions": 1, "value": {"USD": "10.50"}}));
    assert_eq!((&of(&last, &a)["conversions"], &of(&last, &a)["value"]), (&json!(1), &json!({"MYR": "100.00"})));
    assert_eq!((&of(&last, &b)["conversions"], &of(&last, &b)["value"]), (&json!(1), &json!({"MYR": "50.00"})));
    assert_eq!(of(&last, &b)["variants"][0]["name"], "A");
    assert_eq!(of(&last, &a)["touchpoints"]["click"], 2);

    // What the page's purchase has closed is closed by hand as well: the same deal, of which the operator knows better.
    close(&api, &b, &phones[0], 60).await;
    let corrected = attributed(&api, "", |answer| of(answer, &b)["value"]["MYR"] == "60.00").await;
    assert_eq!((&corrected["total"]["conversions"], &corrected["closed_by_hand"]), (&json!(3), &json!(1)));

    let query = format!("account={account}&model=linear");
    let linear = attributed(&api, &query, |_| true).await;
    assert_eq!((&of(&linear, &a)["conversions"], &of(&linear, &a)["value"]["MYR"]), (&json!(1.5), &json!("130.00")));
    assert_eq!((&of(&linear, &b)["conversions"], &of(&linear, &b)["value"]["MYR"]), (&json!(0.5), &json!("30.00")));
    let first = attributed(&api, "model=first", |_| true).await;
    assert_eq!((&of(&first, &a)["conversions"], &of(&first, &b)["conversions"]), (&json!(2), &json!(0)));
    let none = attributed(&api, "click_window_h=0", |_| true).await;
    assert_eq!((&none["unattributed"]["conversions"], &none["campaigns"]), (&json!(3), &json!([])));
    for (wrong, named) in [("model=best", "/model"), ("read_window_h=9999", "/read_window_h"), ("account=acc_x", "404")]
    {
        let error = api.get(&format!("/v1/analytics/attribution?{wrong}")).await.unwrap_err().to_string();
        assert!(error.contains(named), "{wrong}: {error}");
    }
    stack.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn beside_its_credit_a_campaign_shows_what_the_held_out_bought() {
    let (stack, api) = stack(silent(), None).await;
    let account = account(&api).await;
    let phones: Vec<String> = (0..40).map(|n| format!("+60123450{n:03}")).collect();
    let campaign = sent(&api, &account, "Offer", &phones, 50).await;
    let listed = |status: &str| format!("/v1/campaigns/{campaign}/recipients?{status}&limit=200");
    let held_out = api.get(&listed("status=held_out")).await.unwrap()["data"].as_array().unwrap().clone();
    let treated = api.get(&listed("stage=sent")).await.unwrap()["data"].as_array().unwrap().clone();
    assert_eq!(held_out.len() + treated.len(), 40);
    follow(&stack, &campaign, 0).await;
    let clicked = reached(&api, &campaign, "clicked", 1).await[0]["phone"].clone();
    let bought = |id: &str, phone: &Value| json!({"id": id, "type": "purchase", "contact": {"phone": phone}, "conversion": true});
    let events = [bought("o-1", &clicked), bought("o-2", &clicked), bought("o-3", &held_out[0]["phone"])];
    api.post("/v1/events", &json!({ "events": events })).await.unwrap();

    let answer = attributed(&api, "", |answer| answer["total"]["conversions"] == 3).await;
    let row = of(&answer, &campaign);
    assert_eq!((&row["conversions"], &answer["unattributed"]["conversions"]), (&json!(2), &json!(1)));
    let group = |name: &str| (row["lift"][name]["numerator"].clone(), row["lift"][name]["denominator"].clone());
    assert_eq!(group("treated"), (json!(1), json!(treated.len())), "a person who bought twice is one buyer: {row:#}");
    assert_eq!(group("holdout"), (json!(1), json!(held_out.len())));
    stack.shutdown().await;
}
