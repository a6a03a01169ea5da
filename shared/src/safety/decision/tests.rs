//! What the rules decide, rule by rule.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::safety::FrequencyCap;
use crate::safety::outgoing::Wording;

const NOW: UnixMillis = UnixMillis(1_795_000_000_000);
const HOUR: Duration = Duration::from_secs(3_600);

const SOMEONE: Person<'_> = Person { known: true, opted_in: true, opted_out: false, recent: &[] };

const HELLO: Outgoing<'_> =
    Outgoing { text: "Hello", links: 0, media: None, category: Category::Marketing, wording: Wording::Own, content: 7 };

fn strict() -> Safety {
    Safety {
        block_unknown_numbers: true,
        require_opt_in: true,
        spam_detection: true,
        frequency_cap: Some(FrequencyCap { messages: 2, days: 7 }),
        ..Safety::default()
    }
}

fn ago(hours: u32, content: u64) -> Earlier {
    Earlier { at: UnixMillis(NOW.0 - i64::from(hours) * 3_600_000), content }
}

fn refused(rules: &Safety, person: Person<'_>, message: Outgoing<'_>) -> Option<&'static str> {
    decide(rules, &person, &message, NOW).err().map(|refusal| refusal.code())
}

#[test]
fn who_has_opted_out_is_not_written_to_whatever_the_settings() {
    let person = Person { opted_out: true, ..SOMEONE };
    for rules in [Safety::default(), strict()] {
        for category in [Category::Marketing, Category::Utility, Category::Service] {
            assert_eq!(refused(&rules, person, Outgoing { category, ..HELLO }), Some("opted_out"), "{category:?}");
        }
    }
}

#[test]
fn a_code_that_was_asked_for_needs_no_consent_and_counts_against_no_cap() {
    let code = Outgoing { category: Category::Authentication, ..HELLO };
    let recent = [ago(30, 1), ago(31, 2)];
    let person = Person { opted_out: true, opted_in: false, recent: &recent, ..SOMEONE };
    assert_eq!(refused(&strict(), person, code), None);
    assert_eq!(refused(&strict(), Person { known: false, ..person }, code), Some("unknown_number"));
}

#[test]
fn consent_and_acquaintance_are_asked_for_only_where_the_rules_do() {
    let stranger = Person { known: false, opted_in: false, ..SOMEONE };
    assert_eq!(refused(&Safety::default(), stranger, HELLO), None);
    assert_eq!(refused(&strict(), stranger, HELLO), Some("no_opt_in"));
    assert_eq!(refused(&strict(), Person { known: false, ..SOMEONE }, HELLO), Some("unknown_number"));
    assert_eq!(refused(&strict(), SOMEONE, HELLO), None);
}

#[test]
fn length_is_counted_in_characters() {
    let rules = Safety { max_message_length: 5, ..Safety::default() };
    assert_eq!(refused(&rules, SOMEONE, Outgoing { text: "你好吗朋友", ..HELLO }), None);
    assert_eq!(refused(&rules, SOMEONE, Outgoing { text: "Hello!", ..HELLO }), Some("too_long"));
}

#[test]
fn only_allowed_media_are_sent() {
    let rules = Safety { allowed_media_types: BTreeSet::from([MediaKind::Image]), ..Safety::default() };
    assert_eq!(refused(&rules, SOMEONE, Outgoing { media: Some(MediaKind::Image), ..HELLO }), None);
    let video = Outgoing { media: Some(MediaKind::Video), ..HELLO };
    assert_eq!(refused(&rules, SOMEONE, video), Some("media_type_not_allowed"));
}

#[test]
fn the_same_content_is_repeated_for_a_day() {
    let rules = Safety { spam_detection: true, ..Safety::default() };
    for (recent, expected) in [
        ([ago(23, 7), ago(1, 8)], Some("repeated_content")),
        ([ago(24, 7), ago(1, 8)], None),
        ([ago(0, 8), ago(0, 9)], None),
    ] {
        assert_eq!(refused(&rules, Person { recent: &recent, ..SOMEONE }, HELLO), expected);
        assert_eq!(refused(&Safety::default(), Person { recent: &recent, ..SOMEONE }, HELLO), None);
    }
}

