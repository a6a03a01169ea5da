//! What an object of the bucket holds about people: the same that [`object::erase`](super::object::erase) takes out of it,
//! found by the same rules, to be shown. Nothing of others is in it.

use serde_json::{Value, json};

use super::Names;
use super::object::{Kind, NotErased, Said, is_notification, messages, said};
use super::owner::Others;
use super::record::{Whose, narrowed, whose, whose_line};
use super::search::{Object, Search};
use super::upload::{self, Large};
use crate::archive::Line;
use crate::blob::{BlobError, Fetched};
use crate::phone::Region;

/// One thing that was found.
#[derive(Clone, Debug, PartialEq)]
pub enum Found {
    /// Theirs, to be shown.
    Record(Value),
    /// Somebody else's, in which they are mentioned: there is one, and no more is said.
    Withheld,
}

impl Found {
    fn of(whose: Whose, record: impl FnOnce() -> Value) -> Option<Self> {
        match whose {
            Whose::Nobodys => None,
            Whose::Theirs => Some(Self::Record(record())),
            Whose::Anothers => Some(Self::Withheld),
        }
    }
}

/// What one object holds about the people.
///
/// # Errors
/// [`NotErased`], for the same reasons.
pub async fn find(search: &Search<'_>, object: &Object, names: &Names) -> Result<Vec<Found>, NotErased> {
    let (bucket, Object { key, kind, region }) = (search.bucket, object);
    let body = match bucket.get_up_to(key, search.most_bytes).await {
        Ok(Fetched::Whole(body)) => body,
        Ok(Fetched::Larger(stored)) if *kind == Kind::Upload => {
            return Large { bucket, key, stored: &stored, most_bytes: search.most_bytes }.find(names).await;
        }
        Ok(Fetched::Larger(stored)) => return Err(NotErased::TooLarge { bytes: stored.bytes }),
        Err(BlobError::NotFound { .. }) => return Ok(Vec::new()),
        Err(error) => return Err(error.into()),
    };
    Ok(match kind {
        Kind::Lines => in_lines(names, key, *region, &body)?,
        Kind::Archive => {
            let messages = messages(names, &body)?;
            let others = Others::of(search.core, search.workspace, messages.iter().map(|(_, said)| said)).await?;
            in_archive(names, messages, &others)
        }
        Kind::Overflow => {
            let said = said(names, &body);
            let others = Others::of(search.core, search.workspace, [&said]).await?;
            message(names, said, is_notification(&body), &others).into_iter().collect()
        }
        Kind::Kept => item(names, &body).into_iter().collect(),
        Kind::Upload => upload::find(names, &body),
        Kind::Export => export(names, &body).into_iter().collect(),
    })
}

fn in_lines(names: &Names, key: &str, region: Option<Region>, body: &[u8]) -> Result<Vec<Found>, NotErased> {
    if key.ends_with(".json") {
        return Ok(lines(names, &serde_json::from_slice::<Vec<Value>>(body)?, None));
    }
    let parts = body.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let parsed = parts.map(serde_json::from_slice).collect::<Result<Vec<Value>, _>>()?;
    Ok(lines(names, &parsed, region))
}

fn lines(names: &Names, lines: &[Value], region: Option<Region>) -> Vec<Found> {
    let numbered = (1_u32..).zip(lines);
    let found = numbered
        .map(|(number, line)| Found::of(whose_line(names, line, region), || json!({"line": number, "record": line})));
    found.flatten().collect()
}

fn in_archive(names: &Names, messages: Vec<(Line, Said)>, others: &Others) -> Vec<Found> {
    let mut found = Vec::new();
    for (number, (line, said)) in (1_u32..).zip(messages) {
        let mut one = message(names, said, line.is_of_meta(), others);
        if let Some(Found::Record(record)) = &mut one {
            record["line"] = Value::from(number);
            record["kind"] = Value::from(line.kind);
            record["received_at"] = Value::from(line.received_at.to_rfc3339());
            record["message"] = Value::from(line.message);
        }
        found.extend(one);
    }
    found
}

/// Of a notification, and of a message that tells of several events, what is theirs; any other message is one person's. Of
/// another workspace's nothing.
fn message(names: &Names, said: Said, is_notification: bool, others: &Others) -> Option<Found> {
    let mut document = match said {
        Said::Nothing => return None,
        Said::Somewhere => return Some(Found::Withheld),
        Said::Here(document) if others.have(&document) => return None,
        Said::Here(document) => document,
    };
    if is_notification {
        others.set_aside(&mut document);
    }
    let theirs = if is_notification || document.get("events").is_some() {
        let mut theirs = narrowed(names, &document)?;
        if let Some(workspace) = document.get("workspace") {
            theirs["workspace"] = workspace.clone();
        }
        theirs
    } else {
        document
    };
    Some(Found::Record(json!({"body": theirs})))
}

