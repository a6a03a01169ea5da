//! The records of databases: what we read of them, and no more.

use serde::Deserialize;

/// A place, whatever it was written down in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct City<'a> {
    pub(super) country: Option<&'a str>,
    pub(super) region: Option<&'a str>,
    pub(super) city: Option<&'a str>,
    pub(super) accuracy_km: Option<u16>,
}

/// An autonomous system, as all databases write it down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub(super) struct Network<'a> {
    #[serde(rename = "autonomous_system_number")]
    pub(super) asn: Option<u32>,
    #[serde(rename = "autonomous_system_organization", borrow)]
    pub(super) organisation: Option<&'a str>,
}

/// GeoIP2's: <https://dev.maxmind.com/geoip/docs/databases/city-and-country/>.
#[derive(Deserialize)]
pub(super) struct NestedCity<'a> {
    #[serde(borrow)]
    country: Option<Coded<'a>>,
    /// The largest first.
    #[serde(borrow, default)]
    subdivisions: Vec<Coded<'a>>,
    #[serde(borrow)]
    city: Option<Named<'a>>,
    location: Option<Location>,
}

#[derive(Deserialize)]
struct Coded<'a> {
    #[serde(borrow)]
    iso_code: Option<&'a str>,
}

#[derive(Deserialize)]
struct Named<'a> {
    #[serde(borrow)]
    names: Option<Names<'a>>,
}

#[derive(Deserialize)]
struct Names<'a> {
    #[serde(borrow)]
    en: Option<&'a str>,
}

#[derive(Deserialize)]
struct Location {
    accuracy_radius: Option<u16>,
}

/// ip-location-db's: all strings, empty when unknown. <https://github.com/sapics/ip-location-db>
#[derive(Deserialize)]
pub(super) struct FlatCity<'a> {
    #[serde(borrow)]
    country_code: Option<&'a str>,
    /// A name with some sources and a code with others.
    #[serde(borrow)]
    state1: Option<&'a str>,
    #[serde(borrow)]
    city: Option<&'a str>,
}

impl<'a> From<NestedCity<'a>> for City<'a> {
    fn from(record: NestedCity<'a>) -> Self {
        let city = record.city.and_then(|city| city.names).and_then(|names| names.en);
        Self {
            country: record.country.and_then(|country| country.iso_code).filter(|code| is_country(code)),
            region: record.subdivisions.first().and_then(|region| region.iso_code).filter(|code| is_region(code)),
            city: city.map(without_district).filter(|city| !city.is_empty()),
            accuracy_km: record.location.and_then(|location| location.accuracy_radius),
        }
    }
}

impl<'a> From<FlatCity<'a>> for City<'a> {
    fn from(record: FlatCity<'a>) -> Self {
        Self {
            country: record.country_code.filter(|code| is_country(code)),
            region: record.state1.filter(|code| is_region(code)),
            city: record.city.map(without_district).filter(|city| !city.is_empty()),
            accuracy_km: None,
        }
    }
}

fn is_country(code: &str) -> bool {
    code.len() == 2 && code.bytes().all(|byte| byte.is_ascii_uppercase())
}

/// ISO 3166-2 allows one to three letters or digits behind the hyphen. A region that has a name only has no code.
fn is_region(code: &str) -> bool {
    (1..=3).contains(&code.len()) && code.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
}

/// DB-IP adds districts in parentheses, which the others do not know: `Toronto (Old Toronto)`.
fn without_district(city: &str) -> &str {
    city.split_once(" (").map_or(city, |(city, _)| city)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flat_record_is_read_with_empty_strings_for_what_is_unknown() {
        let json = r#"{"country_code":"CA","state1":"Ontario","state2":"","city":"Toronto (Old Toronto)","postcode":"","latitude":43.6,"longitude":-79.3,"timezone":""}"#;
        let city = City::from(serde_json::from_str::<FlatCity<'_>>(json).unwrap());
        assert_eq!(city, City { country: Some("CA"), region: None, city: Some("Toronto"), accuracy_km: None });
        let json = r#"{"country_code":"","state1":"","city":""}"#;
        assert_eq!(City::from(serde_json::from_str::<FlatCity<'_>>(json).unwrap()), City::default());
    }

    #[test]
    fn a_flat_region_that_is_a_code_is_kept() {
        let json = r#"{"country_code":"US","state1":"WA","city":"Milton"}"#;
        assert_eq!(City::from(serde_json::from_str::<FlatCity<'_>>(json).unwrap()).region, Some("WA"));
    }
}
