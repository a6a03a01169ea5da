//! What the first visitor of a new instance waits for: a release bootstrap from its start to its first answer, as Lambda runs
//! it, against a stand-in for the runtime API and the embedded engines behind TLS, which is most of what a first call costs.
//!
//! Time on a processor is what counts: at 512 MB Lambda gives an invocation 29 % of one (1,769 MB is a whole one; AWS Lambda,
//! "Configure memory"), and a start on demand a whole one (AWS Serverless Land, "Utilize initialization phase"). What is
//! computed from that is an estimate: the network, Lambda's own part of a start, its arm64 processors and AWS's longer chains
//! of certificates are not in it. Run by `scripts/bench-redirect`, which builds what it needs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use local::engines::Engines;
use rcgen::CertifiedKey;
use serde_json::Value;
use shared::attempt::Seq;
use shared::link::ShortLinks;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::front::Front;
use crate::redirect_speed::{KEYS, deployment};
use crate::support::memory;

const STARTS: usize = 20;

/// What a processor gives an invocation at 512 MB.
const SHARE: f64 = 512.0 / 1_769.0;

/// Lambda's runtime API for one function.
#[derive(Clone)]
struct RuntimeApi {
    event: String,
    told: mpsc::UnboundedSender<Told>,
    /// One permit an event that is handed out.
    invocations: Arc<Semaphore>,
}

#[derive(Debug)]
enum Told {
    /// The function has asked for an event.
    Ready,
    Answered(Value),
}

async fn next(State(api): State<RuntimeApi>) -> impl IntoResponse {
    _ = api.told.send(Told::Ready);
    api.invocations.acquire().await.unwrap().forget();
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("lambda-runtime-aws-request-id", "8476a536-e9f4-11e8-9739-2dfe598c3fcd"),
        ("lambda-runtime-deadline-ms", "4102444800000"),
        ("lambda-runtime-invoked-function-arn", "arn:aws:lambda:eu-west-1:123456789012:function:measured"),
        ("lambda-runtime-trace-id", "Root=1-6ab13b80-0a1b2c3d4e5f60718293a4b5"),
        ("content-type", "application/json"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    (headers, api.event)
}

async fn answered(State(api): State<RuntimeApi>, body: Bytes) -> StatusCode {
    _ = api.told.send(Told::Answered(serde_json::from_slice(&body).unwrap_or_default()));
    StatusCode::ACCEPTED
}

/// A certificate for the loopback, and the file of authorities that believes in it: the system's (Debian's place), which a
/// function reads at its start, and one more.
fn certificate(folder: &Path) -> (ServerConfig, PathBuf) {
    let CertifiedKey { cert, signing_key } = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let system = std::fs::read_to_string("/etc/ssl/certs/ca-certificates.crt").unwrap();
    let authorities = folder.join("authorities.pem");
    std::fs::write(&authorities, format!("{system}\n{}", cert.pem())).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(signing_key.serialize_der()));
    let config = ServerConfig::builder().with_no_client_auth().with_single_cert(vec![cert.der().clone()], key).unwrap();
    (config, authorities)
}

/// How long all threads of a process have been on a processor (Linux, `/proc/…/schedstat`).
fn on_processor(process: u32) -> Duration {
    let threads = std::fs::read_dir(format!("/proc/{process}/task")).unwrap();
    let nanos = threads.map(|thread| {
        let text = std::fs::read_to_string(thread.unwrap().path().join("schedstat")).unwrap_or_default();
        text.split(' ').next().and_then(|nanos| nanos.parse::<u64>().ok()).unwrap_or(0)
    });
    Duration::from_nanos(nanos.sum())
}

/// One start.
struct Start {
    /// Until it asked for an event.
    init: Duration,
    init_processor: Duration,
    /// From the event to the answer.
    first: Duration,
    first_processor: Duration,
    second_processor: Duration,
}

