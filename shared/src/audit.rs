//! The audit log: who has asked for which change, when, and what came of it. It names things by their ids and repeats
//! nothing of a request's body, so it may be kept when what it speaks of is erased.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::id::AuditId;
use crate::time::UnixMillis;

/// A request that changes something, or shows all that is held about a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Version of the stored shape.
    pub v: u8,
    /// Its id; its time is when the request came.
    pub id: AuditId,
    /// Who asked: the name of the key.
    pub actor: String,
    /// HTTP method.
    pub method: String,
    /// The route, such as `/v1/campaigns/{id}/start`.
    pub route: String,
    /// What the path names, by the route's names; phone numbers are left out.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub targets: BTreeMap<String, String>,
    /// HTTP status of the answer; absent while the request runs, and for good when the process died before it answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// When it was answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answered_at: Option<UnixMillis>,
}

/// Whether a value in a path is an id of ours, and so may be written down: three letters, an underscore, a ULID.
#[must_use]
pub fn is_an_id(value: &str) -> bool {
    value.split_once('_').is_some_and(|(prefix, ulid)| {
        prefix.len() == 3
            && prefix.bytes().all(|byte| byte.is_ascii_lowercase())
            && ulid.len() == 26
            && ulid.bytes().all(|byte| byte.is_ascii_alphanumeric())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_ids_are_written_down() {
        assert!(is_an_id("cmp_01J00000000000000000000000"));
        for other in ["+60123456789", "60123456789", "aisha@example.com", "cmp_", "_01J00000000000000000000000", ""] {
            assert!(!is_an_id(other), "{other}");
        }
    }

    #[test]
    fn an_entry_is_stored_in_this_shape() {
        let entry = Entry {
            v: 1,
            id: "aud_01J00000000000000000000000".parse().unwrap(),
            actor: "admin".to_owned(),
            method: "POST".to_owned(),
            route: "/v1/campaigns/{id}/start".to_owned(),
            targets: [("id".to_owned(), "cmp_01J00000000000000000000000".to_owned())].into(),
            status: Some(200),
            answered_at: Some(UnixMillis(5)),
        };
        assert_eq!(
            serde_json::to_string(&entry).unwrap(),
            r#"{"v":1,"id":"aud_01J00000000000000000000000","actor":"admin","method":"POST","route":"/v1/campaigns/{id}/start","targets":{"id":"cmp_01J00000000000000000000000"},"status":200,"answered_at":5}"#
        );
    }
}
