//! What a batch changes: evidence for attempts, gathered per attempt, events of the feed, people's word for or against
//! messages, and Meta's about accounts.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use futures::StreamExt;
use shared::account::news::News;
use shared::activity::{Content, Event, Kept};
use shared::attempt::pricing::Pricing;
use shared::attempt::{AttemptKey, Evidence};
use shared::blob::key;
use shared::id::{AccountId, EventId, WorkspaceId};
use shared::meta::webhook;
use shared::store::{Learned, StoreError, Told};
use shared::time::UnixMillis;

use crate::{Ingest, WRITES_AT_ONCE};

/// Longest raw item kept in a row; a longer one lies in the bucket (DynamoDB: 400 KB an item).
const MAX_INLINE_BYTES: usize = 100 * 1024;

/// Whose an event is; `None` when it names no account of ours.
pub(crate) type Route = Option<(WorkspaceId, AccountId)>;

/// What is to be written.
#[derive(Default)]
pub(crate) struct Effects {
    attempts: BTreeMap<Subject, Learning>,
    events: BTreeMap<EventId, (Route, Event)>,
    words: BTreeSet<Word>,
    news: BTreeMap<(WorkspaceId, AccountId), Vec<News>>,
}

/// A person's word for or against messages. It holds a phone number, so it has no `Debug`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Word {
    /// Whom it was told.
    pub(crate) workspace: WorkspaceId,
    /// The person's number, or `wa_id`.
    pub(crate) digits: String,
    /// For or against.
    pub(crate) wish: Wish,
    /// How we know.
    pub(crate) source: &'static str,
    /// When it was given.
    pub(crate) at: UnixMillis,
}

/// What a person wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Wish {
    Messages,
    NoMessages,
}

/// What evidence speaks of: an attempt, and the try of it where it names one.
type Subject = (AttemptKey, Option<u16>);

/// A status's try and message.
#[derive(Clone, Copy)]
pub(crate) struct OfTry<'a> {
    pub(crate) number: u16,
    pub(crate) wamid: &'a str,
    pub(crate) pricing: Option<&'a webhook::Pricing>,
}

#[derive(Default)]
struct Learning {
    evidence: Vec<Evidence>,
    wamid: Option<String>,
    pricing: Option<Pricing>,
}

/// What one message has to have written to be done.
pub(crate) struct Needs {
    attempts: Vec<Subject>,
    events: Vec<EventId>,
    words: BTreeSet<Word>,
    accounts: Vec<(WorkspaceId, AccountId)>,
}

/// What could not be written.
#[derive(Default)]
pub(crate) struct Failed {
    attempts: BTreeSet<Subject>,
    events: BTreeSet<EventId>,
    words: BTreeSet<Word>,
    accounts: BTreeSet<(WorkspaceId, AccountId)>,
}

impl Needs {
    /// Whether something it needs has failed.
    pub(crate) fn meets(&self, failed: &Failed) -> bool {
        self.attempts.iter().any(|key| failed.attempts.contains(key))
            || self.events.iter().any(|id| failed.events.contains(id))
            || !self.words.is_disjoint(&failed.words)
            || self.accounts.iter().any(|account| failed.accounts.contains(account))
    }
}

impl Effects {
    /// Evidence for an attempt.
    pub(crate) fn learn(&mut self, key: AttemptKey, evidence: Evidence, told: Option<OfTry<'_>>) {
        let learning = self.attempts.entry((key, told.map(|told| told.number))).or_default();
        learning.evidence.push(evidence);
        learning.wamid = learning.wamid.take().or_else(|| told.map(|told| told.wamid.to_owned()));
        learning.pricing = learning.pricing.take().or_else(|| told?.pricing.map(Pricing::from));
    }

    /// An event of the feed.
    pub(crate) fn record(&mut self, route: Route, event: Event) {
        self.events.insert(event.id, (route, event));
    }

    /// A person's word for or against messages.
    pub(crate) fn hear(&mut self, word: Word) {
        self.words.insert(word);
    }

    /// What Meta tells about an account.
    pub(crate) fn tell(&mut self, account: (WorkspaceId, AccountId), news: News) {
        self.news.entry(account).or_default().push(news);
    }

