//! Identifiers in the forms in which Meta hands them out: `wa_id`, business-scoped user id, wamid.
//! All of them are functions of what they name, so that a restarted simulator gives the same ones again.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rand::SeedableRng;
use rand::rngs::StdRng;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Calling code, ISO country and language of the people there. Longer codes come first.
const COUNTRIES: [(&str, &str, Language); 40] = [
    ("971", "AE", Language::Arabic),
    ("966", "SA", Language::Arabic),
    ("975", "BT", Language::English),
    ("852", "HK", Language::English),
    ("886", "TW", Language::English),
    ("351", "PT", Language::Portuguese),
    ("234", "NG", Language::English),
    ("254", "KE", Language::English),
    ("353", "IE", Language::English),
    ("358", "FI", Language::English),
    ("593", "EC", Language::Spanish),
    ("20", "EG", Language::Arabic),
    ("27", "ZA", Language::English),
    ("31", "NL", Language::English),
    ("33", "FR", Language::French),
    ("34", "ES", Language::Spanish),
    ("39", "IT", Language::English),
    ("43", "AT", Language::German),
    ("44", "GB", Language::English),
    ("46", "SE", Language::English),
    ("48", "PL", Language::English),
    ("49", "DE", Language::German),
    ("51", "PE", Language::Spanish),
    ("52", "MX", Language::Spanish),
    ("54", "AR", Language::Spanish),
    ("55", "BR", Language::Portuguese),
    ("56", "CL", Language::Spanish),
    ("57", "CO", Language::Spanish),
    ("60", "MY", Language::Malay),
    ("61", "AU", Language::English),
    ("62", "ID", Language::Malay),
    ("63", "PH", Language::English),
    ("65", "SG", Language::English),
    ("81", "JP", Language::Japanese),
    ("82", "KR", Language::English),
    ("86", "CN", Language::English),
    ("90", "TR", Language::English),
    ("91", "IN", Language::English),
    ("7", "KZ", Language::English),
    ("1", "US", Language::English),
];

/// Language that a person answers in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Language {
    /// English.
    English,
    /// Spanish.
    Spanish,
    /// Portuguese.
    Portuguese,
    /// French.
    French,
    /// German.
    German,
    /// Malay and Indonesian.
    Malay,
    /// Arabic.
    Arabic,
    /// Japanese.
    Japanese,
}

/// How a send names its recipient.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Address {
    /// By phone; holds the `wa_id`, digits only.
    Phone(String),
    /// By business-scoped user id: statuses and replies then carry no phone.
    UserId(String),
}

impl Address {
    /// The digits or the user id.
    pub(crate) fn as_str(&self) -> &str {
        match self {
            Self::Phone(text) | Self::UserId(text) => text,
        }
    }

    /// ISO country of the person.
    pub(crate) fn country(&self) -> &str {
        match self {
            Self::Phone(digits) => country_of(digits).0,
            Self::UserId(id) => id.get(..2).unwrap_or("US"),
        }
    }
}

/// Digits of a phone written with `+`, spaces, dashes, dots or brackets; `None` if anything else is in it or the length
/// (E.164: at most 15 digits) is impossible.
pub(crate) fn phone_digits(written: &str) -> Option<String> {
    let allowed = |c: char| c.is_ascii_digit() || matches!(c, '+' | ' ' | '-' | '(' | ')' | '.' | '\u{a0}');
    let digits: String = written.chars().filter(char::is_ascii_digit).collect();
    (written.chars().all(allowed) && (7..=15).contains(&digits.len())).then_some(digits)
}

/// The id under which WhatsApp knows a phone. It differs from what was dialled in Brazil (no ninth digit), Mexico (`521`)
/// and Argentina (`549`).
pub(crate) fn wa_id(digits: &str) -> String {
    let rest = |from: usize| digits.get(from..).unwrap_or_default();
    match digits.len() {
        13 if digits.starts_with("55") && rest(4).starts_with('9') => {
            format!("{}{}", digits.get(..4).unwrap_or_default(), rest(5))
        }
        12 if digits.starts_with("52") => format!("521{}", rest(2)),
        12 if digits.starts_with("54") => format!("549{}", rest(2)),
        _ => digits.to_owned(),
    }
}

/// Country and language of a phone by its calling code; unknown codes count as the United States.
pub(crate) fn country_of(digits: &str) -> (&'static str, Language) {
    COUNTRIES
        .iter()
        .find(|(code, _, _)| digits.starts_with(code))
        .map_or(("US", Language::English), |(_, country, language)| (country, *language))
}

