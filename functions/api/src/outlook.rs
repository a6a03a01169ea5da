//! How fast a campaign goes, when it will be done, and what it waits for: told from the rows that the sender reserves
//! from, so that nobody has to guess why nothing leaves.

use serde_json::{Value, json};
use shared::account::{Account, AccountStatus, DEFAULT_RATE};
use shared::campaign::{Campaign, PausedBy, Status};
use shared::store::PageState;
use shared::throttle::outlook::Share;
use shared::throttle::{State, UnixMicros, Why};
use shared::time::UnixMillis;

/// A campaign's rate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pace {
    /// What was asked for: the campaign's ceiling, or the account's rate.
    pub(crate) target: u32,
    /// Messages a second that it gets while things are as they are; 0 while others use all of the rate.
    pub(crate) effective: u32,
    /// Why that is less, for people.
    pub(crate) because: Option<String>,
}

impl Pace {
    /// Of a campaign that sends now, or would.
    pub(crate) fn of(campaign: &Campaign, account: Option<&Account>, state: &State, now: UnixMillis) -> Self {
        let Some(account) = account else {
            let target = campaign.rate(DEFAULT_RATE);
            return Self { target, effective: 0, because: Some("the account does not exist any more".to_owned()) };
        };
        let now = UnixMicros::from_millis(now);
        let target = campaign.rate(account.messages_per_second);
        let (allowed, slowed) = account.effective_rate();
        let present = state.rate_at(allowed, now);
        let Share { rate: effective, others } = state.share_of(campaign.id, campaign.messages_per_second, allowed, now);
        let because = if effective >= target {
            None
        } else if others > 0 && effective < campaign.rate(present) {
            let campaigns =
                if others == 1 { "another campaign".to_owned() } else { format!("{others} other campaigns") };
            Some(format!("the account's {present} messages a second are shared with {campaigns}"))
        } else if present < allowed {
            Some("Meta has said \"too fast\"; the rate is coming back".to_owned())
        } else {
            slowed.map(|slowed| slowed.sentence().to_owned())
        };
        Self { target, effective, because }
    }

    /// As the API shows it, with what has in fact left in the last minute.
    pub(crate) fn shown(&self, accepted_in_last_minute: i64) -> Value {
        json!({
            "target": self.target,
            "effective": self.effective,
            "because": self.because,
            "actual_1m": per_second(accepted_in_last_minute),
        })
    }

    /// When so many messages will have left at this pace; `None` when nobody can tell.
    pub(crate) fn eta(&self, left: i64, now: UnixMillis) -> Option<UnixMillis> {
        (left > 0 && self.effective > 0).then(|| UnixMillis(now.0 + left * 1_000 / i64::from(self.effective)))
    }
}

/// Messages a minute as messages a second, to one decimal.
#[allow(clippy::cast_precision_loss, reason = "messages of a minute are far below 2^52")]
fn per_second(per_minute: i64) -> f64 {
    (per_minute as f64 / 6.0).round() / 10.0
}

