//! What happens to one accepted message: the truth about it and the moments at which Meta or the person acts.
//! A plan is a pure function of the seed, the recipient and the message's number, so it can be repeated and checked.

use std::time::Duration;

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand_distr::{Distribution, LogNormal};
use serde::{Deserialize, Serialize};

use crate::config::{Behaviour, Config, ForcedError, Shares};
use crate::identity::{self, Address, Language};
use crate::ledger::Truth;
use crate::speech;

/// Reasons for which template messages fail after acceptance, with their weights.
const TEMPLATE_FAILURES: &[(i64, u32)] = &[(131_026, 70), (131_049, 20), (131_050, 5), (130_472, 5)];
/// The same for free-form messages, which only the closed service window can stop otherwise.
const FREE_FORM_FAILURES: &[(i64, u32)] = &[(131_026, 85), (131_047, 15)];

/// What will happen to a message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Plan {
    /// The outcome, for the ledger.
    pub(crate) truth: Truth,
    /// In order of time.
    pub(crate) events: Vec<Event>,
    /// Meta reports `sent` (then the first event) before it answers the send request.
    #[serde(default)]
    pub(crate) early: bool,
}

/// One thing that happens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Event {
    /// Unix milliseconds.
    pub(crate) at_ms: u64,
    /// What.
    #[serde(flatten)]
    pub(crate) kind: EventKind,
}

/// The kinds of things that happen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum EventKind {
    /// Meta reports `sent`.
    Sent,
    /// Meta reports `delivered`.
    Delivered,
    /// Meta reports `read`.
    Read,
    /// Meta reports `failed`.
    Failed {
        /// Error code.
        code: i64,
    },
    /// A machine fetches the first link.
    Preview {
        /// With HEAD rather than GET.
        head: bool,
        /// As Meta's crawler rather than as the WhatsApp client.
        crawler: bool,
    },
    /// The person opens a link.
    Click {
        /// Which one of the message's.
        link: usize,
    },
    /// The person writes.
    Reply {
        /// What.
        text: String,
        /// Whether the message is quoted.
        quotes: bool,
    },
}

/// What a plan depends on besides the configuration.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Circumstances<'a> {
    /// Who gets the message.
    pub(crate) address: &'a Address,
    /// Language of that person.
    pub(crate) language: Language,
    /// How many people had got a message before this person's first one.
    pub(crate) rank: u64,
    /// How many messages this person had got before.
    pub(crate) ordinal: u64,
    /// Unix milliseconds.
    pub(crate) accepted_ms: u64,
    /// Links in the message.
    pub(crate) links: usize,
    /// Whether it is a template message.
    pub(crate) is_template: bool,
    /// The code with which it fails, if Meta has decided that already.
    pub(crate) doomed: Option<i64>,
}

/// Makes the plan of a message.
pub(crate) fn plan(config: &Config, of: Circumstances<'_>) -> Plan {
    let mut rng = identity::stream(config.seed, &["plan", of.address.as_str(), &of.ordinal.to_string()]);
    let forced = match of.address {
        Address::Phone(wa_id) => config.forced.get(wa_id).copied(),
        Address::UserId(_) => None,
    };
    let truth = match (forced, &config.behaviour) {
        _ if of.doomed.is_some() => Truth { failed: of.doomed, ..Truth::default() },
        (Some(ForcedError::Async(code)), _) => Truth { failed: Some(code), sent: true, ..Truth::default() },
        (_, Behaviour::Natural(shares)) => natural(shares, &of, &mut rng),
        (_, Behaviour::Exact { delivered, read, clicked, replied, skip_delivered }) => Truth {
            sent: true,
            delivered: of.rank < *delivered,
            read: of.rank < *read,
            clicked: of.rank < *clicked && of.links > 0,
            replied: of.rank < *replied,
            delivered_skipped: of.rank < *skip_delivered,
            ..Truth::default()
        },
    };
    let truth = Truth { previewed: of.links > 0 && rng.random_bool(config.preview_share), ..truth };
    let timing = Timing { accepted_ms: of.accepted_ms, speed: config.speed, max_s: config.max_delay.as_secs_f64() };
    let early = truth.sent && rng.random_bool(config.delivery.early_sent_share);
    let events = events(&truth, early, config, &of, timing, &mut rng);
    Plan { truth, events, early }
}

