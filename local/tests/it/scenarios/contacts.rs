//! Contacts and their import, over HTTP.

use std::time::Duration;

use local::stack::{People, Stack};
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{account, stack, until};

/// Posts a CSV to the import; status and answer.
async fn import(stack: &Stack, query: &str, csv: impl Into<reqwest::Body>) -> (StatusCode, Value) {
    let url = format!("{}/v1/contacts/import{query}", stack.base_url());
    let request = reqwest::Client::new().post(url).bearer_auth(stack.admin_key());
    let answer = request.header("content-type", "text/csv").body(csv).send().await.unwrap();
    (answer.status(), answer.json().await.unwrap())
}

/// A list of rejects as CSV.
async fn rejects(stack: &Stack, import: &Value) -> String {
    let url = format!("{}{}", stack.base_url(), import["rejects_url"].as_str().unwrap());
    reqwest::Client::new().get(url).bearer_auth(stack.admin_key()).send().await.unwrap().text().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contact_is_made_once_and_added_to() {
    let (stack, api) = stack(People::default(), None).await;
    let new = json!({
        "phone": "+60 12-345 6789", "name": "Aisha", "attributes": {"city": "Ipoh"}, "tags": ["vip"],
        "opt_in": {"source": "web form", "at": "2026-03-31T08:00:00Z"},
    });
    let made = api.post("/v1/contacts", &new).await.unwrap();
    assert_eq!((&made["phone"], &made["opted_out"]), (&json!("+60123456789"), &json!(false)));
    assert_eq!(made["opt_in"], json!({"source": "web form", "at": "2026-03-31T08:00:00.000Z"}));
    let more = json!({"phone": "0060123456789", "tags": ["march"], "email": "a@example.com"});
    let same = api.post("/v1/contacts", &more).await.unwrap();
    assert_eq!((&same["id"], &same["name"], &same["tags"]), (&made["id"], &json!("Aisha"), &json!(["march", "vip"])));
    let path = format!("/v1/contacts/{}", made["id"].as_str().unwrap());
    let out = api.post(&format!("{path}/opt-out"), &Value::Null).await.unwrap();
    assert_eq!((&out["opted_out"], &out["opt_out"]["source"]), (&json!(true), &json!("api")));
    assert_eq!(api.get(&path).await.unwrap(), out);
    let back = api.post(&format!("{path}/opt-in"), &json!({"source": "phone call"})).await.unwrap();
    // Of a yes and a no in the same millisecond the no counts.
    assert_eq!(back["opted_out"] == false, back["opt_in"]["at"].as_str() > back["opt_out"]["at"].as_str());
    let listed = api.get("/v1/contacts").await.unwrap()["data"].take();
    assert_eq!((&listed[0]["id"], &listed[0]["opt_in"], &listed[1]), (&back["id"], &back["opt_in"], &Value::Null));
    for (wrong, place) in [
        (json!({"phone": "12"}), "/phone"),
        (json!({"phone": "+60123456789", "opt_in": {"at": "2999-01-01T00:00:00Z"}}), "/opt_in/at"),
        (json!({"phone": "+60123456789", "tags": [""]}), "/"),
    ] {
        let refused = api.post("/v1/contacts", &wrong).await.unwrap_err().to_string();
        assert!(refused.contains("422") && refused.contains(place), "{refused}");
    }
    assert!(api.get("/v1/contacts/ctc_01J00000000000000000000000").await.is_err());
    stack.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_small_import_is_done_at_once_and_every_reject_can_be_downloaded() {
    let (stack, api) = stack(People::default(), None).await;
    let account = account(&api).await;
    // As Excel writes it in Western Europe: semicolons, Windows-1252.
    let text = "Handy;Name;Städte;tags;opt_in\n012-345 6789;Zoë;Ipoh;vip;yes\n'+60123456780;Aisha;;;no\n6.01E+10;X;;;\n0123456789;Zoe;;;\n=1+1;X;;;\n+60123456781;Y;;;maybe\n";
    let latin: Vec<u8> = text.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect();
    let query = "?default_region=MY&columns=%7B%22phone%22%3A%22Handy%22%2C%22city%22%3A%22St%C3%A4dte%22%7D";
    let (status, done) = import(&stack, query, latin).await;
    assert_eq!(status, 201, "{done}");
    assert_eq!((&done["status"], &done["progress"], &done["lines"]), (&json!("completed"), &json!(1.0), &json!(6)));
    let counts = ["created", "updated", "duplicates", "rejected"].map(|name| done[name].as_u64().unwrap());
    assert_eq!(counts, [2, 0, 1, 3]);
    let lines: Vec<u64> = done["errors"].as_array().unwrap().iter().map(|one| one["line"].as_u64().unwrap()).collect();
    assert_eq!(lines, [4, 5, 6, 7]);
    let csv = rejects(&stack, &done).await;
    assert!(csv.starts_with("line,phone,reason\n4,6.01E+10,a spreadsheet has rounded"), "{csv}");
    assert!(csv.contains("5,0123456789,the number is on line 2 already\n6,'=1+1,"), "{csv}");

    let path = format!("/v1/contacts/imports/{}", done["id"].as_str().unwrap());
    let first = api.get(&format!("{path}/rejects?limit=3")).await.unwrap();
    let cursor = first["next_cursor"].as_str().unwrap();
    let second = api.get(&format!("{path}/rejects?limit=3&cursor={cursor}")).await.unwrap();
    assert_eq!((first["data"].as_array().unwrap().len(), second["data"].as_array().unwrap().len()), (3, 1));
    assert_eq!(second["next_cursor"], Value::Null);

    let zoe = api.get("/v1/contacts").await.unwrap()["data"].as_array().unwrap().clone();
    let zoe = zoe.iter().find(|one| one["phone"] == "+60123456789").unwrap();
    assert_eq!((&zoe["name"], &zoe["attributes"]), (&json!("Zoë"), &json!({"city": "Ipoh"})));
    assert_eq!((&zoe["tags"], &zoe["opt_in"]["source"]), (&json!(["vip"]), &json!("import")));

    // What the import has taken is an audience.
    let campaign = json!({
        "name": "Offer",
        "account_id": account,
        "variants": [{"name": "A", "message": {"type": "text", "text": {"body": "Hi {{name}} of {{city|somewhere}}"}}}],
        "audience": {"import_id": done["id"]},
    });
    let created = api.post("/v1/campaigns", &campaign).await.unwrap();
    assert_eq!((&created["recipients"], &created["skipped_count"]), (&json!(2), &json!(0)));
    stack.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_import_is_done_by_a_job_that_shows_how_far_it_is() {
    let (stack, api) = stack(People::default(), None).await;
    let lines = (0..2_200).map(|n| if n % 100 == 0 { format!("x{n},\n") } else { format!("+6012{n:07},P\n") });
    let csv = format!("phone,name\n{}", lines.collect::<String>());
    let (status, begun) = import(&stack, "", csv).await;
    assert_eq!(status, 202, "{begun}");
    let path = format!("/v1/contacts/imports/{}", begun["id"].as_str().unwrap());
    let done = until("the end of the import", Duration::from_secs(60), async || {
        let import = api.get(&path).await.unwrap();
        assert!((0.0..=1.0).contains(&import["progress"].as_f64().unwrap()));
        assert_eq!(import["failed"], Value::Null);
        (import["status"] == "completed").then_some(import)
    })
    .await;
    let counts = ["lines", "created", "updated", "rejected"].map(|name| done[name].as_u64().unwrap());
    assert_eq!(counts, [2_200, 2_178, 0, 22]);
    assert_eq!(rejects(&stack, &done).await.lines().count(), 23);

    let (status, refused) = import(&stack, "", "name\nAisha\n").await;
    assert_eq!((status, &refused["code"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!("invalid")));
    stack.shutdown().await;
}
