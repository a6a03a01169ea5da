//! Finding the conversions of a span of time: events that pages and servers have told of, and attempts that somebody has
//! closed by hand. An act counts once: a conversion that closed an attempt is its event.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::time::Instant;

use futures::{StreamExt, TryStreamExt};
use shared::activity::custom::{CustomReport, Source};
use shared::activity::feed::Position;
use shared::activity::{Content, Event, Visitor};
use shared::attempt::{Attempt, AttemptKey, Money, Seq, Shard};
use shared::id::{AccountId, CampaignId, ContactId, EventId, WorkspaceId};
use shared::rollup::account_day::{account_pk, closed_in, sort_keys};
use shared::store::{Core, FeedDay, StoreError};
use shared::time::UnixMillis;

use crate::Analytics;

/// Conversions of one answer; a span that has more is answered up to a time.
pub(super) const MOST_CONVERSIONS: usize = 2_000;

/// Queries under way at once.
const QUERIES_AT_ONCE: usize = 24;

const DAY_MS: i64 = 86_400_000;

/// A conversion.
#[derive(Clone)]
pub(super) struct Conversion {
    /// When it was.
    pub(super) at: UnixMillis,
    /// What it was worth.
    pub(super) value: Option<Money>,
    /// Whose it was, as known when it was taken in.
    pub(super) contact: Option<ContactId>,
    /// The recipient that it was put down to or that was closed.
    pub(super) recipient: Option<(CampaignId, Seq)>,
    /// How it is known.
    pub(super) told: Told,
}

/// How a conversion is known.
#[derive(Clone)]
pub(super) enum Told {
    /// As an event.
    Event {
        /// By a page or a server.
        by: Source,
        /// The click that led there, and whose link it was.
        click: Option<(CampaignId, EventId)>,
    },
    /// Somebody closed the attempt.
    ByHand(Box<(AttemptKey, Attempt)>),
}

impl Conversion {
    /// The conversion that an event tells of. What a machine does on a page is none.
    fn of(event: Event) -> Option<Self> {
        let Content::Custom(report) = event.content else { return None };
        if !report.conversion || matches!(report.visitor, Some(Visitor::Machine { .. })) {
            return None;
        }
        let CustomReport { campaign, recipient, click, source, value, .. } = *report;
        Some(Self {
            at: event.at,
            value,
            contact: event.contact,
            recipient: campaign.zip(recipient),
            told: Told::Event { by: source, click: campaign.zip(click) },
        })
    }

    /// The close of an attempt, if it was by hand: a conversion that closes an attempt gives the close its own time.
    /// `reported` holds the times of the conversions that were put down to recipients. What the attempt was worth may have
    /// been told by a conversion later, and is then that one's.
    fn by_hand(key: AttemptKey, attempt: Attempt, reported: &BTreeSet<(CampaignId, Seq, UnixMillis)>) -> Option<Self> {
        let at = attempt.closed?.at;
        let by_event = attempt.closed_by.is_some_and(|conversion| conversion.at == at);
        if by_event || reported.contains(&(key.campaign, key.seq, at)) {
            return None;
        }
        Some(Self {
            at,
            value: attempt.closed_value.clone().filter(|_| attempt.closed_by.is_none()),
            contact: attempt.contact,
            recipient: Some((key.campaign, key.seq)),
            told: Told::ByHand(Box::new((key, attempt))),
        })
    }
}

/// What the operator says that the deal was worth counts more than what the event does that closed it.
pub(super) fn worth(conversion: &Conversion, attempt: Option<&Attempt>) -> Option<Money> {
    let closed_by_this = attempt.filter(|attempt| attempt.closed.is_some_and(|closed| closed.at == conversion.at));
    let operators = closed_by_this.filter(|attempt| attempt.closed_by.is_none());
    operators.and_then(|attempt| attempt.closed_value.clone()).or_else(|| conversion.value.clone())
}

/// The conversions of a span, first to last.
pub(super) struct Found {
    pub(super) conversions: Vec<Conversion>,
    /// All before this moment were found; the end of the span when all were.
    pub(super) until: UnixMillis,
    /// Whether all closes before that moment were.
    pub(super) closes_complete: bool,
}

/// When a search ends with what it has.
#[derive(Clone, Copy)]
pub(super) struct Deadlines {
    /// That for events, which then are all up to a time.
    pub(super) events: Instant,
    /// That for closed attempts, which lie in no order of time.
    pub(super) closes: Instant,
}

