//! What one row counts for in every view. A row that changes counts for something else; the difference is what the
//! change adds.

use super::{Contribution, CounterKey, Counts, account_day, click, histogram};
use crate::activity::{Content, Event};
use crate::attempt::{Attempt, AttemptKey, Flag, Moment, Stage, Standing};
use crate::id::{AccountId, CampaignId, WorkspaceId};
use crate::link::code::LinkId;
use crate::price::ledger;
use crate::store::keys::EventPartition;
use crate::time::UnixMillis;

/// The views of a campaign: what comes before the `#` in a counter item's sort key.
pub mod view {
    /// Counts per variant.
    pub const TOTAL: &str = "TOTAL";
    /// Delay histograms per variant.
    pub const DELAY: &str = "DELAY";
    /// Counts per minute, an item an hour.
    pub const MINUTE: &str = "MINUTE";
    /// All clicks, machines by reason: a view of a campaign and of a link.
    pub const CLICK: &str = "CLICK";
    /// Clicks of people, repeats left out: a view of a campaign and of a link.
    pub const VISIT: &str = "VISIT";
    /// What this version does not know, or could not read: a view of an account.
    pub const UNKNOWN: &str = "UNKNOWN";
}

/// Partition of the counters of an account.
#[must_use]
pub fn account_pk(workspace: WorkspaceId, account: AccountId) -> String {
    format!("WS#{workspace}#ACCOUNT#{account}")
}

/// Partition of all counters of a campaign: a report is one query.
#[must_use]
pub fn campaign_pk(workspace: WorkspaceId, campaign: CampaignId) -> String {
    format!("WS#{workspace}#CAMPAIGN#{campaign}")
}

/// Partition of the counters of a link.
#[must_use]
pub fn link_pk(workspace: WorkspaceId, link: LinkId) -> String {
    format!("WS#{workspace}#LINK#{}", link.get())
}

/// The hour that a minute series item covers: `2026-11-21T01`.
#[must_use]
pub fn hour_of(at: UnixMillis) -> String {
    at.to_rfc3339()[..13].to_owned()
}

/// The minute of the hour, two digits.
fn minute_of(at: UnixMillis) -> String {
    at.to_rfc3339()[14..16].to_owned()
}

/// What an attempt counts for.
#[must_use]
pub fn of_attempt(key: &AttemptKey, attempt: &Attempt) -> Contribution {
    let pk = campaign_pk(key.workspace, key.campaign);
    let variant = attempt.variant.0;
    let item = |sk: String| CounterKey { pk: pk.clone(), sk };
    let mut contribution = Contribution::new();

    let total = contribution.entry(item(format!("{}#{:02}", view::TOTAL, key.shard.0))).or_default();
    let mut count = |name: &str| *total.entry(format!("{variant}.{name}")).or_default() += 1;
    if attempt.standing() != Standing::Skipped {
        count("claimed");
    }
    if attempt.accepted.is_some() {
        count("accepted");
    }
    for stage in Stage::ALL {
        if attempt.reached(stage) {
            count(stage.name());
        }
        if attempt.inferred(stage) && matches!(stage, Stage::Delivered | Stage::Read) {
            count(&format!("{}.inferred", stage.name()));
        }
    }
    match attempt.standing() {
        Standing::Pending => {}
        Standing::Skipped => {
            count("skipped");
            if let Some(skip) = attempt.skipped.as_ref().filter(|_| attempt.standing() == Standing::Skipped) {
                count(&format!("skip.{}", skip.code));
            }
        }
        Standing::Unknown => count("unknown"),
        Standing::Failed => count("failed"),
        Standing::Reached(stage) => count(&format!("stuck.{}", stage.name())),
    }
    if let Some(failure) = &attempt.failed {
        count(&format!("error.{}", failure.code));
        if !attempt.reached(Stage::Sent) {
            count("rejected");
        }
    }
    if attempt.opted_out.is_some() {
        count("opted_out");
    }
    if let Some(counter) = ledger::counter_of(attempt) {
        count(&counter);
    }

    let delays = contribution.entry(item(format!("{}#{:02}", view::DELAY, key.shard.0))).or_default();
    for (name, delay_ms) in delays_of(attempt) {
        *delays.entry(format!("{variant}.{name}.{}", histogram::bucket(delay_ms))).or_default() += 1;
    }

    for flag in [Flag::Accepted, Flag::Delivered, Flag::Read, Flag::Clicked, Flag::Replied, Flag::Closed] {
        if let Some(Moment { at, .. }) = attempt.flag(flag) {
            let sk = format!("{}#{}#{:02}", view::MINUTE, hour_of(at), key.shard.0);
            let minutes = contribution.entry(item(sk)).or_default();
            *minutes.entry(format!("{}.{}", flag.name(), minute_of(at))).or_default() += 1;
        }
    }
    account_day::of_attempt(&mut contribution, key, attempt);
    contribution.retain(|_, counts| !counts.is_empty());
    contribution
}

/// The delays that can be told, in milliseconds. Meta reports whole seconds, so a delay can come out below zero; it
/// counts as zero.
fn delays_of(attempt: &Attempt) -> Vec<(&'static str, u64)> {
    let left = attempt.sent.or(attempt.accepted).map(|moment| moment.at);
    let between = |from: Option<UnixMillis>, to: Option<Moment>| {
        let (from, to) = (from?, to?);
        u64::try_from(to.at.since(from).as_millis()).ok()
    };
    let opened_after = attempt.delivered.map(|moment| moment.at);
    [
        ("deliver", between(left, attempt.delivered)),
        ("open", between(opened_after, attempt.read)),
        ("click", between(left, attempt.clicked)),
        ("reply", between(left, attempt.replied)),
    ]
    .into_iter()
    .filter_map(|(name, delay)| Some((name, delay?)))
    .collect()
}

