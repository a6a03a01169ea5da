//! The events that are made of what Meta tells of a business account, and how it is put for people.

use shared::activity::reported::AccountReport;
use shared::activity::{Content, Kept};
use shared::meta::webhook::{
    AccountEvent, AccountUpdate, BanState, Event, MessagingLimit, PhoneQuality, PhoneQualityEvent,
};
use shared::time::UnixMillis;

/// What the event says; `None` when it is of another topic.
pub(super) fn content(event: &Event, raw: &str) -> Option<Content> {
    let report = |event: &str| AccountReport {
        event: event.to_owned(),
        reason: None,
        severity: None,
        limit: None,
        until: None,
        code: None,
        raw: Kept::Inline(raw.to_owned()),
    };
    Some(match event {
        Event::AccountUpdate(update) => of_update(update, report(update.event.as_str())),
        Event::AccountAlert(alert) => Content::AccountAlerted(AccountReport {
            reason: alert.description.clone(),
            severity: alert.severity.clone(),
            ..report(&alert.kind)
        }),
        Event::AccountReview(decision) => Content::AccountReviewed(report(decision.as_str())),
        Event::Capability(capability) => Content::AccountLimits(AccountReport {
            limit: capability.messaging_limit.as_ref().map(limit_column),
            ..report("CAPABILITY_UPDATE")
        }),
        Event::PhoneQuality(quality) => Content::AccountQuality(AccountReport {
            limit: quality.limit.as_ref().map(limit_column),
            ..report(quality.event.as_str())
        }),
        Event::PhoneName(name) => Content::AccountName(AccountReport {
            reason: name.rejection_reason.clone(),
            ..report(name.decision.as_str())
        }),
        Event::Security(notice) => Content::AccountSecurity(report(notice.event.as_str())),
        Event::ValueError(error) => Content::AccountErred(AccountReport {
            code: error.code,
            reason: error.details.clone(),
            ..report(error.title.as_deref().unwrap_or_default())
        }),
        _ => return None,
    })
}

fn of_update(update: &AccountUpdate, report: AccountReport) -> Content {
    match &update.event {
        AccountEvent::Restriction => {
            let kinds: Vec<&str> = update.restrictions.iter().map(|one| one.kind.as_str()).collect();
            let ends = update.restrictions.iter().map(|one| one.expires_at_s.map(UnixMillis::from_seconds));
            // One without an end lasts longest.
            let until = ends.collect::<Option<Vec<_>>>().and_then(|ends| ends.into_iter().max());
            Content::AccountRestricted(AccountReport {
                reason: Some(kinds.join(", ")),
                until: until.map(|until| until.0),
                ..report
            })
        }
        AccountEvent::Violation => {
            Content::AccountViolated(AccountReport { reason: update.violation.clone(), ..report })
        }
        AccountEvent::DisabledUpdate => {
            let state = update.ban.as_ref().map(|ban| &ban.state);
            let date = update.ban.as_ref().and_then(|ban| ban.date.as_ref());
            let told = [state.map(|state| state.as_str()), date.map(String::as_str)];
            let report =
                AccountReport { reason: Some(told.into_iter().flatten().collect::<Vec<_>>().join(", ")), ..report };
            match state {
                Some(BanState::Reinstated) => Content::AccountReinstated(report),
                _ => Content::AccountDisabled(report),
            }
        }
        AccountEvent::Deleted => Content::AccountDisabled(report),
        AccountEvent::Offboarded => Content::AccountOffboarded(report),
        AccountEvent::Reconnected => Content::AccountReconnected(report),
        _ => Content::AccountUpdated(report),
    }
}

/// A limit as a column: a number, `unlimited`, or Meta's word.
fn limit_column(limit: &MessagingLimit) -> String {
    match limit {
        MessagingLimit::Recipients(people) => people.to_string(),
        MessagingLimit::Unlimited => "unlimited".to_owned(),
        MessagingLimit::NotSet => "not set".to_owned(),
        MessagingLimit::Other(word) => word.clone(),
    }
}

/// A limit for people.
pub(super) fn limit(limit: &MessagingLimit) -> String {
    match limit {
        MessagingLimit::Recipients(people) => format!("{people} people in 24 hours"),
        other => limit_column(other),
    }
}

/// What happened to a number, for people.
pub(super) fn of_quality(PhoneQuality { event, limit: now, .. }: &PhoneQuality) -> Option<String> {
    match event {
        PhoneQualityEvent::Flagged => Some("Meta has flagged the number: its quality is low".to_owned()),
        PhoneQualityEvent::Unflagged => Some("the number's quality is no longer low".to_owned()),
        PhoneQualityEvent::ThroughputUpgrade => Some("the number may send 1,000 messages a second".to_owned()),
        PhoneQualityEvent::Upgrade | PhoneQualityEvent::Downgrade => {
            Some(format!("the number's messaging limit is now {}", limit(now.as_ref()?)))
        }
        PhoneQualityEvent::Onboarding => None,
        PhoneQualityEvent::Other(word) => Some(format!("Meta reports of the number: {word}")),
    }
}
