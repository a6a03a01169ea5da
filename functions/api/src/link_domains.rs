//! `/v1/link-domains`: the domains that a workspace has for its short links. New links are on its default domain, else on the
//! deployment's own.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde::Deserialize;
use serde_json::{Value, json};
use shared::campaign::{Campaign, Status};
use shared::http::auth::Caller;
use shared::http::body;
use shared::http::problem::Problem;
use shared::id::{CampaignId, WorkspaceId};
use shared::link::domain::{DomainName, LinkDomain};
use shared::outbound::address::{Reach, reach};
use shared::store::MAX_LINK_DOMAINS;
use shared::time::UnixMillis;

use crate::Api;
use crate::templates::fitting::Warning;

/// How long the name service may take for one name.
const LOOK_UP_PATIENCE: Duration = Duration::from_secs(5);

/// Campaigns that are read at a time when a domain is to be removed.
const CAMPAIGNS_AT_ONCE: usize = 100;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewDomain {
    domain: String,
    /// Whether new links are to be on it. Leaving it out changes nothing about that.
    #[serde(default)]
    default: Option<bool>,
}

/// `GET /v1/link-domains`: all of them, by name.
pub(crate) async fn list(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<Value>, Problem> {
    let default = api.core.default_link_domain(caller.workspace).await?;
    let domains = api.core.link_domains(caller.workspace).await?;
    let domains: Vec<Value> = domains.iter().map(|domain| view(&api, domain, default.as_ref())).collect();
    Ok(Json(json!({"data": domains, "next_cursor": null})))
}

/// `POST /v1/link-domains`: adds a domain, or says of one that is there whether it is the default. 201 either way, for both
/// end in the same.
pub(crate) async fn add(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    payload: Bytes,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let new: NewDomain = body::read(&payload)?;
    let name = DomainName::parse(&new.domain).map_err(|reason| Problem::invalid("/domain", reason.to_string()))?;
    if api.link_host.as_deref() == Some(name.as_str()) {
        return Err(Problem::invalid("/domain", "is the deployment's own domain, which every workspace may use"));
    }
    let there = api.core.link_domains(caller.workspace).await?;
    if there.len() >= MAX_LINK_DOMAINS && there.iter().all(|domain| domain.domain != name) {
        return Err(Problem::invalid("/domain", format!("a workspace has at most {MAX_LINK_DOMAINS} domains")));
    }
    let domain = LinkDomain { v: 1, domain: name, workspace: caller.workspace, created_at: UnixMillis::now() };
    let stored = api.core.add_link_domain(&domain).await?;
    if stored.workspace != caller.workspace {
        return Err(Problem::conflict("another workspace has this domain", None));
    }
    // After the domain: a run that is cut off in between has added it, and a repeat makes it the default.
    match new.default {
        Some(true) => api.core.set_default_link_domain(caller.workspace, &stored.domain).await?,
        Some(false) => api.core.unset_default_link_domain(caller.workspace, &stored.domain).await?,
        None => {}
    }
    let default = api.core.default_link_domain(caller.workspace).await?;
    let mut shown = view(&api, &stored, default.as_ref());
    let warning = match new.default {
        Some(true) => look_up(&api, &stored.domain).await.0.warning(),
        _ => None,
    };
    shown["warnings"] = json!(Vec::from_iter(warning));
    Ok((StatusCode::CREATED, Json(shown)))
}

/// `GET /v1/link-domains/{domain}`.
pub(crate) async fn one(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
) -> Result<Json<Value>, Problem> {
    let domain = find(&api, caller.workspace, &name).await?;
    let default = api.core.default_link_domain(caller.workspace).await?;
    Ok(Json(view(&api, &domain, default.as_ref())))
}

/// `DELETE /v1/link-domains/{domain}`: links on it answer 404 until the workspace adds it again. 409 while a campaign that
/// was started and has not ended has links on it.
pub(crate) async fn remove(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
) -> Result<StatusCode, Problem> {
    let name = DomainName::parse(&name).map_err(|_| Problem::not_found("link domain"))?;
    // A removal that was cut off is ended by its repeat, whatever runs by then.
    if has(&api, caller.workspace, &name).await?
        && let Some(campaign) = campaign_on(&api, caller.workspace, &name).await?
    {
        let detail = format!("links of the campaign {campaign} are on this domain: let it end, or cancel it, first");
        return Err(Problem::conflict(detail, None));
    }
    match api.core.remove_link_domain(caller.workspace, &name, UnixMillis::now()).await? {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(Problem::not_found("link domain")),
    }
}

/// `POST /v1/link-domains/{domain}/check`: whether the domain leads to where short links are answered, by the addresses of
/// both names as this process resolves them now.
pub(crate) async fn check(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
) -> Result<Json<Value>, Problem> {
    let domain = find(&api, caller.workspace, &name).await?;
    let (verdict, found) = look_up(&api, &domain.domain).await;
    // What names of our own network resolve to is nobody's business.
    let public: Vec<IpAddr> = found.into_iter().filter(|address| reach(*address) == Reach::Public).collect();
    Ok(Json(json!({
        "domain": domain.domain,
        "status": verdict.name(),
        "detail": verdict.detail(),
        "found": public,
        "set": record(&api, &domain.domain),
    })))
}

/// Where the domain leads, by the addresses that it has.
async fn look_up(api: &Api, domain: &DomainName) -> (Verdict, BTreeSet<IpAddr>) {
    let target = api.link_host.clone().unwrap_or_default();
    let (found, expected) = tokio::join!(addresses(domain.as_str()), addresses(&target));
    (Verdict::of(&found, &expected), found)
}

/// What a look at the name service says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// It leads here.
    Ok,
    /// It has no address.
    Unresolved,
    /// It leads to another place.
    Elsewhere,
    /// Where it should lead has no address either: nothing can be compared.
    TargetUnresolved,
}

