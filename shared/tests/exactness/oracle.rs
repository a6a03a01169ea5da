//! What the counters must say, worked out from what happened alone and by other means than the code under test: no
//! attempt, no contribution, no stream.

use std::collections::BTreeMap;

use proptest::prelude::*;
use shared::attempt::{Attempt, Flag, Stage};
use shared::rollup::Counts;
use shared::rollup::account_day::Days;
use shared::rollup::histogram::bucket;
use shared::rollup::tally::{Tally, VariantTally};

use crate::world::{Life, Sending, Thing, Visit, at, link_of};

/// Where a recipient ends up. The order is that of the report's columns.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Pending,
    Unknown,
    Failed,
    Stuck(Stage),
}

/// What happened to one recipient, seen from outside.
struct Truth<'a>(&'a Life);

impl Truth<'_> {
    /// The earliest second at which anybody says that it happened.
    fn second(&self, flag: Flag) -> Option<i64> {
        self.0.reports.iter().filter(|report| report.thing == Thing::Flag(flag)).map(|report| report.second).min()
    }

    fn has(&self, flags: &[Flag]) -> bool {
        flags.iter().any(|flag| self.second(*flag).is_some())
    }

    /// Second and code of the failure that counts.
    fn failure(&self) -> Option<(i64, i64)> {
        let failures = self.0.reports.iter().filter_map(|report| match report.thing {
            Thing::Failed(code) => Some((report.second, code)),
            Thing::Flag(_) => None,
        });
        failures.min()
    }

    fn reached(&self, stage: Stage) -> bool {
        use Flag::{Accepted, Clicked, Closed, Delivered, Read, Replied, Sent};
        self.has(match stage {
            Stage::Sent => &[Accepted, Sent, Delivered, Read, Clicked, Replied],
            Stage::Delivered => &[Delivered, Read, Clicked, Replied],
            Stage::Read => &[Read, Clicked, Replied],
            Stage::Clicked => &[Clicked],
            Stage::Replied => &[Replied],
            Stage::Closed => &[Closed],
        })
    }

    fn fate(&self) -> Fate {
        for stage in [Stage::Closed, Stage::Replied, Stage::Clicked, Stage::Read, Stage::Delivered] {
            if self.reached(stage) {
                return Fate::Stuck(stage);
            }
        }
        match self.failure() {
            Some(_) => Fate::Failed,
            None if self.reached(Stage::Sent) => Fate::Stuck(Stage::Sent),
            None if self.0.sending == Sending::Unanswered => Fate::Unknown,
            None => Fate::Pending,
        }
    }

    /// What Meta charges for it, or may yet; `None`: nothing, ever.
    fn charge(&self) -> Option<String> {
        let kind = match (self.reached(Stage::Delivered), self.failure()) {
            (true, _) => "cost",
            (false, None) => "open",
            (false, Some(_)) => return None,
        };
        let price = &self.0.price;
        Some(if self.has(&price.told_with) {
            format!("{kind}.MY.{}.{}", price.category, if price.free { "free" } else { "charged" })
        } else {
            format!("{kind}.MY.untold.charged")
        })
    }

    /// Delays in milliseconds; one that comes out below zero counts as zero.
    fn delay(&self, name: &str) -> Option<u64> {
        let left = || self.second(Flag::Sent).or_else(|| self.second(Flag::Accepted));
        let (from, to) = match name {
            "deliver" => (left()?, self.second(Flag::Delivered)?),
            "open" => (self.second(Flag::Delivered)?, self.second(Flag::Read)?),
            "click" => (left()?, self.second(Flag::Clicked)?),
            _ => (left()?, self.second(Flag::Replied)?),
        };
        Some((to - from).max(0).unsigned_abs() * 1_000)
    }
}

