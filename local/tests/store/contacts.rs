//! Consent ends in the same row in any order and under any form of a number; contacts gather what is known of them.

use std::collections::BTreeMap;

use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use shared::contact::alias::Alias;
use shared::contact::{Contact, ContactPatch};
use shared::id::{ContactId, ImportId};
use shared::store::{Core, Evidence, Sighting, Upsert, Upserted};
use shared::time::UnixMillis;

use crate::{NOW, Tables, WORKSPACE, at_once};

fn at(second: i64) -> UnixMillis {
    UnixMillis(NOW.0 + second * 1_000)
}

fn named(name: &str) -> ContactPatch {
    ContactPatch { name: Some(name.to_owned()), ..ContactPatch::default() }
}

fn contact_of(upserted: Upserted) -> Contact {
    match upserted {
        Upserted::Created(contact) | Upserted::Updated(contact) => contact,
        Upserted::Refused(reason) => panic!("{reason}"),
        Upserted::Missing => panic!("there is no such contact"),
    }
}

#[tokio::test]
async fn words_end_in_the_same_consent_whatever_their_order_and_repetition() {
    let tables = Tables::new().await;
    let words =
        [("in", 1, "form"), ("out", 3, "reply"), ("out", 3, "whatsapp"), ("in", 2, "form"), ("out", 2, "reply")];
    let mut rng = StdRng::seed_from_u64(7);
    let mut seen = Vec::new();
    for round in 0..20 {
        let digits = format!("60123456{round:03}");
        let mut order: Vec<_> = words.into_iter().chain(words).collect();
        order.shuffle(&mut rng);
        for (kind, second, source) in order {
            match kind {
                "in" => tables.core.opt_in(WORKSPACE, &digits, source, at(second)).await.unwrap(),
                _ => tables.core.opt_out(WORKSPACE, &digits, source, at(second)).await.unwrap(),
            }
        }
        let consent = tables.core.consents(WORKSPACE, &[&digits]).await.unwrap().remove(&digits).unwrap();
        assert!(consent.is_opted_out());
        seen.push((consent.opt_in, consent.opt_out));
    }
    seen.dedup();
    assert_eq!(seen.len(), 1, "{seen:?}");
    assert_eq!(seen[0].1.as_ref().unwrap().source, "whatsapp");
}

#[tokio::test]
async fn a_later_yes_undoes_a_no_and_a_no_of_the_same_moment_wins() {
    let tables = Tables::new().await;
    let digits = "60123456789";
    for (yes, no, opted_out) in [(5, 4, false), (5, 5, true), (6, 5, false)] {
        tables.core.opt_out(WORKSPACE, digits, "reply", at(no)).await.unwrap();
        tables.core.opt_in(WORKSPACE, digits, "form", at(yes)).await.unwrap();
        let consent = &tables.core.consents(WORKSPACE, &[digits]).await.unwrap()[digits];
        assert_eq!(consent.is_opted_out(), opted_out, "yes at {yes}, no at {no}");
    }
}

#[tokio::test]
async fn every_form_of_a_number_finds_its_owners_word() {
    let tables = Tables::new().await;
    tables.core.opt_out(WORKSPACE, "551187654321", "reply", NOW).await.unwrap();
    tables.core.opt_in(WORKSPACE, "60123456789", "form", NOW).await.unwrap();
    let asked = ["5511987654321", "551187654321", "60123456789", "60123456780"];
    let consents = tables.core.consents(WORKSPACE, &asked).await.unwrap();
    let opted_out: BTreeMap<&str, bool> =
        consents.iter().map(|(digits, consent)| (digits.as_str(), consent.is_opted_out())).collect();
    assert_eq!(
        opted_out,
        BTreeMap::from([("5511987654321", true), ("551187654321", true), ("60123456789", false)]),
        "a number of which nothing was heard is not known"
    );
}

#[tokio::test]
async fn consents_of_more_than_a_page_come_in_one_answer() {
    let tables = Tables::new().await;
    let digits: Vec<String> = (0..250).map(|n| format!("60123456{n:03}")).collect();
    for known in digits.iter().step_by(2) {
        tables.core.opt_in(WORKSPACE, known, "form", NOW).await.unwrap();
    }
    let asked: Vec<&str> = digits.iter().map(String::as_str).collect();
    assert_eq!(tables.core.consents(WORKSPACE, &asked).await.unwrap().len(), 125);
}

