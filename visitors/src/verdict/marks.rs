//! Words that machines put into their user agents: the names of fetchers and libraries, and the words of their trade. One pass
//! over the agent finds them all; guards keep them from misreading people's phones and browsers.

use std::sync::LazyLock;

use super::Reason;
use crate::agent;
use crate::tokens::{Case, Row, Tokens};

/// A word, what its bearer is, and why it is in the table.
struct Mark {
    text: &'static str,
    reason: Reason,
    guard: Guard,
    scope: Scope,
    #[cfg_attr(not(test), allow(dead_code, reason = "read by whoever changes the table"))]
    why: &'static str,
}

/// Where a word has to stand to count.
#[derive(Clone, Copy)]
enum Guard {
    /// Anywhere.
    Anywhere,
    /// The agent begins with it.
    First,
    /// A word begins with it.
    Start,
    /// A word begins with it, or a part of one in `CamelCase`.
    Part,
    /// `bot`, but not Cubot's and XBot's phones, nor a word that goes on (`bottom`).
    Bot,
    /// `compatible`, but not where browsers wrote so.
    Compatible,
    /// `@` between a name and a domain.
    Address,
    /// The end of a domain that stands behind the comment on the platform, where phones have their names.
    Domain,
}

/// Whose requests it is looked for in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Scope {
    /// The machine says what it is: it is one wherever it turns up.
    Declared,
    /// It tells of who follows a link. A page's events may come from a program of the operator's own, and apps put names of
    /// networks and models into their agents that may mean anything.
    Links,
}

const fn preview(text: &'static str, why: &'static str) -> Mark {
    Mark { text, reason: Reason::Preview, guard: Guard::Anywhere, scope: Scope::Declared, why }
}

const fn client(text: &'static str, why: &'static str) -> Mark {
    Mark { text, reason: Reason::Client, guard: Guard::Start, scope: Scope::Links, why }
}

const fn declared(text: &'static str, guard: Guard, why: &'static str) -> Mark {
    Mark { text, reason: Reason::Crawler, guard, scope: Scope::Declared, why }
}

const fn trade(text: &'static str, guard: Guard, why: &'static str) -> Mark {
    Mark { text, reason: Reason::Crawler, guard, scope: Scope::Links, why }
}

const fn scanner(text: &'static str, guard: Guard, why: &'static str) -> Mark {
    Mark { text, reason: Reason::Scanner, guard, scope: Scope::Links, why }
}