/// The row holds the earliest time of everything that happened, and nothing else.
pub(crate) fn check_row(life: &Life, row: &Attempt) -> Result<(), TestCaseError> {
    let truth = Truth(life);
    for flag in Flag::ALL {
        prop_assert_eq!(row.flag(flag).map(|moment| moment.at), truth.second(flag).map(at), "{}", flag.name());
    }
    let failure = row.failed.as_ref().map(|failure| (failure.at, failure.code));
    prop_assert_eq!(failure, truth.failure().map(|(second, code)| (at(second), code)));
    Ok(())
}

/// The counters of one variant, or of all together, say what happened to these recipients.
pub(crate) fn check_recipients(lives: &[&Life], tally: &VariantTally) -> Result<(), TestCaseError> {
    let truths: Vec<Truth<'_>> = lives.iter().map(|life| Truth(life)).collect();
    let count =
        |holds: &dyn Fn(&Truth<'_>) -> bool| i64::try_from(truths.iter().filter(|truth| holds(truth)).count()).unwrap();
    let all = count(&|_| true);
    prop_assert_eq!(tally.count("claimed"), all);

    let mut stuck = 0;
    for stage in Stage::ALL {
        prop_assert_eq!(tally.reached(stage), count(&|truth| truth.reached(stage)), "reached {:?}", stage);
        prop_assert_eq!(tally.stuck_at(stage), count(&|truth| truth.fate() == Fate::Stuck(stage)), "{:?}", stage);
        stuck += tally.stuck_at(stage);
    }
    let (unknown, failed) = (tally.count("unknown"), tally.count("failed"));
    prop_assert_eq!(unknown, count(&|truth| truth.fate() == Fate::Unknown), "unknown");
    prop_assert_eq!(failed, count(&|truth| truth.fate() == Fate::Failed), "failed");
    let pending = count(&|truth| truth.fate() == Fate::Pending);
    prop_assert_eq!(pending + unknown + failed + stuck, all, "every recipient is in exactly one place");

    for (name, flag) in [("accepted", Flag::Accepted), ("opted_out", Flag::OptedOut)] {
        prop_assert_eq!(tally.count(name), count(&|truth| truth.has(&[flag])), "{}", name);
    }
    for (name, stage, flag) in
        [("delivered.inferred", Stage::Delivered, Flag::Delivered), ("read.inferred", Stage::Read, Flag::Read)]
    {
        let inferred = count(&|truth| truth.reached(stage) && !truth.has(&[flag]));
        prop_assert_eq!(tally.count(name), inferred, "{}", name);
    }
    let rejected = count(&|truth| truth.failure().is_some() && !truth.reached(Stage::Sent));
    prop_assert_eq!(tally.count("rejected"), rejected, "rejected");

    let mut errors: BTreeMap<i64, i64> = BTreeMap::new();
    for (_, code) in truths.iter().filter_map(Truth::failure) {
        *errors.entry(code).or_default() += 1;
    }
    prop_assert_eq!(tally.errors().into_iter().collect::<BTreeMap<_, _>>(), errors, "errors");

    let mut charges: BTreeMap<String, i64> = BTreeMap::new();
    for name in truths.iter().filter_map(Truth::charge) {
        *charges.entry(name).or_default() += 1;
    }
    let named = |kind: &str| -> Vec<(String, i64)> {
        tally.named(kind).into_iter().map(|(name, n)| (format!("{kind}.{name}"), n)).collect()
    };
    let counted: BTreeMap<_, _> = ["cost", "open"].into_iter().flat_map(named).collect();
    prop_assert_eq!(counted, charges, "every message is charged at most once");

    for name in ["deliver", "open", "click", "reply"] {
        let mut expected: BTreeMap<u32, i64> = BTreeMap::new();
        for delay in truths.iter().filter_map(|truth| truth.delay(name)) {
            *expected.entry(bucket(delay)).or_default() += 1;
        }
        let mut counted = tally.delay(name);
        counted.retain(|_, n| *n != 0);
        prop_assert_eq!(counted, expected, "time to {}", name);
    }
    Ok(())
}

/// The minute series holds each flag once, in the minute in which it happened.
pub(crate) fn check_minutes<'a>(
    lives: &[&Life],
    items: impl Iterator<Item = (&'a str, &'a Counts)>,
) -> Result<(), TestCaseError> {
    let mut counted: BTreeMap<String, i64> = BTreeMap::new();
    for (sk, counts) in items {
        let Some(hour) = sk.strip_prefix("MINUTE#").map(|rest| &rest[..13]) else { continue };
        for (name, n) in counts {
            let (flag, minute) = name.split_once('.').unwrap();
            *counted.entry(format!("{flag} {hour}:{minute}")).or_default() += n;
        }
    }
    counted.retain(|_, n| *n != 0);
    let mut expected: BTreeMap<String, i64> = BTreeMap::new();
    for life in lives {
        for flag in [Flag::Accepted, Flag::Delivered, Flag::Read, Flag::Clicked, Flag::Replied, Flag::Closed] {
            if let Some(second) = Truth(life).second(flag) {
                let minute = at(second).to_rfc3339()[..16].to_owned();
                *expected.entry(format!("{} {minute}", flag.name())).or_default() += 1;
            }
        }
    }
    prop_assert_eq!(counted, expected, "minutes");
    Ok(())
}

