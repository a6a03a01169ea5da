//! Which rows follow from the archive, wholly or in part. Whatever is not named here is copied as it is: definitions,
//! accounts and templates (with Meta's last word, which is on them already), links, media, contacts and which number is
//! whose, what was sent to whom, what an operator did.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use shared::erasure::ERASED;
use shared::store::Item;
use shared::store::keys;
use shared::store::whole::key_of;
use shared::time::UnixMillis;

use crate::job::Job;

/// Flags of an attempt that only what comes from outside turns on. `accepted` is the answer to the send, `closed` is the
/// operator's word.
const FLAGS: [&str; 5] = ["sent", "delivered", "read", "clicked", "replied"];

/// Fields of a conversation that only what comes from outside sets.
const TIMES_OF_A_CONVERSATION: [&str; 3] = ["last_inbound_at", "entry_point_at", "last_outbound_at"];

/// Words for or against messages of this source come from messages; those of Meta's may also come with the answer to a
/// send, and later ones hold in any case.
const WORD_OF_A_MESSAGE: &str = "reply";

/// The attribute of an event that was made of a message of the archive.
const ARCHIVED: &str = "archived";

/// The row without what the job makes again from the archive; `None` when nothing is left of it.
#[must_use]
pub fn without_events(mut item: Item, job: &Job) -> Option<Item> {
    let Some(key) = key_of(&item) else { return Some(item) };
    if key.pk.contains("#ACTIVITY#") {
        let is_made_again = item.contains_key(ARCHIVED) && time(&item, "seen").is_some_and(|seen| job.covers(seen));
        return (!is_made_again).then_some(item);
    }
    if keys::read_visits(&key.pk, &key.sk).is_some() {
        return of_visits(item, job);
    }
    if keys::read_attempt(&key.pk, &key.sk).is_some() {
        // The archive forgot the person as well: no message of it leads to this row any more.
        if item.contains_key(ERASED) {
            return Some(item);
        }
        of_attempt(&mut item, job);
    } else if key.sk == "ALIAS" {
        for word in ["opt_in", "opt_out"] {
            let is_made_again = map(&item, word).is_some_and(|word| {
                word.get("source").and_then(|source| source.as_s().ok()).is_some_and(|s| s == WORD_OF_A_MESSAGE)
                    && time(word, "at").is_some_and(|at| job.covers(at))
            });
            if is_made_again {
                item.remove(word);
            }
        }
    } else if key.sk.starts_with("CONVERSATION#") {
        for name in TIMES_OF_A_CONVERSATION {
            if time(&item, name).is_some_and(|at| job.covers(at)) {
                item.remove(name);
            }
        }
    }
    Some(item)
}

/// The clicks that are not told again. What is only counted stays: an older click than those is taken for one of them.
fn of_visits(mut item: Item, job: &Job) -> Option<Item> {
    if let Some(AttributeValue::L(kept)) = item.get_mut("kept") {
        kept.retain(|visit| {
            let at = visit.as_m().ok().and_then(|visit| Some(UnixMillis(visit.get("at")?.as_n().ok()?.parse().ok()?)));
            !at.is_some_and(|at| job.covers(at))
        });
    }
    let is_empty = item.get("kept").and_then(|kept| kept.as_l().ok()).is_none_or(Vec::is_empty);
    (!is_empty || item.contains_key("folded")).then_some(item)
}

/// What `send` and the operator wrote of an attempt.
fn of_attempt(item: &mut Item, job: &Job) {
    let is_told = |item: &Item, name: &str| {
        map(item, name).and_then(|moment| time(moment, "seen")).is_some_and(|seen| job.covers(seen))
    };
    let mut told_before = false;
    for flag in FLAGS {
        if is_told(item, flag) {
            item.remove(flag);
        } else {
            told_before |= item.contains_key(flag);
        }
    }
    // A message that Meta refused at once has no id; a failure of one that has is told by a status.
    let was_refused = item.contains_key("failed") && !item.contains_key("wamid");
    if !was_refused {
        for name in ["failed", "opted_out"] {
            if is_told(item, name) {
                item.remove(name);
            } else {
                told_before |= item.contains_key(name);
            }
        }
    }
    // The first status that names a price has told it.
    if !told_before {
        item.remove("pricing");
    }
}

fn map<'a>(item: &'a Item, name: &str) -> Option<&'a HashMap<String, AttributeValue>> {
    item.get(name)?.as_m().ok()
}

