//! How many of the user agents that others have collected are read right. The collections hold what their makers saw; a part
//! of each was kept back, so what is asserted here is to hold for agents that nobody has seen as well.

use std::path::Path;

use serde::Deserialize;
use visitors::agent::{ClientHints, Device, Os, os, read};
use visitors::verdict::{Reason, Request, Verdict, layer_of_click, of_click};

#[derive(Deserialize)]
struct Crawler {
    pattern: String,
    instances: Vec<String>,
}

#[derive(Deserialize)]
struct Labelled {
    ua: String,
    #[serde(default)]
    device: String,
    #[serde(default)]
    os: String,
    #[serde(default)]
    browser: String,
}

fn text(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/ua").join(file);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn labelled(file: &str) -> Vec<Labelled> {
    text(file).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Crawlers, without the two patterns that are people in Facebook's in-app browser.
fn crawlers() -> Vec<String> {
    let crawlers: Vec<Crawler> = serde_json::from_str(&text("crawler-user-agents.json")).unwrap();
    crawlers
        .into_iter()
        .filter(|crawler| {
            !["MetaIAB Facebook", "AP3A.240617.008"].contains(&crawler.pattern.replace('\\', "").as_str())
        })
        .flat_map(|crawler| crawler.instances)
        .collect()
}

fn reason(agent: &str) -> Option<Reason> {
    match of_click(&Request { user_agent: Some(agent), ..Request::default() }) {
        Verdict::Machine { reason } => Some(reason),
        Verdict::Person(_) => None,
    }
}

/// Those for which it does not hold, of so many.
fn failing<T>(rows: &[T], holds: impl Fn(&T) -> bool) -> Vec<&T> {
    rows.iter().filter(|row| !holds(row)).collect()
}

fn agents_of<'a>(rows: &[&'a Labelled]) -> Vec<&'a str> {
    rows.iter().map(|row| row.ua.as_str()).collect()
}

fn is_browser_shaped(agent: &str) -> bool {
    agent.starts_with("Mozilla/") || agent.starts_with("Opera/")
}

#[test]
fn of_crawlers_more_than_99_in_100_are_machines() {
    let crawlers = crawlers();
    let missed = failing(&crawlers, |agent| reason(agent).is_some());
    assert!(crawlers.len() > 1_000);
    assert!(missed.len() * 100 <= crawlers.len(), "{} of {}: {missed:#?}", missed.len(), crawlers.len());
}

#[test]
fn of_crawlers_more_than_97_in_100_are_machines_without_a_list_of_their_names() {
    // The measure of what will become of crawlers that no list has: structure has to find them.
    let crawlers = crawlers();
    let missed = failing(&crawlers, |agent| {
        layer_of_click(&Request { user_agent: Some(agent), ..Request::default() }).is_some_and(|layer| layer != "named")
    });
    assert!(missed.len() * 100 <= crawlers.len() * 3, "{} of {}: {missed:#?}", missed.len(), crawlers.len());
}

#[test]
fn all_fetchers_of_previews_are_machines() {
    let previews = labelled("link_preview_bots.jsonl");
    let missed = failing(&previews, |row| reason(&row.ua).is_some());
    assert!(missed.is_empty(), "{:#?}", agents_of(&missed));
    let of_whatsapp: Vec<_> = previews.iter().filter(|row| row.ua.starts_with("WhatsApp")).collect();
    assert!(!of_whatsapp.is_empty());
    assert!(of_whatsapp.iter().all(|row| reason(&row.ua) == Some(Reason::Preview)));
}

#[test]
fn nobody_inside_an_app_is_a_machine_and_every_app_has_its_name() {
    let people = labelled("whatsapp_meta_inapp.jsonl");
    let lost = failing(&people, |row| reason(&row.ua).is_none());
    assert!(lost.is_empty(), "{:#?}", agents_of(&lost));
    let names = [("whatsapp", "WhatsApp"), ("facebook", "Facebook"), ("instagram", "Instagram"), ("tiktok", "TikTok")];
    for (label, name) in names {
        for row in people.iter().filter(|row| row.browser == label) {
            assert_eq!(read(&row.ua, &ClientHints::default()).browser, name, "{}", row.ua);
        }
    }
}

#[test]
fn of_people_in_modern_browsers_less_than_1_in_1000_is_a_machine() {
    let people: Vec<_> = labelled("modern_browsers.jsonl").into_iter().filter(|row| row.device != "bot").collect();
    let lost = failing(&people, |row| reason(&row.ua).is_none());
    assert!(lost.len() * 1000 <= people.len(), "{:#?}", agents_of(&lost));
}

#[test]
fn of_people_in_odd_browsers_less_than_1_in_1000_is_a_machine() {
    // Cypress drives browsers; the collection counts it as one, and so do we.
    let people = labelled("odd_browsers.jsonl");
    let people: Vec<_> = people.into_iter().filter(|row| is_browser_shaped(&row.ua)).collect();
    assert!(people.len() > 200);
    let lost = failing(&people, |row| reason(&row.ua).is_none());
    assert!(lost.len() * 1000 <= people.len(), "{:#?}", agents_of(&lost));
}