/// Looks through the feeds of these accounts (`None`: of the workspace) and through their closed attempts.
pub(super) async fn find(
    analytics: &Analytics,
    workspace: WorkspaceId,
    accounts: &[Option<AccountId>],
    span: &Range<UnixMillis>,
    deadlines: Deadlines,
) -> Result<Found, StoreError> {
    let (mut conversions, mut until) = reported(&analytics.core, workspace, accounts, span, deadlines.events).await?;
    let of_recipients = conversions.iter().filter_map(|conversion| {
        let (campaign, seq) = conversion.recipient?;
        Some((campaign, seq, conversion.at))
    });
    let of_recipients: BTreeSet<_> = of_recipients.collect();
    let known = span.start..until;
    let (closed, closes_complete) = closed(analytics, workspace, accounts, &known, deadlines.closes).await?;
    conversions
        .extend(closed.into_iter().filter_map(|(key, attempt)| Conversion::by_hand(key, attempt, &of_recipients)));
    // Of equal times those of the same campaign stay together, whichever partition answered first.
    conversions.sort_by_key(|conversion| (conversion.at, conversion.recipient, conversion.contact));
    let end = whole_milliseconds(&conversions, 0, MOST_CONVERSIONS);
    if let Some(beyond) = conversions.get(end) {
        until = beyond.at;
        conversions.truncate(end);
    }
    Ok(Found { conversions, until, closes_complete })
}

/// Where `most` conversions from `start` on end, or a few more: those of one millisecond stay together, so that one can ask
/// on from a time.
pub(super) fn whole_milliseconds(conversions: &[Conversion], start: usize, most: usize) -> usize {
    let mut end = conversions.len().min(start.saturating_add(most));
    while end > start && end < conversions.len() && conversions[end].at == conversions[end - 1].at {
        end += 1;
    }
    end
}

/// Conversions that were told of, day by day, until there are enough or it takes too long; and up to when they are all.
async fn reported(
    core: &Core,
    workspace: WorkspaceId,
    accounts: &[Option<AccountId>],
    span: &Range<UnixMillis>,
    deadline: Instant,
) -> Result<(Vec<Conversion>, UnixMillis), StoreError> {
    let mut found = Vec::new();
    let mut until = span.end;
    let mut day = UnixMillis(span.start.0 - span.start.0.rem_euclid(DAY_MS));
    while day < until {
        if found.len() > MOST_CONVERSIONS || Instant::now() > deadline {
            until = day.max(span.start);
            break;
        }
        let date = day.date();
        let days = accounts.iter().map(|account| FeedDay { workspace, account: *account, date: date.clone() });
        let partitions: Vec<_> =
            days.flat_map(|day| FeedDay::shards().map(move |shard| (day.clone(), shard))).collect();
        let parts: Vec<_> = futures::stream::iter(partitions)
            .map(|(day, shard)| async move { of_partition(core, &day, shard, span, deadline).await })
            .buffer_unordered(QUERIES_AT_ONCE)
            .try_collect()
            .await?;
        for (conversions, up_to) in parts {
            found.extend(conversions);
            until = until.min(up_to);
        }
        day = UnixMillis(day.0 + DAY_MS);
    }
    found.retain(|conversion: &Conversion| conversion.at < until);
    Ok((found, until))
}

/// Those of one partition, and up to when they are all.
async fn of_partition(
    core: &Core,
    day: &FeedDay,
    shard: Shard,
    span: &Range<UnixMillis>,
    deadline: Instant,
) -> Result<(Vec<Conversion>, UnixMillis), StoreError> {
    let (mut after, before) = (Position::below(span.start), Position::below(span.end));
    let mut found = Vec::new();
    loop {
        let part = core.conversions_of_partition(day, shard, &after, &before).await?;
        found.extend(part.rows.into_iter().filter_map(Conversion::of));
        match part.up_to {
            None => return Ok((found, span.end)),
            // More may follow in the same millisecond.
            Some(place) if found.len() > MOST_CONVERSIONS || Instant::now() > deadline => {
                return Ok((found, place.at()));
            }
            Some(place) => after = place,
        }
    }
}

/// Attempts that were closed in the span, and whether they are all.
async fn closed(
    analytics: &Analytics,
    workspace: WorkspaceId,
    accounts: &[Option<AccountId>],
    span: &Range<UnixMillis>,
    deadline: Instant,
) -> Result<(Vec<(AttemptKey, Attempt)>, bool), StoreError> {
    let mut partitions: BTreeSet<(CampaignId, Shard)> = BTreeSet::new();
    if span.is_empty() {
        return Ok((Vec::new(), true));
    }
    let (first, last) = sort_keys(span.start, UnixMillis(span.end.0 - 1));
    for account in accounts.iter().flatten() {
        let items = analytics.rollups.items_between(&account_pk(workspace, *account), &first, &last).await?;
        partitions.extend(closed_in(items.iter().map(|item| (item.sk.as_str(), &item.counts))));
    }
    let parts: Vec<_> = futures::stream::iter(partitions)
        .map(|(campaign, shard)| of_shard(&analytics.core, workspace, campaign, shard, span, deadline))
        .buffer_unordered(QUERIES_AT_ONCE)
        .try_collect()
        .await?;
    let complete = parts.iter().all(|(_, complete)| *complete);
    Ok((parts.into_iter().flat_map(|(attempts, _)| attempts).collect(), complete))
}

