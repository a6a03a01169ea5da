//! Rows of links, their aliases and the domains they are on: made once, found by whom they belong to, revoked for good.

use shared::id::{TrackedLinkId, WorkspaceId};
use shared::link::alias::LinkAlias;
use shared::link::code::{KeyId, LinkId};
use shared::link::domain::{DomainName, LinkDomain, Site};
use shared::link::targets::Targets;
use shared::link::utm::Utm;
use shared::link::{Link, candidate};
use shared::store::Made;
use shared::time::UnixMillis;

use crate::{NOW, Tables, WORKSPACE, account_id, at_once};

fn later(ms: i64) -> UnixMillis {
    UnixMillis(NOW.0 + ms)
}

fn other_workspace() -> WorkspaceId {
    WorkspaceId::from_ulid(shared::id::ulid_at(NOW))
}

pub(crate) fn free(number: u32, ms: i64, alias: Option<&str>) -> Link {
    Link {
        v: 1,
        id: LinkId::new(number).unwrap(),
        workspace: WORKSPACE,
        account: Some(account_id()),
        campaign: None,
        url: "https://shop.example/offer".to_owned(),
        targets: Targets { ios: Some("https://apps.example/".to_owned()), ..Targets::default() },
        utm: Utm { source: Some("whatsapp".to_owned()), ..Utm::default() },
        domain: None,
        alias: alias.map(|alias| LinkAlias::parse(alias).unwrap()),
        kid: KeyId(1),
        recipients: 0,
        shards: 1,
        append_click_id: false,
        password: None,
        valid_until: Some(later(60_000)),
        revoked_at: None,
        created_at: later(ms),
    }
}

fn domain(name: &str, workspace: WorkspaceId) -> LinkDomain {
    LinkDomain { v: 1, domain: DomainName::parse(name).unwrap(), workspace, created_at: NOW }
}

#[tokio::test]
async fn a_free_link_is_made_once_with_its_place_in_the_list_and_its_alias() {
    let tables = Tables::new().await;
    let core = &tables.core;
    let link = free(7, 0, Some("spring-sale"));
    for _ in 0..2 {
        assert_eq!(core.create_free_link(&link).await.unwrap(), Made::There(Box::new(link.clone())));
    }
    let alias = link.alias.clone().unwrap();
    assert_eq!(core.link_behind(&Site::Shared, &alias).await.unwrap(), Some(link.id));
    assert_eq!(core.link_of(WORKSPACE, link.public_id()).await.unwrap(), Some(link.clone()));
    assert_eq!(core.free_links(WORKSPACE, None, 10).await.unwrap().rows, [link]);
}

#[tokio::test]
async fn a_number_or_an_alias_that_is_taken_leaves_nothing_behind() {
    let tables = Tables::new().await;
    let core = &tables.core;
    core.create_free_link(&free(7, 0, Some("spring-sale"))).await.unwrap();
    assert_eq!(core.create_free_link(&free(7, 1, None)).await.unwrap(), Made::NumberTaken);
    assert_eq!(core.create_free_link(&free(8, 1, Some("spring-sale"))).await.unwrap(), Made::AliasTaken);
    assert_eq!(core.link(LinkId::new(8).unwrap()).await.unwrap(), None);
    assert_eq!(core.free_links(WORKSPACE, None, 10).await.unwrap().rows.len(), 1);

    // The same alias on a domain of its own is another one.
    let own = Link { domain: Some(DomainName::parse("go.brand.example").unwrap()), ..free(9, 2, Some("spring-sale")) };
    assert!(matches!(core.create_free_link(&own).await.unwrap(), Made::There(_)));
    assert_eq!(core.link_behind(&own.site(), own.alias.as_ref().unwrap()).await.unwrap(), Some(own.id));
}

#[tokio::test]
async fn of_links_that_want_one_alias_at_once_one_gets_it() {
    let tables = Tables::new().await;
    let cores: Vec<_> = (0..8).map(|_| tables.another_core()).collect();
    let made = at_once(8, |n| {
        let core = cores[n].clone();
        async move {
            let link = free(u32::try_from(n).unwrap() + 1, i64::try_from(n).unwrap(), Some("one"));
            // A transaction that met another one is tried again, as a caller does.
            loop {
                if let Ok(made) = core.create_free_link(&link).await {
                    return made;
                }
            }
        }
    })
    .await;
    assert_eq!(made.iter().filter(|made| matches!(made, Made::There(_))).count(), 1);
    assert_eq!(made.iter().filter(|made| **made == Made::AliasTaken).count(), 7);
}

#[tokio::test]
async fn a_list_of_free_links_is_read_page_by_page_newest_first() {
    let tables = Tables::new().await;
    let core = &tables.core;
    for n in 0..5 {
        core.create_free_link(&free(1_000 - n, i64::from(n), None)).await.unwrap();
    }
    let (mut before, mut read): (Option<TrackedLinkId>, Vec<i64>) = (None, Vec::new());
    loop {
        let listed = core.free_links(WORKSPACE, before, 2).await.unwrap();
        read.extend(listed.rows.iter().map(|link| link.created_at.0 - NOW.0));
        before = listed.rows.last().map(Link::public_id);
        if !listed.more {
            break;
        }
    }
    assert_eq!(read, [4, 3, 2, 1, 0]);
    assert!(core.free_links(other_workspace(), None, 10).await.unwrap().rows.is_empty());
}

