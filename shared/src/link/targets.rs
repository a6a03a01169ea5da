//! Where a link leads on which system: an app store on a phone, a page on a computer.

use serde::{Deserialize, Serialize};

/// The system that a visitor's device runs, as far as destinations differ by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Platform {
    /// iPhones and iPads.
    Ios,
    /// Android phones and tablets.
    Android,
    /// Windows, macOS, Linux, Chrome OS.
    Desktop,
    /// None of these, or none that is known.
    Other,
}

/// Destinations in place of the link's own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Targets {
    /// On iPhones and iPads.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ios: Option<String>,
    /// On Android.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub android: Option<String>,
    /// On computers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub desktop: Option<String>,
}

impl Targets {
    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.ios.is_none() && self.android.is_none() && self.desktop.is_none()
    }

    /// All of them with their names.
    pub fn all(&self) -> impl Iterator<Item = (&'static str, &str)> {
        [("ios", &self.ios), ("android", &self.android), ("desktop", &self.desktop)]
            .into_iter()
            .filter_map(|(name, url)| Some((name, url.as_deref()?)))
    }

    /// The one for this system.
    #[must_use]
    pub fn of(&self, platform: Platform) -> Option<&str> {
        match platform {
            Platform::Ios => self.ios.as_deref(),
            Platform::Android => self.android.as_deref(),
            Platform::Desktop => self.desktop.as_deref(),
            Platform::Other => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_system_without_a_target_has_the_links_own() {
        let targets: Targets = serde_json::from_str(r#"{"ios":"https://apps.example/"}"#).unwrap();
        assert_eq!(targets.of(Platform::Ios), Some("https://apps.example/"));
        assert_eq!(targets.of(Platform::Android).or(targets.of(Platform::Other)), None);
        assert!(!targets.is_empty() && Targets::default().is_empty());
    }
}
