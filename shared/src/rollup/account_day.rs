//! The days of an account, over all its campaigns: what its health is told from. An item holds what one partition of
//! one campaign's attempts adds to one day (UTC), so it has one source like every counter item; a campaign that sends within a
//! day adds one item a partition to those it has.

use std::collections::{BTreeMap, BTreeSet};

use super::{Contribution, CounterKey, Counts, add};
use crate::attempt::{Attempt, AttemptKey, Flag, Moment, Shard, Stage, Standing};
use crate::id::{AccountId, CampaignId, WorkspaceId};
use crate::time::UnixMillis;

/// The view: what comes before the first `#` in a counter item's sort key.
pub const VIEW: &str = "DAY";

/// Attempts that were closed, by hand or by a conversion.
const CLOSED: &str = "closed";

/// Meta's codes of a limit that was met: too fast, too often to one person, too many messages that people report, held back
/// for the recipient's sake, calls used up (Meta, error codes).
pub const LIMITS: [i64; 6] = [4, 80_007, 130_429, 131_048, 131_049, 131_056];

/// Partition of an account's days.
#[must_use]
pub fn account_pk(workspace: WorkspaceId, account: AccountId) -> String {
    format!("WS#{workspace}#ACCOUNT#{account}")
}

/// What the sort keys of these days lie between, both ends included.
#[must_use]
pub fn sort_keys(first: UnixMillis, last: UnixMillis) -> (String, String) {
    (format!("{VIEW}#{}#", first.date()), format!("{VIEW}#{}#~", last.date()))
}

/// Adds what an attempt counts for. Times are those of what happened, so a report of yesterday counts for yesterday.
pub(super) fn of_attempt(contribution: &mut Contribution, key: &AttemptKey, attempt: &Attempt) {
    let pk = account_pk(key.workspace, attempt.account);
    let mut count = |at: UnixMillis, name: &str, n: i64| {
        let sk = format!("{VIEW}#{}#{}#{:02}", at.date(), key.campaign, key.shard.0);
        let counts = contribution.entry(CounterKey { pk: pk.clone(), sk }).or_default();
        *counts.entry(name.to_owned()).or_default() += n;
    };
    if let Some(at) = first_sign(attempt, Stage::Sent) {
        count(at, "sent", 1);
        count(at, &of_hour("sent", at), 1);
        let told = attempt.sent.is_some() || attempt.delivered.is_some() || attempt.read.is_some();
        if told || attempt.failed.is_some() {
            count(at, &of_hour("heard", at), 1);
        }
    }
    if let Some(at) = first_sign(attempt, Stage::Delivered) {
        count(at, "delivered", 1);
    }
    if let Some(Moment { at, .. }) = attempt.opted_out {
        count(at, "opted_out", 1);
    }
    if let Some(Moment { at, .. }) = attempt.closed {
        count(at, CLOSED, 1);
    }
    let present = attempt.failed.as_ref().filter(|_| attempt.standing() == Standing::Failed);
    let refused_now = present.is_some() && !attempt.reached(Stage::Sent);
    let earlier = attempt.earlier.iter().map(|earlier| (&earlier.failed, earlier.wamid.is_none()));
    for (failure, refused) in present.map(|failure| (failure, refused_now)).into_iter().chain(earlier) {
        count(failure.at, "failed", 1);
        count(failure.at, &format!("error.{}", failure.code), 1);
        if refused {
            count(failure.at, "refused", 1);
        } else if Some(failure) != present {
            // An earlier try that Meta had taken; when it did is not kept.
            count(failure.at, "sent", 1);
        }
        if LIMITS.contains(&failure.code) {
            count(failure.at, &of_hour("limited", failure.at), 1);
        }
    }
    if let Some(at) = last_try(attempt).filter(|_| attempt.refusals > 0) {
        count(at, &of_hour("limited", at), i64::from(attempt.refusals));
    }
}

/// In which partitions of which campaigns something was closed, from an account's counter items given as (sort key,
/// counts): only there one has to look for what it was.
#[must_use]
pub fn closed_in<'a>(items: impl IntoIterator<Item = (&'a str, &'a Counts)>) -> BTreeSet<(CampaignId, Shard)> {
    let partition = |sk: &str| {
        let mut parts = sk.split('#').skip(2);
        Some((parts.next()?.parse().ok()?, Shard(parts.next()?.parse().ok()?)))
    };
    let closed = items.into_iter().filter(|(_, counts)| counts.get(CLOSED).is_some_and(|n| *n > 0));
    closed.filter_map(|(sk, _)| partition(sk)).collect()
}