/// The account's days hold each message once, on the day on which it happened.
pub(crate) fn check_days(lives: &[&Life], days: &Days) -> Result<(), TestCaseError> {
    let mut expected: BTreeMap<(String, &str), i64> = BTreeMap::new();
    let mut count = |second: i64, name: &'static str| *expected.entry((at(second).date(), name)).or_default() += 1;
    for truth in lives.iter().map(|life| Truth(life)) {
        use Flag::{Accepted, Clicked, Delivered, OptedOut, Read, Replied, Sent};
        let earliest = |flags: &[Flag]| flags.iter().filter_map(|flag| truth.second(*flag)).min();
        if let Some(second) = earliest(&[Accepted, Sent, Delivered, Read, Clicked, Replied]) {
            count(second, "sent");
        }
        if let Some(second) = earliest(&[Delivered, Read, Clicked, Replied]) {
            count(second, "delivered");
        }
        if let Some(second) = truth.second(OptedOut) {
            count(second, "opted_out");
        }
        let failure = truth.failure().filter(|_| truth.fate() == Fate::Failed);
        if let Some((second, _)) = failure {
            count(second, "failed");
            if !truth.reached(Stage::Sent) {
                count(second, "refused");
            }
        }
    }
    let names = ["sent", "delivered", "opted_out", "failed", "refused"];
    let counted: BTreeMap<(String, &str), i64> = names
        .into_iter()
        .flat_map(|name| days.by_day(name).map(move |(date, n)| ((date.to_owned(), name), n)))
        .collect();
    prop_assert_eq!(counted, expected, "days");
    Ok(())
}

/// The click counters say who followed the links.
pub(crate) fn check_visits(visits: &[&Visit], tally: &Tally) -> Result<(), TestCaseError> {
    let count =
        |holds: &dyn Fn(&Visit) -> bool| i64::try_from(visits.iter().filter(|visit| holds(visit)).count()).unwrap();
    prop_assert_eq!(tally.clicks("raw"), count(&|_| true), "clicks");
    for name in ["human", "device.mobile", "os.Android", "browser.WhatsApp", "country.unknown"] {
        prop_assert_eq!(tally.clicks(name), count(&|visit| visit.human), "{}", name);
    }
    prop_assert_eq!(tally.clicks("machine.preview"), count(&|visit| !visit.human), "machines");
    let campaign = visits.first().map_or(0, |visit| visit.campaign);
    for link in 1..3 {
        let number = link_of(campaign, link).get();
        let (raw, human) = (format!("link.{number}.raw"), format!("link.{number}.human"));
        prop_assert_eq!(tally.clicks(&raw), count(&|visit| visit.link == link), "{}", raw);
        prop_assert_eq!(tally.clicks(&human), count(&|visit| visit.link == link && visit.human), "{}", human);
    }
    Ok(())
}
