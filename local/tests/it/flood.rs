//! Nothing is lost and nothing counted twice: a flood of mixed events with a known truth, each delivered three times and
//! shuffled, while DynamoDB, SQS and S3 fail and the process is killed. In the end every row and every counter is held
//! against the truth.
//!
//! The large run, with its figures (events, and what else can be set, by environment variables):
//!
//! `EVENTS=1000000 cargo test --profile flood -p local --test it flood::a_million -- --ignored --nocapture`
//!
//! With `FLOOD_FOLDER` it leaves there what it has taken in, and `flood::what_is_left` holds that against the truth once more.

mod archive;
mod check;
mod counters;
mod meter;
mod parquet;
pub(crate) mod process;
pub(crate) mod seeding;
pub(crate) mod wire;
pub(crate) mod world;

use std::fmt::Debug;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use aws_sdk_sqs::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_sqs::types::{QueueAttributeName, SendMessageBatchRequestEntry};
use local::drivers::Mischief;
use local::stack::Stack;
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use rand::{Rng as _, SeedableRng as _};
use serde::{Deserialize, Serialize};
use shared::meta::signature::{AppSecret, sign};
use shared::time::UnixMillis;
use tokio::sync::watch;

use self::meter::Meter;
use self::process::{Address, Process};
use self::wire::Place;
use self::world::World;

/// How often each update comes.
const COPIES: usize = 3;

/// Requests under way at once.
const SENDERS: usize = 6;

/// So many messages may wait in the events queue: their bodies lie in the engine's memory.
const BACKLOG: usize = 100;

/// What a run is made of.
struct Plan {
    /// Different updates and clicks.
    events: usize,
    seed: u64,
    /// How often the process is killed.
    kills: usize,
    /// Seconds after which the events queue hands out again what was not finished; absent as `local` has it.
    visibility: Option<u64>,
    /// After this it is taken for stuck.
    limit: Duration,
}

impl Plan {
    /// From `EVENTS`, `SEED` and `KILLS`.
    fn from_environment(events: usize, kills: usize) -> Self {
        let limit = Duration::from_secs(7_200);
        Self { events: of("EVENTS", events), seed: of("SEED", 1), kills: of("KILLS", kills), visibility: None, limit }
    }
}

fn of<T: FromStr<Err: Debug>>(name: &str, default: T) -> T {
    std::env::var(name).map_or(default, |value| value.parse().unwrap())
}

/// Something that comes in at once.
enum Post {
    Notification(Vec<Place>),
    /// Clicks: at most ten, as SQS takes them.
    Clicks(Vec<Place>),
}

impl Post {
    fn len(&self) -> usize {
        match self {
            Self::Notification(places) | Self::Clicks(places) => places.len(),
        }
    }
}

/// Everything that comes in, in its order: each update three times, in notifications of 1 to 1,000.
fn posts(world: &World, random: &mut StdRng) -> Vec<Post> {
    let (mut updates, mut clicks) = (Vec::new(), Vec::new());
    for n in world.numbers() {
        let life = world.life(n);
        let places = |count: usize| (0..count).map(move |k| (n, u8::try_from(k).unwrap()));
        for _ in 0..COPIES {
            updates.extend(places(life.updates.len()));
            clicks.extend(places(life.clicks.len()));
        }
    }
    updates.shuffle(random);
    clicks.shuffle(random);
    let mut posts: Vec<Post> = clicks.chunks(10).map(|chunk| Post::Clicks(chunk.to_vec())).collect();
    let mut rest = &updates[..];
    while !rest.is_empty() {
        let size = match random.random_range(0..20) {
            0..10 => random.random_range(1..10),
            10..16 => random.random_range(10..100),
            16..19 => random.random_range(100..500),
            _ => 1_000,
        };
        let (now, later) = rest.split_at(size.min(rest.len()));
        posts.push(Post::Notification(now.to_vec()));
        rest = later;
    }
    posts.shuffle(random);
    posts
}

/// Runs a plan; fails when anything differs from the truth. The highest memory of the run's first and of its last half, in MiB.
async fn flood(plan: &Plan) -> (u64, u64) {
    let temporary = tempfile::tempdir().unwrap();
    let kept = std::env::var_os("FLOOD_FOLDER").map(PathBuf::from);
    let folder = kept.as_deref().unwrap_or(temporary.path());
    let world = World::new(plan.seed, plan.events);
    let begun = Instant::now();
    let stack = Stack::start(process::options(folder, Mischief::default())).await.unwrap();
    seeding::seed(&world, &stack.tables().0).await;
    stack.shutdown().await;
    println!("{} events of {} attempts; written in {:?}", world.events, world.numbers().len(), begun.elapsed());

    let posts = posts(&world, &mut StdRng::seed_from_u64(plan.seed));
    let updates: usize = posts.iter().map(Post::len).sum();
    println!("{updates} updates in {} notifications and batches of clicks", posts.len());
    let (meter, begun) = (Meter::new(), Instant::now());
    let poured = Poured { world, from: UnixMillis::now() };
    std::fs::write(folder.join(POURED), serde_json::to_vec(&poured).unwrap()).unwrap();
    tokio::select! {
        () = meter.run() => {}
        () = tokio::time::sleep(plan.limit) => panic!("stuck: {} of {updates}", meter.done.load(Ordering::Relaxed)),
        () = pour(plan, &poured.world, &posts, folder, &meter) => {}
    }
    let took = begun.elapsed().as_secs_f64();
    let events = poured.world.events as f64;
    println!("taken in within {took:.0} s: {:.0} events/s, {:.0} updates/s", events / took, updates as f64 / took);
    let memory = meter.report();
    poured.is_all_there(folder).await;
    memory
}