/// When the stage was reached, by the earliest sign of it.
fn first_sign(attempt: &Attempt, stage: Stage) -> Option<UnixMillis> {
    if !attempt.reached(stage) {
        return None;
    }
    let signs: &[Flag] = match stage {
        Stage::Sent => &[Flag::Accepted, Flag::Sent, Flag::Delivered, Flag::Read, Flag::Clicked, Flag::Replied],
        _ => &[Flag::Delivered, Flag::Read, Flag::Clicked, Flag::Replied],
    };
    signs.iter().filter_map(|flag| attempt.flag(*flag)).map(|moment| moment.at).min()
}

/// When Meta last asked to wait, as nearly as the row tells: refusals are counted, their times are not kept.
fn last_try(attempt: &Attempt) -> Option<UnixMillis> {
    let released = attempt.released.as_ref().map(|release| release.not_before);
    let failed = attempt.failed.as_ref().map(|failure| failure.at);
    let claimed = attempt.claim.as_ref().map(|claim| claim.slot);
    attempt.accepted.map(|moment| moment.at).or(failed).or(released).or(claimed)
}

fn of_hour(name: &str, at: UnixMillis) -> String {
    format!("{name}.{}", &at.to_rfc3339()[11..13])
}

/// The days of an account, added up over their items.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Days(BTreeMap<String, Counts>);