#[test]
fn no_console_and_no_feature_phone_is_a_crawler() {
    const MARKS: [&str; 8] =
        ["MIDP", "PlayStation", "PLAYSTATION", "Nintendo", "UP.Browser", "DoCoMo", "Xbox", "BlackBerry"];
    let all = ["odd_browsers.jsonl", "uap_core_device.jsonl"].into_iter().flat_map(labelled);
    let people: Vec<_> = all
        .filter(|row| MARKS.iter().any(|mark| row.ua.contains(mark)))
        .filter(|row| !row.ua.contains("bot") && !row.ua.contains("WhatsApp"))
        .collect();
    assert!(people.len() > 50);
    let lost = failing(&people, |row| reason(&row.ua).is_none());
    assert!(lost.is_empty(), "{:#?}", agents_of(&lost));
}

#[test]
fn a_console_and_a_feature_phone_are_other_devices() {
    for row in
        labelled("odd_browsers.jsonl").iter().filter(|row| row.ua.contains("MIDP") || row.ua.contains("Nintendo"))
    {
        assert_eq!(read(&row.ua, &ClientHints::default()).device, Device::Other, "{}", row.ua);
    }
}

#[test]
fn device_and_system_of_modern_browsers_are_right_for_more_than_99_in_100() {
    let people: Vec<_> = labelled("modern_browsers.jsonl").into_iter().filter(|row| row.device != "bot").collect();
    let wrong_device = failing(&people, |row| read(&row.ua, &ClientHints::default()).device.name() == row.device);
    let wrong_os =
        failing(&people, |row| read(&row.ua, &ClientHints::default()).os.name().to_ascii_lowercase() == row.os);
    assert!(wrong_device.len() * 100 <= people.len(), "{:#?}", agents_of(&wrong_device));
    assert!(wrong_os.len() * 100 <= people.len(), "{:#?}", agents_of(&wrong_os));
}

#[test]
fn the_system_asked_for_alone_is_that_of_the_whole_agent() {
    let files = ["modern_browsers.jsonl", "odd_browsers.jsonl", "whatsapp_meta_inapp.jsonl", "link_preview_bots.jsonl"];
    let android = ClientHints { platform: Some("\"Android\""), ..ClientHints::default() };
    for row in files.into_iter().flat_map(labelled) {
        for hints in [ClientHints::default(), android] {
            assert_eq!(os(&row.ua, &hints), read(&row.ua, &hints).os, "{}", row.ua);
        }
    }
}

#[test]
fn the_browser_of_modern_agents_is_right_for_more_than_99_in_100() {
    const NAMES: [(&str, &[&str]); 18] = [
        ("chrome", &["Chrome"]),
        // Brave on iOS is Safari with its name behind.
        ("safari", &["Safari", "Brave"]),
        ("firefox", &["Firefox"]),
        ("edge", &["Edge"]),
        ("opera", &["Opera", "Opera Touch", "Opera GX"]),
        ("gsa", &["Google app"]),
        ("ddg", &["DuckDuckGo"]),
        ("samsung", &["Samsung Internet"]),
        ("yandex", &["Yandex Browser", "Yandex app"]),
        ("twitter", &["X"]),
        ("threads", &["Threads"]),
        ("snapchat", &["Snapchat"]),
        ("facebook", &["Facebook"]),
        ("instagram", &["Instagram"]),
        ("line", &["LINE"]),
        ("silk", &["Silk"]),
        ("webview", &["WebView"]),
        ("whatsapp", &["WhatsApp"]),
    ];
    let rows: Vec<_> = labelled("modern_browsers.jsonl")
        .into_iter()
        .filter(|row| NAMES.iter().any(|(label, _)| *label == row.browser))
        .collect();
    let wrong = failing(&rows, |row| {
        let browser = read(&row.ua, &ClientHints::default()).browser;
        NAMES.iter().any(|(label, names)| *label == row.browser && names.contains(&browser))
    });
    assert!(wrong.len() * 100 <= rows.len(), "{:#?}", agents_of(&wrong));
}

#[test]
fn the_system_of_agents_of_all_times_is_right_for_more_than_95_in_100() {
    #[derive(Deserialize)]
    struct Row {
        ua: String,
        family: String,
    }
    const FAMILIES: [(&str, Os); 9] = [
        ("Android", Os::Android),
        ("iOS", Os::Ios),
        ("Windows", Os::Windows),
        ("Mac OS X", Os::MacOs),
        ("Linux", Os::Linux),
        ("Chrome OS", Os::ChromeOs),
        ("Windows Phone", Os::WindowsPhone),
        ("KaiOS", Os::KaiOs),
        ("Tizen", Os::Tizen),
    ];
    let rows: Vec<Row> = text("uap_core_os.jsonl").lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    // What is shaped like no browser is an app's or a machine's, and nobody's system.
    let known: Vec<_> = rows
        .iter()
        .filter(|row| is_browser_shaped(&row.ua))
        .filter_map(|row| Some((row, FAMILIES.iter().find(|(family, _)| *family == row.family)?.1)))
        .collect();
    let wrong: Vec<_> = known
        .iter()
        .map(|(row, os)| (*os, read(&row.ua, &ClientHints::default()).os, row.ua.as_str()))
        .filter(|(expected, found, _)| expected != found)
        .collect();
    assert!(wrong.len() * 20 <= known.len(), "{} of {}: {wrong:#?}", wrong.len(), known.len());
}
