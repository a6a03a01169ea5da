//! What Meta's notices about a business account or one of its numbers mean for sending. They name the business account,
//! and the number by its digits if at all; the feed keeps them whatever they mean.

mod report;

use shared::account::news::{News, Told};
use shared::account::{META_HIGHEST_RATE, Quality};
use shared::id::{AccountId, WorkspaceId};
use shared::meta::webhook::{
    AccountEvent, AccountUpdate, BanState, Event, PhoneQuality, PhoneQualityEvent, RestrictionKind,
};
use shared::time::UnixMillis;

use crate::effects::{CLOCKS_DIFFER, Effects};
use crate::origin::{Origin, json};
use crate::{Ingest, NotIngested};

/// Whom a notice concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Concerns {
    /// All numbers of the business account.
    AllNumbers,
    /// The number that the notice names.
    OneNumber,
}

/// Tells the accounts that an item concerns what it means for them, and keeps it in the feed of each.
pub(crate) async fn take_in(ingest: &Ingest, effects: &mut Effects, origin: &Origin<'_>) -> Result<(), NotIngested> {
    let item = origin.item;
    let (concerns, told) = meaning(&item.event);
    let accounts = match origin.route {
        // What names our number by its id needs no search.
        Some(route) => vec![route],
        None => concerned(ingest, origin, concerns).await?,
    };
    let at = time_of(item.entry_time, origin.seen);
    for of in &accounts {
        // What Meta told of accounts before is on their rows already.
        for told in told.iter().filter(|_| !ingest.is_replay()) {
            effects.tell(*of, News { at, told: told.clone() });
        }
    }
    let raw = json(&item.event);
    let waba = item.waba_id.as_deref().unwrap_or_default();
    let number = item.display_phone_number.as_deref().unwrap_or_default();
    let nobody = accounts.is_empty().then_some(None);
    for route in accounts.iter().copied().map(Some).chain(nobody) {
        let Some(content) = report::content(&item.event, &raw) else { return Ok(()) };
        let origin = Origin { route, ..*origin };
        let identity = [waba, number, raw.as_str()];
        let id = origin.id(origin.dated(ingest, None, &identity).await?, &item.field, &identity);
        effects.record(route, origin.event(id, None, content));
    }
    Ok(())
}

/// The accounts of the item's business account; of these the one with the number that the item names, if it concerns one
/// number.
async fn concerned(
    ingest: &Ingest,
    origin: &Origin<'_>,
    concerns: Concerns,
) -> Result<Vec<(WorkspaceId, AccountId)>, NotIngested> {
    let accounts = ingest.routes.of_waba(&ingest.core, origin.item).await?;
    let Some(number) = origin.item.display_phone_number.as_deref().filter(|_| concerns == Concerns::OneNumber) else {
        return Ok(if concerns == Concerns::AllNumbers { accounts.to_vec() } else { Vec::new() });
    };
    let mut concerned = Vec::new();
    for (workspace, id) in accounts.iter().copied() {
        let account = ingest.core.account(workspace, id).await?;
        if account.is_some_and(|account| account.has_number(number)) {
            concerned.push((workspace, id));
        }
    }
    Ok(concerned)
}

/// When Meta told it; the same for every repeat. A time that lies far ahead would hold against everything that Meta tells
/// until then.
pub(crate) fn time_of(entry_time: Option<i64>, seen: UnixMillis) -> UnixMillis {
    entry_time.map(UnixMillis::from_seconds).filter(|at| at.since(seen) <= CLOCKS_DIFFER).unwrap_or(seen)
}

fn meaning(event: &Event) -> (Concerns, Vec<Told>) {
    let noted = |text: Option<String>| text.map(Told::Noted);
    match event {
        Event::PhoneQuality(quality) => {
            let told = of_quality(quality);
            (Concerns::OneNumber, told.into_iter().chain(noted(report::of_quality(quality))).collect())
        }
        Event::Capability(capability) => {
            let limit = capability.messaging_limit.as_ref();
            let told = limit.and_then(Told::limit);
            let text = limit.map(|limit| format!("the messaging limit is now {}", report::limit(limit)));
            (Concerns::AllNumbers, told.into_iter().chain(noted(text)).collect())
        }
        Event::AccountUpdate(update) => (Concerns::AllNumbers, of_update(update).into_iter().collect()),
        Event::AccountAlert(alert) => {
            let text = match &alert.description {
                Some(description) => format!("{}: {description}", alert.kind),
                None => alert.kind.clone(),
            };
            (Concerns::AllNumbers, vec![Told::Noted(text)])
        }
        Event::AccountReview(decision) => {
            (Concerns::AllNumbers, vec![Told::Noted(format!("Meta has reviewed the business account: {decision}"))])
        }
        Event::PhoneName(name) => {
            let why = name.rejection_reason.as_ref().map(|why| format!(" ({why})")).unwrap_or_default();
            let text = format!("Meta has reviewed the number's display name: {}{why}", name.decision);
            (Concerns::OneNumber, vec![Told::Noted(text)])
        }
        Event::Security(notice) => {
            let text = format!("the number's two-step verification: {}", notice.event);
            (Concerns::OneNumber, vec![Told::Noted(text)])
        }
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
        AccountEvent::Offboarded => noted("Meta has disconnected a number of the business account".to_owned()),
        AccountEvent::Reconnected => noted("a number of the business account is connected again".to_owned()),
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
        let noted = |text: &str| Told::Noted(text.to_owned());
        let red =
            [Told::Quality(Quality::Red), limit(Some(250)), noted("Meta has flagged the number: its quality is low")];
        assert_eq!(of_number("FLAGGED", Some("TIER_250")), red);
        let green = [Told::Quality(Quality::Green), noted("the number's quality is no longer low")];
        assert_eq!(of_number("UNFLAGGED", None), green);
        let lower = [limit(Some(2_000)), noted("the number's messaging limit is now 2000 people in 24 hours")];
        assert_eq!(of_number("DOWNGRADE", Some("TIER_2K")), lower);
        let open = [limit(None), noted("the number's messaging limit is now unlimited")];
        assert_eq!(of_number("UPGRADE", Some("TIER_UNLIMITED")), open);
        let quicker = [Told::Throughput(1_000), noted("the number may send 1,000 messages a second")];
        assert_eq!(of_number("THROUGHPUT_UPGRADE", None), quicker);
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
            let told = told("business_capability_update", value);
            assert!(matches!(&told[..], [Told::MessagingLimit(told), Told::Noted(_)] if *told == expected), "{told:?}");
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
        for harmless in [
            told("account_review_update", json!({"decision": "APPROVED"})),
            told("account_alerts", json!({"alert_info": {"alert_type": "OBA_APPROVED", "alert_severity": "WARNING"}})),
            told("account_update", json!({"event": "ACCOUNT_OFFBOARDED"})),
            told("account_update", json!({"event": "ACCOUNT_RECONNECTED"})),
        ] {
            assert!(matches!(harmless[..], [Told::Noted(_)]), "{harmless:?}");
        }
    }
}
