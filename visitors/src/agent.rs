//! On what: device class, operating system and browser of a user agent, refined by the client hints that Chromium sends.
//!
//! Our own tables come first, for they know what the parser behind them does not: tablets, the browsers of phone makers, and
//! the browsers inside apps. What no table knows, woothee may. Whether the sender is a person is [`crate::verdict`]'s.

mod hints;
mod products;
mod systems;
mod versions;

use std::borrow::Cow;

use woothee::parser::{Parser, WootheeResult};

pub use self::hints::ClientHints;
pub use self::systems::{Device, Os};

/// What a user agent tells of its sender. All of it is the sender's word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agent<'a> {
    /// The class of the device.
    pub device: Device,
    /// The operating system.
    pub os: Os,
    /// Its version with dots, as far as the agent tells: frozen values, that browsers send whatever the system is
    /// (`Android 10; K`, `Windows NT 10.0`, `Mac OS X 10_15_7`), are no versions.
    pub os_version: Option<Cow<'a, str>>,
    /// The browser, or the app whose built-in browser it is; `unknown` when nothing is named.
    pub browser: &'a str,
    /// The version of what `browser` names.
    pub browser_version: Option<&'a str>,
    /// Where the page is shown.
    pub surface: Surface,
}

/// Where the page is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Surface {
    /// In a browser of its own.
    Browser,
    /// In the browser that is built into this app.
    InApp(&'static str),
    /// In a web view of an app that does not say its name.
    WebView,
}

/// Reads a user agent; what it does not tell is `unknown` or absent. Client hints, if the browser sent them, decide on the
/// system and on phone or not.
#[must_use]
pub fn read<'a>(user_agent: &'a str, hints: &ClientHints<'_>) -> Agent<'a> {
    let parsed = Parser::new().parse(user_agent);
    read_parsed(user_agent, parsed.as_ref(), hints)
}

/// The operating system alone, the same as [`read`] tells. The parser is asked only when neither the hints nor our own table
/// know it, so that its regular expressions are not built for who needs no more.
#[must_use]
pub fn os(user_agent: &str, hints: &ClientHints<'_>) -> Os {
    let known = hints.os().or_else(|| systems::named(user_agent));
    known.unwrap_or_else(|| systems::of_parser(Parser::new().parse(user_agent).as_ref()))
}

/// As [`read`], for who has asked the parser already: it is the dearest part.
pub(crate) fn read_parsed<'a>(
    user_agent: &'a str,
    parsed: Option<&WootheeResult<'a>>,
    hints: &ClientHints<'_>,
) -> Agent<'a> {
    let (told_os, os_version) = systems::os(user_agent, parsed);
    let os = hints.os().unwrap_or(told_os);
    let device = hints.device(systems::device(user_agent, told_os, parsed), os);
    let (browser, browser_version, surface) = products::named(user_agent, told_os, parsed);
    // The version is that of the system which the agent names, so it goes when the hints name another one.
    let os_version = os_version.filter(|_| os == told_os);
    Agent { device, os, os_version, browser, browser_version, surface }
}

/// The app whose built-in browser it is.
pub(crate) fn in_app(user_agent: &str) -> Option<&'static str> {
    products::in_app(user_agent)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANDROID: &str = "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Mobile Safari/537.36";

    fn of(agent: &str) -> Agent<'_> {
        read(agent, &ClientHints::default())
    }

    #[test]
    fn a_frozen_version_of_the_system_is_no_version() {
        assert_eq!(of(ANDROID).os_version, None);
        let windows = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0";
        assert_eq!((of(windows).os, of(windows).os_version), (Os::Windows, None));
        let mac = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Safari/605.1.15";
        assert_eq!((of(mac).os, of(mac).os_version), (Os::MacOs, None));
    }

    #[test]
    fn a_version_that_an_agent_tells_is_read() {
        let version = |agent| of(agent).os_version.map(Cow::into_owned);
        let android = "Mozilla/5.0 (Linux; Android 15; SM-A155M) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Mobile Safari/537.36";
        assert_eq!(version(android).as_deref(), Some("15"));
        let ios = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_6_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.6 Mobile/15E148 Safari/604.1";
        assert_eq!(version(ios).as_deref(), Some("17.6.1"));
        let windows_7 =
            "Mozilla/5.0 (Windows NT 6.1; WOW64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/50.0.0.0 Safari/537.36";
        assert_eq!(version(windows_7).as_deref(), Some("7"));
    }

    #[test]
    fn from_ios_26_on_safari_tells_the_version_that_the_system_does_not() {
        let ios = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_7 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.1 Mobile/15E148 Safari/604.1";
        assert_eq!(of(ios).os_version.as_deref(), Some("26.1"));
    }

    #[test]
    fn client_hints_beat_the_user_agent() {
        let desktop_site =
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36";
        let hints = ClientHints { mobile: Some("?1"), platform: Some("\"Android\""), brands: None };
        let agent = read(desktop_site, &hints);
        assert_eq!((agent.device, agent.os, agent.os_version), (Device::Mobile, Os::Android, None));
    }

    #[test]
    fn the_parser_tells_the_systems_that_no_table_knows() {
        let none = ClientHints::default();
        assert_eq!(os("Mozilla/5.0 (Mobile; rv:26.0) Gecko/26.0 Firefox/26.0", &none), Os::KaiOs);
        assert_eq!(os("ShopApp/7 CFNetwork/1410.0.3 Darwin/22.6.0", &none), Os::Ios);
        assert_eq!(os("curl/8.5.0", &none), Os::Other);
    }

    #[test]
    fn android_that_is_no_phone_is_a_tablet() {
        let hints = ClientHints { mobile: Some("?0"), platform: Some("\"Android\""), brands: None };
        assert_eq!(read(ANDROID, &hints).device, Device::Tablet);
    }

    #[test]
    fn the_browser_inside_an_app_goes_by_the_name_of_the_app() {
        let agent = "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.7390.124 Mobile Safari/537.36 [WA4A/2.25.32.75;]";
        let agent = of(agent);
        assert_eq!((agent.browser, agent.browser_version), ("WhatsApp", Some("2.25.32.75")));
        assert_eq!(agent.surface, Surface::InApp("WhatsApp"));
    }

    #[test]
    fn an_app_that_does_not_say_its_name_is_a_web_view() {
        let ios = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148";
        let android = "Mozilla/5.0 (Linux; Android 15; Pixel 8 Build/AP3A; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/131.0.0.0 Mobile Safari/537.36";
        assert_eq!(of(ios).surface, Surface::WebView);
        assert_eq!(of(android).surface, Surface::WebView);
    }

    #[test]
    fn a_feature_phone_is_neither_a_smartphone_nor_a_computer() {
        assert_eq!(of("Nokia6280/2.0 (03.60) Profile/MIDP-2.0 Configuration/CLDC-1.1").device, Device::Other);
        let console = "Mozilla/5.0 (PlayStation; PlayStation 5/2.26) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/13.0 Safari/605.1.15";
        assert_eq!(of(console).device, Device::Other);
    }

    #[test]
    fn nothing_told_is_nothing_known() {
        let agent = of("");
        assert_eq!((agent.device, agent.os, agent.browser), (Device::Other, Os::Other, "unknown"));
    }
}
