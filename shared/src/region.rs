//! The region that a phone number belongs to, as an ISO 3166 alpha-2 code: told from the numbering plans, cheaply
//! enough to be asked for each of a million recipients. Where a person is now, nobody can tell from a number.

use std::sync::LazyLock;

use phonenumber::metadata::DATABASE;

use crate::phone::PhoneNumber;

/// Country calling codes have at most three digits (ITU-T E.164).
const CALLING_CODES: usize = 1_000;

/// Who shares a country calling code.
#[derive(Clone, Copy)]
enum Sharing {
    /// No region has it.
    Nobody,
    /// One region alone: the number needs no closer look.
    One(&'static str),
    /// Several regions, such as those of +1 and +7; the one that gives the plan its rules.
    Several(&'static str),
}

static SHARING: LazyLock<Box<[Sharing]>> = LazyLock::new(|| {
    let mut sharing = vec![Sharing::Nobody; CALLING_CODES];
    for (code, place) in (0_u16..).zip(&mut sharing) {
        *place = match DATABASE.region(&code).as_deref() {
            None | Some([]) => Sharing::Nobody,
            Some([only]) => Sharing::One(only),
            Some([main, ..]) => Sharing::Several(main),
        };
    }
    sharing.into_boxed_slice()
});

/// The region of the number. Regions that share a country calling code are told apart as far as the numbering plan
/// does: +1 into the United States, Canada and each Caribbean state, +7 into Russia and Kazakhstan, +44 into the United
/// Kingdom and the islands. A number that its plan does not know (it may have changed since the number was stored)
/// counts as the plan's main region. `None` for codes without a place, such as +800.
#[must_use]
pub fn region_of(phone: &PhoneNumber) -> Option<&'static str> {
    match calling_code(phone.digits())? {
        Sharing::Nobody => None,
        Sharing::One("001") => None,
        Sharing::One(region) => Some(region),
        Sharing::Several(main) => {
            let told = phone.region();
            let known = told.as_deref().and_then(|id| DATABASE.by_id(id)).map(phonenumber::Metadata::id);
            Some(known.unwrap_or(main))
        }
    }
}

/// No calling code begins another one (ITU-T E.164), so the first that is known is the number's.
fn calling_code(digits: &str) -> Option<Sharing> {
    (1..=3).find_map(|length| {
        let code: usize = digits.get(..length)?.parse().ok()?;
        SHARING.get(code).copied().filter(|sharing| !matches!(sharing, Sharing::Nobody))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn region(phone: &str) -> Option<&'static str> {
        region_of(&phone.parse().unwrap())
    }

    #[test]
    fn regions_that_share_a_code_are_told_apart() {
        for (phone, expected) in [
            ("+12125550123", "US"),
            ("+14165550123", "CA"),
            ("+18762101234", "JM"),
            ("+18092345678", "DO"),
            ("+12423591234", "BS"),
            ("+79161234567", "RU"),
            ("+77011234567", "KZ"),
            ("+447400123456", "GB"),
            ("+60123456789", "MY"),
            ("+919876543210", "IN"),
        ] {
            assert_eq!(region(phone), Some(expected), "{phone}");
        }
    }

    #[test]
    fn a_number_that_its_plan_does_not_know_counts_as_the_plans_main_region() {
        for (stored, expected) in [
            ("+10005550123", "US"),
            ("+70001234567", "RU"),
            ("+440000000000", "GB"),
            ("+390000000000", "IT"),
            ("+610000000000", "AU"),
            ("+470000000000", "NO"),
            ("+3580000000000", "FI"),
        ] {
            let stored: PhoneNumber = serde_json::from_value(stored.into()).unwrap();
            assert_eq!(region_of(&stored), Some(expected), "{}", stored.as_str());
        }
    }

    #[test]
    fn a_code_without_a_place_has_no_region() {
        for stored in ["+80012345678", "+999123456789"] {
            let stored: PhoneNumber = serde_json::from_value(stored.into()).unwrap();
            assert_eq!(region_of(&stored), None, "{}", stored.as_str());
        }
    }
}