    /// Takes in the effects of another message.
    pub(crate) fn merge(&mut self, other: Self) {
        for (key, Learning { evidence, wamid, pricing }) in other.attempts {
            let learning = self.attempts.entry(key).or_default();
            learning.evidence.extend(evidence);
            learning.wamid = learning.wamid.take().or(wamid);
            learning.pricing = learning.pricing.take().or(pricing);
        }
        self.events.extend(other.events);
        self.words.extend(other.words);
        for (account, news) in other.news {
            self.news.entry(account).or_default().extend(news);
        }
    }

    pub(crate) fn needs(&self) -> Needs {
        Needs {
            attempts: self.attempts.keys().copied().collect(),
            events: self.events.keys().copied().collect(),
            words: self.words.clone(),
            accounts: self.news.keys().copied().collect(),
        }
    }

    /// Writes all of it, in no order, and tells what failed. Writing it again changes nothing.
    pub(crate) async fn write(self, ingest: &Ingest) -> Failed {
        let mut failed = Failed::default();
        let mut learned = futures::stream::iter(self.attempts)
            .map(|(subject, learning)| async move { (subject, learn(ingest, &subject, &learning).await) })
            .buffer_unordered(WRITES_AT_ONCE);
        while let Some((subject, result)) = learned.next().await {
            if let Err(error) = result {
                let key = subject.0;
                tracing::error!(campaign = %key.campaign, seq = key.seq.0, %error, "an attempt could not be updated");
                failed.attempts.insert(subject);
            }
        }
        drop(learned);
        let mut recorded = futures::stream::iter(self.events)
            .map(|(id, (route, event))| async move { (id, record(ingest, route, event).await) })
            .buffer_unordered(WRITES_AT_ONCE);
        while let Some((id, result)) = recorded.next().await {
            if let Err(error) = result {
                tracing::error!(event = %id, error, "an event could not be recorded");
                failed.events.insert(id);
            }
        }
        drop(recorded);
        let mut heard = futures::stream::iter(self.words)
            .map(|word| async move { (hear(ingest, &word).await, word) })
            .buffer_unordered(WRITES_AT_ONCE);
        while let Some((result, word)) = heard.next().await {
            if let Err(error) = result {
                tracing::error!(source = word.source, %error, "a consent could not be recorded");
                failed.words.insert(word);
            }
        }
        drop(heard);
        for ((workspace, account), news) in self.news {
            // Boxed, for it is rare and as large as all the rest together.
            let told = Box::pin(ingest.core.tell_account(workspace, account, &news, UnixMillis::now()));
            if let Err(error) = told.await {
                tracing::error!(%account, %error, "what Meta tells about an account could not be written");
                failed.accounts.insert((workspace, account));
            }
        }
        failed
    }
}

async fn hear(ingest: &Ingest, word: &Word) -> Result<(), StoreError> {
    let Word { workspace, digits, wish, source, at } = word;
    match wish {
        Wish::Messages => ingest.core.opt_in(*workspace, digits, source, *at).await,
        Wish::NoMessages => ingest.core.opt_out(*workspace, digits, source, *at).await,
    }
}

async fn learn(ingest: &Ingest, (key, number): &Subject, learning: &Learning) -> Result<(), StoreError> {
    let told =
        number.map(|number| Told { number, wamid: learning.wamid.as_deref(), pricing: learning.pricing.as_ref() });
    let learned = ingest.core.learn(key, &learning.evidence, told).await?;
    if learned == Learned::NoSuchAttempt {
        // The row is born before Meta is called, so it was erased since, or the callback data is another deployment's.
        tracing::warn!(campaign = %key.campaign, seq = key.seq.0, "evidence for an attempt that does not exist");
    }
    Ok(())
}

async fn record(ingest: &Ingest, route: Route, mut event: Event) -> Result<(), String> {
    if let Some(Kept::Inline(text)) = raw_mut(&mut event.content).filter(|raw| raw.len() > MAX_INLINE_BYTES) {
        let object = key::kept_event(&event.at.date(), event.id);
        let body = Bytes::from(std::mem::take(text));
        ingest.bucket.put(&object, body, "application/json").await.map_err(|error| error.to_string())?;
        if let Some(raw) = raw_mut(&mut event.content) {
            *raw = Kept::Object(object);
        }
    }
    ingest.core.record_event(route, &event).await.map_err(|error| error.to_string())
}

fn raw_mut(content: &mut Content) -> Option<&mut Kept> {
    match content {
        Content::LinkClicked { .. } | Content::WebhookDisabled { .. } => None,
        Content::MessageReceived { raw, .. }
        | Content::MetaReported { raw, .. }
        | Content::MetaQuarantined { raw, .. } => Some(raw),
    }
}
