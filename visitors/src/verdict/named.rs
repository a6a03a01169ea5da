//! Machines that nothing but their names gives away: their user agents are a browser's with one word more.
//!
//! The names are published ones: <https://github.com/monperrus/crawler-user-agents>, version 1.67.0 (MIT). Of that list this is
//! what the other layers do not find by structure, without `splash`, which other collections of user agents count as people's,
//! and without the two that are people in Facebook's in-app browser (`MetaIAB Facebook`, the Android build
//! `AP3A.240617.008`); and services that measure or look at pages, by the names that they publish. `Fluid` is left out on judgement: it is a browser for the Mac, and no data here says who bears that name.

use std::sync::LazyLock;

use super::Reason;
use crate::tokens::{Case, Row, Tokens};

/// A name, and what bears it.
struct Name {
    text: &'static str,
    reason: Reason,
}

impl Row for Name {
    fn text(&self) -> &'static str {
        self.text
    }
}

const fn crawler(text: &'static str) -> Name {
    Name { text, reason: Reason::Crawler }
}

const fn preview(text: &'static str) -> Name {
    Name { text, reason: Reason::Preview }
}

const fn scanner(text: &'static str) -> Name {
    Name { text, reason: Reason::Scanner }
}

static NAMES: [Name; 30] = [
    scanner("Assetnote"),
    crawler("Catchpoint"),
    crawler("CloudflareDiagnostics"),
    crawler("CloudflareObservatory"),
    crawler("Collapsify"),
    crawler("Convertify"),
    crawler("DareBoost"),
    crawler("Datanyze"),
    crawler("DebugBear"),
    crawler("Dlc/"),
    crawler("Functionize"),
    preview("GoogleMessages"),
    scanner("Hardenize"),
    crawler("Hotjar"),
    crawler("HubSpot"),
    crawler("KarnoProspectingStudio"),
    crawler("Manus-User"),
    crawler("MarketGoo/"),
    crawler("Neustar WPM"),
    crawler("NewsNow/"),
    scanner("OpenVAS"),
    crawler("Readable/"),
    scanner("SecurityHeaders"),
    crawler("Silktide"),
    crawler("Sindup"),
    crawler("TSM-turingos"),
    crawler("TestLocally"),
    preview("ViberUrl"),
    crawler("YLT Chrome"),
    crawler("newsai/"),
];

static TABLE: LazyLock<Tokens<Name>> = LazyLock::new(|| Tokens::new(&NAMES, Case::Exact));

/// What bears one of the names.
pub(super) fn judge(agent: &str) -> Option<Reason> {
    TABLE.first(agent).map(|found| found.row.reason)
}
