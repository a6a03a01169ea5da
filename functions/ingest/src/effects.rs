//! What a batch changes: evidence for attempts, gathered per attempt, events of the feed, people's word for or against
//! messages and the replies to it, what happened in conversations, and Meta's word about accounts.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use shared::account::news::News;
use shared::activity::{Content, Event, Kept};
use shared::archive::Place;
use shared::attempt::pricing::Pricing;
use shared::attempt::{AttemptKey, Evidence, Flag, Moment, Money};
use shared::blob::key;
use shared::consent::Wish;
use shared::contact::alias::Alias;
use shared::conversation::Happened;
use shared::id::{AccountId, ContactId, EventId, WorkspaceId};
use shared::link::visits::{Visit, Whose};
use shared::meta::webhook;
use shared::queue::SendCommand;
use shared::store::{Learned, StoreError, Told};
use shared::time::UnixMillis;

use crate::origin::Origin;
use crate::routes::Route;
use crate::{Ingest, NotIngested, PAUSES, WRITES_AT_ONCE};

/// Clocks may differ by this.
pub(crate) const CLOCKS_DIFFER: Duration = Duration::from_secs(3_600);

/// Longest raw item kept in a row; a longer one lies in the bucket (DynamoDB: 400 KB an item).
const MAX_INLINE_BYTES: usize = 100 * 1024;

/// What is to be written.
#[derive(Clone, Default)]
pub(crate) struct Effects {
    attempts: BTreeMap<Subject, Learning>,
    events: BTreeMap<EventId, Recorded>,
    values: BTreeMap<AttemptKey, Won>,
    visits: BTreeMap<Whose, Vec<Visit>>,
    words: BTreeSet<Word>,
    news: BTreeMap<(WorkspaceId, AccountId), Vec<News>>,
    conversations: BTreeMap<Talk, Happened>,
    /// By the event of the word that is answered.
    answers: BTreeMap<EventId, SendCommand>,
    /// Something of it could not even be looked up: the message comes back whatever becomes of the rest.
    again: bool,
}

/// What the earliest conversion that closes an attempt was worth; the event decides between equal times, so that the order
/// in which they come does not matter.
#[derive(Clone)]
struct Won {
    at: UnixMillis,
    event: EventId,
    value: Money,
}

/// A contact's conversation with an account.
pub(crate) type Talk = (WorkspaceId, ContactId, AccountId);

/// An event, whose it is, and what it was made of.
#[derive(Clone)]
struct Recorded {
    workspace: Option<WorkspaceId>,
    account: Option<AccountId>,
    event: Event,
    place: Option<Place>,
}

/// A person's word for or against messages. It holds a phone number, so it has no `Debug`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Word {
    /// Whom it was told.
    pub(crate) workspace: WorkspaceId,
    /// What they are known under: the tag of an [`Alias`].
    pub(crate) alias: String,
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

#[derive(Clone, Default)]
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
    visits: Vec<Whose>,
    again: bool,
}

/// What could not be written.
#[derive(Default, PartialEq)]
pub(crate) struct Failed {
    attempts: BTreeSet<Subject>,
    events: BTreeSet<EventId>,
    words: BTreeSet<Word>,
    accounts: BTreeSet<(WorkspaceId, AccountId)>,
    conversations: BTreeSet<Talk>,
    answers: BTreeSet<EventId>,
    values: BTreeSet<AttemptKey>,
    visits: BTreeSet<Whose>,
}

/// What became of writing effects.
#[derive(Default)]
pub(crate) struct Outcome {
    /// What could not be written now: whoever needs it comes back.
    pub(crate) again: Failed,
    /// What can never be written, one by one, each with the reason: whoever needs it is quarantined.
    pub(crate) never: Vec<(Failed, String)>,
}

