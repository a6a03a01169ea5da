//! What a browser's user agent looks like, whatever it says: `Mozilla/x.y (…`, as all have written it since Netscape.

use super::Reason;
use crate::agent;

/// Beginnings of user agents of browsers that do not write as the others do.
const BROWSERS: [&str; 12] = [
    // Opera before it became a Chromium; UC's proxy browser.
    "Opera/",
    "UCWEB/",
    "OneBrowser/",
    // Text browsers, and those of systems that never had another.
    "Lynx/",
    "Links (",
    "ELinks/",
    "w3m/",
    "Dillo/",
    "NetSurf/",
    "NCSA_Mosaic/",
    "IBrowse/",
    "AmigaVoyager/",
];

/// Parts of user agents of feature phones: their Java profiles, and the browsers that phone makers bought.
const FEATURE_PHONE_PARTS: [&str; 12] = [
    "Profile/",
    "MIDP",
    "CLDC",
    "UP.Browser",
    "UP.Link",
    "NetFront",
    "Obigo",
    "Teleca",
    "MAUI",
    "Novarra",
    "UNTRUSTED/",
    "OpenWave",
];

/// Beginnings of user agents of phones that name the model first.
const PHONE_MAKERS: [&str; 40] = [
    "Alcatel",
    "ALCATEL",
    "BenQ",
    "BlackBerry",
    "DoCoMo/",
    "Ericsson",
    "HTC",
    "HUAWEI",
    "Huawei",
    "J-PHONE/",
    "KDDI-",
    "KONKA",
    "KYOCERA",
    "LENOVO",
    "LG-",
    "LG/",
    "LGE-",
    "MOT-",
    "Motorola",
    "NEC-",
    "Nokia",
    "NOKIA",
    "PANTECH",
    "Palm",
    "Panasonic",
    "PHILIPS",
    "SAGEM",
    "SAMSUNG-",
    "SAMSUNG;",
    "Samsung",
    "SANYO",
    "SEC-",
    "SHARP",
    "SIE-",
    "SonyEricsson",
    "SoftBank/",
    "TIANYU",
    "Vodafone/",
    "WILLCOM",
    "ZTE",
];

/// Whoever follows a link and is no browser reads the page for somebody else.
pub(super) fn judge(agent: &str) -> Option<Reason> {
    let browser = is_mozilla(agent)
        || BROWSERS.iter().any(|start| agent.starts_with(start))
        || is_phone(agent)
        || agent::in_app(agent).is_some();
    if !browser || names_no_system(agent) {
        return Some(Reason::Client);
    }
    (has_driver(agent) || adds_to_linux(agent) || adds_to_gecko(agent)).then_some(Reason::Crawler)
}

/// `Mozilla/`, a version, and further on a comment in parentheses.
fn is_mozilla(agent: &str) -> bool {
    let Some(rest) = agent.strip_prefix("Mozilla/") else { return false };
    // Some phones of Sony Ericsson leave out the space.
    let end = rest.find([' ', '(']).unwrap_or(rest.len());
    let (version, rest) = rest.split_at(end);
    version.starts_with(|c: char| c.is_ascii_digit())
        && version.chars().all(|c| c.is_ascii_digit() || c == '.')
        && rest.contains('(')
}

/// Browsers write products with versions. A word without one behind the last product of a browser on a Linux desktop is the
/// name of a program that drives the browser on a server; on other systems apps of people do so as well.
fn has_driver(agent: &str) -> bool {
    let Some(("Mozilla/5.0 (X11; Linux x86_64", rest)) = agent.split_once(')') else { return false };
    let Some((_, behind)) = rest.rsplit_once(" Safari/") else { return false };
    let Some((_, words)) = behind.split_once(' ') else { return false };
    words != "Brave" && !words.is_empty() && words.chars().all(|c| c.is_ascii_alphabetic() || c == ' ')
}

/// What browsers run on; the usual ones first.
const SYSTEMS: [&str; 53] = [
    "Android",
    "iPhone",
    "Win",
    "Mac",
    "Linux",
    "X11",
    "iPad",
    "compatible",
    "iPod",
    "iOS",
    "CrOS",
    "Mobile",
    "Tablet",
    "TV",
    "KAIOS",
    "Harmony",
    "Fuchsia",
    "Tizen",
    "Bada",
    "bada",
    "webOS",
    "Web0S",
    "hpwOS",
    "BlackBerry",
    "BB10",
    "RIM",
    "Symb",
    "Series",
    "Nokia",
    "Phone",
    "MeeGo",
    "Maemo",
    "BREW",
    "Brew",
    "Qt",
    "DirectFB",
    "PlayStation",
    "PLAYSTATION",
    "PSP",
    "PS3",
    "Nintendo",
    "Xbox",
    "BSD",
    "SunOS",
    "BeOS",
    "Haiku",
    "Danger",
    "CrKey",
    "Roku",
    "Amiga",
    "OS/2",
    "linux",
    // No system, but Firefox, where its owner has changed the rest.
    "rv:",
];

