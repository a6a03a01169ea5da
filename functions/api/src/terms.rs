//! The terms of a new campaign: when it runs, how many errors it bears and what it may cost. What it says and to whom is
//! [`crate::create`]'s.

use serde::Deserialize;
use shared::attempt::Money;
use shared::campaign::Schedule;
use shared::http::problem::FieldError;
use shared::local_time::{LocalTime, QuietHours};
use shared::price::{CURRENCY, Micros};
use shared::time::UnixMillis;

/// When it shall run, as requested.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewSchedule {
    #[serde(default, with = "shared::time::rfc3339::option")]
    start_at: Option<UnixMillis>,
    #[serde(default)]
    local_time: Option<LocalTime>,
    #[serde(default)]
    quiet_hours: Option<QuietHours>,
    #[serde(default, with = "shared::time::rfc3339::option")]
    expires_at: Option<UnixMillis>,
}

impl From<NewSchedule> for Schedule {
    fn from(new: NewSchedule) -> Self {
        let NewSchedule { start_at, local_time, quiet_hours, expires_at } = new;
        Self { start_at, local_time, quiet_hours, expires_at }
    }
}

/// What is wrong with the terms, each with its place.
pub(crate) fn wrong(
    schedule: Option<&NewSchedule>,
    error_threshold: Option<u32>,
    budget: Option<&Money>,
    now: UnixMillis,
) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let mut wrong = |pointer: &str, reason: String| errors.push(FieldError { pointer: pointer.to_owned(), reason });
    if let Some(NewSchedule { start_at, expires_at: Some(end), .. }) = schedule {
        match start_at {
            Some(start) if end <= start => wrong("/schedule/expires_at", "must lie after start_at".to_owned()),
            _ if *end <= now => wrong("/schedule/expires_at", "must lie in the future".to_owned()),
            _ => {}
        }
    }
    if error_threshold == Some(0) {
        wrong("/error_threshold", "must be at least 1, or null for no limit".to_owned());
    }
    if let Some(Money { amount, currency }) = budget {
        if Micros::from_decimal(&amount.to_string()).is_none_or(|amount| amount == Micros::default()) {
            wrong("/budget/amount", "must be above 0, with at most six decimal places".to_owned());
        }
        if currency != CURRENCY {
            wrong("/budget/currency", format!("must be {CURRENCY}, the currency of the rate card"));
        }
    }
    errors
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: UnixMillis = UnixMillis(1_790_000_000_000);

    fn at(hours: i64) -> String {
        UnixMillis(NOW.0 + hours * 3_600_000).to_rfc3339()
    }

    fn places(schedule: serde_json::Value, threshold: Option<u32>, budget: serde_json::Value) -> Vec<String> {
        let schedule: Option<NewSchedule> = serde_json::from_value(schedule).unwrap();
        let budget: Option<Money> = serde_json::from_value(budget).unwrap();
        let errors = wrong(schedule.as_ref(), threshold, budget.as_ref(), NOW);
        errors.into_iter().map(|error| error.pointer).collect()
    }

    #[test]
    fn terms_that_can_be_kept_are_taken() {
        let schedule = json!({
            "start_at": at(1), "expires_at": at(2), "local_time": "09:30",
            "quiet_hours": {"from": "21:00", "to": "08:00"},
        });
        let none: [&str; 0] = [];
        assert_eq!(places(schedule, Some(1), json!({"amount": 12.5, "currency": "USD"})), none);
        assert_eq!(places(json!(null), None, json!(null)), none);
    }

    #[test]
    fn an_end_before_the_start_or_the_present_is_refused() {
        assert_eq!(
            places(json!({"start_at": at(2), "expires_at": at(2)}), None, json!(null)),
            ["/schedule/expires_at"]
        );
        assert_eq!(places(json!({"expires_at": at(0)}), None, json!(null)), ["/schedule/expires_at"]);
    }

    #[test]
    fn a_budget_in_another_currency_is_refused_by_name() {
        for (budget, place) in [
            (json!({"amount": 5, "currency": "MYR"}), "/budget/currency"),
            (json!({"amount": 0, "currency": "USD"}), "/budget/amount"),
            (json!({"amount": -5, "currency": "USD"}), "/budget/amount"),
            (json!({"amount": 0.0000001, "currency": "USD"}), "/budget/amount"),
        ] {
            assert_eq!(places(json!(null), None, budget), [place]);
        }
        assert_eq!(places(json!(null), Some(0), json!(null)), ["/error_threshold"]);
    }
}