impl Outcome {
    /// Notes that something was not written. `what` names it, in ids only.
    fn note(&mut self, error: &NotIngested, what: &str, add: impl FnOnce(&mut Failed)) {
        tracing::error!(what, %error, "an effect could not be written");
        if error.is_permanent() {
            let mut failed = Failed::default();
            add(&mut failed);
            self.never.push((failed, format!("{what}: {error}")));
        } else {
            add(&mut self.again);
        }
    }
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
            || self.visits.iter().any(|key| failed.visits.contains(key))
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
        self.add(Recorded { workspace, account, event, place: None });
    }

    /// Of an event that comes more than once in a batch the one that was seen first is kept, as among rows.
    fn add(&mut self, recorded: Recorded) {
        match self.events.entry(recorded.event.id) {
            Entry::Vacant(none) => _ = none.insert(recorded),
            Entry::Occupied(mut known) if recorded.event.seen < known.get().event.seen => {
                known.insert(recorded);
            }
            Entry::Occupied(_) => {}
        }
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

    /// A person followed a link.
    pub(crate) fn visit(&mut self, whose: Whose, visit: Visit) {
        self.visits.entry(whose).or_default().push(visit);
    }

    /// Something that could not be taken in, of a workspace if it is known whose it is.
    pub(crate) fn quarantine(&mut self, workspace: Option<WorkspaceId>, event: Event) {
        self.add(Recorded { workspace, account: None, event, place: None });
    }

    /// All of it was made of the message at this place of the archive.
    pub(crate) fn made_of(&mut self, place: &Place) {
        for recorded in self.events.values_mut() {
            recorded.place.get_or_insert_with(|| place.clone());
        }
    }

    /// What of it is quarantined.
    pub(crate) fn quarantined(&self) -> impl Iterator<Item = EventId> {
        let quarantined = |recorded: &&Recorded| matches!(recorded.event.content, Content::MetaQuarantined { .. });
        self.events.values().filter(quarantined).map(|recorded| recorded.event.id)
    }

    /// The workspace it concerns, if it names one.
    pub(crate) fn workspace(&self) -> Option<WorkspaceId> {
        let of_attempt = self.attempts.keys().next().map(|(key, _)| key.workspace);
        of_attempt.or_else(|| self.events.values().find_map(|recorded| recorded.workspace))
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
        for recorded in other.events.into_values() {
            self.add(recorded);
        }
        for (key, won) in other.values {
            self.win(key, won);
        }
        for (key, visits) in other.visits {
            self.visits.entry(key).or_default().extend(visits);
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
            visits: self.visits.keys().cloned().collect(),
            again: self.again,
        }
    }

    /// Writes all of it, in no order, and tells what failed. What fails for now is tried again in a moment, by itself: if its
    /// message came back for it, everything that came with it would be done once more. Writing it again changes nothing.
    pub(crate) async fn write(mut self, ingest: &Ingest) -> Outcome {
        let mut never = Vec::new();
        for pause in PAUSES {
            let outcome = self.clone().write_once(ingest).await;
            never.extend(outcome.never);
            if outcome.again == Failed::default() {
                return Outcome { again: outcome.again, never };
            }
            tokio::time::sleep(pause).await;
            self.keep(&outcome.again);
        }
        let mut outcome = self.write_once(ingest).await;
        never.append(&mut outcome.never);
        Outcome { never, ..outcome }
    }

    /// Keeps what is among these, and the replies to words that are.
    fn keep(&mut self, failed: &Failed) {
        self.attempts.retain(|subject, _| failed.attempts.contains(subject));
        self.events.retain(|id, _| failed.events.contains(id));
        self.values.retain(|key, _| failed.values.contains(key));
        self.visits.retain(|whose, _| failed.visits.contains(whose));
        self.words.retain(|word| failed.words.contains(word));
        self.news.retain(|account, _| failed.accounts.contains(account));
        self.conversations.retain(|talk, _| failed.conversations.contains(talk));
        self.answers.retain(|word, _| failed.answers.contains(word) || failed.events.contains(word));
    }

    async fn write_once(self, ingest: &Ingest) -> Outcome {
        let mut outcome = Outcome::default();
        let mut learned = futures::stream::iter(self.attempts)
            .map(|(subject, learning)| async move { (subject, learn(ingest, &subject, &learning).await) })
            .buffer_unordered(WRITES_AT_ONCE);
        while let Some((subject, result)) = learned.next().await {
            if let Err(error) = result {
                let key = subject.0;
                let what = format!("recipient {} of {}", key.seq.0, key.campaign);
                outcome.note(&error.into(), &what, |failed| _ = failed.attempts.insert(subject));
            }
        }
        drop(learned);
        let mut recorded = futures::stream::iter(self.events)
            .map(|(id, event)| async move { (id, record(ingest, event).await) })
            .buffer_unordered(WRITES_AT_ONCE);
        while let Some((id, result)) = recorded.next().await {
            if let Err(error) = result {
                outcome.note(&error, &format!("event {id}"), |failed| _ = failed.events.insert(id));
            }
        }
        drop(recorded);
        for (key, Won { at, event, value }) in self.values {
            if let Err(error) = ingest.core.record_conversion(&key, at, event, &value).await {
                let what = format!("worth of {} {}", key.campaign, key.seq.0);
                outcome.note(&error.into(), &what, |failed| _ = failed.values.insert(key));
            }
        }
        let mut visited = futures::stream::iter(self.visits)
            .map(|(whose, visits)| async move { (ingest.core.note_visits(&whose, &visits).await, whose) })
            .buffer_unordered(WRITES_AT_ONCE);
        while let Some((result, whose)) = visited.next().await {
            if let Err(error) = result {
                outcome.note(&error.into(), "clicks of one visitor", |failed| _ = failed.visits.insert(whose));
            }
        }
        drop(visited);
        let mut heard = futures::stream::iter(self.words)
            .map(|word| async move { (hear(ingest, &word).await, word) })
            .buffer_unordered(WRITES_AT_ONCE);
        while let Some((result, word)) = heard.next().await {
            if let Err(error) = result {
                let what = format!("a consent by {}", word.source);
                outcome.note(&error.into(), &what, |failed| _ = failed.words.insert(word));
            }
        }
        drop(heard);
        // What Meta told before is on the accounts' rows already, with its consequences.
        let news = if ingest.is_replay() { BTreeMap::new() } else { self.news };
        for ((workspace, account), news) in news {
            // Boxed, for it is rare and as large as all the rest together.
            let told = Box::pin(ingest.core.tell_account(workspace, account, &news, UnixMillis::now()));
            if let Err(error) = told.await {
                let what = format!("account {account}");
                outcome.note(&error.into(), &what, |failed| _ = failed.accounts.insert((workspace, account)));
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
                let what = format!("the conversation of contact {}", talk.1);
                outcome.note(&error.into(), &what, |failed| _ = failed.conversations.insert(talk));
            }
        }
        drop(noted);
        answer(ingest, self.answers, &mut outcome).await;
        outcome
    }
}