fn time(item: &Item, name: &str) -> Option<UnixMillis> {
    Some(UnixMillis(item.get(name)?.as_n().ok()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn item(value: Value) -> Item {
        serde_dynamo::to_item(value).unwrap()
    }

    fn left(value: Value, job: &Job) -> Option<Value> {
        without_events(item(value), job).map(|item| serde_dynamo::from_item(item).unwrap())
    }

    fn attempt(more: &Value) -> Value {
        let mut row = json!({
            "pk": "WS#wsp_00000000000000000000000001#ATTEMPTS#cmp_01J00000000000000000000000#00",
            "sk": "00000001",
            "claim": {"slot": 1},
        });
        for (name, value) in more.as_object().unwrap() {
            row[name] = value.clone();
        }
        row
    }

    fn moment(seen: i64) -> Value {
        json!({"at": seen - 1, "seen": seen})
    }

    #[test]
    fn an_attempt_keeps_what_the_sender_and_the_operator_wrote() {
        let all = Job::new("x");
        let kept = attempt(&json!({"wamid": "w", "accepted": moment(5), "closed": moment(9)}));
        let mut whole = kept.clone();
        for flag in ["sent", "delivered", "read", "clicked", "replied", "opted_out", "failed"] {
            whole[flag] = moment(7);
        }
        whole["pricing"] = json!({"category": "marketing"});
        assert_eq!(left(whole, &all), Some(kept));
        let refused = attempt(&json!({"failed": moment(5), "opted_out": moment(5)}));
        assert_eq!(left(refused.clone(), &all), Some(refused));
    }

    #[test]
    fn what_lies_outside_the_time_is_copied() {
        let job = Job { from: Some(UnixMillis(6)), ..Job::new("x") };
        let before = attempt(&json!({"wamid": "w", "sent": moment(5), "pricing": {"category": "marketing"}}));
        let mut whole = before.clone();
        whole["read"] = moment(6);
        assert_eq!(left(whole, &job), Some(before));
        let event =
            |seen: i64| json!({"pk": "WS#w#ACTIVITY#a#2026-11-21#00", "sk": "1#e", "seen": seen, "archived": "p"});
        assert_eq!(left(event(6), &job), None);
        assert_eq!(left(event(5), &job), Some(event(5)));
    }

    #[test]
    fn an_event_that_is_of_no_message_is_copied() {
        let event = json!({"pk": "WS#w#ACTIVITY#a#2026-11-21#00", "sk": "1#e", "seen": 6});
        assert_eq!(left(event.clone(), &Job::new("x")), Some(event));
    }

    #[test]
    fn an_attempt_of_somebody_who_was_erased_is_copied_whole() {
        let mut row = attempt(&json!({"wamid": "erased", "accepted": moment(5), "erased": {"at": 9}}));
        for flag in ["sent", "delivered", "read", "clicked", "failed"] {
            row[flag] = moment(7);
        }
        row["pricing"] = json!({"category": "marketing"});
        assert_eq!(left(row.clone(), &Job::new("x")), Some(row));
    }

    #[test]
    fn what_is_older_than_the_archive_is_copied() {
        let mut job = Job::new("x");
        job.begin_with(Some(&"1970-01-01T01/a".parse().unwrap()), UnixMillis(0));
        let alias = |at: i64| {
            json!({
                "pk": "WS#w#ALIAS#PHONE#60123456789", "sk": "ALIAS", "contact": "c",
                "opt_out": {"at": at, "source": "reply"},
            })
        };
        assert_eq!(left(alias(3_599_999), &job), Some(alias(3_599_999)));
        assert!(left(alias(3_600_000), &job).unwrap().get("opt_out").is_none());
        let told = attempt(&json!({"wamid": "w", "sent": moment(5), "pricing": {"category": "marketing"}}));
        assert_eq!(left(told.clone(), &job), Some(told));
    }

    #[test]
    fn of_the_words_those_that_came_in_messages_are_made_again() {
        let alias = json!({
            "pk": "WS#w#ALIAS#PHONE#60123456789", "sk": "ALIAS", "contact": "c",
            "opt_in": {"at": 3, "source": "form"}, "opt_out": {"at": 4, "source": "reply"},
        });
        let kept = left(alias, &Job::new("x")).unwrap();
        assert!(kept.get("opt_in").is_some() && kept.get("opt_out").is_none(), "{kept}");
    }
}
