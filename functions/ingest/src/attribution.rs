//! Which click a page's event is put down to: the click id that our link appended says which code was followed and when. The
//! code is decoded as `redirect` does it, so a forged one attributes nothing; a link that was revoked or has expired since,
//! or whose domain was removed, was followed before.

use std::sync::Arc;
use std::time::Duration;

use shared::attempt::{AttemptKey, Shard};
use shared::id::{EventId, WorkspaceId};
use shared::link::click_id::ClickId;
use shared::link::code::LinkId;
use shared::link::domain::{DomainName, Site};
use shared::link::{Link, position};
use shared::store::StoreError;
use shared::time::UnixMillis;

use crate::Ingest;
use crate::remembered::Remembered;

/// A link's owner, campaign and key never change.
const KNOWN_FOR: Duration = Duration::from_secs(300);

/// A link and its domain are made before anybody can follow it, so that there is none is soon certain.
const UNKNOWN_FOR: Duration = Duration::from_secs(30);

/// The links that were asked for lately.
pub(crate) type Links = Remembered<LinkId, Option<Link>>;

/// Where the links of the workspaces are.
pub(crate) type Sites = Remembered<WorkspaceId, Arc<Vec<Site>>>;

/// A click of ours.
pub(crate) struct Attributed {
    /// The link that was followed.
    pub(crate) link: Link,
    /// Whose link it was; absent for the link's shared code.
    pub(crate) recipient: Option<AttemptKey>,
    /// The event of the click.
    pub(crate) click: EventId,
    /// Whether what is looked at happened soon enough after it to be put down to it.
    pub(crate) counts: bool,
}

/// The click that a click id names, if it is one on a link of this workspace.
pub(crate) async fn of(
    ingest: &Ingest,
    workspace: WorkspaceId,
    click_id: Option<&str>,
    at: UnixMillis,
) -> Result<Option<Attributed>, StoreError> {
    let Some(id) = click_id.and_then(|text| text.parse::<ClickId>().ok()) else {
        return Ok(None);
    };
    // The click id does not say which domain the code was on: it is one of the workspace's.
    for site in sites(ingest, workspace).await?.iter() {
        for reading in ingest.short_links.readings(site, &id.code) {
            let Some(link) = link(ingest, reading.link).await? else {
                continue;
            };
            if !link.has_issued(site, &reading) || link.workspace != workspace {
                continue;
            }
            let shards = u32::from(link.shards.max(1));
            let recipient = position(reading.seq).zip(link.campaign).map(|(seq, campaign)| {
                let shard = Shard(u8::try_from(seq.0 % shards).unwrap_or(0));
                AttemptKey { workspace, campaign, shard, seq }
            });
            return Ok(Some(Attributed { link, recipient, click: id.click, counts: id.covers(at) }));
        }
    }
    Ok(None)
}

/// Where a workspace's links may be or may have been when they were followed, the deployment's own domain first.
async fn sites(ingest: &Ingest, workspace: WorkspaceId) -> Result<Arc<Vec<Site>>, StoreError> {
    if let Some(known) = ingest.sites.get(&workspace) {
        return Ok(known);
    }
    // In this order: a domain that is removed in between is among one of them.
    let mut domains: Vec<DomainName> =
        ingest.core.link_domains(workspace).await?.into_iter().map(|row| row.domain).collect();
    for removed in ingest.core.removed_link_domains(workspace).await? {
        if !domains.contains(&removed) {
            domains.push(removed);
        }
    }
    let own = domains.into_iter().map(|domain| Site::Own { workspace, domain });
    let sites = Arc::new(std::iter::once(Site::Shared).chain(own).collect());
    ingest.sites.put(workspace, Arc::clone(&sites), UNKNOWN_FOR);
    Ok(sites)
}

async fn link(ingest: &Ingest, id: LinkId) -> Result<Option<Link>, StoreError> {
    if let Some(known) = ingest.links.get(&id) {
        return Ok(known);
    }
    let link = ingest.core.link(id).await?;
    let lasts = if link.is_some() { KNOWN_FOR } else { UNKNOWN_FOR };
    ingest.links.put(id, link.clone(), lasts);
    Ok(link)
}
