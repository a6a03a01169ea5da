//! Business phone numbers: which ids exist and what Meta says about them.

use sha2::{Digest, Sha256};

/// Which phone number ids the simulated Graph API knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NumberPolicy {
    /// Every id made of digits exists; its profile is derived from the id.
    Any,
    /// Only these exist.
    Listed(Vec<NumberProfile>),
}

/// A business phone number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NumberProfile {
    /// Graph node id of the number.
    pub phone_number_id: String,
    /// Account that owns it.
    pub waba_id: String,
    /// The number itself, digits only.
    pub display_phone_number: String,
    /// Name shown to recipients.
    pub verified_name: String,
    /// Messages accepted per second; `None` takes the simulator's default.
    pub messages_per_second: Option<u32>,
}

impl NumberPolicy {
    /// The number behind a node id, if there is one.
    pub(crate) fn find(&self, phone_number_id: &str, default_waba: &str) -> Option<NumberProfile> {
        match self {
            Self::Listed(profiles) => profiles.iter().find(|p| p.phone_number_id == phone_number_id).cloned(),
            Self::Any => {
                let is_node = !phone_number_id.is_empty()
                    && phone_number_id.bytes().all(|byte| byte.is_ascii_digit())
                    && phone_number_id != default_waba;
                is_node.then(|| NumberProfile::derived(phone_number_id, default_waba))
            }
        }
    }
}

impl NumberProfile {
    /// The profile that [`NumberPolicy::Any`] invents for an id: always the same for the same id.
    #[must_use]
    pub fn derived(phone_number_id: &str, waba_id: &str) -> Self {
        let digest = Sha256::digest(phone_number_id.as_bytes());
        let subscriber = digest.iter().take(4).fold(0_u64, |sum, byte| sum * 256 + u64::from(*byte)) % 10_000_000;
        Self {
            phone_number_id: phone_number_id.to_owned(),
            waba_id: waba_id.to_owned(),
            display_phone_number: format!("1555{subscriber:07}"),
            verified_name: "Simulated Business".to_owned(),
            messages_per_second: None,
        }
    }

    /// The number as Graph nodes show it (`+1 555-078-3881`); webhooks use the digits.
    pub(crate) fn pretty_number(&self) -> String {
        let digits = &self.display_phone_number;
        match (digits.get(..1), digits.get(1..4), digits.get(4..7), digits.get(7..11)) {
            (Some("1"), Some(area), Some(exchange), Some(line)) if digits.len() == 11 => {
                format!("+1 {area}-{exchange}-{line}")
            }
            _ => format!("+{digits}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_accepts_digits_only_and_is_stable() {
        let found = NumberPolicy::Any.find("107853902081447", "1").expect("digits");
        assert_eq!(Some(found.clone()), NumberPolicy::Any.find("107853902081447", "1"));
        assert_eq!(found.display_phone_number.len(), 11);
        assert_eq!(NumberPolicy::Any.find("me", "1"), None);
        assert_eq!(NumberPolicy::Any.find("1", "1"), None);
    }

    #[test]
    fn listed_numbers_are_the_only_ones() {
        let profile = NumberProfile::derived("42", "7");
        let policy = NumberPolicy::Listed(vec![profile.clone()]);
        assert_eq!(policy.find("42", "7"), Some(profile));
        assert_eq!(policy.find("43", "7"), None);
    }

    #[test]
    fn north_american_numbers_are_grouped() {
        let mut profile = NumberProfile::derived("42", "7");
        profile.display_phone_number = "15550783881".to_owned();
        assert_eq!(profile.pretty_number(), "+1 555-078-3881");
    }
}
