//! Operating systems and classes of devices, by literals that systems and devices put into user agents.

use std::borrow::Cow;
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};
use woothee::parser::WootheeResult;

use super::versions;
use crate::tokens::{Case, Row, Tokens};

/// The class of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Device {
    /// A phone with a browser.
    Mobile,
    /// A tablet. An iPad that asks for desktop pages cannot be told from a Mac.
    Tablet,
    /// A computer.
    Desktop,
    /// Anything else: consoles, televisions, feature phones; and what is not known.
    Other,
}

impl Device {
    /// The stable name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mobile => "mobile",
            Self::Tablet => "tablet",
            Self::Desktop => "desktop",
            Self::Other => "other",
        }
    }
}

/// An operating system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Os {
    /// iOS and iPadOS.
    Ios,
    /// Android, and what calls itself so: Fire OS, HarmonyOS up to 4.
    Android,
    /// HarmonyOS from 5 on, which is no Android any more.
    HarmonyOs,
    /// Windows of computers.
    Windows,
    /// Windows Phone and Windows Mobile.
    WindowsPhone,
    /// macOS, Mac OS X and their forebears.
    MacOs,
    /// Linux of computers.
    Linux,
    /// The BSDs.
    Bsd,
    /// ChromeOS.
    ChromeOs,
    /// KaiOS and Firefox OS.
    KaiOs,
    /// Samsung's Tizen and Bada.
    Tizen,
    /// BlackBerry, all generations.
    BlackBerry,
    /// Symbian.
    Symbian,
    /// webOS, of phones and of televisions.
    WebOs,
    /// Anything else, and what is not known.
    Other,
}

impl Os {
    /// The name that people know it by.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ios => "iOS",
            Self::Android => "Android",
            Self::HarmonyOs => "HarmonyOS",
            Self::Windows => "Windows",
            Self::WindowsPhone => "Windows Phone",
            Self::MacOs => "macOS",
            Self::Linux => "Linux",
            Self::Bsd => "BSD",
            Self::ChromeOs => "ChromeOS",
            Self::KaiOs => "KaiOS",
            Self::Tizen => "Tizen",
            Self::BlackBerry => "BlackBerry",
            Self::Symbian => "Symbian",
            Self::WebOs => "webOS",
            Self::Other => "other",
        }
    }
}

/// A literal that stands for a system.
struct System {
    token: &'static str,
    os: Os,
}

impl Row for System {
    fn text(&self) -> &'static str {
        self.token
    }
}

const fn system(token: &'static str, os: Os) -> System {
    System { token, os }
}

/// The first row that occurs names the system: those that name others for compatibility come before the others.
static SYSTEMS: &[System] = &[
    // Claims Android and iPhone, for pages that look for them.
    system("Windows Phone", Os::WindowsPhone),
    system("Windows CE", Os::WindowsPhone),
    system("IEMobile", Os::WindowsPhone),
    system("ZuneWP", Os::WindowsPhone),
    // Claims Android, in some of its releases.
    system("KAIOS", Os::KaiOs),
    system("Tizen", Os::Tizen),
    system("Bada", Os::Tizen),
    system("Web0S", Os::WebOs),
    system("webOS", Os::WebOs),
    system("hpwOS", Os::WebOs),
    system("BB10", Os::BlackBerry),
    system("BlackBerry", Os::BlackBerry),
    system("RIM Tablet", Os::BlackBerry),
    // Consoles: what runs beneath is nobody's choice.
    system("PlayStation", Os::Other),
    system("PLAYSTATION", Os::Other),
    system("Nintendo", Os::Other),
    // Says "like Mac OS X".
    system("iPhone", Os::Ios),
    system("iPad", Os::Ios),
    system("iPod", Os::Ios),
    system("(iOS;", Os::Ios),
    // Browsers of iOS that ask for desktop pages, and say they are on a Mac.
    system("CriOS/", Os::Ios),
    system("FxiOS/", Os::Ios),
    system("EdgiOS/", Os::Ios),
    system("WAiOS/", Os::Ios),
    system("AppleTV", Os::Other),
    system("FBAN/FBIOS", Os::Ios),
    system("OpenHarmony", Os::HarmonyOs),
    // Says Linux.
    system("Android", Os::Android),
    system("FB4A", Os::Android),
    system("android", Os::Android),
    // Amazon's, and Meta's glasses, when they ask for desktop pages.
    system("Silk/", Os::Android),
    system("OculusBrowser/", Os::Android),
    system("Adr ", Os::Android),
    system("/Adr(", Os::Android),
    system("HarmonyOS", Os::HarmonyOs),
    system("CrOS", Os::ChromeOs),
    system("SymbianOS", Os::Symbian),
    system("Symbian", Os::Symbian),
    system("SymbOS", Os::Symbian),
    system("Series60", Os::Symbian),
    system("Series 60", Os::Symbian),
    system("Windows", Os::Windows),
    system("Win98", Os::Windows),
    system("Win95", Os::Windows),
    system("WinNT", Os::Windows),
    system("Macintosh", Os::MacOs),
    system("Mac OS X", Os::MacOs),
    system("Mac_PowerPC", Os::MacOs),
    system("macOS", Os::MacOs),
    system("FreeBSD", Os::Bsd),
    system("OpenBSD", Os::Bsd),
    system("NetBSD", Os::Bsd),
    system("DragonFly", Os::Bsd),
    system("Ubuntu", Os::Linux),
    system("Linux", Os::Linux),
    system("X11", Os::Linux),
];