#[tokio::test]
async fn a_number_belongs_to_one_contact_whoever_asks_first() {
    let tables = Tables::new().await;
    let owners = at_once(10, |i| {
        let core = tables.another_core();
        let digits = if i % 2 == 0 { "5511987654321" } else { "551187654321" };
        async move { owner(&core, digits, NOW).await }
    })
    .await;
    assert!(owners.iter().all(|owner| *owner == owners[0]), "{owners:?}");
    tables.core.opt_out(WORKSPACE, "5511987654321", "reply", at(1)).await.unwrap();
    assert_eq!(owner(&tables.core, "551187654321", at(2)).await, owners[0], "a word changes no owner");
    let consents = tables.core.consents(WORKSPACE, &["551187654321"]).await.unwrap();
    assert_eq!(consents["551187654321"].known_since, NOW);
}

#[tokio::test]
async fn of_patches_at_once_none_is_lost() {
    let tables = Tables::new().await;
    let upserted = at_once(10, |i| {
        let core = tables.another_core();
        let patch = ContactPatch {
            attributes: [(format!("a{i}"), i.to_string())].into(),
            tags: [format!("t{i}")].into(),
            ..ContactPatch::default()
        };
        async move { upsert(&core, "60123456789", &patch, None).await }
    })
    .await;
    assert_eq!(upserted.iter().filter(|one| matches!(one, Upserted::Created(_))).count(), 1);
    let id = owner(&tables.core, "60123456789", NOW).await;
    let contact = tables.core.contact(WORKSPACE, id).await.unwrap().unwrap();
    assert_eq!((contact.attributes.len(), contact.tags.len()), (10, 10));
}

#[tokio::test]
async fn a_contact_that_an_import_made_is_created_by_it_however_often_the_line_comes() {
    let tables = Tables::new().await;
    let (ours, other) = (ImportId::new(NOW), ImportId::new(at(1)));
    for (import, patch, created) in [
        (ours, named("Aisha"), true),
        (ours, named("Aisha"), true),
        (ours, named("A."), true),
        (other, named("B."), false),
    ] {
        let upserted = upsert(&tables.core, "60123456789", &patch, Some(import)).await;
        assert_eq!(matches!(upserted, Upserted::Created(_)), created);
        assert_eq!(contact_of(upserted).name, patch.name);
    }
}

#[tokio::test]
async fn contacts_are_listed_newest_first_page_by_page_each_once() {
    let tables = Tables::new().await;
    let mut ids = Vec::new();
    for second in 0..7 {
        let digits = format!("6012345678{second}");
        ids.push(owner(&tables.core, &digits, at(second)).await);
        upsert(&tables.core, &digits, &named("B"), None).await;
    }
    ids.reverse();
    let (mut listed, mut before) = (Vec::new(), None);
    loop {
        let page = tables.core.contacts(WORKSPACE, before, 3).await.unwrap();
        listed.extend(page.rows.iter().map(|contact| contact.id));
        before = listed.last().copied();
        if !page.more {
            break;
        }
    }
    assert_eq!(listed, ids);
}

/// The contact of a number, who is made if need be.
async fn owner(core: &Core, digits: &str, at: UnixMillis) -> ContactId {
    let aliases = [Alias::phone(digits).unwrap()];
    let sighting = Sighting { aliases: &aliases, evidence: Evidence::Meta, source: "message", at };
    core.contact_of(WORKSPACE, &sighting, ContactId::new(at)).await.unwrap().unwrap().contact
}

async fn upsert(core: &Core, digits: &str, patch: &ContactPatch, import: Option<ImportId>) -> Upserted {
    let aliases = [Alias::phone(digits).unwrap()];
    let sighting = Sighting { aliases: &aliases, evidence: Evidence::Told, source: "api", at: NOW };
    let upsert = Upsert { sighting, patch, fresh: ContactId::new(NOW), import };
    core.upsert(WORKSPACE, &upsert).await.unwrap().unwrap().0
}
