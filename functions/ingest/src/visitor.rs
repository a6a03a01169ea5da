//! Person or machine, and on what: decided by the method, the prefetch headers and the user agent.
//!
//! WhatsApp's own fetchers call themselves `WhatsApp/2.…` and nothing else; WhatsApp's in-app browsers are browsers that
//! carry `WA4A/` (Android) or `WAiOS/` (iOS), and the people in them are people.

use shared::activity::{Click, Visitor};
use woothee::parser::Parser;

/// Parts of user agents of Meta's fetchers and of other makers of link previews, in lower case.
const PREVIEW_FETCHERS: [&str; 8] = [
    "facebookexternalhit",
    "facebookexternalua",
    "facebookcatalog",
    "meta-external",
    "meta-webindexer",
    "telegrambot",
    "slackbot",
    "twitterbot",
];

/// Parts of user agents that only crawlers carry, in lower case.
const CRAWLER_MARKS: [&str; 7] = ["bot/", "bot;", "crawler", "spider", "headless", "preview", "http:"];

/// Parts of user agents of libraries and tools that fetch for a program, in lower case.
const CLIENT_MARKS: [&str; 2] = ["curl/", "python-"];

/// Parts of user agents of browsers that are built into apps, with the app's name.
const IN_APP: [(&str, &str); 6] = [
    ("WA4A/", "WhatsApp"),
    ("WAiOS/", "WhatsApp"),
    ("FBAN/", "Facebook"),
    ("FB_IAB/", "Facebook"),
    ("MetaIAB", "Facebook"),
    ("Instagram", "Instagram"),
];

/// Who followed the link.
pub(crate) fn of(click: &Click) -> Visitor {
    if click.method != "GET" {
        return machine("head");
    }
    if click.prefetch {
        return machine("prefetch");
    }
    let Some(agent) = click.user_agent.as_deref().map(str::trim).filter(|agent| !agent.is_empty()) else {
        return machine("no_user_agent");
    };
    if let Some(reason) = declared(agent) {
        return machine(reason);
    }
    // Whoever follows a link and is no browser reads the page for somebody else.
    if is_browser(agent) { person(agent) } else { machine("crawler") }
}

/// Who opened the page that reports an event. Crawlers run the scripts of pages, and say what they are; what is no browser
/// and says nothing of the kind, such as an app of the operator's own, reports because somebody wants it to.
pub(crate) fn of_page(user_agent: Option<&str>) -> Visitor {
    let agent = user_agent.map(str::trim).unwrap_or_default();
    declared(agent).map_or_else(|| person(agent), machine)
}

fn machine(reason: &str) -> Visitor {
    Visitor::Machine { reason: reason.to_owned() }
}

/// What kind of machine the user agent says it is, if it says so.
fn declared(agent: &str) -> Option<&'static str> {
    let lower = agent.to_lowercase();
    if lower.starts_with("whatsapp") || PREVIEW_FETCHERS.iter().any(|part| lower.contains(part)) {
        return Some("preview");
    }
    let marked = CRAWLER_MARKS.iter().any(|mark| lower.contains(mark));
    let parsed = Parser::new().parse(agent).is_some_and(|parsed| parsed.category == "crawler");
    (marked || (parsed && !is_http_client(&lower))).then_some("crawler")
}

/// A program's way to fetch, by its name: a machine behind a link, but not one that calls itself so.
fn is_http_client(lower: &str) -> bool {
    CLIENT_MARKS.iter().any(|mark| lower.contains(mark))
}

fn is_browser(agent: &str) -> bool {
    let browser_shaped = ["Mozilla/", "Opera/", "UCWEB/"].iter().any(|start| agent.starts_with(start));
    (browser_shaped || in_app(agent).is_some()) && !is_http_client(&agent.to_lowercase())
}

/// The app whose built-in browser it is.
fn in_app(agent: &str) -> Option<&'static str> {
    IN_APP.iter().find(|(mark, _)| agent.contains(mark)).map(|(_, app)| *app)
}

fn person(agent: &str) -> Visitor {
    let in_app = in_app(agent);
    let parsed = Parser::new().parse(agent);
    let os = parsed.as_ref().map_or("unknown", |parsed| parsed.os);
    let browser = in_app.or(parsed.as_ref().map(|parsed| parsed.name)).unwrap_or("unknown");
    let category = parsed.as_ref().map_or("", |parsed| parsed.category);
    Visitor::Human { device: device(agent, category).to_owned(), os: os.to_owned(), browser: browser.to_owned() }
}

