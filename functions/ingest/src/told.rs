//! What the operator's servers tell: an event of the feed for each, and what it means for the conversation that it is of.

use futures::{StreamExt, TryStreamExt};
use shared::activity::custom::{CustomReport, Source};
use shared::activity::{self, Content, Event};
use shared::attempt::Moment;
use shared::conversation::{Assigned, Happened};
use shared::id::ContactId;
use shared::time::UnixMillis;
use shared::told::{Fact, OwnFact, ToldEvent, ToldEvents};

use crate::attribution::{self, Attributed};
use crate::effects::Effects;
use crate::names::{self, Names};
use crate::{Ingest, NotIngested, WRITES_AT_ONCE};

/// What a request's events change.
pub(crate) async fn effects(ingest: &Ingest, told: &ToldEvents) -> Result<Effects, NotIngested> {
    // Begun one after the other all the same: a list of futures has one type that can be sent.
    let each: Vec<_> = told.with_places().map(|(index, event)| of_event(ingest, told, index, event)).collect();
    let each: Vec<Effects> = futures::stream::iter(each).buffered(WRITES_AT_ONCE).try_collect().await?;
    let mut effects = Effects::default();
    each.into_iter().for_each(|one| effects.merge(one));
    Ok(effects)
}

async fn of_event(
    ingest: &Ingest,
    request: &ToldEvents,
    index: usize,
    told: &ToldEvent,
) -> Result<Effects, NotIngested> {
    let mut effects = Effects::default();
    let (workspace, seen) = (request.workspace, request.received_at);
    let whose = workspace.to_string();
    let (at, id) = match &told.id {
        Some(own_id) => {
            let at = ingest.core.time_of_own_id(workspace, Source::Server, own_id, told.at, seen).await?;
            (at, activity::id_of(at, &["told", &whose, own_id]))
        }
        None => {
            let place = [&*request.id.to_string(), &*index.to_string()];
            (told.at, activity::id_of(told.at, &["told", &whose, place[0], place[1]]))
        }
    };
    let click = attribution::of(ingest, workspace, told.click_id.as_deref(), at).await?;
    let counts = click.as_ref().filter(|click| click.counts);
    let contact = match &told.contact {
        Some(person) => names::contact_of(ingest, workspace, &Names::from(person), "api", id, at).await?,
        None => None,
    };
    let moment = Moment { at, seen };
    if let (Fact::Own(OwnFact { conversion: true, value, .. }), Some(key)) =
        (&told.fact, counts.and_then(|click| click.recipient))
    {
        effects.close(key, moment, id, value.as_ref());
    }
    let account = counts.and_then(|click| click.link.account).or(told.account);
    if let (Some(contact), Some(account)) = (contact, account) {
        effects.talked((workspace, contact, account), happened(&told.fact, at));
    }
    let content = content(told, counts);
    effects.record_of(Some(workspace), account, event(id, moment, contact, content));
    Ok(effects)
}

fn event(id: shared::id::EventId, moment: Moment, contact: Option<ContactId>, content: Content) -> Event {
    Event { v: 1, id, at: moment.at, seen: moment.seen, contact, variant: None, content }
}

/// What it means for the conversation. A program's message answers nobody.
fn happened(fact: &Fact, at: UnixMillis) -> Happened {
    let nothing = Happened::default();
    match fact {
        Fact::Assigned(report) => Happened { assigned: Some(Assigned { at, to: report.agent.clone() }), ..nothing },
        Fact::Resolved(_) => Happened { resolved_at: Some(at), ..nothing },
        Fact::Sent(report) if !report.bot => Happened { outbound_at: Some(at), ..nothing },
        Fact::Sent(_) | Fact::Own(_) => nothing,
    }
}

fn content(told: &ToldEvent, counts: Option<&Attributed>) -> Content {
    match &told.fact {
        Fact::Assigned(report) => Content::ChatAssigned(report.clone()),
        Fact::Resolved(report) => Content::ChatResolved(report.clone()),
        Fact::Sent(report) => Content::MessageSent(report.clone()),
        Fact::Own(own) => Content::Custom(Box::new(CustomReport {
            name: own.name.clone(),
            source: Source::Server,
            own_id: told.id.clone(),
            campaign: counts.and_then(|click| click.link.campaign),
            recipient: counts.and_then(|click| click.recipient).map(|key| key.seq),
            click: counts.map(|click| click.click),
            click_id: told.click_id.clone().filter(|_| counts.is_none()),
            conversion: own.conversion,
            value: own.value.clone(),
            visitor: None,
            country: None,
            properties: own.properties.clone(),
        })),
    }
}
