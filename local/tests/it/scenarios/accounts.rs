//! Accounts over HTTP: changed, paused and resumed, asked about at Meta, and stopped by what Meta tells.

use std::time::Duration;

use local::api_client::ApiClient;
use local::stack::Stack;
use serde_json::{Value, json};
use shared::meta::signature::{AppSecret, sign};
use shared::time::UnixMillis;

use super::lifecycle::{accepted, accepted_reach, nothing_on_its_way, quick};
use super::{account, account_with_token, campaign_from, settled_report, stack, until};

const WABA: &str = "104996122399160";

/// Any request, with the status and the whole answer.
async fn call(stack: &Stack, method: reqwest::Method, path: &str, body: &Value) -> (u16, Value) {
    let request = reqwest::Client::new().request(method, format!("{}{path}", stack.base_url()));
    let request = request.bearer_auth(stack.admin_key());
    let request = if body.is_null() { request } else { request.json(body) };
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

/// Posts a notice about the business account as Meta would.
pub(super) async fn notice(stack: &Stack, field: &str, at: UnixMillis, value: &Value) {
    let body = json!({
        "object": "whatsapp_business_account",
        "entry": [{"id": WABA, "time": at.seconds(), "changes": [{"field": field, "value": value}]}],
    })
    .to_string();
    let signature = sign(body.as_bytes(), &AppSecret::new(stack.app_secret()).unwrap());
    let request = reqwest::Client::new().post(format!("{}/webhooks/meta", stack.base_url()));
    let answer = request.header("x-hub-signature-256", signature).body(body).send().await.unwrap();
    assert_eq!(answer.status(), 200);
}

/// Waits until this member of the answer is as wanted; gives the answer.
async fn until_is(api: &ApiClient, path: &str, member: &str, wanted: &Value) -> Value {
    until(&format!("{member} {wanted} of {path}"), Duration::from_secs(20), async || {
        let answer = api.get(path).await.unwrap();
        (answer[member] == *wanted).then_some(answer)
    })
    .await
}

fn everybody_got_one_message(stack: &Stack, people: usize) {
    let ledger = stack.simulator().unwrap().ledger();
    assert_eq!(ledger.recipients.len(), people);
    assert!(ledger.recipients.values().all(|recipient| recipient.messages.len() == 1), "somebody got two messages");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_is_changed_by_what_a_patch_names_and_by_nothing_else() {
    let (stack, api) = stack(quick(), None).await;
    let new = json!({
        "name": "Shop", "phone_number_id": "1078", "waba_id": WABA, "display_phone_number": "+1 555-078-3881",
        "access_token": "token", "limits": {"per_minute": 600}, "safety": {"require_opt_in": true},
    });
    let created = api.post("/v1/accounts", &new).await.unwrap();
    assert_eq!((&created["warnings"], &created["limits"]["per_minute"]), (&json!([]), &json!(600)));
    // What the simulator says of every number.
    let told = ["quality", "throughput", "verified_name"].map(|member| created[member].clone());
    assert_eq!(told, [json!("green"), json!(80), json!("Simulated Business")]);
    let path = format!("/v1/accounts/{}", created["id"].as_str().unwrap());

    let patch = json!({"messages_per_second": 20, "limits": {"per_day": 1000}, "portfolio": "group"});
    let changed = api.patch(&path, &patch).await.unwrap();
    let mut expected = api.get(&path).await.unwrap();
    assert_eq!(changed, expected);
    assert_eq!((&changed["limits"]["per_minute"], &changed["limits"]["per_day"]), (&json!(600), &json!(1000)));
    assert_eq!((&changed["safety"]["require_opt_in"], &changed["portfolio"]), (&json!(true), &json!("group")));

    let back = api.patch(&path, &json!({"limits": {"per_minute": null}, "portfolio": null})).await.unwrap();
    expected["limits"]["per_minute"] = Value::Null;
    expected["portfolio"] = json!(WABA);
    assert_eq!(back, expected);

    let wrong = json!({"name": "", "limits": {"per_year": 1}, "colour": "red", "access_token": 5, "waba_id": "1"});
    let (status, problem) = call(&stack, reqwest::Method::PATCH, &path, &wrong).await;
    let mut pointers: Vec<&str> =
        problem["errors"].as_array().unwrap().iter().map(|error| error["pointer"].as_str().unwrap()).collect();
    pointers.sort_unstable();
    let all = ["/access_token", "/colour", "/limits/per_year", "/name", "/waba_id"];
    assert_eq!((status, &pointers[..]), (422, &all[..]), "{problem}");
    assert_eq!(api.get(&path).await.unwrap(), expected);
    let nobody = "/v1/accounts/acc_01J00000000000000000000000";
    assert_eq!(call(&stack, reqwest::Method::PATCH, nobody, &json!({"name": "x"})).await.0, 404);
    stack.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_account_stops_its_campaign_within_a_page_and_goes_on_with_it_once() {
    let (stack, api) = stack(quick(), None).await;
    let account = account(&api).await;
    let id = campaign_from(&api, &account, "Hi {{first_name}}", 320).await;
    let (path, campaign) = (format!("/v1/accounts/{account}"), format!("/v1/campaigns/{id}"));
    accepted_reach(&stack, 30).await;
    let paused = api.post(&format!("{path}/pause"), &json!({"reason": "stock-taking"})).await.unwrap();
    let shown = ["status", "status_reason", "paused_by", "paused_until"].map(|member| paused[member].clone());
    assert_eq!(shown, [json!("paused"), json!("stock-taking"), json!("operator"), Value::Null]);
    let at_the_pause = accepted(&stack);
    let stopped = nothing_on_its_way(&stack).await;
    assert!(stopped < 320 && stopped >= at_the_pause, "{stopped} of 320 after a pause at {at_the_pause}");
    let shown = api.get(&campaign).await.unwrap();
    assert_eq!(shown["status"], "paused");
    assert_eq!(shown["status_reason"], "the account is paused: stock-taking");
    let quota = api.get(&format!("{path}/quota")).await.unwrap();
    assert_eq!(quota["waiting_because"], "the account is paused: stock-taking");
    assert_eq!((&quota["next_slot_at"], &quota["rate"]["configured"]), (&Value::Null, &json!(80)));
    assert!(quota["windows"]["day"]["used"].as_u64().unwrap() >= u64::try_from(stopped).unwrap());

    // Neither twice, nor by the way of the campaign, nor in the past.
    let post = reqwest::Method::POST;
    for (path, body) in [(format!("{path}/pause"), Value::Null), (format!("{campaign}/resume"), Value::Null)] {
        let (status, problem) = call(&stack, post.clone(), &path, &body).await;
        assert_eq!((status, &problem["current"]), (409, &json!("paused")), "{problem}");
    }
    let past = json!({"until": "2020-01-01T00:00:00Z", "reason": " "});
    let (status, problem) = call(&stack, post.clone(), &format!("{path}/pause"), &past).await;
    assert_eq!((status, problem["errors"].as_array().unwrap().len()), (422, 2), "{problem}");

    let resumed = api.post(&format!("{path}/resume"), &Value::Null).await.unwrap();
    assert_eq!((&resumed["status"], &resumed["status_reason"]), (&json!("active"), &Value::Null));
    let (status, problem) = call(&stack, post, &format!("{path}/resume"), &Value::Null).await;
    assert_eq!((status, &problem["current"]), (409, &json!("active")));
    let report = settled_report(&stack, &api, &id).await;
    assert_eq!((&report["pending"], &report["unknown"]), (&json!(0), &json!(0)));
    everybody_got_one_message(&stack, 320);
    stack.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_campaign_that_shall_stay_paused_does_not_go_on_with_its_account() {
    let (stack, api) = stack(quick(), None).await;
    let account = account(&api).await;
    let path = format!("/v1/accounts/{account}");
    api.post(&format!("{path}/pause"), &Value::Null).await.unwrap();
    // A start under a paused account waits for the account.
    let id = campaign_from(&api, &account, "Hi {{first_name}}", 5).await;
    let campaign = format!("/v1/campaigns/{id}");
    assert_eq!(api.get(&campaign).await.unwrap()["status_reason"], "the account is paused: paused by the operator");
    let kept = api.post(&format!("{campaign}/pause"), &Value::Null).await.unwrap();
    assert_eq!((&kept["status"], &kept["status_reason"]), (&json!("paused"), &json!("paused by the operator")));
    api.post(&format!("{path}/resume"), &Value::Null).await.unwrap();
    assert_eq!(api.get(&campaign).await.unwrap()["status"], "paused");
    assert_eq!(accepted(&stack), 0);
    api.post(&format!("{campaign}/resume"), &Value::Null).await.unwrap();
    settled_report(&stack, &api, &id).await;
    everybody_got_one_message(&stack, 5);
    stack.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_with_an_end_ends_by_itself() {
    let (stack, api) = stack(quick(), None).await;
    let account = account(&api).await;
    let id = campaign_from(&api, &account, "Hi {{first_name}}", 320).await;
    accepted_reach(&stack, 10).await;
    let end = UnixMillis::now().plus(Duration::from_secs(2)).to_rfc3339();
    let paused = api.post(&format!("/v1/accounts/{account}/pause"), &json!({"until": end})).await.unwrap();
    assert_eq!(paused["paused_until"], end);
    settled_report(&stack, &api, &id).await;
    everybody_got_one_message(&stack, 320);
    let active = api.get(&format!("/v1/accounts/{account}")).await.unwrap();
    assert_eq!((&active["status"], &active["paused_until"]), (&json!("active"), &Value::Null));
    stack.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_token_lets_an_account_go_on_that_its_old_one_has_paused() {
    let (stack, api) = stack(quick(), None).await;
    let account = account_with_token(&api, "expired").await;
    let path = format!("/v1/accounts/{account}");
    let (status, problem) = call(&stack, reqwest::Method::POST, &format!("{path}/refresh"), &Value::Null).await;
    assert_eq!((status, &problem["code"], &problem["meta"]["code"]), (422, &json!("refused_by_meta"), &json!(190)));
    let id = campaign_from(&api, &account, "Hi {{first_name}}", 20).await;
    let paused = until_is(&api, &path, "status", &json!("paused")).await;
    assert_eq!(paused["paused_by"], "errors");
    let campaign = until_is(&api, &format!("/v1/campaigns/{id}"), "status", &json!("paused")).await;
    assert!(campaign["status_reason"].as_str().unwrap().contains("190"), "{campaign}");

    let renewed = api.patch(&path, &json!({"access_token": "token"})).await.unwrap();
    assert_eq!((&renewed["status"], &renewed["paused_by"]), (&json!("active"), &Value::Null));
    assert!(!renewed.to_string().contains("token"), "the token is never shown");
    let report = settled_report(&stack, &api, &id).await;
    assert_eq!((&report["pending"], &report["failed"]), (&json!(0), &json!(0)));
    everybody_got_one_message(&stack, 20);
    let refreshed = api.post(&format!("{path}/refresh"), &Value::Null).await.unwrap();
    assert_eq!((&refreshed["quality"], &refreshed["warnings"]), (&json!("green"), &json!([])));
    stack.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_meta_refuses_is_a_warning_and_no_refusal() {
    let (stack, api) = stack(quick(), None).await;
    let new = json!({
        "name": "Shop", "phone_number_id": "1078", "waba_id": WABA, "display_phone_number": "+1 555-078-3881",
        "access_token": "expired",
    });
    let created = api.post("/v1/accounts", &new).await.unwrap();
    let warnings = created["warnings"].as_array().unwrap();
    assert!(warnings.len() == 1 && warnings[0].as_str().unwrap().contains("190"), "{created}");
    assert_eq!((&created["quality"], &created["status"]), (&json!("unknown"), &json!("active")));
    stack.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_meta_tells_of_a_business_account_acts_on_its_numbers_once() {
    let (stack, api) = stack(quick(), None).await;
    let account = account(&api).await;
    let path = format!("/v1/accounts/{account}");
    let other = json!({
        "name": "Elsewhere", "phone_number_id": "1079", "waba_id": "9", "display_phone_number": "+1 555-078-3881",
        "access_token": "token",
    });
    let other = api.post("/v1/accounts", &other).await.unwrap();
    let id = campaign_from(&api, &account, "Hi {{first_name}}", 320).await;
    accepted_reach(&stack, 10).await;

    // Later than what Meta has answered when the account was made; times of a notice are whole seconds.
    let now = UnixMillis::now().plus(Duration::from_secs(1));
    let end = UnixMillis::from_seconds(now.seconds() + 86_400);
    let info = json!([{"restriction_type": "RESTRICTED_BIZ_INITIATED_MESSAGING", "expiration": end.seconds()}]);
    let restriction = json!({"event": "ACCOUNT_RESTRICTION", "restriction_info": info});
    notice(&stack, "account_update", now, &restriction).await;
    let paused = until_is(&api, &path, "status", &json!("paused")).await;
    assert_eq!((&paused["paused_by"], &paused["paused_until"]), (&json!("meta"), &json!(end.to_rfc3339())));
    let campaign = until_is(&api, &format!("/v1/campaigns/{id}"), "status", &json!("paused")).await;
    assert!(campaign["status_reason"].as_str().unwrap().contains("RESTRICTED_BIZ_INITIATED_MESSAGING"), "{campaign}");
    assert!(nothing_on_its_way(&stack).await < 320);

    // The operator knows better; Meta repeats its notice, and it is no news any more.
    api.post(&format!("/v1/campaigns/{id}/resume"), &Value::Null).await.unwrap();
    assert_eq!(api.get(&path).await.unwrap()["status"], "active");
    notice(&stack, "account_update", now, &restriction).await;
    let limit = json!({"max_daily_conversations_per_business": "TIER_2K"});
    notice(&stack, "business_capability_update", now, &limit).await;
    let flagged = json!({"display_phone_number": "15550783881", "event": "FLAGGED"});
    notice(&stack, "phone_number_quality_update", now, &flagged).await;
    let limited = until_is(&api, &path, "quality", &json!("red")).await;
    let limited = match &limited["messaging_limit"] {
        Value::Null => until_is(&api, &path, "messaging_limit", &json!(2_000)).await,
        _ => limited,
    };
    assert_eq!((&limited["status"], &limited["messaging_limit"]), (&json!("active"), &json!(2_000)));
    let quota = api.get(&format!("{path}/quota")).await.unwrap();
    // Less than half when the simulator has said "too fast" as well.
    assert!(quota["rate"]["effective"].as_u64().unwrap() <= 40 && quota["rate"]["because"].is_string(), "{quota}");
    assert_eq!(quota["windows"]["unique_recipients_24h"]["limit"], 2_000);
    settled_report(&stack, &api, &id).await;
    everybody_got_one_message(&stack, 320);
    let untouched = api.get(&format!("/v1/accounts/{}", other["id"].as_str().unwrap())).await.unwrap();
    assert_eq!((&untouched["quality"], &untouched["notice"]), (&json!("green"), &Value::Null));
    stack.shutdown().await;
}