fn natural(shares: &Shares, of: &Circumstances<'_>, rng: &mut StdRng) -> Truth {
    if rng.random_bool(shares.failed) {
        let failures = if of.is_template { TEMPLATE_FAILURES } else { FREE_FORM_FAILURES };
        let code = failures.choose_weighted(rng, |(_, weight)| *weight).map_or(131_026, |(code, _)| *code);
        return Truth { failed: Some(code), sent: rng.random_bool(0.5), ..Truth::default() };
    }
    let delivered = rng.random_bool(shares.delivered);
    let read = delivered && rng.random_bool(shares.read);
    let opted_out = read && rng.random_bool(shares.opted_out);
    Truth {
        sent: true,
        delivered,
        read,
        delivered_skipped: read && rng.random_bool(shares.skip_delivered),
        clicked: read && of.links > 0 && rng.random_bool(shares.clicked),
        // Whoever asks to be left alone does not chat as well, but the STOP itself is an answer.
        replied: opted_out || (read && rng.random_bool(shares.replied)),
        opted_out,
        ..Truth::default()
    }
}

/// Turns uncompressed seconds after acceptance into moments.
#[derive(Debug, Clone, Copy)]
struct Timing {
    accepted_ms: u64,
    speed: f64,
    max_s: f64,
}

impl Timing {
    fn at(&self, seconds: f64) -> u64 {
        let compressed = Duration::try_from_secs_f64(seconds / self.speed).unwrap_or_default();
        self.accepted_ms.saturating_add(u64::try_from(compressed.as_millis()).unwrap_or(u64::MAX))
    }

    /// Adds a log-normal delay. What would end after the maximum ends somewhere in the time that is left instead, so that
    /// truncation does not pile everybody up at the maximum.
    fn later(&self, from_s: f64, median_s: f64, sigma: f64, rng: &mut StdRng) -> f64 {
        let delay = LogNormal::new(median_s.ln(), sigma).map_or(median_s, |distribution| distribution.sample(rng));
        let left = (self.max_s - from_s).max(0.0);
        if delay <= left { from_s + delay } else { from_s + left * rng.random_range(0.3..1.0) }
    }
}

