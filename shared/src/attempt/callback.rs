//! The callback data of a send: the attempt's key, which Meta echoes on every status of the message
//! (`biz_opaque_callback_data`, at most 512 characters), so that a status needs no look-up.

use super::{AttemptKey, Seq, Shard};

/// Version tag of the text below. A text with another tag is not ours, or not ours any more.
const TAG: &str = "t1";

/// The attempt's key and number as Meta shall echo them: `t1.{workspace}.{campaign}.{shard}.{seq}.{number}`.
#[must_use]
pub fn write(key: &AttemptKey, number: u16) -> String {
    let AttemptKey { workspace, campaign, shard, seq } = key;
    format!("{TAG}.{workspace}.{campaign}.{}.{}.{number}", shard.0, seq.0)
}

/// Reads what [`write()`] wrote; `None` for anything else, such as the callback data of another system on the same number.
#[must_use]
pub fn read(text: &str) -> Option<(AttemptKey, u16)> {
    let mut parts = text.split('.');
    if parts.next()? != TAG {
        return None;
    }
    let key = AttemptKey {
        workspace: parts.next()?.parse().ok()?,
        campaign: parts.next()?.parse().ok()?,
        shard: Shard(parts.next()?.parse().ok()?),
        seq: Seq(parts.next()?.parse().ok()?),
    };
    let number = parts.next()?.parse().ok()?;
    parts.next().is_none().then_some((key, number))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{CampaignId, WorkspaceId};
    use crate::time::UnixMillis;

    #[test]
    fn what_is_written_is_read_and_short() {
        let key = AttemptKey {
            workspace: WorkspaceId::FIRST,
            campaign: CampaignId::new(UnixMillis(1_790_000_000_000)),
            shard: Shard(31),
            seq: Seq(999_999),
        };
        let text = write(&key, 3);
        assert!(text.len() <= 512);
        assert_eq!(read(&text), Some((key, 3)));
    }

    #[test]
    fn foreign_callback_data_is_not_ours() {
        for text in ["", "t1", "t2.a.b.0.0.1", "order-17", "t1.wsp_x.cmp_y.0.0.1"] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