/// Asks for the replies. The sender reads the word's event, so that is written before; one that is asked for twice is sent
/// once.
async fn answer(ingest: &Ingest, answers: BTreeMap<EventId, SendCommand>, outcome: &mut Outcome) {
    let Some(sender) = &ingest.sender else {
        return;
    };
    for (word, command) in answers {
        let is_not_written = |failed: &Failed| failed.events.contains(&word);
        if is_not_written(&outcome.again) || outcome.never.iter().any(|(failed, _)| is_not_written(failed)) {
            continue;
        }
        if let Err(error) = sender.send(&command, Duration::ZERO).await {
            tracing::error!(event = %word, %error, "the reply to a word could not be asked for");
            outcome.again.answers.insert(word);
        }
    }
}

async fn hear(ingest: &Ingest, word: &Word) -> Result<(), StoreError> {
    let Word { workspace, alias, wish, source, at } = word;
    // It was an identifier when it was written down.
    let Ok(alias) = Alias::of_tag(alias) else { return Ok(()) };
    match wish {
        Wish::Messages => ingest.core.opt_in_by(*workspace, &alias, source, *at).await,
        Wish::NoMessages => ingest.core.opt_out_by(*workspace, &alias, source, *at).await,
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

async fn record(ingest: &Ingest, recorded: Recorded) -> Result<(), NotIngested> {
    let Recorded { workspace, account, mut event, place } = recorded;
    if let Some(Kept::Inline(text)) = event.content.raw_mut().filter(|raw| raw.len() > MAX_INLINE_BYTES) {
        let object = key::kept_event(&event.at.date(), event.id);
        let body = Bytes::from(std::mem::take(text));
        ingest.bucket.put(&object, body, "application/json").await?;
        if let Some(raw) = event.content.raw_mut() {
            *raw = Kept::Object(object);
        }
    }
    Ok(ingest.core.record_archived_event(workspace, account, &event, place.as_ref()).await?)
}
