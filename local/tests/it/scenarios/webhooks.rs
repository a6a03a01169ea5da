//! Outbound webhooks: events reach those who have subscribed, signed, at least once and under one id, whatever their endpoint
//! does; and one that fails is told so, left alone, and switched off in the end.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use deliver::Deliver;
use local::api_client::ApiClient;
use local::engines::{Engines, Storage};
use local::stack::{People, Stack};
use serde_json::{Value, json};
use shared::activity::id_of;
use shared::aws::Clients;
use shared::config::Settings;
use shared::id::{WebhookId, WorkspaceId, ulid_at};
use shared::published::Published;
use shared::queue::{DeliverCommand, Queue};
use shared::secrets::Secrets;
use shared::store::{Core, schema};
use shared::subscription::Webhook;
use shared::subscription::delivery::{self, Delivery, Failure, Status};
use shared::subscription::endpoint::Seen;
use shared::subscription::outbox::Outbox;
use shared::subscription::parcel::{Parcel, ParcelKey};
use shared::subscription::signing::SigningSecrets;
use shared::time::UnixMillis;

use super::{stack, until};

/// What a receiver got.
#[derive(Clone)]
struct Got {
    headers: HeaderMap,
    body: Bytes,
}

impl Got {
    fn id(&self) -> String {
        self.headers["webhook-id"].to_str().unwrap().to_owned()
    }

    fn is_signed_with(&self, secret: &str) -> bool {
        standardwebhooks::Webhook::new(secret).unwrap().verify(&self.body, &self.headers).is_ok()
    }
}

/// What a receiver answers.
#[derive(Clone)]
enum Answer {
    Status(StatusCode, &'static [(&'static str, &'static str)]),
    Never,
}

/// A real HTTP server that keeps what it gets and answers as it is told.
#[derive(Clone)]
struct Receiver {
    address: SocketAddr,
    got: Arc<Mutex<Vec<Got>>>,
    answer: Arc<Mutex<Answer>>,
}

impl Receiver {
    async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let receiver = Self {
            address: listener.local_addr().unwrap(),
            got: Arc::default(),
            answer: Arc::new(Mutex::new(Answer::Status(StatusCode::OK, &[]))),
        };
        let router = axum::Router::new().fallback(any(take)).with_state(receiver.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        receiver
    }

    fn url(&self) -> String {
        format!("http://{}/hooks/1?token=x", self.address)
    }

    fn answers(&self, status: u16, headers: &'static [(&'static str, &'static str)]) {
        *self.answer.lock().unwrap() = Answer::Status(StatusCode::from_u16(status).unwrap(), headers);
    }

    fn hangs(&self) {
        *self.answer.lock().unwrap() = Answer::Never;
    }

    fn got(&self) -> Vec<Got> {
        self.got.lock().unwrap().clone()
    }
}

async fn take(State(receiver): State<Receiver>, headers: HeaderMap, body: Bytes) -> Response {
    receiver.got.lock().unwrap().push(Got { headers, body });
    let answer = receiver.answer.lock().unwrap().clone();
    match answer {
        Answer::Status(status, headers) => {
            let mut response = (status, "what the receiver says").into_response();
            for (name, value) in headers {
                response.headers_mut().insert(*name, value.parse().unwrap());
            }
            response
        }
        Answer::Never => std::future::pending().await,
    }
}

/// Tables, a queue and the function, driven by the test: no clock but the test's own calls.
struct Bench {
    engines: Engines,
    core: Core,
    secrets: Secrets,
    deliver: Deliver,
    outbox: Outbox,
}

impl Bench {
    /// Waits between tries as in `ladder`, in seconds.
    async fn new(ladder: &str) -> Self {
        let engines = Engines::start(Storage::Memory).await.unwrap();
        let clients = Clients { dynamodb: engines.dynamodb(), sqs: engines.sqs(), s3: engines.s3() };
        schema::create_missing(&clients.dynamodb, "core", "rollup").await.unwrap();
        let queue = clients.sqs.create_queue().queue_name("deliver").send().await.unwrap().queue_url.unwrap();
        let settings = BTreeMap::from([
            ("CORE_TABLE", "core"),
            ("DELIVER_QUEUE_URL", &queue),
            ("DELIVER_ALLOW_PRIVATE", "true"),
            ("DELIVER_TIMEOUT_MS", "300"),
            ("DELIVER_RETRY_DELAYS_S", ladder),
            ("PARCEL_FORGOTTEN_AFTER_S", "0"),
        ]);
        let settings = settings.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
        let config = deliver::Config::read(Settings::from_values(settings.collect::<BTreeMap<_, _>>())).unwrap();
        let (core, secrets) = (Core::new(clients.dynamodb.clone(), "core"), Secrets::in_memory());
        let deliver = Deliver::new(config, &clients, secrets.clone()).unwrap();
        let outbox = Outbox::new(core.clone(), Queue::new(clients.sqs.clone(), queue));
        Self { engines, core, secrets, deliver, outbox }
    }