impl Days {
    /// Adds up counter items given as (sort key, counts); other views are left out.
    #[must_use]
    pub fn of<'a>(items: impl IntoIterator<Item = (&'a str, &'a Counts)>) -> Self {
        let mut days = Self::default();
        for (sk, counts) in items {
            let mut parts = sk.split('#');
            if let (Some(VIEW), Some(date)) = (parts.next(), parts.next()) {
                add(days.0.entry(date.to_owned()).or_default(), counts);
            }
        }
        days
    }

    /// How many of these days have, all together.
    #[must_use]
    pub fn count(&self, name: &str) -> i64 {
        self.0.values().filter_map(|counts| counts.get(name)).sum()
    }

    /// The days that have any, first to last.
    pub fn by_day(&self, name: &str) -> impl Iterator<Item = (&str, i64)> {
        self.0.iter().filter_map(move |(date, counts)| Some((date.as_str(), *counts.get(name).filter(|n| **n != 0)?)))
    }

    /// How many in the `hours` hours of the clock that end with the one of `now`.
    #[must_use]
    pub fn in_hours(&self, name: &str, hours: u32, now: UnixMillis) -> i64 {
        (0..i64::from(hours)).map(|back| self.in_hour(name, UnixMillis(now.0 - back * 3_600_000))).sum()
    }

    /// How many in the hour of the clock of this moment.
    #[must_use]
    pub fn in_hour(&self, name: &str, at: UnixMillis) -> i64 {
        self.0.get(&at.date()).and_then(|counts| counts.get(&of_hour(name, at))).copied().unwrap_or(0)
    }

    /// Errors by Meta's code, most first.
    #[must_use]
    pub fn errors(&self) -> Vec<(i64, i64)> {
        let mut errors: BTreeMap<i64, i64> = BTreeMap::new();
        for (name, n) in self.0.values().flatten() {
            if let Some(code) = name.strip_prefix("error.").and_then(|code| code.parse().ok()) {
                *errors.entry(code).or_default() += n;
            }
        }
        let mut errors: Vec<(i64, i64)> = errors.into_iter().filter(|(_, n)| *n != 0).collect();
        errors.sort_by_key(|(code, n)| (-n, *code));
        errors
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attempt::claim::Release;
    use crate::attempt::earlier::EarlierTry;
    use crate::attempt::tests::claimed;
    use crate::attempt::{Evidence, Failure, Seq};

    /// 2026-09-21T23:59:50Z.
    const EVENING: i64 = 1_790_035_190;

    fn moment(second: i64) -> Moment {
        let at = UnixMillis::from_seconds(EVENING + second);
        Moment { at, seen: at }
    }

    fn failure(second: i64, code: i64) -> Failure {
        let Moment { at, seen } = moment(second);
        Failure { at, seen, code, title: None, details: None }
    }

    fn key() -> AttemptKey {
        AttemptKey {
            workspace: WorkspaceId::FIRST,
            campaign: "cmp_01J00000000000000000000000".parse().unwrap(),
            shard: Shard(3),
            seq: Seq(35),
        }
    }

    fn counted(attempt: &Attempt) -> Vec<String> {
        let mut contribution = Contribution::new();
        of_attempt(&mut contribution, &key(), attempt);
        assert!(contribution.keys().all(|key| key.pk == account_pk(WorkspaceId::FIRST, attempt.account)));
        contribution
            .iter()
            .flat_map(|(key, counts)| {
                let day = key.sk.strip_suffix("#cmp_01J00000000000000000000000#03").unwrap();
                counts.iter().map(move |(name, n)| format!("{day} {name}={n}"))
            })
            .collect()
    }

    #[test]
    fn what_happens_after_midnight_counts_for_the_next_day() {
        let mut attempt = claimed();
        assert_eq!(counted(&attempt), [] as [&str; 0]);
        attempt.learn(&Evidence::Flag(Flag::Accepted, moment(0)));
        assert_eq!(counted(&attempt), ["DAY#2026-09-21 sent=1", "DAY#2026-09-21 sent.23=1"]);
        attempt.learn(&Evidence::Flag(Flag::Read, moment(20)));
        attempt.learn(&Evidence::Flag(Flag::OptedOut, moment(30)));
        let expected = [
            "DAY#2026-09-21 heard.23=1",
            "DAY#2026-09-21 sent=1",
            "DAY#2026-09-21 sent.23=1",
            "DAY#2026-09-22 delivered=1",
            "DAY#2026-09-22 opted_out=1",
        ];
        assert_eq!(counted(&attempt), expected);
    }

    #[test]
    fn what_was_closed_is_found_by_its_partition() {
        let mut attempt = claimed();
        attempt.learn(&Evidence::Flag(Flag::Closed, moment(0)));
        assert_eq!(counted(&attempt), ["DAY#2026-09-21 closed=1"]);
        let mut contribution = Contribution::new();
        of_attempt(&mut contribution, &key(), &attempt);
        attempt = claimed();
        attempt.learn(&Evidence::Flag(Flag::Accepted, moment(0)));
        of_attempt(&mut contribution, &AttemptKey { shard: Shard(4), ..key() }, &attempt);
        assert_eq!(contribution.len(), 2);
        let items = contribution.iter().map(|(key, counts)| (key.sk.as_str(), counts));
        assert_eq!(closed_in(items), BTreeSet::from([(key().campaign, Shard(3))]));
    }

    #[test]
    fn a_failure_counts_its_code_and_a_limit_its_hour() {
        let mut attempt = claimed();
        attempt.learn(&Evidence::Failed(failure(0, 131_049)));
        let mut expected =
            ["error.131049=1", "failed=1", "limited.23=1", "refused=1"].map(|n| format!("DAY#2026-09-21 {n}"));
        expected.sort();
        assert_eq!(counted(&attempt), expected);
        // It arrived all the same.
        attempt.learn(&Evidence::Flag(Flag::Delivered, moment(5)));
        assert_eq!(
            counted(&attempt).iter().filter(|line| line.contains("failed") || line.contains("error")).count(),
            0
        );
    }

    #[test]
    fn tries_that_are_over_and_tries_that_meta_asked_to_repeat_are_counted() {
        let mut attempt = claimed();
        attempt.earlier = vec![
            EarlierTry { number: 1, wamid: Some("wamid.x".to_owned()), failed: failure(0, 131_026) },
            EarlierTry { number: 2, wamid: None, failed: failure(1, 131_056) },
        ];
        attempt.refusals = 2;
        attempt.claim = None;
        attempt.released = Some(Release { not_before: moment(9).at, code: 130_429 });
        let day = |n: &str| format!("DAY#2026-09-21 {n}");
        let expected = ["error.131026=1", "error.131056=1", "failed=2", "limited.23=3", "refused=1", "sent=1"].map(day);
        assert_eq!(counted(&attempt), expected);
    }

    #[test]
    fn days_are_added_up_and_hours_looked_back_over_midnight() {
        let counts = |pairs: &[(&str, i64)]| pairs.iter().map(|(name, n)| ((*name).to_owned(), *n)).collect::<Counts>();
        let (one, two) =
            (counts(&[("sent", 3), ("sent.23", 3), ("error.1", 1)]), counts(&[("sent", 2), ("sent.00", 2)]));
        let days = Days::of([
            ("DAY#2026-09-21#cmp_a#00", &one),
            ("DAY#2026-09-21#cmp_b#00", &one),
            ("DAY#2026-09-22#cmp_a#00", &two),
            ("TOTAL#00", &two),
        ]);
        let half_past_midnight = UnixMillis::from_seconds(EVENING + 1_810);
        assert_eq!((days.count("sent"), days.in_hours("sent", 1, half_past_midnight)), (8, 2));
        assert_eq!(days.in_hours("sent", 2, half_past_midnight), 8);
        assert_eq!(days.by_day("sent").collect::<Vec<_>>(), [("2026-09-21", 6), ("2026-09-22", 2)]);
        assert_eq!(days.errors(), [(1, 2)]);
    }
}