impl Verdict {
    fn of(found: &BTreeSet<IpAddr>, expected: &BTreeSet<IpAddr>) -> Self {
        if expected.is_empty() {
            Self::TargetUnresolved
        } else if found.is_empty() {
            Self::Unresolved
        } else if found.is_disjoint(expected) {
            Self::Elsewhere
        } else {
            Self::Ok
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Unresolved => "unresolved",
            Self::Elsewhere => "elsewhere",
            Self::TargetUnresolved => "target_unresolved",
        }
    }

    /// What to say to who makes such a domain the default.
    fn warning(self) -> Option<Warning> {
        let reason = match self {
            Self::Ok => return None,
            Self::Unresolved => "the domain does not resolve yet",
            Self::Elsewhere => "the domain leads elsewhere",
            Self::TargetUnresolved => "whether the domain leads here could not be found out",
        };
        let reason = format!("{reason}, and new links are on it from now on: {}", self.detail());
        Some(Warning { pointer: "/default".to_owned(), reason })
    }

    const fn detail(self) -> &'static str {
        match self {
            Self::Ok => "The domain leads here.",
            Self::Unresolved => {
                "The domain has no address yet. Set the record; it may take until its old one has run out."
            }
            Self::Elsewhere => "The domain leads elsewhere. Replace its record by this one.",
            Self::TargetUnresolved => "The host of LINK_BASE_URL has no address, so nothing can be compared with it.",
        }
    }
}

/// All addresses of a name; none when it has none or the name service does not answer.
async fn addresses(name: &str) -> BTreeSet<IpAddr> {
    // The port is a part of the question that does not matter.
    let asked = tokio::time::timeout(LOOK_UP_PATIENCE, tokio::net::lookup_host((name, 443))).await;
    let found = asked.ok().and_then(Result::ok);
    found.into_iter().flatten().map(|address| address.ip().to_canonical()).collect()
}

async fn find(api: &Api, workspace: WorkspaceId, name: &str) -> Result<LinkDomain, Problem> {
    let not_found = || Problem::not_found("link domain");
    let name = DomainName::parse(name).map_err(|_| not_found())?;
    let found = api.core.link_domain(&name).await?;
    found.filter(|domain| domain.workspace == workspace).ok_or_else(not_found)
}

