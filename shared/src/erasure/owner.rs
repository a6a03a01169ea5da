//! Whose a message is. The archive and what was too large for its queue are everybody's, and a person whom one workspace
//! erases or exports may have written to another as well: that workspace's messages are not touched and not shown.

use std::collections::{BTreeSet, HashSet};

use serde_json::Value;

use super::object::Said;
use crate::id::WorkspaceId;
use crate::store::{Core, StoreError};

/// The other workspaces, as far as some messages came in for them.
pub(super) struct Others {
    workspace: WorkspaceId,
    /// Meta's ids of their numbers.
    numbers: HashSet<String>,
}

/// A change of a notification that was set aside, with its entry and its place within that.
pub(super) type Aside = (usize, usize, Value);

impl Others {
    /// All but this workspace; these numbers are theirs.
    pub(super) fn new(workspace: WorkspaceId, numbers: impl IntoIterator<Item = String>) -> Self {
        Self { workspace, numbers: numbers.into_iter().collect() }
    }

    /// Asks whose the numbers are that these messages came in for.
    pub(super) async fn of<'a>(
        core: &Core,
        workspace: WorkspaceId,
        messages: impl IntoIterator<Item = &'a Said>,
    ) -> Result<Self, StoreError> {
        let documents = messages.into_iter().filter_map(|said| match said {
            Said::Here(document) => Some(document),
            Said::Nothing | Said::Somewhere => None,
        });
        let asked: BTreeSet<&str> = documents.flat_map(changes).filter_map(number_of).collect();
        let mut numbers = Vec::new();
        for number in asked {
            let owner = core.account_of_number(number).await?;
            if owner.is_some_and(|(owner, _)| owner != workspace) {
                numbers.push(number.to_owned());
            }
        }
        Ok(Self::new(workspace, numbers))
    }

    /// Whether a message says itself that it is one of theirs.
    pub(super) fn have(&self, message: &Value) -> bool {
        let owner = message["workspace"].as_str().and_then(|owner| owner.parse::<WorkspaceId>().ok());
        owner.is_some_and(|owner| owner != self.workspace)
    }

    /// Takes their changes out of a notification, which may be for several; null stays in their places.
    pub(super) fn set_aside(&self, notification: &mut Value) -> Vec<Aside> {
        let mut aside = Vec::new();
        let entries = notification.get_mut("entry").and_then(Value::as_array_mut).into_iter().flatten();
        for (entry_at, entry) in entries.enumerate() {
            let changes = entry.get_mut("changes").and_then(Value::as_array_mut).into_iter().flatten();
            for (change_at, change) in changes.enumerate() {
                if number_of(change).is_some_and(|number| self.numbers.contains(number)) {
                    aside.push((entry_at, change_at, change.take()));
                }
            }
        }
        aside
    }
}

/// Puts changes back where they were.
pub(super) fn put_back(notification: &mut Value, aside: Vec<Aside>) {
    for (entry, change, value) in aside {
        if let Some(place) = notification.pointer_mut(&format!("/entry/{entry}/changes/{change}")) {
            *place = value;
        }
    }
}

fn changes(notification: &Value) -> impl Iterator<Item = &Value> {
    let entries = notification["entry"].as_array().into_iter().flatten();
    entries.flat_map(|entry| entry["changes"].as_array().into_iter().flatten())
}

fn number_of(change: &Value) -> Option<&str> {
    change["value"]["metadata"]["phone_number_id"].as_str()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::time::UnixMillis;

    #[test]
    fn changes_of_others_are_set_aside_and_come_back_to_their_places() {
        let change = |number: &str| json!({"value": {"metadata": {"phone_number_id": number}}});
        let whole = json!({"entry": [{"changes": [change("1"), change("2")]}, {"changes": [change("2"), {}]}, {}]});
        let others = Others::new(WorkspaceId::FIRST, ["2".to_owned()]);
        let mut notification = whole.clone();
        let aside = others.set_aside(&mut notification);
        let ours = json!({"entry": [{"changes": [change("1"), null]}, {"changes": [null, {}]}, {}]});
        assert_eq!((notification.clone(), aside.len()), (ours, 2));
        put_back(&mut notification, aside);
        assert_eq!(notification, whole);
    }

    #[test]
    fn a_message_that_says_whose_it_is_belongs_to_nobody_else() {
        let others = Others::new(WorkspaceId::FIRST, []);
        assert!(others.have(&json!({"workspace": WorkspaceId::new(UnixMillis(1))})));
        for ours_or_nobodys in [json!({"workspace": WorkspaceId::FIRST}), json!({"workspace": "?"}), json!({})] {
            assert!(!others.have(&ours_or_nobodys), "{ours_or_nobodys}");
        }
    }
}
