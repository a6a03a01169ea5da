//! Accounts, the routes from Meta's ids to them, and their templates.

use super::{DUE_PK, Key};
use crate::id::{AccountId, WorkspaceId};

/// An account.
#[must_use]
pub fn account(workspace: WorkspaceId, account: AccountId) -> Key {
    Key::new(format!("WS#{workspace}#ACCOUNT#{account}"), "ACCOUNT")
}

/// An account's rate.
#[must_use]
pub fn throttle(workspace: WorkspaceId, account: AccountId) -> Key {
    Key::new(format!("WS#{workspace}#ACCOUNT#{account}"), "THROTTLE")
}

/// What a business portfolio has used of Meta's messaging limit.
#[must_use]
pub fn portfolio(workspace: WorkspaceId, name: &str) -> Key {
    Key::new(format!("WS#{workspace}#PORTFOLIO#{name}"), "PORTFOLIO")
}

/// Which account Meta's number id belongs to.
#[must_use]
pub fn number_route(phone_number_id: &str) -> Key {
    Key::new(format!("ROUTE#PHONE_NUMBER#{phone_number_id}"), "ROUTE")
}

/// Partition of the accounts whose numbers belong to a WhatsApp Business Account: some webhooks name nothing else.
#[must_use]
pub fn waba_route_pk(waba_id: &str) -> String {
    format!("ROUTE#WABA#{waba_id}")
}

/// One of them.
#[must_use]
pub fn waba_route(waba_id: &str, account: AccountId) -> Key {
    Key::new(waba_route_pk(waba_id), account.to_string())
}

/// Partition of the templates of a WhatsApp Business Account, as this workspace knows them.
#[must_use]
pub fn waba_pk(workspace: WorkspaceId, waba_id: &str) -> String {
    format!("WS#{workspace}#WABA#{waba_id}")
}

/// What a template's sort key starts with.
pub const TEMPLATE_PREFIX: &str = "TEMPLATE#";

/// A template in one language.
#[must_use]
pub fn template(workspace: WorkspaceId, waba_id: &str, name: &str, language: &str) -> Key {
    Key::new(waba_pk(workspace, waba_id), format!("{TEMPLATE_PREFIX}{name}#{language}"))
}

/// When the templates of a WhatsApp Business Account were last read from Meta.
#[must_use]
pub fn template_list(workspace: WorkspaceId, waba_id: &str) -> Key {
    Key::new(waba_pk(workspace, waba_id), "TEMPLATES_READ")
}

/// A workspace's accounts in the index of lists.
#[must_use]
pub fn account_list(workspace: WorkspaceId) -> String {
    format!("WS#{workspace}#ACCOUNTS")
}

/// What the sort key of an account in the watchdog's list starts with.
pub const DUE_ACCOUNT_PREFIX: &str = "ACCOUNT#";

/// An account in the watchdog's list: it is probed.
#[must_use]
pub fn probed(account: AccountId) -> Key {
    Key::new(DUE_PK, format!("{DUE_ACCOUNT_PREFIX}{account}"))
}

/// What the probes of an account found on a day.
#[must_use]
pub fn probes(workspace: WorkspaceId, account: AccountId, date: &str) -> Key {
    Key::new(self::account(workspace, account).pk, format!("PROBES#{date}"))
}
