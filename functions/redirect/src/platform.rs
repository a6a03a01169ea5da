//! For which platform a link's targets are asked: the system of the visitor's device, as the crate `visitors` tells it here and
//! for reports.

use shared::link::targets::Platform;
use visitors::agent::{ClientHints, Os, os};

/// The platform by the browser's hint (`Sec-CH-UA-Platform`, W3C User-Agent Client Hints), else by the user agent.
pub(crate) fn of(user_agent: Option<&str>, hint: Option<&str>) -> Platform {
    let hints = ClientHints { platform: hint, ..ClientHints::default() };
    match os(user_agent.unwrap_or_default(), &hints) {
        Os::Ios => Platform::Ios,
        Os::Android => Platform::Android,
        Os::Windows | Os::MacOs | Os::Linux | Os::Bsd | Os::ChromeOs => Platform::Desktop,
        Os::HarmonyOs
        | Os::WindowsPhone
        | Os::KaiOs
        | Os::Tizen
        | Os::BlackBerry
        | Os::Symbian
        | Os::WebOs
        | Os::Other => Platform::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phones_and_computers_are_told_apart() {
        let of_agent = |agent: &str| of(Some(agent), None);
        assert_eq!(of_agent("Mozilla/5.0 (iPhone; CPU iPhone OS 18_7 like Mac OS X) Mobile/15E148"), Platform::Ios);
        assert_eq!(of_agent("Mozilla/5.0 (iPad; CPU OS 18_7 like Mac OS X)"), Platform::Ios);
        assert_eq!(of_agent("Mozilla/5.0 (Linux; Android 10; K) [WA4A/2.25.32.75;]"), Platform::Android);
        assert_eq!(of_agent("Mozilla/5.0 (Windows NT 10.0; Win64; x64)"), Platform::Desktop);
        assert_eq!(of_agent("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7)"), Platform::Desktop);
        assert_eq!(of_agent("Mozilla/5.0 (Windows Phone 10.0; Android 6.0.1; NOKIA)"), Platform::Other);
        assert_eq!(of_agent("WhatsApp/2.23.20.0"), Platform::Other);
        assert_eq!(of(None, None), Platform::Other);
    }

    #[test]
    fn the_browsers_hint_is_believed_before_its_user_agent() {
        let desktop = "Mozilla/5.0 (X11; Linux x86_64) Chrome/142.0.0.0";
        assert_eq!(of(Some(desktop), Some("Android")), Platform::Android);
        assert_eq!(of(Some(desktop), Some("Unknown")), Platform::Desktop);
    }

    #[test]
    fn a_phone_that_asks_for_desktop_pages_is_a_phone() {
        let mac = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko)";
        assert_eq!(of(Some(mac), Some("iOS")), Platform::Ios);
        assert_eq!(of(Some(&format!("{mac} CriOS/142.0.7444.128 Mobile/15E148")), None), Platform::Ios);
        assert_eq!(of(Some(mac), None), Platform::Desktop);
    }
}
