//! What a batch changes: evidence for attempts, gathered per attempt, events of the feed, people's word for or against
//! messages and the replies to it, what happened in conversations, and Meta's word about accounts.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use shared::account::news::News;
use shared::activity::{Event, Kept};
use shared::attempt::pricing::Pricing;
use shared::attempt::{AttemptKey, Evidence, Flag, Moment, Money};
use shared::blob::key;
use shared::consent::Wish;
use shared::conversation::Happened;
use shared::id::{AccountId, ContactId, EventId, WorkspaceId};
use shared::meta::webhook;
use shared::queue::SendCommand;
use shared::store::{Learned, StoreError, Told};
use shared::time::UnixMillis;

use crate::origin::Origin;
use crate::routes::Route;
use crate::{Ingest, WRITES_AT_ONCE};

/// Clocks may differ by this.
pub(crate) const CLOCKS_DIFFER: Duration = Duration::from_secs(3_600);

/// Longest raw item kept in a row; a longer one lies in the bucket (DynamoDB: 400 KB an item).
const MAX_INLINE_BYTES: usize = 100 * 1024;

/// What is to be written.
#[derive(Default)]
pub(crate) struct Effects {
    attempts: BTreeMap<Subject, Learning>,
    events: BTreeMap<EventId, (Whose, Event)>,
    values: BTreeMap<AttemptKey, Won>,
    words: BTreeSet<Word>,
    news: BTreeMap<(WorkspaceId, AccountId), Vec<News>>,
    conversations: BTreeMap<Talk, Happened>,
    /// By the event of the word that is answered.
    answers: BTreeMap<EventId, SendCommand>,
    /// Something of it could not even be looked up: the message comes back whatever becomes of the rest.
    again: bool,
}

/// Whose an event is: a workspace's, and an account's of it, as far as it is known.
type Whose = (Option<WorkspaceId>, Option<AccountId>);

/// What the earliest conversion that closes an attempt was worth; the event decides between equal times, so that the order
/// in which they come does not matter.
struct Won {
    at: UnixMillis,
    event: EventId,
    value: Money,
}

/// A contact's conversation with an account.
pub(crate) type Talk = (WorkspaceId, ContactId, AccountId);

/// A person's word for or against messages. It holds a phone number, so it has no `Debug`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Word {
    /// Whom it was told.
    pub(crate) workspace: WorkspaceId,
    /// The person's number, or `wa_id`; not in any log.
    pub(crate) digits: String,
    /// For or against.
    pub(crate) wish: Wish,
    /// How we know.
    pub(crate) source: &'static str,
    /// When it was given.
    pub(crate) at: UnixMillis,
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
    conversations: Vec<Talk>,
    answers: Vec<EventId>,
    values: Vec<AttemptKey>,
    again: bool,
}

/// What could not be written.
#[derive(Default)]
pub(crate) struct Failed {
    attempts: BTreeSet<Subject>,
    events: BTreeSet<EventId>,
    words: BTreeSet<Word>,
    accounts: BTreeSet<(WorkspaceId, AccountId)>,
    conversations: BTreeSet<Talk>,
    answers: BTreeSet<EventId>,
    values: BTreeSet<AttemptKey>,
}

impl Needs {
    /// Whether something it needs has failed.
    pub(crate) fn meets(&self, failed: &Failed) -> bool {
        self.again
            || self.attempts.iter().any(|key| failed.attempts.contains(key))
            || self.events.iter().any(|id| failed.events.contains(id))
            || !self.words.is_disjoint(&failed.words)
            || self.accounts.iter().any(|account| failed.accounts.contains(account))
            || self.conversations.iter().any(|talk| failed.conversations.contains(talk))
            || self.answers.iter().any(|word| failed.answers.contains(word))
            || self.values.iter().any(|key| failed.values.contains(key))
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
        let (workspace, account) = route.unzip();
        self.record_of(workspace, account, event);
    }

    /// An event of the feed that may be of a workspace and of none of its accounts.
    pub(crate) fn record_of(&mut self, workspace: Option<WorkspaceId>, account: Option<AccountId>, event: Event) {
        self.events.insert(event.id, ((workspace, account), event));
    }

    /// A conversion of the attempt's recipient: it closes the attempt. The attempt keeps what the first one was worth; the
    /// sum of several is in their events.
    pub(crate) fn close(&mut self, key: AttemptKey, moment: Moment, event: EventId, value: Option<&Money>) {
        self.learn(key, Evidence::Flag(Flag::Closed, moment), None);
        if let Some(value) = value {
            self.win(key, Won { at: moment.at, event, value: value.clone() });
        }
    }

    fn win(&mut self, key: AttemptKey, won: Won) {
        match self.values.entry(key) {
            Entry::Vacant(none) => _ = none.insert(won),
            Entry::Occupied(mut known) if (won.at, won.event) < (known.get().at, known.get().event) => {
                known.insert(won);
            }
            Entry::Occupied(_) => {}
        }
    }

    /// A person's word for or against messages.
    pub(crate) fn hear(&mut self, word: Word) {
        self.words.insert(word);
    }