/// Whether a text has the form of a business-scoped user id (`US.1349…`, `US.ENT.1349…`).
pub(crate) fn is_user_id(text: &str) -> bool {
    let Some((country, rest)) = text.split_once('.') else { return false };
    let id = rest.strip_prefix("ENT.").unwrap_or(rest);
    country.len() == 2
        && country.bytes().all(|byte| byte.is_ascii_uppercase())
        && (1..=128).contains(&id.len())
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// The business-scoped user id of a person.
pub(crate) fn user_id(seed: u64, address: &Address) -> String {
    match address {
        Address::UserId(id) => id.clone(),
        Address::Phone(digits) => {
            let digest = digest(seed, &["user id", digits]);
            let number: String = digest.iter().take(20).map(|byte| char::from(b'0' + byte % 10)).collect();
            format!("{}.{number}", address.country())
        }
    }
}

/// Who wrote a message: decides the layout of its wamid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Author {
    /// The business, through the API.
    Business,
    /// A person on Android.
    Android,
    /// A person on an iPhone.
    Ios,
}

/// A message id in the layout observed in the field: `wamid.` and base64 of
/// `1C 18 len address 15 kind 00 author 18 len key 00`.
pub(crate) fn wamid(address: &Address, author: Author, digest: &[u8; 32]) -> String {
    let key = match author {
        Author::Business => hex::encode_upper(&digest[..9]),
        Author::Android => hex::encode_upper(&digest[..16]),
        Author::Ios => format!("3A{}", hex::encode_upper(&digest[..9])),
    };
    let address_kind = if matches!(address, Address::Phone(_)) { 0x02 } else { 0x14 };
    let author_kind = if author == Author::Business { 0x11 } else { 0x12 };
    let text = address.as_str();
    let mut bytes = vec![0x1C, 0x18, length_byte(text)];
    bytes.extend_from_slice(text.as_bytes());
    bytes.extend_from_slice(&[0x15, address_kind, 0x00, author_kind, 0x18, length_byte(&key)]);
    bytes.extend_from_slice(key.as_bytes());
    bytes.push(0x00);
    format!("wamid.{}", STANDARD.encode(bytes))
}

fn length_byte(text: &str) -> u8 {
    u8::try_from(text.len()).unwrap_or(u8::MAX)
}

/// A hash of the seed and some parts: the root of everything that looks random but must be repeatable.
pub(crate) fn digest(seed: u64, parts: &[&str]) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(seed.to_be_bytes());
    for part in parts {
        hash.update(part.len().to_be_bytes());
        hash.update(part.as_bytes());
    }
    hash.finalize().into()
}

/// A random stream that depends on nothing but the seed and the parts.
pub(crate) fn stream(seed: u64, parts: &[&str]) -> StdRng {
    StdRng::from_seed(digest(seed, parts))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phones_lose_their_punctuation_but_letters_are_refused() {
        assert_eq!(phone_digits("+1 (650) 555-1234").as_deref(), Some("16505551234"));
        assert_eq!(phone_digits("US.2018"), None);
        assert_eq!(phone_digits("12345"), None);
        assert_eq!(phone_digits("1234567890123456"), None);
    }

    #[test]
    fn three_countries_have_another_wa_id_than_the_dialled_number() {
        assert_eq!(wa_id("5511987654321"), "551187654321");
        assert_eq!(wa_id("525512345678"), "5215512345678");
        assert_eq!(wa_id("5215512345678"), "5215512345678");
        assert_eq!(wa_id("541123456789"), "5491123456789");
        assert_eq!(wa_id("16505551234"), "16505551234");
    }

    #[test]
    fn wamids_have_the_observed_layout() {
        let address = Address::Phone("16505551234".to_owned());
        let id = wamid(&address, Author::Business, &[0xAB; 32]);
        assert!(id.starts_with("wamid.HBgLMTY1MDU1NTEyMzQVAgARGB"), "{id}");
        let bytes = STANDARD.decode(id.trim_start_matches("wamid.")).expect("base64");
        assert_eq!(&bytes[bytes.len() - 19..bytes.len() - 1], b"ABABABABABABABABAB");
        assert!(wamid(&address, Author::Ios, &[0xAB; 32]).starts_with("wamid.HBgLMTY1MDU1NTEyMzQVAgASGB"));
        let by_id = Address::UserId("US.20184736591028374655".to_owned());
        assert!(
            wamid(&by_id, Author::Business, &[1; 32]).starts_with("wamid.HBgXVVMuMjAxODQ3MzY1OTEwMjgzNzQ2NTUVFAARGB")
        );
    }

    #[test]
    fn user_ids_follow_the_phone() {
        let address = Address::Phone("4915112345678".to_owned());
        let id = user_id(7, &address);
        assert!(is_user_id(&id) && id.starts_with("DE."), "{id}");
        assert_eq!(id, user_id(7, &address));
        assert_ne!(id, user_id(8, &address));
        assert!(!is_user_id("16505551234"));
    }
}