    async fn webhook(&self, url: &str) -> (Webhook, String) {
        let now = UnixMillis::now();
        let webhook = Webhook {
            v: 1,
            revision: 0,
            id: WebhookId::new(now),
            workspace: WorkspaceId::FIRST,
            url: url.to_owned(),
            events: vec!["message.*".parse().unwrap()],
            accounts: Vec::new(),
            campaigns: Vec::new(),
            description: None,
            enabled: true,
            disabled: None,
            created_at: now,
            secret_at: None,
        };
        let secrets = SigningSecrets::first(ulid_at(now));
        self.secrets.keep_signing(webhook.workspace, webhook.id, &secrets).await.unwrap();
        assert!(self.core.create_webhook(&webhook).await.unwrap());
        (webhook, secrets.current.expose().to_owned())
    }

    async fn take(&self, events: &[Published]) -> usize {
        self.outbox.take(events, UnixMillis::now()).await.unwrap()
    }

    /// Every parcel that waits, due or not.
    async fn parcels(&self) -> Vec<Parcel> {
        self.core.forgotten_parcels(UnixMillis(i64::MAX), 100, UnixMillis(i64::MAX - 1)).await.unwrap()
    }

    async fn post(&self, parcel: ParcelKey) {
        let body = serde_json::to_string(&DeliverCommand::Parcel { parcel }).unwrap();
        let event = json!({"Records": [{"messageId": "m", "body": body}]});
        let answer = deliver::handle(&self.deliver, event).await.unwrap();
        assert_eq!(answer["batchItemFailures"], json!([]));
    }

    /// Posts every parcel that waits, whatever its time; then those that have taken their place wait.
    async fn post_all(&self) {
        for parcel in self.parcels().await {
            self.post(parcel.key()).await;
        }
    }

    async fn delivery(&self, webhook: &Webhook, event: &Published) -> Delivery {
        self.core.delivery(webhook.workspace, delivery::id(event.id, webhook.id)).await.unwrap().unwrap()
    }

