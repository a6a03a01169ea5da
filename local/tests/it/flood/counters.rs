//! What the counters must say: what the rows must be counts for so much.

use std::collections::BTreeSet;

use local::stack::Stack;
use shared::activity::{Content, Event};
use shared::link::visits::{Visit, Visits, Whose};
use shared::rollup::click::{facets, of_visits};
use shared::rollup::contribution::{account_pk, campaign_pk, link_pk, of_attempt, of_event};
use shared::rollup::{Contribution, CounterKey, Counts, add};
use shared::store::keys;

use super::check::visitor_of;
use super::wire;
use super::world::{CAMPAIGNS, Update, WORKSPACE, World};

/// So many differences are shown.
const SHOWN: usize = 5;

/// What the sort keys of an account's days begin with.
const DAYS: &str = "DAY#";

/// The counters of the campaigns, of their links, and of the accounts' days.
pub(super) fn expected(world: &World) -> Contribution {
    let mut sum = Contribution::new();
    let mut take = |contribution: Contribution| {
        for (key, counts) in contribution {
            add(sum.entry(key).or_default(), &counts);
        }
    };
    for life in world.numbers().map(|n| world.life(n)) {
        take(of_attempt(&life.key, &life.expected));
        let mut visits = Visits::default();
        for visit in &life.clicks {
            let content = Content::LinkClicked {
                link: wire::link(life.n % CAMPAIGNS),
                campaign: Some(life.key.campaign),
                recipient: Some(life.key.seq),
                visitor: visitor_of(visit.human),
                country: Some("MY".to_owned()),
                region: None,
                city: None,
                referrer: None,
            };
            let (id, at) = (visit.id, visit.at);
            let key = keys::event(Some(WORKSPACE), Some(world.accounts[life.account]), id, at);
            let source = keys::read_event_partition(&key.pk).unwrap();
            let event = Event { v: 1, id, at, seen: at, contact: None, variant: None, content };
            if visit.human {
                let link = wire::link(life.n % CAMPAIGNS);
                visits.take(Visit { at, event: id, link, counts_for: facets(&event) });
            }
            take(of_event(&source, &event));
        }
        take(of_visits(&Whose::Recipient(life.key), &visits));
    }
    sum
}

/// The same as they are stored, without zeros.
pub(super) async fn found(world: &World, stack: &Stack) -> Contribution {
    let (_, rollups) = stack.tables();
    let mut found = Contribution::new();
    let campaigns = world.campaigns.into_iter().map(|campaign| (campaign_pk(WORKSPACE, campaign), ""));
    let days = world.accounts.into_iter().map(|account| (account_pk(WORKSPACE, account), DAYS));
    let links = (0..CAMPAIGNS).map(|n| (link_pk(WORKSPACE, wire::link(n)), ""));
    for (pk, views) in campaigns.chain(days).chain(links) {
        for mut item in rollups.items(&pk, views).await.unwrap() {
            item.counts.retain(|_, n| *n != 0);
            if !item.counts.is_empty() {
                found.insert(CounterKey { pk: pk.clone(), sk: item.sk }, item.counts);
            }
        }
    }
    found
}

/// What is not known and what could not be read, by account.
async fn of_the_unknown(world: &World, stack: &Stack) -> Option<String> {
    let (_, rollups) = stack.tables();
    let mut expected = [(0, 0); 2];
    for life in world.numbers().map(|n| world.life(n)) {
        for update in &life.updates {
            match update {
                Update::Unknown => expected[life.account].0 += 1,
                Update::Broken => expected[life.account].1 += 1,
                Update::Status(_) | Update::Reply(_) => {}
            }
        }
    }
    for (account, expected) in world.accounts.into_iter().zip(expected) {
        let mut sum = Counts::new();
        for item in rollups.items(&account_pk(WORKSPACE, account), "").await.unwrap() {
            add(&mut sum, &item.counts);
        }
        let count = |name: &str| sum.get(name).copied().unwrap_or_default();
        let found = (count("unknown"), count("quarantined"));
        if found != expected {
            return Some(format!("{found:?} were counted as unknown and quarantined instead of {expected:?}"));
        }
    }
    None
}

pub(super) async fn differences(world: &World, stack: &Stack) -> Vec<String> {
    let (expected, found) = (expected(world), found(world, stack).await);
    let keys: BTreeSet<_> = expected.keys().chain(found.keys()).collect();
    let differ = keys.into_iter().filter(|key| expected.get(key) != found.get(key));
    let mut wrong: Vec<String> = differ
        .take(SHOWN)
        .map(|key| format!("counters of {key:?}: {:?} instead of {:?}", found.get(key), expected.get(key)))
        .collect();
    wrong.extend(of_the_unknown(world, stack).await);
    wrong
}
