//! What the tables must hold in the end: every row and every counter, nothing missing, nothing else.

use std::collections::{BTreeMap, BTreeSet};

use local::stack::Stack;
use shared::activity::{self, Content, Event, Kept, Visitor};
use shared::attempt::{Attempt, Flag};
use shared::id::{ContactId, EventId};
use shared::store::{Item, keys};
use shared::time::UnixMillis;

use super::wire::{self, NUMBERS};
use super::world::{CAMPAIGNS, Life, Reply, STOPPED_MARKETING, Update, WORKSPACE, World, last_words};
use super::{archive, counters, parquet};

/// The table as `local` names it.
const CORE: &str = "thirdtick-core";

/// Rows that are read at once: without a number dynoxide reads the whole rest of the table for each page.
const ROWS_AT_ONCE: i32 = 1_000;

/// So many differences are shown.
const SHOWN: usize = 10;

/// What was found so far.
struct Checked<'a> {
    world: &'a World,
    /// When the flood began: nothing was taken in before.
    begun: UnixMillis,
    attempts: usize,
    /// Rows of events by their type.
    events: BTreeMap<String, usize>,
    quarantined: BTreeSet<u32>,
    /// Whose contact is whose, as the messages tell.
    contacts: BTreeMap<u32, ContactId>,
    /// The contacts that were created, as their events tell.
    created: BTreeSet<ContactId>,
    /// When each contact last wrote to an account, in milliseconds, as their conversations tell.
    last_inbound: BTreeMap<(String, String), i64>,
    /// All events of the feed.
    feed: Vec<(EventId, UnixMillis)>,
    wrong: Vec<String>,
}

/// Holds rows and counters against the world; what is wrong.
pub(super) async fn differences(world: &World, stack: &Stack, begun: UnixMillis) -> Vec<String> {
    let mut checked = Checked {
        world,
        begun,
        attempts: 0,
        events: BTreeMap::new(),
        quarantined: BTreeSet::new(),
        contacts: BTreeMap::new(),
        created: BTreeSet::new(),
        last_inbound: BTreeMap::new(),
        feed: Vec::new(),
        wrong: Vec::new(),
    };
    let client = stack.engines().dynamodb();
    let mut start = None;
    loop {
        let page = client.scan().table_name(CORE).limit(ROWS_AT_ONCE).set_exclusive_start_key(start.take());
        let page = page.send().await.unwrap();
        for item in page.items.unwrap_or_default() {
            checked.row(item);
        }
        start = page.last_evaluated_key;
        if start.is_none() {
            break;
        }
    }
    checked.nothing_is_missing();
    let (mut wrong, feed) = (checked.wrong, checked.feed);
    wrong.extend(words(world, stack).await);
    wrong.extend(counters::differences(world, stack).await);
    wrong.extend(archive::differences(world, stack).await);
    wrong.extend(parquet::differences(world, stack, feed).await);
    wrong
}

