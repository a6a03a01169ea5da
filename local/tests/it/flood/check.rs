//! What the tables must hold in the end: every row and every counter, nothing missing, nothing else.

use std::collections::{BTreeMap, BTreeSet};

use local::stack::Stack;
use shared::activity::{self, Content, Event, Kept, Visitor};
use shared::attempt::{Attempt, Flag};
use shared::campaign::VariantIndex;
use shared::rollup::contribution::{campaign_pk, of_attempt, of_event};
use shared::rollup::{Contribution, add};
use shared::store::{Item, keys};
use shared::time::UnixMillis;

use super::wire::{self, NUMBERS};
use super::world::{CAMPAIGNS, Life, Update, WORKSPACE, World, last_words};

/// The table as `local` names it.
const CORE: &str = "thirdtick-core";

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
    wrong: Vec<String>,
}

/// Holds rows and counters against the world; what is wrong.
pub(super) async fn differences(world: &World, stack: &Stack, begun: UnixMillis) -> Vec<String> {
    let mut checked =
        Checked { world, begun, attempts: 0, events: BTreeMap::new(), quarantined: BTreeSet::new(), wrong: Vec::new() };
    let client = stack.engines().dynamodb();
    let mut start = None;
    loop {
        let page = client.scan().table_name(CORE).set_exclusive_start_key(start.take()).send().await.unwrap();
        for item in page.items.unwrap_or_default() {
            checked.row(item);
        }
        start = page.last_evaluated_key;
        if start.is_none() {
            break;
        }
    }
    checked.nothing_is_missing();
    let mut wrong = checked.wrong;
    wrong.extend(words(world, stack).await);
    wrong.extend(counters(world, stack).await);
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
        }
    }

    fn attempt(&mut self, life: &Life, mut row: Attempt) {
        self.attempts += 1;
        // When a thing was taken in cannot be known beforehand; what was there before the flood must be as it was.
        let mut expected = life.expected.clone();
        for flag in Flag::ALL.into_iter().filter(|flag| life.sent.flag(*flag).is_none()) {
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
        *self.events.entry(event.content.kind().to_owned()).or_default() += 1;
        let expected = match &event.content {
            Content::MessageReceived { wamid, .. } => self.message(wamid, event),
            Content::LinkClicked { campaign, recipient: Some(seq), .. } => {
                let campaign = self.world.campaigns.iter().position(|known| known == campaign);
                let n = campaign.map(|campaign| seq.0 * CAMPAIGNS + u32::try_from(campaign).unwrap());
                n.and_then(|n| self.click(n, event))
            }
            Content::MetaReported { raw: Kept::Inline(raw), .. } => self.unknown(raw, event),
            Content::MetaQuarantined { raw: Kept::Inline(raw), .. } => {
                let quarantined = self.world.numbers().filter(|n| n % 700 == 9).find(|n| wire::broken(*n) == *raw);
                // Its id depends on the day it came: over midnight there are two rows.
                return match quarantined {
                    Some(n) => drop(self.quarantined.insert(n)),
                    None => self.wrong(|| format!("quarantined: {raw}")),
                };
            }
            _ => None,
        };
        if expected.as_ref() != Some(key) {
            self.wrong(|| format!("event {} {}: {}", key.pk, key.sk, serde_json::to_string(event).unwrap()));
        }
    }

    /// Where the event of a message must lie, if it says what it must.
    fn message(&self, wamid: &str, event: &Event) -> Option<keys::Key> {
        let n = wamid.strip_prefix("wamid.in.")?.split('.').next()?.parse().ok()?;
        let life = self.known(n)?;
        let reply = life.updates.iter().find_map(|update| match update {
            Update::Reply(reply) if reply.wamid == wamid => Some(reply),
            _ => None,
        })?;
        let Content::MessageReceived { from, kind, campaign, recipient, raw, .. } = &event.content else { return None };
        let Kept::Inline(raw) = raw else { return None };
        let raw: serde_json::Value = serde_json::from_str(raw).ok()?;
        let says_so = from.as_deref() == Some(&World::digits(n / CAMPAIGNS))
            && kind == "text"
            && *campaign == Some(life.key.campaign)
            && *recipient == Some(life.key.seq)
            && raw.to_string().contains(&serde_json::to_string(&reply.text).ok()?);
        let at = UnixMillis::from_seconds(reply.at_s);
        let account = self.world.accounts[life.account];
        let id = activity::id_of(at, &["message", &account.to_string(), wamid, "text"]);
        says_so.then(|| keys::event(Some(WORKSPACE), Some(account), id, at))
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
        let at = UnixMillis::from_seconds(wire::unknown_at_s(&life));
        let id = activity::id_of(at, &["brand_new_field", NUMBERS[life.account].1, "", raw]);
        let account = self.world.accounts[life.account];
        (field == "brand_new_field").then(|| keys::event(Some(WORKSPACE), Some(account), id, at))
    }

    fn known(&self, n: u32) -> Option<Life> {
        self.world.numbers().contains(&n).then(|| self.world.life(n))
    }

    /// Each row that was found is one of the world's and no two are the same, so the numbers need only be equal.
    fn nothing_is_missing(&mut self) {
        let mut expected: BTreeMap<String, usize> = BTreeMap::new();
        let mut quarantined = 0;
        for life in self.world.numbers().map(|n| self.world.life(n)) {
            for update in &life.updates {
                let kind = match update {
                    Update::Status(_) => continue,
                    Update::Reply(_) => "message.received",
                    Update::Unknown => "meta.reported",
                    Update::Broken => {
                        quarantined += 1;
                        continue;
                    }
                };
                *expected.entry(kind.to_owned()).or_default() += 1;
            }
            if !life.clicks.is_empty() {
                *expected.entry("link.clicked".to_owned()).or_default() += life.clicks.len();
            }
        }
        self.events.remove("meta.quarantined");
        let (found, attempts) = (self.events.clone(), self.attempts);
        if found != expected {
            self.wrong(|| format!("events: {found:?} instead of {expected:?}"));
        }
        if attempts != self.world.numbers().len() {
            self.wrong(|| format!("{attempts} attempts instead of {}", self.world.numbers().len()));
        }
        if self.quarantined.len() != quarantined {
            let found = self.quarantined.len();
            self.wrong(|| format!("{found} items were quarantined instead of {quarantined}"));
        }
    }
}

