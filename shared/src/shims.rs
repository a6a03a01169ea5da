//! TEMPORARY
#![allow(missing_docs)]
use crate::account::Account;
use crate::campaign::message::{Message, Template};
use crate::id::{AccountId, WorkspaceId};
use crate::local_time::{LocalTime, QuietHours};
use crate::phone::PhoneNumber;
use crate::store::{Core, StoreError};
use crate::time::UnixMillis;
impl Account {
    pub fn effective_rate(&self) -> (u32, Option<String>) {
        (self.messages_per_second, None)
    }
}
pub struct T;
impl T {
    pub fn may_be_sent(&self) -> bool {
        true
    }
}
impl Core {
    pub async fn opt_out(&self, _: WorkspaceId, _: &str, _: &str, _: UnixMillis) -> Result<(), StoreError> {
        Ok(())
    }
    pub async fn halt_account(
        &self,
        _: WorkspaceId,
        _: AccountId,
        _: &str,
        _: Option<UnixMillis>,
        _: UnixMillis,
    ) -> Result<(), StoreError> {
        Ok(())
    }
    pub async fn resume_if_due(&self, _: WorkspaceId, _: AccountId, _: UnixMillis) -> Result<bool, StoreError> {
        Ok(false)
    }
    pub async fn template(&self, _: WorkspaceId, _: &str, _: &str, _: &str) -> Result<Option<T>, StoreError> {
        Ok(None)
    }
}
impl Message {
    pub fn template(&self) -> Option<&Template> {
        match self {
            Self::Template { template } => Some(template),
            _ => None,
        }
    }
}
pub fn zones_of(_: &PhoneNumber) -> &'static [u8] {
    &[]
}
pub fn quiet_until(_: &QuietHours, _: &[u8], _: UnixMillis) -> Option<UnixMillis> {
    None
}
pub fn at_local_time(_: LocalTime, _: &[u8], b: UnixMillis) -> UnixMillis {
    b
}
