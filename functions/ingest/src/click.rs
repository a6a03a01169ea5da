//! A click on a tracked link: an event of the feed, and for a person the flag of their attempt.

use shared::activity::{Click, Content, Event, Visitor};
use shared::attempt::{Evidence, Flag, Moment};
use shared::store::StoreError;
use shared::time::UnixMillis;

use crate::Ingest;
use crate::effects::Effects;
use crate::visitor;

/// What the click changes. The address is used for its country here and goes no further. A person's click is theirs by the
/// attempt whose link it was.
pub(crate) async fn effects(ingest: &Ingest, click: &Click) -> Result<Effects, StoreError> {
    let mut effects = Effects::default();
    let seen = UnixMillis::now();
    let visitor = visitor::of(click);
    let told = click.country.clone().filter(|code| code.len() == 2 && code.bytes().all(|b| b.is_ascii_uppercase()));
    let country = told.or_else(|| ingest.places.country(click.ip.as_deref()?));
    let mut attempt = None;
    if let (Visitor::Human { .. }, Some(key)) = (&visitor, click.attempt()) {
        attempt = ingest.core.attempt(&key).await?;
        effects.learn(key, Evidence::Flag(Flag::Clicked, Moment { at: click.at, seen }), None);
    }
    let content = Content::LinkClicked {
        link: click.link,
        campaign: click.campaign,
        recipient: click.recipient.map(|(_, seq)| seq),
        visitor,
        country,
    };
    let (contact, variant) = attempt.map(|attempt| (attempt.contact, attempt.variant)).unzip();
    let contact = contact.flatten();
    let event = Event { v: 1, id: click.id, at: click.at, seen, contact, variant, content };
    effects.record(Some((click.workspace, click.account)), event);
    Ok(effects)
}