/// What an event of the feed counts for: a click by kind of visitor; what is not known, or not readable, by its field.
/// `source` is where it lies.
#[must_use]
pub fn of_event(source: &EventPartition, event: &Event) -> Contribution {
    match &event.content {
        Content::LinkClicked { .. } => click::of_click(source, event),
        Content::MetaReported { field, kind, .. } if kind == "unknown" => of_the_unknown(source, "unknown", field),
        Content::MetaQuarantined { field, .. } => of_the_unknown(source, "quarantined", field),
        _ => Contribution::new(),
    }
}

/// The longest field that has a counter of its own name; Meta's are half as long.
const MAX_FIELD_CHARS: usize = 80;

fn of_the_unknown(source: &EventPartition, what: &str, field: &str) -> Contribution {
    let Some(account) = source.account else { return Contribution::new() };
    let field: String = field.chars().take(MAX_FIELD_CHARS).collect();
    let sk = format!("{}#{}#{:02}", view::UNKNOWN, source.date, source.shard.0);
    let counts = Counts::from([(what.to_owned(), 1), (format!("{what}.{field}"), 1)]);
    Contribution::from([(CounterKey { pk: account_pk(source.workspace, account), sk }, counts)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attempt::tests::{at, claimed};
    use crate::attempt::{Evidence, Shard};

    fn key() -> AttemptKey {
        AttemptKey {
            workspace: WorkspaceId::FIRST,
            campaign: "cmp_01J00000000000000000000000".parse().unwrap(),
            shard: Shard(3),
            seq: crate::attempt::Seq(35),
        }
    }

    fn item(contribution: &Contribution, view: &str) -> Vec<String> {
        contribution
            .iter()
            .filter(|(key, _)| key.sk.starts_with(view))
            .flat_map(|(key, counts)| counts.iter().map(move |(name, n)| format!("{} {name}={n}", key.sk)))
            .collect()
    }

    #[test]
    fn a_read_without_delivered_counts_an_inferred_delivery() {
        let mut attempt = claimed();
        attempt.learn(&Evidence::Flag(Flag::Accepted, at(10)));
        attempt.learn(&Evidence::Flag(Flag::Read, at(70)));
        let contribution = of_attempt(&key(), &attempt);
        assert_eq!(
            item(&contribution, view::TOTAL),
            [
                "0.accepted=1",
                "0.claimed=1",
                "0.cost.MY.untold.charged=1",
                "0.delivered=1",
                "0.delivered.inferred=1",
                "0.read=1",
                "0.sent=1",
                "0.stuck.read=1"
            ]
            .map(|count| format!("TOTAL#03 {count}"))
        );
        assert_eq!(item(&contribution, view::DELAY), [] as [&str; 0], "an inferred delivery has no time to open");
        assert_eq!(
            item(&contribution, view::MINUTE),
            ["MINUTE#1970-01-01T00#03 accepted.00=1", "MINUTE#1970-01-01T00#03 read.01=1"]
        );
    }

    #[test]
    fn what_is_not_known_counts_for_its_account_by_field() {
        let source = EventPartition {
            workspace: WorkspaceId::FIRST,
            account: Some(AccountId::new(UnixMillis(1))),
            date: "2026-11-21".to_owned(),
            shard: Shard(3),
        };
        let event = |kind: &str| Event {
            v: 1,
            id: crate::activity::id_of(UnixMillis(1), &["x"]),
            at: UnixMillis(1),
            seen: UnixMillis(1),
            contact: None,
            variant: None,
            content: Content::MetaReported {
                field: "tomorrow".to_owned(),
                kind: kind.to_owned(),
                raw: crate::activity::Kept::Inline("{}".to_owned()),
            },
        };
        let expected = ["unknown.tomorrow=1", "unknown=1"].map(|count| format!("UNKNOWN#2026-11-21#03 {count}"));
        let mut counted = item(&of_event(&source, &event("unknown")), view::UNKNOWN);
        counted.sort();
        assert_eq!(counted, expected);
        assert!(of_event(&source, &event("account_update")).is_empty());
        assert!(of_event(&EventPartition { account: None, ..source }, &event("unknown")).is_empty());
    }

    #[test]
    fn a_failed_send_counts_its_code() {
        let mut attempt = claimed();
        let Moment { at, seen } = at(10);
        attempt.learn(&Evidence::Failed(crate::attempt::Failure {
            at,
            seen,
            code: 131_026,
            title: None,
            details: None,
        }));
        let contribution = of_attempt(&key(), &attempt);
        assert_eq!(
            item(&contribution, view::TOTAL),
            ["TOTAL#03 0.claimed=1", "TOTAL#03 0.error.131026=1", "TOTAL#03 0.failed=1", "TOTAL#03 0.rejected=1"]
        );
    }

    #[test]
    fn the_time_to_open_is_from_delivered_to_read() {
        let mut attempt = claimed();
        attempt.learn(&Evidence::Flag(Flag::Delivered, at(10)));
        attempt.learn(&Evidence::Flag(Flag::Read, at(12)));
        let expected = format!("DELAY#03 0.open.{}=1", histogram::bucket(2_000));
        assert_eq!(item(&of_attempt(&key(), &attempt), view::DELAY), [expected]);
    }
}
