//! What concerns every message: errors after which an account or a campaign does not go on by itself, and what is done
//! about them.

use std::time::Duration;

use shared::account::{Account, AccountPausedBy};
use shared::campaign::{Campaign, PausedBy, Status};
use shared::meta::error::{ErrorClass, MetaError};
use shared::store::{StoreError, Transition};
use shared::template::{TemplateChange, TemplateStatus, templates_of};
use shared::time::UnixMillis;

use crate::Send;

/// Stop, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stop {
    /// What stops.
    pub(crate) what: What,
    /// Meta's code; 0 when it is not Meta's.
    pub(crate) code: i64,
    /// For people.
    pub(crate) reason: String,
}

/// How far a stop reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// Everything from this account, until somebody resumes it.
    Account,
    /// The same, but it goes on by itself when the account's cooldown has passed.
    AccountForNow,
    /// Campaigns with this template, until Meta approves it again.
    Template,
    /// This campaign, until somebody resumes it.
    Campaign,
}

impl Stop {
    /// What an error of Meta's stops, if anything.
    pub(crate) fn because_of(error: &MetaError) -> Option<Self> {
        let what = match error.class() {
            ErrorClass::PauseAccount => What::Account,
            ErrorClass::PauseTemplate if is_a_state_of_the_template(error.code) => What::Template,
            ErrorClass::PauseTemplate => What::Campaign,
            _ => return None,
        };
        Some(Self { what, code: error.code, reason: explain(error) })
    }
}

/// Paused, disabled, or not approved: Meta's word can change it. Every other error of a template is a mistake of the
/// campaign's.
const fn is_a_state_of_the_template(code: i64) -> bool {
    matches!(code, 132_015 | DISABLED)
}

/// The template may never be sent again (Meta, error codes).
const DISABLED: i64 = 132_016;

/// How long an account rests after errors of the moment, unless its limits say otherwise.
const COOLDOWN: Duration = Duration::from_secs(60);

/// Stops what is to be stopped. Each step can be repeated.
pub(crate) async fn act(send: &Send, campaign: &Campaign, account: &Account, stop: Stop) -> Result<(), StoreError> {
    let now = UnixMillis::now();
    let Stop { what, code, reason } = stop;
    tracing::warn!(campaign = %campaign.id, account = %account.id, code, ?what, "sending was stopped by an error");
    let by = match what {
        What::Account | What::AccountForNow => {
            let own = account.limits.cooldown_after_error_s.map(|seconds| Duration::from_secs(u64::from(seconds)));
            let until = (what == What::AccountForNow).then(|| now.plus(own.unwrap_or(COOLDOWN)));
            let by = AccountPausedBy::Errors;
            return send.core.halt_account(campaign.workspace, account.id, &reason, until, by, now).await.map(|_| ());
        }
        What::Template => PausedBy::Template,
        What::Campaign => PausedBy::Errors,
    };
    if by == PausedBy::Template {
        note_state_of_template(send, campaign, account, code, now).await?;
    }
    let due = (by == PausedBy::Template).then_some(now).or(campaign.schedule.expires_at);
    let pause = Transition {
        from: Status::Running,
        to: Status::Paused,
        reason: Some(reason),
        paused_by: Some(by),
        at: now,
        due,
    };
    send.core.transition(campaign.workspace, campaign.id, &pause).await.map(|_| ())
}

/// Notes in our copy what the error says of the template, so that the watchdog does not let the campaign go on until Meta's
/// notification has come. Of several templates nobody knows which one is meant.
async fn note_state_of_template(
    send: &Send,
    campaign: &Campaign,
    account: &Account,
    code: i64,
    now: UnixMillis,
) -> Result<(), StoreError> {
    let templates = templates_of(campaign);
    let mut templates = templates.iter();
    let (Some((name, language)), None) = (templates.next(), templates.next()) else {
        return Ok(());
    };
    let Some(stored) = send.core.template(campaign.workspace, &account.waba_id, name, language).await? else {
        return Ok(());
    };
    let status = if code == DISABLED { TemplateStatus::Disabled } else { TemplateStatus::Paused };
    let change = TemplateChange::Status { status, title: None, description: None, rejected_reason: None };
    let Some(meta_id) = &stored.meta_id else {
        return Ok(());
    };
    let which = (name.as_str(), language.as_str(), meta_id.as_str());
    // Meta dates its notifications in whole seconds: one of the same second may be from after this answer.
    let before = UnixMillis(now.0 - now.0.rem_euclid(1_000) - 1_000);
    send.core.change_template(campaign.workspace, &account.waba_id, which, &change, before).await.map(|_| ())
}

fn explain(error: &MetaError) -> String {
    let MetaError { code, title, details, .. } = error;
    let what_to_do = match code {
        0 | 190 | 104 => "renew the account's access token, then resume",
        132_015 => "it goes on when Meta lets the template go on",
        132_000..=132_999 => "correct the template or its parameters, then resume",
        _ => "look at the number in Meta's business manager, then resume",
    };
    match details {
        Some(details) => format!("Meta refused with {code} {title} ({details}): {what_to_do}"),
        None => format!("Meta refused with {code} {title}: {what_to_do}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(code: i64) -> MetaError {
        MetaError {
            code,
            title: "x".to_owned(),
            details: None,
            fbtrace_id: None,
            http_status: 400,
            is_transient: false,
        }
    }

    #[test]
    fn an_error_stops_as_far_as_it_reaches() {
        for (code, what) in [
            (190, Some(What::Account)),
            (131_048, Some(What::Account)),
            (132_015, Some(What::Template)),
            (132_000, Some(What::Campaign)),
            (131_026, None),
            (130_429, None),
        ] {
            assert_eq!(Stop::because_of(&error(code)).map(|stop| stop.what), what, "{code}");
        }
    }
}