/// Whether a domain is this workspace's.
async fn has(api: &Api, workspace: WorkspaceId, domain: &DomainName) -> Result<bool, Problem> {
    Ok(api.core.link_domain(domain).await?.is_some_and(|row| row.workspace == workspace))
}

/// The domain of a campaign's links: all of them are on one. `None` is the deployment's own, or that it has no links.
pub(crate) async fn of_campaign(api: &Api, campaign: &Campaign) -> Result<Option<DomainName>, Problem> {
    let Some(link) = campaign.links.first() else { return Ok(None) };
    Ok(api.core.link(link.id).await?.and_then(|link| link.domain))
}

/// The domain of a campaign's links if it was removed since they were made: they answer 404.
pub(crate) async fn removed_under(api: &Api, campaign: &Campaign) -> Result<Option<DomainName>, Problem> {
    match of_campaign(api, campaign).await? {
        Some(domain) if !has(api, campaign.workspace, &domain).await? => Ok(Some(domain)),
        _ => Ok(None),
    }
}

/// A campaign that may still send links on this domain.
async fn campaign_on(api: &Api, workspace: WorkspaceId, domain: &DomainName) -> Result<Option<CampaignId>, Problem> {
    let mut before = None;
    loop {
        let part = api.core.campaigns(workspace, before, CAMPAIGNS_AT_ONCE).await?;
        for campaign in part.rows.iter().filter(|campaign| is_under_way(campaign.status)) {
            if of_campaign(api, campaign).await?.as_ref() == Some(domain) {
                return Ok(Some(campaign.id));
            }
        }
        match part.rows.last() {
            Some(last) if part.more => before = Some(last.id),
            _ => return Ok(None),
        }
    }
}

/// Whether messages of a campaign that was started may still leave.
const fn is_under_way(status: Status) -> bool {
    match status {
        Status::Scheduled | Status::Running | Status::Paused => true,
        Status::Draft | Status::Completed | Status::Cancelled | Status::Failed => false,
    }
}

/// The record that leads to us.
fn record(api: &Api, domain: &DomainName) -> Value {
    json!({"type": "CNAME", "name": domain, "value": api.link_host})
}

fn view(api: &Api, domain: &LinkDomain, default: Option<&DomainName>) -> Value {
    json!({
        "domain": domain.domain,
        "default": default == Some(&domain.domain),
        "dns": record(api, &domain.domain),
        "created_at": domain.created_at.to_rfc3339(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_domain_leads_here_when_it_shares_an_address_with_us() {
        let set = |addresses: &[&str]| addresses.iter().map(|address| address.parse().unwrap()).collect();
        let ours = set(&["192.0.2.1", "192.0.2.2", "2001:db8::1"]);
        assert_eq!(Verdict::of(&set(&["192.0.2.2"]), &ours), Verdict::Ok);
        assert_eq!(Verdict::of(&set(&["198.51.100.1"]), &ours), Verdict::Elsewhere);
        assert_eq!(Verdict::of(&set(&[]), &ours), Verdict::Unresolved);
        assert_eq!(Verdict::of(&set(&["192.0.2.2"]), &set(&[])), Verdict::TargetUnresolved);
    }

    #[test]
    fn a_default_that_does_not_lead_here_is_warned_of() {
        assert!(Verdict::Ok.warning().is_none());
        let warning = Verdict::Unresolved.warning().unwrap();
        assert_eq!(warning.pointer, "/default");
        assert!(warning.reason.starts_with("the domain does not resolve yet"), "{}", warning.reason);
        assert!(Verdict::Elsewhere.warning().is_some());
    }

    #[test]
    fn a_domain_is_needed_by_what_was_started_and_has_not_ended() {
        assert!([Status::Scheduled, Status::Running, Status::Paused].into_iter().all(is_under_way));
        assert!(![Status::Draft, Status::Completed, Status::Cancelled, Status::Failed].into_iter().any(is_under_way));
    }
}
