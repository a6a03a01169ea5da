//! Person or machine: layers that each look at one thing, asked in order; the first one that knows decides. In doubt it is a
//! person: a machine that gives itself out for a browser cannot be told from one, and a person who is not counted is lost.

mod declared;
mod marks;
mod named;
mod networks;
mod shape;

use std::cell::OnceCell;

use serde::{Deserialize, Serialize};
use woothee::parser::{Parser, WootheeResult};

use crate::agent::{self, Agent, ClientHints};

pub use self::networks::Network;

/// What is known of a request for a link.
#[derive(Clone, Copy, Debug, Default)]
pub struct Request<'a> {
    /// The method; empty means `GET`.
    pub method: &'a str,
    /// What the browser says it wants the answer for.
    pub purpose: Purpose,
    /// `User-Agent`.
    pub user_agent: Option<&'a str>,
    /// What Chromium sends besides.
    pub hints: ClientHints<'a>,
    /// The autonomous system that announces the sender's address.
    pub asn: Option<u32>,
}

/// What a browser fetches for, by `Sec-Purpose`, `Purpose`, `X-Purpose` or `X-Moz`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Purpose {
    /// Somebody wants to see it.
    #[default]
    Navigation,
    /// Somebody might want to see it later: nobody has clicked.
    Prefetch,
}

/// Who sent a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict<'a> {
    /// A person, as far as can be told, and on what.
    Person(Agent<'a>),
    /// A machine: not counted as a person, but recorded.
    Machine {
        /// What told.
        reason: Reason,
    },
}

/// Why a request is a machine's. The names are stored with events and do not change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// It asked for the head only, or in another way that no tap asks.
    Head,
    /// A browser fetched ahead of its person.
    Prefetch,
    /// An app fetched the page for a preview of the link, or Meta looked at what its users are sent.
    Preview,
    /// A crawler, a monitor, a browser without a window.
    Crawler,
    /// What looks for weaknesses or malware.
    Scanner,
    /// A program in a data centre that gives itself out for a browser, or a person behind a tunnel that ends in one.
    DataCentre,
    /// It does not say what it is; every browser does.
    NoUserAgent,
    /// A library that programs fetch with, or a program that is shaped like no browser and says no more.
    Client,
}

impl Reason {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Head,
        Self::Prefetch,
        Self::Preview,
        Self::Crawler,
        Self::Scanner,
        Self::DataCentre,
        Self::NoUserAgent,
        Self::Client,
    ];

    /// The stable name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Head => "head",
            Self::Prefetch => "prefetch",
            Self::Preview => "preview",
            Self::Crawler => "crawler",
            Self::Scanner => "scanner",
            Self::DataCentre => "data_centre",
            Self::NoUserAgent => "no_user_agent",
            Self::Client => "client",
        }
    }
}

/// A request with what the layers share.
struct Evidence<'r, 'a> {
    request: &'r Request<'a>,
    /// Trimmed; empty when there is none.
    agent: &'a str,
    /// What the parser makes of it, once somebody has asked: it is the dearest part.
    parsed: OnceCell<Option<WootheeResult<'a>>>,
}

/// One thing to look at.
struct Layer {
    name: &'static str,
    judge: fn(&Evidence<'_, '_>) -> Option<Reason>,
}

/// In order. What is told by the protocol comes before what is told by words, words before their absence, and networks last:
/// they tell least of the single request.
static LAYERS: [Layer; 9] = [
    Layer { name: "method", judge: method },
    Layer { name: "purpose", judge: purpose },
    Layer { name: "absent", judge: absent },
    Layer { name: "marks", judge: |evidence| marks::of_click(evidence.agent) },
    Layer { name: "named", judge: |evidence| named::judge(evidence.agent) },
    Layer { name: "parser", judge: |evidence| declared::judge(evidence.agent, evidence.parsed()) },
    Layer { name: "shape", judge: |evidence| shape::judge(evidence.agent) },
    Layer { name: "brands", judge: brands },
    Layer { name: "network", judge: network },
];

