//! A click on a tracked link: an event of the feed, and for a person the flag of their attempt.

use shared::activity::{Click, Content, Event, Visitor};
use shared::attempt::{Evidence, Flag, Moment};
use shared::link::visits::{self, Visit, VisitorMark, Whose};
use shared::rollup::click::facets;
use shared::store::StoreError;

use crate::Ingest;
use crate::effects::Effects;
use crate::visitor::{self, Whereabouts};

/// The click with what is worked out from the address, the user agent and the hints in place of them: none of them goes any
/// further, into the archive or a row.
pub(crate) fn enriched(ingest: &Ingest, mut click: Click) -> Click {
    let place = Whereabouts::of(&ingest.places, click.ip.as_deref()).or_told(&click);
    let visitor = click.visitor.take().unwrap_or_else(|| visitor::of(&click, place.asn));
    let Whereabouts { country, region, city, .. } = place;
    let mark = click.mark.take().or_else(|| click.visitor_mark(ingest.short_links.newest()));
    let visitor = Some(visitor);
    Click {
        visitor,
        mark,
        country,
        region,
        city,
        ip: None,
        user_agent: None,
        asn: None,
        hints_mobile: None,
        hints_platform: None,
        hints_brands: None,
        ..click
    }
}

/// What an enriched click changes. It was seen when it was followed: `redirect` takes it in at once. A person's click is
/// theirs by the attempt whose link it was.
pub(crate) async fn effects(ingest: &Ingest, click: Click) -> Result<Effects, StoreError> {
    let mut effects = Effects::default();
    let (at, link, seen) = (click.at, click.link, click.at);
    let visitor = click.visitor.clone().unwrap_or_else(|| Visitor::Machine { reason: "unknown".to_owned() });
    let is_person = matches!(visitor, Visitor::Human { .. });
    let theirs = click.attempt().filter(|_| is_person);
    let attempt = match &theirs {
        Some(key) => ingest.core.attempt(key).await?,
        None => None,
    };
    let content = Content::LinkClicked {
        link,
        campaign: click.campaign,
        recipient: click.recipient.map(|(_, seq)| seq),
        visitor,
        country: click.country,
        region: click.region,
        city: click.city,
        referrer: click.referrer,
    };
    let (contact, variant) = attempt.map(|attempt| (attempt.contact, attempt.variant)).unzip();
    let event = Event { v: 1, id: click.id, at, seen, contact: contact.flatten(), variant, content };
    if let Some(key) = theirs {
        effects.learn(key, Evidence::Flag(Flag::Clicked, Moment { at, seen }), None);
    }
    if is_person {
        let visitor = || {
            let mark = click.mark.unwrap_or_else(|| VisitorMark::alone(event.id));
            Whose::Visitor(visits::Visitor { workspace: click.workspace, campaign: click.campaign, link, mark })
        };
        let whose = theirs.map_or_else(visitor, Whose::Recipient);
        effects.visit(whose, Visit { at, event: event.id, link, counts_for: facets(&event) });
    }
    effects.record_of(Some(click.workspace), click.account, event);
    Ok(effects)
}
