//! The time zones of a phone number's region, from IANA's table. An area code could tell the zone more closely in a few
//! countries (such as the United States); that is left out, for people keep their number when they move.

use std::collections::HashMap;
use std::sync::{LazyLock, OnceLock};

use jiff::tz::TimeZone;

use crate::phone::PhoneNumber;
use crate::region::region_of;

/// Says where it comes from in its first lines.
const TABLE: &str = include_str!("../../data/region-zones.tsv");

/// A region's zones, read from the time zone database when they are first asked for: all of them together would delay
/// the start of a function for nothing.
struct Zones {
    names: &'static str,
    read: OnceLock<Box<[TimeZone]>>,
}

static BY_REGION: LazyLock<HashMap<&'static str, Zones>> = LazyLock::new(|| {
    TABLE
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once('\t'))
        .map(|(region, names)| (region, Zones { names, read: OnceLock::new() }))
        .collect()
});

/// The zones of the number's region, the one with the most inhabitants first; none for a number without a region, such
/// as +800.
#[must_use]
pub fn zones_of(phone: &PhoneNumber) -> &'static [TimeZone] {
    region_of(phone).map_or(&[], zones_of_region)
}

/// The zones of a region (ISO 3166 alpha-2), the one with the most inhabitants first; none for an unknown one.
#[must_use]
pub fn zones_of_region(region: &str) -> &'static [TimeZone] {
    BY_REGION.get(region).map_or(&[], |zones| {
        zones.read.get_or_init(|| zones.names.split(' ').filter_map(|name| TimeZone::get(name).ok()).collect())
    })
}

#[cfg(test)]
mod tests {
    use phonenumber::metadata::DATABASE;

    use super::*;

    fn names(phone: &str) -> Vec<&'static str> {
        zones_of(&phone.parse().unwrap()).iter().filter_map(TimeZone::iana_name).collect()
    }

    #[test]
    fn every_zone_of_the_table_is_in_the_time_zone_database() {
        for (region, zones) in BY_REGION.iter() {
            let read: Vec<_> = zones_of_region(region).iter().filter_map(TimeZone::iana_name).collect();
            assert_eq!(read.join(" "), zones.names, "{region}");
        }
    }

    #[test]
    fn every_region_with_a_numbering_plan_has_a_zone() {
        let without: Vec<&str> =
            DATABASE.iter().map(|plan| plan.id()).filter(|id| *id != "001" && zones_of_region(id).is_empty()).collect();
        assert!(without.is_empty(), "{without:?}");
    }

    #[test]
    fn a_region_with_one_zone_has_it_and_one_with_several_has_the_largest_first() {
        assert_eq!(names("+919876543210"), ["Asia/Kolkata"]);
        assert_eq!(names("+60123456789"), ["Asia/Kuala_Lumpur", "Asia/Kuching"]);
        for (phone, largest) in [
            ("+12125550123", "America/New_York"),
            ("+14165550123", "America/Toronto"),
            ("+79161234567", "Europe/Moscow"),
            ("+77011234567", "Asia/Almaty"),
            ("+5511987654321", "America/Sao_Paulo"),
            ("+61412345678", "Australia/Sydney"),
            ("+628123456789", "Asia/Jakarta"),
        ] {
            let names = names(phone);
            assert!(names.len() > 1 && names[0] == largest, "{phone}: {names:?}");
        }
    }

    #[test]
    fn a_number_without_a_region_has_no_zone() {
        let phone: PhoneNumber = serde_json::from_value("+80012345678".into()).unwrap();
        assert!(zones_of(&phone).is_empty());
        assert!(zones_of_region("ZZ").is_empty());
    }
}
