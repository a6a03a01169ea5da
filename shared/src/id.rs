//! The identifiers that leave the process: prefixed ULIDs such as `cmp_01J…`, each its own type, checked on entry.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use ulid::Ulid;

use crate::time::UnixMillis;

/// A text that is not the identifier it was taken for.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("expected an id of the form {prefix}_ followed by 26 characters of Crockford base-32")]
pub struct MalformedId {
    /// The prefix that the id should have carried, without the underscore.
    pub prefix: &'static str,
}

/// A fresh ULID whose time part is `now`; the rest is random.
#[must_use]
pub fn ulid_at(now: UnixMillis) -> Ulid {
    Ulid::from_parts(now.0.max(0).unsigned_abs(), rand::random())
}

macro_rules! prefixed_id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Ulid);

        impl $name {
            /// What the id starts with, without the underscore.
            pub const PREFIX: &'static str = $prefix;

            /// A fresh id; ids made later sort later.
            #[must_use]
            pub fn new(now: UnixMillis) -> Self {
                Self(ulid_at(now))
            }

            /// The id with this ULID.
            #[must_use]
            pub const fn from_ulid(ulid: Ulid) -> Self {
                Self(ulid)
            }

            /// The ULID behind the prefix.
            #[must_use]
            pub const fn ulid(self) -> Ulid {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "_{}"), self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = MalformedId;

            fn from_str(text: &str) -> Result<Self, MalformedId> {
                text.strip_prefix(concat!($prefix, "_"))
                    .filter(|rest| rest.len() == 26)
                    .and_then(|rest| Ulid::from_string(rest).ok())
                    .map(Self)
                    .ok_or(MalformedId { prefix: $prefix })
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'_, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

prefixed_id!(
    /// A workspace: the tenant that owns everything below it.
    WorkspaceId,
    "wsp"
);
prefixed_id!(
    /// A business phone number connected to the Cloud API.
    AccountId,
    "acc"
);
prefixed_id!(
    /// An entry of the audit log.
    AuditId,
    "aud"
);
prefixed_id!(
    /// The erasure of a person.
    ErasureId,
    "ers"
);
prefixed_id!(
    /// The export of what is held about a person.
    ExportId,
    "exp"
);
prefixed_id!(
    /// A campaign.
    CampaignId,
    "cmp"
);
prefixed_id!(
    /// An immutable event of the activity feed.
    EventId,
    "evt"
);
prefixed_id!(
    /// A session of a person; see [`crate::journey::sessions`].
    SessionId,
    "ses"
);
prefixed_id!(
    /// A contact: a person, under whatever number or name they are known.
    ContactId,
    "ctc"
);
prefixed_id!(
    /// An import of contacts.
    ImportId,
    "imp"
);
prefixed_id!(
    /// A file that messages carry.
    MediaId,
    "med"
);
prefixed_id!(
    /// A file that is on its way into the bucket.
    UploadId,
    "upl"
);
prefixed_id!(
    /// A publishable key with which web pages report events; the id is the key.
    WriteKeyId,
    "wk"
);
prefixed_id!(
    /// A tracked link as the API names it; what is in it is said in [`crate::link`].
    TrackedLinkId,
    "lnk"
);
prefixed_id!(
    /// A subscription to events, which are posted to an address.
    WebhookId,
    "whk"
);
prefixed_id!(
    /// One event on its way to one subscription: what receivers get as `webhook-id`.
    DeliveryId,
    "dlv"
);
prefixed_id!(
    /// Some deliveries of one subscription that are posted together.
    ParcelId,
    "pcl"
);

impl WorkspaceId {
    /// The workspace that every deployment starts with.
    pub const FIRST: Self = Self(Ulid::from_parts(0, 1));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_survives_its_text_form() {
        let id = CampaignId::new(UnixMillis(1_790_000_000_000));
        assert_eq!(id.to_string().parse::<CampaignId>().unwrap(), id);
        assert!(id.to_string().starts_with("cmp_01"));
    }

    #[test]
    fn another_kind_of_id_is_refused() {
        let account = AccountId::new(UnixMillis(1_790_000_000_000)).to_string();
        assert_eq!(account.parse::<CampaignId>(), Err(MalformedId { prefix: "cmp" }));
        assert!("cmp_".parse::<CampaignId>().is_err());
        assert!("cmp_01J".parse::<CampaignId>().is_err());
    }

    #[test]
    fn later_ids_sort_later() {
        let early = CampaignId::new(UnixMillis(1_000));
        let late = CampaignId::new(UnixMillis(2_000));
        assert!(early.to_string() < late.to_string());
    }
}