/// A browser of today says somewhere what it runs on.
fn names_no_system(agent: &str) -> bool {
    agent.starts_with("Mozilla/5.0 (") && !SYSTEMS.iter().any(|system| agent.contains(system)) && !is_phone(agent)
}

/// What Chromium's comment on a 64-bit Linux desktop has in it besides: the windows, some distributions, languages. Services
/// that look at pages run there, and write their names into it.
fn adds_to_linux(agent: &str) -> bool {
    const USUAL: [&str; 13] = [
        "", "X11", "U", "Wayland", "Linux", "x86_64", "Ubuntu", "Fedora", "Debian", "Valve", // Glasses.
        "Quest", "PICO", "Pico",
    ];
    let Some(rest) = agent.strip_prefix("Mozilla/5.0 (X11; ") else { return false };
    let Some((comment, _)) = rest.split_once(')') else { return false };
    let is_usual = |part: &str| {
        let word = part.split([' ', '/']).next().unwrap_or_default();
        let is_language = part.len() <= 5 && part.starts_with(|c: char| c.is_ascii_lowercase());
        USUAL.contains(&word) || is_language
    };
    // Of Firefox each distribution makes its own, with its name there.
    agent.contains(" Chrome/")
        && comment.contains("Linux x86_64")
        && !comment.split(';').all(|part| is_usual(part.trim()))
}

/// Browsers end that comment with `like Gecko`. Some of old went on with `Safari`.
fn adds_to_gecko(agent: &str) -> bool {
    let Some((_, rest)) = agent.split_once("(KHTML, like Gecko, ") else { return false };
    !rest.starts_with("Safari")
}

fn is_phone(agent: &str) -> bool {
    PHONE_MAKERS.iter().any(|maker| agent.starts_with(maker))
        || FEATURE_PHONE_PARTS.iter().any(|part| agent.contains(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phones_from_before_the_smartphone_are_peoples() {
        assert_eq!(judge("Nokia6280/2.0 (03.60) Profile/MIDP-2.0 Configuration/CLDC-1.1"), None);
        assert_eq!(judge("SAMSUNG-SGH-D900-VODA"), None);
    }

    #[test]
    fn an_app_that_writes_its_own_agent_is_peoples_if_it_is_known() {
        assert_eq!(judge("[FBAN/FB4A;FBAV/567.1.0.52.74;FBLC/nl_NL;]"), None);
    }

    #[test]
    fn a_word_without_a_version_on_a_linux_desktop_names_who_drives_the_browser() {
        let linux =
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/139.0.0.0 Safari/537.36";
        assert_eq!(judge(linux), None);
        assert_eq!(judge(&format!("{linux} OPR/124.0.0.0")), None);
        assert_eq!(judge(&format!("{linux} PageGauge")), Some(Reason::Crawler));
        let mac = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/139.0.0.0 Safari/537.36 Examiner";
        assert_eq!(judge(mac), None);
    }

    #[test]
    fn a_browser_of_today_says_what_it_runs_on() {
        assert_eq!(judge("Mozilla/5.0 (SiteWatcher/1.0)"), Some(Reason::Client));
        assert_eq!(judge("Mozilla/5.0 (Examiner) AppleWebKit/537.36 (KHTML, like Gecko)"), Some(Reason::Client));
        for person in [
            "Mozilla/5.0 (Mobile; Nokia 8110 4G; rv:48.0) Gecko/48.0 Firefox/48.0 KAIOS/2.5",
            "Mozilla/5.0 (PlayStation; PlayStation 5/2.26) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/13.0 Safari/605.1.15",
            "Mozilla/4.0 (PDA; NF35WMPRO/1.0) NetFront/3.5",
        ] {
            assert_eq!(judge(person), None, "{person}");
        }
    }

    #[test]
    fn who_writes_a_name_into_the_comments_of_a_browser_is_none() {
        let linux = |comment: &str| {
            judge(&format!(
                "Mozilla/5.0 (X11; {comment}) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/139.0.0.0 Safari/537.36"
            ))
        };
        assert_eq!(linux("Examiner; Linux x86_64"), Some(Reason::Crawler));
        assert_eq!(linux("Linux x86_64; Examiner"), Some(Reason::Crawler));
        for usual in ["Linux x86_64", "U; Linux x86_64; en-US", "Ubuntu; Linux x86_64", "CrOS x86_64 14541.0.0"] {
            assert_eq!(linux(usual), None, "{usual}");
        }
        let firefox = "Mozilla/5.0 (X11; Examiner; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";
        assert_eq!(judge(firefox), None, "it may be a distribution");
        let windows = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko";
        assert_eq!(judge(&format!("{windows}, Examiner) Chrome/139.0.0.0 Safari/537.36")), Some(Reason::Crawler));
        assert_eq!(judge(&format!("{windows}) Chrome/139.0.0.0 Safari/537.36")), None);
    }

    #[test]
    fn what_looks_like_no_browser_is_a_client() {
        for client in
            ["Mozilla", "Mozilla/5.0", "Mozilla/5.0+(compatible)", "Mozilla/x (y)", "mozilla/5.0 (x)", "SomeApp/1.0"]
        {
            assert_eq!(judge(client), Some(Reason::Client), "{client}");
        }
    }
}
