//! Settings from the environment. A reader collects every mistake, so that a start fails once, with one message that
//! lists them all, and never with a value of a secret in it.

use std::collections::BTreeMap;
use std::str::FromStr;

/// Reads named settings and remembers what was wrong with each.
#[derive(Debug)]
pub struct Settings {
    values: BTreeMap<String, String>,
    mistakes: Vec<Mistake>,
}

/// One setting that stops the start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// Name of the environment variable.
    pub name: &'static str,
    /// What is wrong, without the value.
    pub reason: String,
}

/// All settings that stop the start.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{}", self.listing())]
pub struct InvalidSettings {
    /// At least one.
    pub mistakes: Vec<Mistake>,
}

impl InvalidSettings {
    fn listing(&self) -> String {
        let mut text = String::from("the configuration has mistakes:");
        for Mistake { name, reason } in &self.mistakes {
            text.push_str(&format!("\n  {name}: {reason}"));
        }
        text
    }
}

impl Settings {
    /// The process's environment. Variables that are not UTF-8 are left out.
    #[must_use]
    pub fn from_env() -> Self {
        Self::from_values(std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?))))
    }

    /// Settings given as pairs; an empty value counts as absent.
    #[must_use]
    pub fn from_values(values: impl IntoIterator<Item = (String, String)>) -> Self {
        let values = values.into_iter().filter(|(_, value)| !value.trim().is_empty()).collect();
        Self { values, mistakes: Vec::new() }
    }

    /// A setting that may be absent.
    pub fn optional<T: FromStr>(&mut self, name: &'static str) -> Option<T>
    where
        T::Err: std::fmt::Display,
    {
        match self.values.get(name)?.trim().parse() {
            Ok(value) => Some(value),
            Err(error) => {
                self.mistakes.push(Mistake { name, reason: error.to_string() });
                None
            }
        }
    }

    /// A setting with a default.
    pub fn or<T: FromStr>(&mut self, name: &'static str, default: T) -> T
    where
        T::Err: std::fmt::Display,
    {
        self.optional(name).unwrap_or(default)
    }

    /// A setting that must be there. On a mistake it gives `None` and [`Settings::finish`] will fail.
    pub fn required<T: FromStr>(&mut self, name: &'static str) -> Option<T>
    where
        T::Err: std::fmt::Display,
    {
        if !self.values.contains_key(name) {
            self.mistakes.push(Mistake { name, reason: "is missing".to_owned() });
            return None;
        }
        self.optional(name)
    }

    /// Adds a mistake found by the caller, such as two settings that contradict each other.
    pub fn mistake(&mut self, name: &'static str, reason: impl Into<String>) {
        self.mistakes.push(Mistake { name, reason: reason.into() });
    }

    /// The configuration that `build` makes, if nothing was wrong. `build` gives `None` only after a mistake.
    ///
    /// # Errors
    /// With every mistake found so far.
    pub fn finish<T>(self, build: impl FnOnce() -> Option<T>) -> Result<T, InvalidSettings> {
        if self.mistakes.is_empty()
            && let Some(config) = build()
        {
            return Ok(config);
        }
        Err(InvalidSettings { mistakes: self.mistakes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(values: &[(&str, &str)]) -> Settings {
        Settings::from_values(values.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())))
    }

    #[test]
    fn every_mistake_is_listed_at_once() {
        let mut settings = settings(&[("PORT", "eighty"), ("EMPTY", " ")]);
        let port: Option<u16> = settings.required("PORT");
        let table: Option<String> = settings.required("CORE_TABLE");
        let empty: Option<String> = settings.required("EMPTY");
        let error = settings.finish(|| Some((port?, table?, empty?))).unwrap_err();
        assert_eq!(error.mistakes.iter().map(|m| m.name).collect::<Vec<_>>(), ["PORT", "CORE_TABLE", "EMPTY"]);
        assert!(!error.to_string().contains("eighty"), "a value may be a secret");
    }

    #[test]
    fn defaults_fill_what_is_absent() {
        let mut settings = settings(&[]);
        let port = settings.or("PORT", 8080_u16);
        assert_eq!(settings.finish(|| Some(port)), Ok(8080));
    }
}