/// What a campaign waits for, and until when if anybody knows; `null` when it does not wait.
pub(crate) fn waiting<'a>(
    campaign: &Campaign,
    account: Option<&Account>,
    state: &State,
    pages: impl IntoIterator<Item = &'a PageState>,
    now: UnixMillis,
) -> Value {
    let shown =
        |reason: &str, until: Option<UnixMillis>| json!({"reason": reason, "until": until.map(UnixMillis::to_rfc3339)});
    let paused = account.filter(|account| account.status == AccountStatus::Paused);
    let of_account = |account: &Account| {
        let why = account.status_reason.as_deref().unwrap_or("no reason is known");
        shown(&format!("the account is paused: {why}"), account.paused_until)
    };
    match (campaign.status, campaign.paused_by) {
        (Status::Scheduled, _) => shown("the campaign waits for its time", campaign.schedule.start_at),
        (Status::Running, _) | (Status::Paused, Some(PausedBy::Account)) if paused.is_some() => {
            paused.map_or(Value::Null, of_account)
        }
        (Status::Paused, Some(PausedBy::Template)) => {
            let why = campaign.status_reason.as_deref();
            shown(why.unwrap_or("its template is not approved at Meta"), None)
        }
        (Status::Running, _) => {
            let whole = state.wait_of(campaign.id, UnixMicros::from_millis(now));
            let rest = whole.as_ref().filter(|(_, why)| matches!(why, Why::Rest(_)));
            let page = pages
                .into_iter()
                .filter(|page| page.done_at.is_none())
                .filter_map(|page| Some((page.deferred_until?, page.deferred_because.as_deref()?)))
                .filter(|(until, _)| *until > now)
                .min_by_key(|(until, _)| *until);
            match (rest, page, &whole) {
                (Some((until, why)), ..) | (None, None, Some((until, why))) => shown(&why.sentence(), Some(*until)),
                (None, Some((until, reason)), _) => shown(reason, Some(until)),
                (None, None, None) => Value::Null,
            }
        }
        _ => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use shared::account::{NumberIdentity, Quality};
    use shared::id::{AccountId, CampaignId, WorkspaceId};
    use shared::throttle::window::Limits;
    use shared::throttle::{Answer, Ask};

    use super::*;

    const NOW: UnixMillis = UnixMillis(1_790_000_000_000);

    fn account() -> Account {
        let number = NumberIdentity {
            phone_number_id: "1".to_owned(),
            waba_id: "2".to_owned(),
            display_phone_number: "3".to_owned(),
        };
        let account = Account::new(AccountId::new(NOW), WorkspaceId::FIRST, number, NOW);
        Account { messages_per_second: 80, ..account }
    }

    fn campaign() -> Campaign {
        serde_json::from_value(json!({
            "v": 1, "id": "cmp_01J00000000000000000000000", "workspace": WorkspaceId::FIRST,
            "account": "acc_01J00000000000000000000000", "name": "Offer", "category": "marketing",
            "variants": [{"name": "A", "weight": 1, "message": {"type": "text", "text": {"body": "Hi"}}}],
            "schedule": {}, "on_unknown": "leave", "links": [], "recipients": 800, "skipped": 0, "pages": 8,
            "shards": 1, "status": "running", "next_page": 0, "done_before": 0, "created_at": 7,
        }))
        .unwrap()
    }

    fn busy(state: &mut State, campaign: CampaignId) {
        let limits = Limits::default();
        let ask = Ask { campaign, messages: 1_000, ceiling: None, rate: 80, limits: &limits };
        assert!(matches!(state.reserve(&ask, UnixMicros::from_millis(NOW)), Answer::Granted(_)));
    }

    #[test]
    fn the_pace_says_why_it_is_less_than_asked_for() {
        let of = |account: &Account, state: &State| Pace::of(&campaign(), Some(account), state, NOW);
        let alone = of(&account(), &State::default());
        assert_eq!(alone, Pace { target: 80, effective: 80, because: None });
        assert_eq!(alone.eta(800, NOW), Some(UnixMillis(NOW.0 + 10_000)));
        let low = of(&Account { quality: Quality::Red, ..account() }, &State::default());
        assert_eq!((low.effective, low.because.unwrap().contains("quality")), (40, true));
        let mut state = State::default();
        busy(&mut state, CampaignId::new(NOW));
        let shared = of(&account(), &state);
        assert_eq!((shared.effective, shared.because.unwrap().contains("another campaign")), (40, true));
        let mut slowed = State::default();
        slowed.too_fast(80, UnixMicros::from_millis(NOW));
        let slowed = of(&account(), &slowed);
        assert_eq!((slowed.effective, slowed.because.unwrap().contains("too fast")), (40, true));
    }

    #[test]
    fn a_wait_has_its_reason_and_its_end() {
        let of = |campaign: &Campaign, account: &Account, state: &State, pages: &[PageState]| {
            waiting(campaign, Some(account), state, pages, NOW)
        };
        let none: [PageState; 0] = [];
        assert_eq!(of(&campaign(), &account(), &State::default(), &none), Value::Null);

        let paused = Account {
            status: AccountStatus::Paused,
            status_reason: Some("tired".to_owned()),
            paused_until: Some(UnixMillis(NOW.0 + 1)),
            ..account()
        };
        let wait = of(&campaign(), &paused, &State::default(), &none);
        assert_eq!(wait["reason"], "the account is paused: tired");
        assert_eq!(wait["until"], UnixMillis(NOW.0 + 1).to_rfc3339());

        let later = UnixMillis(NOW.0 + 60_000);
        let page = PageState {
            v: 1,
            enqueued_at: NOW,
            deferred_until: Some(later),
            deferred_because: Some("it is quiet hours".to_owned()),
            parked: true,
            round: 0,
            done_at: None,
        };
        let mut state = State::default();
        assert_eq!(of(&campaign(), &account(), &state, std::slice::from_ref(&page))["reason"], "it is quiet hours");
        state.rest_until(later, "Meta asked for a pause");
        assert_eq!(of(&campaign(), &account(), &state, &[page])["reason"], "Meta asked for a pause");

        let mut state = State::default();
        busy(&mut state, CampaignId::new(NOW));
        let limits = Limits::default();
        let ask = Ask { campaign: campaign().id, messages: 1, ceiling: None, rate: 80, limits: &limits };
        assert!(matches!(state.reserve(&ask, UnixMicros::from_millis(NOW)), Answer::Wait(_)));
        let wait = of(&campaign(), &account(), &state, &none);
        assert!(wait["reason"].as_str().unwrap().contains("share") && wait["until"].is_string(), "{wait}");
    }

    #[test]
    fn a_campaign_that_somebody_has_paused_waits_for_nothing() {
        let by = |paused_by| Campaign { status: Status::Paused, paused_by: Some(paused_by), ..campaign() };
        let of = |campaign: &Campaign| waiting(campaign, Some(&account()), &State::default(), &[], NOW);
        assert_eq!(of(&by(PausedBy::Operator)), Value::Null);
        assert!(of(&by(PausedBy::Template))["reason"].is_string());
    }
}
