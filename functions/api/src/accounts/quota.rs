//! `GET /v1/accounts/{id}/quota`: what an account may still send, when its next message could leave, and what it waits
//! for. Everything is told from the rows that the sender reserves from.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::{Extension, Json};
use serde::Serialize;
use shared::account::{Account, AccountStatus};
use shared::http::auth::Caller;
use shared::http::problem::Problem;
use shared::throttle::window::Kind;
use shared::throttle::{self, UnixMicros, Why, portfolio};
use shared::time::{UnixMillis, rfc3339};

use super::find;
use crate::Api;

/// `GET /v1/accounts/{id}/quota`.
pub(crate) async fn show(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Json<Quota>, Problem> {
    let account = find(&api, caller, &id).await?;
    let throttle = api.core.throttle_state(account.workspace, account.id).await?;
    let portfolio = api.core.portfolio_state(account.workspace, account.portfolio_name()).await?;
    Ok(Json(quota(&account, &throttle, &portfolio, UnixMillis::now())))
}

/// What an account may still send.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Quota {
    windows: Windows,
    rate: Rate,
    #[serde(with = "rfc3339::option")]
    cooldown_until: Option<UnixMillis>,
    /// When a message that is ready now could leave; `null` when nobody knows.
    #[serde(with = "rfc3339::option")]
    next_slot_at: Option<UnixMillis>,
    waiting_because: Option<String>,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct Windows {
    minute: Window,
    hour: Window,
    day: Window,
    unique_recipients_24h: Window,
}

/// One window; without a limit nothing remains to be told.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Window {
    limit: Option<u32>,
    used: u32,
    remaining: Option<u32>,
    #[serde(with = "rfc3339::option")]
    resets_at: Option<UnixMillis>,
}

/// Messages a second.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Rate {
    configured: u32,
    effective: u32,
    because: Option<String>,
}

fn quota(account: &Account, state: &throttle::State, people: &portfolio::State, now: UnixMillis) -> Quota {
    let limits = account.window_limits(now);
    let window = |kind: Kind| {
        let (limit, used) = (limits.of(kind), state.windows.used(&limits, kind, now));
        let remaining = limit.map(|limit| limit.saturating_sub(used));
        Window { limit, used, remaining, resets_at: Some(limits.window(kind, now).1) }
    };
    let windows = Windows {
        minute: window(Kind::Minute),
        hour: window(Kind::Hour),
        day: window(Kind::Day),
        unique_recipients_24h: unique_recipients(account, people, now),
    };
    let cooldown = state.rest.as_ref().filter(|rest| rest.until > now);
    let (next_slot_at, why) = next_slot(account, state, now);
    Quota {
        windows,
        rate: rate(account, state, now),
        cooldown_until: cooldown.map(|rest| rest.until),
        next_slot_at,
        waiting_because: why,
    }
}

/// The smaller one of Meta's limit and our own. Both count everybody whom the portfolio has written to, and hold back
/// what its campaigns have reserved.
fn unique_recipients(account: &Account, people: &portfolio::State, now: UnixMillis) -> Window {
    let limit = account.people_per_day();
    let used = people.used(now);
    let remaining = limit.map(|limit| people.free(limit, now));
    Window { limit, used, remaining, resets_at: (used > 0).then(|| people.opens_at(now)) }
}

fn rate(account: &Account, state: &throttle::State, now: UnixMillis) -> Rate {
    let (allowed, slowed) = account.effective_rate();
    let effective = state.rate_at(allowed, UnixMicros::from_millis(now));
    let because = if effective < allowed {
        Some("Meta has said \"too fast\"; the rate is coming back".to_owned())
    } else {
        slowed.map(|slowed| slowed.sentence().to_owned())
    };
    Rate { configured: account.messages_per_second, effective, because }
}

/// When a message could leave, and what it waits for until then: the wait that ends last.
fn next_slot(account: &Account, state: &throttle::State, now: UnixMillis) -> (Option<UnixMillis>, Option<String>) {
    if account.status == AccountStatus::Paused {
        let reason = account.status_reason.as_deref().unwrap_or("no reason is known");
        return (account.paused_until, Some(format!("the account is paused: {reason}")));
    }
    let limits = account.window_limits(now);
    let rest = state.rest.as_ref().map(|rest| (rest.until, Why::Rest(rest.because.clone())));
    let full = Kind::ALL.into_iter().filter_map(|kind| {
        let limit = limits.of(kind)?;
        let used_up = state.windows.used(&limits, kind, now) >= limit;
        used_up.then(|| (limits.window(kind, now).1, Why::Window(kind)))
    });
    let waits = rest.into_iter().chain(full).filter(|(until, _)| *until > now);
    match waits.max_by_key(|(until, _)| *until) {
        Some((until, why)) => (Some(until), Some(why.sentence())),
        None => (Some(now), None),
    }
}

#[cfg(test)]
mod tests {
    use shared::account::{Limits, NumberIdentity, Quality};
    use shared::id::{AccountId, CampaignId, WorkspaceId};
    use shared::throttle::{Answer, Ask};

