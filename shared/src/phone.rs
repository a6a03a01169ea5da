//! Phone numbers: what an operator types, in E.164, and the forms under which WhatsApp may know the same person.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A phone number in E.164 (`+60123456789`), checked against the numbering plan of its country.
///
/// Its `Debug` shows only the last two digits: a number never reaches a log.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PhoneNumber(String);

/// Why a text is not a phone number; the text itself is not repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPhoneNumber {
    /// Nothing but white space.
    #[error("the phone number is empty")]
    Empty,
    /// No `+` and no country code can be told.
    #[error("the phone number has no country code: write it as +<country code><number>")]
    NoCountryCode,
    /// A spreadsheet has turned the number into `6.01E+10`.
    #[error("a spreadsheet has rounded the phone number (scientific notation): format the column as text")]
    Rounded,
    /// The country's numbering plan has no such number.
    #[error("no such number in the numbering plan of its country")]
    NotInPlan,
}

impl PhoneNumber {
    /// `+60123456789`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The digits without the plus sign, as Meta writes a `wa_id`.
    #[must_use]
    pub fn digits(&self) -> &str {
        &self.0[1..]
    }

    /// The country calling code's region as ISO 3166 alpha-2, if the plan tells one.
    #[must_use]
    pub fn region(&self) -> Option<String> {
        let parsed = phonenumber::parse(None, &self.0).ok()?;
        parsed.country().id().map(|id| id.as_ref().to_owned())
    }
}

impl FromStr for PhoneNumber {
    type Err = InvalidPhoneNumber;

    /// Takes `+`, `00`, spaces, dashes, dots and parentheses, and what spreadsheets put around a number.
    fn from_str(text: &str) -> Result<Self, InvalidPhoneNumber> {
        Self::read(text, None).map(|parsed| Self::of(&parsed))
    }
}

/// A country or territory with a numbering plan, ISO 3166 alpha-2, whose national numbers can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region(phonenumber::country::Id);

/// A text that names no region.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a country as ISO 3166 alpha-2, such as MY")]
pub struct UnknownRegion;

impl FromStr for Region {
    type Err = UnknownRegion;

    fn from_str(text: &str) -> Result<Self, UnknownRegion> {
        text.parse().map(Self).map_err(|_| UnknownRegion)
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_ref())
    }
}

impl Serialize for Region {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Region {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl PhoneNumber {
    /// Stands in stored rows where a number was erased. It is nobody's: no country code begins with 0.
    pub const ERASED: &str = "+0";

    /// Whether the number was erased.
    #[must_use]
    pub fn is_erased(&self) -> bool {
        self.0 == Self::ERASED
    }

    /// Reads a number together with its region, which costs no second look at the plan.
    ///
    /// # Errors
    /// As [`PhoneNumber::from_str`].
    pub fn with_region(text: &str) -> Result<(Self, Option<String>), InvalidPhoneNumber> {
        let parsed = Self::read(text, None)?;
        Ok((Self::of(&parsed), parsed.country().id().map(|id| id.as_ref().to_owned())))
    }

    /// Reads a number that may be written without its country code, as people write it in `region`.
    ///
    /// # Errors
    /// As [`PhoneNumber::from_str`].
    pub fn in_region(text: &str, region: Option<Region>) -> Result<Self, InvalidPhoneNumber> {
        Self::read(text, region).map(|parsed| Self::of(&parsed))
    }

    fn of(parsed: &phonenumber::PhoneNumber) -> Self {
        Self(parsed.format().mode(phonenumber::Mode::E164).to_string())
    }

    fn read(text: &str, region: Option<Region>) -> Result<phonenumber::PhoneNumber, InvalidPhoneNumber> {
        let text = plain(text);
        let text = text.as_str();
        if text.is_empty() {
            return Err(InvalidPhoneNumber::Empty);
        }
        if text.contains(['E', 'e']) && text.contains('+') && text.chars().next().is_some_and(|c| c.is_ascii_digit()) {
            return Err(InvalidPhoneNumber::Rounded);
        }
        let valid = |region: Option<phonenumber::country::Id>, text: &str| {
            phonenumber::parse(region, text).ok().filter(phonenumber::PhoneNumber::is_valid)
        };
        let international = match (text.strip_prefix('+'), text.strip_prefix("00")) {
            (Some(_), _) => text.to_owned(),
            (None, Some(rest)) => format!("+{rest}"),
            (None, None) => {
                // Where a region is given, what reads as a number of it is one.
                if let Some(national) = region.and_then(|Region(id)| valid(Some(id), text)) {
                    return Ok(national);
                }
                // A number without a plus is else read as international: that is how Meta and most exports write it.
                if text.starts_with('0') {
                    let in_plan = region.is_some();
                    return Err(if in_plan {
                        InvalidPhoneNumber::NotInPlan
                    } else {
                        InvalidPhoneNumber::NoCountryCode
                    });
                }
                format!("+{text}")
            }
        };
        valid(None, &international).ok_or(InvalidPhoneNumber::NotInPlan)
    }
}

/// The number without what cannot be seen and what spreadsheets add: the quote before a plus sign, `="…"` around a text
/// that looks like a number, `.0` behind one that was read as a fraction.
fn plain(text: &str) -> String {
    let invisible =
        |c: char| matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}');
    let text: String = text.chars().filter(|c| !invisible(*c)).collect();
    let text = text.trim().trim_start_matches(['=', '"', '\'']).trim_end_matches(['"', '\'']).trim();
    match text.strip_suffix(".0") {
        Some(whole) if whole.bytes().all(|byte| byte.is_ascii_digit()) => whole.to_owned(),
        _ => text.to_owned(),
    }
}

impl fmt::Display for PhoneNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for PhoneNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PhoneNumber(…{})", &self.0[self.0.len().saturating_sub(2)..])
    }
}

