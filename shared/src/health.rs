//! An account's health: a score from 0 to 100 of which every lost point has a cause, figures and something to do about it.
//!
//! `H = 100 − 35·Q − 20·E − 15·O − 15·L − 15·U`, and 0 while Meta does not let the number send at all. What is measured is in
//! [`Measured`]: Meta's opinion of the number, what counters of seven days and of 24 hours say, and the probes ([`probes`]).

pub mod probes;

use serde::Serialize;

use self::probes::{Probes, Trouble};
use crate::account::{Account, AccountPausedBy, AccountStatus, Quality};
use crate::rollup::account_day::Days;
use crate::time::UnixMillis;

/// Days that error and opt-out rates are told from, today included.
pub const DAYS: u32 = 7;

/// Hours that limits and uptime are told from.
const HOURS: u32 = 24;

/// Failed messages of which all points of this cause are lost, per message.
const WORST_ERROR_RATE: f64 = 0.05;

/// The same for people who want no more messages, per delivered message.
const WORST_OPT_OUT_RATE: f64 = 0.01;

/// The same for limits that were met, per message.
const WORST_LIMIT_RATE: f64 = 5.0 / 1_000.0;

/// What the score is told from.
#[derive(Clone, Debug)]
pub struct Measured<'a> {
    /// What Meta and the operator have said.
    pub account: &'a Account,
    /// The last [`DAYS`] days.
    pub days: &'a Days,
    /// What was found by looking.
    pub probes: &'a Probes,
}

/// What points are lost for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// Meta's opinion of the messages.
    Quality,
    /// Messages that failed.
    Errors,
    /// People who want no more messages.
    OptOuts,
    /// Limits that were met.
    Limits,
    /// Times at which it could not send, or we would not have heard.
    Downtime,
    /// Meta does not let it send: what was left of the score is lost.
    Barred,
}

/// Points that are lost, and why.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Loss {
    /// For what.
    pub cause: Cause,
    /// How many of the hundred, to two decimals.
    pub points: f64,
    /// What was counted; absent where nothing is.
    pub numerator: Option<i64>,
    /// Of how many.
    pub denominator: Option<i64>,
    /// What is wrong, for people.
    pub says: String,
    /// What to do about it, for people.
    pub action: String,
}

/// What was counted, whether points were lost for it or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Figures {
    /// Messages that Meta took in seven days.
    pub sent_7d: i64,
    /// Of these and earlier ones, delivered in seven days.
    pub delivered_7d: i64,
    /// Messages that failed in seven days, at once or later.
    pub failed_7d: i64,
    /// Of these, refused by Meta at once.
    pub refused_7d: i64,
    /// People who wanted no more messages after one of ours, in seven days. Meta tells nobody who has blocked whom.
    pub opted_out_7d: i64,
    /// Messages that Meta took in the last 24 hours of the clock.
    pub sent_24h: i64,
    /// Limits that were met in that time.
    pub limited_24h: i64,
    /// Looks at the account in that time that found it in order.
    pub probes_up_24h: i64,
    /// Looks that did not.
    pub probes_down_24h: i64,
}

/// An account's health.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Health {
    /// 0 to 100, to two decimals; 100 less the points of all losses.
    pub score: f64,
    /// Most points first.
    pub lost: Vec<Loss>,
    /// What was counted.
    pub figures: Figures,
}

impl Health {
    /// The health at this time.
    #[must_use]
    pub fn of(measured: &Measured<'_>, now: UnixMillis) -> Self {
        let figures = Figures::of(measured, now);
        let mut lost: Vec<Loss> = [
            quality(measured.account),
            errors(measured.days, &figures),
            opt_outs(&figures),
            limits(&figures),
            downtime(measured.probes, &figures, now),
        ]
        .into_iter()
        .flatten()
        .filter(|loss| loss.points > 0.0)
        .collect();
        let left = 100.0 - lost.iter().map(|loss| loss.points).sum::<f64>();
        lost.extend(barred(measured, now).map(|(says, action)| Loss {
            cause: Cause::Barred,
            points: rounded(left),
            numerator: None,
            denominator: None,
            says,
            action,
        }));
        lost.sort_by(|a, b| b.points.total_cmp(&a.points));
        let score = rounded(100.0 - lost.iter().map(|loss| loss.points).sum::<f64>());
        Self { score, lost, figures }
    }
}

impl Figures {
    fn of(measured: &Measured<'_>, now: UnixMillis) -> Self {
        let Measured { days, probes, .. } = measured;
        let (up, down) = probes.up_and_down(now);
        Self {
            sent_7d: days.count("sent"),
            delivered_7d: days.count("delivered"),
            failed_7d: days.count("failed"),
            refused_7d: days.count("refused"),
            opted_out_7d: days.count("opted_out"),
            sent_24h: days.in_hours("sent", HOURS, now),
            limited_24h: days.in_hours("limited", HOURS, now),
            probes_up_24h: up,
            probes_down_24h: down,
        }
    }
}

