//! The identifiers under which a person is known. Each is checked and brought into one form before it becomes a key, so
//! that a person has one row however an identifier is written. What they name is never shown by `Debug`.

use std::fmt;
use std::str::FromStr;

use email_address::{EmailAddress, Options};

use crate::phone::{PhoneNumber, canonical_digits, wa_id_variants};

/// Longest user id of Meta's: a country, a dot (in a parent's form `.ENT.`) and at most 128 letters and digits.
const MAX_BSUID_CHARS: usize = 2 + 1 + 4 + 128;

/// Longest anonymous id that is taken.
const MAX_ANON_CHARS: usize = 128;

/// E.164: a number has at most 15 digits; fewer than 5 are none.
const PHONE_DIGITS: std::ops::RangeInclusive<usize> = 5..=15;

/// What an identifier is, the one that says most first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A phone number or `wa_id`, in any of its forms.
    Phone,
    /// Meta's business-scoped user id: the same for one person and one business portfolio, and there is one also when the
    /// number may not be known.
    Bsuid,
    /// An e-mail address.
    Email,
    /// What a web page calls a browser: several people may share one.
    Anon,
}

/// How much an identifier says about who somebody is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rank {
    /// A device, which people share.
    Device,
    /// A mailbox, which some people share.
    Mailbox,
    /// A WhatsApp user.
    User,
}

impl Kind {
    /// As it is written in keys and shown by the API in lower case.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Phone => "PHONE",
            Self::Bsuid => "BSUID",
            Self::Email => "EMAIL",
            Self::Anon => "ANON",
        }
    }

    /// How much it says.
    #[must_use]
    pub const fn rank(self) -> Rank {
        match self {
            Self::Phone | Self::Bsuid => Rank::User,
            Self::Email => Rank::Mailbox,
            Self::Anon => Rank::Device,
        }
    }
}

impl FromStr for Kind {
    type Err = InvalidAlias;

    fn from_str(name: &str) -> Result<Self, InvalidAlias> {
        [Self::Phone, Self::Bsuid, Self::Email, Self::Anon]
            .into_iter()
            .find(|kind| kind.name() == name)
            .ok_or(InvalidAlias::Malformed)
    }
}

/// Why a text is no identifier; the text itself is not repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAlias {
    /// Of a number.
    #[error("expected 5 to 15 digits with the country code, as in a wa_id")]
    Phone,
    /// Of Meta's user id.
    #[error("expected a business-scoped user id: a country, a dot, and at most 128 letters and digits")]
    Bsuid,
    /// Of an address.
    #[error("no e-mail address")]
    Email,
    /// Of an anonymous id.
    #[error("an anonymous id has 1 to {MAX_ANON_CHARS} characters: letters, digits and -._:")]
    Anon,
    /// Of an identifier as it is stored.
    #[error("no identifier of a kind that this version knows")]
    Malformed,
}

/// An identifier of a person, checked and in its one form.
#[derive(Clone)]
pub struct Alias {
    kind: Kind,
    value: String,
    /// A number's digits as they were given.
    given: Option<String>,
}

impl PartialEq for Alias {
    /// However it was written.
    fn eq(&self, other: &Self) -> bool {
        (self.kind, &self.value) == (other.kind, &other.value)
    }
}

impl Eq for Alias {}

impl Alias {
    /// A `wa_id`, or the digits of a number.
    ///
    /// # Errors
    /// [`InvalidAlias`]
    pub fn phone(digits: &str) -> Result<Self, InvalidAlias> {
        if !digits.bytes().all(|byte| byte.is_ascii_digit()) || !PHONE_DIGITS.contains(&digits.len()) {
            return Err(InvalidAlias::Phone);
        }
        Ok(Self { kind: Kind::Phone, value: canonical_digits(digits), given: Some(digits.to_owned()) })
    }