impl<'r, 'a> Evidence<'r, 'a> {
    fn of(request: &'r Request<'a>) -> Self {
        Self { request, agent: trimmed(request.user_agent), parsed: OnceCell::new() }
    }

    fn parsed(&self) -> Option<&WootheeResult<'a>> {
        self.parsed.get_or_init(|| Parser::new().parse(self.agent)).as_ref()
    }

    /// The first layer that knows, and what.
    fn decided(&self) -> Option<(&'static str, Reason)> {
        LAYERS.iter().find_map(|layer| Some((layer.name, (layer.judge)(self)?)))
    }

    fn person(&self) -> Agent<'a> {
        agent::read_parsed(self.agent, self.parsed(), &self.request.hints)
    }
}

/// Who followed a link.
#[must_use]
pub fn of_click<'a>(request: &Request<'a>) -> Verdict<'a> {
    let evidence = Evidence::of(request);
    match evidence.decided() {
        Some((_, reason)) => Verdict::Machine { reason },
        None => Verdict::Person(evidence.person()),
    }
}

/// Which layer decided that a click is a machine's: for whoever wants to know why, and for tests.
#[must_use]
pub fn layer_of_click(request: &Request<'_>) -> Option<&'static str> {
    Evidence::of(request).decided().map(|(layer, _)| layer)
}

/// Who opened the page that reports an event. Crawlers run the scripts of pages, and say what they are; what is no browser and
/// says nothing of the kind, such as an app of the operator's own, reports because somebody wants it to.
#[must_use]
pub fn of_page<'a>(user_agent: Option<&'a str>, hints: &ClientHints<'_>) -> Verdict<'a> {
    let agent = trimmed(user_agent);
    let parsed = Parser::new().parse(agent);
    let declared = marks::of_page(agent).or_else(|| declared::judge(agent, parsed.as_ref()));
    let declared = declared.or_else(|| hints.names_machine().then_some(Reason::Crawler));
    match declared {
        Some(reason) => Verdict::Machine { reason },
        None => Verdict::Person(agent::read_parsed(agent, parsed.as_ref(), hints)),
    }
}

fn trimmed(user_agent: Option<&str>) -> &str {
    user_agent.map(str::trim).unwrap_or_default()
}

fn method(evidence: &Evidence<'_, '_>) -> Option<Reason> {
    let method = evidence.request.method;
    (!method.is_empty() && !method.eq_ignore_ascii_case("GET")).then_some(Reason::Head)
}

fn purpose(evidence: &Evidence<'_, '_>) -> Option<Reason> {
    (evidence.request.purpose == Purpose::Prefetch).then_some(Reason::Prefetch)
}

/// Some programs write a dash, a null or a pair of quotes where others write nothing.
fn absent(evidence: &Evidence<'_, '_>) -> Option<Reason> {
    let nothing = !evidence.agent.contains(|c: char| c.is_alphanumeric())
        || ["null", "(null)", "undefined", "none", "nil"].iter().any(|word| evidence.agent.eq_ignore_ascii_case(word));
    nothing.then_some(Reason::NoUserAgent)
}

fn brands(evidence: &Evidence<'_, '_>) -> Option<Reason> {
    evidence.request.hints.names_machine().then_some(Reason::Crawler)
}

/// The agent is read for those few networks only that it makes a difference for.
fn network(evidence: &Evidence<'_, '_>) -> Option<Reason> {
    match Network::of(evidence.request.asn?) {
        Network::Access => None,
        Network::Meta => Some(Reason::Preview),
        Network::Hosting => Some(Reason::DataCentre),
        Network::Relay => (!networks::is_relayed(&evidence.person())).then_some(Reason::DataCentre),
    }
}

#[cfg(test)]
mod tests;
