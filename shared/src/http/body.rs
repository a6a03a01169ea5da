//! JSON bodies: an unknown field or a wrong type is an error that points to its place.

use axum::body::Bytes;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::problem::{FieldError, Problem};

/// Reads a JSON body.
///
/// # Errors
/// 400 when it is not JSON, 422 with a pointer when it has not the right shape.
pub fn read<T: DeserializeOwned>(body: &Bytes) -> Result<T, Problem> {
    read_slice(body)
}

/// The same for what may borrow from the body.
///
/// # Errors
/// As [`read`].
pub fn read_slice<'de, T: Deserialize<'de>>(body: &'de [u8]) -> Result<T, Problem> {
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let pointer = pointer(error.path());
        let inner = error.into_inner();
        match inner.classify() {
            serde_json::error::Category::Data => Problem::invalid(pointer, without_position(&inner)),
            _ => Problem::malformed(format!("the body is not JSON: {inner}")),
        }
    })?;
    deserializer.end().map_err(|error| Problem::malformed(format!("the body is not JSON: {error}")))?;
    Ok(value)
}

/// Reads a part of a JSON body that stands alone. `place` points to it.
///
/// # Errors
/// With the place within the body, when it has not the right shape.
pub fn part<'de, T: Deserialize<'de>>(part: &'de RawValue, place: &str) -> Result<T, FieldError> {
    let mut deserializer = serde_json::Deserializer::from_str(part.get());
    serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let pointer = match pointer(error.path()).as_str() {
            "/" if place.is_empty() => "/".to_owned(),
            "/" => place.to_owned(),
            within => format!("{place}{within}"),
        };
        FieldError { pointer, reason: without_position(&error.into_inner()) }
    })
}

fn pointer(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    let mut pointer = String::new();
    for segment in path {
        match segment {
            Segment::Seq { index } => pointer.push_str(&format!("/{index}")),
            Segment::Map { key } => pointer.push_str(&format!("/{}", key.replace('~', "~0").replace('/', "~1"))),
            Segment::Enum { .. } | Segment::Unknown => {}
        }
    }
    if pointer.is_empty() { "/".to_owned() } else { pointer }
}

/// The reason without serde's line and column, for the pointer tells the place. A value of the body may be personal, so
/// serde's `invalid type: string "…"` loses the value.
fn without_position(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let text = text.rsplit_once(" at line ").map_or(text.as_str(), |(reason, _)| reason);
    let (found, expected) = text.split_once(", expected").unwrap_or((text, ""));
    let quoted = ['"', '`'].into_iter().find_map(|quote| {
        let (first, last) = (found.find(quote)?, found.rfind(quote)?);
        (first < last).then(|| format!("{}…{}", &found[..first], &found[last + 1..]))
    });
    match quoted {
        Some(found) if text.starts_with("invalid") => format!("{found}, expected{expected}"),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Outer {
        #[allow(dead_code)]
        list: Vec<Inner>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Inner {
        #[allow(dead_code)]
        n: u32,
    }

    fn problem(body: &'static str) -> Problem {
        read::<Outer>(&Bytes::from_static(body.as_bytes())).unwrap_err()
    }

    #[test]
    fn an_unknown_field_is_named_with_its_place() {
        let problem = problem(r#"{"list":[{"n":1},{"n":2,"m":3}]}"#);
        assert_eq!(problem.status, 422);
        assert_eq!(problem.errors[0].pointer, "/list/1/m");
        assert!(problem.errors[0].reason.contains("unknown field"), "{:?}", problem.errors);
    }

    #[test]
    fn a_wrong_type_is_named_without_its_value() {
        let problem = problem(r#"{"list":[{"n":"+60123456789"}]}"#);
        assert_eq!(problem.errors[0].pointer, "/list/0/n");
        assert!(!problem.detail.contains("6012"), "{}", problem.detail);
    }

    #[test]
    fn a_number_where_a_text_belongs_is_not_repeated_either() {
        #[derive(Debug, Deserialize)]
        struct Body {
            #[allow(dead_code)]
            phone: String,
        }
        let problem = read::<Body>(&Bytes::from_static(br#"{"phone":60123456789}"#)).unwrap_err();
        assert!(!problem.detail.contains("6012") && problem.detail.contains("expected a string"), "{}", problem.detail);
    }

    #[test]
    fn what_is_not_json_is_malformed() {
        assert_eq!(problem("{").status, 400);
        assert_eq!(problem(r#"{"list":[]} x"#).status, 400);
    }
}
