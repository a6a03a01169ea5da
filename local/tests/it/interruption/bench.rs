//! The two functions on embedded engines and a simulated Meta, with the test in the place of Lambda.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use aws_lambda_events::event::sqs::{SqsEvent, SqsMessage};
use axum::Router;
use local::engines::Engines;
use serde_json::{Value, json};
use shared::account::{Account, NumberIdentity};
use shared::attempt::{Seq, Standing};
use shared::aws::Clients;
use shared::blob::{Bucket, key};
use shared::campaign::audience::Recipient;
use shared::campaign::{Campaign, PAGE_SIZE, PageNumber, Status, VariantIndex, shards_for};
use shared::config::Settings;
use shared::id::{AccountId, CampaignId, WorkspaceId};
use shared::queue::{DispatchCommand, SendCommand};
use shared::secrets::{AccessToken, Secrets};
use shared::store::{Core, Transition, schema};
use shared::time::UnixMillis;
use simulator::{Behaviour, Simulator};
use tokio::net::TcpListener;

use crate::support::{create_queue, memory};

const WORKSPACE: WorkspaceId = WorkspaceId::FIRST;

/// An invocation that has not ended is given again after this; one that lives longer meets its double.
const VISIBILITY_S: i32 = 2;

/// Nothing waits long here: the claims are short, and so is the time after which an unknown attempt is looked up.
const CALL_TIMEOUT_MS: u64 = 1_000;
const UNKNOWN_GRACE_S: u64 = 3;

/// How an invocation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stopped {
    Yes,
    No,
}

/// Runs a future until it waits for the `n`-th time, counted from 1, and drops it there.
pub(crate) async fn stop_at<F: Future>(n: usize, future: F) -> Stopped {
    struct StopAt<F> {
        left: usize,
        future: Pin<Box<F>>,
    }
    impl<F: Future> Future for StopAt<F> {
        type Output = Stopped;

        fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Stopped> {
            if self.future.as_mut().poll(context).is_ready() {
                return Poll::Ready(Stopped::No);
            }
            self.left -= 1;
            if self.left == 0 { Poll::Ready(Stopped::Yes) } else { Poll::Pending }
        }
    }
    StopAt { left: n, future: Box::pin(future) }.await
}

/// A campaign to be worked on.
pub(super) type Job = CampaignId;

pub(super) struct Bench {
    pub(super) simulator: simulator::Running,
    engines: Engines,
    clients: Clients,
    settings: BTreeMap<String, String>,
    secrets: Secrets,
    core: Core,
    bucket: Bucket,
    send: send::Send,
    dispatch: dispatch::Dispatch,
    people: AtomicU64,
    numbers: AtomicUsize,
    campaigns: std::sync::Mutex<Vec<Job>>,
}

