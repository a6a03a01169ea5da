//! An attempt: one message of a campaign to one recipient, and everything that is known about it.
//!
//! What is known only ever grows: each flag keeps the earliest time that anybody reported, so any order and any number
//! of repeats ends in the same attempt. What follows from the flags (how far the recipient came, whether the message
//! failed) is derived here and stored nowhere. How an attempt is claimed and sent is in [`claim`].

pub mod callback;
pub mod claim;
pub mod earlier;
pub mod pricing;

use serde::{Deserialize, Serialize};

use crate::campaign::{PageNumber, VariantIndex};
use crate::id::{AccountId, CampaignId, ContactId, EventId, WorkspaceId};
use crate::phone::PhoneNumber;
use crate::region::region_of;
use crate::time::UnixMillis;

/// Position of a recipient in the campaign's audience, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Seq(pub u32);

/// Which of the campaign's partitions holds an attempt: `seq` modulo the campaign's number of shards, at most 32.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Shard(pub u8);

/// Where an attempt lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttemptKey {
    /// Whose it is.
    pub workspace: WorkspaceId,
    /// The campaign it belongs to.
    pub campaign: CampaignId,
    /// The partition within the campaign.
    pub shard: Shard,
    /// The recipient.
    pub seq: Seq,
}

/// When something happened, and when we learned of it. Of two reports the lesser is kept: the earlier one, and of one that
/// came twice the one that we saw first, whichever was taken in first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Moment {
    /// When it happened: Meta's whole second for what Meta reports, our own clock otherwise.
    pub at: UnixMillis,
    /// When we took it in.
    pub seen: UnixMillis,
}

/// What can be known of an attempt; each turns on once and stays on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Flag {
    /// Meta answered the send with a message id.
    Accepted,
    /// Meta reported *sent*: it left towards the recipient.
    Sent,
    /// Meta reported *delivered*.
    Delivered,
    /// Meta reported *read* (or *played*).
    Read,
    /// A person followed a tracked link.
    Clicked,
    /// The recipient wrote back.
    Replied,
    /// The operator closed the deal.
    Closed,
    /// The recipient asked not to be written to again.
    OptedOut,
}

impl Flag {
    /// All flags, in the order of a recipient's way.
    pub const ALL: [Self; 8] = [
        Self::Accepted,
        Self::Sent,
        Self::Delivered,
        Self::Read,
        Self::Clicked,
        Self::Replied,
        Self::Closed,
        Self::OptedOut,
    ];

    /// Name of the stored attribute and of the field in the API.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Sent => "sent",
            Self::Delivered => "delivered",
            Self::Read => "read",
            Self::Clicked => "clicked",
            Self::Replied => "replied",
            Self::Closed => "closed",
            Self::OptedOut => "opted_out",
        }
    }
}

/// How far a recipient came; the order is the funnel's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Meta accepted the message.
    Sent,
    /// It reached a device.
    Delivered,
    /// It was read.
    Read,
    /// A person followed its link.
    Clicked,
    /// The recipient wrote back.
    Replied,
    /// The deal is closed.
    Closed,
}

impl Stage {
    /// All stages from first to last.
    pub const ALL: [Self; 6] = [Self::Sent, Self::Delivered, Self::Read, Self::Clicked, Self::Replied, Self::Closed];

    /// The stage's name in the API.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Delivered => "delivered",
            Self::Read => "read",
            Self::Clicked => "clicked",
            Self::Replied => "replied",
            Self::Closed => "closed",
        }
    }
}

/// Why a message will not arrive: Meta's error, from the answer to the send or from a later status.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// When it failed.
    pub at: UnixMillis,
    /// When we learned of it.
    pub seen: UnixMillis,
    /// Meta's error code; 0 when Meta gave none.
    pub code: i64,
    /// Meta's title of the error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Meta's explanation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<String>,
}

impl Failure {
    /// Of two failures of one attempt the earlier is kept; the code decides between equal times, and of the same failure
    /// the one that we saw first is kept, so that the order in which they are learned does not matter.
    #[must_use]
    pub fn comes_before(&self, other: &Self) -> bool {
        (self.at, self.code, self.seen) < (other.at, other.code, other.seen)
    }
}

/// Why a planned recipient gets no message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skip {
    /// When that was decided.
    pub at: UnixMillis,
    /// The rule, such as `opted_out`.
    pub code: String,
    /// For people.
    pub reason: String,
}

/// What is left of a recipient who was erased.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Erased {
    /// When.
    pub at: UnixMillis,
    /// The region of the number, ISO 3166 alpha-2, so that costs stay what they were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
}

