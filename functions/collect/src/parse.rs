//! Reading what a page reports. Each event stands alone: one that cannot be taken is told back with its reason, and its
//! siblings are taken. What says whom an event concerns is left out where it is wrong, and told back as well: the event
//! happened all the same. No reason repeats a value, for values name people.

use std::fmt;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use shared::activity::custom::{EventName, MAX_OWN_ID_CHARS, Properties, email, is_anonymous_id, is_own_id};
use shared::attempt::Money;
use shared::collected::WebEvent;
use shared::http::body;
use shared::phone::PhoneNumber;
use shared::time::UnixMillis;

/// Largest body taken.
pub const MAX_BODY_BYTES: usize = 512 * 1024;

/// Most events of a request.
pub const MAX_EVENTS: usize = 100;

/// Longest click id kept; another system's may be longer than ours.
const MAX_CLICK_ID_CHARS: usize = 200;

/// A device's clock may be ahead of ours by this.
const CLOCKS_DIFFER_MS: i64 = 5 * 60 * 1_000;

/// Pages keep what they could not send; a time further back than this is a wrong clock.
const OLDEST_MS: i64 = 30 * 86_400_000;

/// What a page reports.
#[derive(Debug, PartialEq)]
pub struct Report {
    /// The key it came with, as it was given.
    pub write_key: String,
    /// The events that can be taken, in their order.
    pub events: Vec<Given>,
    /// The events that cannot, each with its reason.
    pub rejected: Vec<Remark>,
    /// What was left out of events that are taken.
    pub warnings: Vec<Remark>,
}

/// An event that can be taken, but for its time.
#[derive(Clone, PartialEq)]
pub struct Given {
    event: WebEvent,
    time: Option<UnixMillis>,
}

/// What is to be said of an event.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Remark {
    /// Its place in the request, from 0.
    pub index: usize,
    /// What is wrong, without the value.
    pub reason: String,
}

/// Why nothing of a request is taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Of [`MAX_BODY_BYTES`].
    #[error("a request has at most {} KiB", MAX_BODY_BYTES / 1024)]
    TooLarge,
    /// Not JSON, or no object with `write_key` and `events`.
    #[error("{0}")]
    Malformed(String),
    /// Of [`MAX_EVENTS`].
    #[error("a request has at most {MAX_EVENTS} events")]
    TooMany,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Envelope<'a> {
    write_key: String,
    #[serde(borrow)]
    events: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    #[serde(default)]
    id: Option<String>,
    name: String,
    #[serde(default)]
    time: Option<Time>,
    #[serde(default)]
    anonymous_id: Option<String>,
    #[serde(default)]
    email: Option<String>,
    #[serde(default)]
    phone: Option<String>,
    #[serde(default)]
    click_id: Option<String>,
    #[serde(default)]
    properties: Option<Map<String, Value>>,
    #[serde(default)]
    value: Option<Money>,
    #[serde(default)]
    conversion: Option<bool>,
}

/// A time as pages write it: RFC 3339, or milliseconds since 1970.
struct Time(UnixMillis);

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Millis(i64),
            Text(#[serde(with = "shared::time::rfc3339")] UnixMillis),
        }
        match Written::deserialize(deserializer) {
            Ok(Written::Millis(at)) => Ok(Self(UnixMillis(at))),
            Ok(Written::Text(at)) => Ok(Self(at)),
            Err(_) => Err(serde::de::Error::custom(
                "expected a time such as 2026-11-21T09:30:00Z, or milliseconds since 1970",
            )),
        }
    }
}

/// Reads the body of a request.
///
/// # Errors
/// [`Refusal`]: then nothing of it is taken.
pub fn parse(body: &[u8]) -> Result<Report, Refusal> {
    if body.len() > MAX_BODY_BYTES {
        return Err(Refusal::TooLarge);
    }
    let Envelope { write_key, events: given } =
        body::read_slice(body).map_err(|problem| Refusal::Malformed(problem.detail))?;
    if given.len() > MAX_EVENTS {
        return Err(Refusal::TooMany);
    }
    let mut report = Report { write_key, events: Vec::new(), rejected: Vec::new(), warnings: Vec::new() };
    for (index, json) in given.into_iter().enumerate() {
        let mut warn = |field: &str, reason: &dyn fmt::Display| {
            report.warnings.push(Remark { index, reason: format!("{field} is left out: {reason}") });
        };
        match event(json, &mut warn) {
            Ok(event) => report.events.push(event),
            Err(reason) => report.rejected.push(Remark { index, reason }),
        }
    }
    // Of an event that is not taken nothing is left out.
    let Report { rejected, warnings, .. } = &mut report;
    warnings.retain(|warning| rejected.iter().all(|one| one.index != warning.index));
    Ok(report)
}

