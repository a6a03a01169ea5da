//! Browsers and the apps they are built into, by the tokens they put into their user agents.

use std::sync::LazyLock;

use woothee::parser::WootheeResult;

use super::Surface;
use super::systems::Os;
use super::versions;
use crate::tokens::{Case, Row, Tokens};

/// A token of a product, and the product's name.
struct Product {
    token: &'static str,
    name: &'static str,
    kind: Kind,
}

/// What names itself so.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// An app that shows pages itself.
    App,
    /// A browser.
    Browser,
}

const fn app(token: &'static str, name: &'static str) -> Product {
    Product { token, name, kind: Kind::App }
}

const fn browser(token: &'static str, name: &'static str) -> Product {
    Product { token, name, kind: Kind::Browser }
}

/// The first row that occurs names the product: apps before browsers, because the browser inside an app names both, and what
/// is built on a browser before that browser, because it names both as well.
static PRODUCTS: &[Product] = &[
    // WhatsApp's in-app browser (Android, iOS). `WhatsApp/2.…` is its preview fetcher and is not in this table.
    app("WA4A/", "WhatsApp"),
    app("WAiOS/", "WhatsApp"),
    // Meta: Instagram and Threads before Facebook, whose block of `FB…` fields the others carry as well.
    app("Instagram", "Instagram"),
    app("Barcelona", "Threads"),
    app("FBAN/Messenger", "Messenger"),
    app("FB_IAB/Orca", "Messenger"),
    app("FBAN/", "Facebook"),
    app("FB_IAB/", "Facebook"),
    app("FBAV/", "Facebook"),
    app("MetaIAB", "Facebook"),
    // ByteDance: the token of the app, of its oldest name, and of its web view.
    app("musical_ly", "TikTok"),
    app("trill_", "TikTok"),
    app("TikTok", "TikTok"),
    app("BytedanceWebview", "TikTok"),
    app("LinkedInApp", "LinkedIn"),
    app("Snapchat", "Snapchat"),
    app("Pinterest/", "Pinterest"),
    app("[Pinterest", "Pinterest"),
    app("Twitter for", "X"),
    app("TwitterAndroid", "X"),
    app("Telegram-Android", "Telegram"),
    app("Viber", "Viber"),
    app("MicroMessenger/", "WeChat"),
    app("KAKAOTALK", "KakaoTalk"),
    app(" Line/", "LINE"),
    app("Zalo ", "Zalo"),
    app("DingTalk", "DingTalk"),
    app("AlipayClient", "Alipay"),
    app("baiduboxapp", "Baidu"),
    app("BingSapphire", "Bing"),
    app("BingWeb", "Bing"),
    app("Flipboard", "Flipboard"),
    app("GoogleApp/", "Google app"),
    app("GSA/", "Google app"),
    app("YaSearchBrowser", "Yandex app"),
    app("YaApp_", "Yandex app"),
    // Of Chromium and WebKit, under names of their own.
    browser("EdgA/", "Edge"),
    browser("EdgiOS/", "Edge"),
    browser("EdgW/", "Edge"),
    browser("Edg/", "Edge"),
    browser("Edge/", "Edge"),
    browser("SamsungBrowser/", "Samsung Internet"),
    browser("Opera Mini/", "Opera Mini"),
    browser("OPiOS/", "Opera Mini"),
    browser("OPT/", "Opera Touch"),
    browser("OPX/", "Opera GX"),
    browser("OPRGX/", "Opera GX"),
    browser("OPR/", "Opera"),
    browser("Opera Mobi/", "Opera Mobile"),
    browser("UCBrowser", "UC Browser"),
    browser("UBrowser/", "UC Browser"),
    browser("UCWEB", "UC Browser"),
    // Of phone makers.
    browser("MiuiBrowser/", "Mi Browser"),
    browser("HuaweiBrowser/", "Huawei Browser"),
    browser("HonorBrowser/", "Honor Browser"),
    browser("VivoBrowser/", "Vivo Browser"),
    browser("HeyTapBrowser/", "HeyTap Browser"),
    browser("RealmeBrowser/", "Realme Browser"),
    browser("OppoBrowser/", "Oppo Browser"),
    browser("PHX/", "Phoenix"),
    browser("Silk/", "Silk"),
    browser("Silk-Accelerated", "Silk"),
    browser("DuckDuckGo/", "DuckDuckGo"),
    browser("Ddg/", "DuckDuckGo"),
    browser("YaBrowser/", "Yandex Browser"),
    browser("Vivaldi/", "Vivaldi"),
    browser("Whale/", "Whale"),
    browser("coc_coc_browser/", "Cốc Cốc"),
    browser("MQQBrowser/", "QQ Browser"),
    browser("QQBrowser/", "QQ Browser"),
    browser("MetaSr", "Sogou Explorer"),
    browser("360SE", "360 Browser"),
    browser("QihooBrowser/", "360 Browser"),
    browser("Quark/", "Quark"),
    browser("Puffin/", "Puffin"),
    browser("Maxthon", "Maxthon"),
    browser("Avast/", "Avast Secure Browser"),
    browser("AVG/", "AVG Secure Browser"),
    browser("Ecosia", "Ecosia"),
    browser("AlohaBrowser/", "Aloha"),
    browser("Sleipnir/", "Sleipnir"),
    browser("SznProhlizec/", "Seznam Browser"),
    browser("OculusBrowser/", "Meta Quest Browser"),
    browser("Brave", "Brave"),
    browser("Iron", "Iron"),
    browser("Epiphany/", "GNOME Web"),
    // Of Gecko.
    browser("Focus/", "Firefox Focus"),
    browser("Klar/", "Firefox Focus"),
    browser("Rocket/", "Firefox Lite"),
    browser("PaleMoon/", "Pale Moon"),
    browser("SeaMonkey/", "SeaMonkey"),
    browser("Waterfox/", "Waterfox"),
    browser("FxiOS/", "Firefox"),
    browser("Firefox/", "Firefox"),
    // The engines' own.
    browser("CriOS/", "Chrome"),
    browser("Chromium/", "Chromium"),
    browser("Konqueror/", "Konqueror"),
    browser("NetFront", "NetFront"),
    browser("UP.Browser", "Openwave"),
    browser("Lynx/", "Lynx"),
    browser("ELinks/", "ELinks"),
    browser("w3m/", "w3m"),
    browser("MSIE ", "Internet Explorer"),
    browser("IEMobile", "Internet Explorer"),
    browser("Trident/", "Internet Explorer"),
];

