//! Whatever is sent, nothing panics.

use std::net::{IpAddr, Ipv6Addr};
use std::path::Path;

use proptest::prelude::*;
use visitors::agent::ClientHints;
use visitors::place::{Places, Source};
use visitors::verdict::{Purpose, Request, Verdict, of_click, of_page};

/// User agents made of what user agents are made of, and of what they are not.
fn user_agent() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        Just("Mozilla/5.0 (".to_owned()),
        Just("iPhone OS 18_".to_owned()),
        Just("Version/26.".to_owned()),
        Just("Windows NT ".to_owned()),
        Just("Android 10; K)".to_owned()),
        Just("cubot".to_owned()),
        Just("@é.com".to_owned()),
        Just(" Safari/".to_owned()),
        Just("[FBAN/FBIOS;FBAV/".to_owned()),
        Just("İ".to_owned()),
        "\\PC{0,12}",
        "[0-9._/;() ]{0,8}",
    ];
    prop::collection::vec(part, 0..12).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn every_click_has_a_verdict(
        agent in user_agent(),
        method in "\\PC{0,6}",
        mobile in prop::option::of("\\PC{0,4}"),
        platform in prop::option::of("\\PC{0,12}"),
        asn in prop::option::of(any::<u32>()),
    ) {
        let hints = ClientHints { mobile: mobile.as_deref(), platform: platform.as_deref(), brands: platform.as_deref() };
        let request = Request { method: &method, purpose: Purpose::Navigation, user_agent: Some(&agent), hints, asn };
        let first = of_click(&request);
        prop_assert_eq!(&first, &of_click(&request));
        let _ = of_page(Some(&agent), &hints);
    }

    #[test]
    fn whoever_is_a_person_behind_a_link_is_one_on_a_page(agent in user_agent()) {
        let request = Request { user_agent: Some(&agent), ..Request::default() };
        if matches!(of_click(&request), Verdict::Person(_)) {
            prop_assert!(matches!(of_page(Some(&agent), &ClientHints::default()), Verdict::Person(_)));
        }
    }

    #[test]
    fn every_address_has_a_place_or_none(bits in any::<u128>()) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/geo");
        let source = |file: &str| folder.join(file);
        let (city, asn) = (source("GeoLite2-City-Test.mmdb"), source("GeoLite2-ASN-Test.mmdb"));
        let open = |path| Some(Source { setting: "TEST", path });
        let places = Places::open(open(&city), open(&asn)).unwrap();
        let _ = places.of(IpAddr::V6(Ipv6Addr::from_bits(bits)));
        let _ = places.of(IpAddr::V4((bits as u32).into()));
    }

    #[test]
    fn a_damaged_database_is_refused_or_knows_less(at in any::<prop::sample::Index>(), byte in any::<u8>(), address in any::<u32>()) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/geo");
        let mut content = std::fs::read(folder.join("GeoLite2-City-Test.mmdb")).unwrap();
        let at = at.index(content.len());
        content[at] = byte;
        let damaged = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(damaged.path(), content).unwrap();
        if let Ok(places) = Places::open(Some(Source { setting: "TEST", path: damaged.path() }), None) {
            let _ = places.of(IpAddr::V4(address.into()));
            let _ = places.of("81.2.69.142".parse().unwrap());
        }
    }
}
