//! The decision on one message to one person.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::outgoing::Outgoing;
use super::spam::{MAX_LINKS, Shouting, shouting};
use super::{MediaKind, Safety};
use crate::campaign::Category;
use crate::contact::Consent;
use crate::time::UnixMillis;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// How long the same content to the same person counts as repeated.
const REPEATED_WITHIN: Duration = DAY;

/// What is known of the person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Person<'a> {
    /// A contact of the workspace, not only a line of this audience.
    pub known: bool,
    /// There is a recorded opt-in. An older one does not count against a later opt-out.
    pub opted_in: bool,
    /// The person has opted out and not opted in again since.
    pub opted_out: bool,
    /// Messages that the account has sent to the person, in any order; as far back as the rules look
    /// ([`Safety::looks_back`]).
    pub recent: &'a [Earlier],
}

impl<'a> Person<'a> {
    /// Somebody with this consent, if their number is known, and these messages.
    #[must_use]
    pub fn of(consent: Option<&Consent>, recent: &'a [Earlier]) -> Self {
        Self {
            known: consent.is_some(),
            opted_in: consent.is_some_and(Consent::is_opted_in),
            opted_out: consent.is_some_and(Consent::is_opted_out),
            recent,
        }
    }
}

/// A message that was sent to a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Earlier {
    /// When.
    pub at: UnixMillis,
    /// What it said (see [`super::content_of`]).
    pub content: u64,
}

/// Why a message is not sent to a person; its text is for people, with what was found. No refusal is cured by trying
/// the same again at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "code", rename_all = "snake_case")]
pub enum Refusal {
    /// Holds whatever the settings.
    #[error("the person has opted out")]
    OptedOut,
    /// Holds whatever the settings; told by who reads the audience, not by [`decide`].
    #[error("the person was erased")]
    Erased,
    /// With `require_opt_in`.
    #[error("no opt-in of the person is recorded, and the account requires one")]
    NoOptIn,
    /// With `block_unknown_numbers`.
    #[error("the number is not among the contacts, and the account blocks unknown numbers")]
    UnknownNumber,
    /// Beyond `max_message_length`.
    #[error("the message has {length} characters; the account allows {limit}")]
    TooLong {
        /// Characters of its readable text.
        length: usize,
        /// The account's limit.
        limit: u32,
    },
    /// Not in `allowed_media_types`.
    #[error("the message carries {media}, which the account does not allow")]
    MediaTypeNotAllowed {
        /// What it carries.
        media: MediaKind,
    },
    /// With `spam_detection`.
    #[error("the person got the same message {minutes_ago} minutes ago; it may be sent again after 24 hours")]
    RepeatedContent {
        /// How long ago, in whole minutes.
        minutes_ago: u64,
    },
    /// With `spam_detection`.
    #[error("the message has {links} links; more than {MAX_LINKS} look like spam")]
    TooManyLinks {
        /// How many it has.
        links: usize,
    },
    /// With `spam_detection`.
    #[error("the message shouts: {0}")]
    Shouting(Shouting),
    /// Beyond `frequency_cap`.
    #[error("the person got {sent} messages in the last {days} days; the account allows {limit}")]
    FrequencyCap {
        /// How many the person got.
        sent: usize,
        /// The cap's window.
        days: u32,
        /// The cap.
        limit: u32,
    },
    /// The campaign's `expires_at` has passed; told by who plans the sending, not by [`decide`].
    #[error("the campaign expired before the message could leave")]
    Expired,
}

impl Refusal {
    /// The refusal for programs; the same word as in its JSON.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::OptedOut => "opted_out",
            Self::Erased => "erased",
            Self::NoOptIn => "no_opt_in",
            Self::UnknownNumber => "unknown_number",
            Self::TooLong { .. } => "too_long",
            Self::MediaTypeNotAllowed { .. } => "media_type_not_allowed",
            Self::RepeatedContent { .. } => "repeated_content",
            Self::TooManyLinks { .. } => "too_many_links",
            Self::Shouting(_) => "shouting",
            Self::FrequencyCap { .. } => "frequency_cap",
            Self::Expired => "expired",
        }
    }
}

impl Safety {
    /// How far back [`Person::recent`] must reach for these rules; zero when they ask for no history.
    #[must_use]
    pub fn looks_back(&self) -> Duration {
        let repeated = if self.spam_detection { REPEATED_WITHIN } else { Duration::ZERO };
        self.frequency_cap.map_or(Duration::ZERO, |cap| DAY.saturating_mul(cap.days)).max(repeated)
    }
}

/// Whether the message may go to the person.
///
/// Someone who has opted out is not written to, whatever the settings and whatever for: marketing, utility or service.
/// One-time codes alone are exempt, from consent and from the frequency cap: the person has asked for the code a moment
/// ago, by signing in, and without it stands before a locked door. What a code's message may contain is not exempt.
///
/// # Errors
/// The first [`Refusal`] that holds: the person's will before the message's content, and that before its history.
pub fn decide(rules: &Safety, person: &Person<'_>, message: &Outgoing<'_>, now: UnixMillis) -> Result<(), Refusal> {
    let asked_for = message.category == Category::Authentication;
    if !asked_for {
        consent(rules, person)?;
    }
    if rules.block_unknown_numbers && !person.known {
        return Err(Refusal::UnknownNumber);
    }
    content(rules, message)?;
    if rules.spam_detection {
        looks_like_spam(person, message, now)?;
    }
    if !asked_for {
        frequency(rules, person, now)?;
    }
    Ok(())
}

fn consent(rules: &Safety, person: &Person<'_>) -> Result<(), Refusal> {
    if person.opted_out {
        return Err(Refusal::OptedOut);
    }
    if rules.require_opt_in && !person.opted_in {
        return Err(Refusal::NoOptIn);
    }
    Ok(())
}

fn content(rules: &Safety, message: &Outgoing<'_>) -> Result<(), Refusal> {
    let length = message.text.chars().count();
    if u32::try_from(length).is_ok_and(|length| length <= rules.max_message_length) {
        match message.media {
            Some(media) if !rules.allowed_media_types.contains(&media) => Err(Refusal::MediaTypeNotAllowed { media }),
            _ => Ok(()),
        }
    } else {
        Err(Refusal::TooLong { length, limit: rules.max_message_length })
    }
}

fn looks_like_spam(person: &Person<'_>, message: &Outgoing<'_>, now: UnixMillis) -> Result<(), Refusal> {
    let same = person.recent.iter().filter(|earlier| earlier.content == message.content);
    if let Some(ago) = same.map(|earlier| now.since(earlier.at)).min().filter(|ago| *ago < REPEATED_WITHIN) {
        return Err(Refusal::RepeatedContent { minutes_ago: ago.as_secs() / 60 });
    }
    if message.links > MAX_LINKS {
        return Err(Refusal::TooManyLinks { links: message.links });
    }
    shouting(message).map_or(Ok(()), |found| Err(Refusal::Shouting(found)))
}

fn frequency(rules: &Safety, person: &Person<'_>, now: UnixMillis) -> Result<(), Refusal> {
    let Some(cap) = rules.frequency_cap else { return Ok(()) };
    let window = DAY.saturating_mul(cap.days);
    let sent = person.recent.iter().filter(|earlier| now.since(earlier.at) < window).count();
    if u32::try_from(sent).is_ok_and(|sent| sent < cap.messages) {
        Ok(())
    } else {
        Err(Refusal::FrequencyCap { sent, days: cap.days, limit: cap.messages })
    }
}

#[cfg(test)]
mod tests;
