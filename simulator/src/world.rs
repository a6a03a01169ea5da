//! What the Graph API, the timer, the webhooks and the browsers share: the configuration, the book, the journal.
//! Locks are held for book-keeping only, never across an await.

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::mpsc::UnboundedSender;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use url::Url;

use crate::agenda::{Appointment, Job};
use crate::book::{Book, MessageRecord};
use crate::browser::Browser;
use crate::clock::Clock;
use crate::config::Config;
use crate::faults::FaultState;
use crate::graph::media::Shelf;
use crate::graph::request::Outgoing;
use crate::journal::{Entry, Journal, JournalError};
use crate::ledger::Ledger;
use crate::limits::Exceeded;
use crate::number::NumberProfile;
use crate::person::Person;
use crate::plan::EventKind;
use crate::standing::{MessagingTier, Standings};
use crate::template::Catalogue;
use crate::webhook::courier::Courier;
use crate::webhook::payload::{About, Update};

/// Names one event of one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct EventKey {
    /// Number of the message in the book.
    pub(crate) message: usize,
    /// Number of the event in the message's plan.
    pub(crate) event: usize,
}

/// Names what a webhook update reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum UpdateKey {
    /// An event of a message.
    Event(EventKey),
    /// A notice about a template, a number or an account, counted from 0. Notices are not journalled: one that has not been
    /// delivered when the process dies is lost.
    Notice(u64),
}

/// The shared state of one simulator.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) config: Config,
    pub(crate) clock: Clock,
    pub(crate) graph_url: Url,
    pub(crate) courier: Courier,
    pub(crate) browser: Browser,
    pub(crate) stop: CancellationToken,
    pub(crate) tasks: TaskTracker,
    pub(crate) agenda: UnboundedSender<Vec<Appointment>>,
    pub(crate) journal: Option<Journal>,
    book: Mutex<Book>,
    templates: Mutex<Catalogue>,
    standings: Mutex<Standings>,
    faults: Mutex<FaultState>,
    shelf: Mutex<Shelf>,
    pub(crate) outstanding: AtomicU64,
    notices: AtomicU64,
}

impl UpdateKey {
    /// The event, if it is one.
    pub(crate) fn event(&self) -> Option<EventKey> {
        match self {
            Self::Event(key) => Some(*key),
            Self::Notice(_) => None,
        }
    }
}

/// Why a message was not accepted.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// It would break a limit.
    Limit(Exceeded),
    /// The simulator is going away; its successor may already have read the journal.
    Stopped,
    /// It could not be made durable.
    Journal(JournalError),
}

/// What is needed to make a [`World`].
pub(crate) struct Setup {
    pub(crate) config: Config,
    pub(crate) clock: Clock,
    pub(crate) graph_url: Url,
    pub(crate) courier: Courier,
    pub(crate) browser: Browser,
    pub(crate) agenda: UnboundedSender<Vec<Appointment>>,
    pub(crate) journal: Option<Journal>,
}

impl World {
    /// A world without messages.
    pub(crate) fn new(from: Setup) -> Self {
        Self {
            faults: Mutex::new(FaultState::new(from.config.seed)),
            shelf: Mutex::default(),
            book: Mutex::default(),
            templates: Mutex::new(Catalogue::new(&from.config, from.clock.now_ms())),
            standings: Mutex::default(),
            outstanding: AtomicU64::new(0),
            notices: AtomicU64::new(0),
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
            config: from.config,
            clock: from.clock,
            graph_url: from.graph_url,
            courier: from.courier,
            browser: from.browser,
            agenda: from.agenda,
            journal: from.journal,
        }
    }

    pub(crate) fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn templates(&self) -> MutexGuard<'_, Catalogue> {
        self.templates.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn standings(&self) -> MutexGuard<'_, Standings> {
        self.standings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn faults(&self) -> MutexGuard<'_, FaultState> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number behind a node id.
    pub(crate) fn number(&self, phone_number_id: &str) -> Option<NumberProfile> {
        let mut number = self.config.numbers.find(phone_number_id, &self.config.waba_id)?;
        number.messages_per_second = self.standings().throughput(phone_number_id).or(number.messages_per_second);
        Some(number)
    }

