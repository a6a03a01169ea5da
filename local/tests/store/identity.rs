//! Identifiers that were seen together end at one person, in whatever order and however many at once; merges can be
//! undone; a no holds under every name of a person.

use std::collections::{BTreeMap, BTreeSet};
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use shared::contact::ContactPatch;
use shared::contact::alias::Alias;
use shared::id::ContactId;
use shared::store::{Core, Evidence, LookFor, Merged, Move, Resolved, Sighting, Unmerged, Upsert, Upserted};
use shared::time::UnixMillis;

use crate::{NOW, Tables, WORKSPACE, at_once};

fn at(second: i64) -> UnixMillis {
    UnixMillis(NOW.0 + second * 1_000)
}

/// `P60…` a number, `BMY.…` a user id, `Ea@…` an address, `A…` an anonymous id.
fn alias(text: &str) -> Alias {
    match text.split_at(1) {
        ("P", digits) => Alias::phone(digits).unwrap(),
        ("B", id) => Alias::bsuid(id).unwrap(),
        ("E", address) => Alias::email(address).unwrap(),
        ("A", id) => Alias::anon(id).unwrap(),
        _ => panic!("{text}"),
    }
}

async fn see(core: &Core, evidence: Evidence, texts: &[&str], at: UnixMillis) -> Resolved {
    let aliases: Vec<Alias> = texts.iter().map(|text| alias(text)).collect();
    let sighting = Sighting { aliases: &aliases, evidence, source: "test", at };
    core.contact_of(WORKSPACE, &sighting, ContactId::new(at)).await.unwrap().unwrap()
}

async fn meta(core: &Core, texts: &[&str], second: i64) -> Resolved {
    see(core, Evidence::Meta, texts, at(second)).await
}

async fn told(core: &Core, texts: &[&str], second: i64) -> Resolved {
    see(core, Evidence::Told, texts, at(second)).await
}

async fn root(core: &Core, text: &str) -> ContactId {
    let resolved = meta(core, &[text], 0).await;
    core.root_of(WORKSPACE, resolved.contact).await.unwrap()
}

async fn merge(core: &Core, from: ContactId, into: ContactId, second: i64) -> Merged {
    core.merge(WORKSPACE, from, into, "operator", "test", at(second)).await.unwrap()
}

/// How the identifiers fall into persons.
async fn families(core: &Core, texts: &[&str]) -> BTreeSet<Vec<String>> {
    let mut families: BTreeMap<ContactId, Vec<String>> = BTreeMap::new();
    for text in texts {
        families.entry(root(core, text).await).or_default().push((*text).to_owned());
    }
    families.into_values().collect()
}

async fn is_opted_out(core: &Core, digits: &str) -> bool {
    core.consents(WORKSPACE, &[digits]).await.unwrap().get(digits).is_some_and(shared::contact::Consent::is_opted_out)
}

const P: &str = "P60123456789";
const Q: &str = "P60123456780";
const B: &str = "BMY.1";
const C: &str = "BMY.2";

#[tokio::test]
async fn a_person_that_is_new_is_made_with_the_event_and_all_that_names_them() {
    let tables = Tables::new().await;
    let first = meta(&tables.core, &[P, B], 1).await;
    assert!(first.created && first.conflicts.is_empty());
    let again = meta(&tables.core, &[B, P], 2).await;
    assert_eq!(again, Resolved { created: false, ..first.clone() });
    let family = tables.core.family_of(WORKSPACE, first.contact).await.unwrap().unwrap();
    assert_eq!(family.root.phone.as_ref().unwrap().to_string(), "+60123456789");
    let known = tables.core.aliases_of(WORKSPACE, &family).await.unwrap();
    let kinds: Vec<&str> = known.iter().map(|known| known.alias.kind().name()).collect();
    assert_eq!(kinds, ["BSUID", "PHONE"]);
}

#[tokio::test]
async fn one_person_seen_by_many_at_once_is_one_contact() {
    let tables = Tables::new().await;
    let sightings: [&[&str]; 5] = [&[P, B], &[B], &[P], &[P, B, "Ea@example.com"], &["Ea@example.com", B]];
    at_once(15, |i| {
        let core = tables.another_core();
        let seen = sightings[i % sightings.len()];
        async move { meta(&core, seen, 0).await }
    })
    .await;
    assert_eq!(families(&tables.core, &[P, B, "Ea@example.com"]).await.len(), 1);
}

