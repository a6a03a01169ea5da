//! Audiences too large for a request, held-out people, duplicates and tests, over HTTP.

use std::time::Duration;

use local::api_client::ApiClient;
use local::stack::People;
use serde_json::{Value, json};
use shared::blob::{Bucket, key};
use shared::campaign::audience::{AudienceSource, Recipient};
use shared::campaign::{PageNumber, Planning};
use shared::id::{CampaignId, WorkspaceId};
use shared::queue::DispatchCommand;
use shared::time::UnixMillis;

use super::{account, settled_report, stack, stored, until};

fn quick() -> People {
    People { speed: 3_000.0, ..People::default() }
}

fn definition(account: &str, audience: Value) -> Value {
    json!({
        "name": "Offer",
        "account_id": account,
        "variants": [
            {"name": "A", "weight": 50, "message": {"type": "text", "text": {"body": "Hi {{first_name|you}} https://shop.example/a"}}},
            {"name": "B", "weight": 50, "message": {"type": "text", "text": {"body": "Hello"}}},
        ],
        "audience": audience,
    })
}

fn recipients(n: u32) -> Value {
    let recipient = |n: u32| json!({"phone": format!("+6012345{n:04}"), "name": format!("Person {n}")});
    json!({"recipients": (0..n).map(recipient).collect::<Vec<_>>()})
}

/// Uploads a file by an address of the API; its id.
pub(super) async fn upload(api: &ApiClient, body: String) -> String {
    let address = api.post("/v1/audiences/uploads", &Value::Null).await.unwrap();
    assert_eq!(address["method"], "PUT");
    let put = reqwest::Client::new().put(address["url"].as_str().unwrap()).body(body).send().await.unwrap();
    assert_eq!(put.status(), 200, "{}", put.text().await.unwrap());
    address["upload_id"].as_str().unwrap().to_owned()
}

/// Waits until the campaign's audience is whole.
pub(super) async fn planned(api: &ApiClient, id: &str) -> Value {
    until("the end of planning", Duration::from_secs(180), async || {
        let campaign = api.get(&format!("/v1/campaigns/{id}")).await.unwrap();
        assert_eq!(campaign["planning"]["failed"], Value::Null);
        campaign.get("planning").is_none().then_some(campaign)
    })
    .await
}