    /// Meta's user id.
    ///
    /// # Errors
    /// [`InvalidAlias`]
    pub fn bsuid(id: &str) -> Result<Self, InvalidAlias> {
        let country = id.split_once('.').filter(|(country, rest)| {
            country.len() == 2 && country.bytes().all(|byte| byte.is_ascii_uppercase()) && !rest.is_empty()
        });
        let allowed = id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'.');
        if country.is_none() || !allowed || id.len() > MAX_BSUID_CHARS {
            return Err(InvalidAlias::Bsuid);
        }
        Ok(Self { kind: Kind::Bsuid, value: id.to_owned(), given: None })
    }

    /// An e-mail address, in any case: providers that tell addresses apart by case are not known, people who write theirs
    /// now this way and now that way are.
    ///
    /// # Errors
    /// [`InvalidAlias`]
    pub fn email(address: &str) -> Result<Self, InvalidAlias> {
        let address = address.trim();
        let options = Options::default().without_display_text().without_domain_literal().with_required_tld();
        EmailAddress::parse_with_options(address, options).map_err(|_| InvalidAlias::Email)?;
        Ok(Self { kind: Kind::Email, value: address.to_lowercase(), given: None })
    }

    /// The id that a web page gives a browser.
    ///
    /// # Errors
    /// [`InvalidAlias`]
    pub fn anon(id: &str) -> Result<Self, InvalidAlias> {
        let allowed = id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._:".contains(&byte));
        if !allowed || !(1..=MAX_ANON_CHARS).contains(&id.len()) {
            return Err(InvalidAlias::Anon);
        }
        Ok(Self { kind: Kind::Anon, value: id.to_owned(), given: None })
    }

    /// What it is.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// Its one form: a number's canonical digits, an address in lower case.
    #[must_use]
    pub fn value(&self) -> &str {
        &self.value
    }

    /// The number to write to, if it is one that can be dialled. Meta writes some numbers in a form that is out of date in
    /// their country: then it is the other form.
    #[must_use]
    pub fn number(&self) -> Option<PhoneNumber> {
        let given = self.given.as_ref()?;
        wa_id_variants(given).iter().find_map(|digits| format!("+{digits}").parse().ok())
    }

    /// As stored beside other identifiers: kind and value.
    #[must_use]
    pub fn tag(&self) -> String {
        format!("{}#{}", self.kind.name(), self.value)
    }

    /// Reads [`Alias::tag`] back.
    ///
    /// # Errors
    /// [`InvalidAlias`]
    pub fn of_tag(tag: &str) -> Result<Self, InvalidAlias> {
        let (kind, value) = tag.split_once('#').ok_or(InvalidAlias::Malformed)?;
        match kind.parse()? {
            Kind::Phone => Self::phone(value),
            Kind::Bsuid => Self::bsuid(value),
            Kind::Email => Self::email(value),
            Kind::Anon => Self::anon(value),
        }
    }
}

impl From<&PhoneNumber> for Alias {
    fn from(number: &PhoneNumber) -> Self {
        Self { kind: Kind::Phone, value: canonical_digits(number.digits()), given: Some(number.digits().to_owned()) }
    }
}

impl fmt::Debug for Alias {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Alias({})", self.kind.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_forms_of_an_identifier_are_one() {
        for (one, other) in [("5511987654321", "551187654321"), ("5215512345678", "525512345678")] {
            assert_eq!(Alias::phone(one).unwrap().value(), Alias::phone(other).unwrap().value());
        }
        let number: PhoneNumber = "+54 9 11 2345-6789".parse().unwrap();
        assert_eq!(Alias::from(&number).value(), Alias::phone("541123456789").unwrap().value());
        assert_eq!(Alias::email(" Aisha@Example.com "), Alias::email("aisha@example.com"));
    }

    #[test]
    fn what_is_none_is_refused() {
        for text in ["", "60 12", "US.13491208655302741918", "+60123456789", "1234567890123456"] {
            assert_eq!(Alias::phone(text), Err(InvalidAlias::Phone), "{text}");
        }
        for text in ["", "13491208655302741918", "US.", "us.123", "US.1#2", "USA.1", "US. 1"] {
            assert_eq!(Alias::bsuid(text), Err(InvalidAlias::Bsuid), "{text}");
        }
        for text in ["", "a", "a@b", "a@b c.com", "Aisha <a@example.com>", "a@[127.0.0.1]", "a@@example.com"] {
            assert_eq!(Alias::email(text), Err(InvalidAlias::Email), "{text}");
        }
        for text in ["", "a b", "a#b", &"x".repeat(129)] {
            assert_eq!(Alias::anon(text), Err(InvalidAlias::Anon), "{text}");
        }
        assert!(Alias::bsuid("US.13491208655302741918").is_ok() && Alias::bsuid("US.ENT.a1B2").is_ok());
    }

    #[test]
    fn a_tag_is_read_back_and_nothing_personal_is_shown() {
        for alias in [
            Alias::phone("60123456789").unwrap(),
            Alias::bsuid("MY.123").unwrap(),
            Alias::email("a@example.com").unwrap(),
            Alias::anon("0193-a:b.c").unwrap(),
        ] {
            assert_eq!(Alias::of_tag(&alias.tag()).unwrap(), alias);
            assert!(!format!("{alias:?}").contains(alias.value()));
        }
        assert_eq!(Alias::of_tag("FAX#1"), Err(InvalidAlias::Malformed));
    }

    #[test]
    fn a_wa_id_can_be_dialled_in_the_form_that_its_country_uses() {
        let dialled = |wa_id: &str| Alias::phone(wa_id).unwrap().number().map(|number| number.to_string());
        assert_eq!(dialled("60123456789").as_deref(), Some("+60123456789"));
        assert!(dialled("5215512345678").is_some());
    }
}
