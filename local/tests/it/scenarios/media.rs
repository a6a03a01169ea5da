//! Files that messages carry: checked by content, stored once, at Meta once, and renewed when Meta forgets them.

use std::time::Duration;

use local::api_client::ApiClient;
use local::engines::Storage;
use local::stack::{People, Stack, StackOptions};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use shared::id::{MediaId, WorkspaceId};

use super::graph::notify;
use super::{PHONE_NUMBER_ID, account, settled_report, until};

/// A stack whose simulator keeps a journal, which tells how often a file came to Meta.
struct Bench {
    stack: Stack,
    api: ApiClient,
    folder: tempfile::TempDir,
}

impl Bench {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let storage = Storage::Directory(folder.path().to_owned());
        let people = People { speed: 3_000.0, ..People::default() };
        let stack = Stack::start(StackOptions { port: 0, storage, graph_url: None, people }).await.unwrap();
        let api = ApiClient::new(stack.base_url(), stack.admin_key());
        Self { stack, api, folder }
    }

    /// Files that Meta was given.
    fn uploads_at_meta(&self) -> usize {
        let journal = std::fs::read_to_string(self.folder.path().join("simulator.ndjson")).unwrap();
        journal.lines().filter(|line| line.contains("content_base64")).count()
    }

    /// A request with a body of this type; status and answer.
    async fn call(&self, method: Method, path: &str, content_type: &str, body: Vec<u8>) -> (StatusCode, Value) {
        let url = format!("{}{path}", self.stack.base_url());
        let request = reqwest::Client::new().request(method, url).bearer_auth(self.stack.admin_key());
        let request = if content_type.is_empty() { request } else { request.header("content-type", content_type) };
        let response = request.body(body).send().await.unwrap();
        (response.status(), serde_json::from_str(&response.text().await.unwrap()).unwrap_or(Value::Null))
    }

    async fn upload(&self, content_type: &str, body: Vec<u8>) -> (StatusCode, Value) {
        self.call(Method::POST, "/v1/media", content_type, body).await
    }

    /// A campaign with this message to so many people, started.
    async fn send(&self, account: &str, message: Value, first: u32, people: u32) -> String {
        let id = self.create(account, message, first, people).await.1["id"].as_str().unwrap().to_owned();
        self.api.post(&format!("/v1/campaigns/{id}/start"), &Value::Null).await.unwrap();
        id
    }

    async fn create(&self, account: &str, message: Value, first: u32, people: u32) -> (StatusCode, Value) {
        let recipients: Vec<Value> =
            (first..first + people).map(|n| json!({"phone": format!("+6012345{n:04}")})).collect();
        let campaign = json!({
            "name": "Offer",
            "account_id": account,
            "variants": [{"name": "A", "message": message}],
            "audience": {"recipients": recipients},
        });
        self.call(Method::POST, "/v1/campaigns", "application/json", campaign.to_string().into_bytes()).await
    }
}