#[tokio::test]
async fn all_forms_of_a_brazilian_mexican_or_argentinian_number_end_at_one_contact() {
    let tables = Tables::new().await;
    for forms in
        [["P5511987654321", "P551187654321"], ["P5215512345678", "P525512345678"], ["P5491123456789", "P541123456789"]]
    {
        let [one, other] = forms;
        assert_eq!(meta(&tables.core, &[one], 1).await.contact, meta(&tables.core, &[other, B], 2).await.contact);
    }
}

#[tokio::test]
async fn what_meta_names_together_becomes_one_and_what_others_do_may_stay_two() {
    let tables = Tables::new().await;
    let (number, user_id) = (meta(&tables.core, &[P], 1).await.contact, meta(&tables.core, &[B], 2).await.contact);
    let resolved = told(&tables.core, &[P, B], 3).await;
    assert_eq!((resolved.contact, resolved.conflicts), (number, vec![user_id]));
    assert_eq!(families(&tables.core, &[P, B]).await.len(), 2);
    let resolved = meta(&tables.core, &[P, B], 4).await;
    assert_eq!((resolved.contact, resolved.conflicts), (number, vec![]));
    assert_eq!(root(&tables.core, B).await, number);
    assert_eq!(meta(&tables.core, &[B], 5).await.contact, user_id, "an identifier stays with the contact it came to");
}

#[tokio::test]
async fn a_visitor_becomes_whoever_they_turn_out_to_be_and_a_shared_device_goes_to_the_latest() {
    let tables = Tables::new().await;
    let core = &tables.core;
    let visitor = told(core, &["Abrowser"], 1).await.contact;
    let person = meta(core, &[P], 2).await.contact;
    assert_eq!(told(core, &["Abrowser", P], 3).await.contact, person);
    assert_eq!(core.root_of(WORKSPACE, visitor).await.unwrap(), person, "what the visitor did before is theirs");
    let other = told(core, &["Abrowser", Q], 5).await;
    assert!(other.conflicts.is_empty());
    assert_eq!(told(core, &["Abrowser"], 6).await.contact, other.contact);
    assert_eq!(core.root_of(WORKSPACE, visitor).await.unwrap(), person, "history stays");
    assert_eq!(families(core, &[P, Q]).await.len(), 2);
    told(core, &["Abrowser", P], 4).await;
    assert_eq!(told(core, &["Abrowser"], 7).await.contact, other.contact, "an older sighting changes nothing");
}

#[tokio::test]
async fn a_mailbox_of_two_numbers_joins_nobody() {
    let tables = Tables::new().await;
    let core = &tables.core;
    let first = told(core, &[P, "Ea@example.com"], 1).await.contact;
    let second = told(core, &[Q, "Ea@example.com"], 2).await;
    assert_eq!((second.created, second.conflicts), (true, vec![first]));
    assert_eq!(families(core, &[P, Q]).await.len(), 2);
    assert_eq!(root(core, "Ea@example.com").await, first);
    // One that nobody has claimed by a number is theirs who does.
    let alone = told(core, &["Eb@example.com"], 3).await.contact;
    assert_eq!(told(core, &[Q, "Eb@example.com"], 4).await.conflicts, []);
    assert_eq!(core.root_of(WORKSPACE, alone).await.unwrap(), root(core, Q).await);
}

