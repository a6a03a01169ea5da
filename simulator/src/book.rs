//! The book of accepted messages: who got what, in which order, and what has become of it.
//! It is the state behind the ledger and the message history; it does no input or output.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::graph::request::Outgoing;
use crate::identity::{self, Address, Author};
use crate::ledger::{Ledger, LedgerMessage, LedgerRecipient, StatusSeen, WebhookCounts};
use crate::limits::{Exceeded, Limits};
use crate::number::NumberProfile;
use crate::person::Person;
use crate::plan::{self, Circumstances, EventKind, Plan};
use crate::portfolio::{OVER_LIMIT, Portfolios};
use crate::rate::{Arrivals, RateQuery, Rates};
use crate::world::EventKey;

/// How long a business may answer a person ("Customer service windows" of the Cloud API).
const SERVICE_WINDOW_MS: u64 = 24 * 3_600_000;

/// An accepted message, as it is journalled.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct MessageRecord {
    /// Place among all accepted messages, from 0.
    pub(crate) number: usize,
    pub(crate) wamid: String,
    pub(crate) phone_number_id: String,
    pub(crate) address: Address,
    /// The recipient as the request wrote it.
    pub(crate) input: String,
    /// Place of the person among all people, from 0.
    pub(crate) rank: u64,
    pub(crate) callback_data: Option<String>,
    pub(crate) message_type: String,
    /// Pricing category.
    pub(crate) category: String,
    pub(crate) links: Vec<String>,
    pub(crate) accepted_ms: u64,
    /// When the request came in, in Unix microseconds; 0 in journals that are older than this field.
    #[serde(default)]
    pub(crate) received_us: u64,
    pub(crate) plan: Plan,
}

#[derive(Debug)]
struct Message {
    record: Arc<MessageRecord>,
    statuses: Vec<(usize, StatusSeen)>,
    click_answers: Vec<u16>,
}

#[derive(Debug)]
struct Acquaintance {
    rank: u64,
    messages: Vec<usize>,
}

/// All accepted messages and the limits they count against.
#[derive(Debug, Default)]
pub(crate) struct Book {
    messages: Vec<Message>,
    by_wamid: HashMap<String, usize>,
    /// Messages of each number, in order of acceptance.
    by_number: BTreeMap<String, Vec<usize>>,
    people: HashMap<String, Acquaintance>,
    accepted_per_second: BTreeMap<String, BTreeMap<u64, u64>>,
    refused: BTreeMap<i64, u64>,
    arrivals: BTreeMap<String, Arrivals>,
    pub(crate) webhooks: WebhookCounts,
    limits: Limits,
    portfolios: Portfolios,
    /// When a person last wrote to a business number, in Unix milliseconds.
    wrote_ms: HashMap<(String, String), u64>,
}

impl Book {
    /// Counts a message against the limits and plans its life. It is not in the book before [`Book::enter`].
    pub(crate) fn draft(
        &mut self,
        config: &Config,
        number: &NumberProfile,
        outgoing: Outgoing,
        portfolio_limit: Option<u32>,
        received_us: u64,
        now_ms: u64,
    ) -> Result<MessageRecord, Exceeded> {
        let per_second = number.messages_per_second.unwrap_or(config.messages_per_second);
        let key = outgoing.address.as_str();
        self.limits.admit(&number.phone_number_id, key, per_second, now_ms)?;
        let is_first = !self.has_written(&number.phone_number_id, key, now_ms);
        let limit = portfolio_limit.filter(|_| is_first);
        let admitted = limit.is_none_or(|limit| self.portfolios.admit(&number.waba_id, key, limit, now_ms));
        let (rank, ordinal) = match self.people.get(key) {
            Some(known) => (known.rank, known.messages.len() as u64),
            None => (self.people.len() as u64, 0),
        };
        let language = Person::at(config.seed, &outgoing.address, &config.origins)
            .map_or(identity::Language::English, |person| person.language);
        let of = Circumstances {
            address: &outgoing.address,
            language,
            rank,
            ordinal,
            accepted_ms: now_ms,
            links: outgoing.links.len(),
            is_template: outgoing.message_type == "template",
            doomed: (!admitted).then_some(OVER_LIMIT),
        };
        let plan = plan::plan(config, of);
        // The time is part of the id: a simulator restarted without a journal must not hand out the same ids again.
        let digest = identity::digest(config.seed, &["wamid", key, &ordinal.to_string(), &now_ms.to_string()]);
        Ok(MessageRecord {
            number: self.messages.len(),
            wamid: identity::wamid(&outgoing.address, Author::Business, &digest),
            phone_number_id: number.phone_number_id.clone(),
            address: outgoing.address,
            input: outgoing.input,
            rank,
            callback_data: outgoing.callback_data,
            message_type: outgoing.message_type,
            category: outgoing.category,
            links: outgoing.links,
            accepted_ms: now_ms,
            received_us,
            plan,
        })
    }

