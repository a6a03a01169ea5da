//! A person wrote: the event, the attempt that it answers, the service window that it opens, and what it says about consent.

use shared::activity::Content;
use shared::activity::reported::{MessageDetail, MetaClickReport, OrderReport, PersonReport, ReferralReport};
use shared::attempt::{AttemptKey, Evidence, Flag, Moment};
use shared::conversation::Happened;
use shared::id::ContactId;
use shared::meta::webhook::{InboundMessage, MarketingLinkClick, MessageContent, Order, Referral, SystemChange};
use shared::time::UnixMillis;

use crate::effects::Effects;
use crate::origin::{Origin, json, kept};
use crate::people::{self, Meeting, Person};
use crate::reply;
use crate::{Ingest, NotIngested, app, consent};

/// Takes in a message. One of a conversation that another sender has (`standby`) is in the feed, and a request to stop in it
/// is one; but it answers nothing of ours and opens no window.
pub(crate) async fn take_in(
    ingest: &Ingest,
    effects: &mut Effects,
    origin: &Origin<'_>,
    message: &InboundMessage,
    standby: bool,
) -> Result<(), NotIngested> {
    let at = UnixMillis::from_seconds(message.timestamp_s);
    let person = Person::of(message.from.as_ref(), message.from_user_id.as_ref());
    let person = person.completed_by(origin.item.contact.as_ref());
    if let MessageContent::System(change) = &message.content {
        return changed(ingest, effects, origin, message, change).await;
    }
    let meeting = Meeting { at, by: "message", what: &message.wamid, name: people::name_of(origin.item) };
    let contact = people::meet(ingest, origin, &person, &meeting).await?;
    let to_us = !standby && message.group_id.is_none();
    let answered = match (origin.route, to_us) {
        (Some(of), true) => reply::attempt(ingest, of, &person, contact, message).await?,
        _ => None,
    };
    if let Some(key) = answered
        && reply::is_a_reply(message)
    {
        effects.learn(key, Evidence::Flag(Flag::Replied, Moment { at, seen: origin.seen }), None);
    }
    if let Some(contact) = contact
        && to_us
        && reply::is_a_reply(message)
    {
        let entry_point_at = message.referral.as_ref().map(|_| at);
        effects.happened(origin, contact, Happened { inbound_at: Some(at), entry_point_at, ..Happened::default() });
    }
    if message.group_id.is_none() {
        consent::said(ingest, effects, origin, message, &person, contact, answered, to_us).await?;
    }
    record(effects, origin, message, contact, answered, standby);
    Ok(())
}

fn record(
    effects: &mut Effects,
    origin: &Origin<'_>,
    message: &InboundMessage,
    contact: Option<ContactId>,
    answered: Option<AttemptKey>,
    standby: bool,
) {
    let kind = message.content.kind();
    let id = origin.id(UnixMillis::from_seconds(message.timestamp_s), "message", &[&message.wamid, kind]);
    let content = Content::MessageReceived {
        wamid: message.wamid.to_string(),
        from: message.from.as_ref().map(|from| from.to_string()),
        kind: kind.to_owned(),
        campaign: answered.map(|key| key.campaign),
        recipient: answered.map(|key| key.seq),
        detail: Box::new(detail(message, standby)),
        raw: kept(message),
    };
    effects.record(origin.route, origin.event(id, contact, content));
}

fn detail(message: &InboundMessage, standby: bool) -> MessageDetail {
    let context = message.context.as_ref();
    let quoted = context.and_then(|context| context.id.as_ref()).map(|id| id.as_str());
    let text = |text: &shared::meta::webhook::Redacted<String>| text.to_string();
    let payload = match &message.content {
        MessageContent::Button { payload, .. } => payload.as_ref().map(text),
        MessageContent::ButtonReply { id, .. } | MessageContent::ListReply { id, .. } => Some(text(id)),
        MessageContent::CallPermissionReply { response, .. } => Some(response.clone()),
        _ => None,
    };
    let emoji = match &message.content {
        MessageContent::Reaction { emoji, .. } => emoji.as_ref().map(text),
        _ => None,
    };
    let order = match &message.content {
        MessageContent::Order(order) => Some(order_of(order)),
        _ => None,
    };
    MessageDetail {
        from_user_id: message.from_user_id.as_ref().map(text),
        group: message.group_id.clone(),
        standby,
        forwarded: context.is_some_and(|context| context.forwarded || context.frequently_forwarded),
        about: app::about(&message.content).or(quoted).map(str::to_owned),
        payload,
        emoji,
        referral: message.referral.as_ref().map(referral_of),
        order,
        code: message.errors.first().and_then(|error| error.code),
    }
}

