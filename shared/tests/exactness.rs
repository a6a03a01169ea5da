//! The counters are exact: whatever happens to the recipients of a campaign, in whatever order and however often it is
//! told, and however the stream of the table is cut, repeated and broken off, the counters end up saying what happened.
//!
//! The attempt's rules and the rollup's arithmetic are the real ones; the two tables around them are models that apply
//! the conditions of `shared::store`. (`local/tests/store.rs` holds the store itself against those rules.) Each broken
//! rule below is there to show that the property notices.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "exactness/counters.rs"]
mod counters;
#[path = "exactness/oracle.rs"]
mod oracle;
#[path = "exactness/table.rs"]
mod table;
#[path = "exactness/world.rs"]
mod world;

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use shared::id::WorkspaceId;
use shared::rollup::account_day::{Days, account_pk};
use shared::rollup::contribution::campaign_pk;
use shared::rollup::tally::Tally;

use self::counters::Counters;
use self::table::Table;
use self::world::{CAMPAIGNS, Life, VARIANTS, Visit, World, worlds};

/// The rule that everything goes by: the real one, or one of the mistakes that would be easy to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rule {
    Real,
    /// Counts are added whatever was applied before.
    NoWatermark,
    /// A refused batch is taken for a repeat of the last one and dropped whole.
    RefusedIsDropped,
    /// The watermark is held against the last record of a batch, not the first.
    LastDecides,
    /// Counter items of all sources in one, with one watermark.
    SourcesShareItems,
    /// What a row counts for is added at every change.
    OldImageIgnored,
    /// A flag's time is the one that was told last.
    LastReportWins,
    /// An event that is told again is written again.
    EventPutAgain,
}

const BROKEN_RULES: [Rule; 7] = [
    Rule::NoWatermark,
    Rule::RefusedIsDropped,
    Rule::LastDecides,
    Rule::SourcesShareItems,
    Rule::OldImageIgnored,
    Rule::LastReportWins,
    Rule::EventPutAgain,
];

/// Runs the world by the rule and holds the counters against the rows and against what happened.
fn counters_are_exact(world: &World, rule: Rule) -> Result<(), TestCaseError> {
    let table = Table::written(world, rule);
    let counters = Counters::fed(world, &table.stream, rule);

    for life in &world.lives {
        oracle::check_row(life, &table.attempts[&life.key()])?;
    }
    let (counted, rows) = (counters.without_zeros(), table.contribution());
    prop_assert_eq!(&counted, &rows, "counters against rows");

    for number in 0..CAMPAIGNS {
        let pk = campaign_pk(WorkspaceId::FIRST, world::campaign(number));
        let items = |contribution: &shared::rollup::Contribution| {
            let of_campaign = contribution.iter().filter(|(key, _)| key.pk == pk);
            Tally::of(of_campaign.map(|(key, counts)| (key.sk.as_str(), counts)))
        };
        prop_assert_eq!(items(&counted), items(&rows), "tally against tally");

        let tally = Tally::of(counters.items(&pk));
        let lives: Vec<&Life> = world.lives.iter().filter(|life| life.campaign == number).collect();
        oracle::check_recipients(&lives, &tally.all())?;
        for variant in 0..VARIANTS {
            let lives: Vec<&Life> = lives.iter().copied().filter(|life| life.variant == variant).collect();
            oracle::check_recipients(&lives, &tally.variant(variant))?;
        }
        oracle::check_minutes(&lives, counters.items(&pk))?;
        let visits: Vec<&Visit> = world.visits.iter().filter(|visit| visit.campaign == number).collect();
        oracle::check_visits(&visits, &tally)?;
    }
    let days = Days::of(counters.items(&account_pk(WorkspaceId::FIRST, world::account())));
    oracle::check_days(&world.lives.iter().collect::<Vec<_>>(), &days)?;
    Ok(())
}

proptest! {
    #![proptest_config(Config { failure_persistence: None, ..Config::default() })]

    #[test]
    fn whatever_happens_and_however_it_is_told_the_counters_say_what_happened(world in worlds()) {
        counters_are_exact(&world, Rule::Real)?;
    }

    #[test]
    fn a_counter_item_is_fed_by_one_partition_only(world in worlds()) {
        let table = Table::written(&world, Rule::Real);
        let mut sources = BTreeMap::new();
        for record in &table.stream {
            for key in record.delta.keys() {
                let source = sources.entry(key.clone()).or_insert_with(|| record.source.clone());
                prop_assert_eq!(&*source, &record.source, "{:?}", key);
            }
        }
    }

    #[test]
    fn a_write_that_tells_nothing_new_leaves_no_record(world in worlds()) {
        let once = Table::written(&world, Rule::Real);
        let mut again = world.clone();
        again.writes.extend(world.writes.iter().copied().filter(|write| matches!(write, world::Write::Learn { .. })));
        prop_assert_eq!(Table::written(&again, Rule::Real).stream.len(), once.stream.len());
    }
}

#[test]
fn the_property_notices_every_broken_rule() {
    for rule in BROKEN_RULES {
        let config = Config { failure_persistence: None, max_shrink_iters: 0, ..Config::default() };
        let noticed = TestRunner::new(config).run(&worlds(), |world| counters_are_exact(&world, rule));
        assert!(noticed.is_err(), "no run noticed {rule:?}");
    }
}
