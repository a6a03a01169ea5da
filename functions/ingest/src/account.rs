//! What Meta's notices about a business account or one of its numbers mean for sending. They name the business account,
//! and the number by its digits if at all; the feed keeps them whatever they mean.

use std::time::Duration;

use shared::account::news::{News, Told};
use shared::account::{META_HIGHEST_RATE, Quality};
use shared::meta::webhook::{
    AccountEvent, AccountUpdate, BanState, Event, Item, PhoneQuality, PhoneQualityEvent, RestrictionKind,
};
use shared::time::UnixMillis;

use crate::effects::Effects;
use crate::{Ingest, NotIngested};

/// Whom a notice concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Concerns {
    /// All numbers of the business account.
    AllNumbers,
    /// The number that the notice names.
    OneNumber,
}

/// Tells the accounts that an item concerns what it means for them, if it means anything.
pub(crate) async fn tell(
    ingest: &Ingest,
    effects: &mut Effects,
    item: &Item,
    seen: UnixMillis,
) -> Result<(), NotIngested> {
    let (concerns, told) = meaning(&item.event);
    let Some(waba_id) = item.waba_id.as_deref().filter(|_| !told.is_empty() && !ingest.is_replay()) else {
        return Ok(());
    };
    let at = time_of(item.entry_time, seen);
    for (workspace, id) in ingest.core.accounts_of_waba(waba_id).await? {
        if concerns == Concerns::OneNumber {
            let number = item.display_phone_number.as_deref().unwrap_or_default();
            let account = ingest.core.account(workspace, id).await?;
            if !account.is_some_and(|account| account.has_number(number)) {
                continue;
            }
        }
        for told in &told {
            effects.tell((workspace, id), News { at, told: told.clone() });
        }
    }
    Ok(())
}

/// Clocks may differ by this. A time that lies further ahead would hold against everything that Meta tells until then.
const CLOCKS_DIFFER: Duration = Duration::from_secs(3_600);

/// When Meta told it; the same for every repeat.
fn time_of(entry_time: Option<i64>, seen: UnixMillis) -> UnixMillis {
    entry_time.map(UnixMillis::from_seconds).filter(|at| at.since(seen) <= CLOCKS_DIFFER).unwrap_or(seen)
}

fn meaning(event: &Event) -> (Concerns, Vec<Told>) {
    match event {
        Event::PhoneQuality(quality) => (Concerns::OneNumber, of_quality(quality)),
        Event::Capability(capability) => {
            (Concerns::AllNumbers, capability.messaging_limit.as_ref().and_then(Told::limit).into_iter().collect())
        }
        Event::AccountUpdate(update) => (Concerns::AllNumbers, of_update(update).into_iter().collect()),
        _ => (Concerns::AllNumbers, Vec::new()),
    }
}

fn of_quality(PhoneQuality { event, limit, .. }: &PhoneQuality) -> Vec<Told> {
    let told = match event {
        // Meta flags a number whose quality is low, and takes the flag back when it is medium or better.
        PhoneQualityEvent::Flagged => Some(Told::Quality(Quality::Red)),
        PhoneQualityEvent::Unflagged => Some(Told::Quality(Quality::Green)),
        PhoneQualityEvent::ThroughputUpgrade => Some(Told::Throughput(META_HIGHEST_RATE)),
        _ => None,
    };
    told.into_iter().chain(limit.as_ref().and_then(Told::limit)).collect()
}

