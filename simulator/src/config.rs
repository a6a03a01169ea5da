//! Everything that can be set before the simulator starts: who answers, how people behave, how webhooks are delivered.
//! Faults that tests switch on and off while it runs are in [`crate::Faults`].

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use url::Url;

use crate::identity;
use crate::number::NumberPolicy;
use crate::template::{Template, TemplatePolicy};

/// Throughput that Meta gives a business phone number by default, in messages per second.
pub(crate) const DEFAULT_MESSAGES_PER_SECOND: u32 = 80;

/// Most updates that Meta puts into one webhook POST (Graph API webhooks, "Payload limits").
pub(crate) const MAX_UPDATES_PER_POST: usize = 1_000;

/// How a simulator is set up. [`Config::new`] fills in everything but the webhook's address and secret.
#[derive(Debug, Clone)]
pub struct Config {
    /// Source of every random choice: the same seed gives the same people with the same plans.
    pub seed: u64,
    /// How many times faster than in reality people react and webhooks are retried. Never changes Meta's rate limits.
    pub speed: f64,
    /// Key of the HMAC over each webhook body.
    pub app_secret: String,
    /// Where webhooks are posted to.
    pub webhook_url: Url,
    /// `hub.verify_token` of the subscription handshake.
    pub verify_token: String,
    /// Which phone number ids exist.
    pub numbers: NumberPolicy,
    /// WhatsApp Business Account of the numbers that have none of their own.
    pub waba_id: String,
    /// Messages accepted per second and number before 130429, unless the number has its own figure. Meta counts what
    /// people write as well; that is left out here because [`Config::speed`] makes people write faster than they do.
    pub messages_per_second: u32,
    /// People to whom all numbers of an account together may write first within 24 hours; `None` is no limit. Messages over it
    /// are accepted and fail with 131048, which is what senders report (Meta documents nothing). Who has written to the
    /// number within 24 hours does not count. A tier that is set while the simulator runs replaces the figure.
    pub portfolio_limit: Option<u32>,
    /// Templates that every account has from the start. Empty means that any template of any shape exists and is a marketing
    /// template, unless [`Config::template_policy`] says otherwise.
    pub templates: Vec<Template>,
    /// What happens to a send whose template is not in the catalogue.
    pub template_policy: TemplatePolicy,
    /// How long a new or edited template waits for its review, before [`Config::speed`] compresses it. Meta says up to 24
    /// hours, and it is usually minutes. The review rejects a template with `[reject]` in its text and approves any other.
    pub template_review: Duration,
    /// What people do with a message.
    pub behaviour: Behaviour,
    /// Phones (international, in any notation) that always end in an error, whatever [`Config::behaviour`] says.
    pub forced: BTreeMap<String, ForcedError>,
    /// Share (0 to 1) of messages with a link that a preview fetcher (not a person) requests as well.
    pub preview_share: f64,
    /// Addresses that people click from, sent as `X-Forwarded-For`. Must not be empty.
    pub origins: Vec<Origin>,
    /// How webhooks are delivered.
    pub delivery: Delivery,
    /// File in which accepted messages survive the process. `None` keeps everything in memory.
    pub journal: Option<PathBuf>,
    /// Longest time between acceptance and a person's last reaction, before [`Config::speed`] compresses it.
    pub max_delay: Duration,
}

impl Config {
    /// A simulator in real time with default people that accepts any phone number id.
    #[must_use]
    pub fn new(webhook_url: Url, app_secret: impl Into<String>) -> Self {
        Self {
            seed: 1,
            speed: 1.0,
            app_secret: app_secret.into(),
            webhook_url,
            verify_token: "verify".to_owned(),
            numbers: NumberPolicy::Any,
            waba_id: "104996122399160".to_owned(),
            messages_per_second: DEFAULT_MESSAGES_PER_SECOND,
            portfolio_limit: None,
            templates: Vec::new(),
            template_policy: TemplatePolicy::default(),
            template_review: Duration::from_secs(60),
            behaviour: Behaviour::default(),
            forced: BTreeMap::new(),
            preview_share: 0.25,
            origins: Origin::defaults(),
            delivery: Delivery::default(),
            journal: None,
            max_delay: Duration::from_secs(60 * 60),
        }
    }