impl Serialize for PhoneNumber {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for PhoneNumber {
    /// A stored number was checked when it came in; it is not checked again, for numbering plans change.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.starts_with('+') && text.len() > 1 && text[1..].bytes().all(|b| b.is_ascii_digit()) {
            Ok(Self(text))
        } else {
            Err(serde::de::Error::custom("expected a phone number in E.164"))
        }
    }
}

/// The digits under which the same WhatsApp user may be dialled or reported, `wa_id` itself first.
///
/// WhatsApp drops or adds a digit in three countries, so the `wa_id` of a reply may differ from the number that was
/// dialled: Brazil's ninth digit, Mexico's 1 after 52, Argentina's 9 after 54.
#[must_use]
pub fn wa_id_variants(wa_id: &str) -> Vec<String> {
    let mut variants = vec![wa_id.to_owned()];
    if !wa_id.is_ascii() {
        return variants;
    }
    let length = wa_id.len();
    let other = match wa_id {
        _ if wa_id.starts_with("55") && length == 13 && wa_id.as_bytes()[4] == b'9' => {
            Some(format!("{}{}", &wa_id[..4], &wa_id[5..]))
        }
        _ if wa_id.starts_with("55") && length == 12 => Some(format!("{}9{}", &wa_id[..4], &wa_id[4..])),
        _ if wa_id.starts_with("521") && length == 13 => Some(format!("52{}", &wa_id[3..])),
        _ if wa_id.starts_with("52") && length == 12 => Some(format!("521{}", &wa_id[2..])),
        _ if wa_id.starts_with("549") && length == 13 => Some(format!("54{}", &wa_id[3..])),
        _ if wa_id.starts_with("54") && length == 12 => Some(format!("549{}", &wa_id[2..])),
        _ => None,
    };
    variants.extend(other);
    variants
}

/// One form of the digits for all of [`wa_id_variants`], so that a person has one key whichever of them is dialled or
/// reported.
#[must_use]
pub fn canonical_digits(wa_id: &str) -> String {
    wa_id_variants(wa_id).into_iter().min().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_accepted_as_people_write_it() {
        for text in [
            "+60 12-345 6789",
            "60123456789",
            "0060123456789",
            "'+60123456789",
            " +60 (12) 345.6789 ",
            "=\"+60123456789\"",
            "60123456789.0",
            "\u{202a}+60123456789\u{202c}",
        ] {
            assert_eq!(text.parse::<PhoneNumber>().unwrap().as_str(), "+60123456789", "{text}");
        }
    }

    #[test]
    fn what_is_not_a_number_says_why() {
        assert_eq!("".parse::<PhoneNumber>(), Err(InvalidPhoneNumber::Empty));
        assert_eq!("0123456789".parse::<PhoneNumber>(), Err(InvalidPhoneNumber::NoCountryCode));
        assert_eq!("4.47E+11".parse::<PhoneNumber>(), Err(InvalidPhoneNumber::Rounded));
        assert_eq!("+6012".parse::<PhoneNumber>(), Err(InvalidPhoneNumber::NotInPlan));
        assert_eq!("US.13491208655302741918".parse::<PhoneNumber>(), Err(InvalidPhoneNumber::NotInPlan));
        assert_eq!("hello".parse::<PhoneNumber>(), Err(InvalidPhoneNumber::NotInPlan));
    }

    #[test]
    fn a_national_number_is_read_where_its_country_is_given() {
        let malaysia: Region = "MY".parse().unwrap();
        for text in ["012-345 6789", "0123456789", "123456789", "+60123456789", "60123456789", "0060123456789"] {
            let phone = PhoneNumber::in_region(text, Some(malaysia));
            assert_eq!(phone.unwrap().as_str(), "+60123456789", "{text}");
        }
        assert_eq!(PhoneNumber::in_region("+6581234567", Some(malaysia)).unwrap().as_str(), "+6581234567");
        assert_eq!(PhoneNumber::in_region("0123", Some(malaysia)), Err(InvalidPhoneNumber::NotInPlan));
        assert_eq!(PhoneNumber::in_region("6.01E+10", Some(malaysia)), Err(InvalidPhoneNumber::Rounded));
        assert_eq!("Malaysia".parse::<Region>(), Err(UnknownRegion));
    }

    #[test]
    fn a_log_never_shows_the_number() {
        let phone: PhoneNumber = "+60123456789".parse().unwrap();
        assert_eq!(format!("{phone:?}"), "PhoneNumber(…89)");
    }

    #[test]
    fn the_three_rewriting_countries_have_two_forms() {
        assert_eq!(wa_id_variants("5511987654321"), ["5511987654321", "551187654321"]);
        assert_eq!(wa_id_variants("551187654321"), ["551187654321", "5511987654321"]);
        assert_eq!(wa_id_variants("5215512345678"), ["5215512345678", "525512345678"]);
        assert_eq!(wa_id_variants("5491123456789"), ["5491123456789", "541123456789"]);
        assert_eq!(wa_id_variants("60123456789"), ["60123456789"]);
    }

    #[test]
    fn all_forms_of_a_number_have_one_key() {
        for digits in ["5511987654321", "5215512345678", "5491123456789", "549112345678", "60123456789", "x"] {
            for variant in wa_id_variants(digits) {
                assert_eq!(canonical_digits(&variant), canonical_digits(digits), "{variant}");
            }
        }
    }

    #[test]
    fn the_region_comes_from_the_plan() {
        assert_eq!("+60123456789".parse::<PhoneNumber>().unwrap().region().as_deref(), Some("MY"));
    }
}