async fn of_shard(
    core: &Core,
    workspace: WorkspaceId,
    campaign: CampaignId,
    shard: Shard,
    span: &Range<UnixMillis>,
    deadline: Instant,
) -> Result<(Vec<(AttemptKey, Attempt)>, bool), StoreError> {
    let (mut found, mut after) = (Vec::new(), None);
    while Instant::now() <= deadline && found.len() <= MOST_CONVERSIONS {
        let part = core.closed_attempts(workspace, campaign, shard, span, after).await?;
        found.extend(part.rows);
        after = part.up_to;
        if after.is_none() {
            return Ok((found, true));
        }
    }
    Ok((found, false))
}

/// The attempts of the recipients that these conversions were put down to.
pub(super) async fn attempts(
    core: &Core,
    campaigns: &BTreeMap<CampaignId, shared::campaign::Campaign>,
    conversions: &[Conversion],
) -> Result<BTreeMap<(CampaignId, Seq), Attempt>, StoreError> {
    let mut wanted: BTreeMap<CampaignId, Vec<AttemptKey>> = BTreeMap::new();
    let mut known = BTreeMap::new();
    for conversion in conversions {
        match (&conversion.told, conversion.recipient) {
            (Told::ByHand(closed), _) => _ = known.insert((closed.0.campaign, closed.0.seq), closed.1.clone()),
            (Told::Event { .. }, Some((campaign, seq))) => {
                let key = campaigns.get(&campaign).map(|campaign| campaign.attempt_key(seq));
                wanted.entry(campaign).or_default().extend(key);
            }
            _ => {}
        }
    }
    for (campaign, mut keys) in wanted {
        // The table refuses to be asked for the same row twice.
        keys.sort_unstable();
        keys.dedup();
        let attempts = core.attempts(&keys, shared::store::Consistency::Eventual).await?;
        known.extend(attempts.into_iter().map(|(seq, attempt)| ((campaign, seq), attempt)));
    }
    Ok(known)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn money(amount: i64) -> Money {
        Money { amount: amount.into(), currency: "MYR".to_owned() }
    }

    fn attempt(more: &serde_json::Value) -> (AttemptKey, Attempt) {
        let mut row = json!({
            "v": 1, "phone": "+60123456789", "account": "acc_01J00000000000000000000000", "variant": 0, "page": 0, "number": 1,
        });
        row.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let key = AttemptKey {
            workspace: WorkspaceId::FIRST,
            campaign: "cmp_01J00000000000000000000000".parse().unwrap(),
            shard: Shard(0),
            seq: Seq(3),
        };
        (key, serde_json::from_value(row).unwrap())
    }

    fn by_hand(more: &serde_json::Value, reported_at: Option<i64>) -> Option<Conversion> {
        let (key, attempt) = attempt(more);
        let reported = reported_at.map(|at| (key.campaign, key.seq, UnixMillis(at))).into_iter().collect();
        Conversion::by_hand(key, attempt, &reported)
    }

    #[test]
    fn a_close_is_by_hand_unless_a_conversion_has_its_time() {
        let closed = json!({"closed": {"at": 5, "seen": 5}, "closed_value": {"amount": 7, "currency": "MYR"}});
        assert_eq!(by_hand(&closed, None).unwrap().value, Some(money(7)));
        assert!(by_hand(&closed, Some(5)).is_none(), "the conversion's own close");
        assert!(by_hand(&closed, Some(9)).is_some(), "what was bought later is another act");
        assert!(by_hand(&json!({}), None).is_none());
        let event = "evt_01J00000000000000000000000";
        let told = |at: i64| {
            json!({"closed": {"at": 5, "seen": 5}, "closed_value": {"amount": 7, "currency": "MYR"},
                "closed_by": {"at": at, "event": event}})
        };
        assert!(by_hand(&told(5), None).is_none(), "closed by an event that is gone by now");
        assert_eq!(by_hand(&told(9), Some(9)).unwrap().value, None, "the amount is the later conversion's");
    }

    #[test]
    fn the_operators_word_is_worth_more_than_the_events_that_closed() {
        let conversion = |at: i64| Conversion {
            at: UnixMillis(at),
            value: Some(money(1)),
            contact: None,
            recipient: None,
            told: Told::Event { by: Source::Web, click: None },
        };
        let closed = json!({"closed": {"at": 5, "seen": 5}, "closed_value": {"amount": 7, "currency": "MYR"}});
        let (_, attempt) = attempt(&closed);
        assert_eq!(worth(&conversion(5), Some(&attempt)), Some(money(7)));
        assert_eq!(worth(&conversion(6), Some(&attempt)), Some(money(1)), "a second purchase");
        assert_eq!(worth(&conversion(5), None), Some(money(1)));
    }

    #[test]
    fn a_cut_does_not_part_what_has_one_time() {
        let all: Vec<Conversion> = [1, 2, 2, 2, 3]
            .map(|at| Conversion {
                at: UnixMillis(at),
                value: None,
                contact: None,
                recipient: None,
                told: Told::Event { by: Source::Web, click: None },
            })
            .to_vec();
        let ends: Vec<usize> = (0..=6).map(|most| whole_milliseconds(&all, 0, most)).collect();
        assert_eq!(ends, [0, 1, 4, 4, 4, 5, 5]);
        assert_eq!(whole_milliseconds(&all, 4, 1), 5);
    }
}