#[tokio::test]
async fn the_same_facts_end_in_the_same_families_in_any_order() {
    let facts: [(&str, &[&str]); 12] = [
        ("meta", &[P]),
        ("meta", &[B]),
        ("meta", &[P, B]),
        ("told", &["Ea@example.com"]),
        ("told", &["Aone"]),
        ("told", &["Ea@example.com", "Aone"]),
        ("told", &[P, "Aone"]),
        ("told", &[P, "Ea@example.com"]),
        ("move", &[P, "P60123450001", B, "BMY.9"]),
        ("move", &["P60123450001", "P60123450002", "BMY.9", "BMY.10"]),
        ("meta", &[Q, C]),
        ("told", &[Q, "Eb@example.com"]),
    ];
    let person = [P, B, "Ea@example.com", "Aone", "P60123450001", "P60123450002", "BMY.9", "BMY.10"];
    let other = [Q, C, "Eb@example.com"];
    let mut rng = StdRng::seed_from_u64(11);
    for round in 0..10 {
        let tables = Tables::new().await;
        let mut order: Vec<_> = facts.into_iter().enumerate().chain(facts.into_iter().enumerate()).collect();
        order.shuffle(&mut rng);
        for (second, (kind, texts)) in &order {
            let second = i64::try_from(*second).unwrap();
            match *kind {
                "meta" => drop(meta(&tables.core, texts, second).await),
                "told" => drop(told(&tables.core, texts, second).await),
                _ => moved(&tables.core, texts, second).await,
            }
        }
        let all: Vec<&str> = person.into_iter().chain(other).collect();
        let mut expected = BTreeSet::new();
        expected.insert(person.iter().map(ToString::to_string).collect::<Vec<_>>());
        expected.insert(other.iter().map(ToString::to_string).collect());
        assert_eq!(families(&tables.core, &all).await, expected, "round {round}: {order:?}");
        let family = tables.core.family_of(WORKSPACE, root(&tables.core, P).await).await.unwrap().unwrap();
        assert_eq!(family.person().phone.unwrap().to_string(), "+60123450002", "round {round}: {order:?}");
    }
}

/// A change of number together with one of the user id: `[old, new, old id, new id]`.
async fn moved(core: &Core, texts: &[&str], second: i64) {
    let [old, new, old_id, new_id] = [0, 1, 2, 3].map(|index| alias(texts[index]));
    let id = Move { old: &old_id, new: &new_id, also: &[], source: "test", at: at(second) };
    core.rotate_bsuid(WORKSPACE, &id, ContactId::new(at(second))).await.unwrap();
    let also = [new_id.clone()];
    let number = Move { old: &old, new: &new, also: &also, source: "test", at: at(second) };
    core.change_number(WORKSPACE, &number, ContactId::new(at(second))).await.unwrap();
}

#[tokio::test]
async fn of_merges_against_each_other_one_counts() {
    let tables = Tables::new().await;
    for round in 0..10_i64 {
        let (p, q) = (format!("P6012340{round:04}"), format!("P6012341{round:04}"));
        let (one, other) = (meta(&tables.core, &[&p], 0).await.contact, meta(&tables.core, &[&q], 0).await.contact);
        let merged = at_once(4, |i| {
            let core = tables.another_core();
            let (from, into) = if i % 2 == 0 { (one, other) } else { (other, one) };
            async move { merge(&core, from, into, 1).await }
        })
        .await;
        assert_eq!(merged.iter().filter(|merged| matches!(merged, Merged::Done { .. })).count(), 1, "{merged:?}");
        assert_eq!(root(&tables.core, &p).await, root(&tables.core, &q).await);
        let family = tables.core.family_of(WORKSPACE, one).await.unwrap().unwrap();
        assert_eq!(family.ids().collect::<BTreeSet<_>>(), BTreeSet::from([one, other]));
    }
}

#[tokio::test]
async fn merging_while_identifiers_are_found_loses_none() {
    let tables = Tables::new().await;
    let (one, other) = (meta(&tables.core, &[P], 0).await.contact, meta(&tables.core, &[Q], 0).await.contact);
    at_once(12, |i| {
        let core = tables.another_core();
        async move {
            match i % 3 {
                0 => drop(merge(&core, one, other, 1).await),
                1 => drop(told(&core, &[P, &format!("Aone{i}")], 1).await),
                _ => drop(told(&core, &[Q, &format!("Atwo{i}")], 1).await),
            }
        }
    })
    .await;
    let family = tables.core.family_of(WORKSPACE, one).await.unwrap().unwrap();
    assert_eq!(tables.core.aliases_of(WORKSPACE, &family).await.unwrap().len(), 10);
    for known in tables.core.aliases_of(WORKSPACE, &family).await.unwrap() {
        let aliases = [known.alias.clone()];
        let sighting = Sighting { aliases: &aliases, evidence: Evidence::Told, source: "test", at: at(9) };
        let resolved = tables.core.contact_of(WORKSPACE, &sighting, ContactId::new(NOW)).await.unwrap().unwrap();
        assert_eq!(resolved.contact, known.contact);
    }
}

