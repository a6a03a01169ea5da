//! Which touchpoint a conversion is put down to: a campaign's messages are delivered and read, answered, their links followed,
//! and later somebody buys. Which of these may count and for how long ([`Windows`]), and how one conversion is shared out
//! among several ([`Model`]), is decided here; where they are read from is the reader's matter.
//!
//! Credit is counted in millionths ([`WHOLE`]), so that what the campaigns and the unattributed conversions add up to is
//! the number of conversions exactly. A model describes what people did before they bought and proves no cause: that takes
//! a campaign's holdout.

pub mod share;
pub mod sums;
pub mod worth;

use std::str::FromStr;
use std::time::Duration;

use serde::Serialize;

use self::share::split;
use crate::attempt::Seq;
use crate::campaign::VariantIndex;
use crate::id::CampaignId;
use crate::time::UnixMillis;

/// The credit of one conversion: a million parts.
pub const WHOLE: u32 = 1_000_000;

/// Touchpoints of one kind that follow each other without another in between, none later than this after the one before, are
/// one: somebody who follows a link three times has been led there once. The gap that ends a session.
pub const REPEATED_WITHIN: Duration = Duration::from_secs(30 * 60);

/// In so long a touchpoint's weight halves under [`Model::TimeDecay`].
const HALF_LIFE: Duration = Duration::from_secs(7 * 86_400);

/// What a touchpoint is. The order is that of what happens at the same time, weakest first: as Meta's times are whole
/// seconds, a message may be delivered, read and answered in one, and of these the answer counts as the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TouchKind {
    /// The message reached a device.
    Delivered,
    /// It was read.
    Read,
    /// The person wrote back.
    Reply,
    /// The person followed a link in it.
    Click,
}

impl TouchKind {
    /// All kinds, strongest first.
    pub const ALL: [Self; 4] = [Self::Click, Self::Reply, Self::Read, Self::Delivered];

    /// The name in the API.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Read => "read",
            Self::Reply => "reply",
            Self::Click => "click",
        }
    }
}

/// Something that passed between a campaign and a person. The order is that of time; at the same time it is that of
/// [`TouchKind`], and then the newer campaign counts as the later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Touchpoint {
    /// When.
    pub at: UnixMillis,
    /// What.
    pub kind: TouchKind,
    /// Whose message it was.
    pub campaign: CampaignId,
    /// Which recipient's; absent for the shared code of a link.
    pub recipient: Option<Seq>,
    /// Which variant of the message, as far as it is known.
    pub variant: Option<VariantIndex>,
}

impl Touchpoint {
    /// Whether `later` is the same thing done again.
    fn is_repeated_by(&self, later: &Self) -> bool {
        let same = (self.kind, self.campaign, self.recipient) == (later.kind, later.campaign, later.recipient);
        same && later.at.since(self.at) <= REPEATED_WITHIN
    }
}

/// How long before a conversion a touchpoint of each kind may lie, that end included; zero: this kind does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Windows {
    /// Of [`TouchKind::Click`].
    pub click: Duration,
    /// Of [`TouchKind::Reply`].
    pub reply: Duration,
    /// Of [`TouchKind::Read`].
    pub read: Duration,
    /// Of [`TouchKind::Delivered`].
    pub delivered: Duration,
}

impl Default for Windows {
    /// The more somebody has done, the longer it counts: a click a week, as long as Meta's own click events reach back; a
    /// reply three days; a read one. That a message arrived says nothing yet.
    fn default() -> Self {
        let hours = |hours: u64| Duration::from_secs(hours * 3_600);
        Self { click: hours(168), reply: hours(72), read: hours(24), delivered: Duration::ZERO }
    }
}

impl Windows {
    /// The window of a kind.
    #[must_use]
    pub const fn of(&self, kind: TouchKind) -> Duration {
        match kind {
            TouchKind::Delivered => self.delivered,
            TouchKind::Read => self.read,
            TouchKind::Reply => self.reply,
            TouchKind::Click => self.click,
        }
    }