    /// What Meta tells about an account.
    pub(crate) fn tell(&mut self, account: (WorkspaceId, AccountId), news: News) {
        self.news.entry(account).or_default().push(news);
    }

    /// What happened between the item's account and a contact. A time that lies ahead of the clocks' difference says nothing
    /// about now, and would keep a window open.
    pub(crate) fn happened(&mut self, origin: &Origin<'_>, contact: ContactId, happened: Happened) {
        let latest = origin.seen.plus(CLOCKS_DIFFER);
        let times = [happened.inbound_at, happened.entry_point_at, happened.outbound_at];
        let Some((workspace, account)) = origin.route.filter(|_| times.into_iter().flatten().all(|at| at <= latest))
        else {
            return;
        };
        self.talked((workspace, contact, account), happened);
    }

    /// What happened in a conversation.
    pub(crate) fn talked(&mut self, talk: Talk, happened: Happened) {
        let known = self.conversations.entry(talk).or_default();
        *known = std::mem::take(known).and(happened);
    }

    /// A reply to a word, asked for when the word is written.
    pub(crate) fn answer(&mut self, command: SendCommand) {
        if let SendCommand::Confirm { word, .. } = command {
            self.answers.insert(word, command);
        }
    }

    /// Something could not be looked up now: what is here is written, and the message comes back.
    pub(crate) const fn ask_again(&mut self) {
        self.again = true;
    }

    /// Takes in the effects of another message, or of another item of one.
    pub(crate) fn merge(&mut self, other: Self) {
        for (key, Learning { evidence, wamid, pricing }) in other.attempts {
            let learning = self.attempts.entry(key).or_default();
            learning.evidence.extend(evidence);
            learning.wamid = learning.wamid.take().or(wamid);
            learning.pricing = learning.pricing.take().or(pricing);
        }
        self.events.extend(other.events);
        for (key, won) in other.values {
            self.win(key, won);
        }
        self.words.extend(other.words);
        for (account, news) in other.news {
            self.news.entry(account).or_default().extend(news);
        }
        for (talk, happened) in other.conversations {
            let known = self.conversations.entry(talk).or_default();
            *known = std::mem::take(known).and(happened);
        }
        self.answers.extend(other.answers);
        self.again |= other.again;
    }

    pub(crate) fn needs(&self) -> Needs {
        Needs {
            attempts: self.attempts.keys().copied().collect(),
            events: self.events.keys().copied().collect(),
            words: self.words.clone(),
            accounts: self.news.keys().copied().collect(),
            conversations: self.conversations.keys().copied().collect(),
            answers: self.answers.keys().copied().collect(),
            values: self.values.keys().copied().collect(),
            again: self.again,
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
            .map(|(id, (whose, event))| async move { (id, record(ingest, whose, event).await) })
            .buffer_unordered(WRITES_AT_ONCE);
        while let Some((id, result)) = recorded.next().await {
            if let Err(error) = result {
                tracing::error!(event = %id, error, "an event could not be recorded");
                failed.events.insert(id);
            }
        }
        drop(recorded);
        for (key, Won { at, event, value }) in self.values {
            if let Err(error) = ingest.core.record_conversion(&key, at, event, &value).await {
                tracing::error!(campaign = %key.campaign, seq = key.seq.0, %error, "what a deal was worth could not be written");
                failed.values.insert(key);
            }
        }
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
        let mut noted = futures::stream::iter(self.conversations)
            .map(|(talk, happened)| async move {
                let (workspace, contact, account) = talk;
                (talk, ingest.core.note_conversation(workspace, contact, account, happened).await)
            })
            .buffer_unordered(WRITES_AT_ONCE);
        while let Some((talk, result)) = noted.next().await {
            if let Err(error) = result {
                tracing::error!(contact = %talk.1, %error, "a conversation could not be written");
                failed.conversations.insert(talk);
            }
        }
        drop(noted);
        answer(ingest, self.answers, &mut failed).await;
        failed
    }
}

/// Asks for the replies. The sender reads the word's event, so that is written before; one that is asked for twice is sent
/// once.
async fn answer(ingest: &Ingest, answers: BTreeMap<EventId, SendCommand>, failed: &mut Failed) {
    let Some(sender) = &ingest.sender else {
        return;
    };
    for (word, command) in answers {
        if failed.events.contains(&word) {
            continue;
        }
        if let Err(error) = sender.send(&command, Duration::ZERO).await {
            tracing::error!(event = %word, %error, "the reply to a word could not be asked for");
            failed.answers.insert(word);
        }
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

async fn record(ingest: &Ingest, (workspace, account): Whose, mut event: Event) -> Result<(), String> {
    if let Some(Kept::Inline(text)) = event.content.raw_mut().filter(|raw| raw.len() > MAX_INLINE_BYTES) {
        let object = key::kept_event(&event.at.date(), event.id);
        let body = Bytes::from(std::mem::take(text));
        ingest.bucket.put(&object, body, "application/json").await.map_err(|error| error.to_string())?;
        if let Some(raw) = event.content.raw_mut() {
            *raw = Kept::Object(object);
        }
    }
    ingest.core.record_event_of(workspace, account, &event).await.map_err(|error| error.to_string())
}