    async fn is_enabled(&self, webhook: &Webhook) -> bool {
        self.core.webhook(webhook.workspace, webhook.id).await.unwrap().unwrap().enabled
    }
}

fn event(n: u32, kind: &str) -> Published {
    let at = UnixMillis(1_790_000_000_000 + i64::from(n));
    Published {
        id: id_of(at, &[kind, &n.to_string()]),
        kind: kind.to_owned(),
        at,
        seen: at,
        workspace: WorkspaceId::FIRST,
        account: None,
        contact: None,
        campaign: None,
        recipient: None,
        variant: None,
        data: serde_json::Map::from_iter([("n".to_owned(), json!(n))]),
    }
}

fn reads(n: u32) -> Vec<Published> {
    (0..n).map(|n| event(n, "message.read")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fits_is_posted_once_and_signed_however_often_the_stream_repeats_it() {
    let (bench, receiver) = (Bench::new("60").await, Receiver::start().await);
    let (webhook, secret) = bench.webhook(&receiver.url()).await;
    let mut events = reads(60);
    events.push(event(99, "link.clicked"));
    assert_eq!(bench.take(&events).await, 60);
    assert_eq!(bench.take(&events).await, 0, "the batch again");
    assert_eq!(bench.take(&events[10..30]).await, 0, "a part of it");
    bench.post_all().await;
    assert_eq!(bench.take(&events).await, 0, "after all has arrived");
    bench.post_all().await;
    assert_eq!(bench.parcels().await, []);

    let got = receiver.got();
    assert_eq!(got.len(), 60);
    assert!(got.iter().all(|got| got.is_signed_with(&secret)));
    let ids: std::collections::BTreeSet<String> = got.iter().map(Got::id).collect();
    let expected = events[..60].iter().map(|event| delivery::id(event.id, webhook.id).to_string()).collect();
    assert_eq!(ids, expected);
    let body: Value = serde_json::from_slice(&got[0].body).unwrap();
    assert_eq!((&body["type"], &body["data"]["type"]), (&json!("message.read"), &json!("message.read")));
    let delivered = bench.delivery(&webhook, &events[0]).await;
    assert_eq!((delivered.status, delivered.attempts.len()), (Status::Succeeded, 1));
    bench.engines.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_try_that_fails_is_repeated_under_the_same_id_until_the_ladder_ends_and_can_be_replayed() {
    let (bench, receiver) = (Bench::new("0,0").await, Receiver::start().await);
    let (webhook, secret) = bench.webhook(&receiver.url()).await;
    let events = reads(1);
    bench.take(&events).await;
    receiver.answers(503, &[]);
    bench.post_all().await;
    receiver.answers(307, &[("location", "http://169.254.169.254/")]);
    bench.post_all().await;
    receiver.hangs();
    bench.post_all().await;
    let exhausted = bench.delivery(&webhook, &events[0]).await;
    assert_eq!(exhausted.status, Status::Exhausted);
    let tries: Vec<_> = exhausted.attempts.iter().map(|attempt| (attempt.status, attempt.error.unwrap())).collect();
    let expected = [(Some(503), Failure::Status), (Some(307), Failure::Redirect), (None, Failure::Timeout)];
    assert_eq!(tries, expected, "a redirect is not followed");
    assert_eq!(exhausted.attempts[0].response.as_deref(), Some("what the receiver says"));
    assert_eq!(bench.parcels().await, []);

    receiver.answers(204, &[]);
    let now = UnixMillis::now();
    assert_eq!(bench.outbox.replay(vec![exhausted.clone()], now).await.unwrap(), 1);
    assert_eq!(bench.outbox.replay(vec![exhausted], now).await.unwrap(), 0, "it was replayed by somebody else");
    bench.post_all().await;
    let delivered = bench.delivery(&webhook, &events[0]).await;
    assert_eq!((delivered.status, delivered.attempts.len()), (Status::Succeeded, 4));
    let got = receiver.got();
    assert_eq!(got.len(), 4);
    assert!(got.iter().all(|each| each.id() == got[0].id() && each.body == got[0].body));
    assert!(got[3].is_signed_with(&secret));
    bench.engines.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_asks_for_time_gets_it() {
    let (bench, receiver) = (Bench::new("5").await, Receiver::start().await);
    let (webhook, _) = bench.webhook(&receiver.url()).await;
    receiver.answers(429, &[("retry-after", "7200")]);
    let (events, begun) = (reads(1), UnixMillis::now());
    bench.take(&events).await;
    bench.post_all().await;
    let waiting = bench.delivery(&webhook, &events[0]).await;
    assert!(waiting.next_at.unwrap() >= begun.plus(Duration::from_secs(7_200)));
    let [parcel] = &bench.parcels().await[..] else { panic!("not one parcel") };
    assert_eq!((parcel.due_at, parcel.asked_at), (waiting.next_at.unwrap(), None), "longer than a queue can hold it");
    // Its time has not come, though the message has.
    bench.post(parcel.key()).await;
    assert_eq!(receiver.got().len(), 1);
    bench.engines.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_fails_is_left_alone_and_holds_up_no_other() {
    let (bench, dead, well) = (Bench::new("60").await, Receiver::start().await, Receiver::start().await);
    let (failing, _) = bench.webhook(&dead.url()).await;
    bench.webhook(&well.url()).await;
    dead.answers(500, &[]);
    bench.take(&reads(100)).await;
    bench.post_all().await;
    assert_eq!(well.got().len(), 100);
    let tried = dead.got().len();
    assert!((5..=16).contains(&tried), "{tried} posts before it was left alone");
    let endpoint = bench.core.endpoint(failing.workspace, failing.id).await.unwrap();
    assert!(endpoint.rests_until.unwrap() > UnixMillis::now());
    bench.post_all().await;
    assert_eq!(dead.got().len(), tried, "nothing is posted while it rests");

    // Mended: all of them arrive, those that were not tried and those that were.
    dead.answers(200, &[]);
    bench.core.forgive_endpoint(failing.workspace, failing.id).await.unwrap();
    bench.post_all().await;
    assert_eq!(dead.got().len(), 100, "what was not tried yet; the others wait for their time");
    bench.engines.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn gone_switches_a_subscription_off_and_what_waits_is_given_up() {
    let (bench, receiver) = (Bench::new("60").await, Receiver::start().await);
    let (webhook, _) = bench.webhook(&receiver.url()).await;
    receiver.answers(410, &[]);
    let events = reads(30);
    bench.take(&events).await;
    bench.post_all().await;
    let off = bench.core.webhook(webhook.workspace, webhook.id).await.unwrap().unwrap();
    assert_eq!(off.disabled.unwrap().reason, "the endpoint answered 410 Gone");
    assert!(!off.enabled && receiver.got().len() <= 8);
    bench.post_all().await;
    assert_eq!(bench.parcels().await, []);
    let mut given_up = 0;
    for event in &events {
        let delivery = bench.delivery(&webhook, event).await;
        assert_ne!(delivery.status, Status::Pending);
        given_up += usize::from(delivery.reason.as_deref() == Some("the webhook is disabled"));
    }
    assert_eq!(given_up + receiver.got().len(), 30);
    let client = bench.engines.dynamodb();
    let rows = client.scan().table_name("core").send().await.unwrap().items.unwrap();
    let told = rows.iter().filter(|row| row.get("type").is_some_and(|kind| kind.as_s().unwrap() == "webhook.disabled"));
    assert_eq!(told.count(), 1, "one event says so");
    bench.engines.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn five_days_without_a_success_switch_a_subscription_off() {
    let (bench, receiver) = (Bench::new("60").await, Receiver::start().await);
    let (webhook, _) = bench.webhook(&receiver.url()).await;
    receiver.answers(500, &[]);
    let long_ago = UnixMillis(UnixMillis::now().0 - 6 * 86_400_000);
    let parcel = "pcl_01J00000000000000000000000".parse().unwrap();
    let seen = Seen { succeeded: false, failures: 20 };
    bench.core.leave_endpoint(webhook.workspace, webhook.id, parcel, seen, long_ago).await.unwrap();
    assert!(bench.is_enabled(&webhook).await);
    bench.take(&reads(1)).await;
    bench.post_all().await;
    assert!(!bench.is_enabled(&webhook).await);
    bench.engines.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_died_between_post_and_note_has_its_work_done_again_under_the_same_id() {
    let (bench, receiver) = (Bench::new("60").await, Receiver::start().await);
    let (webhook, _) = bench.webhook(&receiver.url()).await;
    let events = reads(1);
    bench.take(&events).await;
    let [parcel] = &bench.parcels().await[..] else { panic!("not one parcel") };
    // The death: the place is taken, the post is out, nothing is noted.
    let long_ago = UnixMillis(UnixMillis::now().0 - 600_000);
    bench.core.admit_parcel(webhook.workspace, webhook.id, parcel.id, long_ago).await.unwrap();
    let id = delivery::id(events[0].id, webhook.id).to_string();
    let lost = reqwest::Client::new().post(receiver.url()).header("webhook-id", &id);
    lost.body("{}").send().await.unwrap();

    // Its message is lost as well: the watchdog asks again.
    let queue = bench.engines.sqs().get_queue_url().queue_name("deliver").send().await.unwrap().queue_url.unwrap();
    bench.engines.sqs().purge_queue().queue_url(&queue).send().await.unwrap();
    until("the watchdog's message", Duration::from_secs(10), async || {
        deliver::handle(&bench.deliver, json!({"source": "aws.scheduler"})).await.unwrap();
        let received = bench.engines.sqs().receive_message().queue_url(&queue).send().await.unwrap();
        let body = received.messages.unwrap_or_default().into_iter().next()?.body?;
        let event = json!({"Records": [{"messageId": "m", "body": body}]});
        Some(deliver::handle(&bench.deliver, event).await.unwrap())
    })
    .await;
    assert_eq!(bench.delivery(&webhook, &events[0]).await.status, Status::Succeeded);
    let ids: Vec<String> = receiver.got().iter().map(Got::id).collect();
    assert_eq!(ids, [id.clone(), id]);
    bench.engines.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_must_not_be_called_is_not_called() {
    let bench = Bench::new("60").await;
    let (webhook, _) = bench.webhook("http://169.254.169.254/latest/meta-data/").await;
    let events = reads(1);
    bench.take(&events).await;
    bench.post_all().await;
    let refused = bench.delivery(&webhook, &events[0]).await;
    assert_eq!(refused.attempts[0].error, Some(Failure::AddressNotAllowed));
    bench.engines.shutdown().await;
}

/// The API: status and answer, with an `Idempotency-Key` if one is given.
async fn call(stack: &Stack, method: &str, path: &str, body: Value, key: &str) -> (u16, Value) {
    let url = format!("{}/v1/webhooks{path}", stack.base_url());
    let mut request = reqwest::Client::new().request(method.parse().unwrap(), url).bearer_auth(stack.admin_key());
    if !key.is_empty() {
        request = request.header("idempotency-key", key);
    }
    let response = if body.is_null() { request } else { request.json(&body) }.send().await.unwrap();
    let status = response.status().as_u16();
    (status, serde_json::from_str(&response.text().await.unwrap()).unwrap_or(Value::Null))
}

/// The webhook's newest delivery once it is settled.
async fn settled(api: &ApiClient, id: &str, count: usize) -> Value {
    until("a settled delivery", Duration::from_secs(30), async || {
        let listed = api.get(&format!("/v1/webhooks/{id}/deliveries")).await.unwrap();
        let listed = listed["data"].as_array().unwrap().clone();
        let settled = listed.len() == count && listed.iter().all(|delivery| delivery["status"] != "pending");
        settled.then(|| listed[0].clone())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_makes_tries_rotates_replays_and_deletes_a_webhook() {
    let (stack, api) = stack(People::default(), None).await;
    let receiver = Receiver::start().await;
    let new = json!({"url": receiver.url(), "events": ["message.*"], "description": "CRM"});
    let (status, created) = call(&stack, "POST", "", new.clone(), "once").await;
    assert_eq!(status, 201, "{created}");
    let (id, secret) = (created["id"].as_str().unwrap().to_owned(), created["secret"].as_str().unwrap().to_owned());
    let (status, again) = call(&stack, "POST", "", new, "once").await;
    assert_eq!((status, &again), (201, &created), "the same request again");
    assert_eq!(api.get("/v1/webhooks").await.unwrap()["data"].as_array().unwrap().len(), 1);
    assert_eq!(api.get(&format!("/v1/webhooks/{id}")).await.unwrap().get("secret"), None, "it is shown once");
    let rows = stack.engines().dynamodb().scan().table_name("thirdtick-core").send().await.unwrap();
    assert!(!format!("{:?}", rows.items).contains(secret.trim_start_matches("whsec_")), "the table holds no secret");

    assert_eq!(call(&stack, "POST", &format!("/{id}/test"), Value::Null, "").await.0, 202);
    let delivery = settled(&api, &id, 1).await;
    assert_eq!((&delivery["status"], &delivery["type"]), (&json!("succeeded"), &json!("webhook.test")));
    assert!(receiver.got()[0].is_signed_with(&secret));

    let (_, rotated) = call(&stack, "POST", &format!("/{id}/rotate-secret"), Value::Null, "rotate").await;
    let (_, repeated) = call(&stack, "POST", &format!("/{id}/rotate-secret"), Value::Null, "rotate").await;
    assert_eq!(rotated["secret"], repeated["secret"]);
    let path = format!("/{id}/deliveries/{}", delivery["id"].as_str().unwrap());
    assert_eq!(call(&stack, "POST", &format!("{path}/replay"), Value::Null, "").await.0, 202);
    until("the replay", Duration::from_secs(30), async || (receiver.got().len() == 2).then_some(Value::Null)).await;
    let got = receiver.got();
    assert_eq!(got[0].id(), got[1].id());
    for secret in [&secret, rotated["secret"].as_str().unwrap()] {
        assert!(got[1].is_signed_with(secret), "both sign for a day");
    }
    settled(&api, &id, 1).await;
    let (_, shown) = call(&stack, "GET", &path, Value::Null, "").await;
    assert_eq!((shown["attempts"].as_array().unwrap().len(), &shown["payload"]["type"]), (2, &json!("webhook.test")));
    let failed = api.get(&format!("/v1/webhooks/{id}/deliveries?status=failed")).await.unwrap();
    assert_eq!(failed, json!({"data": [], "next_cursor": null}));
    let since = json!({"since": "2026-01-01T00:00:00Z", "status": "succeeded"});
    let (status, replayed) = call(&stack, "POST", &format!("/{id}/replay"), since, "").await;
    assert_eq!((status, replayed), (202, json!({"replayed": 1, "next_cursor": null})));

    let (_, off) = call(&stack, "PATCH", &format!("/{id}"), json!({"enabled": false}), "").await;
    assert_eq!((&off["enabled"], &off["events"]), (&json!(false), &json!(["message.*"])));
    assert_eq!(call(&stack, "POST", &format!("/{id}/test"), Value::Null, "").await.0, 409);
    assert_eq!(call(&stack, "DELETE", &format!("/{id}"), Value::Null, "").await.0, 204);
    for method in ["GET", "DELETE"] {
        assert_eq!(call(&stack, method, &format!("/{id}"), Value::Null, "").await.0, 404);
    }
    stack.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_must_not_be_called_is_refused_when_it_is_given() {
    let (stack, _) = stack(People::default(), None).await;
    for (url, reason) in [
        ("http://169.254.169.254/latest/meta-data/", "must be on the public internet"),
        ("http://user:x@localhost:5678/", "must not contain a user"),
        ("ftp://localhost/", "must begin with https://"),
        ("http://localhost:22/", "the port"),
    ] {
        let (status, refused) = call(&stack, "POST", "", json!({"url": url}), "").await;
        let error = &refused["errors"][0];
        assert_eq!((status, &error["pointer"]), (422, &json!("/url")), "{refused}");
        assert!(error["reason"].as_str().unwrap().contains(reason), "{refused}");
    }
    let (status, refused) = call(&stack, "POST", "", json!({"url": "x", "events": ["*.read"]}), "").await;
    assert_eq!((status, &refused["errors"][0]["pointer"]), (422, &json!("/events/0")));
    stack.shutdown().await;
}
