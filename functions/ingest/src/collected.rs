//! What web pages report: an event of the feed for each, and the close of the attempt whose link led to a conversion.

use futures::{StreamExt, TryStreamExt};
use shared::activity::custom::{CustomReport, Source};
use shared::activity::{self, Content, Event, Visitor};
use shared::attempt::Moment;
use shared::collected::{Collected, WebEvent};
use shared::id::{ContactId, EventId};
use shared::time::UnixMillis;

use crate::attribution::{self, Attributed};
use crate::effects::Effects;
use crate::names::{self, Names};
use crate::visitor::{self, Whereabouts};
use crate::{Ingest, NotIngested, WRITES_AT_ONCE};

/// The report with what is worked out from the address and the user agent in place of them: neither goes any further.
pub(crate) fn enriched(ingest: &Ingest, mut collected: Collected) -> Collected {
    let visitor = collected.visitor.take().unwrap_or_else(|| visitor::of_page(collected.user_agent.as_deref()));
    let told = collected.country.take().filter(|code| code.len() == 2 && code.bytes().all(|b| b.is_ascii_uppercase()));
    let country = told.or_else(|| Whereabouts::of(&ingest.places, collected.ip.as_deref()).country);
    Collected { visitor: Some(visitor), country, ip: None, user_agent: None, ..collected }
}

/// What an enriched report changes.
pub(crate) async fn effects(ingest: &Ingest, collected: &Collected) -> Result<Effects, NotIngested> {
    // Begun one after the other all the same: a list of futures has one type that can be sent.
    let each: Vec<_> =
        collected.with_places().map(|(index, event)| of_event(ingest, collected, index, event)).collect();
    let each: Vec<Effects> = futures::stream::iter(each).buffered(WRITES_AT_ONCE).try_collect().await?;
    let mut effects = Effects::default();
    each.into_iter().for_each(|one| effects.merge(one));
    Ok(effects)
}

async fn of_event(
    ingest: &Ingest,
    collected: &Collected,
    index: usize,
    told: &WebEvent,
) -> Result<Effects, NotIngested> {
    let mut effects = Effects::default();
    let (workspace, seen) = (collected.workspace, collected.received_at);
    let at = match &told.id {
        Some(own_id) => ingest.core.time_of_own_id(workspace, Source::Web, own_id, told.at, seen).await?,
        None => told.at,
    };
    let id = id_of(collected, index, told, at);
    let is_machine = matches!(collected.visitor, Some(Visitor::Machine { .. }));
    let click = attribution::of(ingest, workspace, told.click_id.as_deref(), at).await?;
    // A crawler that walks through a shop says nothing about anybody.
    let contact = if is_machine { None } else { contact_of(ingest, collected, told, click.as_ref(), id, at).await? };
    let counts = click.as_ref().filter(|click| click.counts);
    if let Some(key) = counts.and_then(|click| click.recipient).filter(|_| told.conversion && !is_machine) {
        effects.close(key, Moment { at, seen }, id, told.value.as_ref());
    }
    let report = CustomReport {
        name: told.name.clone(),
        source: Source::Web,
        own_id: told.id.clone(),
        campaign: counts.and_then(|click| click.link.campaign),
        recipient: counts.and_then(|click| click.recipient).map(|key| key.seq),
        click: counts.map(|click| click.click),
        click_id: told.click_id.clone().filter(|_| counts.is_none()),
        conversion: told.conversion,
        value: told.value.clone(),
        visitor: collected.visitor.clone(),
        country: collected.country.clone(),
        properties: told.properties.clone(),
    };
    let account = counts.and_then(|click| click.link.account).or(collected.account);
    let content = Content::Custom(Box::new(report));
    effects.record_of(Some(workspace), account, Event { v: 1, id, at, seen, contact, variant: None, content });
    Ok(effects)
}

/// The same for the same event, whoever computes it: by the page's own id, else by its place in the report.
fn id_of(collected: &Collected, index: usize, told: &WebEvent, at: UnixMillis) -> EventId {
    let workspace = collected.workspace.to_string();
    match &told.id {
        Some(own_id) => activity::id_of(at, &["web", &workspace, own_id]),
        None => activity::id_of(at, &["web", &workspace, &collected.id.to_string(), &index.to_string()]),
    }
}

/// Whom the event concerns. What the page itself says of the person holds; only a page that says nothing is believed to be
/// open before the person whose link led there, for links are passed on.
async fn contact_of(
    ingest: &Ingest,
    collected: &Collected,
    told: &WebEvent,
    click: Option<&Attributed>,
    event: EventId,
    at: UnixMillis,
) -> Result<Option<ContactId>, NotIngested> {
    let mut names = Names {
        phone: told.phone.clone(),
        email: told.email.clone(),
        anonymous_id: told.anonymous_id.clone(),
        ..Names::default()
    };
    if names.phone.is_none()
        && names.email.is_none()
        && let Some(key) = click.and_then(|click| click.recipient)
    {
        names.phone = ingest.core.attempt(&key).await?.map(|attempt| attempt.phone);
    }
    Ok(names::contact_of(ingest, collected.workspace, &names, "web", event, at).await?)
}
