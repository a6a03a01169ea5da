//! Held against every key that the store makes: what of it can name a person, and what becomes of such a row.

use super::*;
use crate::activity::custom::Source;
use crate::activity::id_of;
use crate::attempt::{AttemptKey, Seq, Shard};
use crate::campaign::PageNumber;
use crate::contact::alias::Alias;
use crate::erasure::Person;
use crate::id::{AuditId, CampaignId, DeliveryId, EventId, MediaId, TrackedLinkId, UploadId, WebhookId, WriteKeyId};
use crate::link::alias::LinkAlias;
use crate::link::code::LinkId;
use crate::link::domain::{DomainName, Site};
use crate::store::keys::{self, Key};

const WORKSPACE: WorkspaceId = WorkspaceId::FIRST;
const DIGITS: &str = "60123456789";
const EMAIL: &str = "aisha@example.com";

fn contact() -> ContactId {
    "ctc_01J00000000000000000000000".parse().unwrap()
}

fn names() -> Names {
    let digits = [DIGITS.to_owned()].into();
    let others = [EMAIL.to_owned(), "anonymous-7".to_owned(), "US.13491208655302741918".to_owned()].into();
    Names::of([&Person { contacts: [contact()].into(), digits, others }]).unwrap()
}

fn row(key: Key, more: &[(&str, &str)]) -> Row {
    let mut item = key.clone().item();
    item.extend(more.iter().map(|(name, value)| ((*name).to_owned(), text(value))));
    Row { key, item }
}

/// A row at each kind of key that can hold something about a person, with its kind; it names them in its key or in what it
/// holds.
fn about_the_person() -> Vec<(&'static str, Fate, Row)> {
    let at = UnixMillis(1_790_000_000_000);
    let (id, account) = (id_of(at, &["x"]), "acc_01J00000000000000000000000".parse().unwrap());
    let campaign: CampaignId = "cmp_01J00000000000000000000000".parse().unwrap();
    let attempt = AttemptKey { workspace: WORKSPACE, campaign, shard: Shard(0), seq: Seq(3) };
    let owned = [("contact", "ctc_01J00000000000000000000000")];
    let phone = [("phone", "+60123456789")];
    let named = |key: Key| row(key, &[]);
    let found_by = |pk: String| row(Key::new(pk, format!("aisha#{}", contact())), &[]);
    vec![
        ("attempts", Fate::Attempt, row(keys::attempt(&attempt), &phone)),
        ("events", Fate::Click, row(keys::event(Some(WORKSPACE), Some(account), id, at), &owned)),
        ("events", Fate::Click, row(keys::event(None, None, id, at), &[("from", DIGITS)])),
        ("touches", Fate::Goes, named(keys::touch(WORKSPACE, DIGITS, campaign))),
        ("aliases", Fate::Goes, named(keys::phone_alias(WORKSPACE, DIGITS))),
        ("aliases", Fate::Goes, named(keys::alias(WORKSPACE, &Alias::email(EMAIL).unwrap()))),
        ("contacts", Fate::Goes, named(keys::contact_alias(WORKSPACE, contact(), &Alias::email(EMAIL).unwrap()))),
        ("contacts", Fate::Goes, named(keys::contact(WORKSPACE, contact()))),
        ("conversations", Fate::Goes, named(keys::conversation(WORKSPACE, contact(), account))),
        ("contacts", Fate::Goes, named(keys::confirmation(WORKSPACE, contact(), "out"))),
        ("found_by", Fate::Goes, found_by(keys::contacts_by_name_pk(WORKSPACE, 'a'))),
        ("found_by", Fate::Goes, found_by(keys::contacts_by_tag_pk(WORKSPACE, Shard(1), "vip"))),
        ("found_by", Fate::Goes, found_by(keys::contacts_by_persona_pk(WORKSPACE, Shard(1), "buyer"))),
        ("deliveries", Fate::Goes, row(keys::delivery(WORKSPACE, DeliveryId::new(at)), &owned)),
        ("replies", Fate::Goes, row(keys::idempotency(WORKSPACE, "h"), &[("reply", DIGITS)])),
        ("exports", Fate::Goes, named(keys::export(WORKSPACE, contact()))),
        ("first_sights", Fate::Goes, row(keys::own_event_id(WORKSPACE, Source::Web, "x"), &[("x", DIGITS)])),
        ("first_sights", Fate::Goes, row(keys::first_seen(Some(WORKSPACE), None, "h"), &[("x", DIGITS)])),
        ("first_sights", Fate::Goes, row(keys::first_seen(None, None, "h"), &[("x", DIGITS)])),
        ("others", Fate::Goes, row(keys::expected_upload(WORKSPACE, UploadId::new(at)), &[("x", DIGITS)])),
        ("definitions", Fate::Blanked, row(keys::page(WORKSPACE, campaign, PageNumber(0)), &phone)),
        ("definitions", Fate::Blanked, row(keys::import(WORKSPACE, crate::id::ImportId::new(at)), &phone)),
        ("jobs", Fate::Goes, named(keys::job(format_args!("EXPORT#{}", contact())))),
    ]
}