#[tokio::test]
async fn a_merge_is_undone_exactly_and_a_repeat_of_it_does_not_count() {
    let tables = Tables::new().await;
    let core = &tables.core;
    let mut ids = Vec::new();
    for text in [P, Q, "P60123456781"] {
        ids.push(meta(core, &[text], 0).await.contact);
    }
    assert_eq!(merge(core, ids[0], ids[1], 1).await, Merged::Done { root: ids[1] });
    assert_eq!(merge(core, ids[0], ids[2], 2).await, Merged::Done { root: ids[2] }, "the one that stays is merged");
    assert_eq!(core.root_of(WORKSPACE, ids[0]).await.unwrap(), ids[2]);
    assert_eq!(merge(core, ids[2], ids[0], 3).await, Merged::Already { root: ids[2] });
    let undo = async |second| core.unmerge(WORKSPACE, ids[1], "operator", "test", at(second)).await.unwrap();
    assert_eq!(undo(4).await, Unmerged::Done);
    assert_eq!(undo(4).await, Unmerged::NotMerged);
    assert_eq!(core.root_of(WORKSPACE, ids[0]).await.unwrap(), ids[1], "what was merged before stays merged");
    assert_eq!(core.root_of(WORKSPACE, ids[2]).await.unwrap(), ids[2]);
    assert_eq!(merge(core, ids[0], ids[2], 2).await, Merged::Undone, "the same finding comes again");
    assert_eq!(merge(core, ids[0], ids[2], 5).await, Merged::Done { root: ids[2] }, "a later one counts");
    let listed = core.contacts(WORKSPACE, None, 10).await.unwrap().rows;
    assert_eq!(listed.iter().map(|contact| contact.id).collect::<Vec<_>>(), [ids[2]]);
    let missing = ContactId::new(at(9));
    assert_eq!(merge(core, missing, ids[2], 6).await, Merged::Missing);
}

#[tokio::test]
async fn what_was_undone_by_hand_is_not_merged_by_the_next_message() {
    let tables = Tables::new().await;
    let core = &tables.core;
    meta(core, &[P], 1).await;
    let other = meta(core, &[B], 2).await.contact;
    meta(core, &[P, B], 3).await;
    assert_eq!(core.unmerge(WORKSPACE, other, "operator", "test", at(4)).await.unwrap(), Unmerged::Done);
    meta(core, &[P, B], 5).await;
    assert_eq!(families(core, &[P, B]).await.len(), 2);
}

#[tokio::test]
async fn what_is_learned_of_a_merged_contact_goes_to_the_one_that_stays() {
    let tables = Tables::new().await;
    let core = &tables.core;
    let (one, other) = (meta(core, &[P], 0).await.contact, meta(core, &[Q], 0).await.contact);
    merge(core, one, other, 1).await;
    let patch = ContactPatch { name: Some("Aisha".to_owned()), ..ContactPatch::default() };
    let aliases = [alias(P)];
    let sighting = Sighting { aliases: &aliases, evidence: Evidence::Told, source: "api", at: at(2) };
    let upsert = Upsert { sighting, patch: &patch, fresh: ContactId::new(NOW), import: None };
    let (upserted, _) = core.upsert(WORKSPACE, &upsert).await.unwrap().unwrap();
    let Upserted::Updated(contact) = upserted else { panic!("{upserted:?}") };
    assert_eq!((contact.id, contact.name.as_deref()), (other, Some("Aisha")));
}

#[tokio::test]
async fn a_no_by_user_id_holds_for_the_number_in_whatever_order_they_are_linked() {
    for linked_first in [true, false] {
        let tables = Tables::new().await;
        let core = &tables.core;
        if linked_first {
            meta(core, &[P, B], 1).await;
        }
        core.opt_in_by(WORKSPACE, &alias(P), "form", at(2)).await.unwrap();
        core.opt_out_by(WORKSPACE, &alias(B), "reply", at(3)).await.unwrap();
        if !linked_first {
            meta(core, &[P, B], 4).await;
        }
        assert!(is_opted_out(core, "60123456789").await, "{linked_first}");
        core.opt_in(WORKSPACE, "60123456789", "form", at(5)).await.unwrap();
        assert!(!core.consent_of(WORKSPACE, &alias(B)).await.unwrap().unwrap().is_opted_out());
    }
}