impl Checked<'_> {
    fn wrong(&mut self, what: impl FnOnce() -> String) {
        if self.wrong.len() < SHOWN {
            self.wrong.push(what());
        }
    }

    fn row(&mut self, item: Item) {
        let text = |name: &str| item.get(name).and_then(|value| value.as_s().ok()).cloned().unwrap_or_default();
        let (pk, sk) = (text("pk"), text("sk"));
        if let Some(key) = keys::read_attempt(&pk, &sk) {
            let Some(n) = self.world.number_of(&key) else {
                return self.wrong(|| format!("another attempt: {pk} {sk}"));
            };
            let attempt: Attempt = serde_dynamo::from_item(item).unwrap();
            self.attempt(&self.world.life(n), attempt);
        } else if pk.contains("#ACTIVITY#") {
            let event: Event = serde_dynamo::from_item(item).unwrap();
            self.event(&keys::Key::new(pk, sk), &event);
        } else if let Some((_, account)) = sk.split_once("CONVERSATION#") {
            let contact = pk.rsplit('#').next().unwrap_or_default().to_owned();
            let last = item.get("last_inbound_at").and_then(|at| at.as_n().ok()?.parse().ok()).unwrap_or_default();
            self.last_inbound.insert((contact, account.to_owned()), last);
        }
    }

    fn attempt(&mut self, life: &Life, mut row: Attempt) {
        self.attempts += 1;
        // When a thing was taken in cannot be known beforehand; what was there before the flood must be as it was.
        let mut expected = life.expected.clone();
        // A click was seen when it was made.
        let flags = Flag::ALL.into_iter().filter(|flag| *flag != Flag::Clicked && life.sent.flag(*flag).is_none());
        for flag in flags {
            if let (Some(found), Some(_)) = (row.flag(flag), expected.flag(flag)) {
                self.taken_in(life.n, flag.name(), found.seen);
                set_seen(&mut expected, flag, found.seen);
            }
        }
        if let (Some(found), Some(failed)) = (&row.failed, &mut expected.failed) {
            self.taken_in(life.n, "failed", found.seen);
            failed.seen = found.seen;
        }
        if row.claim.is_some() && expected.claim.is_some() {
            row.claim.clone_from(&expected.claim);
        }
        if row != expected {
            let json = |attempt: &Attempt| serde_json::to_string(attempt).unwrap();
            self.wrong(|| format!("attempt {}:\n  {}\n  instead of\n  {}", life.n, json(&row), json(&expected)));
        }
    }

    fn taken_in(&mut self, n: u32, what: &str, seen: UnixMillis) {
        if seen < self.begun || seen > UnixMillis::now() {
            self.wrong(|| format!("attempt {n}: {what} was taken in at {}", seen.to_rfc3339()));
        }
    }

    fn event(&mut self, key: &keys::Key, event: &Event) {
        self.feed.push((event.id, event.at));
        *self.events.entry(event.content.kind().to_owned()).or_default() += 1;
        let expected = match &event.content {
            Content::MessageReceived { wamid, .. } => self.message(wamid, event),
            Content::ContactOptedOut(report) => self.stop(report.wamid.as_deref(), event),
            // Its time is that of whichever message was taken in first; there is one for each person, of whom more below.
            Content::ContactCreated(_) => {
                let is_new = event.contact.is_some_and(|contact| self.created.insert(contact));
                if !is_new {
                    self.wrong(|| format!("somebody was created twice: {} {}", key.pk, key.sk));
                }
                return;
            }
            Content::LinkClicked { campaign: Some(campaign), recipient: Some(seq), .. } => {
                let campaign = self.world.campaigns.iter().position(|known| known == campaign);
                let n = campaign.map(|campaign| seq.0 * CAMPAIGNS + u32::try_from(campaign).unwrap());
                n.and_then(|n| self.click(n, event))
            }
            Content::MetaReported { raw: Kept::Inline(raw), .. } => self.unknown(raw, event),
            Content::MetaQuarantined { raw: Kept::Inline(raw), reason, .. } => {
                let quarantined = self.world.numbers().filter(|n| n % 700 == 9).find(|n| wire::broken(*n) == *raw);
                // Its time is that of the first day on which it was seen.
                if quarantined.is_none_or(|n| !self.quarantined.insert(n)) {
                    self.wrong(|| format!("quarantined, or quarantined twice: {raw} for {reason}"));
                }
                return;
            }
            _ => None,
        };
        if expected.as_ref() != Some(key) {
            self.wrong(|| format!("event {} {}: {}", key.pk, key.sk, serde_json::to_string(event).unwrap()));
        }
    }

    /// Where the event of a message must lie, if it says what it must.
    fn message(&mut self, wamid: &str, event: &Event) -> Option<keys::Key> {
        let (life, reply) = self.reply(wamid)?;
        let n = life.n;
        self.is_theirs(n / CAMPAIGNS, event)?;
        let Content::MessageReceived { from, kind, campaign, recipient, raw, .. } = &event.content else { return None };
        let Kept::Inline(raw) = raw else { return None };
        let raw: serde_json::Value = serde_json::from_str(raw).ok()?;
        let says_so = from.as_deref() == Some(&World::digits(n / CAMPAIGNS))
            && kind == "text"
            && *campaign == Some(life.key.campaign)
            && *recipient == Some(life.key.seq)
            && raw.to_string().contains(&serde_json::to_string(&reply.text).ok()?);
        let identity = ["message", &self.account(&life), wamid, "text"];
        says_so.then(|| self.key(&life, reply.at_s, &identity))
    }

    /// A message that asks to stop, or a status that tells of it.
    fn stop(&mut self, wamid: Option<&str>, event: &Event) -> Option<keys::Key> {
        if let Some(wamid) = wamid {
            let (life, reply) = self.reply(wamid)?;
            self.is_theirs(life.n / CAMPAIGNS, event)?;
            let identity = ["opt_out", &self.account(&life), "message", wamid];
            return (reply.text == "Stop").then(|| self.key(&life, reply.at_s, &identity));
        }
        let Content::ContactOptedOut(report) = &event.content else { return None };
        let person: u32 = report.from.as_deref()?.strip_prefix("60123")?.parse().ok()?;
        self.is_theirs(person, event)?;
        let digits = World::digits(person);
        let lives = (0..CAMPAIGNS).filter_map(|campaign| self.known(person * CAMPAIGNS + campaign));
        lives
            .flat_map(|life| {
                let stops = life.updates.iter().filter_map(|update| match update {
                    Update::Status(status) if status.code == Some(STOPPED_MARKETING) => Some(status),
                    _ => None,
                });
                let identity = |wamid| ["opt_out".to_owned(), self.account(&life), "status".to_owned(), wamid];
                stops
                    .map(|status| {
                        let [topic, account, what, wamid] = identity(status.wamid.clone());
                        self.key(&life, status.at_s, &[&topic, &account, &what, &wamid, &digits])
                    })
                    .collect::<Vec<_>>()
            })
            .find(|key| key.sk.ends_with(&event.id.to_string()))
    }

    /// Each person is one contact, whatever told of them.
    fn is_theirs(&mut self, person: u32, event: &Event) -> Option<()> {
        let contact = event.contact?;
        (*self.contacts.entry(person).or_insert(contact) == contact).then_some(())
    }

    fn reply(&self, wamid: &str) -> Option<(Life, Reply)> {
        let n = wamid.strip_prefix("wamid.in.")?.split('.').next()?.parse().ok()?;
        let mut life = self.known(n)?;
        let place =
            life.updates.iter().position(|update| matches!(update, Update::Reply(reply) if reply.wamid == wamid));
        let Update::Reply(reply) = life.updates.swap_remove(place?) else { return None };
        Some((life, reply))
    }

    fn account(&self, life: &Life) -> String {
        self.world.accounts[life.account].to_string()
    }

    fn key(&self, life: &Life, at_s: i64, identity: &[&str]) -> keys::Key {
        let at = UnixMillis::from_seconds(at_s);
        let id = activity::id_of(at, identity);
        keys::event(Some(WORKSPACE), Some(self.world.accounts[life.account]), id, at)
    }

    fn click(&self, n: u32, event: &Event) -> Option<keys::Key> {
        let life = self.known(n)?;
        let visit = life.clicks.iter().find(|visit| visit.id == event.id)?;
        let Content::LinkClicked { link, visitor, country, .. } = &event.content else { return None };
        let says_so = *visitor == visitor_of(visit.human)
            && *link == wire::link(n % CAMPAIGNS)
            && country.as_deref() == Some("MY")
            && event.variant.is_none_or(|variant| variant == life.sent.variant);
        says_so.then(|| keys::event(Some(WORKSPACE), Some(self.world.accounts[life.account]), visit.id, visit.at))
    }

    fn unknown(&self, raw: &str, event: &Event) -> Option<keys::Key> {
        let value: serde_json::Value = serde_json::from_str(raw).ok()?;
        let life = self.known(u32::try_from(value["of"].as_u64()?).ok()?)?;
        life.updates.iter().find(|update| matches!(update, Update::Unknown))?;
        let Content::MetaReported { field, .. } = &event.content else { return None };
        let identity = ["brand_new_field", NUMBERS[life.account].1, "", raw];
        (field == "brand_new_field").then(|| self.key(&life, wire::unknown_at_s(&life), &identity))
    }

    fn known(&self, n: u32) -> Option<Life> {
        self.world.numbers().contains(&n).then(|| self.world.life(n))
    }

    /// Each row that was found is one of the world's and no two are the same, so the numbers need only be equal.
    fn nothing_is_missing(&mut self) {
        let mut expected: BTreeMap<String, usize> = BTreeMap::new();
        let mut last_inbound: BTreeMap<(u32, usize), i64> = BTreeMap::new();
        // Whoever writes, or has stopped marketing messages, becomes a contact.
        let mut people: BTreeSet<u32> = BTreeSet::new();
        let mut add = |kind: &str, n: usize| *expected.entry(kind.to_owned()).or_default() += n;
        for life in self.world.numbers().map(|n| self.world.life(n)) {
            for update in &life.updates {
                match update {
                    Update::Status(status) if status.code == Some(STOPPED_MARKETING) => {
                        add("contact.opted_out", 1);
                        people.insert(life.n / CAMPAIGNS);
                    }
                    Update::Status(_) => {}
                    Update::Reply(reply) => {
                        add("message.received", 1);
                        add("contact.opted_out", usize::from(reply.text == "Stop"));
                        people.insert(life.n / CAMPAIGNS);
                        let last = last_inbound.entry((life.n / CAMPAIGNS, life.account)).or_default();
                        *last = (*last).max(reply.at_s * 1_000);
                    }
                    Update::Unknown => add("meta.reported", 1),
                    Update::Broken => add("meta.quarantined", 1),
                }
            }
            add("link.clicked", life.clicks.len());
        }
        add("contact.created", people.len());
        expected.retain(|_, n| *n > 0);
        let (found, attempts) = (self.events.clone(), self.attempts);
        if found != expected {
            self.wrong(|| format!("events: {found:?} instead of {expected:?}"));
        }
        if attempts != self.world.numbers().len() {
            self.wrong(|| format!("{attempts} attempts instead of {}", self.world.numbers().len()));
        }
        let theirs: BTreeSet<ContactId> = self.contacts.values().copied().collect();
        if theirs != self.created || theirs.len() != people.len() {
            let (theirs, created) = (theirs.len(), self.created.len());
            self.wrong(|| format!("{} people are {theirs} contacts, {created} were created", people.len()));
        }
        let found = std::mem::take(&mut self.last_inbound);
        let expected: BTreeMap<(String, String), i64> = last_inbound
            .into_iter()
            .filter_map(|((person, account), at)| {
                let contact = self.contacts.get(&person)?;
                Some(((contact.to_string(), self.world.accounts[account].to_string()), at))
            })
            .collect();
        if found != expected {
            let wrong = expected.iter().find(|(talk, at)| found.get(talk) != Some(at));
            self.wrong(|| format!("{} conversations instead of {}, such as {wrong:?}", found.len(), expected.len()));
        }
    }
}