#[test]
fn many_links_and_shouting_are_spam_only_where_it_is_looked_for() {
    let rules = Safety { spam_detection: true, ..Safety::default() };
    let (links, loud) = (Outgoing { links: 4, ..HELLO }, Outgoing { text: "Now!!!!", ..HELLO });
    assert_eq!(refused(&rules, SOMEONE, Outgoing { links: 3, ..HELLO }), None);
    assert_eq!(refused(&rules, SOMEONE, links), Some("too_many_links"));
    assert_eq!(refused(&rules, SOMEONE, loud), Some("shouting"));
    assert_eq!(refused(&Safety::default(), SOMEONE, links), None);
    assert_eq!(refused(&Safety::default(), SOMEONE, loud), None);
}

#[test]
fn the_cap_counts_the_messages_of_its_rolling_window() {
    let rules = Safety { frequency_cap: Some(FrequencyCap { messages: 2, days: 1 }), ..Safety::default() };
    assert_eq!(refused(&rules, Person { recent: &[ago(1, 1), ago(24, 2)], ..SOMEONE }, HELLO), None);
    assert_eq!(refused(&rules, Person { recent: &[ago(1, 1), ago(23, 2)], ..SOMEONE }, HELLO), Some("frequency_cap"));
}

#[test]
fn history_is_asked_for_as_far_back_as_the_rules_look() {
    assert_eq!(Safety::default().looks_back(), Duration::ZERO);
    assert_eq!(Safety { spam_detection: true, ..Safety::default() }.looks_back(), HOUR * 24);
    assert_eq!(strict().looks_back(), HOUR * 24 * 7);
}

#[test]
fn each_refusal_says_what_was_found_and_its_json_names_its_code() {
    let all = [
        (Refusal::OptedOut, "opted out"),
        (Refusal::NoOptIn, "opt-in"),
        (Refusal::UnknownNumber, "contacts"),
        (Refusal::TooLong { length: 5_000, limit: 4_096 }, "5000 characters"),
        (Refusal::MediaTypeNotAllowed { media: MediaKind::Video }, "video"),
        (Refusal::RepeatedContent { minutes_ago: 90 }, "90 minutes"),
        (Refusal::TooManyLinks { links: 4 }, "4 links; more than 3"),
        (Refusal::Shouting(Shouting::Capitals { percent: 83 }), "83 % of its letters"),
        (Refusal::Shouting(Shouting::Marks { run: 6 }), "6 exclamation"),
        (Refusal::FrequencyCap { sent: 3, days: 7, limit: 3 }, "3 messages in the last 7 days"),
        (Refusal::Expired, "expired"),
    ];
    for (refusal, found) in all {
        assert!(refusal.to_string().contains(found), "{refusal}");
        let json = serde_json::to_value(refusal).unwrap();
        assert_eq!(json["code"], refusal.code());
        assert_eq!(serde_json::from_value::<Refusal>(json).unwrap(), refusal);
    }
    let json = serde_json::to_string(&Refusal::Shouting(Shouting::Marks { run: 6 })).unwrap();
    assert_eq!(json, r#"{"code":"shouting","found":"marks","run":6}"#);
}

proptest! {
    /// A rule that is added never lets through what was refused before.
    #[test]
    fn stricter_rules_refuse_no_less(
        known: bool, opted_in: bool, opted_out: bool, links in 0_usize..6, text in "\\PC{0,40}",
        hours in prop::collection::vec((0_u32..400, 6_u64..9), 0..6), marketing: bool,
    ) {
        let recent: Vec<Earlier> = hours.into_iter().map(|(hours, content)| ago(hours, content)).collect();
        let person = Person { known, opted_in, opted_out, recent: &recent };
        let category = if marketing { Category::Marketing } else { Category::Authentication };
        let message = Outgoing { text: &text, links, category, ..HELLO };
        if decide(&Safety::default(), &person, &message, NOW).is_err() {
            prop_assert!(decide(&strict(), &person, &message, NOW).is_err());
        }
        prop_assert_eq!(
            decide(&strict(), &person, &message, NOW).is_err() || !opted_out || !marketing, true
        );
    }
}