fn visitor_of(human: bool) -> Visitor {
    if human {
        let (device, os, browser) = ("mobile".to_owned(), "Android".to_owned(), "WhatsApp".to_owned());
        Visitor::Human { device, os, browser }
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

/// What the counters must say.
pub(super) fn expected_counters(world: &World) -> Contribution {
    let mut sum = Contribution::new();
    let mut take = |contribution: Contribution| {
        for (key, counts) in contribution {
            add(sum.entry(key).or_default(), &counts);
        }
    };
    for life in world.numbers().map(|n| world.life(n)) {
        take(of_attempt(&life.key, &life.expected));
        for visit in &life.clicks {
            let content = Content::LinkClicked {
                link: wire::link(life.n % CAMPAIGNS),
                campaign: life.key.campaign,
                recipient: Some(life.key.seq),
                visitor: visitor_of(visit.human),
                country: Some("MY".to_owned()),
            };
            let variant: Option<VariantIndex> = None;
            let event = Event { v: 1, id: visit.id, at: visit.at, seen: visit.at, contact: None, variant, content };
            take(of_event(WORKSPACE, &visit.at.date(), activity::shard_of(visit.id), &event));
        }
    }
    sum
}

/// The counters as they are stored, without zeros.
pub(super) async fn counters_found(world: &World, stack: &Stack) -> Contribution {
    let (_, rollups) = stack.tables();
    let mut found = Contribution::new();
    for campaign in world.campaigns {
        let pk = campaign_pk(WORKSPACE, campaign);
        for mut item in rollups.items(&pk, "").await.unwrap() {
            item.counts.retain(|_, n| *n != 0);
            if !item.counts.is_empty() {
                found.insert(shared::rollup::CounterKey { pk: pk.clone(), sk: item.sk }, item.counts);
            }
        }
    }
    found
}

async fn counters(world: &World, stack: &Stack) -> Vec<String> {
    let (expected, found) = (expected_counters(world), counters_found(world, stack).await);
    let keys: BTreeSet<_> = expected.keys().chain(found.keys()).collect();
    let differ = keys.into_iter().filter(|key| expected.get(key) != found.get(key));
    differ
        .take(SHOWN)
        .map(|key| format!("counters of {key:?}: {:?} instead of {:?}", found.get(key), expected.get(key)))
        .collect()
}