/// What a click's visitor is taken for.
pub(super) fn visitor_of(human: bool) -> Visitor {
    if human {
        let (device, os, browser) = ("mobile".to_owned(), "Android".to_owned(), "WhatsApp".to_owned());
        Visitor::Human {
            device,
            os,
            in_app: Some(browser.clone()),
            browser,
            os_version: None,
            browser_version: Some(wire::WHATSAPP.to_owned()),
        }
    } else {
        Visitor::Machine { reason: "preview".to_owned() }
    }
}

fn set_seen(attempt: &mut Attempt, flag: Flag, seen: UnixMillis) {
    let moment = match flag {
        Flag::Accepted => &mut attempt.accepted,
        Flag::Sent => &mut attempt.sent,
        Flag::Delivered => &mut attempt.delivered,
        Flag::Read => &mut attempt.read,
        Flag::Clicked => &mut attempt.clicked,
        Flag::Replied => &mut attempt.replied,
        Flag::Closed => &mut attempt.closed,
        Flag::OptedOut => &mut attempt.opted_out,
    };
    if let Some(moment) = moment {
        moment.seen = seen;
    }
}

/// What people have said for and against messages.
async fn words(world: &World, stack: &Stack) -> Option<String> {
    let (core, _) = stack.tables();
    let expected = last_words(world);
    let people: Vec<u32> = (0..world.people).collect();
    for hundred in people.chunks(100) {
        let digits: Vec<String> = hundred.iter().map(|person| World::digits(*person)).collect();
        let wanted: Vec<&str> = digits.iter().map(String::as_str).collect();
        let consents = core.consents(WORKSPACE, &wanted).await.unwrap();
        for (person, digits) in hundred.iter().zip(&digits) {
            let found = consents.get(digits).and_then(|consent| consent.opt_out.as_ref()).map(|word| word.at);
            let expected = expected.get(person).copied();
            if found != expected {
                return Some(format!("person {person} said no at {found:?} instead of {expected:?}"));
            }
        }
    }
    None
}
