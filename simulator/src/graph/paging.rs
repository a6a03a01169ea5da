//! Cursor paging in Graph's shape. A cursor names the last item of a page, not its place, so that items that come in
//! while a client pages neither repeat nor hide others.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use url::Url;

use crate::graph::error::GraphError;

/// The cursor of the item with a number.
pub(crate) fn cursor(number: usize) -> String {
    URL_SAFE_NO_PAD.encode(format!("after:{number}"))
}

/// The number that a cursor names.
pub(crate) fn read_cursor(cursor: &str) -> Result<usize, GraphError> {
    let text = URL_SAFE_NO_PAD.decode(cursor).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    text.as_deref()
        .and_then(|text| text.strip_prefix("after:"))
        .and_then(|number| number.parse().ok())
        .ok_or_else(|| GraphError::invalid("Invalid parameter: the cursor in param after is not valid."))
}

/// The page size that a client asked for.
pub(crate) fn limit(asked: Option<&str>, allowed: std::ops::RangeInclusive<usize>) -> Result<usize, GraphError> {
    let Some(asked) = asked else { return Ok(25) };
    asked.parse().ok().filter(|limit| allowed.contains(limit)).ok_or_else(|| {
        let (least, most) = (allowed.start(), allowed.end());
        GraphError::invalid(format!("Param limit must be a number between {least} and {most}."))
    })
}

/// The `paging` of a page whose items have these numbers, in the order of the page. `this` is the URL of the request; with
/// `more` it is repeated as `next`, from the end of this page on.
pub(crate) fn paging(numbers: &[usize], more: bool, this: Url) -> Value {
    let (Some(first), Some(last)) = (numbers.first(), numbers.last()) else { return json!({}) };
    let after = cursor(*last);
    let mut paging = json!({ "cursors": { "before": cursor(*first), "after": after } });
    if more {
        let kept: Vec<(String, String)> = this.query_pairs().filter(|(key, _)| key != "after").map(own).collect();
        let mut next = this;
        next.query_pairs_mut().clear().extend_pairs(kept).append_pair("after", &after);
        paging["next"] = json!(next.as_str());
    }
    paging
}

fn own((key, value): (std::borrow::Cow<'_, str>, std::borrow::Cow<'_, str>)) -> (String, String) {
    (key.into_owned(), value.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_back_and_anything_else_is_refused() {
        assert_eq!(read_cursor(&cursor(42)), Ok(42));
        assert!(read_cursor("MAZDZD").is_err() && read_cursor("").is_err());
    }

    #[test]
    fn limits_outside_the_range_are_refused() {
        assert_eq!(limit(None, 25..=100), Ok(25));
        assert_eq!(limit(Some("100"), 25..=100), Ok(100));
        assert!(limit(Some("24"), 25..=100).is_err() && limit(Some("x"), 25..=100).is_err());
    }

    #[test]
    fn only_a_page_with_a_successor_has_a_next_and_it_keeps_the_query() {
        let url: Url = "http://127.0.0.1:1/v24.0/1/x?limit=25&after=old".parse().expect("a URL");
        assert!(paging(&[9, 8], false, url.clone()).get("next").is_none());
        let paging = paging(&[9, 8], true, url);
        let next: Url = paging["next"].as_str().expect("a next").parse().expect("a URL");
        let pairs: Vec<_> = next.query_pairs().map(own).collect();
        assert_eq!(pairs, [("limit".into(), "25".into()), ("after".into(), cursor(8))]);
        assert_eq!(paging["cursors"]["after"], cursor(8));
    }
}