    /// Whether a person has written to a number so lately that the business answers rather than begins.
    fn has_written(&self, phone_number_id: &str, person: &str, now_ms: u64) -> bool {
        let pair = (phone_number_id.to_owned(), person.to_owned());
        self.wrote_ms.get(&pair).is_some_and(|wrote| now_ms < wrote + SERVICE_WINDOW_MS)
    }

    /// Enters an accepted message.
    pub(crate) fn enter(&mut self, record: MessageRecord) -> Arc<MessageRecord> {
        let record = Arc::new(record);
        let number = self.messages.len();
        self.by_wamid.insert(record.wamid.clone(), number);
        let person = self
            .people
            .entry(record.address.as_str().to_owned())
            .or_insert_with(|| Acquaintance { rank: record.rank, messages: Vec::new() });
        person.messages.push(number);
        self.by_number.entry(record.phone_number_id.clone()).or_default().push(number);
        let seconds = self.accepted_per_second.entry(record.phone_number_id.clone()).or_default();
        *seconds.entry(record.accepted_ms / 1_000).or_default() += 1;
        let received_us = if record.received_us == 0 { record.accepted_ms * 1_000 } else { record.received_us };
        let arrivals = self.arrivals.entry(record.phone_number_id.clone()).or_default();
        insert_in_order(&mut arrivals.accepted_us, received_us);
        self.messages.push(Message { record: Arc::clone(&record), statuses: Vec::new(), click_answers: Vec::new() });
        record
    }

    /// Enters a message of an earlier run, together with what it means for the limits.
    pub(crate) fn restore(&mut self, record: MessageRecord, waba_id: Option<&str>) {
        let person = record.address.as_str();
        if let Some(waba_id) = waba_id.filter(|_| record.plan.truth.failed != Some(OVER_LIMIT)) {
            self.portfolios.admit(waba_id, person, u32::MAX, record.accepted_ms);
        }
        self.limits.restore(&record.phone_number_id, record.address.as_str(), record.accepted_ms);
        self.enter(record);
    }

    pub(crate) fn message(&self, number: usize) -> Option<Arc<MessageRecord>> {
        self.messages.get(number).map(|message| Arc::clone(&message.record))
    }

    pub(crate) fn by_wamid(&self, wamid: &str) -> Option<usize> {
        self.by_wamid.get(wamid).copied()
    }

    pub(crate) fn records(&self) -> impl Iterator<Item = &Arc<MessageRecord>> {
        self.messages.iter().map(|message| &message.record)
    }

    /// Notes a send request of a number that was not accepted.
    pub(crate) fn turned_away(&mut self, phone_number_id: &str, received_us: u64) {
        let arrivals = self.arrivals.entry(phone_number_id.to_owned()).or_default();
        insert_in_order(&mut arrivals.refused_us, received_us);
    }

    /// How fast messages came in.
    pub(crate) fn rates(&self, query: &RateQuery) -> Rates {
        Rates::of(&self.arrivals, query)
    }

    pub(crate) fn refuse(&mut self, code: i64) {
        *self.refused.entry(code).or_default() += 1;
    }