fn referral_of(referral: &Referral) -> ReferralReport {
    ReferralReport {
        source_type: referral.source_type.clone(),
        source_id: referral.source_id.clone(),
        source_url: referral.source_url.clone(),
        headline: referral.headline.clone(),
        ctwa_clid: referral.ctwa_clid.as_ref().map(|id| id.to_string()),
    }
}

/// The cart's pieces and sum. Prices are decimal texts; they are added in thousandths, the finest that a currency has.
fn order_of(order: &Order) -> OrderReport {
    let mut currencies = order.items.iter().map(|item| item.currency.as_deref());
    let currency = currencies.next().flatten().filter(|first| currencies.all(|other| other == Some(*first)));
    let sum = order.items.iter().try_fold(0_i64, |sum, item| {
        let price = thousandths(item.item_price.as_deref()?)?;
        sum.checked_add(price.checked_mul(item.quantity.unwrap_or(1))?)
    });
    OrderReport {
        catalog: order.catalog_id.clone(),
        pieces: order.items.iter().filter_map(|item| item.quantity).fold(0, i64::saturating_add),
        amount: currency.and(sum).map(decimal),
        currency: currency.map(str::to_owned),
    }
}

fn thousandths(text: &str) -> Option<i64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(fraction) {
        return None;
    }
    let fraction = format!("{fraction:0<3}");
    // A finer price than a currency has is none that can be added exactly.
    let (kept, finer) = fraction.split_at(3);
    if finer.bytes().any(|byte| byte != b'0') {
        return None;
    }
    whole.parse::<i64>().ok()?.checked_mul(1_000)?.checked_add(kept.parse().ok()?)
}

fn decimal(thousandths: i64) -> String {
    let text = format!("{}.{:03}", thousandths / 1_000, thousandths % 1_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A person has another number or user id: the events before and after are the same person's.
async fn changed(
    ingest: &Ingest,
    effects: &mut Effects,
    origin: &Origin<'_>,
    message: &InboundMessage,
    change: &SystemChange,
) -> Result<(), NotIngested> {
    let at = UnixMillis::from_seconds(message.timestamp_s);
    let contact = people::moved(ingest, origin, message, change).await?;
    let id = origin.id(at, "changed", &[&message.wamid, change.kind.as_str()]);
    let content =
        Content::ContactChanged(PersonReport { event: change.kind.to_string(), category: None, raw: kept(message) });
    effects.record(origin.route, origin.event(id, contact, content));
    Ok(())
}

/// Somebody followed a link in a message of the Marketing Messages API; Meta does not tell who.
pub(crate) fn link_click(effects: &mut Effects, origin: &Origin<'_>, click: &MarketingLinkClick) {
    let raw = json(click);
    let id = origin.id(UnixMillis::from_seconds(click.timestamp_s), "meta click", &[&raw]);
    let content = Content::MetaLinkClicked(MetaClickReport {
        component: click.component.clone(),
        click_id: click.click_id.clone(),
        product: click.product_id.clone(),
        raw: shared::activity::Kept::Inline(raw),
    });
    effects.record(origin.route, origin.event(id, None, content));
}

#[cfg(test)]
mod tests {
    use shared::meta::webhook::OrderItem;

    use super::*;

    fn item(quantity: i64, price: &str, currency: &str) -> OrderItem {
        OrderItem {
            product_retailer_id: None,
            quantity: Some(quantity),
            item_price: Some(price.to_owned()),
            currency: Some(currency.to_owned()),
        }
    }

    fn sum(items: Vec<OrderItem>) -> (i64, Option<String>) {
        let order = order_of(&Order { catalog_id: None, text: None, items });
        (order.pieces, order.amount)
    }

    #[test]
    fn an_order_is_summed_exactly_or_not_at_all() {
        assert_eq!(sum(vec![item(3, "0.1", "EUR"), item(1, "19.90", "EUR")]), (4, Some("20.2".to_owned())));
        assert_eq!(sum(vec![item(2, "1500", "IDR")]), (2, Some("3000".to_owned())));
        assert_eq!(sum(vec![item(1, "1.234", "KWD")]), (1, Some("1.234".to_owned())));
        for wrong in ["", "-1", "1e3", "0.0001", "1,50", "99999999999999999999"] {
            assert_eq!(sum(vec![item(1, wrong, "EUR")]), (1, None), "{wrong}");
        }
        assert_eq!(sum(vec![item(1, "1", "EUR"), item(1, "1", "USD")]), (2, None));
        assert_eq!(sum(Vec::new()), (0, None));
    }
}
