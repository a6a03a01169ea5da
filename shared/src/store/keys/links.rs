//! Links, their domains, and what people did with them.

use super::{Key, read_of_recipient};
use crate::attempt::AttemptKey;
use crate::id::{TrackedLinkId, WorkspaceId};
use crate::link::alias::LinkAlias;
use crate::link::code::LinkId;
use crate::link::domain::{DomainName, Site};
use crate::link::visits::{Visitor, VisitorMark, Whose};

/// What people did with links: a row beside the attempt's, for its writers are others, or one of a visitor of a day.
#[must_use]
pub fn visits(whose: &Whose) -> Key {
    match whose {
        Whose::Recipient(AttemptKey { workspace, campaign, shard, seq }) => {
            Key::new(format!("WS#{workspace}#VISITS#{campaign}#{:02}", shard.0), format!("{:08}", seq.0))
        }
        Whose::Visitor(Visitor { workspace, campaign, link, mark }) => {
            let campaign = campaign.map_or_else(|| NO_CAMPAIGN.to_owned(), |campaign| campaign.to_string());
            let pk = format!("WS#{workspace}#VISITORS#{campaign}#{}#{:02}", link.get(), mark.shard());
            Key::new(pk, mark.as_str())
        }
    }
}

/// In the place of the campaign of a free link.
const NO_CAMPAIGN: &str = "-";

/// Reads such a key back; `None` for any other row.
#[must_use]
pub fn read_visits(pk: &str, sk: &str) -> Option<Whose> {
    if let Some(key) = read_of_recipient("VISITS", pk, sk) {
        return Some(Whose::Recipient(key));
    }
    let ["WS", workspace, "VISITORS", campaign, link, _] = pk.split('#').collect::<Vec<_>>()[..] else { return None };
    Some(Whose::Visitor(Visitor {
        workspace: workspace.parse().ok()?,
        campaign: if campaign == NO_CAMPAIGN { None } else { Some(campaign.parse().ok()?) },
        link: LinkId::new(link.parse().ok()?)?,
        mark: VisitorMark::from_key(sk),
    }))
}

/// A tracked link.
#[must_use]
pub fn link(link: LinkId) -> Key {
    Key::new(format!("LINK#{}", link.get()), "LINK")
}

/// Sort key of the row that tells which link an alias leads to.
pub const LINK_ALIAS: &str = "LINK_ALIAS";

/// Which link an alias leads to.
#[must_use]
pub fn link_alias(site: &Site, alias: &LinkAlias) -> Key {
    let scope = match site {
        Site::Shared => "SHARED".to_owned(),
        Site::Own { workspace, domain } => format!("{workspace}#{domain}"),
    };
    Key::new(format!("LINK#ALIAS#{scope}#{alias}"), LINK_ALIAS)
}

/// Whose a domain for short links is.
#[must_use]
pub fn link_domain(domain: &DomainName) -> Key {
    Key::new(format!("LINK#DOMAIN#{domain}"), "DOMAIN")
}

/// A workspace's domains for short links in the index of lists.
#[must_use]
pub fn link_domain_list(workspace: WorkspaceId) -> String {
    format!("WS#{workspace}#LINK_DOMAINS")
}

/// Partition of the domains for short links that a workspace had.
#[must_use]
pub fn removed_link_domains_pk(workspace: WorkspaceId) -> String {
    format!("WS#{workspace}#REMOVED_LINK_DOMAINS")
}

/// A domain for short links that a workspace had.
#[must_use]
pub fn removed_link_domain(workspace: WorkspaceId, domain: &DomainName) -> Key {
    Key::new(removed_link_domains_pk(workspace), domain.as_str())
}

/// Which domain a workspace's new links are on.
#[must_use]
pub fn default_link_domain(workspace: WorkspaceId) -> Key {
    Key::new(format!("WS#{workspace}#SETTINGS"), "LINK_DOMAIN")
}

/// Partition of the list of a workspace's free links.
#[must_use]
pub fn free_links_pk(workspace: WorkspaceId) -> String {
    format!("WS#{workspace}#LINKS")
}

/// A free link in its workspace's list.
#[must_use]
pub fn free_link(workspace: WorkspaceId, link: TrackedLinkId) -> Key {
    Key::new(free_links_pk(workspace), link.to_string())
}
