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
    if !browser {
        return Some(Reason::Client);
    }
    has_driver(agent).then_some(Reason::Crawler)
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
    fn what_looks_like_no_browser_is_a_client() {
        for client in
            ["Mozilla", "Mozilla/5.0", "Mozilla/5.0+(compatible)", "Mozilla/x (y)", "mozilla/5.0 (x)", "SomeApp/1.0"]
        {
            assert_eq!(judge(client), Some(Reason::Client), "{client}");
        }
    }
}