    /// Checks every field that has a range.
    ///
    /// # Errors
    /// The first field that is out of its range.
    pub fn check(&self) -> Result<(), ConfigError> {
        if !(self.speed.is_finite() && self.speed > 0.0) {
            return Err(ConfigError::Speed(self.speed));
        }
        if self.origins.is_empty() {
            return Err(ConfigError::NoOrigins);
        }
        if self.messages_per_second == 0 {
            return Err(ConfigError::NoThroughput);
        }
        let delivery = &self.delivery;
        if !(1..=MAX_UPDATES_PER_POST).contains(&delivery.batch_max) {
            return Err(ConfigError::BatchMax(delivery.batch_max));
        }
        if delivery.repeat == 0 || delivery.concurrency == 0 {
            return Err(ConfigError::DeliveryNever);
        }
        let mut shares = vec![("preview_share", self.preview_share), ("early_sent_share", delivery.early_sent_share)];
        match &self.behaviour {
            Behaviour::Natural(natural) => shares.extend(natural.named()),
            Behaviour::Exact { delivered, read, clicked, replied, skip_delivered } => {
                if read > delivered || clicked > read || replied > read || skip_delivered > read {
                    return Err(ConfigError::NotNested);
                }
            }
        }
        if let Some(phone) = self.forced.keys().find(|phone| identity::phone_digits(phone).is_none()) {
            return Err(ConfigError::Phone(phone.clone()));
        }
        match shares.into_iter().find(|(_, share)| !(0.0..=1.0).contains(share)) {
            Some((field, share)) => Err(ConfigError::Share { field, share }),
            None => Ok(()),
        }
    }
}

impl Config {
    /// The same configuration with forced phones under their `wa_id`, so that a message finds its own by one look-up.
    pub(crate) fn with_wa_ids(mut self) -> Self {
        let forced = std::mem::take(&mut self.forced).into_iter();
        let by_wa_id = |(phone, error): (String, _)| Some((identity::wa_id(&identity::phone_digits(&phone)?), error));
        self.forced = forced.filter_map(by_wa_id).collect();
        self
    }
}

/// A setting that makes no sense.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// Time can only run forward.
    #[error("speed must be a positive number, not {0}")]
    Speed(f64),
    /// People need at least one address to click from.
    #[error("origins must not be empty")]
    NoOrigins,
    /// A number that accepts nothing.
    #[error("messages_per_second must be at least 1")]
    NoThroughput,
    /// Meta never sends more than 1,000 updates at once.
    #[error("batch_max must be from 1 to 1000, not {0}")]
    BatchMax(usize),
    /// No webhook would ever leave.
    #[error("delivery repeat and concurrency must be at least 1")]
    DeliveryNever,
    /// A stage of [`Behaviour::Exact`] is larger than the one it is part of.
    #[error("exact counts must be nested: clicked, replied and skip_delivered within read, read within delivered")]
    NotNested,
    /// A forced phone that is no phone.
    #[error("forced: {0:?} is not an international phone number")]
    Phone(String),
    /// A probability outside 0 to 1.
    #[error("{field} must be from 0 to 1, not {share}")]
    Share {
        /// Name of the field.
        field: &'static str,
        /// Its value.
        share: f64,
    },
}

/// What people do with the messages they get.
#[derive(Debug, Clone, PartialEq)]
pub enum Behaviour {
    /// Each message draws its fate from shares.
    Natural(Shares),
    /// Fixed numbers of people reach each stage, nobody fails and nobody opts out. People are ranked by the order in which
    /// their first message was accepted, and every stage is taken from the front: the first `delivered` people get the
    /// message, the first `read` of them read it, and so on. A person does the same with each further message.
    /// Nobody can click in a message without a link.
    Exact {
        /// People to whom the message is delivered.
        delivered: u64,
        /// People who read it, out of those.
        read: u64,
        /// People who open its link, out of the readers.
        clicked: u64,
        /// People who answer, out of the readers.
        replied: u64,
        /// Readers for whom Meta reports `read` but never `delivered`.
        skip_delivered: u64,
    },
}

impl Default for Behaviour {
    fn default() -> Self {
        Self::Natural(Shares::default())
    }
}

/// Probabilities (0 to 1) of [`Behaviour::Natural`].
#[derive(Debug, Clone, PartialEq)]
pub struct Shares {
    /// Of accepted messages: fail after acceptance (131026 and its siblings).
    pub failed: f64,
    /// Of messages that do not fail: reach a device.
    pub delivered: f64,
    /// Of delivered messages: are read.
    pub read: f64,
    /// Of read messages with a link: it is opened.
    pub clicked: f64,
    /// Of clicks: the same person opens the link once more.
    pub clicked_again: f64,
    /// Of read messages: are answered.
    pub replied: f64,
    /// Of answers: quote the message they answer.
    pub quoted: f64,
    /// Of read messages: the person writes STOP.
    pub opted_out: f64,
    /// Of read messages: read at once, so that Meta never reports `delivered`.
    pub skip_delivered: f64,
}

impl Default for Shares {
    fn default() -> Self {
        Self {
            failed: 0.02,
            delivered: 0.96,
            read: 0.75,
            clicked: 0.30,
            clicked_again: 0.10,
            replied: 0.20,
            quoted: 0.5,
            opted_out: 0.01,
            skip_delivered: 0.10,
        }
    }
}