fn of_update(update: &AccountUpdate) -> Option<Told> {
    let stopped = |reason: &str, until| Some(Told::Restricted { reason: reason.to_owned(), until });
    let noted = |text: String| Some(Told::Noted(text));
    match &update.event {
        AccountEvent::Restriction => {
            let campaigns = |kind: &RestrictionKind| *kind == RestrictionKind::BusinessInitiatedMessaging;
            match update.restrictions.iter().find(|restriction| campaigns(&restriction.kind)) {
                Some(restriction) => stopped(
                    "Meta does not let the business account open conversations (RESTRICTED_BIZ_INITIATED_MESSAGING)",
                    restriction.expires_at_s.map(UnixMillis::from_seconds),
                ),
                None => {
                    let kinds: Vec<&str> = update.restrictions.iter().map(|one| one.kind.as_str()).collect();
                    noted(format!("Meta has restricted the business account: {}", kinds.join(", ")))
                }
            }
        }
        AccountEvent::DisabledUpdate => {
            let ban = update.ban.as_ref()?;
            let date = ban.date.as_deref().unwrap_or("an unknown date");
            match &ban.state {
                BanState::Disabled => stopped("Meta has disabled the business account", None),
                BanState::Reinstated => Some(Told::Reinstated),
                BanState::Scheduled => noted(format!("Meta will disable the business account on {date}")),
                BanState::Other(_) => None,
            }
        }
        AccountEvent::Deleted => stopped("the business account was deleted at Meta", None),
        AccountEvent::Violation => {
            let violation = update.violation.as_deref().unwrap_or("unknown");
            noted(format!("Meta says that the business account has violated a policy: {violation}"))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use shared::meta::webhook::parse;

    use super::*;

    fn told(field: &str, value: Value) -> Vec<Told> {
        let body = json!({
            "object": "whatsapp_business_account",
            "entry": [{"id": "1", "time": 1_790_000_000, "changes": [{"field": field, "value": value}]}],
        });
        let items = parse(body.to_string().as_bytes()).unwrap().items;
        meaning(&items.first().unwrap().event).1
    }

    fn of_number(event: &str, limit: Option<&str>) -> Vec<Told> {
        let value = json!({"display_phone_number": "15550783881", "event": event, "current_limit": limit});
        told("phone_number_quality_update", value)
    }

    #[test]
    fn a_flag_is_low_quality_and_limits_are_read_from_every_event() {
        let limit = Told::MessagingLimit;
        assert_eq!(of_number("FLAGGED", Some("TIER_250")), [Told::Quality(Quality::Red), limit(Some(250))]);
        assert_eq!(of_number("UNFLAGGED", None), [Told::Quality(Quality::Green)]);
        assert_eq!(of_number("DOWNGRADE", Some("TIER_2K")), [limit(Some(2_000))]);
        assert_eq!(of_number("UPGRADE", Some("TIER_UNLIMITED")), [limit(None)]);
        assert_eq!(of_number("THROUGHPUT_UPGRADE", None), [Told::Throughput(1_000)]);
        assert_eq!(of_number("ONBOARDING", Some("TIER_NOT_SET")), []);
    }

    #[test]
    fn a_notice_keeps_its_time_unless_that_lies_far_ahead() {
        let seen = UnixMillis(1_790_000_000_500);
        assert_eq!(time_of(Some(1_789_000_000), seen), UnixMillis(1_789_000_000_000));
        assert_eq!(time_of(Some(1_790_000_002), seen), UnixMillis(1_790_000_002_000));
        assert_eq!(time_of(Some(1_800_000_000), seen), seen);
        assert_eq!(time_of(None, seen), seen);
    }

    #[test]
    fn a_capability_is_a_number_or_a_tier() {
        for (limit, expected) in [
            (json!(2_000), Some(2_000)),
            (json!("TIER_10K"), Some(10_000)),
            (json!(-1), None),
            (json!("TIER_UNLIMITED"), None),
        ] {
            let value = json!({"max_daily_conversations_per_business": limit, "max_phone_numbers_per_business": 2});
            assert_eq!(told("business_capability_update", value), [Told::MessagingLimit(expected)]);
        }
    }

    #[test]
    fn only_what_forbids_campaigns_stops_them() {
        let restricted = |kind: &str| {
            let info = json!([{"restriction_type": kind, "expiration": 1_790_086_400}]);
            told("account_update", json!({"event": "ACCOUNT_RESTRICTION", "restriction_info": info}))
        };
        let [Told::Restricted { until, .. }] = &restricted("RESTRICTED_BIZ_INITIATED_MESSAGING")[..] else {
            panic!("not restricted");
        };
        assert_eq!(*until, Some(UnixMillis(1_790_086_400_000)));
        assert!(matches!(restricted("RESTRICTED_ADD_PHONE_NUMBER_ACTION")[..], [Told::Noted(_)]));

        let banned = |state: &str| {
            let info = json!({"waba_ban_state": state, "waba_ban_date": "September 24, 2026"});
            told("account_update", json!({"event": "DISABLED_UPDATE", "ban_info": info}))
        };
        assert!(matches!(banned("DISABLE")[..], [Told::Restricted { until: None, .. }]));
        assert_eq!(banned("REINSTATE"), [Told::Reinstated]);
        let [Told::Noted(text)] = &banned("SCHEDULE_FOR_DISABLE")[..] else { panic!("not noted") };
        assert!(text.contains("September 24, 2026"), "{text}");
        assert!(matches!(told("account_update", json!({"event": "ACCOUNT_DELETED"}))[..], [Told::Restricted { .. }]));

        let violation = json!({"event": "ACCOUNT_VIOLATION", "violation_info": {"violation_type": "SCAM"}});
        assert!(matches!(&told("account_update", violation)[..], [Told::Noted(text)] if text.contains("SCAM")));
        assert_eq!(told("account_update", json!({"event": "PARTNER_ADDED"})), []);
        assert_eq!(told("account_review_update", json!({"decision": "APPROVED"})), []);
    }
}