/// The stored attempt. Stays well under 1 KB, for it is written up to five times.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// Version of the stored shape.
    pub v: u8,
    /// The recipient's number as dialled.
    pub phone: PhoneNumber,
    /// The recipient's name, if the audience has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The person, if the number was known as somebody's when it was claimed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contact: Option<ContactId>,
    /// The person was erased: the number, the name, the answer and the message id name nobody any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub erased: Option<Erased>,
    /// The account it is sent from.
    pub account: AccountId,
    /// Which variant of the message.
    pub variant: VariantIndex,
    /// The page of the audience it belongs to.
    pub page: PageNumber,
    /// How often the send was claimed; the attempt number in the callback data.
    pub number: u16,
    /// Tries up to this number are over and done with: a report of theirs says nothing about the present try.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub superseded: u16,
    /// Tries that failed and were followed by another.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub earlier: Vec<earlier::EarlierTry>,
    /// It is not sent at all, by a rule of the account or the campaign.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skipped: Option<Skip>,
    /// How often Meta has refused it with an error that asks to try again.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub refusals: u16,
    /// Who may call Meta, and until when. Absent before the first claim and after a release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim: Option<claim::Claim>,
    /// The last claim ended before Meta took the message; it may be claimed again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub released: Option<claim::Release>,
    /// The claim ran out, or the answer was lost: nobody knows whether Meta has the message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unknown: Option<Moment>,
    /// Meta's message id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wamid: Option<String>,
    /// The exact JSON that Meta answered to the send.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response: Option<String>,
    /// What Meta has told of its price, with the first status that did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pricing: Option<pricing::Pricing>,
    /// See [`Flag::Accepted`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted: Option<Moment>,
    /// See [`Flag::Sent`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent: Option<Moment>,
    /// See [`Flag::Delivered`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivered: Option<Moment>,
    /// See [`Flag::Read`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read: Option<Moment>,
    /// See [`Flag::Clicked`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clicked: Option<Moment>,
    /// See [`Flag::Replied`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replied: Option<Moment>,
    /// See [`Flag::Closed`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed: Option<Moment>,
    /// What the deal was worth, if the operator said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed_value: Option<Money>,
    /// Which conversion has told that, and when it was; absent when the operator has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed_by: Option<Conversion>,
    /// See [`Flag::OptedOut`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opted_out: Option<Moment>,
    /// The earliest failure that was reported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<Failure>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde's `skip_serializing_if` fixes the signature")]
const fn is_zero(n: &u16) -> bool {
    *n == 0
}

/// An amount of money.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Money {
    /// In the currency's main unit.
    pub amount: serde_json::Number,
    /// ISO 4217, such as `MYR`.
    pub currency: String,
}

/// Most of an amount: more than any deal, less than what a stored number holds.
const MAX_AMOUNT: f64 = 1e15;

/// Least of an amount that is not 0: no coin is smaller, and a stored number has no room for much smaller ones.
const MIN_AMOUNT: f64 = 1e-9;

/// What is wrong with an amount of money.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadMoney {
    /// Negative, or too large or too small to be one.
    #[error("must be 0 or more and below 10^15, and not smaller than 10^-9 unless it is 0")]
    Amount,
    /// Not a currency.
    #[error("must be an ISO 4217 code such as MYR")]
    Currency,
}

impl BadMoney {
    /// Which field it is.
    #[must_use]
    pub const fn field(self) -> &'static str {
        match self {
            Self::Amount => "amount",
            Self::Currency => "currency",
        }
    }
}

impl Money {
    /// Whether it can be what a deal was worth.
    ///
    /// # Errors
    /// [`BadMoney`].
    pub fn check(&self) -> Result<(), BadMoney> {
        let amount = self.amount.as_f64().unwrap_or(f64::NAN);
        if amount != 0.0 && !(MIN_AMOUNT..MAX_AMOUNT).contains(&amount) {
            return Err(BadMoney::Amount);
        }
        if self.currency.len() != 3 || !self.currency.bytes().all(|byte| byte.is_ascii_uppercase()) {
            return Err(BadMoney::Currency);
        }
        Ok(())
    }
}

/// A conversion that closed an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Conversion {
    /// When it was.
    pub at: UnixMillis,
    /// Its event.
    pub event: EventId,
}

/// One thing learned about an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// A flag turned on.
    Flag(Flag, Moment),
    /// Meta reported a failure.
    Failed(Failure),
}

/// Where an attempt stands: exactly one of these at any time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case", tag = "status", content = "stage")]
pub enum Standing {
    /// Claimed or to be claimed again; no answer yet.
    Pending,
    /// Not sent, by a rule.
    Skipped,
    /// Nobody knows whether Meta has the message.
    Unknown,
    /// It failed and nothing proves that it arrived all the same.
    Failed,
    /// The furthest stage that was reached.
    Reached(Stage),
}

impl Evidence {
    /// Whether it tells how a single try ended. What people do proves that a message of ours arrived, whichever try it
    /// was.
    #[must_use]
    pub const fn is_of_one_try(&self) -> bool {
        matches!(self, Self::Failed(_) | Self::Flag(Flag::Accepted | Flag::Sent, _))
    }
}