fn quality(account: &Account) -> Option<Loss> {
    let (share, says) = match account.quality {
        Quality::Green => return None,
        Quality::Unknown => (0.25, "Meta has not rated the number yet"),
        Quality::Yellow => (0.5, "Meta rates the number's messages as medium"),
        Quality::Red => (1.0, "Meta rates the number's messages as low and may lower its limits"),
    };
    let action = match account.quality {
        Quality::Unknown => "nothing, if the number is new; else refresh the account, which asks Meta",
        _ => {
            "send less and only to people who asked for it; look at the templates that Meta rates low; Meta looks at the last \
             seven days"
        }
    };
    Some(Loss {
        cause: Cause::Quality,
        points: rounded(35.0 * share),
        numerator: None,
        denominator: None,
        says: says.to_owned(),
        action: action.to_owned(),
    })
}

fn errors(days: &Days, figures: &Figures) -> Option<Loss> {
    let tried = figures.sent_7d + figures.refused_7d;
    let loss = counted(Cause::Errors, 20.0, (figures.failed_7d, tried), WORST_ERROR_RATE)?;
    let most: Vec<String> = days.errors().into_iter().take(3).map(|(code, n)| format!("{code} ({n})")).collect();
    Some(Loss {
        says: format!(
            "{} of {tried} messages of the last seven days have failed; most often with {}",
            figures.failed_7d,
            most.join(", ")
        ),
        action:
            "look at the errors in the campaigns' reports; numbers without WhatsApp (131026) should leave the audience"
                .to_owned(),
        ..loss
    })
}

fn opt_outs(figures: &Figures) -> Option<Loss> {
    let (out, delivered) = (figures.opted_out_7d, figures.delivered_7d);
    let loss = counted(Cause::OptOuts, 15.0, (out, delivered), WORST_OPT_OUT_RATE)?;
    Some(Loss {
        says: format!("{out} people wanted no more messages, of {delivered} delivered in the last seven days"),
        action: "write less often, and only to those who asked for it; compare the campaigns' opt-out rates".to_owned(),
        ..loss
    })
}

fn limits(figures: &Figures) -> Option<Loss> {
    let (met, sent) = (figures.limited_24h, figures.sent_24h);
    let loss = counted(Cause::Limits, 15.0, (met, sent), WORST_LIMIT_RATE)?;
    Some(Loss {
        says: format!("Meta's limits were met {met} times in the last 24 hours, at {sent} messages"),
        action: "lower messages_per_second (130429), leave more time between messages to one person (131056), or wait a day \
                 before writing again to those whom Meta holds back (131049)"
            .to_owned(),
        ..loss
    })
}

fn downtime(probes: &Probes, figures: &Figures, now: UnixMillis) -> Option<Loss> {
    let (up, down) = (figures.probes_up_24h, figures.probes_down_24h);
    let loss = counted(Cause::Downtime, 15.0, (down, up + down), 1.0)?;
    let mut troubles: Vec<(Trouble, i64)> = probes.troubles(now);
    troubles.sort_by_key(|(trouble, n)| (std::cmp::Reverse(*n), *trouble));
    let named: Vec<String> = troubles.iter().map(|(trouble, n)| format!("{} ({n})", trouble.says())).collect();
    Some(Loss {
        says: format!("{down} of {} looks in the last 24 hours found: {}", up + down, named.join(", ")),
        action: troubles.first().map_or("", |(trouble, _)| trouble.action()).to_owned(),
        ..loss
    })
}

/// Points for a rate, of which `worst` loses all; nothing is lost when nothing was counted.
fn counted(cause: Cause, all: f64, (numerator, denominator): (i64, i64), worst: f64) -> Option<Loss> {
    if numerator <= 0 {
        return None;
    }
    #[allow(clippy::cast_precision_loss, reason = "counts of messages are far below 2^52")]
    let rate = numerator as f64 / denominator.max(1) as f64;
    Some(Loss {
        cause,
        points: rounded(all * (rate / worst).min(1.0)),
        numerator: Some(numerator),
        denominator: Some(denominator),
        says: String::new(),
        action: String::new(),
    })
}

/// Why the number does not send at all, and what to do.
fn barred(measured: &Measured<'_>, now: UnixMillis) -> Option<(String, String)> {
    let account = measured.account;
    if account.status == AccountStatus::Paused && account.paused_by == Some(AccountPausedBy::Meta) {
        let reason = account.status_reason.as_deref().unwrap_or("Meta has restricted the number");
        return Some((reason.to_owned(), "read the notice in Meta's business manager, and appeal there".to_owned()));
    }
    let found = measured.probes.latest(now)?.iter().copied().find(|trouble| trouble.bars())?;
    Some((found.says().to_owned(), found.action().to_owned()))
}

fn rounded(points: f64) -> f64 {
    (points * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests;