    /// Notes that a status has happened; a second time changes nothing.
    pub(crate) fn happened(&mut self, key: EventKey) {
        let Some(message) = self.messages.get_mut(key.message) else { return };
        let Some(event) = message.record.plan.events.get(key.event) else { return };
        let status = match event.kind {
            EventKind::Sent => "sent",
            EventKind::Delivered => "delivered",
            EventKind::Read => "read",
            EventKind::Failed { .. } => "failed",
            EventKind::Reply { .. } => {
                let record = &message.record;
                let pair = (record.phone_number_id.clone(), record.address.as_str().to_owned());
                self.wrote_ms.insert(pair, event.at_ms);
                return;
            }
            EventKind::Preview { .. } | EventKind::Click { .. } => return,
        };
        if message.statuses.iter().all(|(event, _)| *event != key.event) {
            let seen = StatusSeen { status: status.to_owned(), timestamp: event.at_ms / 1_000, acknowledged: false };
            message.statuses.push((key.event, seen));
        }
    }

    /// Notes that the webhook has taken a status.
    pub(crate) fn acknowledged(&mut self, key: EventKey) {
        let Some(message) = self.messages.get_mut(key.message) else { return };
        for (_, seen) in message.statuses.iter_mut().filter(|(event, _)| *event == key.event) {
            seen.acknowledged = true;
        }
    }

    pub(crate) fn visited(&mut self, key: EventKey, http_status: u16) {
        if let Some(message) = self.messages.get_mut(key.message) {
            message.click_answers.push(http_status);
        }
    }

    /// What has happened to a message so far.
    pub(crate) fn history(&self, number: usize) -> Vec<StatusSeen> {
        let statuses = self.messages.get(number).map(|message| message.statuses.iter());
        statuses.into_iter().flatten().map(|(_, seen)| seen.clone()).collect()
    }

    /// The newest messages of a business number that were accepted before message `before`, newest first, at most `limit`.
    pub(crate) fn newest(&self, phone_number_id: &str, before: usize, limit: usize) -> Vec<usize> {
        let sent = self.by_number.get(phone_number_id).map_or(&[][..], Vec::as_slice);
        let older = sent.partition_point(|number| *number < before);
        sent[..older].iter().rev().take(limit).copied().collect()
    }

    /// Numbers that have sent something.
    pub(crate) fn active_numbers(&self) -> Vec<String> {
        self.by_number.keys().cloned().collect()
    }

    /// The account of all messages; uploads are the shelf's to add.
    pub(crate) fn ledger(&self) -> Ledger {
        let recipients = self.people.iter().map(|(address, person)| {
            let messages = person.messages.iter().filter_map(|number| self.messages.get(*number));
            let messages = messages.map(Message::for_ledger).collect();
            (address.clone(), LedgerRecipient { rank: person.rank, messages })
        });
        Ledger {
            recipients: recipients.collect(),
            accepted_per_second: self.accepted_per_second.clone(),
            refused: self.refused.clone(),
            arrivals: self.arrivals.clone(),
            uploads: Vec::new(),
            webhooks: self.webhooks,
        }
    }
}

impl Message {
    fn for_ledger(&self) -> LedgerMessage {
        let record = &self.record;
        LedgerMessage {
            wamid: record.wamid.clone(),
            phone_number_id: record.phone_number_id.clone(),
            input: record.input.clone(),
            callback_data: record.callback_data.clone(),
            accepted_at_ms: record.accepted_ms,
            received_at_us: record.received_us,
            message_type: record.message_type.clone(),
            links: record.links.clone(),
            truth: record.plan.truth.clone(),
            statuses: self.statuses.iter().map(|(_, seen)| seen.clone()).collect(),
            click_answers: self.click_answers.clone(),
        }
    }
}

/// Requests that came in at nearly the same time may be booked in another order than they came in.
fn insert_in_order(times: &mut Vec<u64>, time: u64) {
    let at = times.iter().rposition(|earlier| *earlier <= time).map_or(0, |last| last + 1);
    times.insert(at, time);
}