impl Attempt {
    /// An attempt of which nothing is known yet, to be claimed for the first time.
    #[must_use]
    pub const fn new(phone: PhoneNumber, account: AccountId, variant: VariantIndex, page: PageNumber) -> Self {
        Self {
            v: 1,
            phone,
            name: None,
            contact: None,
            erased: None,
            account,
            variant,
            page,
            number: 1,
            superseded: 0,
            earlier: Vec::new(),
            skipped: None,
            refusals: 0,
            claim: None,
            released: None,
            unknown: None,
            wamid: None,
            response: None,
            pricing: None,
            accepted: None,
            sent: None,
            delivered: None,
            read: None,
            clicked: None,
            replied: None,
            closed: None,
            closed_value: None,
            closed_by: None,
            opted_out: None,
            failed: None,
        }
    }

    /// The region of the recipient's number, ISO 3166 alpha-2, as far as it can be told.
    #[must_use]
    pub fn region(&self) -> Option<&str> {
        match &self.erased {
            Some(erased) => erased.region.as_deref(),
            None => region_of(&self.phone),
        }
    }

    /// The time of a flag, if it is on.
    #[must_use]
    pub const fn flag(&self, flag: Flag) -> Option<Moment> {
        match flag {
            Flag::Accepted => self.accepted,
            Flag::Sent => self.sent,
            Flag::Delivered => self.delivered,
            Flag::Read => self.read,
            Flag::Clicked => self.clicked,
            Flag::Replied => self.replied,
            Flag::Closed => self.closed,
            Flag::OptedOut => self.opted_out,
        }
    }

    const fn flag_mut(&mut self, flag: Flag) -> &mut Option<Moment> {
        match flag {
            Flag::Accepted => &mut self.accepted,
            Flag::Sent => &mut self.sent,
            Flag::Delivered => &mut self.delivered,
            Flag::Read => &mut self.read,
            Flag::Clicked => &mut self.clicked,
            Flag::Replied => &mut self.replied,
            Flag::Closed => &mut self.closed,
            Flag::OptedOut => &mut self.opted_out,
        }
    }

    /// Whether this evidence tells something that the attempt does not hold yet: a new flag, or an earlier time.
    #[must_use]
    pub fn is_news(&self, evidence: &Evidence) -> bool {
        match evidence {
            Evidence::Flag(flag, moment) => self.flag(*flag).is_none_or(|known| *moment < known),
            Evidence::Failed(failure) => self.failed.as_ref().is_none_or(|known| failure.comes_before(known)),
        }
    }

    /// Takes the evidence in. Applying it again, or in another order, ends in the same flags and times.
    pub fn learn(&mut self, evidence: &Evidence) {
        if !self.is_news(evidence) {
            return;
        }
        match evidence {
            Evidence::Flag(flag, moment) => *self.flag_mut(*flag) = Some(*moment),
            Evidence::Failed(failure) => self.failed = Some(failure.clone()),
        }
    }

    /// Whether the recipient got as far as `stage`, by report or because a later stage proves it.
    ///
    /// Meta leaves *delivered* out when a message is read at once (Meta, status webhook reference), so *read* proves
    /// it; a reply or a person's click proves delivery and an open. Closing is the operator's word and proves nothing.
    #[must_use]
    pub const fn reached(&self, stage: Stage) -> bool {
        let acted = self.clicked.is_some() || self.replied.is_some();
        let read = self.read.is_some() || acted;
        let delivered = self.delivered.is_some() || read;
        match stage {
            Stage::Sent => self.accepted.is_some() || self.sent.is_some() || delivered,
            Stage::Delivered => delivered,
            Stage::Read => read,
            Stage::Clicked => self.clicked.is_some(),
            Stage::Replied => self.replied.is_some(),
            Stage::Closed => self.closed.is_some(),
        }
    }

    /// Whether the stage was reached by inference only.
    #[must_use]
    pub const fn inferred(&self, stage: Stage) -> bool {
        let reported = match stage {
            Stage::Sent => self.accepted.is_some() || self.sent.is_some(),
            Stage::Delivered => self.delivered.is_some(),
            Stage::Read => self.read.is_some(),
            Stage::Clicked | Stage::Replied | Stage::Closed => true,
        };
        self.reached(stage) && !reported
    }

    /// Whether the send is over: Meta has the message, or refused it, or nobody will ever know. That a deal was closed
    /// by hand says nothing about the send.
    #[must_use]
    pub const fn is_settled(&self) -> bool {
        self.reached(Stage::Sent) || self.failed.is_some() || self.unknown.is_some() || self.skipped.is_some()
    }

    /// Where the attempt stands.
    #[must_use]
    pub fn standing(&self) -> Standing {
        let furthest = Stage::ALL.into_iter().rev().find(|stage| self.reached(*stage));
        match furthest {
            Some(stage) if stage > Stage::Sent => Standing::Reached(stage),
            _ if self.failed.is_some() => Standing::Failed,
            Some(stage) => Standing::Reached(stage),
            None if self.unknown.is_some() => Standing::Unknown,
            None if self.skipped.is_some() => Standing::Skipped,
            None => Standing::Pending,
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
