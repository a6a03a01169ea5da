//! Events of Groups-API groups (`value.groups[]` of the four `group_*` fields). Source: Meta, *Groups API webhooks*.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::object::{Fault, Object};
use super::{Event, MetaError, Redacted, UnknownEvent};

/// A group was created or deleted, or could not be: the outcome of an API call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupLifecycle {
    /// Created or deleted.
    pub action: GroupAction,
    /// When, in seconds since 1970.
    pub timestamp_s: i64,
    /// The group; absent if it could not be created.
    pub group_id: Option<String>,
    /// What the API call returned.
    pub request_id: Option<String>,
    /// The group's name.
    pub subject: Option<Redacted<String>>,
    /// Where people join it.
    pub invite_link: Option<Redacted<String>>,
    /// `approval_required` or `auto_approve`.
    pub join_approval_mode: Option<String>,
    /// Why it failed; empty if it did not.
    pub errors: Vec<MetaError>,
}

/// What was to be done with a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GroupAction {
    /// Create it.
    Create,
    /// Delete it.
    Delete,
}

/// Members came or went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupParticipants {
    /// The group.
    pub group_id: Option<String>,
    /// When, in seconds since 1970.
    pub timestamp_s: i64,
    /// Who came.
    pub added: Vec<Participant>,
    /// Who went.
    pub removed: Vec<Participant>,
    /// Who could not be removed, and why.
    pub failed: Vec<Participant>,
    /// How they came (`invite_link`).
    pub reason: Option<String>,
    /// `business` or `participant`.
    pub initiated_by: Option<String>,
    /// What the API call returned.
    pub request_id: Option<String>,
    /// Why the whole call failed.
    pub errors: Vec<MetaError>,
}

/// A member of a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Participant {
    /// The number as given in the API call.
    pub input: Option<Redacted<String>>,
    /// Phone digits.
    pub wa_id: Option<Redacted<String>>,
    /// Business-scoped user id.
    pub user_id: Option<Redacted<String>>,
    /// Why nothing was done about this one.
    pub errors: Vec<MetaError>,
}

/// Somebody asked to join, or took the request back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupJoinRequest {
    /// The request's id.
    pub join_request_id: String,
    /// Taken back.
    pub revoked: bool,
    /// The group.
    pub group_id: Option<String>,
    /// When, in seconds since 1970.
    pub timestamp_s: i64,
    /// Who.
    pub wa_id: Option<Redacted<String>>,
    /// Who, by user id.
    pub user_id: Option<Redacted<String>>,
}

/// The outcome of changing a group's picture, name or description.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupSettings {
    /// The group.
    pub group_id: Option<String>,
    /// When, in seconds since 1970.
    pub timestamp_s: i64,
    /// What the API call returned.
    pub request_id: Option<String>,
    /// The outcome for the picture, if it was to change.
    pub profile_picture: Option<SettingOutcome>,
    /// The outcome for the name.
    pub subject: Option<SettingOutcome>,
    /// The outcome for the description.
    pub description: Option<SettingOutcome>,
    /// Why the whole call failed.
    pub errors: Vec<MetaError>,
}

/// Whether one setting was changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettingOutcome {
    /// True if it was.
    pub successful: bool,
    /// Why not.
    pub errors: Vec<MetaError>,
}

/// A group was suspended, or is no longer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupStatus {
    /// The group.
    pub group_id: String,
    /// Suspended now.
    pub suspended: bool,
    /// When, in seconds since 1970.
    pub timestamp_s: i64,
}

/// One of `value.groups[]`; its own `type` decides, whatever the field is called.
pub(super) fn read_group(object: &Object<'_>, raw: &RawValue) -> Result<Event, Fault> {
    let kind: String = object.required_text("type")?;
    match kind.as_str() {
        "group_create" => lifecycle(object, GroupAction::Create),
        "group_delete" => lifecycle(object, GroupAction::Delete),
        "group_participants_add" | "group_participants_remove" => participants(object),
        "group_join_request_created" => join_request(object, false),
        "group_join_request_revoked" => join_request(object, true),
        "group_settings_update" => settings(object),
        "group_suspend" => status(object, true),
        "group_suspend_cleared" => status(object, false),
        _ => Ok(Event::Unknown(UnknownEvent::of_type(kind, raw))),
    }
}

fn lifecycle(object: &Object<'_>, action: GroupAction) -> Result<Event, Fault> {
    Ok(Event::GroupLifecycle(Box::new(GroupLifecycle {
        action,
        timestamp_s: object.required_timestamp("timestamp")?,
        group_id: object.text("group_id"),
        request_id: object.text("request_id"),
        subject: object.text("subject"),
        invite_link: object.text("invite_link"),
        join_approval_mode: object.text("join_approval_mode"),
        errors: MetaError::read_all(object),
    })))
}

fn participants(object: &Object<'_>) -> Result<Event, Fault> {
    let list = |key| object.objects(key).iter().map(read_participant).collect();
    Ok(Event::GroupParticipants(Box::new(GroupParticipants {
        group_id: object.text("group_id"),
        timestamp_s: object.required_timestamp("timestamp")?,
        added: list("added_participants"),
        removed: list("removed_participants"),
        failed: list("failed_participants"),
        reason: object.text("reason"),
        initiated_by: object.text("initiated_by"),
        request_id: object.text("request_id"),
        errors: MetaError::read_all(object),
    })))
}

fn read_participant(object: &Object<'_>) -> Participant {
    Participant {
        input: object.text("input"),
        wa_id: object.text("wa_id"),
        user_id: object.text("user_id"),
        errors: MetaError::read_all(object),
    }
}

fn join_request(object: &Object<'_>, revoked: bool) -> Result<Event, Fault> {
    Ok(Event::GroupJoinRequest(Box::new(GroupJoinRequest {
        join_request_id: object.required_text("join_request_id")?,
        revoked,
        group_id: object.text("group_id"),
        timestamp_s: object.required_timestamp("timestamp")?,
        wa_id: object.text("wa_id"),
        user_id: object.text("user_id"),
    })))
}

fn settings(object: &Object<'_>) -> Result<Event, Fault> {
    let outcome = |key| {
        let setting = object.object(key)?;
        Some(SettingOutcome {
            successful: setting.flag("update_successful").unwrap_or(false),
            errors: MetaError::read_all(&setting),
        })
    };
    Ok(Event::GroupSettings(Box::new(GroupSettings {
        group_id: object.text("group_id"),
        timestamp_s: object.required_timestamp("timestamp")?,
        request_id: object.text("request_id"),
        profile_picture: outcome("profile_picture"),
        subject: outcome("group_subject"),
        description: outcome("group_description"),
        errors: MetaError::read_all(object),
    })))
}

fn status(object: &Object<'_>, suspended: bool) -> Result<Event, Fault> {
    Ok(Event::GroupStatus(GroupStatus {
        group_id: object.required_text("group_id")?,
        suspended,
        timestamp_s: object.required_timestamp("timestamp")?,
    }))
}
