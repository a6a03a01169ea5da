//! Each layer on its own, and that no layer is there for nothing.

use super::*;

const IPHONE: &str = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_7 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.0 Mobile/15E148 Safari/604.1";
const WINDOWS: &str =
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36";

const SCAN: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36 CookieHubScan/3.0";

fn from(user_agent: &str) -> Request<'_> {
    Request { method: "GET", user_agent: Some(user_agent), ..Request::default() }
}

fn reason(request: &Request<'_>) -> Option<Reason> {
    match of_click(request) {
        Verdict::Machine { reason } => Some(reason),
        Verdict::Person(_) => None,
    }
}

fn reason_of_page(user_agent: Option<&str>) -> Option<Reason> {
    match of_page(user_agent, &ClientHints::default()) {
        Verdict::Machine { reason } => Some(reason),
        Verdict::Person(_) => None,
    }
}

#[test]
fn every_layer_decides_a_case_that_no_other_one_would() {
    let headless = ClientHints { brands: Some("\"HeadlessChrome\";v=\"142\""), ..ClientHints::default() };
    let hotjar = "Mozilla/5.0 (iPhone; CPU iPhone OS 11_3 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Hotjar Version/11.0 Mobile/15E148 Safari/604.1";
    let cases = [
        ("method", Reason::Head, Request { method: "HEAD", ..from(IPHONE) }),
        ("purpose", Reason::Prefetch, Request { purpose: Purpose::Prefetch, ..from(IPHONE) }),
        ("marks", Reason::Scanner, from(SCAN)),
        ("named", Reason::Crawler, from(hotjar)),
        ("parser", Reason::Crawler, from("Mozilla/5.0 (Windows NT 6.1) Hatena Antenna/0.5")),
        ("shape", Reason::Client, from("SomethingElse/1.0")),
        ("brands", Reason::Crawler, Request { hints: headless, ..from(WINDOWS) }),
        ("network", Reason::DataCentre, Request { asn: Some(16509), ..from(WINDOWS) }),
    ];
    for (name, expected, request) in cases {
        let evidence = Evidence::of(&request);
        let told: Vec<_> = LAYERS.iter().filter_map(|layer| Some((layer.name, (layer.judge)(&evidence)?))).collect();
        assert_eq!(told, [(name, expected)], "{:?}", request.user_agent);
        assert_eq!(layer_of_click(&request), Some(name));
    }
}

#[test]
fn nobody_who_says_nothing_is_a_browser() {
    // An absent agent has no browser's shape either, so the two layers agree that it is a machine; the first one says why.
    for nothing in [None, Some(""), Some("  "), Some("-"), Some("\"\""), Some("null")] {
        let request = Request { user_agent: nothing, ..Request::default() };
        assert_eq!((layer_of_click(&request), reason(&request)), (Some("absent"), Some(Reason::NoUserAgent)));
    }
}

#[test]
fn the_names_of_reasons_are_stable_and_are_what_is_stored() {
    let names = Reason::ALL.map(Reason::name);
    assert_eq!(names, ["head", "prefetch", "preview", "crawler", "scanner", "data_centre", "no_user_agent", "client"]);
    for reason in Reason::ALL {
        assert_eq!(serde_json::to_value(reason).unwrap(), reason.name());
    }
}

#[test]
fn whatsapps_fetcher_is_a_machine_and_its_browsers_are_people() {
    for fetcher in ["WhatsApp", "WhatsApp/2.25.31.76 A", "WhatsApp/2.24.1.75 i", "WhatsApp/2.3000.1015901307 W"] {
        assert_eq!(reason(&from(fetcher)), Some(Reason::Preview), "{fetcher}");
    }
    let android = "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Mobile Safari/537.36 [WA4A/2.25.32.75;]";
    assert_eq!(reason(&from(android)), None);
}

#[test]
fn an_app_is_excused_from_having_a_browsers_shape_and_not_from_saying_what_it_is() {
    let facebook = "[FBAN/FB4A;FBAV/567.1.0.52.74;FBCR/Scan Track Feed;FBDV/SM-S921B;FBSV/16;]";
    assert_eq!(reason(&from(facebook)), None);
    let crawler = "Instagram 393.1.0.36.70 (compatible; SomeBot/1.0; +http://example.com/)";
    assert_eq!(reason(&from(crawler)), Some(Reason::Crawler));
}

#[test]
fn phones_whose_names_hold_a_word_of_crawlers_are_peoples() {
    for model in ["CUBOT MAX", "CUBOT_X18_Plus", "XBOT 5"] {
        let agent = format!(
            "Mozilla/5.0 (Linux; Android 9; {model}) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Mobile Safari/537.36"
        );
        assert_eq!(reason(&from(&agent)), None, "{model}");
    }
}

#[test]
fn libraries_and_scanners_have_reasons_of_their_own() {
    for library in ["curl/8.5.0", "python-requests/2.32", "okhttp/4.12.0", "Go-http-client/2.0", "axios/1.7"] {
        assert_eq!(reason(&from(library)), Some(Reason::Client), "{library}");
    }
    assert_eq!(reason(&from("Mozilla/5.0 zgrab/0.x")), Some(Reason::Scanner));
    assert_eq!(reason(&from("Mozilla/5.0 (Windows NT 10.0) CookieHubScan/3.0")), Some(Reason::Scanner));
}

#[test]
fn meta_is_a_preview_whatever_it_calls_itself() {
    assert_eq!(reason(&Request { asn: Some(32934), ..from(IPHONE) }), Some(Reason::Preview));
}

#[test]
fn private_relay_carries_people_on_safari_only() {
    for relay in [36183, 13335, 54113] {
        assert_eq!(reason(&Request { asn: Some(relay), ..from(IPHONE) }), None);
        assert_eq!(reason(&Request { asn: Some(relay), ..from(WINDOWS) }), Some(Reason::DataCentre));
    }
    assert_eq!(reason(&Request { asn: Some(24940), ..from(IPHONE) }), Some(Reason::DataCentre));
    assert_eq!(reason(&Request { asn: Some(1221), ..from(WINDOWS) }), None);
}

#[test]
fn a_page_is_opened_by_people_unless_a_crawler_says_so() {
    let googlebot = "Mozilla/5.0 (Linux; Android 6.0.1; Nexus 5X Build/MMB29P) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Mobile Safari/537.36 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)";
    assert_eq!(reason_of_page(Some(googlebot)), Some(Reason::Crawler));
    let headless = "Mozilla/5.0 (X11; Linux x86_64) HeadlessChrome/142.0.0.0";
    assert_eq!(reason_of_page(Some(headless)), Some(Reason::Crawler));
    assert_eq!(reason_of_page(Some("facebookexternalhit/1.1")), Some(Reason::Preview));
    let own = "ShopMonitor/1.0 (https://shop.example)";
    for person in [
        Some(IPHONE),
        Some("okhttp/4.12.0"),
        Some("curl/8.5.0"),
        Some("python-requests/2.32"),
        Some(own),
        Some(""),
        None,
    ] {
        assert_eq!(reason_of_page(person), None, "{person:?}");
    }
    let Verdict::Person(agent) = of_page(Some(IPHONE), &ClientHints::default()) else { panic!("not a person") };
    assert_eq!(agent.device.name(), "mobile");
}

#[test]
fn a_page_is_opened_by_a_browser_without_a_window_that_says_so_in_its_hints_only() {
    let hints = ClientHints { brands: Some("\"HeadlessChrome\";v=\"142\""), ..ClientHints::default() };
    assert_eq!(of_page(Some(WINDOWS), &hints), Verdict::Machine { reason: Reason::Crawler });
}
