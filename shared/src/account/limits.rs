//! How much an account may send in which span of time, beyond its messages a second. What is left of each window is
//! counted elsewhere; here is only what was allowed.

use serde::{Deserialize, Serialize};

/// The ceilings of an account; one that is absent does not hold. Every one that holds must allow a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Messages in 60 s.
    pub per_minute: Option<u32>,
    /// Messages in 60 min.
    pub per_hour: Option<u32>,
    /// Messages in a day of the account's time zone.
    pub per_day: Option<u32>,
    /// Different people written to in rolling 24 h. Meta counts the same, per business portfolio, in steps from 250
    /// (Meta, messaging limits), so an account that shares its portfolio should stay below its part.
    pub unique_recipients_per_24h: Option<u32>,
    /// Seconds without sending after an error of Meta's.
    pub cooldown_after_error_s: Option<u32>,
}

impl Limits {
    /// What is wrong with these limits: a JSON pointer relative to them, and why.
    #[must_use]
    pub fn check(&self) -> Vec<(&'static str, String)> {
        [
            ("/per_minute", self.per_minute),
            ("/per_hour", self.per_hour),
            ("/per_day", self.per_day),
            ("/unique_recipients_per_24h", self.unique_recipients_per_24h),
            ("/cooldown_after_error_s", self.cooldown_after_error_s),
        ]
        .into_iter()
        .filter(|(_, limit)| *limit == Some(0))
        .map(|(pointer, _)| (pointer, "must be at least 1, or null for no limit".to_owned()))
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_absent_or_null_does_not_hold() {
        let limits: Limits = serde_json::from_str(r#"{"per_day":1000,"per_hour":null}"#).unwrap();
        assert_eq!(limits, Limits { per_day: Some(1_000), ..Limits::default() });
        assert!(limits.check().is_empty());
    }

    #[test]
    fn a_limit_of_zero_is_named() {
        let limits = Limits { per_minute: Some(0), cooldown_after_error_s: Some(0), ..Limits::default() };
        let pointers: Vec<&str> = limits.check().into_iter().map(|(pointer, _)| pointer).collect();
        assert_eq!(pointers, ["/per_minute", "/cooldown_after_error_s"]);
    }

    #[test]
    fn an_unknown_limit_is_an_error_that_names_it() {
        let error = serde_json::from_str::<Limits>(r#"{"per_week":5}"#).unwrap_err();
        assert!(error.to_string().contains("per_week"), "{error}");
    }

    #[test]
    fn the_stored_shape_is_pinned() {
        let limits = Limits { per_minute: Some(60), unique_recipients_per_24h: Some(250), ..Limits::default() };
        assert_eq!(
            serde_json::to_string(&limits).unwrap(),
            r#"{"per_minute":60,"per_hour":null,"per_day":null,"unique_recipients_per_24h":250,"cooldown_after_error_s":null}"#
        );
    }
}
