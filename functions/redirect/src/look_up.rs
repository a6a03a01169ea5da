//! From the end of a path to the link behind it. A code is decoded and costs a read only if it makes sense; an alias costs one
//! when it was not asked for lately.

use std::sync::Arc;

use shared::link::Link;
use shared::link::alias::LinkAlias;
use shared::link::code::{Code, RecipientSeq};
use shared::link::domain::Site;
use shared::store::StoreError;
use shared::time::UnixMillis;

use crate::Redirect;
use crate::cache::StandIn;

/// What the end of a path leads to.
pub(crate) enum Found {
    /// This link, and whose code it was.
    Link(Arc<Link>, RecipientSeq),
    /// A link whose time is over.
    Expired,
    /// Nothing, or nothing any more.
    Nothing,
}

/// An alias and where it counts.
pub(crate) type AliasKey = (Site, LinkAlias);

/// Follows the end of a path on a domain.
pub(crate) async fn follow(redirect: &Redirect, site: &Site, end: &str, now: UnixMillis) -> Result<Found, StoreError> {
    let found = match Code::parse(end) {
        Ok(code) => of_code(redirect, site, &code).await?,
        Err(_) => match LinkAlias::parse(end) {
            Ok(alias) => of_alias(redirect, site, alias).await?,
            Err(_) => None,
        },
    };
    Ok(match found {
        Some((link, _)) if link.revoked_at.is_some() => Found::Nothing,
        Some((link, _)) if link.is_expired(now) => Found::Expired,
        Some((link, seq)) => Found::Link(link, seq),
        None => Found::Nothing,
    })
}

async fn of_code(
    redirect: &Redirect,
    site: &Site,
    code: &Code,
) -> Result<Option<(Arc<Link>, RecipientSeq)>, StoreError> {
    for reading in redirect.links.readings(site, code) {
        let found = redirect.rows.get(&reading.link, StandIn::Row, redirect.core.link(reading.link)).await?;
        if let Some(link) = found.filter(|link| link.has_issued(site, &reading)) {
            return Ok(Some((link, reading.seq)));
        }
    }
    Ok(None)
}

async fn of_alias(
    redirect: &Redirect,
    site: &Site,
    alias: LinkAlias,
) -> Result<Option<(Arc<Link>, RecipientSeq)>, StoreError> {
    let key: AliasKey = (site.clone(), alias);
    let Some(number) = redirect.aliases.get(&key, StandIn::Row, redirect.core.link_behind(site, &key.1)).await? else {
        return Ok(None);
    };
    let link = redirect.rows.get(&number, StandIn::Row, redirect.core.link(*number)).await?;
    let link = link.filter(|link| link.alias.as_ref() == Some(&key.1) && link.site() == *site);
    Ok(link.map(|link| (link, RecipientSeq::SHARED)))
}
