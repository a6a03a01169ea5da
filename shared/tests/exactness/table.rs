//! CORE and its stream as far as counters depend on them: writes that hold only if they tell something new, and a record
//! of every write that changed its row.

use std::collections::BTreeMap;

use shared::activity::{self, Content, Event, Visitor};
use shared::attempt::claim::{CALL_TIMEOUT, Claim, Release};
use shared::attempt::pricing::Pricing;
use shared::attempt::{Attempt, AttemptKey, Evidence, Failure, Flag, Moment};
use shared::campaign::{PageNumber, VariantIndex};
use shared::id::WorkspaceId;
use shared::link::visits::{self, VisitorMark, Visits, Whose};
use shared::rollup::click::{facets, of_visits};
use shared::rollup::contribution::{of_attempt, of_event};
use shared::rollup::{Contribution, CounterKey, Counts, SequenceNumber, add, difference};
use shared::store::keys;
use shared::time::UnixMillis;

use crate::Rule;
use crate::world::{self, Life, Price, Report, Thing, Visit, World, Write};

/// A record of the stream.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    /// The partition of the row.
    pub(crate) source: String,
    pub(crate) sequence: SequenceNumber,
    /// What the change adds to the counters.
    pub(crate) delta: Contribution,
}

/// The table after all writes of a world.
pub(crate) struct Table<'a> {
    rule: Rule,
    world: &'a World,
    pub(crate) attempts: BTreeMap<AttemptKey, Attempt>,
    /// By partition and number of the visit.
    events: BTreeMap<(String, usize), Event>,
    visits: BTreeMap<Whose, Visits>,
    pub(crate) stream: Vec<Record>,
    sequence: u128,
    /// When the next evidence is taken in; differs from write to write.
    clock: UnixMillis,
}

impl<'a> Table<'a> {
    /// Makes every write of the world, evidence of one attempt that is taken in together in one write.
    pub(crate) fn written(world: &'a World, rule: Rule) -> Self {
        let mut table = Self {
            rule,
            world,
            attempts: BTreeMap::new(),
            events: BTreeMap::new(),
            visits: BTreeMap::new(),
            stream: Vec::new(),
            sequence: world.first_sequence,
            clock: world::at(0),
        };
        let mut rest = world.writes.as_slice();
        for size in world.taken_in.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (together, later) = rest.split_at((*size).min(rest.len()));
            table.take_in(together);
            rest = later;
        }
        table
    }

    /// What the rows as they are now count for.
    pub(crate) fn contribution(&self) -> Contribution {
        let mut sum = Contribution::new();
        let attempts = self.attempts.iter().map(|(key, attempt)| self.of_attempt(key, attempt));
        let events = self.events.iter().map(|((pk, _), event)| self.of_event(pk, event));
        let visits = self.visits.iter().map(|(whose, visits)| self.kept_apart(of_visits(whose, visits)));
        for row in attempts.chain(events).chain(visits) {
            for (key, counts) in row {
                add(sum.entry(key).or_default(), &counts);
            }
        }
        sum
    }

    fn take_in(&mut self, writes: &[Write]) {
        let mut evidence: BTreeMap<usize, (Vec<Evidence>, Option<Pricing>)> = BTreeMap::new();
        for write in writes {
            self.clock = UnixMillis(self.clock.0 + 1);
            match *write {
                Write::Learn { life, report } => {
                    let Life { price, reports, .. } = &self.world.lives[life];
                    let (told, priced) = evidence.entry(life).or_default();
                    told.push(evidence_of(&reports[report], self.clock));
                    *priced = priced.take().or_else(|| pricing_of(&reports[report], price));
                }
                Write::Claim(life) => self.change(life, |_, _| {}),
                Write::Release(life) => self.change(life, |attempt, _| {
                    if attempt.claim.is_some() && attempt.number == 1 {
                        attempt.claim = None;
                        attempt.released = Some(Release { not_before: world::at(0), code: 130_429 });
                    }
                }),
                Write::ClaimAgain(life) => self.change(life, |attempt, _| {
                    if attempt.released.take().is_some() {
                        attempt.number += 1;
                        attempt.claim = Some(Claim::for_slot(world::at(1), CALL_TIMEOUT));
                    }
                }),
                Write::MarkUnknown(life) => self.change(life, |attempt, now| {
                    if attempt.claim.is_some() && attempt.accepted.is_none() {
                        attempt.unknown.get_or_insert(Moment { at: now, seen: now });
                    }
                }),
                Write::Visit(visit) => self.visit(visit),
            }
        }
        for (life, (evidence, priced)) in evidence {
            let rule = self.rule;
            self.change(life, |attempt, _| {
                // The price goes along with the write, and there is one only if something is new.
                if evidence.iter().any(|evidence| attempt.is_news(evidence)) && attempt.pricing.is_none() {
                    attempt.pricing = priced;
                }
                for evidence in &evidence {
                    match rule {
                        Rule::LastReportWins => overwrite(attempt, evidence),
                        _ => attempt.learn(evidence),
                    }
                }
            });
        }
    }

    /// Changes a row, which is born with its claim before anything is told of it.
    fn change(&mut self, life: usize, change: impl FnOnce(&mut Attempt, UnixMillis)) {
        let life = &self.world.lives[life];
        let key = life.key();
        let old = self.attempts.get(&key).cloned().unwrap_or_else(|| {
            let born = claimed(life);
            let delta = self.of_attempt(&key, &born);
            self.record(keys::attempt(&key).pk, delta);
            self.attempts.insert(key, born.clone());
            born
        });
        let mut new = old.clone();
        change(&mut new, self.clock);
        if new == old {
            return;
        }
        let before = match self.rule {
            Rule::OldImageIgnored => Contribution::new(),
            _ => self.of_attempt(&key, &old),
        };
        let delta = difference(&before, &self.of_attempt(&key, &new));
        self.record(keys::attempt(&key).pk, delta);
        self.attempts.insert(key, new);
    }

    /// An event is put once; a repeat finds it there. What a person did is a row that is written before it.
    fn visit(&mut self, visit: usize) {
        let event = event(&self.world.visits[visit]);
        if self.world.visits[visit].human {
            self.visited(&self.world.visits[visit].clone(), &event);
        }
        let pk = keys::event(Some(WorkspaceId::FIRST), Some(world::account()), event.id, event.at).pk;
        if self.events.contains_key(&(pk.clone(), visit)) && self.rule != Rule::EventPutAgain {
            return;
        }
        let delta = self.of_event(&pk, &event);
        self.record(pk.clone(), delta);
        self.events.insert((pk, visit), event);
    }

    /// Each visit is of somebody else here; what one person does again and again is shown where the rows are.
    fn visited(&mut self, visit: &Visit, event: &Event) {
        let link = world::link(visit);
        let whose = Whose::Visitor(visits::Visitor {
            workspace: WorkspaceId::FIRST,
            campaign: Some(world::campaign(visit.campaign)),
            link,
            mark: VisitorMark::alone(event.id),
        });
        let known = self.visits.entry(whose.clone()).or_default();
        let before = of_visits(&whose, known);
        known.take(visits::Visit { at: event.at, event: event.id, link, counts_for: facets(event) });
        let after = of_visits(&whose, known);
        let delta = difference(&self.kept_apart(before), &self.kept_apart(after));
        if !delta.is_empty() {
            self.record(keys::visits(&whose).pk, delta);
        }
    }

    fn record(&mut self, source: String, delta: Contribution) {
        // Numbers of one stream rise but have gaps.
        self.sequence += 1 + self.sequence % 3;
        let sequence = SequenceNumber::new(&self.sequence.to_string());
        self.stream.push(Record { source, sequence, delta });
    }

    fn of_attempt(&self, key: &AttemptKey, attempt: &Attempt) -> Contribution {
        self.kept_apart(of_attempt(key, attempt))
    }

    fn of_event(&self, pk: &str, event: &Event) -> Contribution {
        let partition = keys::read_event_partition(pk).unwrap();
        self.kept_apart(of_event(&partition, event))
    }

    /// Each source has its own counter items, unless the rule is broken.
    fn kept_apart(&self, contribution: Contribution) -> Contribution {
        if self.rule != Rule::SourcesShareItems {
            return contribution;
        }
        let shared = contribution.into_iter().map(|(CounterKey { pk, sk }, counts)| {
            let sk = sk.rsplit_once('#').map_or(sk.clone(), |(view, _)| view.to_owned());
            (CounterKey { pk, sk }, counts)
        });
        shared.collect::<BTreeMap<CounterKey, Counts>>()
    }
}