    /// The longest of them: nothing that lies further back counts.
    #[must_use]
    pub fn longest(&self) -> Duration {
        TouchKind::ALL.into_iter().map(|kind| self.of(kind)).max().unwrap_or_default()
    }

    /// Whether a conversion at this time can be put down to the touchpoint.
    #[must_use]
    pub fn cover(&self, touchpoint: &Touchpoint, converted: UnixMillis) -> bool {
        let window = self.of(touchpoint.kind);
        !window.is_zero() && touchpoint.at <= converted && converted.since(touchpoint.at) <= window
    }
}

/// How a conversion is shared out among the touchpoints before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Model {
    /// All of it to the last.
    #[default]
    Last,
    /// All of it to the first.
    First,
    /// The same to each.
    Linear,
    /// 40 % to the first, 40 % to the last, 20 % to those between; half each when there are two.
    Position,
    /// To each by 2^(−age / 7 days).
    TimeDecay,
}

/// A text that names no model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be last, first, linear, position or time_decay")]
pub struct UnknownModel;

impl FromStr for Model {
    type Err = UnknownModel;

    fn from_str(name: &str) -> Result<Self, UnknownModel> {
        match name {
            "last" => Ok(Self::Last),
            "first" => Ok(Self::First),
            "linear" => Ok(Self::Linear),
            "position" => Ok(Self::Position),
            "time_decay" => Ok(Self::TimeDecay),
            _ => Err(UnknownModel),
        }
    }
}

impl Model {
    /// What each of these, first to last, weighs. Never all nothing.
    fn weights(self, touchpoints: &[Touchpoint], converted: UnixMillis) -> Vec<u32> {
        let n = touchpoints.len();
        let only = |place: usize| (0..n).map(|index| u32::from(index == place)).collect();
        match self {
            Self::Last => only(n.saturating_sub(1)),
            Self::First => only(0),
            Self::Linear => vec![1; n],
            Self::Position => {
                let between = u32::try_from(n.saturating_sub(2)).unwrap_or(u32::MAX);
                // Both ends together weigh four times as much as all between them.
                let end = between.saturating_mul(2).max(1);
                (0..n).map(|index| if index == 0 || index + 1 == n { end } else { 1 }).collect()
            }
            Self::TimeDecay => touchpoints.iter().map(|touchpoint| decayed(converted.since(touchpoint.at))).collect(),
        }
    }
}

/// The weight of a touchpoint of this age; of a fresh one 2^31.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "between 1 and 2^31, for an age is never negative"
)]
fn decayed(age: Duration) -> u32 {
    let half_lives = age.as_secs_f64() / HALF_LIFE.as_secs_f64();
    (31.0 - half_lives).exp2().round().max(1.0) as u32
}

/// A touchpoint's part of a conversion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Credit {
    /// The touchpoint.
    pub touchpoint: Touchpoint,
    /// Its part, in millionths of the conversion; may be nothing.
    pub parts: u32,
}

/// The touchpoints that a conversion can be put down to, first to last, each with its part of it. The parts add up to
/// [`WHOLE`]; there are none when nothing lies within its window. The order in which touchpoints are given does not matter,
/// and one that is given twice counts once.
#[must_use]
pub fn credit(
    touchpoints: impl IntoIterator<Item = Touchpoint>,
    converted: UnixMillis,
    windows: &Windows,
    model: Model,
) -> Vec<Credit> {
    let mut eligible: Vec<Touchpoint> =
        touchpoints.into_iter().filter(|touchpoint| windows.cover(touchpoint, converted)).collect();
    eligible.sort_unstable();
    // The later one stays; which campaign was the first or the last is the same either way.
    eligible.dedup_by(|later, kept| {
        let again = kept.is_repeated_by(later);
        if again {
            *kept = *later;
        }
        again
    });
    let parts = split(u128::from(WHOLE), &model.weights(&eligible, converted));
    let credits = eligible.into_iter().zip(parts);
    credits.map(|(touchpoint, parts)| Credit { touchpoint, parts: u32::try_from(parts).unwrap_or(WHOLE) }).collect()
}

#[cfg(test)]
mod tests;