/// The first row that counts gives the reason: names before words of the trade.
static MARKS: &[Mark] = &[
    Mark {
        guard: Guard::First,
        ..preview("whatsapp", "WhatsApp's fetcher is called so and nothing else; its in-app browser is a browser")
    },
    preview("facebookexternal", "Meta: previews (hit) and its older form (ua)"),
    preview("facebookcatalog", "Meta: pictures of catalogues"),
    preview("facebot", "Meta, and Apple's Messages in its name"),
    preview("meta-external", "Meta: hit, agent, fetcher, ads"),
    preview("meta-webindexer", "Meta"),
    preview("telegrambot", "Telegram's previews"),
    preview("twitterbot", "X's cards"),
    preview("slackbot", "Slack's previews; also Slack-ImgProxy"),
    preview("slack-imgproxy", "Slack's pictures"),
    preview("discordbot", "Discord's embeds"),
    preview("linkedinbot", "LinkedIn's previews"),
    preview("skypeuripreview", "Skype and Teams"),
    preview("pinterestbot", "Pinterest's pins"),
    preview("redditbot", "Reddit's previews"),
    preview("viberbot", "Viber's previews"),
    preview("vkshare", "VK's previews"),
    preview("embedly", "previews for other sites"),
    preview("iframely", "previews for other sites"),
    preview("snapurlpreview", "Snapchat's previews"),
    preview("bitlybot", "Bitly reads titles"),
    preview("kakaotalk-scrap", "KakaoTalk's previews"),
    preview("line-poker", "LINE's previews"),
    preview("zaloexternal", "Zalo's previews"),
    preview("larkurl", "Lark's previews"),
    preview("urlpreview", "in the names of several fetchers of previews"),
    preview("linkpreview", "in the names of several fetchers of previews"),
    preview("onebox", "Discourse's previews"),
    preview("page-preview", "in the names of several fetchers of previews"),
    // Tools that look for weaknesses, and services that look at links for those who get mail.
    scanner("acunetix", Guard::Anywhere, "web vulnerability scanner"),
    scanner("nikto", Guard::Start, "web vulnerability scanner"),
    scanner("sqlmap", Guard::Start, "web vulnerability scanner"),
    scanner("nuclei", Guard::Start, "web vulnerability scanner"),
    scanner("nessus", Guard::Start, "web vulnerability scanner"),
    scanner("zgrab", Guard::Start, "internet-wide scanner"),
    scanner("masscan", Guard::Start, "internet-wide scanner"),
    scanner("nmap", Guard::Start, "internet-wide scanner"),
    scanner("censys", Guard::Start, "internet-wide scanner"),
    scanner("watchtowr", Guard::Anywhere, "internet-wide scanner"),
    scanner("expanse", Guard::Start, "internet-wide scanner"),
    scanner("virustotal", Guard::Start, "looks at links"),
    scanner("barracuda", Guard::Start, "looks at links in mail"),
    scanner("proofpoint", Guard::Start, "looks at links in mail"),
    scanner("mimecast", Guard::Start, "looks at links in mail"),
    scanner("safebrowsing", Guard::Anywhere, "looks at links"),
    scanner("google-safety", Guard::Anywhere, "looks at links"),
    scanner("scan", Guard::Part, "a scanner by its trade; not a part of other words, such as Scania"),
    scanner("scanner", Guard::Anywhere, "a scanner by its trade"),
    scanner("scanning", Guard::Anywhere, "a scanner by its trade"),
    scanner("vulnerab", Guard::Anywhere, "a scanner by its trade"),
    scanner("pentest", Guard::Anywhere, "a scanner by its trade"),
    // Libraries and tools by which programs fetch.
    client("curl/", "command line"),
    client("libcurl", "C"),
    client("pycurl", "Python"),
    client("wget", "command line"),
    client("httpie", "command line"),
    client("python", "Python's own and its libraries name the language first"),
    client("aiohttp", "Python"),
    client("httpx", "Python"),
    client("scrapy", "Python"),
    client("libwww-perl", "Perl"),
    client("lwp", "Perl"),
    client("php/", "PHP"),
    client("guzzle", "PHP"),
    Mark { guard: Guard::First, ..client("java/", "Java's own; feature phones name their Java as well, further on") },
    client("jakarta", "Java"),
    client("apache-httpclient", "Java"),
    client("okhttp", "Java, Android"),
    client("ahc/", "Java"),
    client("jersey/", "Java"),
    client("dalvik/", "Android's own, of apps that are no browsers"),
    client("go-http-client", "Go"),
    client("axios", "JavaScript"),
    client("node-fetch", "JavaScript"),
    client("node.js", "JavaScript"),
    client("undici", "JavaScript"),
    client("got (", "JavaScript"),
    client("postmanruntime", "Postman"),
    client("insomnia/", "Insomnia"),
    client("reqwest", "Rust"),
    client("ruby", "Ruby"),
    client("faraday", "Ruby"),
    client("restsharp", ".NET"),
    client("winhttp", "Windows' own"),
    client("cfnetwork", "Apple's own, of apps that are no browsers"),
    client("httpclient", "in the names of several libraries"),
    client("http_request", "in the names of several libraries"),
    // Crawlers by the words that only they use.
    declared("bot", Guard::Bot, "what most crawlers are called"),
    declared("crawl", Guard::Anywhere, "what most others are called"),
    declared("spider", Guard::Anywhere, "what some are called"),
    declared("headless", Guard::Anywhere, "browsers without a window"),
    declared("phantomjs", Guard::Anywhere, "a browser without a window"),
    declared("playwright", Guard::Anywhere, "drives browsers"),
    declared("puppeteer", Guard::Anywhere, "drives browsers"),
    declared("selenium", Guard::Anywhere, "drives browsers"),
    declared("lighthouse", Guard::Anywhere, "measures pages"),
    declared("ptst", Guard::Start, "WebPageTest"),
    declared("preview", Guard::Anywhere, "fetches for somebody else to see"),
    declared("http:", Guard::Anywhere, "crawlers say where to complain; browsers do not"),
    declared("slurp", Guard::Start, "Yahoo"),
    declared("google-", Guard::Start, "Google's fetchers that are not called bots"),
    declared("-google", Guard::Anywhere, "Google's fetchers that are not called bots"),
    trade("https:", Guard::Anywhere, "crawlers say where to complain; browsers do not"),
    trade("www.", Guard::Start, "as above, in short"),
    trade(".com", Guard::Domain, "crawlers say where they come from"),
    trade(".net", Guard::Domain, "crawlers say where they come from"),
    trade(".org", Guard::Domain, "crawlers say where they come from"),
    trade(".io", Guard::Domain, "crawlers say where they come from"),
    trade(".ai", Guard::Domain, "crawlers say where they come from"),
    trade(".co", Guard::Domain, "crawlers say where they come from"),
    trade(".eu", Guard::Domain, "crawlers say where they come from"),
    trade(".de", Guard::Domain, "crawlers say where they come from"),
    trade(".fr", Guard::Domain, "crawlers say where they come from"),
    trade(".ru", Guard::Domain, "crawlers say where they come from"),
    trade(".nl", Guard::Domain, "crawlers say where they come from"),
    trade(".uk", Guard::Domain, "crawlers say where they come from"),
    trade("mailto:", Guard::Anywhere, "as above"),
    trade("@", Guard::Address, "as above"),
    trade("(at)", Guard::Anywhere, "as above, hidden from those it is about"),
    trade("compatible", Guard::Compatible, "once of browsers that were like another, now of crawlers only"),
    trade("like gecko;", Guard::Anywhere, "browsers end that comment there; crawlers add to it"),
    trade("accessib", Guard::Anywhere, "by the trade"),
    trade("agent", Guard::Part, "by the trade"),
    trade("analy", Guard::Part, "by the trade: analyser, analyzer, analysis, analytics"),
    trade("archiv", Guard::Anywhere, "by the trade"),
    trade("audit", Guard::Anywhere, "by the trade"),
    trade("automat", Guard::Anywhere, "by the trade"),
    trade("benchmark", Guard::Anywhere, "by the trade"),
    trade("capture", Guard::Anywhere, "by the trade"),
    trade("check", Guard::Anywhere, "by the trade"),
    trade("collect", Guard::Anywhere, "by the trade"),
    trade("complian", Guard::Anywhere, "by the trade"),
    trade("download", Guard::Anywhere, "by the trade"),
    trade("extract", Guard::Anywhere, "by the trade"),
    trade("feed", Guard::Part, "by the trade"),
    trade("fetch", Guard::Anywhere, "by the trade"),
    trade("gather", Guard::Part, "by the trade"),
    trade("grab", Guard::Part, "by the trade"),
    trade("harvest", Guard::Anywhere, "by the trade"),
    trade("heritrix", Guard::Anywhere, "by name: the Internet Archive's"),
    trade("httrack", Guard::Anywhere, "by name: copies sites"),
    trade("indexer", Guard::Anywhere, "by the trade"),
    trade("insight", Guard::Part, "by the trade"),
    trade("inspect", Guard::Anywhere, "by the trade"),
    trade("intelligence", Guard::Part, "by the trade"),
    trade("mirror", Guard::Part, "by the trade"),
    trade("monitor", Guard::Anywhere, "by the trade"),
    trade("nutch", Guard::Anywhere, "by name: Apache's crawler"),
    trade("optimiz", Guard::Anywhere, "by the trade"),
    trade("pagespeed", Guard::Anywhere, "by name: measures pages"),
    trade("parser", Guard::Anywhere, "by the trade"),
    trade("pingdom", Guard::Anywhere, "by name: measures pages"),
    trade("probe", Guard::Part, "by the trade"),
    trade("proxy", Guard::Anywhere, "fetches for somebody else"),
    trade("quality", Guard::Part, "by the trade"),
    trade("render", Guard::Anywhere, "by the trade"),
    trade("research", Guard::Anywhere, "by the trade"),
    trade("robot", Guard::Anywhere, "by the trade"),
    trade("rss", Guard::Part, "by the trade"),
    trade("schedul", Guard::Part, "by the trade"),
    trade("scout", Guard::Part, "by the trade"),
    trade("scrap", Guard::Part, "by the trade"),
    trade("screenshot", Guard::Anywhere, "by the trade"),
    trade("seo", Guard::Part, "by the trade"),
    trade("sniff", Guard::Part, "by the trade"),
    trade("status", Guard::Part, "by the trade"),
    trade("survey", Guard::Anywhere, "by the trade"),
    trade("synthetic", Guard::Anywhere, "by the trade"),
    trade("thumb", Guard::Anywhere, "by the trade"),
    trade("track", Guard::Part, "by the trade"),
    trade("transcoder", Guard::Anywhere, "fetches for somebody else"),
    trade("uptime", Guard::Anywhere, "by the trade"),
    trade("url", Guard::Part, "by the trade"),
    trade("validat", Guard::Anywhere, "by the trade"),
    trade("verif", Guard::Anywhere, "by the trade"),
    trade("webhook", Guard::Anywhere, "by the trade"),
    trade("wkhtml", Guard::Anywhere, "by name: makes pictures of pages"),
];

