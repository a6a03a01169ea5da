//! Who came, on what and from where, in the words of our events. What tells it is the crate `visitors`; the address, the
//! user agent and the hints go no further than here.

use std::net::IpAddr;

use shared::activity::{Click, Visitor};
use visitors::agent::{Agent, ClientHints, Surface};
use visitors::place::{Confidence, Place, Places};
use visitors::verdict::{self, Purpose, Request, Verdict};

/// What is known of where a visitor is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Whereabouts {
    pub(crate) country: Option<String>,
    pub(crate) region: Option<String>,
    pub(crate) city: Option<String>,
    pub(crate) asn: Option<u32>,
}

impl Whereabouts {
    /// From the address. Of a relay only the country is believed.
    pub(crate) fn of(places: &Places, address: Option<&str>) -> Self {
        let place =
            address.and_then(|text| text.parse::<IpAddr>().ok()).map_or_else(Place::default, |ip| places.of(ip));
        let is_near = place.confidence == Confidence::Usual;
        let owned = |text: Option<&str>| text.filter(|text| !text.is_empty()).map(str::to_owned);
        Self {
            country: owned(place.country).filter(|code| is_country(code)),
            region: owned(place.region).filter(|_| is_near),
            city: owned(place.city).filter(|_| is_near),
            asn: place.asn,
        }
    }

    /// What a trusted edge has told comes first, as a whole: a region of one source beside the country of another is nowhere.
    pub(crate) fn or_told(self, click: &Click) -> Self {
        let told = click.country.clone().filter(|code| is_country(code));
        let asn = click.asn.or(self.asn);
        match told {
            Some(country) => {
                Self { country: Some(country), region: click.region.clone(), city: click.city.clone(), asn }
            }
            None => Self { asn, ..self },
        }
    }
}

fn is_country(code: &str) -> bool {
    code.len() == 2 && code.bytes().all(|byte| byte.is_ascii_uppercase())
}

/// Who followed a link.
pub(crate) fn of(click: &Click, asn: Option<u32>) -> Visitor {
    let hints = ClientHints {
        mobile: click.hints_mobile.map(|is_mobile| if is_mobile { "?1" } else { "?0" }),
        platform: click.hints_platform.as_deref(),
        brands: click.hints_brands.as_deref(),
    };
    said(verdict::of_click(&Request {
        method: &click.method,
        purpose: if click.prefetch { Purpose::Prefetch } else { Purpose::Navigation },
        user_agent: click.user_agent.as_deref(),
        hints,
        asn,
    }))
}

/// Who opened the page that reports an event. Crawlers run the scripts of pages, and say what they are; what is no browser
/// and says nothing of the kind, such as an app of the operator's own, reports because somebody wants it to.
pub(crate) fn of_page(user_agent: Option<&str>) -> Visitor {
    said(verdict::of_page(user_agent, &ClientHints::default()))
}

fn said(verdict: Verdict<'_>) -> Visitor {
    match verdict {
        Verdict::Machine { reason } => Visitor::Machine { reason: reason.name().to_owned() },
        Verdict::Person(Agent { device, os, os_version, browser, browser_version, surface }) => Visitor::Human {
            device: device.name().to_owned(),
            os: os.name().to_owned(),
            browser: browser.to_owned(),
            os_version: os_version.map(|version| version.into_owned()),
            browser_version: browser_version.map(str::to_owned),
            in_app: match surface {
                Surface::Browser => None,
                Surface::InApp(app) => Some(app.to_owned()),
                Surface::WebView => Some("unknown".to_owned()),
            },
        },
    }
}

#[cfg(test)]
mod tests {
    use shared::id::{AccountId, CampaignId, EventId, WorkspaceId};
    use shared::link::code::LinkId;
    use shared::time::UnixMillis;

    use super::*;

    const IN_WHATSAPP: &str = "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/142.0.0.0 Mobile Safari/537.36 [WA4A/2.25.32.75;]";
    const DESKTOP: &str =
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36";

    fn click(agent: Option<&str>) -> Click {
        Click {
            id: EventId::new(UnixMillis(1)),
            link: LinkId::new(1).unwrap(),
            workspace: WorkspaceId::FIRST,
            account: Some(AccountId::new(UnixMillis(1))),
            campaign: Some(CampaignId::new(UnixMillis(1))),
            recipient: None,
            at: UnixMillis(1),
            method: "GET".to_owned(),
            user_agent: agent.map(str::to_owned),
            ip: None,
            country: None,
            region: None,
            city: None,
            asn: None,
            hints_mobile: None,
            hints_platform: None,
            hints_brands: None,
            referrer: None,
            prefetch: false,
            mark: None,
            visitor: None,
        }
    }

    fn reason(click: &Click, asn: Option<u32>) -> Option<String> {
        match of(click, asn) {
            Visitor::Machine { reason } => Some(reason),
            Visitor::Human { .. } => None,
        }
    }

    #[test]
    fn people_inside_whatsapp_are_people_on_their_phones() {
        let Visitor::Human { device, os, browser, in_app, .. } = of(&click(Some(IN_WHATSAPP)), None) else {
            panic!("taken for a machine")
        };
        assert_eq!((device.as_str(), os.as_str(), browser.as_str()), ("mobile", "Android", "WhatsApp"));
        assert_eq!(in_app.as_deref(), Some("WhatsApp"));
    }

    #[test]
    fn what_the_request_tells_besides_the_agent_is_used() {
        assert_eq!(reason(&click(Some(DESKTOP)), None), None);
        assert_eq!(reason(&Click { prefetch: true, ..click(Some(DESKTOP)) }, None).as_deref(), Some("prefetch"));
        assert_eq!(reason(&Click { method: "HEAD".to_owned(), ..click(Some(DESKTOP)) }, None).as_deref(), Some("head"));
        assert_eq!(reason(&click(None), None).as_deref(), Some("no_user_agent"));
        assert_eq!(reason(&click(Some(DESKTOP)), Some(32_934)).as_deref(), Some("preview"), "a network of Meta's");
        let headless = Click { hints_brands: Some(r#""HeadlessChrome";v="142""#.to_owned()), ..click(Some(DESKTOP)) };
        assert_eq!(reason(&headless, None).as_deref(), Some("crawler"), "a browser without a window says so");
        let hinted =
            Click { hints_mobile: Some(true), hints_platform: Some("Android".to_owned()), ..click(Some(DESKTOP)) };
        let Visitor::Human { device, os, .. } = of(&hinted, None) else { panic!("taken for a machine") };
        assert_eq!((device.as_str(), os.as_str()), ("mobile", "Android"));
    }

    #[test]
    fn a_page_is_opened_by_people_unless_a_crawler_says_so() {
        assert!(matches!(of_page(Some("okhttp/4.12.0")), Visitor::Human { .. }));
        assert!(matches!(of_page(Some("facebookexternalhit/1.1")), Visitor::Machine { .. }));
    }

    #[test]
    fn the_edge_is_believed_as_a_whole() {
        let found = Whereabouts {
            country: Some("SE".to_owned()),
            region: Some("E".to_owned()),
            city: Some("Linköping".to_owned()),
            asn: Some(29_518),
        };
        let told = Click { country: Some("MY".to_owned()), city: Some("Ipoh".to_owned()), ..click(None) };
        let both = found.clone().or_told(&told);
        assert_eq!((both.country.as_deref(), both.region, both.city.as_deref()), (Some("MY"), None, Some("Ipoh")));
        assert_eq!(found.clone().or_told(&Click { country: Some("x".to_owned()), ..click(None) }), found);
    }
}