fn event(json: &RawValue, warn: &mut dyn FnMut(&str, &dyn fmt::Display)) -> Result<Given, String> {
    let fields: Fields = body::part(json, "").map_err(|error| match error.pointer.as_str() {
        "" | "/" => error.reason,
        pointer => format!("{}: {}", pointer.trim_start_matches('/'), error.reason),
    })?;
    let name = EventName::own(&fields.name).map_err(|reason| format!("name: {reason}"))?;
    if fields.id.as_deref().is_some_and(|id| !is_own_id(id)) {
        return Err(format!("id: must have 1 to {MAX_OWN_ID_CHARS} printable characters"));
    }
    let properties =
        Properties::new(fields.properties.unwrap_or_default()).map_err(|reason| format!("properties: {reason}"))?;
    if let Some(Err(wrong)) = fields.value.as_ref().map(Money::check) {
        return Err(format!("value/{}: {wrong}", wrong.field()));
    }
    let phone = fields
        .phone
        .filter(|text| !text.is_empty())
        .and_then(|text| text.parse::<PhoneNumber>().map_err(|reason| warn("phone", &reason)).ok());
    let email = fields.email.filter(|text| !text.is_empty()).and_then(|text| {
        let found = email(&text);
        if found.is_none() {
            warn("email", &"it is no e-mail address");
        }
        found
    });
    let anonymous_id = fields.anonymous_id.filter(|text| !text.is_empty()).filter(|text| {
        let fits = is_anonymous_id(text);
        if !fits {
            warn("anonymous_id", &"it must have 1 to 128 letters, digits and any of - . _ :");
        }
        fits
    });
    let click_id = fields.click_id.filter(|text| !text.is_empty()).filter(|text| {
        let fits = text.chars().count() <= MAX_CLICK_ID_CHARS && !text.chars().any(char::is_control);
        if !fits {
            warn("click_id", &format_args!("it must have at most {MAX_CLICK_ID_CHARS} printable characters"));
        }
        fits
    });
    let conversion = fields.conversion.unwrap_or(fields.value.is_some());
    let event = WebEvent {
        id: fields.id,
        name,
        at: UnixMillis(0),
        anonymous_id,
        email,
        phone,
        click_id,
        conversion,
        value: fields.value,
        properties,
    };
    Ok(Given { event, time: fields.time.map(|Time(at)| at) })
}

impl Given {
    /// The event, at the time that the page tells: unless its clock is wrong, or it tells none; then it is now.
    #[must_use]
    pub fn taken_at(self, now: UnixMillis) -> WebEvent {
        let believed = |at: &UnixMillis| {
            (now.0.saturating_sub(OLDEST_MS)..=now.0.saturating_add(CLOCKS_DIFFER_MS)).contains(&at.0)
        };
        let at = self.time.filter(believed).unwrap_or(now);
        // A clock that is a little ahead must not put events above the newest of the feed.
        WebEvent { at: at.min(now), ..self.event }
    }
}

impl fmt::Debug for Given {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.event.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMillis = UnixMillis(1_790_000_000_000);