impl Row for Mark {
    fn text(&self) -> &'static str {
        self.text
    }

    fn counts(&self, agent: &str, start: usize, end: usize) -> bool {
        let before = agent.get(..start).unwrap_or_default();
        let after = agent.get(end..).unwrap_or_default();
        match self.guard {
            Guard::Anywhere => true,
            Guard::First => start == 0,
            Guard::Start => starts_word(before),
            Guard::Part => starts_word(before) || is_hump(agent, before, start),
            Guard::Bot => is_bot(before, after),
            Guard::Compatible => is_compatible(agent, after),
            Guard::Address => is_address(before, after),
            Guard::Domain => is_domain(before, after),
        }
    }
}

fn starts_word(before: &str) -> bool {
    !before.ends_with(|c: char| c.is_ascii_alphabetic())
}

/// A capital after a small letter begins a word as well.
fn is_hump(agent: &str, before: &str, start: usize) -> bool {
    before.ends_with(|c: char| c.is_ascii_lowercase())
        && agent.get(start..).is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_uppercase()))
}

fn is_bot(before: &str, after: &str) -> bool {
    let phone = ends_with_any(before, &["cu", " x"]);
    !phone && !after.starts_with(|c: char| c.is_ascii_lowercase())
}

fn is_compatible(agent: &str, after: &str) -> bool {
    const BROWSERS: [&str; 11] = [
        "MSIE",
        "Trident",
        "Konqueror",
        "IBrowse",
        "Webpositive",
        "ABrowse",
        "AWeb",
        "NetFront",
        "Polaris",
        "Opera",
        // Office shows what it links to.
        "ms-office",
    ];
    after.starts_with([';', ' ', ')']) && !BROWSERS.iter().any(|browser| agent.contains(browser))
}

