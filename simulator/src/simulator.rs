//! Starting and stopping a simulator, and looking into a running one.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use rand::Rng;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use url::Url;

use crate::agenda;
use crate::browser::Browser;
use crate::clock::Clock;
use crate::config::{Config, ConfigError};
use crate::faults::Faults;
use crate::graph::router;
use crate::journal::{Journal, JournalError};
use crate::ledger::Ledger;
use crate::operator::{ControlError, TemplateChange};
use crate::rate::{RateQuery, Rates};
use crate::server;
use crate::standing::NumberChange;
use crate::webhook::courier::Courier;
use crate::world::{Setup, World};

/// A simulated Cloud API. See the [crate documentation](crate).
#[derive(Debug, Clone, Copy)]
pub struct Simulator;

/// A simulator at work. Dropping it stops it at once, as a crash would; with a journal the next one takes up its work.
#[derive(Debug)]
pub struct Running {
    world: Arc<World>,
}

/// A simulator that cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration makes no sense.
    #[error("configuration")]
    Config(#[from] ConfigError),
    /// The journal cannot be used.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The listener has no address.
    #[error("listener")]
    Listener(#[from] std::io::Error),
    /// The HTTP client for webhooks and links cannot be made.
    #[error("HTTP client")]
    Client(#[from] reqwest::Error),
    /// The listener's address does not make a URL.
    #[error("listener address")]
    Address(#[from] url::ParseError),
}

/// The webhook did not pass the subscription handshake.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// It could not be reached.
    #[error("webhook could not be reached")]
    Unreachable(#[from] reqwest::Error),
    /// It answered with something other than 200.
    #[error("webhook answered {0}")]
    Status(u16),
    /// It did not echo the challenge.
    #[error("webhook answered {got:?} to the challenge {expected:?}")]
    Challenge {
        /// What it had to answer.
        expected: String,
        /// What it answered.
        got: String,
    },
}

impl Simulator {
    /// Starts a simulator on a bound listener and returns when it serves. It lives in tasks of the current tokio runtime.
    ///
    /// # Errors
    /// If the configuration makes no sense or the journal cannot be read.
    pub async fn start(listener: TcpListener, config: Config) -> Result<Running, StartError> {
        config.check()?;
        let config = config.with_wa_ids();
        let graph_url = graph_url(listener.local_addr()?)?;
        let (journal, entries) = match config.journal.clone() {
            // Reading a long journal would hold up the runtime.
            Some(path) => {
                let opened = tokio::task::spawn_blocking(move || Journal::open(&path)).await;
                let (journal, entries) = opened.map_err(std::io::Error::other)??;
                (Some(journal), entries)
            }
            None => (None, Vec::new()),
        };
        let (appointments, inbox) = mpsc::unbounded_channel();
        let world = Arc::new(World::new(Setup {
            courier: Courier::new(&config)?,
            browser: Browser::new()?,
            clock: Clock::start(),
            agenda: appointments,
            config,
            graph_url,
            journal,
        }));
        world.resume(entries);
        world.tasks.spawn(agenda::run(Arc::clone(&world), inbox));
        world.tasks.spawn(server::serve(listener, router::router(&world), Arc::clone(&world)));
        Ok(Running { world })
    }
}

/// The base URL under which a listener can be reached from this machine.
fn graph_url(address: SocketAddr) -> Result<Url, url::ParseError> {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    Url::parse(&format!("http://{}/", SocketAddr::new(ip, address.port())))
}

impl Running {
    /// Base URL of the Graph API, without a version.
    #[must_use]
    pub fn url(&self) -> Url {
        self.world.graph_url.clone()
    }

    /// What has been accepted and what is true of it.
    #[must_use]
    pub fn ledger(&self) -> Ledger {
        self.world.ledger()
    }

    /// How fast send requests came in during a range of time, per number and overall.
    #[must_use]
    pub fn rates(&self, query: &RateQuery) -> Rates {
        self.world.book().rates(query)
    }

    /// Events of people that have not happened yet plus webhooks that have not been acknowledged yet.
    #[must_use]
    pub fn pending(&self) -> u64 {
        self.world.outstanding()
    }

    /// Replaces all faults.
    pub fn set_faults(&self, faults: Faults) {
        self.world.faults().set(faults);
    }

    /// Puts the templates with this id or name into another state and reports it to the webhook; the ids of those changed.
    ///
    /// # Errors
    /// If there is no such template.
    pub async fn change_templates(
        &self,
        id_or_name: &str,
        change: &TemplateChange,
    ) -> Result<Vec<String>, ControlError> {
        self.world.change_templates(id_or_name, change)
    }

    /// Changes how Meta rates a number and reports what has changed to the webhook.
    ///
    /// # Errors
    /// If there is no such number, or it could not send anything any more.
    pub async fn change_number(&self, phone_number_id: &str, change: &NumberChange) -> Result<(), ControlError> {
        self.world.change_number(phone_number_id, change)
    }

    /// Reports an `account_update` to the webhook; `value` holds `event` and the block that belongs to it.
    ///
    /// # Errors
    /// If there is no such account, or no `event`.
    pub async fn update_account(&self, waba_id: &str, value: Value) -> Result<(), ControlError> {
        self.world.update_account(waba_id, value)
    }

    /// Lets all uploaded files expire, as they do by themselves after 30 days; how many these are.
    pub async fn expire_media(&self) -> usize {
        self.world.expire_media()
    }

    /// Performs the subscription handshake: a GET with `hub.mode`, `hub.verify_token` and a challenge to be echoed.
    ///
    /// # Errors
    /// If the webhook cannot be reached, refuses, or does not echo the bare challenge.
    pub async fn verify_subscription(&self) -> Result<(), VerifyError> {
        let config = &self.world.config;
        let challenge = rand::rng().random_range(100_000_000_u64..2_000_000_000).to_string();
        let mut url = config.webhook_url.clone();
        url.query_pairs_mut()
            .append_pair("hub.mode", "subscribe")
            .append_pair("hub.challenge", &challenge)
            .append_pair("hub.verify_token", &config.verify_token);
        let client = reqwest::Client::builder().no_proxy().timeout(config.delivery.timeout).build()?;
        let response = client.get(url).send().await?;
        let status = response.status();
        if status != http::StatusCode::OK {
            return Err(VerifyError::Status(status.as_u16()));
        }
        let got = response.text().await?;
        if got == challenge { Ok(()) } else { Err(VerifyError::Challenge { expected: challenge, got }) }
    }

    /// Stops: requests in flight are answered, webhooks in flight are cut off.
    pub async fn shutdown(self) {
        self.world.stop.cancel();
        self.world.tasks.close();
        self.world.tasks.wait().await;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.world.stop.cancel();
    }
}