#[tokio::test]
async fn a_link_is_found_and_revoked_by_its_workspace_alone() {
    let tables = Tables::new().await;
    let core = &tables.core;
    let link = free(7, 0, None);
    core.create_free_link(&link).await.unwrap();
    assert_eq!(core.link_of(other_workspace(), link.public_id()).await.unwrap(), None);
    let forged = Link { created_at: later(1), ..link.clone() }.public_id();
    assert_eq!(core.link_of(WORKSPACE, forged).await.unwrap(), None, "its number alone does not name a link");
    assert_eq!(core.revoke_link(other_workspace(), link.id, later(5)).await.unwrap(), None);
    assert_eq!(core.revoke_link(WORKSPACE, LinkId::MAX, later(5)).await.unwrap(), None);
    for at in [5, 9] {
        let revoked = core.revoke_link(WORKSPACE, link.id, later(at)).await.unwrap().unwrap();
        assert_eq!(revoked.revoked_at, Some(later(5)), "the first revocation stays");
    }
}

#[tokio::test]
async fn a_domain_is_one_workspaces_and_its_default_only_while_it_is_there() {
    let tables = Tables::new().await;
    let core = &tables.core;
    let (one, two) = (domain("go.brand.example", WORKSPACE), domain("a.brand.example", WORKSPACE));
    for _ in 0..2 {
        assert_eq!(core.add_link_domain(&one).await.unwrap(), one);
    }
    core.add_link_domain(&two).await.unwrap();
    let theirs = domain("go.brand.example", other_workspace());
    assert_eq!(core.add_link_domain(&theirs).await.unwrap(), one, "it is taken");
    assert_eq!(core.link_domains(WORKSPACE).await.unwrap(), [two, one.clone()]);

    assert_eq!(core.default_link_domain(WORKSPACE).await.unwrap(), None);
    core.set_default_link_domain(WORKSPACE, &one.domain).await.unwrap();
    assert_eq!(core.default_link_domain(WORKSPACE).await.unwrap(), Some(one.domain.clone()));
    assert!(!core.remove_link_domain(theirs.workspace, &one.domain, later(5)).await.unwrap());
    assert!(core.remove_link_domain(WORKSPACE, &one.domain, later(5)).await.unwrap());
    assert!(!core.remove_link_domain(WORKSPACE, &one.domain, later(5)).await.unwrap());
    assert_eq!(core.default_link_domain(WORKSPACE).await.unwrap(), None);

    // It has changed hands; a default that a run cut off has left behind does not count.
    core.set_default_link_domain(WORKSPACE, &one.domain).await.unwrap();
    assert_eq!(core.add_link_domain(&theirs).await.unwrap(), theirs);
    assert_eq!(core.default_link_domain(WORKSPACE).await.unwrap(), None);
}

#[tokio::test]
async fn a_removed_domain_is_free_at_once_and_its_workspace_is_known_to_have_had_it() {
    let tables = Tables::new().await;
    let core = &tables.core;
    let (own, other) = (domain("go.brand.example", WORKSPACE), other_workspace());
    let had = [own.domain.clone()];
    core.add_link_domain(&own).await.unwrap();
    assert!(!core.remove_link_domain(other, &own.domain, later(5)).await.unwrap());
    assert!(core.removed_link_domains(other).await.unwrap().is_empty(), "it never had it");
    assert!(core.removed_link_domains(WORKSPACE).await.unwrap().is_empty());

    assert!(core.remove_link_domain(WORKSPACE, &own.domain, later(5)).await.unwrap());
    assert_eq!(core.link_domain(&own.domain).await.unwrap(), None);
    assert!(core.link_domains(WORKSPACE).await.unwrap().is_empty());
    assert_eq!(core.removed_link_domains(WORKSPACE).await.unwrap(), had);

    let theirs = domain("go.brand.example", other);
    assert_eq!(core.add_link_domain(&theirs).await.unwrap(), theirs);
    assert_eq!(core.removed_link_domains(WORKSPACE).await.unwrap(), had);
    assert!(core.remove_link_domain(other, &own.domain, later(6)).await.unwrap());
    assert_eq!(core.add_link_domain(&own).await.unwrap(), own, "it is taken back");
    assert_eq!(core.link_domain(&own.domain).await.unwrap(), Some(own));
}

#[tokio::test]
async fn the_numbers_of_links_are_the_same_for_every_run_of_a_request() {
    let id = shared::id::ulid_at(NOW);
    let numbers: Vec<LinkId> = (0..100).map(|tries| candidate(id, "https://shop.example/", tries)).collect();
    assert_eq!(numbers[3], candidate(id, "https://shop.example/", 3));
    assert!((1..100).all(|n| !numbers[..n].contains(&numbers[n])));
}