    /// People to whom an account may write first within 24 hours.
    fn portfolio_limit(&self, waba_id: &str) -> Option<u32> {
        let configured = self.config.portfolio_limit?;
        self.standings().tier(waba_id).map_or(Some(configured), MessagingTier::limit)
    }

    /// The messaging limit of an account.
    pub(crate) fn tier(&self, waba_id: &str) -> MessagingTier {
        self.standings().tier(waba_id).unwrap_or_default()
    }

    /// The absolute URL of a request.
    pub(crate) fn url_of(&self, uri: &http::Uri) -> Url {
        let path = uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
        self.graph_url.join(path).unwrap_or_else(|_| self.graph_url.clone())
    }

    /// Everything that has been accepted.
    pub(crate) fn ledger(&self) -> Ledger {
        let uploads = self.shelf().uploads().to_vec();
        Ledger { uploads, ..self.book().ledger() }
    }

    /// Events and webhooks that are still to come or to be acknowledged.
    pub(crate) fn outstanding(&self) -> u64 {
        self.outstanding.load(Ordering::SeqCst)
    }

    /// Accepts a message: when it returns, the message is journalled and its life is on the agenda, except for an early
    /// `sent`, which the caller delivers.
    pub(crate) fn accept(
        &self,
        number: &NumberProfile,
        outgoing: Outgoing,
        received_us: u64,
    ) -> Result<Arc<MessageRecord>, Refusal> {
        let record = {
            let mut book = self.book();
            if self.stop.is_cancelled() {
                return Err(Refusal::Stopped);
            }
            let (now_ms, limit) = (self.clock.now_ms(), self.portfolio_limit(&number.waba_id));
            let draft =
                book.draft(&self.config, number, outgoing, limit, received_us, now_ms).map_err(Refusal::Limit)?;
            if let Some(journal) = &self.journal {
                journal.append(&Entry::Message(Cow::Borrowed(&draft))).map_err(Refusal::Journal)?;
            }
            book.enter(draft)
        };
        let first = usize::from(record.plan.early);
        if first == 1 {
            self.outstanding.fetch_add(self.copies_of(&record.plan.events[0].kind), Ordering::SeqCst);
        }
        self.schedule(&record, |event| event >= first);
        Ok(record)
    }

    /// Puts the events of a message on the agenda, if they are chosen.
    fn schedule(&self, record: &MessageRecord, chosen: impl Fn(usize) -> bool) {
        let mut appointments = Vec::with_capacity(record.plan.events.len());
        let mut copies = 0;
        for (event, planned) in record.plan.events.iter().enumerate().filter(|(event, _)| chosen(*event)) {
            copies += self.copies_of(&planned.kind);
            let key = EventKey { message: record.number, event };
            appointments.push(Appointment { at_ms: planned.at_ms, job: Job::Event(key) });
        }
        self.outstanding.fetch_add(copies, Ordering::SeqCst);
        // Fails only when the simulator is stopping; the journal has the message then.
        let _ = self.agenda.send(appointments);
    }

    fn copies_of(&self, kind: &EventKind) -> u64 {
        match kind {
            EventKind::Preview { .. } | EventKind::Click { .. } => 1,
            _ => u64::from(self.config.delivery.repeat),
        }
    }

