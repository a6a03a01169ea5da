//! A notification of which something can never be taken in: its items are tried one by one, so that the one at fault is
//! quarantined alone. This is rare, so it may be slow.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};
use shared::archive::Line;

use crate::effects::Effects;
use crate::webhook::{self, Broken};
use crate::{Ingest, NotIngested, intake};

type Members = BTreeMap<String, Box<RawValue>>;

/// A body; when it is written, one with a single entry.
#[derive(Serialize, Deserialize)]
struct Body {
    #[serde(default)]
    object: String,
    entry: Vec<Box<RawValue>>,
}

/// An entry; when it is written, one with a single change.
#[derive(Serialize, Deserialize)]
struct Entry {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    id: Option<Box<RawValue>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    time: Option<Box<RawValue>>,
    changes: Vec<Box<RawValue>>,
}

#[derive(Serialize, Deserialize)]
struct Change {
    field: String,
    value: Members,
}

#[derive(Deserialize)]
struct Metadata {
    phone_number_id: String,
}

/// Parts of a change's value that describe its items.
const ENVELOPE: [&str; 3] = ["messaging_product", "metadata", "contacts"];

/// A notification with a single item, as Meta would have sent it.
#[derive(Debug)]
struct Single {
    field: String,
    entry_time: Option<i64>,
    phone_number_id: Option<String>,
    body: Box<RawValue>,
}

/// What the notification changes, less what can never be taken in; `cause` is what went wrong with the whole.
pub(crate) async fn effects(ingest: &Ingest, line: &Line, cause: &NotIngested) -> Result<Effects, NotIngested> {
    let mut effects = Effects::default();
    let singles = singles(&line.body).unwrap_or_default();
    if singles.is_empty() {
        // Nothing to tell apart: the body is at fault as it is.
        let raw = String::from_utf8_lossy(&line.body).into_owned();
        let broken = Broken { field: "", entry_time: None, reason: cause.to_string(), raw };
        webhook::quarantine(ingest, &mut effects, None, broken, line.received_at).await?;
        return Ok(effects);
    }
    for Single { field, entry_time, phone_number_id, body } in singles {
        let tried = intake::without_panic(webhook::effects(ingest, body.get().as_bytes(), line.received_at)).await;
        match tried {
            Ok(own) => effects.merge(own),
            Err(error) if error.is_permanent() => {
                let route = match &phone_number_id {
                    // It may be the route itself that cannot be read.
                    Some(number) => ingest.core.account_of_number(number).await.ok().flatten(),
                    None => None,
                };
                let raw = body.get().to_owned();
                let broken = Broken { field: &field, entry_time, reason: error.to_string(), raw };
                webhook::quarantine(ingest, &mut effects, route, broken, line.received_at).await?;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(effects)
}

/// Each item in a notification of its own, every byte of it as it came. Lists within lists stay together, and what is not
/// built as a notification should be stays as it is.
fn singles(body: &[u8]) -> Result<Vec<Single>, serde_json::Error> {
    let Body { object, entry } = serde_json::from_slice(body)?;
    let with_entry = |entry: Box<RawValue>| to_raw_value(&Body { object: object.clone(), entry: vec![entry] });
    let mut singles = Vec::new();
    for raw in entry {
        let Ok(Entry { id, time, changes }) = serde_json::from_str(raw.get()) else {
            let body = with_entry(raw)?;
            singles.push(Single { field: String::new(), entry_time: None, phone_number_id: None, body });
            continue;
        };
        let entry_time = time.as_ref().and_then(|time| time.get().trim_matches('"').parse().ok());
        for raw in changes {
            for (field, phone_number_id, change) in of_change(raw)? {
                let entry = Entry { id: id.clone(), time: time.clone(), changes: vec![change] };
                let body = with_entry(to_raw_value(&entry)?)?;
                singles.push(Single { field, entry_time, phone_number_id, body });
            }
        }
    }
    Ok(singles)
}

/// A change cut into those with one item each, with its field and the number it came to.
type OneItem = (String, Option<String>, Box<RawValue>);

fn of_change(raw: Box<RawValue>) -> Result<Vec<OneItem>, serde_json::Error> {
    let Ok(Change { field, value }) = serde_json::from_str(raw.get()) else {
        return Ok(vec![(String::new(), None, raw)]);
    };
    let metadata = value.get("metadata").and_then(|raw| serde_json::from_str::<Metadata>(raw.get()).ok());
    let number = metadata.map(|metadata| metadata.phone_number_id);
    let describes = |key: &str, raw: &RawValue| ENVELOPE.contains(&key) || !raw.get().starts_with('[');
    let (described, lists): (Members, Members) = value.into_iter().partition(|(key, raw)| describes(key, raw));
    if lists.is_empty() {
        return Ok(vec![(field, number, raw)]);
    }
    let mut items = Vec::new();
    for (key, list) in lists {
        for element in serde_json::from_str::<Vec<Box<RawValue>>>(list.get())? {
            let mut value = described.clone();
            value.insert(key.clone(), to_raw_value(&[element])?);
            let change = to_raw_value(&Change { field: field.clone(), value })?;
            items.push((field.clone(), number.clone(), change));
        }
    }
    Ok(items)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_item_is_cut_out_with_what_describes_it_and_byte_for_byte() {
        let body = r#"{"object":"whatsapp_business_account","entry":[{"id":"1","time":7,"changes":[
            {"field":"messages","value":{"messaging_product":"whatsapp","metadata":{"phone_number_id":"9"},
             "contacts":[{"wa_id":"60"}],"statuses":[{"id":"a",  "x":1.0},{"id":"b"}],"messages":[{"id":"c"}]}},
            {"field":"account_update","value":{"event":"X"}},
            7]},
            "no entry"]}"#;
        let singles = singles(body.as_bytes()).unwrap();
        let bodies: Vec<&str> = singles.iter().map(|single| single.body.get()).collect();
        let of = |list: &str| {
            format!(
                r#"{{"object":"whatsapp_business_account","entry":[{{"id":"1","time":7,"changes":[{{"field":"messages","value":{{"contacts":[{{"wa_id":"60"}}],{list}}}}}]}}]}}"#
            )
        };
        let c = r#""messages":[{"id":"c"}],"messaging_product":"whatsapp","metadata":{"phone_number_id":"9"}"#;
        let a =
            r#""messaging_product":"whatsapp","metadata":{"phone_number_id":"9"},"statuses":[{"id":"a",  "x":1.0}]"#;
        assert_eq!(bodies[0], of(c));
        assert_eq!(bodies[1], of(a));
        assert_eq!(bodies.len(), 6);
        assert_eq!(bodies[4], r#"{"object":"whatsapp_business_account","entry":[{"id":"1","time":7,"changes":[7]}]}"#);
        assert_eq!(bodies[5], r#"{"object":"whatsapp_business_account","entry":["no entry"]}"#);
        assert_eq!((singles[0].entry_time, singles[0].phone_number_id.as_deref()), (Some(7), Some("9")));
    }
}
