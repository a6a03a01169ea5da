//! A page's turn: slots of the account's rate, and room in the portfolio's messaging limit.

use shared::account::Account;
use shared::campaign::Campaign;
use shared::store::StoreError;
use shared::throttle::{Answer, Ask, LONGEST_WAIT, Slots, UnixMicros, Wait, Why};
use shared::time::UnixMillis;
use tokio_util::sync::CancellationToken;

use crate::Send;

/// What a page gets.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// So many of its messages may leave, at these slots.
    Now(Slots),
    /// Not before this; for people, why.
    Later(UnixMillis, String),
    /// The campaign was stopped meanwhile.
    Stopped,
}

/// Waits for a page's turn, as long as that is soon. Every message counts as one to a person whom nobody of the portfolio
/// has written to in the last 24 hours: that is never too few.
pub(crate) async fn of_page(
    send: &Send,
    campaign: &Campaign,
    account: &Account,
    messages: u32,
    stopped: &CancellationToken,
) -> Result<Turn, StoreError> {
    let since = UnixMillis::now();
    let messages = match room_for_people(send, campaign, account, since).await? {
        Room::For(people) => messages.min(people),
        Room::None(turn) => return Ok(turn),
    };
    let slots = loop {
        let now = UnixMicros::now();
        let limits = account.window_limits(now.floor_millis());
        let ask = Ask {
            campaign: campaign.id,
            messages,
            ceiling: campaign.messages_per_second,
            rate: account.effective_rate().0,
            limits: &limits,
        };
        let Wait { until, why, .. } = match send.core.reserve_slots(campaign.workspace, account.id, &ask, now).await? {
            Answer::Granted(slots) => break slots,
            Answer::Wait(wait) => wait,
        };
        let soon = matches!(why, Why::Rate | Why::FairShare) && until.since(since) <= LONGEST_WAIT;
        if !soon {
            return Ok(Turn::Later(until, why.sentence()));
        }
        tokio::select! {
            biased;
            () = stopped.cancelled() => return Ok(Turn::Stopped),
            () = tokio::time::sleep(until.since(now.floor_millis())) => {}
        }
    };
    let Some(limit) = account.people_per_day() else {
        return Ok(Turn::Now(slots));
    };
    let now = UnixMillis::now();
    let taken = send
        .core
        .take_people(campaign.workspace, account.portfolio_name(), campaign.id, slots.len(), limit, now)
        .await?;
    Ok(match taken {
        Ok(people) => Turn::Now(slots.first(people)),
        Err(until) => Turn::Later(until, used_up(limit)),
    })
}

enum Room {
    For(u32),
    None(Turn),
}

/// Looks before any slot is reserved whether the portfolio has room at all: slots that go unused would be counted in the
/// account's windows.
async fn room_for_people(
    send: &Send,
    campaign: &Campaign,
    account: &Account,
    now: UnixMillis,
) -> Result<Room, StoreError> {
    let Some(limit) = account.people_per_day() else {
        return Ok(Room::For(u32::MAX));
    };
    let portfolio = send.core.portfolio_state(campaign.workspace, account.portfolio_name()).await?;
    Ok(match portfolio.room_for(campaign.id, limit, now) {
        0 => Room::None(Turn::Later(portfolio.opens_at(now), used_up(limit))),
        people => Room::For(people),
    })
}

fn used_up(limit: u32) -> String {
    format!("the messaging limit is used up: {limit} people in 24 hours for all numbers of the business portfolio")
}