static SYSTEM_TABLE: LazyLock<Tokens<System>> = LazyLock::new(|| Tokens::new(SYSTEMS, Case::Exact));

/// A literal that stands for a class of devices, whatever their system.
struct Gadget {
    token: &'static str,
    device: Device,
}

impl Row for Gadget {
    fn text(&self) -> &'static str {
        self.token
    }
}

const fn gadget(token: &'static str, device: Device) -> Gadget {
    Gadget { token, device }
}

/// The first row that occurs decides, before the system does.
static GADGETS: &[Gadget] = &[
    // Televisions and what is plugged into them; cars; glasses; watches.
    gadget("smart-tv", Device::Other),
    gadget("smarttv", Device::Other),
    gadget("smart tv", Device::Other),
    gadget("googletv", Device::Other),
    gadget("google tv", Device::Other),
    gadget("appletv", Device::Other),
    gadget("android tv", Device::Other),
    gadget("hbbtv", Device::Other),
    gadget("netcast", Device::Other),
    gadget("web0s", Device::Other),
    gadget("bravia", Device::Other),
    gadget("-dtv", Device::Other),
    gadget("roku", Device::Other),
    gadget("crkey", Device::Other),
    gadget("; aft", Device::Other),
    gadget("tesla/", Device::Other),
    gadget("qtcarbrowser", Device::Other),
    gadget("oculusbrowser", Device::Other),
    gadget(" vr safari", Device::Other),
    gadget("watchos", Device::Other),
    // Consoles.
    gadget("playstation", Device::Other),
    gadget("nintendo", Device::Other),
    gadget("xbox", Device::Other),
    // Readers of books.
    gadget("kindle/", Device::Other),
    gadget("kobo touch", Device::Other),
    gadget("nook browser", Device::Other),
    // Feature phones: Java profiles, and the browsers of their time.
    gadget("midp", Device::Other),
    gadget("j2me", Device::Other),
    gadget("cldc", Device::Other),
    gadget("up.browser", Device::Other),
    gadget("up.link", Device::Other),
    gadget("docomo", Device::Other),
    gadget("kddi-", Device::Other),
    // Tablets that call themselves so, and Amazon's, whose models begin with KF.
    gadget("ipad", Device::Tablet),
    gadget("rim tablet", Device::Tablet),
    gadget("playbook", Device::Tablet),
    gadget("; kf", Device::Tablet),
    gadget("android; tablet", Device::Tablet),
    gadget("iphone", Device::Mobile),
    gadget("ipod", Device::Mobile),
    gadget("opera mini/", Device::Mobile),
];

static GADGET_TABLE: LazyLock<Tokens<Gadget>> = LazyLock::new(|| Tokens::new(GADGETS, Case::Ignored));

/// The system that our table knows the agent by.
pub(super) fn named(agent: &str) -> Option<Os> {
    SYSTEM_TABLE.first(agent).map(|found| found.row.os)
}

/// The system by the parser's name of it. Those that it tells by words of our table are in the table.
pub(super) fn of_parser(parsed: Option<&WootheeResult<'_>>) -> Os {
    match parsed.map(|parsed| parsed.os) {
        // Apps that fetch with Apple's library.
        Some("iOS") => Os::Ios,
        Some("Firefox OS") => Os::KaiOs,
        _ => Os::Other,
    }
}