impl Bench {
    pub(super) async fn start() -> Self {
        let engines = memory().await;
        let clients = Clients { dynamodb: engines.dynamodb(), sqs: engines.sqs(), s3: engines.s3() };
        schema::create_missing(&clients.dynamodb, "core", "rollup").await.unwrap();
        clients.s3.create_bucket().bucket("data").send().await.unwrap();
        let send_queue = create_queue(&clients.sqs, "send", &[]).await;
        let dispatch_queue = create_queue(&clients.sqs, "dispatch", &[]).await;
        let simulator = simulated_meta().await;
        let settings: BTreeMap<String, String> = [
            ("CORE_TABLE", "core"),
            ("ROLLUP_TABLE", "rollup"),
            ("BUCKET", "data"),
            ("SEND_QUEUE_URL", &send_queue),
            ("DISPATCH_QUEUE_URL", &dispatch_queue),
            ("META_GRAPH_URL", simulator.url().as_str()),
            ("LINK_BASE_URL", "https://go.example"),
            ("LINK_KEYS", "1:000102030405060708090a0b0c0d0e0f"),
            ("PAGE_FORGOTTEN_AFTER_S", "2"),
            ("META_CALL_TIMEOUT_MS", &CALL_TIMEOUT_MS.to_string()),
            ("UNKNOWN_GRACE_S", &UNKNOWN_GRACE_S.to_string()),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
        let secrets = Secrets::in_memory();
        Self {
            core: Core::new(clients.dynamodb.clone(), "core"),
            bucket: Bucket::new(clients.s3.clone(), "data"),
            send: new_send(&settings, &clients, &secrets),
            dispatch: new_dispatch(&settings, &clients),
            simulator,
            engines,
            clients,
            settings,
            secrets,
            people: AtomicU64::new(0),
            numbers: AtomicUsize::new(0),
            campaigns: std::sync::Mutex::default(),
        }
    }

    /// A running campaign from a number of its own to so many new people, its first page noted as given out.
    pub(super) async fn started_campaign(&self, people: u32) -> Job {
        let now = UnixMillis::now();
        let number = 100_000 + self.numbers.fetch_add(1, Ordering::Relaxed);
        let number = NumberIdentity {
            phone_number_id: number.to_string(),
            waba_id: "1".to_owned(),
            display_phone_number: "+1 555-078-3881".to_owned(),
        };
        let mut account = Account::new(AccountId::new(now), WORKSPACE, number, now);
        account.messages_per_second = 500;
        // Deaths in a row are what is tried here.
        account.safety.auto_pause_on_error = false;
        assert!(self.core.create_account(&account).await.unwrap());
        self.secrets.keep_token(WORKSPACE, account.id, &AccessToken::new("token")).await.unwrap();

        let id = CampaignId::new(now);
        let pages = people.div_ceil(PAGE_SIZE);
        for page in 0..pages {
            let seqs = page * PAGE_SIZE..people.min((page + 1) * PAGE_SIZE);
            let recipients: Vec<Recipient> = seqs.map(|seq| self.recipient(seq)).collect();
            let object = key::audience_page(WORKSPACE, id, PageNumber(page));
            self.bucket.put(&object, serde_json::to_vec(&recipients).unwrap(), "application/json").await.unwrap();
        }
        let campaign: Campaign = serde_json::from_value(json!({
            "v": 1, "id": id, "workspace": WORKSPACE, "account": account.id, "name": "Storm", "category": "marketing",
            "variants": [{"name": "A", "weight": 1, "message": {"type": "text", "text": {"body": "Hi"}}}],
            "schedule": {}, "on_unknown": "resend", "links": [], "recipients": people, "skipped": 0, "pages": pages,
            "shards": shards_for(people), "status": "draft", "next_page": 0, "done_before": 0, "created_at": now.0,
        }))
        .unwrap();
        assert!(self.core.create_campaign(&campaign).await.unwrap());
        let start = Transition {
            from: Status::Draft,
            to: Status::Running,
            reason: None,
            paused_by: None,
            at: now,
            due: Some(now),
        };
        assert!(self.core.transition(WORKSPACE, id, &start).await.unwrap());
        self.campaigns.lock().unwrap().push(id);
        id
    }

    fn recipient(&self, seq: u32) -> Recipient {
        let person = self.people.fetch_add(1, Ordering::Relaxed);
        let phone = format!("+60123{person:06}").parse().unwrap();
        Recipient { seq: Seq(seq), phone, name: None, variant: VariantIndex(0), variables: BTreeMap::new() }
    }

    /// An invocation of `send` with the campaign's first page.
    pub(super) async fn send(&self, job: Job) {
        self.core.enqueue_page(WORKSPACE, job, PageNumber(0), 0, UnixMillis::now()).await.unwrap();
        let command = SendCommand::Page { workspace: WORKSPACE, campaign: job, page: PageNumber(0) };
        send::handle(&self.send, event(&json!(command).to_string())).await;
    }

    /// An invocation of `dispatch` with the command that a start gives.
    pub(super) async fn dispatch(&self, job: Job) {
        let command = DispatchCommand::Advance { workspace: WORKSPACE, campaign: job };
        let event = serde_json::to_value(event(&json!(command).to_string())).unwrap();
        let response = dispatch::handle(&self.dispatch, event).await.unwrap();
        assert_eq!(response["batchItemFailures"], json!([]));
    }

    /// Waits until the claims and the grace period of the campaign's people are over.
    pub(super) async fn forget_the_wait(&self, _: Job) {
        tokio::time::sleep(Duration::from_millis(CALL_TIMEOUT_MS * 3 / 2) + Duration::from_secs(UNKNOWN_GRACE_S)).await;
    }

    pub(super) async fn campaign(&self, job: Job) -> Campaign {
        self.core.campaign(WORKSPACE, job).await.unwrap().unwrap()
    }

    /// Lets the functions run undisturbed until every campaign is complete.
    pub(super) async fn run_to_the_end(&self, limit: Duration) {
        self.simulator.set_faults(simulator::Faults::default());
        self.run(limit, || usize::MAX).await;
    }

    /// The same, with each invocation stopped at another await; how many were.
    pub(super) async fn run_with_stops(&self, limit: Duration) -> usize {
        let next = AtomicUsize::new(0);
        // The steps grow: few awaits at first, then far into a page of a hundred people; every sixth invocation lives.
        self.run(limit, || match next.fetch_add(1, Ordering::Relaxed) {
            n if n % 6 == 5 => usize::MAX,
            n => 1 + (n * 7) % 149,
        })
        .await
    }

    async fn run(&self, limit: Duration, stop: impl Fn() -> usize) -> usize {
        let begun = Instant::now();
        let stops = AtomicUsize::new(0);
        let all_complete = async {
            while !self.all_complete().await {
                assert!(begun.elapsed() < limit, "not complete within {limit:?}: {}", self.left_over().await);
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        };
        let senders = futures::future::join_all((0..8).map(|_| self.sender(&stop, &stops)));
        tokio::select! {
            () = all_complete => {}
            _ = senders => {}
            () = self.dispatcher(&stop, &stops) => {}
        }
        stops.into_inner()
    }

    async fn sender(&self, stop: &impl Fn() -> usize, stops: &AtomicUsize) {
        let mut function = new_send(&self.settings, &self.clients, &self.secrets);
        loop {
            let Some((receipt, body)) = self.receive("SEND_QUEUE_URL").await else { continue };
            let ended = std::sync::Mutex::new(None);
            let invocation = async {
                let response = send::handle(&function, event(&body)).await;
                *ended.lock().unwrap() = Some(response.batch_item_failures.is_empty());
            };
            if stop_at(stop(), invocation).await == Stopped::Yes {
                stops.fetch_add(1, Ordering::Relaxed);
                // What the process had in its memory is gone.
                function = new_send(&self.settings, &self.clients, &self.secrets);
            }
            if ended.into_inner().unwrap() == Some(true) {
                self.delete("SEND_QUEUE_URL", receipt).await;
            }
        }
    }

    async fn dispatcher(&self, stop: &impl Fn() -> usize, stops: &AtomicUsize) {
        let mut ticked = Instant::now();
        loop {
            let (receipt, event) = match self.receive("DISPATCH_QUEUE_URL").await {
                Some((receipt, body)) => (Some(receipt), serde_json::to_value(event(&body)).unwrap()),
                None if ticked.elapsed() > Duration::from_secs(1) => {
                    ticked = Instant::now();
                    (None, json!({"source": "aws.scheduler"}))
                }
                None => continue,
            };
            if stop_at(stop(), dispatch::handle(&self.dispatch, event)).await == Stopped::Yes {
                stops.fetch_add(1, Ordering::Relaxed);
            } else if let Some(receipt) = receipt {
                self.delete("DISPATCH_QUEUE_URL", receipt).await;
            }
        }
    }

    async fn receive(&self, queue: &str) -> Option<(String, String)> {
        let receive = self.clients.sqs.receive_message().queue_url(&self.settings[queue]).max_number_of_messages(1);
        let received = receive.visibility_timeout(VISIBILITY_S).wait_time_seconds(0).send().await.unwrap();
        let Some(message) = received.messages.unwrap_or_default().pop() else {
            tokio::time::sleep(Duration::from_millis(20)).await;
            return None;
        };
        Some((message.receipt_handle.unwrap(), message.body.unwrap()))
    }

    async fn delete(&self, queue: &str, receipt: String) {
        let delete = self.clients.sqs.delete_message().queue_url(&self.settings[queue]).receipt_handle(receipt);
        delete.send().await.unwrap();
    }

    fn jobs(&self) -> Vec<Job> {
        self.campaigns.lock().unwrap().clone()
    }

    async fn all_complete(&self) -> bool {
        for job in self.jobs() {
            if self.campaign(job).await.status != Status::Completed {
                return false;
            }
        }
        true
    }

    async fn left_over(&self) -> String {
        let mut left = Vec::new();
        for job in self.jobs() {
            let campaign = self.campaign(job).await;
            if campaign.status == Status::Completed {
                continue;
            }
            let pages = self.core.pages_from(WORKSPACE, job, PageNumber(0)).await.unwrap();
            let attempts = self.core.attempts_of_campaign(WORKSPACE, job, campaign.shards).await.unwrap();
            let standings: Vec<_> = attempts.iter().map(|(_, a)| (a.standing(), a.claim.is_some(), a.number)).collect();
            left.push(format!("{:?} {:?} {pages:?} {standings:?}", campaign.status, campaign.status_reason));
            if left.len() == 3 {
                break;
            }
        }
        left.join("\n")
    }

    /// Meta has exactly one message for each person of each campaign, and every row says so.
    pub(super) async fn everybody_got_one_message(&self) {
        let ledger = self.simulator.ledger();
        let people = usize::try_from(self.people.load(Ordering::Relaxed)).unwrap();
        let twice = ledger.recipients.values().filter(|recipient| recipient.messages.len() > 1).count();
        assert_eq!((twice, ledger.recipients.len()), (0, people), "people with two messages, people with a message");
        let mut rows = 0;
        for job in self.jobs() {
            let campaign = self.campaign(job).await;
            let attempts = self.core.attempts_of_campaign(WORKSPACE, job, campaign.shards).await.unwrap();
            rows += attempts.iter().filter(|(_, attempt)| matches!(attempt.standing(), Standing::Reached(_))).count();
        }
        assert_eq!(rows, people, "rows that say that Meta has the message");
    }

    pub(super) async fn shutdown(self) {
        self.simulator.shutdown().await;
        self.engines.shutdown().await;
    }
}

fn new_send(settings: &BTreeMap<String, String>, clients: &Clients, secrets: &Secrets) -> send::Send {
    let config = send::Config::read(Settings::from_values(settings.clone())).unwrap();
    send::Send::new(config, clients, secrets.clone()).unwrap()
}

fn new_dispatch(settings: &BTreeMap<String, String>, clients: &Clients) -> dispatch::Dispatch {
    let config = dispatch::Config::read(Settings::from_values(settings.clone())).unwrap();
    dispatch::Dispatch::new(config, clients, Secrets::in_memory()).unwrap()
}

fn event(body: &str) -> SqsEvent {
    let mut message = SqsMessage::default();
    (message.message_id, message.body) = (Some("1".to_owned()), Some(body.to_owned()));
    let mut event = SqsEvent::default();
    event.records.push(message);
    event
}

/// A Meta that accepts and delivers to nobody, and whose webhooks go nowhere: what it knows must be asked for.
async fn simulated_meta() -> simulator::Running {
    let nowhere = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let webhook = format!("http://{}", nowhere.local_addr().unwrap()).parse().unwrap();
    tokio::spawn(async move { axum::serve(nowhere, Router::new().fallback(async || Value::Null.to_string())).await });
    let mut config = simulator::Config::new(webhook, "secret");
    config.messages_per_second = 10_000;
    config.behaviour = Behaviour::Exact { delivered: 0, read: 0, clicked: 0, replied: 0, skip_delivered: 0 };
    Simulator::start(TcpListener::bind("127.0.0.1:0").await.unwrap(), config).await.unwrap()
}