async fn start(bootstrap: &Path, event: &str, settings: &BTreeMap<String, String>, status: u16) -> Start {
    let (told, mut heard) = mpsc::unbounded_channel();
    let invocations = Arc::new(Semaphore::new(0));
    let router = Router::new()
        .route("/2018-06-01/runtime/invocation/next", get(next))
        .route("/2018-06-01/runtime/invocation/{id}/response", post(answered))
        .with_state(RuntimeApi { event: event.to_owned(), told, invocations: Arc::clone(&invocations) });
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(async move { axum::serve(listener, router).await });
    let begun = Instant::now();
    let mut function = tokio::process::Command::new(bootstrap)
        .env_clear()
        .envs(settings)
        .env("AWS_LAMBDA_RUNTIME_API", address.to_string())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let process = function.id().unwrap();
    let mut hear = async || tokio::time::timeout(Duration::from_secs(10), heard.recv()).await.unwrap().unwrap();
    assert!(matches!(hear().await, Told::Ready));
    let (init, init_processor) = (begun.elapsed(), on_processor(process));
    let mut invoke = async || {
        let (begun, before) = (Instant::now(), on_processor(process));
        invocations.add_permits(1);
        let Told::Answered(answer) = hear().await else { panic!("it asked again before it answered") };
        let took = begun.elapsed();
        assert_eq!(answer["statusCode"], status, "{answer}");
        assert!(matches!(hear().await, Told::Ready));
        (took, on_processor(process).saturating_sub(before))
    };
    let (first, first_processor) = invoke().await;
    let (_, second_processor) = invoke().await;
    function.kill().await.unwrap();
    server.abort();
    Start { init, init_processor, first, first_processor, second_processor }
}

fn median(starts: &[Start], of: impl Fn(&Start) -> Duration) -> f64 {
    let mut times: Vec<_> = starts.iter().map(of).collect();
    times.sort();
    times[times.len() / 2].as_secs_f64() * 1_000.0
}

/// Starts a function so many times and prints what it took.
async fn measure(name: &str, event: &str, settings: &BTreeMap<String, String>, status: u16) {
    let folder = std::env::var("BOOTSTRAPS").expect("BOOTSTRAPS names the folder of the release binaries");
    let bootstrap = Path::new(&folder).join(name);
    let size = std::fs::metadata(&bootstrap).unwrap().len();
    let mut starts = Vec::new();
    for _ in 0..STARTS {
        starts.push(start(&bootstrap, event, settings, status).await);
    }
    let ms = |of: fn(&Start) -> Duration| median(&starts, of);
    let (first, second) = (ms(|start| start.first_processor), ms(|start| start.second_processor));
    println!("{name}: {:.1} MiB; medians of {STARTS} starts", size as f64 / f64::from(1_u32 << 20));
    let init = ms(|start| start.init_processor);
    println!("  from its start to ready: {:.1} ms, {init:.1} on a processor", ms(|start| start.init));
    println!(
        "  the first answer: {:.1} ms, {first:.1} on a processor; the second: {second:.1}",
        ms(|start| start.first)
    );
    println!("  both at 512 MB, estimated: {init:.0} + {:.0} ms", first / SHARE);
}

fn sample(name: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../events").join(name)).unwrap()
}

/// What Lambda tells a function besides its own settings.
async fn environment(engines: &Engines, folder: &Path) -> BTreeMap<String, String> {
    let (config, authorities) = certificate(folder);
    let tls = TlsAcceptor::from(Arc::new(config));
    let given = [
        ("AWS_LAMBDA_FUNCTION_NAME", "measured"),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512"),
        ("AWS_LAMBDA_FUNCTION_VERSION", "1"),
        ("AWS_LAMBDA_LOG_STREAM_NAME", "local"),
        ("AWS_LAMBDA_LOG_GROUP_NAME", "local"),
        ("AWS_REGION", "eu-west-1"),
        ("AWS_ACCESS_KEY_ID", "local"),
        ("AWS_SECRET_ACCESS_KEY", "local"),
        ("AWS_ENDPOINT_URL_DYNAMODB", &Front::with_tls(engines.dynamodb_url(), tls.clone()).await.url()),
        ("AWS_ENDPOINT_URL_SQS", &Front::with_tls(engines.sqs_url(), tls).await.url()),
        ("SSL_CERT_FILE", authorities.to_str().unwrap()),
        ("RUST_LOG", "error"),
    ];
    given.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement: scripts/bench-redirect"]
async fn cold_starts_of_the_functions_that_somebody_waits_for() {
    let (engines, folder) = (memory().await, tempfile::tempdir().unwrap());
    let (mut settings, links) = deployment(&engines).await;
    settings.append(&mut environment(&engines, folder.path()).await);
    let code = ShortLinks::new("", KEYS.parse().unwrap()).of_recipient(&links[7], Seq(7)).unwrap().code;
    let click = sample("redirect-get.json").replace("F2KIc8oQLFvS", &code);
    measure("redirect", &click, &settings, 302).await;

    let more = [("META_APP_SECRET", "test_app_secret"), ("META_VERIFY_TOKEN", "test_verify_token"), ("BUCKET", "data")];
    settings.extend(more.map(|(name, value)| (name.to_owned(), value.to_owned())));
    measure("webhook", &sample("webhook-post.json"), &settings, 200).await;
}
