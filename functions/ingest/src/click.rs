//! A click on a tracked link: an event of the feed, and for a person the flag of their attempt.

use shared::activity::{Click, Content, Event, Visitor};
use shared::attempt::{Evidence, Flag, Moment};
use shared::store::StoreError;

use crate::Ingest;
use crate::effects::Effects;
use crate::visitor;

/// The click with what is worked out from the address and the user agent in place of them: neither goes any further, into
/// the archive or a row.
pub(crate) fn enriched(ingest: &Ingest, mut click: Click) -> Click {
    let visitor = click.visitor.take().unwrap_or_else(|| visitor::of(&click));
    let told = click.country.take().filter(|code| code.len() == 2 && code.bytes().all(|b| b.is_ascii_uppercase()));
    let country = told.or_else(|| ingest.places.country(click.ip.as_deref()?));
    Click { visitor: Some(visitor), country, ip: None, user_agent: None, ..click }
}

/// What an enriched click changes. It was seen when it was followed: `redirect` takes it in at once. A person's click is
/// theirs by the attempt whose link it was.
pub(crate) async fn effects(ingest: &Ingest, click: Click) -> Result<Effects, StoreError> {
    let mut effects = Effects::default();
    let seen = click.at;
    let key = click.attempt();
    let visitor = click.visitor.unwrap_or_else(|| Visitor::Machine { reason: "unknown".to_owned() });
    let mut attempt = None;
    if let (Visitor::Human { .. }, Some(key)) = (&visitor, key) {
        attempt = ingest.core.attempt(&key).await?;
        effects.learn(key, Evidence::Flag(Flag::Clicked, Moment { at: click.at, seen }), None);
    }
    let content = Content::LinkClicked {
        link: click.link,
        campaign: click.campaign,
        recipient: click.recipient.map(|(_, seq)| seq),
        visitor,
        country: click.country,
    };
    let (contact, variant) = attempt.map(|attempt| (attempt.contact, attempt.variant)).unzip();
    let contact = contact.flatten();
    let event = Event { v: 1, id: click.id, at: click.at, seen, contact, variant, content };
    effects.record_of(Some(click.workspace), click.account, event);
    Ok(effects)
}