impl Shares {
    fn named(&self) -> [(&'static str, f64); 9] {
        [
            ("failed", self.failed),
            ("delivered", self.delivered),
            ("read", self.read),
            ("clicked", self.clicked),
            ("clicked_again", self.clicked_again),
            ("replied", self.replied),
            ("quoted", self.quoted),
            ("opted_out", self.opted_out),
            ("skip_delivered", self.skip_delivered),
        ]
    }
}

/// An error that a phone always ends in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ForcedError {
    /// The send request itself is refused with this code.
    Sync(i64),
    /// The message is accepted and reported as `failed` with this code.
    Async(i64),
}

/// An address that people click from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// ISO 3166-1 alpha-2 country; people whose phone has this country's calling code prefer it.
    pub country: String,
    /// Sent as `X-Forwarded-For`.
    pub ip: IpAddr,
}

impl Origin {
    /// An origin in `country`.
    #[must_use]
    pub fn new(country: &str, ip: IpAddr) -> Self {
        Self { country: country.to_owned(), ip }
    }

    /// Addresses in 18 countries that MaxMind's public GeoLite2-City test database can place (source-data of
    /// github.com/maxmind/MaxMind-DB).
    #[must_use]
    pub fn defaults() -> Vec<Self> {
        const PLACES: [(&str, &str); 20] = [
            ("GB", "81.2.69.142"),
            ("GB", "2.125.160.216"),
            ("SE", "89.160.20.112"),
            ("US", "216.160.83.56"),
            ("US", "214.78.0.1"),
            ("CN", "175.16.199.1"),
            ("PH", "202.196.224.1"),
            ("BT", "67.43.156.1"),
            ("KR", "2001:220::1"),
            ("JP", "2001:218::1"),
            ("HK", "2001:2e0::1"),
            ("TW", "2001:238::1"),
            ("DE", "2a02:d180::1"),
            ("FR", "2a02:cfc0::1"),
            ("IT", "2a02:d1c0::1"),
            ("ES", "2a02:d5c0::1"),
            ("NL", "2a02:e040::1"),
            ("PL", "2a02:d100::1"),
            ("TR", "2a02:d980::1"),
            ("SA", "2a02:e220::1"),
        ];
        PLACES.iter().filter_map(|(country, ip)| Some(Self::new(country, ip.parse().ok()?))).collect()
    }
}

/// How webhooks are delivered.
#[derive(Debug, Clone, PartialEq)]
pub struct Delivery {
    /// Most updates in one POST, 1 to 1,000.
    pub batch_max: usize,
    /// How long updates are collected for one POST.
    pub window: Duration,
    /// How many times each update is delivered, each time in another POST.
    pub repeat: u32,
    /// Each copy of an update is held back for a random time up to this, so that a `read` may overtake its `sent`.
    pub shuffle: Option<Duration>,
    /// POSTs in flight at once.
    pub concurrency: usize,
    /// Share (0 to 1) of messages whose `sent` is delivered before the send request is answered.
    pub early_sent_share: f64,
    /// How long a webhook may take to answer before it counts as failed.
    pub timeout: Duration,
}

impl Default for Delivery {
    fn default() -> Self {
        Self {
            batch_max: 25,
            window: Duration::from_millis(25),
            repeat: 1,
            shuffle: None,
            concurrency: 16,
            early_sent_share: 0.05,
            timeout: Duration::from_secs(10),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Config {
        Config::new("http://127.0.0.1:1/".parse().expect("a literal URL"), "secret")
    }

    #[test]
    fn defaults_are_valid_and_place_people_in_many_countries() {
        assert!(config().check().is_ok());
        let mut countries: Vec<_> = Origin::defaults().into_iter().map(|origin| origin.country).collect();
        assert_eq!(countries.len(), 20);
        countries.dedup();
        assert_eq!(countries.len(), 18);
    }

    #[test]
    fn exact_counts_must_be_nested() {
        let mut config = config();
        config.behaviour = Behaviour::Exact { delivered: 10, read: 8, clicked: 9, replied: 0, skip_delivered: 0 };
        assert!(matches!(config.check(), Err(ConfigError::NotNested)));
    }

    #[test]
    fn forced_phones_are_found_whatever_the_notation() {
        let mut config = config();
        config.forced.insert("+55 11 98765-4321".to_owned(), ForcedError::Async(131_026));
        assert_eq!(config.clone().with_wa_ids().forced.get("551187654321"), Some(&ForcedError::Async(131_026)));
        config.forced.insert("somebody".to_owned(), ForcedError::Sync(131_026));
        assert!(matches!(config.check(), Err(ConfigError::Phone(phone)) if phone == "somebody"));
    }

    #[test]
    fn shares_beyond_one_are_named() {
        let mut config = config();
        config.behaviour = Behaviour::Natural(Shares { read: 1.5, ..Shares::default() });
        assert!(matches!(config.check(), Err(ConfigError::Share { field: "read", .. })));
    }
}