    fn report(events: &str) -> Report {
        parse(format!(r#"{{"write_key":"wk_x","events":[{events}]}}"#).as_bytes()).unwrap()
    }

    fn rejected(event: &str) -> String {
        let report = report(event);
        assert!(report.events.is_empty(), "{event}");
        report.rejected[0].reason.clone()
    }

    #[test]
    fn a_bad_event_is_told_back_and_the_others_are_taken() {
        let report = report(r#"{"name":"a"},{"name":7},{"id":"e","name":"c","time":"2026-09-21T14:13:19Z"},"x",{}"#);
        assert_eq!(report.events.len(), 2);
        assert_eq!(report.rejected.iter().map(|one| one.index).collect::<Vec<_>>(), [1, 3, 4]);
        let times: Vec<i64> = report.events.into_iter().map(|event| event.taken_at(NOW).at.0).collect();
        assert_eq!(times, [NOW.0, NOW.0 - 1_000]);
    }

    #[test]
    fn a_reason_names_the_place_and_no_value() {
        assert!(rejected(r#"{"name":"a","phone":60123456789}"#).starts_with("phone: "));
        assert!(!rejected(r#"{"name":"a","phone":60123456789}"#).contains("6012"));
        assert!(rejected(r#"{"name":"a","nom":"+60123456789"}"#).contains("unknown field"));
        assert!(rejected(r#"{"name":"message.received"}"#).starts_with("name: "));
        assert!(rejected(r#"{"name":"a","time":"yesterday"}"#).contains("expected a time"));
        assert!(rejected(r#"{"name":"a","value":{"amount":1,"currency":"rm"}}"#).starts_with("value/currency: "));
        assert!(rejected(r#"{"name":"a","value":{"amount":1e-200,"currency":"MYR"}}"#).starts_with("value/amount: "));
        assert!(rejected(r#"{"name":"a","id":"\u0007"}"#).starts_with("id: "));
        let deep = format!(r#"{{"name":"a","properties":{{"x":{}1{}}}}}"#, "[".repeat(400), "]".repeat(400));
        assert!(!rejected(&deep).is_empty());
    }

    #[test]
    fn whom_it_concerns_is_left_out_where_it_is_wrong_and_the_event_stays() {
        let report = report(
            r#"{"name":"a","phone":"12","email":"no","anonymous_id":"a b","click_id":"","conversion":true},
               {"name":"b","phone":"+60 12-345 6789","email":" A@Shop.example "},{"name":7,"phone":"12"}"#,
        );
        assert_eq!(report.warnings.iter().map(|one| one.index).collect::<Vec<_>>(), [0, 0, 0]);
        let events: Vec<WebEvent> = report.events.into_iter().map(|event| event.taken_at(NOW)).collect();
        assert!(events[0].conversion && events[0].phone.is_none() && events[0].click_id.is_none());
        assert_eq!(events[1].phone.as_ref().map(PhoneNumber::as_str), Some("+60123456789"));
        assert_eq!(events[1].email.as_deref(), Some("a@shop.example"));
    }

    #[test]
    fn a_value_makes_a_conversion_unless_the_page_says_otherwise() {
        let report = report(
            r#"{"name":"a","value":{"amount":49.9,"currency":"MYR"}},
               {"name":"b","value":{"amount":49.9,"currency":"MYR"},"conversion":false},{"name":"c"}"#,
        );
        let conversions = report.events.into_iter().map(|event| event.taken_at(NOW).conversion);
        assert_eq!(conversions.collect::<Vec<_>>(), [true, false, false]);
    }

    #[test]
    fn a_clock_that_is_wrong_is_not_believed() {
        for (told, taken) in [
            (NOW.0 - OLDEST_MS, NOW.0 - OLDEST_MS),
            (NOW.0 - OLDEST_MS - 1, NOW.0),
            (NOW.0 + CLOCKS_DIFFER_MS, NOW.0),
            (i64::MAX, NOW.0),
            (i64::MIN, NOW.0),
        ] {
            let given = report(&format!(r#"{{"name":"a","time":{told}}}"#)).events.remove(0);
            assert_eq!(given.taken_at(NOW).at.0, taken, "{told}");
        }
    }

    #[test]
    fn what_is_no_report_is_refused_whole() {
        assert!(matches!(parse(b""), Err(Refusal::Malformed(_))));
        assert!(matches!(parse(b"\xff\xfe"), Err(Refusal::Malformed(_))));
        assert!(matches!(parse(br#"{"events":[]}"#), Err(Refusal::Malformed(_))));
        assert!(matches!(parse(br#"{"write_key":"k","events":{}}"#), Err(Refusal::Malformed(_))));
        assert!(matches!(parse(br#"{"write_key":"k","events":[],"x":1}"#), Err(Refusal::Malformed(_))));
        assert_eq!(parse(&vec![b' '; MAX_BODY_BYTES + 1]), Err(Refusal::TooLarge));
        let many = vec!["{}"; MAX_EVENTS + 1].join(",");
        assert_eq!(parse(format!(r#"{{"write_key":"k","events":[{many}]}}"#).as_bytes()), Err(Refusal::TooMany));
    }
}