fn id_of(campaign: &Value) -> String {
    campaign["id"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_csv_is_planned_by_a_job_and_its_rejects_are_listed_page_by_page() {
    let (stack, api) = stack(quick(), None).await;
    let account = account(&api).await;
    let lines = (0..21_000).map(|n| match n % 20 {
        0 => format!("nobody {n},x\n"),
        _ => format!("+6012{n:07},Person {n}\n"),
    });
    let csv = format!("phone,first_name\n{}", lines.collect::<String>());
    let created = api.create_campaign(&definition(&account, json!({})), &csv).await.unwrap();
    assert_eq!((&created["status"], &created["estimate"]), (&json!("draft"), &Value::Null));
    let id = id_of(&created);
    let campaign = planned(&api, &id).await;
    assert_eq!((&campaign["recipients"], &campaign["skipped"]), (&json!(21_000), &json!(1_050)));
    let (mut listed, mut cursor) = (Vec::new(), Some(String::new()));
    while let Some(from) = cursor {
        let path = format!("/v1/campaigns/{id}/recipients?status=skipped&limit=200{from}");
        let page = api.get(&path).await.unwrap();
        listed.extend(page["data"].as_array().unwrap().iter().map(|row| row["line"].as_u64().unwrap()));
        cursor = page["next_cursor"].as_str().map(|next| format!("&cursor={next}"));
    }
    assert_eq!(listed, (0..1_050).map(|n| n * 20 + 2).collect::<Vec<u64>>());
    let stored = stored(&stack, &id).await;
    assert_eq!((stored.pages, stored.shards), (200, 32));
    let (core, _) = stack.tables();
    let link = core.link(stored.links[0].id).await.unwrap().unwrap();
    assert_eq!((link.recipients, link.shards), (20_000, 32), "room for every place on its pages");
    stack.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_uploaded_file_can_be_sent_to_before_it_is_read_to_its_end() {
    let (stack, api) = stack(quick(), None).await;
    let account = account(&api).await;
    let lines: String = (0..150).map(|n| format!("Person {n};+6012345{n:04}\n")).collect();
    let upload_id = upload(&api, format!("Full name;Mobile no\n{lines}")).await;
    let audience = json!({
        "upload_id": upload_id,
        "columns": {"phone": "Mobile no", "first_name": "Full name"},
        "start_early": true,
    });
    let created = api.post("/v1/campaigns", &definition(&account, audience)).await.unwrap();
    let id = id_of(&created);
    api.post(&format!("/v1/campaigns/{id}/start"), &Value::Null).await.unwrap();
    let report = settled_report(&stack, &api, &id).await;
    assert_eq!((&report["recipients"], &report["pending"]), (&json!(150), &json!(0)));
    let stored = stored(&stack, &id).await;
    let page = key::audience_page(stored.workspace, stored.id, PageNumber(0));
    let page = Bucket::new(stack.engines().s3(), "thirdtick-data").get(&page).await.unwrap();
    let page: Vec<Recipient> = serde_json::from_slice(&page).unwrap();
    assert_eq!((page[7].phone.as_str(), page[7].variables["first_name"].as_str()), ("+60123450007", "Person 7"));
    stack.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_no_audience_fails_with_its_reason_and_cannot_be_started() {
    let (stack, api) = stack(quick(), None).await;
    let account = account(&api).await;
    for (file, expected) in [
        ("name,mail\nAisha,a@example.com\n", "no column phone"),
        ("phone\nnobody\n", "none of 1 lines can be sent to; the first (line 2): "),
        ("", "is empty"),
    ] {
        let upload_id = upload(&api, file.to_owned()).await;
        let audience = json!({"upload_id": upload_id});
        let id = id_of(&api.post("/v1/campaigns", &definition(&account, audience)).await.unwrap());
        let failed = until("the reason", Duration::from_secs(20), async || {
            let campaign = api.get(&format!("/v1/campaigns/{id}")).await.unwrap();
            campaign["planning"]["failed"].as_str().map(|reason| json!(reason))
        })
        .await;
        assert!(failed.as_str().unwrap().contains(expected), "{failed}");
        let refused = api.post(&format!("/v1/campaigns/{id}/start"), &Value::Null).await.unwrap_err().to_string();
        assert!(refused.contains("409") && refused.contains("could not be read"), "{refused}");
    }
    let missing = json!({"upload_id": "upl_01J00000000000000000000000"});
    let refused = api.post("/v1/campaigns", &definition(&account, missing)).await.unwrap_err().to_string();
    assert!(refused.contains("422") && refused.contains("nothing was uploaded"), "{refused}");
    stack.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_campaign_that_is_being_planned_waits_and_a_forgotten_job_is_done_by_the_watchdog() {
    let (stack, api) = stack(quick(), None).await;
    let account = account(&api).await;
    let original = id_of(&api.post("/v1/campaigns", &definition(&account, recipients(120))).await.unwrap());
    let (core, _) = stack.tables();
    // As a process leaves it that dies between writing the campaign and waking `dispatch`.
    let mut campaign = stored(&stack, &original).await;
    let source = AudienceSource::Campaign { workspace: WorkspaceId::FIRST, campaign: campaign.id };
    campaign.id = CampaignId::new(UnixMillis::now());
    campaign.planning = Some(Planning { source, lines: 0, start_early: false, failed: None });
    (campaign.recipients, campaign.pages) = (0, 0);
    core.create_campaign(&campaign).await.unwrap();
    let id = campaign.id.to_string();
    let refused = api.post(&format!("/v1/campaigns/{id}/start"), &Value::Null).await.unwrap_err().to_string();
    assert!(refused.contains("409") && refused.contains("still being read"), "{refused}");
    let job = DispatchCommand::Plan { workspace: WorkspaceId::FIRST, campaign: campaign.id };
    core.open_job(&job, UnixMillis(1)).await.unwrap();
    let campaign = planned(&api, &id).await;
    assert_eq!(campaign["recipients"], 120);
    let long_after = UnixMillis::now().plus(Duration::from_secs(3_600));
    until("the end of the job", Duration::from_secs(10), async || {
        core.silent_jobs(long_after, long_after).await.unwrap().is_empty().then_some(Value::Null)
    })
    .await;
    stack.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn held_out_people_get_nothing_and_the_figures_add_up() {
    let (stack, api) = stack(quick(), None).await;
    let account = account(&api).await;
    let mut campaign = definition(&account, recipients(200));
    campaign["holdout_percent"] = json!(51);
    let refused = api.post("/v1/campaigns", &campaign).await.unwrap_err().to_string();
    assert!(refused.contains("/holdout_percent: must be from 0 to 50"), "{refused}");
    campaign["holdout_percent"] = json!(30);
    let created = api.post("/v1/campaigns", &campaign).await.unwrap();
    let id = id_of(&created);
    let held_out = created["holdout"].as_u64().unwrap();
    assert!((30..90).contains(&held_out), "{held_out} of 200 for 30 %");
    assert_eq!(created["estimate"]["messages"].as_u64().unwrap(), 200 - held_out);
    api.post(&format!("/v1/campaigns/{id}/start"), &Value::Null).await.unwrap();
    let report = settled_report(&stack, &api, &id).await;
    let count = |name: &str| report[name].as_u64().unwrap();
    let stuck: u64 = report["stuck_at"].as_object().unwrap().values().map(|n| n.as_u64().unwrap()).sum();
    let closed = report["stages"]["closed"]["count"].as_u64().unwrap();
    assert_eq!(count("holdout"), held_out);
    let sum = count("pending") + count("skipped") + count("unknown") + count("holdout") + count("failed");
    assert_eq!(sum + stuck + closed, 200);
    assert_eq!(stack.simulator().unwrap().ledger().messages().count() as u64, 200 - held_out);
    let listed = api.get(&format!("/v1/campaigns/{id}/recipients?status=held_out&limit=200")).await.unwrap();
    assert_eq!(listed["data"].as_array().unwrap().len() as u64, held_out);

    // The copy draws anew who is held out, from the same people.
    let copy = api.post(&format!("/v1/campaigns/{id}/duplicate"), &json!({"name": "Again"})).await.unwrap();
    assert_eq!((&copy["name"], &copy["status"], &copy["recipients"]), (&json!("Again"), &json!("draft"), &json!(200)));
    assert_eq!(copy["holdout_percent"], 30);
    assert_ne!(copy["links"][0]["id"], created["links"][0]["id"], "links of its own");
    assert_eq!(copy["links"][0]["url"], created["links"][0]["url"]);
    stack.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_goes_to_a_few_people_at_once_and_leaves_the_campaign_alone() {
    let (stack, api) = stack(quick(), None).await;
    let account = account(&api).await;
    let mut campaign = definition(&account, recipients(20));
    campaign["holdout_percent"] = json!(50);
    let id = id_of(&api.post("/v1/campaigns", &campaign).await.unwrap());
    let path = format!("/v1/campaigns/{id}/test");
    let testers = json!([{"phone": "+60129990001"}, {"phone": "+60129990002"}, {"phone": "nobody"}]);
    let test = api.post(&path, &json!({"recipients": testers, "variant": "B"})).await.unwrap();
    assert_eq!((&test["test_of"], &test["tag"]), (&json!(id), &json!(format!("test:{id}"))));
    assert_eq!(test["skipped"][0]["line"], 3);
    let report = settled_report(&stack, &api, test["id"].as_str().unwrap()).await;
    assert_eq!((&report["recipients"], &report["skipped"], &report["holdout"]), (&json!(3), &json!(1), &json!(0)));
    assert_eq!(report["variants"].as_array().unwrap().len(), 1);
    let links: Vec<usize> = stack.simulator().unwrap().ledger().messages().map(|message| message.links.len()).collect();
    assert_eq!(links, [0, 0], "variant B has no link, A has one");
    assert_eq!(api.get(&format!("/v1/campaigns/{id}")).await.unwrap()["status"], "draft");
    for wrong in [json!({"recipients": []}), json!({"recipients": testers, "variant": "C"})] {
        let refused = api.post(&path, &wrong).await.unwrap_err().to_string();
        assert!(refused.contains("422"), "{refused}");
    }
    stack.shutdown().await;
}