/// The attempt as its claim writes it.
fn claimed(life: &Life) -> Attempt {
    let phone = "+60123456789".parse().unwrap();
    let claim = Some(Claim::for_slot(world::at(0), CALL_TIMEOUT));
    Attempt { claim, ..Attempt::new(phone, world::account(), VariantIndex(life.variant), PageNumber(0)) }
}

fn evidence_of(report: &Report, seen: UnixMillis) -> Evidence {
    let at = world::at(report.second);
    match report.thing {
        Thing::Flag(flag) => Evidence::Flag(flag, Moment { at, seen }),
        Thing::Failed(code) => Evidence::Failed(Failure { at, seen, code, title: None, details: None }),
    }
}

fn pricing_of(report: &Report, price: &Price) -> Option<Pricing> {
    let Thing::Flag(flag) = report.thing else { return None };
    price.told_with.contains(&flag).then(|| Pricing {
        category: Some(price.category.to_owned()),
        kind: Some(if price.free { "free_customer_service" } else { "regular" }.to_owned()),
        ..Pricing::default()
    })
}

fn event(visit: &Visit) -> Event {
    let at = world::at(visit.second);
    let visitor = if visit.human {
        let [device, os, browser] = ["mobile", "Android", "WhatsApp"].map(str::to_owned);
        Visitor::Human { device, os, browser, os_version: None, browser_version: None, in_app: None }
    } else {
        Visitor::Machine { reason: "preview".to_owned() }
    };
    let content = Content::LinkClicked {
        link: world::link(visit),
        campaign: Some(world::campaign(visit.campaign)),
        recipient: None,
        visitor,
        country: None,
        region: None,
        city: None,
        referrer: None,
    };
    let id = activity::id_of(at, &["visit", &visit.number.to_string()]);
    Event { v: 1, id, at, seen: at, contact: None, variant: None, content }
}

/// The broken rule that the last report wins, not the earliest.
fn overwrite(attempt: &mut Attempt, evidence: &Evidence) {
    let mut fresh = Attempt { delivered: None, read: None, failed: None, ..attempt.clone() };
    fresh.learn(evidence);
    match evidence {
        Evidence::Flag(Flag::Delivered, _) => attempt.delivered = fresh.delivered,
        Evidence::Flag(Flag::Read, _) => attempt.read = fresh.read,
        Evidence::Failed(_) => attempt.failed = fresh.failed,
        Evidence::Flag(..) => attempt.learn(evidence),
    }
}