#[tokio::test]
async fn words_and_links_at_once_leave_no_row_behind() {
    let tables = Tables::new().await;
    for round in 0..15 {
        let (p, b) = (format!("P6012342{round:04}"), format!("BMY.{round}"));
        at_once(6, |i| {
            let (core, p, b) = (tables.another_core(), p.clone(), b.clone());
            async move {
                match i {
                    0..=1 => drop(meta(&core, &[&p, &b], 1).await),
                    2..=3 => core.opt_out_by(WORKSPACE, &alias(&b), "reply", at(3)).await.unwrap(),
                    _ => core.opt_in_by(WORKSPACE, &alias(&p), "form", at(2)).await.unwrap(),
                }
            }
        })
        .await;
        let mut consents = Vec::new();
        for text in [&p, &b] {
            consents.push(tables.core.consent_of(WORKSPACE, &alias(text)).await.unwrap().unwrap());
        }
        assert_eq!(consents[0].opt_in, consents[1].opt_in, "round {round}");
        assert_eq!(consents[0].opt_out, consents[1].opt_out, "round {round}");
        assert!(consents[0].is_opted_out());
    }
}

#[tokio::test]
async fn a_new_number_takes_over_the_contact_and_the_no_but_not_what_the_next_owner_says() {
    for late in [false, true] {
        let tables = Tables::new().await;
        let core = &tables.core;
        let person = meta(core, &[P, B], 1).await.contact;
        if !late {
            core.opt_out(WORKSPACE, "60123456789", "reply", at(2)).await.unwrap();
        }
        let (old, new) = (alias(P), alias(Q));
        let change = Move { old: &old, new: &new, also: &[], source: "message", at: at(10) };
        for _ in 0..2 {
            assert_eq!(core.change_number(WORKSPACE, &change, ContactId::new(NOW)).await.unwrap(), person);
        }
        if late {
            core.opt_out(WORKSPACE, "60123456789", "reply", at(2)).await.unwrap();
        }
        assert!(is_opted_out(core, "60123456780").await, "late: {late}");
        let contact = core.contact(WORKSPACE, person).await.unwrap().unwrap();
        assert_eq!(contact.phone.unwrap().to_string(), "+60123456780");
        core.opt_in(WORKSPACE, "60123456789", "form", at(20)).await.unwrap();
        assert!(is_opted_out(core, "60123456780").await, "somebody else's yes");

        let next_owner = meta(core, &[P, C], 30).await.contact;
        assert_ne!(core.root_of(WORKSPACE, next_owner).await.unwrap(), person);
        assert_eq!(families(core, &[Q, B]).await.len(), 1);
        let family = core.family_of(WORKSPACE, person).await.unwrap().unwrap();
        let known = core.aliases_of(WORKSPACE, &family).await.unwrap();
        assert!(known.iter().find(|known| known.alias == old).unwrap().until.is_some());
    }
}

#[tokio::test]
async fn a_number_that_somebody_comes_back_to_is_theirs_again() {
    let tables = Tables::new().await;
    let core = &tables.core;
    let person = meta(core, &[P], 1).await.contact;
    let (old, new) = (alias(P), alias(Q));
    let away = Move { old: &old, new: &new, also: &[], source: "message", at: at(10) };
    let back = Move { old: &new, new: &old, also: &[], source: "message", at: at(20) };
    for change in [&back, &away, &back, &away] {
        core.change_number(WORKSPACE, change, ContactId::new(NOW)).await.unwrap();
    }
    let root = root(core, P).await;
    assert_eq!(families(core, &[P, Q]).await.len(), 1);
    let family = core.family_of(WORKSPACE, person).await.unwrap().unwrap();
    assert_eq!(family.root.id, root);
    assert_eq!(family.person().phone.unwrap().to_string(), "+60123456789");
}