    /// Takes up what an earlier run left in its journal.
    pub(crate) fn resume(&self, entries: Vec<Entry<'_>>) {
        let mut done = HashSet::new();
        for entry in entries {
            match entry {
                Entry::Message(record) => {
                    let limited = self.config.portfolio_limit.is_some();
                    let number = self.number(&record.phone_number_id).filter(|_| limited);
                    let waba_id = number.as_ref().map(|number| number.waba_id.as_str());
                    self.book().restore(record.into_owned(), waba_id);
                }
                Entry::Template(held) => self.templates().restore(held.into_owned()),
                Entry::Media(media) => {
                    self.shelf().restore(media.into_owned(), self.config.speed, self.clock.now_ms());
                }
                Entry::MediaExpired => drop(self.shelf().expire_all(self.clock.now_ms())),
                Entry::MediaDeleted(id) => drop(self.shelf().remove(&id)),
                Entry::Done(keys) => done.extend(keys.into_iter().map(|(message, event)| EventKey { message, event })),
            }
        }
        let unreviewed = self.templates().unreviewed();
        unreviewed.iter().for_each(|held| self.submit_for_review(held));
        let records: Vec<_> = self.book().records().cloned().collect();
        for key in &done {
            let mut book = self.book();
            book.happened(*key);
            book.acknowledged(*key);
        }
        for record in records {
            self.schedule(&record, |event| !done.contains(&EventKey { message: record.number, event }));
        }
    }

    /// The webhook update of an event, if Meta reports it.
    pub(crate) fn update(&self, key: EventKey) -> Option<Update> {
        let record = self.book().message(key.message)?;
        let event = record.plan.events.get(key.event)?;
        let number = self.number(&record.phone_number_id)?;
        let person = Person::at(self.config.seed, &record.address, &self.config.origins)?;
        let about = About {
            seed: self.config.seed,
            number: &number,
            person: &person,
            address: &record.address,
            wamid: &record.wamid,
            callback_data: record.callback_data.as_deref(),
            category: &record.category,
            delivered_skipped: record.plan.truth.delivered_skipped,
        };
        Update::of(key, &event.kind, event.at_ms, about)
    }

    /// Tells the webhook something that is not about a message; it is on its way when this returns.
    pub(crate) fn announce(&self, waba_id: &str, field: &'static str, value: Value) {
        let key = UpdateKey::Notice(self.notices.fetch_add(1, Ordering::SeqCst));
        let now_ms = self.clock.now_ms();
        let update = Arc::new(Update::notice(key, waba_id, field, value, now_ms));
        self.outstanding.fetch_add(u64::from(self.config.delivery.repeat), Ordering::SeqCst);
        let _ = self.agenda.send(vec![Appointment { at_ms: now_ms, job: Job::Post(update) }]);
    }

    pub(crate) fn webhook_failed(&self) {
        self.book().webhooks.failed_attempts += 1;
    }

    pub(crate) fn webhook_abandoned(&self, keys: &[UpdateKey]) {
        self.book().webhooks.abandoned += 1;
        self.settle(keys.len());
    }

    /// Notes that the webhook has taken these updates.
    pub(crate) fn webhook_acknowledged(&self, keys: &[UpdateKey], copy: u32) {
        let events: Vec<EventKey> = keys.iter().filter_map(UpdateKey::event).collect();
        {
            let mut book = self.book();
            book.webhooks.acknowledged += 1;
            book.webhooks.updates_acknowledged += keys.len() as u64;
            for key in &events {
                book.acknowledged(*key);
            }
        }
        if copy == 0 {
            self.journal_done(&events);
        }
        self.settle(keys.len());
    }

    /// Notes that a link has been visited, and with which answer if a person did it.
    pub(crate) fn link_visited(&self, key: EventKey, answer_to_person: Option<u16>) {
        if let Some(status) = answer_to_person {
            self.book().visited(key, status);
        }
        self.journal_done(&[key]);
        self.settle(1);
    }

    /// Takes events off the number of those outstanding.
    pub(crate) fn settle(&self, events: usize) {
        self.outstanding.fetch_sub(events as u64, Ordering::SeqCst);
    }

    fn journal_done(&self, keys: &[EventKey]) {
        let Some(journal) = self.journal.as_ref().filter(|_| !keys.is_empty()) else { return };
        let done = keys.iter().map(|key| (key.message, key.event)).collect();
        if let Err(error) = journal.append(&Entry::Done(done)) {
            tracing::error!(%error, "acknowledged updates not journalled: they will be repeated after a restart");
        }
    }
}
