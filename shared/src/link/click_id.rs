//! The click id: what a campaign may append to the destination of its links, as `tt_cid`, so that the page can say which
//! click brought its visitor. It names the link's code and the event of the click; the code cannot be forged, the rest is
//! the time of the click.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use ulid::Ulid;

use super::code::Code;
use crate::id::EventId;
use crate::time::UnixMillis;

/// The query parameter that carries it.
pub const PARAMETER: &str = "tt_cid";

/// So long after a click what its visitor does is put down to it.
pub const WINDOW: Duration = Duration::from_secs(7 * 86_400);

/// The clock of a visitor's device may be so much behind ours.
const CLOCKS_DIFFER: Duration = Duration::from_secs(3_600);

/// A click on a tracked link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClickId {
    /// The code that was followed.
    pub code: Code,
    /// The event of the click.
    pub click: EventId,
}

/// A text that is not a click id of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a click id of ours")]
pub struct NoClickId;

impl ClickId {
    /// When the link was followed.
    #[must_use]
    pub fn at(&self) -> UnixMillis {
        UnixMillis(i64::try_from(self.click.ulid().timestamp_ms()).unwrap_or(i64::MAX))
    }

    /// Whether what happened then is put down to the click.
    #[must_use]
    pub fn covers(&self, at: UnixMillis) -> bool {
        at.plus(CLOCKS_DIFFER) >= self.at() && at.since(self.at()) <= WINDOW
    }
}

impl fmt::Display for ClickId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.code, self.click.ulid())
    }
}

impl FromStr for ClickId {
    type Err = NoClickId;

    fn from_str(text: &str) -> Result<Self, NoClickId> {
        let (code, click) = text.split_once('.').ok_or(NoClickId)?;
        let code = Code::parse(code).map_err(|_| NoClickId)?;
        let click = Ulid::from_string(click).map_err(|_| NoClickId)?;
        Ok(Self { code, click: EventId::from_ulid(click) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_click_id_survives_its_text() {
        let text = "F2KIc8oQLFvS.01J00000000000000000000009";
        let id: ClickId = text.parse().unwrap();
        assert_eq!(id.to_string(), text);
        for wrong in ["", "F2KIc8oQLFvS", "F2KIc8oQLFv.01J00000000000000000000009", "F2KIc8oQLFvS.01J", "a.b.c"] {
            assert_eq!(wrong.parse::<ClickId>(), Err(NoClickId), "{wrong}");
        }
    }

    #[test]
    fn what_happens_within_a_week_is_put_down_to_the_click() {
        let at = |ms: i64| UnixMillis(1_790_000_000_000 + ms);
        let id = ClickId { code: Code::parse("F2KIc8oQLFvS").unwrap(), click: EventId::new(at(0)) };
        let hour = 3_600_000;
        for (after, covered) in
            [(0, true), (168 * hour, true), (168 * hour + 1, false), (-hour, true), (-hour - 1, false)]
        {
            assert_eq!(id.covers(at(after)), covered, "{after} ms after");
        }
    }
}