#[tokio::test]
async fn who_is_deleted_is_gone_but_for_their_no() {
    let tables = Tables::new().await;
    let core = &tables.core;
    let person = meta(core, &[P, B], 1).await.contact;
    let other = told(core, &[Q, "Ea@example.com"], 1).await.contact;
    merge(core, other, person, 2).await;
    core.opt_out_by(WORKSPACE, &alias(B), "reply", at(3)).await.unwrap();
    core.opt_in(WORKSPACE, "60123456780", "form", at(3)).await.unwrap();
    assert!(core.delete_contact(WORKSPACE, other, at(4)).await.unwrap());
    assert!(!core.delete_contact(WORKSPACE, person, at(5)).await.unwrap());
    for id in [person, other] {
        assert_eq!(core.contact(WORKSPACE, id).await.unwrap(), None);
    }
    assert!(is_opted_out(core, "60123456789").await);
    assert!(core.consents(WORKSPACE, &["60123456780"]).await.unwrap().is_empty());
    let again = meta(core, &[P, B], 6).await;
    assert!(again.created && again.contact != person);
    assert!(is_opted_out(core, "60123456789").await, "also when they come back");
}

#[tokio::test]
async fn a_deletion_that_is_cut_off_is_finished_by_the_next_and_meanwhile_nothing_is_added() {
    let tables = Tables::new().await;
    let core = &tables.core;
    let person = meta(core, &[P, B], 1).await.contact;
    let both = at_once(8, |i| {
        let core = tables.another_core();
        async move {
            if i % 2 == 0 {
                core.delete_contact(WORKSPACE, person, at(2)).await.is_ok()
            } else {
                told(&core, &[P, &format!("Abrowser{i}")], 2).await;
                true
            }
        }
    })
    .await;
    assert!(both.contains(&true));
    core.delete_contact(WORKSPACE, person, at(3)).await.unwrap();
    assert_eq!(core.contact(WORKSPACE, person).await.unwrap(), None);
    let owner = meta(core, &[P], 4).await.contact;
    assert_ne!(owner, person);
    assert!(core.contact(WORKSPACE, owner).await.unwrap().is_some());
}

#[tokio::test]
async fn contacts_are_found_by_what_they_are_and_not_by_what_they_were() {
    let tables = Tables::new().await;
    let core = &tables.core;
    let mut ids = Vec::new();
    for second in 0..12_i64 {
        let patch = ContactPatch {
            name: Some(format!("José Person{second}")),
            tags: ["vip".to_owned()].into(),
            persona: Some("buyer".to_owned()),
            ..ContactPatch::default()
        };
        let aliases = [alias(&format!("P6012345{second:04}"))];
        let sighting = Sighting { aliases: &aliases, evidence: Evidence::Told, source: "api", at: at(second) };
        let upsert = Upsert { sighting, patch: &patch, fresh: ContactId::new(at(second)), import: None };
        let (Upserted::Created(contact), _) = core.upsert(WORKSPACE, &upsert).await.unwrap().unwrap() else { panic!() };
        ids.push(contact.id);
    }
    ids.reverse();
    for look_for in [LookFor::Tag("vip".to_owned()), LookFor::Persona("buyer".to_owned())] {
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = core.find_contacts(WORKSPACE, &look_for, after.as_deref(), 5).await.unwrap();
            found.extend(page.contacts.iter().map(|(id, _)| *id));
            after = page.contacts.last().map(|(_, after)| after.clone());
            if !page.more {
                break;
            }
        }
        assert_eq!(found, ids, "{look_for:?}");
    }
    let by_word = async |word: &str| {
        core.find_contacts(WORKSPACE, &LookFor::Word(word.to_owned()), None, 100).await.unwrap().contacts.len()
    };
    assert_eq!((by_word("jos").await, by_word("person1").await, by_word("x").await), (12, 3, 0));
    let changed = core
        .change_contact(WORKSPACE, ids[0], |contact| {
            let mut next = contact.clone();
            (next.name, next.persona) = (Some("Aisha".to_owned()), None);
            next.tags.clear();
            Ok(next)
        })
        .await
        .unwrap();
    assert!(matches!(changed, Upserted::Updated(_)));
    assert_eq!((by_word("jos").await, by_word("aisha").await), (11, 1));
    let tagged = core.find_contacts(WORKSPACE, &LookFor::Tag("vip".to_owned()), None, 100).await.unwrap();
    assert_eq!(tagged.contacts.len(), 11);
}

