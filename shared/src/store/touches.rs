//! Touches: which campaigns have written to a number, so that a reply finds its message. One write a message.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Core, StoreError, keys, number, read, unavailable, write};
use crate::attempt::{AttemptKey, Seq, Shard};
use crate::campaign::Campaign;
use crate::id::{AccountId, CampaignId, WorkspaceId};
use crate::phone::{PhoneNumber, wa_id_variants};
use crate::retention::Kind;
use crate::safety::Earlier;
use crate::time::UnixMillis;

/// The latest messages to a person that are looked at for the rules; far above any sensible frequency cap.
const LATEST: usize = 100;

/// A campaign's message to a number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Touch {
    /// Version of the stored shape.
    pub v: u8,
    /// The campaign.
    pub campaign: CampaignId,
    /// The account it was sent from.
    pub account: AccountId,
    /// The attempt's partition.
    pub shard: Shard,
    /// The recipient's position.
    pub seq: Seq,
    /// When the message was to leave.
    pub at: UnixMillis,
    /// Names what was sent, for rules about repeats; see [`crate::safety`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<u64>,
}

impl Touch {
    /// The attempt it tells of.
    #[must_use]
    pub const fn attempt(&self, workspace: WorkspaceId) -> AttemptKey {
        AttemptKey { workspace, campaign: self.campaign, shard: self.shard, seq: self.seq }
    }
}

impl Core {
    /// Notes that a message is about to go to this number. A repeat writes the same.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn touch(&self, workspace: WorkspaceId, digits: &str, touch: &Touch) -> Result<(), StoreError> {
        let mut item = write("touch", keys::touch(workspace, digits, touch.campaign), touch)?;
        item.extend(self.expiry(Kind::Attempts, touch.at));
        self.client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(item))
            .send()
            .await
            .map(|_| ())
            .map_err(|error| unavailable("PutItem", &error))
    }

    /// Takes a touch back: its message certainly never left. The touch of a later try stays.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn untouch(
        &self,
        workspace: WorkspaceId,
        digits: &str,
        campaign: CampaignId,
        at: UnixMillis,
    ) -> Result<(), StoreError> {
        let deleted = self
            .client
            .delete_item()
            .table_name(&self.table)
            .set_key(Some(keys::touch(workspace, digits, campaign).item()))
            .condition_expression("#at = :at")
            .expression_attribute_names("#at", "at")
            .expression_attribute_values(":at", number(at.0))
            .send()
            .await;
        match deleted {
            Ok(_) => Ok(()),
            Err(error) if error.as_service_error().is_some_and(|e| e.is_conditional_check_failed_exception()) => Ok(()),
            Err(error) => Err(unavailable("DeleteItem", &error)),
        }
    }

    /// The latest campaigns that wrote to this number, at most `limit`, newest campaign first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn touches(&self, workspace: WorkspaceId, digits: &str, limit: usize) -> Result<Vec<Touch>, StoreError> {
        let pk = keys::phone_alias_pk(workspace, digits);
        let items = self.query(&pk, keys::TOUCH_PREFIX, None, Some(limit), false).await?;
        items.into_iter().map(|item| read("touch", item)).collect()
    }

    /// What other campaigns of the account have sent to this number in the time that the rules look back
    /// ([`Safety::looks_back`](crate::safety::Safety::looks_back)), in whatever form the number was written.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn earlier_messages(
        &self,
        workspace: WorkspaceId,
        account: AccountId,
        but: CampaignId,
        digits: &str,
        look_back: Duration,
        now: UnixMillis,
    ) -> Result<Vec<Earlier>, StoreError> {
        let mut earlier = Vec::new();
        if look_back.is_zero() {
            return Ok(earlier);
        }
        for digits in wa_id_variants(digits) {
            for touch in self.touches(workspace, &digits, LATEST).await? {
                if touch.campaign != but && touch.account == account && now.since(touch.at) <= look_back {
                    earlier.push(Earlier { at: touch.at, content: touch.content.unwrap_or_default() });
                }
            }
        }
        Ok(earlier)
    }

    /// The message of one campaign to this number.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn touch_of(
        &self,
        workspace: WorkspaceId,
        digits: &str,
        campaign: CampaignId,
    ) -> Result<Option<Touch>, StoreError> {
        self.get("touch", keys::touch(workspace, digits, campaign)).await
    }

    /// Where the attempt of a recipient lies who is named by their number, in any form people write it; `None` when the
    /// campaign has not written to it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn recipient_key(&self, campaign: &Campaign, phone: &str) -> Result<Option<AttemptKey>, StoreError> {
        let Ok(phone) = phone.parse::<PhoneNumber>() else {
            return Ok(None);
        };
        for digits in wa_id_variants(phone.digits()) {
            if let Some(touch) = self.touch_of(campaign.workspace, &digits, campaign.id).await? {
                return Ok(Some(touch.attempt(campaign.workspace)));
            }
        }
        Ok(None)
    }
}