    use super::*;

    /// A minute, an hour and a day of UTC begin here: 2026-09-22.
    const MIDNIGHT: UnixMillis = UnixMillis(1_790_035_200_000);

    fn account() -> Account {
        let number = NumberIdentity {
            phone_number_id: "1".to_owned(),
            waba_id: "2".to_owned(),
            display_phone_number: "3".to_owned(),
        };
        let account = Account::new(AccountId::new(MIDNIGHT), WorkspaceId::FIRST, number, MIDNIGHT);
        let limits = Limits { per_minute: Some(30), per_day: Some(1_000), ..Limits::default() };
        Account { limits, messages_per_second: 40, ..account }
    }

    /// So many messages reserved at midnight.
    fn reserved(account: &Account, messages: u32) -> throttle::State {
        let mut state = throttle::State::default();
        let limits = account.window_limits(MIDNIGHT);
        let campaign = CampaignId::new(MIDNIGHT);
        let rate = account.effective_rate().0;
        let ask = Ask { campaign, messages, ceiling: None, rate, limits: &limits };
        assert!(matches!(state.reserve(&ask, UnixMicros::from_millis(MIDNIGHT)), Answer::Granted(_)));
        state
    }

    fn at(seconds: i64) -> UnixMillis {
        UnixMillis(MIDNIGHT.0 + seconds * 1_000)
    }

    #[test]
    fn each_window_says_what_is_left_of_it_and_the_account_what_it_waits_for() {
        let account = account();
        let quota = |state: &throttle::State, now| super::quota(&account, state, &portfolio::State::default(), now);
        let shown = quota(&reserved(&account, 20), at(1));
        let Windows { minute, hour, day, .. } = &shown.windows;
        assert_eq!((minute.used, minute.remaining, minute.resets_at), (20, Some(10), Some(at(60))));
        assert_eq!((hour.limit, hour.remaining, hour.resets_at), (None, None, Some(at(3_600))));
        assert_eq!((day.used, day.remaining, day.resets_at), (20, Some(980), Some(at(86_400))));
        assert_eq!((shown.next_slot_at, shown.waiting_because), (Some(at(1)), None));

        let full = reserved(&account, 30);
        let shown = quota(&full, at(1));
        assert_eq!(shown.next_slot_at, Some(at(60)));
        assert_eq!(shown.waiting_because.as_deref(), Some("the account's limit per_minute is used up"));
        assert_eq!(quota(&full, at(60)).waiting_because, None, "the next minute");
    }

    #[test]
    fn a_rest_and_a_pause_say_why_and_until_when() {
        let mut account = account();
        let mut state = throttle::State::default();
        state.rest_until(at(90), "Meta has refused a message");
        let shown = quota(&account, &state, &portfolio::State::default(), at(1));
        assert_eq!((shown.cooldown_until, shown.next_slot_at), (Some(at(90)), Some(at(90))));
        assert_eq!(shown.waiting_because.as_deref(), Some("Meta has refused a message"));

        account.status = AccountStatus::Paused;
        account.status_reason = Some("stock-taking".to_owned());
        let shown = quota(&account, &state, &portfolio::State::default(), at(1));
        assert_eq!((shown.next_slot_at, shown.cooldown_until), (None, Some(at(90))));
        assert_eq!(shown.waiting_because.as_deref(), Some("the account is paused: stock-taking"));
    }

    #[test]
    fn the_rate_says_why_it_is_lower_than_set() {
        let mut account = account();
        let mut state = throttle::State::default();
        let rate = |account: &Account, state: &throttle::State| super::rate(account, state, at(1));
        assert_eq!(rate(&account, &state), Rate { configured: 40, effective: 40, because: None });
        account.quality = Quality::Red;
        let low = rate(&account, &state);
        assert_eq!(low.effective, 20);
        assert!(low.because.unwrap().contains("quality"));
        state.too_fast(20, UnixMicros::from_millis(at(1)));
        let slowed = rate(&account, &state);
        assert_eq!(slowed.effective, 10);
        assert!(slowed.because.unwrap().contains("too fast"));
    }

    #[test]
    fn the_smaller_limit_of_people_holds_and_reservations_are_not_free() {
        let mut account = account();
        let mut people = portfolio::State::default();
        let (one, other) = (CampaignId::new(at(0)), CampaignId::new(at(1)));
        assert_eq!(people.take(one, 100, 250, at(1)), Ok(100));
        assert_eq!(people.reserve(other, 50, 250, at(1)), 50);
        let shown = |account: &Account| unique_recipients(account, &people, at(2));
        assert_eq!((shown(&account).limit, shown(&account).used, shown(&account).remaining), (None, 100, None));
        account.messaging_limit = Some(250);
        assert_eq!((shown(&account).limit, shown(&account).remaining), (Some(250), Some(100)));
        account.limits.unique_recipients_per_24h = Some(160);
        assert_eq!((shown(&account).limit, shown(&account).remaining), (Some(160), Some(10)));
        assert_eq!(shown(&account).resets_at, Some(people.opens_at(at(2))));
    }
}