fn events(
    truth: &Truth,
    early: bool,
    config: &Config,
    of: &Circumstances<'_>,
    timing: Timing,
    rng: &mut StdRng,
) -> Vec<Event> {
    let mut events = Vec::with_capacity(6);
    let mut add = |seconds: f64, kind: EventKind| events.push(Event { at_ms: timing.at(seconds), kind });

    let usual_s = rng.random_range(0.05..0.8_f64).min(timing.max_s);
    let sent_s = if early { 0.0 } else { usual_s };
    if truth.sent {
        add(sent_s, EventKind::Sent);
    }
    if truth.previewed {
        // Meta's side fetches before it sends, the recipient's client afterwards.
        let crawler = rng.random_bool(0.5);
        let seconds = if crawler { sent_s * 0.5 } else { sent_s * 1.5 };
        add(seconds, EventKind::Preview { head: rng.random_bool(0.25), crawler });
    }
    if let Some(code) = truth.failed {
        add(timing.later(sent_s, 4.0, 0.8, rng), EventKind::Failed { code });
    }
    if truth.delivered {
        let delivered_s = timing.later(sent_s, 3.0, 1.2, rng);
        if !truth.delivered_skipped {
            add(delivered_s, EventKind::Delivered);
        }
        if truth.read {
            let (median_s, sigma) = if truth.delivered_skipped { (1.5, 0.5) } else { (240.0, 1.6) };
            let read_s = timing.later(delivered_s, median_s, sigma, rng);
            add(read_s, EventKind::Read);
            let (quoted, again) = match &config.behaviour {
                Behaviour::Natural(shares) => (shares.quoted, shares.clicked_again),
                Behaviour::Exact { .. } => (0.5, 0.0),
            };
            if truth.clicked {
                let link = rng.random_range(0..of.links.max(1));
                let click_s = timing.later(read_s, 12.0, 1.0, rng);
                add(click_s, EventKind::Click { link });
                if rng.random_bool(again) {
                    add(timing.later(click_s, 600.0, 1.0, rng), EventKind::Click { link });
                }
            }
            if truth.replied {
                let texts = if truth.opted_out { &speech::OPT_OUTS } else { speech::answers(of.language) };
                let text = texts.choose(rng).copied().unwrap_or("ok").to_owned();
                let quotes = rng.random_bool(quoted);
                add(timing.later(read_s, 45.0, 1.2, rng), EventKind::Reply { text, quotes });
            }
        }
    }
    // Stable: an early `sent` stays first among equals.
    events.sort_by_key(|event| event.at_ms);
    events
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Config {
        Config::new("http://127.0.0.1:1/".parse().expect("a literal URL"), "secret")
    }

    fn plan_for(config: &Config, rank: u64) -> Plan {
        let address = Address::Phone(format!("4477009{rank:05}"));
        let of = Circumstances {
            address: &address,
            language: Language::English,
            rank,
            ordinal: 0,
            accepted_ms: 1_000_000,
            links: 1,
            is_template: true,
            doomed: None,
        };
        plan(config, of)
    }

    #[test]
    fn plans_repeat_for_a_seed_and_differ_between_seeds() {
        let one = config();
        let other = Config { seed: 2, ..config() };
        assert_eq!(plan_for(&one, 7), plan_for(&one, 7));
        assert!((0..20).any(|rank| plan_for(&one, rank) != plan_for(&other, rank)));
    }

    #[test]
    fn natural_shares_are_met_within_sampling_error() {
        let config = config();
        let plans: Vec<_> = (0..4_000).map(|rank| plan_for(&config, rank)).collect();
        let count = |test: fn(&Truth) -> bool| plans.iter().filter(|plan| test(&plan.truth)).count();
        assert!((50..115).contains(&count(|t| t.failed.is_some())));
        assert!((3_690..3_840).contains(&count(|t| t.delivered)));
        assert!((2_700..2_940).contains(&count(|t| t.read)));
        assert!((740..960).contains(&count(|t| t.clicked)));
        assert!((10..55).contains(&count(|t| t.opted_out)));
    }

    #[test]
    fn exact_counts_come_from_the_front_of_the_ranks() {
        let behaviour = Behaviour::Exact { delivered: 40, read: 30, clicked: 10, replied: 12, skip_delivered: 5 };
        let config = Config { behaviour, ..config() };
        let plans: Vec<_> = (0..50).map(|rank| plan_for(&config, rank)).collect();
        let happened = |test: fn(&EventKind) -> bool| {
            plans.iter().flat_map(|plan| &plan.events).filter(|event| test(&event.kind)).count()
        };
        assert_eq!(happened(|kind| *kind == EventKind::Sent), 50);
        assert_eq!(happened(|kind| *kind == EventKind::Delivered), 35);
        assert_eq!(happened(|kind| *kind == EventKind::Read), 30);
        assert_eq!(happened(|kind| matches!(kind, EventKind::Click { .. })), 10);
        assert_eq!(happened(|kind| matches!(kind, EventKind::Reply { .. })), 12);
    }

    #[test]
    fn nothing_happens_before_acceptance_or_after_the_compressed_maximum() {
        let config = Config { speed: 60.0, ..config() };
        for rank in 0..500 {
            for event in plan_for(&config, rank).events {
                assert!((1_000_000..=1_060_000).contains(&event.at_ms), "{event:?}");
            }
        }
    }

    #[test]
    fn a_journalled_plan_reads_back() {
        let plan = plan_for(&config(), 3);
        let line = serde_json::to_string(&plan).expect("serialises");
        assert_eq!(serde_json::from_str::<Plan>(&line).expect("parses"), plan);
    }
}