fn item(names: &Names, body: &[u8]) -> Option<Found> {
    let text = String::from_utf8_lossy(body);
    if !names.are_in_text(&text) {
        return None;
    }
    match serde_json::from_str::<Value>(&text) {
        Ok(item) if whose(names, &item) == Whose::Theirs => Some(Found::Record(json!({"record": item}))),
        _ => Some(Found::Withheld),
    }
}

/// What an earlier export has shown is not shown again, else each would hold all before it.
fn export(names: &Names, body: &[u8]) -> Option<Found> {
    names.are_in_text(&String::from_utf8_lossy(body)).then(|| Found::Record(json!({})))
}

#[cfg(test)]
mod tests {
    use super::super::Person;
    use super::*;
    use crate::archive;
    use crate::id::WorkspaceId;
    use crate::time::UnixMillis;

    const OTHER: &str = "60123456780";

    fn names() -> Names {
        Names::of([&Person { digits: ["60123456789".to_owned()].into(), ..Person::default() }]).unwrap()
    }

    fn in_object(object: &[u8], others: &Others) -> Vec<Found> {
        in_archive(&names(), messages(&names(), object).unwrap(), others)
    }

    fn line(kind: &str, body: &Value) -> Line {
        let (received_at, message) = (UnixMillis(7), "m".to_owned());
        Line { kind: kind.to_owned(), received_at, message, body: body.to_string().into() }
    }

    #[test]
    fn of_an_object_of_the_archive_the_lines_of_the_person_are_shown_without_others() {
        let status = |to: &str| json!({"recipient_id": to, "status": "read"});
        let webhook = |to: &[&str]| {
            let statuses: Vec<Value> = to.iter().map(|to| status(to)).collect();
            json!({"entry": [{"changes": [{"value": {"statuses": statuses}}]}]})
        };
        let told = json!({"kind": "told", "workspace": "w", "events": [
            {"contact": {"phone": "60123456789"}, "fact": "a"}, {"contact": {"phone": OTHER}, "fact": "b"},
        ]});
        let object = archive::compress(&[
            line("meta_webhook", &webhook(&[OTHER])),
            line("meta_webhook", &webhook(&["60123456789", OTHER])),
            line("told", &told),
            line("click", &json!({"kind": "click", "link": 7, "about": "60123456789"})),
        ]);
        let found = in_object(&object.unwrap(), &Others::new(WorkspaceId::FIRST, []));
        let records: Vec<&Value> = found
            .iter()
            .map(|found| if let Found::Record(record) = found { record } else { panic!("withheld") })
            .collect();
        assert_eq!(records.iter().map(|record| record["line"].as_u64().unwrap()).collect::<Vec<_>>(), [2, 3, 4]);
        assert_eq!(records[0]["body"], webhook(&["60123456789"]));
        assert_eq!(records[1]["body"]["events"].as_array().unwrap().len(), 1);
        assert_eq!((&records[1]["body"]["workspace"], &records[2]["body"]["link"]), (&json!("w"), &json!(7)));
        assert!(!records.iter().any(|record| record.to_string().contains(OTHER)));
    }

    #[test]
    fn messages_of_another_workspace_are_not_shown() {
        let change = |number: &str| json!({"value": {"metadata": {"phone_number_id": number}, "messages": [{"from": "60123456789"}]}});
        let webhook = |changes: &[Value]| json!({"entry": [{"changes": changes}]});
        let other = WorkspaceId::new(UnixMillis(1));
        let object = archive::compress(&[
            line("meta_webhook", &webhook(&[change("2"), change("1")])),
            line("meta_webhook", &webhook(&[change("2")])),
            line("click", &json!({"kind": "click", "workspace": other, "about": "60123456789"})),
        ]);
        let found = in_object(&object.unwrap(), &Others::new(WorkspaceId::FIRST, ["2".to_owned()]));
        let [Found::Record(record)] = &found[..] else { panic!("{found:?}") };
        assert_eq!(record["body"], webhook(&[change("1")]));
    }

    #[test]
    fn lines_and_items_of_others_are_withheld_or_not_there() {
        let page = json!([{"seq": 0, "phone": "+60123456789"}, {"seq": 1, "phone": format!("+{OTHER}")}]);
        let lines = |key: &str, body: &str| in_lines(&names(), key, None, body.as_bytes()).unwrap();
        assert_eq!(
            lines("campaigns/w/c/pages/000000.json", &page.to_string()),
            [Found::Record(json!({"line": 1, "record": page[0]}))]
        );
        let mention = format!("{{\"phone\":\"+{OTHER}\",\"name\":\"60123456789\"}}\n");
        assert_eq!(lines("imports/w/i/accepted/000000.ndjson", &mention), [Found::Withheld]);
        let of_other = json!({"from": OTHER, "text": "60123456789"});
        assert_eq!(item(&names(), of_other.to_string().as_bytes()), Some(Found::Withheld));
        assert_eq!(export(&names(), b"60123456789"), Some(Found::Record(json!({}))));
    }
}
