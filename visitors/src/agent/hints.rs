//! Client hints: what Chromium sends by default over HTTPS (`Sec-CH-UA`, `Sec-CH-UA-Mobile`, `Sec-CH-UA-Platform`). Safari and
//! Firefox send none. <https://wicg.github.io/ua-client-hints/>

use super::systems::{Device, Os};

/// The low-entropy client hints of a request, as the headers hold them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClientHints<'a> {
    /// `Sec-CH-UA-Mobile`: `?1` or `?0`.
    pub mobile: Option<&'a str>,
    /// `Sec-CH-UA-Platform`: a quoted name, such as `"Android"`.
    pub platform: Option<&'a str>,
    /// `Sec-CH-UA`: a list of quoted brands with their versions.
    pub brands: Option<&'a str>,
}

/// The names of platforms that the specification lists, and what they are here.
const PLATFORMS: [(&str, Os); 8] = [
    ("Android", Os::Android),
    ("Chrome OS", Os::ChromeOs),
    ("Chromium OS", Os::ChromeOs),
    ("Fuchsia", Os::Other),
    ("iOS", Os::Ios),
    ("Linux", Os::Linux),
    ("macOS", Os::MacOs),
    ("Windows", Os::Windows),
];

/// Brands of browsers that nobody looks at.
const MACHINE_BRANDS: [&str; 1] = ["HeadlessChrome"];

impl ClientHints<'_> {
    /// The platform, if the browser names one that we know.
    pub(crate) fn os(&self) -> Option<Os> {
        let name = self.platform?.trim().trim_matches('"');
        PLATFORMS.iter().find(|(platform, _)| *platform == name).map(|(_, os)| *os)
    }

    /// The device: what the user agent said, unless the browser says phone or no phone.
    pub(crate) fn device(&self, told: Device, os: Os) -> Device {
        match (self.mobile.map(str::trim), told, os) {
            // A television or a console that calls itself mobile stays what it is.
            (Some("?1"), Device::Desktop | Device::Tablet, _) => Device::Mobile,
            (Some("?0"), Device::Mobile, Os::Android | Os::Ios) => Device::Tablet,
            (Some("?0"), Device::Mobile, _) => Device::Desktop,
            // The agent of a tablet in the mode for desktop pages names a system for desktops.
            (Some("?0"), Device::Desktop, Os::Android) => Device::Tablet,
            _ => told,
        }
    }

    /// Whether a browser without a window says so.
    pub(crate) fn names_machine(&self) -> bool {
        self.brands.is_some_and(|brands| MACHINE_BRANDS.iter().any(|brand| brands.contains(brand)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_platform_says_nothing() {
        let hints = ClientHints { platform: Some("\"Unknown\""), ..ClientHints::default() };
        assert_eq!(hints.os(), None);
    }

    #[test]
    fn without_hints_the_user_agent_stands() {
        assert_eq!(ClientHints::default().device(Device::Desktop, Os::Android), Device::Desktop);
    }

    #[test]
    fn a_television_stays_one() {
        let hints = ClientHints { mobile: Some("?1"), ..ClientHints::default() };
        assert_eq!(hints.device(Device::Other, Os::Android), Device::Other);
    }
}
