//! The simulator on its own: a Cloud API on a port, for whatever wants to talk to one.
//! Prints its Graph URL on the first line of standard output and runs until it is interrupted.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use simulator::{Behaviour, Config, Delivery, ForcedError, Simulator};
use tokio::net::TcpListener;
use url::Url;

/// A simulated WhatsApp Business Cloud API with people behind it.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Address to listen on.
    #[arg(long, default_value = "127.0.0.1")]
    host: IpAddr,
    /// Port to listen on; 0 takes any free one.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Where webhooks are posted to.
    #[arg(long)]
    webhook_url: Url,
    /// Key of the webhook signatures.
    #[arg(long, env = "META_APP_SECRET")]
    app_secret: String,
    /// Verify token of the subscription handshake.
    #[arg(long, env = "META_VERIFY_TOKEN", default_value = "verify")]
    verify_token: String,
    /// Perform the subscription handshake at start, and end if it fails.
    #[arg(long)]
    verify: bool,
    /// Source of all randomness.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many times faster than in reality people react.
    #[arg(long, default_value_t = 1.0)]
    speed: f64,
    /// Longest reaction time before compression, in seconds.
    #[arg(long, default_value_t = 3_600)]
    max_delay_s: u64,
    /// File in which accepted messages survive the process.
    #[arg(long)]
    journal: Option<PathBuf>,
    /// Exact numbers of people per stage: `delivered,read,clicked,replied,skip_delivered`, as in `240,180,60,80,18`.
    #[arg(long, value_parser = exact)]
    exact: Option<Behaviour>,
    /// Throughput of each number.
    #[arg(long, default_value_t = 80)]
    messages_per_second: u32,
    /// Most updates in one webhook POST.
    #[arg(long, default_value_t = Delivery::default().batch_max)]
    batch_max: usize,
    /// How many times each update is delivered.
    #[arg(long, default_value_t = 1)]
    repeat: u32,
    /// Deliver out of order within this many milliseconds.
    #[arg(long)]
    shuffle_ms: Option<u64>,
    /// A phone whose messages are refused, as in `+15550001111=131030`. May be repeated.
    #[arg(long, value_parser = phone_and_code)]
    refuse: Vec<(String, i64)>,
    /// A phone whose messages fail after acceptance, as in `+15550001111=131026`. May be repeated.
    #[arg(long, value_parser = phone_and_code)]
    fail: Vec<(String, i64)>,
}

fn exact(text: &str) -> Result<Behaviour, String> {
    let counts: Result<Vec<u64>, _> = text.split(',').map(|count| count.trim().parse()).collect();
    match counts.as_deref() {
        Ok(&[delivered, read, clicked, replied, skip_delivered]) => {
            Ok(Behaviour::Exact { delivered, read, clicked, replied, skip_delivered })
        }
        _ => Err("expected five counts: delivered,read,clicked,replied,skip_delivered".to_owned()),
    }
}

fn phone_and_code(text: &str) -> Result<(String, i64), String> {
    let parsed = text.rsplit_once('=').and_then(|(phone, code)| Some((phone.to_owned(), code.parse().ok()?)));
    parsed.ok_or_else(|| "expected PHONE=CODE".to_owned())
}

impl Arguments {
    fn config(self) -> Config {
        let mut config = Config::new(self.webhook_url, self.app_secret);
        let refused = self.refuse.into_iter().map(|(phone, code)| (phone, ForcedError::Sync(code)));
        let failed = self.fail.into_iter().map(|(phone, code)| (phone, ForcedError::Async(code)));
        config.forced = refused.chain(failed).collect::<BTreeMap<_, _>>();
        config.verify_token = self.verify_token;
        config.seed = self.seed;
        config.speed = self.speed;
        config.max_delay = Duration::from_secs(self.max_delay_s);
        config.journal = self.journal;
        config.behaviour = self.exact.unwrap_or_default();
        config.messages_per_second = self.messages_per_second;
        config.delivery.batch_max = self.batch_max;
        config.delivery.repeat = self.repeat;
        config.delivery.shuffle = self.shuffle_ms.map(Duration::from_millis);
        config
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "info".into());
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let arguments = Arguments::parse();
    let verify = arguments.verify;
    let listener = TcpListener::bind(SocketAddr::new(arguments.host, arguments.port)).await?;
    let running = Simulator::start(listener, arguments.config()).await?;
    writeln!(std::io::stdout(), "{}", running.url())?;
    if verify {
        running.verify_subscription().await?;
    }
    tokio::signal::ctrl_c().await?;
    running.shutdown().await;
    Ok(())
}