/// A PNG's header, 8 bits RGB, and something behind it.
fn png(tail: &[u8]) -> Vec<u8> {
    [&b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\0\x10\0\0\0\x10\x08\x02\0\0\0\0\0\0\0"[..], tail].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_used_by_two_campaigns_comes_to_meta_once_and_anew_when_meta_forgot_it() {
    let bench = Bench::new().await;
    let account = account(&bench.api).await;
    let (status, media) = bench.upload("image/png", png(b"one")).await;
    assert_eq!(
        (status, &media["kind"], &media["used"]),
        (StatusCode::CREATED, &json!("image"), &json!({"campaigns": 0}))
    );
    let id = media["id"].as_str().unwrap().to_owned();
    assert_eq!(bench.uploads_at_meta(), 0, "nobody needs it yet");

    let message = json!({"type": "image", "media_id": id, "caption": "See https://shop.example/offer"});
    let first = bench.send(&account, message.clone(), 0, 250).await;
    let second = bench.send(&account, message.clone(), 300, 20).await;
    for (campaign, people) in [(&first, 250), (&second, 20)] {
        let report = settled_report(&bench.stack, &bench.api, campaign).await;
        assert_eq!(report["stages"]["sent"]["count"], people, "{report}");
    }
    assert_eq!(bench.uploads_at_meta(), 1);
    let shown = bench.api.get(&format!("/v1/media/{id}")).await.unwrap();
    assert_eq!(shown["used"], json!({"campaigns": 2}));
    assert_eq!(shown["uploads"].as_array().unwrap().len(), 1);
    assert_eq!(shown["uploads"][0]["account_id"], json!(account));
    let ledger = bench.stack.simulator().unwrap().ledger();
    let sent: Vec<_> = ledger.messages().collect();
    assert!(sent.iter().all(|message| message.message_type == "image" && message.links[0].contains("/l/")));

    // Meta loses the file before its time.
    let (core, _) = bench.stack.tables();
    let media: MediaId = id.parse().unwrap();
    let at_meta = core.meta_uploads(WorkspaceId::FIRST, media).await.unwrap().remove(0).1.meta_id.unwrap();
    let gone = format!("{}v26.0/{at_meta}", bench.stack.simulator_url().unwrap());
    let deleted = reqwest::Client::new().delete(gone).bearer_auth("token").send().await.unwrap();
    assert_eq!(deleted.status(), 200);
    let third = bench.send(&account, message, 400, 30).await;
    let report = settled_report(&bench.stack, &bench.api, &third).await;
    assert_eq!((&report["stages"]["sent"]["count"], &report["failed"]), (&json!(30), &json!(0)), "{report}");
    assert_eq!(bench.uploads_at_meta(), 2);
    let ledger = bench.stack.simulator().unwrap().ledger();
    assert!(ledger.recipients.values().all(|recipient| recipient.messages.len() == 1), "somebody got two messages");
    bench.stack.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_bytes_are_one_file_whichever_way_they_come() {
    let bench = Bench::new().await;
    let (status, first) = bench.upload("image/png", png(b"x")).await;
    assert_eq!(status, StatusCode::CREATED);
    let (status, again) = bench.upload("application/octet-stream", png(b"x")).await;
    assert_eq!((status, &again["id"]), (StatusCode::OK, &first["id"]));

    let boundary = "----form";
    let form = [
        format!("--{boundary}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"dir/a b.png\"\r\nContent-Type: image/png\r\n\r\n").into_bytes(),
        png(b"x"),
        format!("\r\n--{boundary}--\r\n").into_bytes(),
    ]
    .concat();
    let form_type = format!("multipart/form-data; boundary={boundary}");
    let (status, form_answer) = bench.upload(&form_type, form.clone()).await;
    assert_eq!((status, &form_answer["id"]), (StatusCode::OK, &first["id"]));

    // Put into the bucket by the client itself.
    let file = png(b"large");
    let wanted = json!({"file_name": "offer.png", "mime_type": "image/png", "bytes": file.len()});
    let expected = bench.api.post("/v1/media/uploads", &wanted).await.unwrap();
    let register = json!({"upload_id": expected["upload_id"]}).to_string().into_bytes();
    let (status, early) = bench.upload("application/json", register.clone()).await;
    assert_eq!(status, StatusCode::CONFLICT, "{early}");
    let mut put = reqwest::Client::new()
        .request(expected["method"].as_str().unwrap().parse().unwrap(), expected["url"].as_str().unwrap());
    for (name, value) in expected["headers"].as_object().unwrap() {
        put = put.header(name, value.as_str().unwrap());
    }
    let answered = put.body(file).send().await.unwrap();
    assert!(answered.status().is_success(), "{}", answered.text().await.unwrap());
    let (status, registered) = bench.upload("application/json", register.clone()).await;
    assert_eq!((status, &registered["file_name"]), (StatusCode::CREATED, &json!("offer.png")), "{registered}");
    let (status, repeated) = bench.upload("application/json", register).await;
    assert_eq!((status, &repeated["id"]), (StatusCode::OK, &registered["id"]));

    let listed = bench.api.get("/v1/media?limit=1").await.unwrap();
    assert_eq!(listed["data"][0]["id"], registered["id"], "newest first");
    let next = format!("/v1/media?cursor={}", listed["next_cursor"].as_str().unwrap());
    assert_eq!(bench.api.get(&next).await.unwrap()["data"][0]["id"], first["id"]);
    bench.stack.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_meta_does_not_take_is_refused_before_anything_is_stored() {
    let bench = Bench::new().await;
    let account = account(&bench.api).await;
    let mut large = png(b"");
    large.resize(5 * 1_024 * 1_024 + 1, 0);
    for (content_type, body, part) in [
        ("image/gif", b"GIF89a\0\0".to_vec(), "this is image/gif, which WhatsApp does not take; allowed are: "),
        ("image/jpeg", png(b""), "this is image/png, but was sent as image/jpeg"),
        ("image/png", large, "this is image/png with 5242881 bytes; WhatsApp takes up to 5 MiB"),
    ] {
        let (status, refused) = bench.upload(content_type, body).await;
        let reason = refused["errors"][0]["reason"].as_str().unwrap();
        assert!(status == StatusCode::UNPROCESSABLE_ENTITY && reason.contains(part), "{status} {reason}");
    }
    assert_eq!(bench.api.get("/v1/media").await.unwrap()["data"], json!([]));

    let (_, media) = bench.upload("image/png", png(b"x")).await;
    for (message, pointer) in [
        (json!({"type": "video", "media_id": media["id"]}), "/variants/0/message/media_id"),
        (json!({"type": "image", "media_id": "med_01J00000000000000000000000"}), "/variants/0/message/media_id"),
        (json!({"type": "image", "media_id": media["id"], "link": "https://a.example/x.png"}), "/variants/0/message"),
    ] {
        let (status, refused) = bench.create(&account, message, 0, 1).await;
        assert_eq!((status, &refused["errors"][0]["pointer"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!(pointer)));
    }
    bench.stack.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_cannot_be_deleted_before_its_campaign_is_over() {
    let bench = Bench::new().await;
    let account = account(&bench.api).await;
    let (_, media) = bench.upload("image/png", png(b"x")).await;
    let path = format!("/v1/media/{}", media["id"].as_str().unwrap());
    let (status, created) = bench.create(&account, json!({"type": "image", "media_id": media["id"]}), 0, 1).await;
    assert_eq!(status, StatusCode::CREATED, "{created}");
    let campaign = created["id"].as_str().unwrap().to_owned();
    let (status, refused) = bench.call(Method::DELETE, &path, "", Vec::new()).await;
    assert_eq!(status, StatusCode::CONFLICT);
    assert!(refused["detail"].as_str().unwrap().contains(&campaign), "{refused}");
    bench.api.post(&format!("/v1/campaigns/{campaign}/cancel"), &Value::Null).await.unwrap();
    let (status, _) = bench.call(Method::DELETE, &path, "", Vec::new()).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    for method in [Method::DELETE, Method::GET] {
        assert_eq!(bench.call(method, &path, "", Vec::new()).await.0, StatusCode::NOT_FOUND);
    }
    let objects = bench.stack.engines().s3().list_objects_v2().bucket("thirdtick-data").prefix("media/").send().await;
    assert_eq!(objects.unwrap().contents().len(), 0);
    bench.stack.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_meta_could_not_use_after_all_comes_to_meta_anew_once() {
    let bench = Bench::new().await;
    let account = account(&bench.api).await;
    let (_, media) = bench.upload("image/png", png(b"x")).await;
    let id = media["id"].as_str().unwrap().to_owned();
    let message = json!({"type": "image", "media_id": id});
    let campaign = bench.send(&account, message.clone(), 0, 1).await;
    settled_report(&bench.stack, &bench.api, &campaign).await;
    let ledger = bench.stack.simulator().unwrap().ledger();
    let sent = ledger.messages().next().unwrap().clone();

    let now = shared::time::UnixMillis::now().seconds().to_string();
    let failed = json!({"messaging_product": "whatsapp",
        "metadata": {"display_phone_number": "15550783881", "phone_number_id": PHONE_NUMBER_ID},
        "statuses": [{"id": sent.wamid, "status": "failed", "timestamp": now, "recipient_id": "60123450000",
            "biz_opaque_callback_data": sent.callback_data, "errors": [{"code": 131_053, "title": "Media upload error"}]}]});
    assert_eq!(notify(&bench.stack, &failed).await, 200);
    let path = format!("/v1/media/{id}");
    until("the id dropped", Duration::from_secs(10), async || {
        let media = bench.api.get(&path).await.unwrap();
        (media["uploads"] == json!([])).then_some(media)
    })
    .await;
    let again = bench.send(&account, message, 1, 1).await;
    settled_report(&bench.stack, &bench.api, &again).await;
    assert_eq!(bench.uploads_at_meta(), 2);
    bench.stack.shutdown().await;
}
