//! What the parser knows for a crawler by name.

use woothee::parser::WootheeResult;

use super::{Reason, marks};

/// The parser's word, except on two things it takes for crawlers: Cubot, a brand of phones, and libraries, whose users may be
/// an operator's own programs; they have a reason of their own for links and none for pages.
pub(super) fn judge(agent: &str, parsed: Option<&WootheeResult<'_>>) -> Option<Reason> {
    let crawler = parsed.is_some_and(|parsed| parsed.category == "crawler");
    (crawler && !marks::is_client(agent) && !is_cubot(agent)).then_some(Reason::Crawler)
}

fn is_cubot(agent: &str) -> bool {
    let lower = agent.to_ascii_lowercase();
    let brand = lower.find("cubot");
    brand.is_some() && lower.matches("bot").count() == lower.matches("cubot").count()
}