/// The system and its version.
pub(super) fn os<'a>(agent: &'a str, parsed: Option<&WootheeResult<'a>>) -> (Os, Option<Cow<'a, str>>) {
    let os = named(agent).unwrap_or_else(|| of_parser(parsed));
    (os, version(agent, os, parsed))
}

fn version<'a>(agent: &'a str, os: Os, parsed: Option<&WootheeResult<'a>>) -> Option<Cow<'a, str>> {
    match os {
        Os::Ios => ios(agent),
        // Chrome says `Android 10; K` whatever the phone and its Android are.
        Os::Android if agent.contains("Android 10; K)") => None,
        Os::Android => {
            versions::after(agent, "Android ").or_else(|| versions::after(agent, "FBSV/")).map(Cow::Borrowed)
        }
        Os::Windows => windows(agent).map(Cow::Borrowed),
        // Safari and Chrome stay at 10_15_7, Firefox at 10.15.
        Os::MacOs => versions::underscored_after(agent, "Mac OS X ")
            .filter(|version| !version.starts_with("10_15_7") && *version != "10.15")
            .map(dotted),
        Os::KaiOs => versions::after(agent, "KAIOS/").map(Cow::Borrowed).or_else(|| version_of_parser(parsed)),
        Os::Tizen => versions::after(agent, "Tizen ").map(Cow::Borrowed),
        Os::HarmonyOs => versions::after(agent, "OpenHarmony ").map(Cow::Borrowed),
        _ => version_of_parser(parsed),
    }
}

fn version_of_parser<'a>(parsed: Option<&WootheeResult<'a>>) -> Option<Cow<'a, str>> {
    parsed.map(|parsed| parsed.os_version.clone()).filter(|version| !version.is_empty() && version != "UNKNOWN")
}

/// Safari froze the version of the system at 18 when it took the system's number for its own, 26.
fn ios(agent: &str) -> Option<Cow<'_, str>> {
    let of_safari = versions::after(agent, "Version/");
    if let Some(version) = of_safari.filter(|version| versions::major(version).is_some_and(|major| major >= 26)) {
        return Some(Cow::Borrowed(version));
    }
    let told = versions::underscored_after(agent, "iPhone OS ")
        .or_else(|| versions::underscored_after(agent, "CPU OS "))
        .or_else(|| versions::underscored_after(agent, "FBSV/"))?;
    Some(dotted(told))
}

/// The names of the releases behind the numbers. 10.0 is Windows 10 and 11 alike.
fn windows(agent: &str) -> Option<&'static str> {
    const RELEASES: [(&str, &str); 6] =
        [("5.0", "2000"), ("5.1", "XP"), ("6.0", "Vista"), ("6.1", "7"), ("6.2", "8"), ("6.3", "8.1")];
    let number = versions::after(agent, "Windows NT ")?;
    RELEASES.iter().find(|(known, _)| *known == number).map(|(_, release)| *release)
}

fn dotted(version: &str) -> Cow<'_, str> {
    if version.contains('_') { Cow::Owned(version.replace('_', ".")) } else { Cow::Borrowed(version) }
}

/// The class of the device: by its name, else by its system.
pub(super) fn device(agent: &str, os: Os, parsed: Option<&WootheeResult<'_>>) -> Device {
    if let Some(found) = GADGET_TABLE.first(agent) {
        return found.row.device;
    }
    match os {
        Os::Android if is_phone(agent) => Device::Mobile,
        Os::Android => Device::Tablet,
        Os::Windows | Os::MacOs | Os::Linux | Os::Bsd | Os::ChromeOs => Device::Desktop,
        // An iPad: iPhones name themselves.
        Os::Ios if agent.contains("Macintosh") => Device::Tablet,
        Os::Ios | Os::WindowsPhone | Os::KaiOs | Os::HarmonyOs | Os::Symbian => Device::Mobile,
        Os::BlackBerry | Os::Tizen | Os::WebOs if agent.contains("Mobile") => Device::Mobile,
        Os::BlackBerry | Os::Tizen | Os::WebOs => Device::Other,
        Os::Other => match parsed.map(|parsed| parsed.category) {
            Some("smartphone") => Device::Mobile,
            Some("pc") => Device::Desktop,
            _ => Device::Other,
        },
    }
}

/// Browsers on Android say `Mobile` on phones and leave it out on tablets; apps that write an agent of their own say neither.
fn is_phone(agent: &str) -> bool {
    agent.contains("Mobi") || !agent.starts_with("Mozilla/")
}