/// What was poured into a folder, and since when.
#[derive(Serialize, Deserialize)]
struct Poured {
    world: World,
    from: UnixMillis,
}

/// The file that says so.
const POURED: &str = "poured.json";

impl Poured {
    /// Holds what lies in the folder against the truth.
    async fn is_all_there(&self, folder: &Path) {
        let Self { world, from } = self;
        let stack = Stack::start(process::options(folder, Mischief::default())).await.unwrap();
        counters_come_to_rest(world, &stack).await;
        let wrong = check::differences(world, &stack, *from).await;
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        let (overflow, _) = objects(&folder.join("s3"));
        println!("every row and every counter is as it must be; {overflow} objects in the bucket");
        stack.shutdown().await;
    }
}

/// Sends everything while the process is killed now and then; comes back when all of it was taken in.
async fn pour(plan: &Plan, world: &World, posts: &[Post], folder: &Path, meter: &Meter) {
    let updates: usize = posts.iter().map(Post::len).sum();
    let process = Process::start(folder, plan.seed, plan.visibility).await;
    meter.watch(process.id());
    let (address, seen) = watch::channel(process.address.clone());
    let hold = AtomicBool::new(false);
    let next = std::sync::Mutex::new(posts.iter());
    let senders = futures::future::join_all((0..SENDERS).map(|_| async {
        let mut to = Sender::new(seen.clone());
        loop {
            let Some(post) = next.lock().unwrap().next() else { return };
            while hold.load(Ordering::Relaxed) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            to.deliver(world, post).await;
            meter.done.fetch_add(post.len(), Ordering::Relaxed);
        }
    }));
    let killer = async {
        let mut process = process;
        for kill in 1..=plan.kills {
            let at = updates * kill / (plan.kills + 1);
            while meter.done.load(Ordering::Relaxed) < at {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            process.kill();
            process = Process::start(folder, plan.seed + kill as u64, plan.visibility).await;
            meter.watch(process.id());
            address.send_replace(process.address.clone());
        }
        process
    };
    let watcher = async {
        let queue = EventsQueue::new(seen.clone());
        loop {
            let waiting = queue.waiting().await;
            hold.store(waiting.is_none_or(|waiting| waiting > BACKLOG), Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let process = tokio::select! {
        (_, process) = async { tokio::join!(senders, killer) } => process,
        () = watcher => unreachable!("it goes on for ever"),
    };
    EventsQueue::new(seen.clone()).until_empty().await;
    process.end();
}

/// Sends as Meta does: until it was acknowledged.
struct Sender {
    http: reqwest::Client,
    address: watch::Receiver<Address>,
    queue: EventsQueue,
}

impl Sender {
    fn new(address: watch::Receiver<Address>) -> Self {
        let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(30)).build().unwrap();
        Self { http, queue: EventsQueue::new(address.clone()), address }
    }

    async fn deliver(&mut self, world: &World, post: &Post) {
        match post {
            Post::Notification(places) => {
                let body = wire::notification(world, places);
                while !self.is_acknowledged(&body).await {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
            Post::Clicks(places) => {
                let clicks = places.iter().map(|(n, k)| {
                    let life = world.life(*n);
                    wire::click(world, &life, &life.clicks[usize::from(*k)])
                });
                let clicks: Vec<String> = clicks.collect();
                while !self.queue.send(&clicks).await {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
        }
    }

    async fn is_acknowledged(&self, body: &str) -> bool {
        let address = self.address.borrow().clone();
        let signature = sign(body.as_bytes(), &AppSecret::new(&address.app_secret).unwrap());
        let post = self.http.post(format!("{}/webhooks/meta", address.base_url));
        let post = post.header("content-type", "application/json").header("x-hub-signature-256", signature);
        match post.body(body.to_owned()).send().await {
            Ok(response) if response.status().is_server_error() => false,
            Ok(response) => {
                assert!(response.status().is_success(), "{}", response.status());
                true
            }
            Err(_) => false,
        }
    }
}

/// The queue of the process that runs now.
struct EventsQueue {
    address: watch::Receiver<Address>,
    http: aws_sdk_sqs::config::SharedHttpClient,
}

const EVENTS: &str = "thirdtick-events";
const DEAD_LETTERS: &str = "thirdtick-events-dead-letters";

impl EventsQueue {
    fn new(address: watch::Receiver<Address>) -> Self {
        Self { address, http: aws_smithy_http_client::Builder::new().build_http() }
    }

    fn client(&self) -> (aws_sdk_sqs::Client, String) {
        let url = self.address.borrow().sqs_url.clone();
        let config = aws_sdk_sqs::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::from_static(local::engines::REGION))
            .credentials_provider(Credentials::new("local", "local", None, None, "flood"))
            .endpoint_url(&url)
            .http_client(self.http.clone());
        (aws_sdk_sqs::Client::from_conf(config.build()), format!("{url}/{}", local::engines::ACCOUNT))
    }

    async fn send(&self, bodies: &[String]) -> bool {
        let (client, url) = self.client();
        let entries = bodies.iter().enumerate().map(|(n, body)| {
            SendMessageBatchRequestEntry::builder().id(n.to_string()).message_body(body).build().unwrap()
        });
        let sent = client.send_message_batch().queue_url(format!("{url}/{EVENTS}"));
        sent.set_entries(Some(entries.collect())).send().await.is_ok_and(|sent| sent.failed.is_empty())
    }

    /// Messages that nobody has received; `None` when the queue does not answer.
    async fn waiting(&self) -> Option<usize> {
        self.count(EVENTS, &[QueueAttributeName::ApproximateNumberOfMessages]).await
    }

    async fn count(&self, queue: &str, names: &[QueueAttributeName]) -> Option<usize> {
        let (client, url) = self.client();
        let asked = client.get_queue_attributes().queue_url(format!("{url}/{queue}"));
        let answer = asked.set_attribute_names(Some(names.to_vec())).send().await.ok()?;
        Some(answer.attributes?.values().map(|count| count.parse::<usize>().unwrap()).sum())
    }

    /// Waits until everything was taken in. What was given up after too many deliveries is given in again, as an operator
    /// would.
    async fn until_empty(&self) {
        use QueueAttributeName::{
            ApproximateNumberOfMessages, ApproximateNumberOfMessagesDelayed, ApproximateNumberOfMessagesNotVisible,
        };
        let all =
            [ApproximateNumberOfMessages, ApproximateNumberOfMessagesDelayed, ApproximateNumberOfMessagesNotVisible];
        let (mut redriven, mut before) = (0, usize::MAX);
        loop {
            let dead = self.count(DEAD_LETTERS, &all).await.unwrap_or(usize::MAX);
            if dead > 0 && dead < usize::MAX {
                redriven += dead;
                let (client, _) = self.client();
                let arn = format!("arn:aws:sqs:{}:{}:{DEAD_LETTERS}", local::engines::REGION, local::engines::ACCOUNT);
                client.start_message_move_task().source_arn(arn).send().await.ok();
            }
            let left = self.count(EVENTS, &all).await.unwrap_or(usize::MAX);
            if (before, dead, left) == (0, 0, 0) {
                break;
            }
            before = dead.saturating_add(left);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        println!("{redriven} messages were given up and given in again");
    }
}

/// The stream is behind the rows; it has to come to its end. How long that takes depends on how far it is behind, so it
/// is given up only when nothing moves any more.
async fn counters_come_to_rest(world: &World, stack: &Stack) {
    let expected = counters::expected(world);
    let (begun, mut moved, mut before) = (Instant::now(), Instant::now(), None);
    loop {
        let found = counters::found(world, stack).await;
        if found == expected {
            println!("the counters were complete {:?} after the last start", begun.elapsed());
            return;
        }
        if before.as_ref() != Some(&found) {
            (moved, before) = (Instant::now(), Some(found));
        } else if moved.elapsed() > Duration::from_secs(60) {
            // What differs is told by the check.
            return;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// Files under a folder, and their bytes.
fn objects(folder: &Path) -> (usize, u64) {
    let Ok(entries) = std::fs::read_dir(folder) else { return (0, 0) };
    entries.flatten().fold((0, 0), |(files, bytes), entry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => {
            let (more, more_bytes) = objects(&entry.path());
            (files + more, bytes + more_bytes)
        }
        Ok(metadata) => (files + 1, bytes + metadata.len()),
        Err(_) => (files, bytes),
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_through_faults_and_a_kill_ends_in_the_truth() {
    let plan = Plan::from_environment(1_500, 1);
    // Nobody wants to wait a minute for what a kill has left.
    flood(&Plan { visibility: Some(20), ..plan }).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes half an hour; prints its figures"]
async fn a_million_events_through_faults_and_kills_end_in_the_truth() {
    let (first, second) = flood(&Plan::from_environment(1_000_000, 12)).await;
    assert!(second < first * 3 / 2, "the memory grows: {first} MiB, then {second} MiB");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "FLOOD_FOLDER names what a flood has left"]
async fn what_is_left_of_a_flood_is_the_truth() {
    let folder = PathBuf::from(std::env::var_os("FLOOD_FOLDER").expect("FLOOD_FOLDER names what a flood has left"));
    let poured: Poured = serde_json::from_slice(&std::fs::read(folder.join(POURED)).unwrap()).unwrap();
    poured.is_all_there(&folder).await;
}
