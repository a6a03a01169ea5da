//! An account and a campaign for the tests of this module's parts.

use super::{Account, NumberIdentity};
use crate::campaign::{Campaign, PausedBy, Status};
use crate::id::{AccountId, WorkspaceId};
use crate::time::UnixMillis;

pub(crate) fn account() -> Account {
    let number = NumberIdentity {
        phone_number_id: "107853902081447".to_owned(),
        waba_id: "104996122399160".to_owned(),
        display_phone_number: "+1 555-078-3881".to_owned(),
    };
    let id: AccountId = "acc_01J00000000000000000000000".parse().unwrap();
    Account::new(id, WorkspaceId::FIRST, number, UnixMillis(1))
}

pub(super) fn campaign(status: Status, paused_by: Option<PausedBy>) -> Campaign {
    let json = serde_json::json!({
        "v": 1, "id": "cmp_01J00000000000000000000000", "workspace": WorkspaceId::FIRST, "account": account().id,
        "name": "Offer", "category": "marketing", "variants": [], "schedule": {}, "on_unknown": "leave", "links": [],
        "recipients": 1, "skipped": 0, "pages": 1, "shards": 1, "status": status, "paused_by": paused_by,
        "next_page": 0, "done_before": 0, "created_at": 1,
    });
    serde_json::from_value(json).unwrap()
}