/// A row at each kind of key under which the operator has laid something down for everybody, with what it is; it names the
/// person.
fn definitions() -> Vec<(&'static str, Row)> {
    let at = UnixMillis(1_790_000_000_000);
    let account = "acc_01J00000000000000000000000".parse().unwrap();
    let campaign: CampaignId = "cmp_01J00000000000000000000000".parse().unwrap();
    let domain = DomainName::parse("go.shop.example").unwrap();
    let link = LinkId::new(7).unwrap();
    let named = |key: Key| row(key, &[("text", "https://wa.me/60123456789")]);
    vec![
        ("campaigns", named(keys::campaign(WORKSPACE, campaign))),
        ("accounts", named(keys::account(WORKSPACE, account))),
        ("accounts", named(keys::throttle(WORKSPACE, account))),
        ("accounts", named(keys::probes(WORKSPACE, account, "2026-09-21"))),
        ("accounts", named(keys::portfolio(WORKSPACE, DIGITS))),
        ("accounts", named(keys::number_route("1"))),
        ("accounts", named(keys::waba_route("1", account))),
        ("links", named(keys::link(link))),
        ("links", named(keys::link_domain(&domain))),
        ("links", named(keys::free_link(WORKSPACE, TrackedLinkId::new(at)))),
        ("media", named(keys::media(WORKSPACE, MediaId::new(at)))),
        ("media", named(keys::media_by_hash(WORKSPACE, "h"))),
        ("settings", named(keys::consent_settings(WORKSPACE))),
        ("settings", named(keys::default_link_domain(WORKSPACE))),
        ("templates", named(keys::template(WORKSPACE, "1", "n", "en"))),
        ("webhooks", named(keys::webhook(WORKSPACE, WebhookId::new(at)))),
        ("webhooks", named(keys::endpoint(WORKSPACE, WebhookId::new(at)))),
        ("write_keys", named(keys::write_key(WriteKeyId::new(at)))),
        ("others", named(keys::due(campaign))),
    ]
}

#[test]
fn what_goes_to_everybody_stays_as_it_is_and_is_counted() {
    for (what, row) in definitions() {
        assert_eq!((row.kind(), row.left(&names())), ("definitions", Some(what)), "{:?}", row.key);
        assert!(!row.names(&names()) && row.mentions(&names()) && row.concerns(WORKSPACE), "{:?}", row.key);
        let unnamed = Row { item: row.key.clone().item(), ..row };
        assert_eq!(unnamed.left(&names()), names().are_in_key(&unnamed.key.pk).then_some(what));
    }
    for (_, _, row) in about_the_person() {
        assert_eq!(row.left(&names()), None, "{:?}", row.key);
    }
}

#[test]
fn whatever_row_names_a_person_has_a_kind_and_does_not_stay_as_it_is() {
    for (kind, expected, row) in about_the_person() {
        assert_eq!((row.kind(), fate(&row.key).1), (kind, expected), "{:?}", row.key);
        assert!(row.names(&names()), "{:?}", row.key);
        assert!(row.concerns(WORKSPACE), "{:?}", row.key);
    }
}

#[test]
fn what_was_done_stays_and_an_export_sees_it_all_the_same() {
    let at = UnixMillis(1_790_000_000_000);
    for key in [keys::audit(WORKSPACE, AuditId::new(at)), keys::erasure(WORKSPACE, ErasureId::new(at))] {
        let row = row(key, &[("contact", "ctc_01J00000000000000000000000")]);
        assert!(!row.names(&names()) && row.mentions(&names()), "{:?}", row.key);
    }
}

#[test]
fn a_row_of_another_workspace_is_not_looked_at() {
    let other = WorkspaceId::new(UnixMillis(1));
    assert!(!row(keys::contact(other, contact()), &[]).concerns(WORKSPACE));
    let id: EventId = id_of(UnixMillis(1), &["x"]);
    assert!(row(keys::event(None, None, id, UnixMillis(1)), &[]).concerns(WORKSPACE));
    let link = keys::link(LinkId::new(7).unwrap());
    assert!(!row(link.clone(), &[("workspace", &other.to_string())]).concerns(WORKSPACE));
    assert!(row(link, &[("workspace", &WORKSPACE.to_string())]).concerns(WORKSPACE));
    let alias = keys::link_alias(&Site::Shared, &LinkAlias::parse("call-60123456789").unwrap());
    assert!(!row(alias, &[]).concerns(WORKSPACE), "its link tells whose it is");
}

#[test]
fn only_the_texts_that_name_the_person_are_blanked() {
    let value = AttributeValue::L(vec![text("of 60123456789"), text("of 60123456780")]);
    assert_eq!(blanked(&names(), "reasons", &value), AttributeValue::L(vec![text(ERASED), text("of 60123456780")]));
}

#[test]
fn an_id_that_a_stranger_has_chosen_names_no_row_but_those_of_that_id() {
    for id in ["account", "guest", "CONTACT", "server", "campaign", "wsp_00000000000000000000000001"] {
        let names = Names::of([&Person { others: [id.to_owned()].into(), ..Person::default() }]).unwrap();
        for (_, _, row) in about_the_person() {
            let mut said = row.clone();
            said.item.insert("type".to_owned(), text(id));
            said.item.insert("body".to_owned(), text(&format!(r#"{{"source":"{id}"}}"#)));
            assert!(!said.mentions(&names) && !said.names(&names), "{id}: {:?}", row.key);
        }
        let alias = Alias::anon(id).unwrap();
        for key in [keys::alias(WORKSPACE, &alias), keys::contact_alias(WORKSPACE, contact(), &alias)] {
            assert!(row(key, &[]).names(&names), "{id}");
        }
        let told = [("body", format!(r#"{{"anonymous_id":"{id}"}}"#))];
        let delivery = keys::delivery(WORKSPACE, DeliveryId::new(UnixMillis(1)));
        assert!(row(delivery, &told.each_ref().map(|(name, body)| (*name, body.as_str()))).names(&names), "{id}");
    }
}