#[tokio::test]
async fn of_tags_put_on_and_taken_off_at_once_the_index_knows_what_the_contact_says() {
    let tables = Tables::new().await;
    let core = &tables.core;
    let id = meta(core, &[P], 0).await.contact;
    for _ in 0..8 {
        at_once(6, |i| {
            let core = tables.another_core();
            async move {
                let change = |contact: &shared::contact::Contact| {
                    let mut next = contact.clone();
                    if i % 2 == 0 {
                        next.tags.insert("vip".to_owned());
                    } else {
                        next.tags.remove("vip");
                    }
                    Ok(next)
                };
                core.change_contact(WORKSPACE, id, change).await.unwrap();
            }
        })
        .await;
        let contact = core.contact(WORKSPACE, id).await.unwrap().unwrap();
        let found = core.find_contacts(WORKSPACE, &LookFor::Tag("vip".to_owned()), None, 10).await.unwrap();
        assert!(!contact.tags.contains("vip") || found.contacts.len() == 1, "a tag without its row");
    }
}

/// Begins something and drops it after it has waited so many times, as a process that dies.
async fn cut_off(waits: usize, work: impl Future) {
    let (mut work, mut left) = (pin!(work), waits);
    poll_fn(|context| {
        if work.as_mut().poll(context).is_ready() || left == 0 {
            return Poll::Ready(());
        }
        left -= 1;
        Poll::Pending
    })
    .await;
}

#[tokio::test]
async fn whoever_dies_at_any_point_leaves_what_the_repeat_finishes() {
    let tables = Tables::new().await;
    let core = &tables.core;
    for waits in (0..60).step_by(3) {
        let [p, q, b, e] = ["P60123{}0001", "P60123{}0002", "BMY.{}", "Ea{}@example.com"]
            .map(|form| form.replace("{}", &format!("{waits:02}")));
        // A number with a no, a user id with a contact of its own, and a mailbox, seen together.
        core.opt_out_by(WORKSPACE, &alias(&p), "reply", at(1)).await.unwrap();
        let own = meta(core, &[&b], 1).await.contact;
        cut_off(waits, meta(core, &[&p, &b, &e], 2)).await;
        meta(core, &[&p, &b, &e], 2).await;
        assert_eq!(families(core, &[&p, &b, &e]).await.len(), 1, "after {waits}");
        let person = root(core, &p).await;
        assert_eq!(core.root_of(WORKSPACE, own).await.unwrap(), person, "after {waits}");
        assert!(core.consent_of(WORKSPACE, &alias(&b)).await.unwrap().unwrap().is_opted_out(), "after {waits}");

        meta(core, &[&q], 3).await;
        let (old, new) = (alias(&p), alias(&q));
        let step = Move { old: &old, new: &new, also: &[], source: "change", at: at(4) };
        cut_off(waits, core.change_number(WORKSPACE, &step, ContactId::new(NOW))).await;
        core.change_number(WORKSPACE, &step, ContactId::new(NOW)).await.unwrap();
        assert_eq!(families(core, &[&p, &q, &b, &e]).await.len(), 1, "after {waits}");
        assert!(is_opted_out(core, &q[1..]).await, "after {waits}");
        let person = core.family_of(WORKSPACE, person).await.unwrap().unwrap().person();
        assert_eq!(person.phone.as_ref().map(|phone| phone.digits()), Some(&q[1..]), "after {waits}");

        let patch = ContactPatch { tags: ["vip".to_owned()].into(), ..ContactPatch::default() };
        cut_off(waits, core.upsert_contact(WORKSPACE, person.id, &patch, None, at(5))).await;
        core.upsert_contact(WORKSPACE, person.id, &patch, None, at(5)).await.unwrap();
        let tagged = core.find_contacts(WORKSPACE, &LookFor::Tag("vip".to_owned()), None, 100).await.unwrap();
        assert!(tagged.contacts.iter().any(|(id, _)| *id == person.id), "after {waits}");

        cut_off(waits, core.delete_contact(WORKSPACE, person.id, at(6))).await;
        core.delete_contact(WORKSPACE, person.id, at(6)).await.unwrap();
        assert_eq!(core.family_of(WORKSPACE, person.id).await.unwrap(), None, "after {waits}");
        assert_eq!(core.owner_of(WORKSPACE, &[alias(&p), alias(&q), alias(&b), alias(&e)]).await.unwrap(), None);
        assert!(is_opted_out(core, &q[1..]).await, "after {waits}");
    }
}