/// woothee knows no tablets: an iPad, or Android without `Mobile`.
fn device(agent: &str, category: &str) -> &'static str {
    if agent.contains("iPad") || (agent.contains("Android") && !agent.contains("Mobile")) {
        return "tablet";
    }
    match category {
        "smartphone" | "mobilephone" => "mobile",
        "pc" => "desktop",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use shared::id::{AccountId, CampaignId, EventId, WorkspaceId};
    use shared::link::code::LinkId;
    use shared::time::UnixMillis;

    use super::*;

    fn visitor(method: &str, agent: Option<&str>) -> Visitor {
        of(&Click {
            id: EventId::new(UnixMillis(1)),
            link: LinkId::new(1).unwrap(),
            workspace: WorkspaceId::FIRST,
            account: Some(AccountId::new(UnixMillis(1))),
            campaign: Some(CampaignId::new(UnixMillis(1))),
            recipient: None,
            at: UnixMillis(1),
            method: method.to_owned(),
            user_agent: agent.map(str::to_owned),
            ip: None,
            country: None,
            region: None,
            city: None,
            asn: None,
            hints_mobile: None,
            hints_platform: None,
            referrer: None,
            prefetch: false,
            visitor: None,
        })
    }

    fn human(agent: &str) -> (String, String, String) {
        match visitor("GET", Some(agent)) {
            Visitor::Human { device, os, browser } => (device, os, browser),
            Visitor::Machine { reason } => panic!("{agent} was taken for a machine: {reason}"),
        }
    }

    fn machine(method: &str, agent: Option<&str>) -> String {
        match visitor(method, agent) {
            Visitor::Machine { reason } => reason,
            Visitor::Human { .. } => panic!("{agent:?} was taken for a person"),
        }
    }

    const ANDROID_IN_WHATSAPP: &str = "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/142.0.0.0 Mobile Safari/537.36 [WA4A/2.25.32.75;]";
    const IPHONE: &str = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_7 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.0 Mobile/15E148 Safari/604.1";
    const WINDOWS: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36";

    #[test]
    fn people_inside_whatsapp_are_people() {
        assert_eq!(human(ANDROID_IN_WHATSAPP), ("mobile".into(), "Android".into(), "WhatsApp".into()));
    }

    #[test]
    fn phones_tablets_and_computers_are_told_apart() {
        assert_eq!(human(IPHONE).0, "mobile");
        assert_eq!(human(WINDOWS).0, "desktop");
        assert_eq!(human("Mozilla/5.0 (Linux; Android 13; SM-X700) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36").0, "tablet");
    }

    #[test]
    fn previews_crawlers_and_heads_are_machines_with_their_reason() {
        assert_eq!(machine("GET", Some("WhatsApp/2.23.20.0 A")), "preview");
        assert_eq!(
            machine("GET", Some("facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)")),
            "preview"
        );
        assert_eq!(
            machine("GET", Some("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)")),
            "crawler"
        );
        assert_eq!(machine("GET", Some("curl/8.5.0")), "crawler");
        assert_eq!(machine("HEAD", Some(IPHONE)), "head");
        assert_eq!(machine("GET", None), "no_user_agent");
    }

    #[test]
    fn a_page_is_opened_by_people_unless_a_crawler_says_so() {
        let reason = |agent: Option<&str>| match of_page(agent) {
            Visitor::Machine { reason } => Some(reason),
            Visitor::Human { .. } => None,
        };
        let googlebot = "Mozilla/5.0 (Linux; Android 6.0.1; Nexus 5X Build/MMB29P) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Mobile Safari/537.36 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)";
        assert_eq!(reason(Some(googlebot)).as_deref(), Some("crawler"));
        assert_eq!(
            reason(Some("Mozilla/5.0 (X11; Linux x86_64) HeadlessChrome/142.0.0.0")).as_deref(),
            Some("crawler")
        );
        assert_eq!(reason(Some("facebookexternalhit/1.1")).as_deref(), Some("preview"));
        for person in
            [Some(IPHONE), Some("okhttp/4.12.0"), Some("curl/8.5.0"), Some("python-requests/2.32"), Some(""), None]
        {
            assert_eq!(reason(person), None, "{person:?}");
        }
        let Visitor::Human { device, .. } = of_page(Some(IPHONE)) else { panic!("not a person") };
        assert_eq!(device, "mobile");
    }
}
