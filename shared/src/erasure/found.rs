//! What an object of the bucket holds about people: the same that [`object::erase`](super::object::erase) takes out of it,
//! found by the same rules, to be shown. Nothing of others is in it.

use serde_json::{Value, json};

use super::Names;
use super::object::{Kind, NotErased, Said, is_notification, said};
use super::record::{Whose, narrowed, whose, whose_line};
use crate::archive;
use crate::blob::{BlobError, Bucket};
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

/// What one object holds about the people. `region` is the country of numbers without a country code.
///
/// # Errors
/// [`NotErased`], for the same reasons.
pub async fn find(
    bucket: &Bucket,
    key: &str,
    kind: Kind,
    names: &Names,
    region: Option<Region>,
) -> Result<Vec<Found>, NotErased> {
    match bucket.get(key).await {
        Ok(body) => find_in(key, kind, names, region, &body),
        Err(BlobError::NotFound { .. }) => Ok(Vec::new()),
        Err(error) => Err(error.into()),
    }
}

fn find_in(key: &str, kind: Kind, names: &Names, region: Option<Region>, body: &[u8]) -> Result<Vec<Found>, NotErased> {
    Ok(match kind {
        Kind::Lines if key.ends_with(".json") => lines(names, &serde_json::from_slice::<Vec<Value>>(body)?, None),
        Kind::Lines => {
            let parts = body.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
            let parsed = parts.map(serde_json::from_slice).collect::<Result<Vec<Value>, _>>()?;
            lines(names, &parsed, region)
        }
        Kind::Archive => in_archive(names, body)?,
        Kind::Overflow => message(names, body, is_notification(body)).into_iter().collect(),
        Kind::Kept => item(names, body).into_iter().collect(),
        Kind::Upload => in_text(names, body),
        // What an earlier export has shown is not shown again, else each would hold all before it.
        Kind::Export => {
            let named = names.are_in_text(&String::from_utf8_lossy(body));
            named.then(|| Found::Record(json!({}))).into_iter().collect()
        }
    })
}

fn lines(names: &Names, lines: &[Value], region: Option<Region>) -> Vec<Found> {
    let numbered = (1_u32..).zip(lines);
    let found = numbered
        .map(|(number, line)| Found::of(whose_line(names, line, region), || json!({"line": number, "record": line})));
    found.flatten().collect()
}

fn in_archive(names: &Names, body: &[u8]) -> Result<Vec<Found>, NotErased> {
    let mut found = Vec::new();
    for (number, line) in (1_u32..).zip(archive::lines(body)?) {
        let line = line?;
        let mut one = message(names, &line.body, line.is_of_meta());
        if let Some(Found::Record(record)) = &mut one {
            record["line"] = Value::from(number);
            record["kind"] = Value::from(line.kind);
            record["received_at"] = Value::from(line.received_at.to_rfc3339());
            record["message"] = Value::from(line.message);
        }
        found.extend(one);
    }
    Ok(found)
}

/// Of a notification, and of a message that tells of several events, what is theirs; any other message is one person's.
fn message(names: &Names, body: &[u8], is_notification: bool) -> Option<Found> {
    let document = match said(names, body) {
        Said::Nothing => return None,
        Said::Somewhere => return Some(Found::Withheld),
        Said::Here(document) => document,
    };
    let theirs = if is_notification || document.get("events").is_some() {
        let mut theirs = narrowed(names, &document)?;
        // Whose the events are is ours to tell, and decides who may see them.
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

fn in_text(names: &Names, body: &[u8]) -> Vec<Found> {
    let Ok(text) = std::str::from_utf8(body) else { return Vec::new() };
    let numbered = (1_u32..).zip(text.lines()).filter(|(_, line)| names.are_in(line));
    numbered.map(|(number, line)| Found::Record(json!({"line": number, "text": line}))).collect()
}

#[cfg(test)]
mod tests {
    use super::super::Person;
    use super::*;
    use crate::archive::Line;
    use crate::time::UnixMillis;

    const OTHER: &str = "60123456780";

    fn names() -> Names {
        Names::of([&Person { digits: ["60123456789".to_owned()].into(), ..Person::default() }]).unwrap()
    }

    fn found(key: &str, body: &[u8]) -> Vec<Found> {
        find_in(key, Kind::of(key).unwrap(), &names(), None, body).unwrap()
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
        let found = found("archive/raw/x.ndjson.zst", &object.unwrap());
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
    fn lines_and_items_of_others_are_withheld_or_not_there() {
        let page = json!([{"seq": 0, "phone": "+60123456789"}, {"seq": 1, "phone": format!("+{OTHER}")}]);
        assert_eq!(
            found("campaigns/w/c/pages/000000.json", page.to_string().as_bytes()),
            [Found::Record(json!({"line": 1, "record": page[0]}))]
        );
        let mention = format!("{{\"phone\":\"+{OTHER}\",\"name\":\"60123456789\"}}\n");
        assert_eq!(found("imports/w/i/accepted/000000.ndjson", mention.as_bytes()), [Found::Withheld]);
        let csv = format!("phone\n60123456789\n{OTHER}\n");
        let expected = json!({"line": 2, "text": "60123456789"});
        assert_eq!(found("uploads/w/u", csv.as_bytes()), [Found::Record(expected)]);
        let item = json!({"from": OTHER, "text": "60123456789"});
        assert_eq!(found("kept/2026-09-21/e.json", item.to_string().as_bytes()), [Found::Withheld]);
        assert_eq!(found("exports/w/e/export.json", b"60123456789"), [Found::Record(json!({}))]);
    }
}