impl Row for Product {
    fn text(&self) -> &'static str {
        self.token
    }

    /// Apps name themselves at the start of a word: `Line/` is no part of another name.
    fn counts(&self, agent: &str, start: usize, _end: usize) -> bool {
        let before = agent.get(..start).and_then(|before| before.chars().next_back());
        // Snapchat for Android leaves no space behind Safari's version.
        self.kind == Kind::App || before.is_none_or(|c| !c.is_ascii_alphabetic())
    }
}

static TABLE: LazyLock<Tokens<Product>> = LazyLock::new(|| Tokens::new(PRODUCTS, Case::Exact));

/// The app whose built-in browser it is.
pub(super) fn in_app(agent: &str) -> Option<&'static str> {
    TABLE.first(agent).filter(|found| found.row.kind == Kind::App).map(|found| found.row.name)
}

/// Name and version of the browser, and where it shows the page.
pub(super) fn named<'a>(
    agent: &'a str,
    os: Os,
    parsed: Option<&WootheeResult<'a>>,
) -> (&'a str, Option<&'a str>, Surface) {
    if let Some(found) = TABLE.first(agent) {
        let version = match found.row.token {
            // The version of the app stands in a field of its own.
            "FBAN/" | "FB_IAB/" | "FBAN/Messenger" | "FB_IAB/Orca" => versions::after(agent, "FBAV/"),
            // Version 11 is told by the field that browsers like it have.
            "Trident/" => versions::after(agent, "rv:"),
            _ => versions::leading(found.rest),
        };
        let surface = match found.row.kind {
            Kind::App => Surface::InApp(found.row.name),
            Kind::Browser => Surface::Browser,
        };
        return (found.row.name, version, surface);
    }
    if is_web_view(agent, os) {
        let engine = ["Chrome/", "Version/"].iter().find_map(|token| versions::after(agent, token));
        return ("WebView", engine, Surface::WebView);
    }
    if let Some(version) = versions::after(agent, "Chrome/") {
        return ("Chrome", Some(version), Surface::Browser);
    }
    let known = |text: &&str| !text.is_empty() && *text != "UNKNOWN";
    let name = parsed.map(|parsed| parsed.name).filter(known).unwrap_or("unknown");
    (name, parsed.map(|parsed| parsed.version).filter(known), Surface::Browser)
}

/// Android marks its web views; the browsers of iOS end with `Safari/…`, and its web views do not.
fn is_web_view(agent: &str, os: Os) -> bool {
    match os {
        Os::Android => agent.contains("; wv)"),
        Os::Ios => agent.starts_with("Mozilla/") && !agent.contains("Safari/"),
        _ => agent.contains("WebView/"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_inside_a_word_names_no_browser() {
        let agent =
            "Mozilla/5.0 (Linux; Android 6.0; IRON_2 Build/1; XSilk/2) Chrome/64.0.3282.137 Mobile Safari/537.36";
        assert_eq!(named(agent, Os::Android, None).0, "Chrome");
    }

    #[test]
    fn what_is_built_on_a_browser_is_not_called_by_its_name() {
        let opera_mini = "Opera/9.80 (Android; Opera Mini/7.5.33361/191.260; U; en) Presto/2.12.423 Version/12.16";
        assert_eq!(named(opera_mini, Os::Android, None), ("Opera Mini", Some("7.5.33361"), Surface::Browser));
        let edge = "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36 Edg/142.0.0.0";
        assert_eq!(named(edge, Os::Windows, None).0, "Edge");
    }
}