/// Numbers around it are sizes of screens. Ecosia's apps call themselves `android@` and `ios@` their version.
fn is_address(before: &str, after: &str) -> bool {
    before.ends_with(|c: char| c.is_ascii_alphanumeric())
        && after.starts_with(|c: char| c.is_ascii_alphabetic())
        && !ends_with_any(before, &["android", "ios"])
}

/// A label with a letter in it before, and the end of the name after. Old browsers named their makers in brackets.
fn is_domain(before: &str, after: &str) -> bool {
    let Some((_, behind_platform)) = before.split_once(')') else { return false };
    let label_start = behind_platform.rfind(|c: char| !c.is_ascii_alphanumeric() && c != '-').map_or(0, |at| at + 1);
    let label = behind_platform.get(label_start..).unwrap_or_default();
    label.contains(|c: char| c.is_ascii_alphabetic())
        && !behind_platform.get(..label_start).is_some_and(|start| start.ends_with('['))
        && !after.starts_with(|c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'))
}

/// Whether it ends with one of these, which are in lower case.
fn ends_with_any(text: &str, ends: &[&str]) -> bool {
    ends.iter().any(|end| {
        text.len()
            .checked_sub(end.len())
            .and_then(|at| text.get(at..))
            .is_some_and(|tail| tail.eq_ignore_ascii_case(end))
    })
}

static ALL: LazyLock<Tokens<Mark>> = LazyLock::new(|| Tokens::new(MARKS, Case::Ignored));

/// What the words say of who follows a link.
pub(super) fn of_click(agent: &str) -> Option<Reason> {
    let found = ALL.first(agent)?;
    if found.row.scope == Scope::Links && agent::in_app(agent).is_some() {
        return of_page(agent);
    }
    Some(found.row.reason)
}

/// What the words say of who opens a page.
pub(super) fn of_page(agent: &str) -> Option<Reason> {
    ALL.first_of(agent, |mark| mark.scope == Scope::Declared).map(|found| found.row.reason)
}

/// Whether a library names itself.
pub(super) fn is_client(agent: &str) -> bool {
    ALL.first_of(agent, |mark| mark.reason == Reason::Client).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINUX: &str =
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/139.0.0.0 Safari/537.36";

    fn marked(end: &str) -> bool {
        of_click(&format!("{LINUX} {end}")).is_some()
    }

    #[test]
    fn a_domain_behind_the_products_is_a_crawlers_and_a_package_or_a_model_is_none() {
        assert!(marked("pages.example.com/2.0"));
        assert!(marked("example.org"));
        assert!(!marked("com.example.android"));
        assert!(!marked("Viewer/1.10.com5"));
        let model =
            "Mozilla/5.0 (Linux; Android 4.1.1; Aurora (shop.com) Build/X) AppleWebKit/534.30 (KHTML, like Gecko)";
        assert_eq!(of_click(model), None);
    }

    #[test]
    fn an_address_of_mail_is_a_crawlers_and_the_size_of_a_screen_is_none() {
        assert!(marked("(contact: me@example)"));
        assert!(!marked("(1080x2340@480)"));
        assert!(!marked("(Ecosia ios@11.2)"));
    }

    #[test]
    fn a_word_of_the_trade_counts_where_a_word_begins() {
        assert!(marked("PageAudit/1") && marked("SeoTool/1") && marked("big-SEO/1"));
        assert!(!marked("Museo/1") && !marked("Backtrack/1") && !marked("Seagrab/1"));
    }

    #[test]
    fn only_browsers_of_old_are_compatible() {
        assert_eq!(of_click("Mozilla/5.0 (compatible; MSIE 9.0; Windows NT 6.1; Trident/5.0)"), None);
        assert_eq!(of_click("Mozilla/5.0 (compatible; Windows NT 6.1) AppleWebKit/537.36"), Some(Reason::Crawler));
    }

    #[test]
    fn no_row_is_there_twice() {
        for (index, mark) in MARKS.iter().enumerate() {
            assert!(MARKS.iter().skip(index + 1).all(|other| other.text != mark.text), "{}", mark.text);
            assert_eq!(mark.text, mark.text.to_ascii_lowercase());
            assert!(!mark.why.is_empty());
        }
    }
}
