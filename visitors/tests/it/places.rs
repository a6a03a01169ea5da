//! Places of addresses in MaxMind's test databases and in a flat one.

use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use visitors::place::freshness::{Expectation, Kind, Unfit, check};
use visitors::place::{Confidence, Database, OpenError, Place, Places, Source};

use crate::mmdb::{Value, database};

fn test_file(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/geo").join(file)
}

fn open(file: &str) -> Database {
    Database::open(Source { setting: "TEST", path: &test_file(file) }).unwrap()
}

fn places() -> Places {
    Places::new(vec![open("GeoLite2-City-Test.mmdb")], vec![open("GeoLite2-ASN-Test.mmdb")])
}

fn at(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn city(place: Place<'_>) -> (Option<&str>, Option<&str>, Option<&str>) {
    (place.country, place.region, place.city)
}

/// A database in the flat schema, which knows 198.51.100.0/24.
fn flat() -> (tempfile::TempDir, PathBuf) {
    let record = Value::Map(vec![
        ("city", Value::Text("Toronto (Old Toronto)")),
        ("country_code", Value::Text("CA")),
        ("latitude", Value::Single(43.65)),
        ("longitude", Value::Single(-79.38)),
        ("postcode", Value::Text("")),
        ("state1", Value::Text("Ontario")),
        ("state2", Value::Text("")),
        ("timezone", Value::Text("America/Toronto")),
    ]);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("city-ipv4.mmdb");
    std::fs::write(&path, database("city ipv4", Ipv4Addr::new(198, 51, 100, 0), 24, &record)).unwrap();
    (folder, path)
}

#[test]
fn addresses_have_country_region_and_city() {
    let places = places();
    let of = |address| city(places.of(at(address)));
    assert_eq!(of("89.160.20.112"), (Some("SE"), Some("E"), Some("Linköping")));
    assert_eq!(of("81.2.69.142"), (Some("GB"), Some("ENG"), Some("London")));
    assert_eq!(of("2.125.160.216"), (Some("GB"), Some("ENG"), Some("Boxford")));
    assert_eq!(of("216.160.83.56"), (Some("US"), Some("WA"), Some("Milton")));
    assert!(places.of(at("81.2.69.142")).accuracy_km.is_some());
}

#[test]
fn both_of_maxminds_products_are_read_alike() {
    let geoip2 = Places::new(vec![open("GeoIP2-City-Test.mmdb")], Vec::new());
    assert_eq!(city(geoip2.of(at("89.160.20.112"))), (Some("SE"), Some("E"), Some("Linköping")));
}

#[test]
fn what_is_known_in_part_is_told_in_part() {
    let places = places();
    assert_eq!(city(places.of(at("67.43.156.1"))), (Some("BT"), None, None));
    assert_eq!(city(places.of(at("2001:270::1"))), (Some("KR"), None, None));
}

#[test]
fn an_ipv4_address_in_an_ipv6_one_is_the_ipv4_address() {
    let places = places();
    assert_eq!(places.of(at("::ffff:81.2.69.142")), places.of(at("81.2.69.142")));
    let (_folder, path) = flat();
    let places = Places::open(Some(Source { setting: "TEST", path: &path }), None).unwrap();
    assert_eq!(places.of(at("::ffff:198.51.100.7")).country, Some("CA"));
}

#[test]
fn unknown_addresses_have_no_place() {
    let places = places();
    for address in ["1.2.3.4", "8.8.8.8", "10.0.0.1", "::1", "255.255.255.255"] {
        assert_eq!(city(places.of(at(address))), (None, None, None), "{address}");
    }
    assert_eq!(Places::none().of(at("81.2.69.142")), Place::default());
}

#[test]
fn addresses_have_a_network_with_or_without_a_name() {
    let places = places();
    let of = |address| {
        let place = places.of(at(address));
        (place.asn, place.organisation)
    };
    assert_eq!(of("1.128.0.5"), (Some(1221), Some("Telstra Pty Ltd")));
    assert_eq!(of("12.81.92.1"), (Some(7018), Some("AT&T Services")));
    assert_eq!(of("67.43.156.1"), (Some(35908), None));
    assert_eq!(of("2600:6000::1"), (Some(237), Some("Merit Network Inc.")));
    assert_eq!(places.of(at("1.128.0.5")).confidence, Confidence::Usual);
}

#[test]
fn the_city_of_a_relay_is_not_believed() {
    let record = Value::Map(vec![("autonomous_system_number", Value::Number(36183))]);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("asn.mmdb");
    std::fs::write(&path, database("asn ipv4", Ipv4Addr::new(81, 2, 69, 0), 24, &record)).unwrap();
    let relays = Database::open(Source { setting: "TEST", path: &path }).unwrap();
    let places = Places::new(vec![open("GeoLite2-City-Test.mmdb")], vec![relays]);
    let place = places.of(at("81.2.69.142"));
    assert_eq!((place.country, place.confidence), (Some("GB"), Confidence::Relayed));
}

#[test]
fn a_flat_database_is_read_as_well() {
    let (_folder, path) = flat();
    let places = Places::open(Some(Source { setting: "TEST", path: &path }), None).unwrap();
    assert_eq!(city(places.of(at("198.51.100.7"))), (Some("CA"), None, Some("Toronto")));
    assert_eq!(city(places.of(at("198.51.101.7"))), (None, None, None));
    assert_eq!(places.of(at("2001:270::1")), Place::default());
}

#[test]
fn of_several_databases_the_first_that_knows_answers() {
    let (_folder, path) = flat();
    let flat = Database::open(Source { setting: "TEST", path: &path }).unwrap();
    let places = Places::new(vec![flat, open("GeoLite2-City-Test.mmdb")], Vec::new());
    assert_eq!(places.of(at("198.51.100.7")).country, Some("CA"));
    assert_eq!(places.of(at("81.2.69.142")).country, Some("GB"));
}

#[test]
fn a_database_of_something_else_knows_no_place() {
    let places = Places::new(vec![open("GeoLite2-ASN-Test.mmdb")], vec![open("GeoLite2-City-Test.mmdb")]);
    assert_eq!(places.of(at("1.128.0.5")), Place::default());
}

#[test]
fn a_file_that_is_missing_or_broken_is_an_error_that_names_its_setting() {
    let missing = Places::open(Some(Source { setting: "GEOIP_CITY_DB", path: Path::new("/nowhere.mmdb") }), None);
    let Err(error @ OpenError::File { .. }) = missing else { panic!("a missing file was opened") };
    assert_eq!(error.to_string(), "GEOIP_CITY_DB: /nowhere.mmdb cannot be read");

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("broken.mmdb");
    for content in [&b""[..], b"not a database"] {
        std::fs::write(&path, content).unwrap();
        let broken = Places::open(None, Some(Source { setting: "GEOIP_ASN_DB", path: &path }));
        let Err(error @ OpenError::Format { .. }) = broken else { panic!("a broken file was opened") };
        assert!(error.to_string().starts_with("GEOIP_ASN_DB: "), "{error}");
    }
}

#[test]
fn a_file_that_is_replaced_while_it_is_in_use_stays_readable() {
    let (_folder, path) = flat();
    let places = Places::open(Some(Source { setting: "TEST", path: &path }), None).unwrap();
    let next = path.with_extension("new");
    std::fs::write(&next, b"").unwrap();
    std::fs::rename(&next, &path).unwrap();
    assert_eq!(places.of(at("198.51.100.7")).country, Some("CA"));
}

#[test]
fn a_database_is_fit_if_it_is_the_right_one_and_young_and_knows_what_is_known() {
    let expect = |address: &str, answer: &str| Expectation { address: at(address), answer: answer.to_owned() };
    let cities = || open("GeoLite2-City-Test.mmdb");
    let built = cities().metadata().build_time().unwrap();
    let month = Duration::from_secs(30 * 86_400);
    let now = built + Duration::from_secs(86_400);

    let known = [expect("81.2.69.142", "GB")];
    check(cities(), Kind::City, &known, month, now).unwrap();
    check(open("GeoLite2-ASN-Test.mmdb"), Kind::Network, &[expect("1.128.0.5", "AS1221")], Duration::MAX, now).unwrap();

    let unfit = |kind, known: &[Expectation], now: SystemTime| check(cities(), kind, known, month, now).unwrap_err();
    assert!(matches!(unfit(Kind::Network, &[], now), Unfit::Other { .. }));
    assert!(matches!(unfit(Kind::City, &[], now + month), Unfit::Old { days: 31 }));
    let wrong = unfit(Kind::City, &[expect("81.2.69.142", "FR")], now);
    assert_eq!(wrong.to_string(), "81.2.69.142 should be FR and is GB");
}
