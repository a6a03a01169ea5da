//! One event on its way to one subscription: what is posted, what became of each try, and where it ends.

use serde::{Deserialize, Serialize};

use super::Webhook;
use super::ladder::Tries;
use crate::activity::id_of;
use crate::id::{DeliveryId, EventId, WebhookId, WorkspaceId};
use crate::published::Published;
use crate::time::{UnixMillis, rfc3339};

/// How long a delivery can be looked at and replayed.
pub const KEPT_FOR: std::time::Duration = std::time::Duration::from_secs(30 * 24 * 3_600);

/// Largest body that is posted; of a larger event the `data` is left out. A row has 400 KB (DynamoDB), and what receives
/// webhooks often takes no more than this.
pub const MAX_BODY_BYTES: usize = 256 * 1_024;

/// Tries that are kept: two rounds of ten and some.
pub const MAX_ATTEMPTS: usize = 30;

/// As much of an answer is kept, in bytes.
pub const MAX_RESPONSE_BYTES: usize = 256;

/// Partitions a day of a subscription's deliveries is listed in.
pub const LIST_SHARDS: u8 = 4;

/// Where a delivery stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It was not tried yet, or is going to be tried again.
    Pending,
    /// The endpoint has answered 2xx.
    Succeeded,
    /// It was given up before its last try: the subscription was switched off.
    Failed,
    /// The last try has failed.
    Exhausted,
}

/// Why a try has failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Failure {
    /// The endpoint answered with something else than 2xx.
    Status,
    /// It answered with a redirect, which is not followed.
    Redirect,
    /// No answer in time.
    Timeout,
    /// No connection, or no TLS.
    Connection,
    /// The connection broke before the answer.
    Interrupted,
    /// The URL, or an address of its host, must not be called.
    AddressNotAllowed,
    /// The signing secret is gone: rotate it.
    NoSecret,
}

/// One try.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// When it began.
    #[serde(with = "rfc3339")]
    pub at: UnixMillis,
    /// How long it took.
    pub duration_ms: u32,
    /// HTTP status of the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Why it has failed; absent when it succeeded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Failure>,
    /// How the answer begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response: Option<String>,
}

impl std::fmt::Debug for Attempt {
    /// An answer may hold anything, so it is not shown.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Attempt({:?} {:?})", self.status, self.error)
    }
}

/// A delivery as it is stored.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// Version of the stored shape.
    pub v: u8,
    /// Follows from the event and the subscription, so an event that comes again is the same delivery.
    pub id: DeliveryId,
    /// Whose.
    pub workspace: WorkspaceId,
    /// The subscription.
    pub webhook: WebhookId,
    /// The event.
    pub event: EventId,
    /// Its type.
    pub kind: String,
    /// What is posted, to the byte.
    pub body: String,
    /// Where it stands.
    pub status: Status,
    /// Why it was given up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Grows with each replay; a worker of an earlier round changes nothing.
    pub round: u32,
    /// Tries in this round.
    pub tries: u32,
    /// When it was recorded, or this round began.
    pub since: UnixMillis,
    /// Not tried again before then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_at: Option<UnixMillis>,
    /// When it was recorded.
    pub created_at: UnixMillis,
    /// When it came to its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settled_at: Option<UnixMillis>,
    /// The tries, oldest first.
    #[serde(default)]
    pub attempts: Vec<Attempt>,
    /// Seconds since the epoch after which the row is deleted.
    pub expires_at: i64,
}

impl std::fmt::Debug for Delivery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Delivery({} {:?})", self.id, self.status)
    }
}

/// What receivers get.
#[derive(Serialize)]
struct Payload<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    #[serde(with = "rfc3339")]
    timestamp: UnixMillis,
    data: &'a Published,
}

impl Delivery {
    /// The delivery of an event to a subscription.
    ///
    /// # Errors
    /// When the event cannot be written as JSON.
    pub fn new(webhook: &Webhook, event: &Published, now: UnixMillis) -> Result<Self, serde_json::Error> {
        let mut body = body(event)?;
        if body.len() > MAX_BODY_BYTES {
            let mut short = event.clone();
            short.data = serde_json::Map::from_iter([("omitted".to_owned(), "larger than 256 KiB".into())]);
            body = self::body(&short)?;
        }
        Ok(Self {
            v: 1,
            id: id(event.id, webhook.id),
            workspace: webhook.workspace,
            webhook: webhook.id,
            event: event.id,
            kind: event.kind.clone(),
            body,
            status: Status::Pending,
            reason: None,
            round: 0,
            tries: 0,
            since: now,
            next_at: None,
            created_at: now,
            settled_at: None,
            attempts: Vec::new(),
            expires_at: now.plus(KEPT_FOR).seconds(),
        })
    }

    /// The tries of this round.
    #[must_use]
    pub const fn tries(&self) -> Tries {
        Tries { made: self.tries, since: self.since }
    }

    /// Whether it still waits for its first try: nothing may be known of it but its row.
    #[must_use]
    pub fn is_untried(&self) -> bool {
        self.status == Status::Pending && self.tries == 0
    }
}

fn body(event: &Published) -> Result<String, serde_json::Error> {
    serde_json::to_string(&Payload { kind: &event.kind, timestamp: event.at, data: event })
}

/// The id of an event's delivery to a subscription; its time is the event's.
#[must_use]
pub fn id(event: EventId, webhook: WebhookId) -> DeliveryId {
    let at = UnixMillis(i64::try_from(event.ulid().timestamp_ms()).unwrap_or(i64::MAX));
    DeliveryId::from_ulid(id_of(at, &["delivery", &event.to_string(), &webhook.to_string()]).ulid())
}

/// In which part of a day's list a delivery is.
#[must_use]
pub fn list_shard(id: DeliveryId) -> u8 {
    u8::try_from(id.ulid().random() % u128::from(LIST_SHARDS)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::subscription::tests::{event, webhook};

    #[test]
    fn the_body_has_the_three_members_of_the_specification() {
        let now = UnixMillis(1_790_000_000_500);
        let delivery = Delivery::new(&webhook(&["*"]), &event("message.read"), now).unwrap();
        let body: serde_json::Value = serde_json::from_str(&delivery.body).unwrap();
        let expected = json!({
            "type": "message.read",
            "timestamp": "2026-09-21T14:13:20.000Z",
            "data": {
                "id": event("message.read").id, "type": "message.read", "at": "2026-09-21T14:13:20.000Z",
                "seen": "2026-09-21T14:13:20.000Z", "workspace": WorkspaceId::FIRST,
                "account": "acc_01J00000000000000000000000", "campaign": "cmp_01J00000000000000000000000",
            },
        });
        assert_eq!(body, expected);
    }

    #[test]
    fn an_event_that_comes_again_is_the_same_delivery_and_another_subscription_another() {
        let (event, other) = (event("message.read").id, "whk_01J00000000000000000000001".parse().unwrap());
        let id_of = |webhook| id(event, webhook);
        assert_eq!(id_of(webhook(&["*"]).id), id_of(webhook(&["link.*"]).id));
        assert_ne!(id_of(webhook(&["*"]).id), id_of(other));
        assert_eq!(id_of(other).ulid().timestamp_ms(), 1_790_000_000_000);
    }

    #[test]
    fn an_event_that_is_too_large_goes_without_its_data() {
        let mut large = event("import.done");
        large.data.insert("text".to_owned(), "x".repeat(MAX_BODY_BYTES).into());
        let delivery = Delivery::new(&webhook(&["*"]), &large, UnixMillis(1)).unwrap();
        assert!(delivery.body.len() < 1_000);
        let body: serde_json::Value = serde_json::from_str(&delivery.body).unwrap();
        assert_eq!(body["data"]["data"], json!({"omitted": "larger than 256 KiB"}));
    }

    #[test]
    fn a_stored_delivery_keeps_its_shape() {
        let mut delivery = Delivery::new(&webhook(&["*"]), &event("message.read"), UnixMillis(1_000)).unwrap();
        delivery.body = "{}".to_owned();
        delivery.attempts = vec![Attempt {
            at: UnixMillis(1_500),
            duration_ms: 20,
            status: Some(503),
            error: Some(Failure::Status),
            response: Some("busy".to_owned()),
        }];
        let stored = json!({
            "v": 1, "id": delivery.id, "workspace": WorkspaceId::FIRST, "webhook": delivery.webhook, "event": delivery.event,
            "kind": "message.read", "body": "{}", "status": "pending", "round": 0, "tries": 0, "since": 1_000,
            "created_at": 1_000, "expires_at": 2_592_001,
            "attempts": [{"at": "1970-01-01T00:00:01.500Z", "duration_ms": 20, "status": 503, "error": "status", "response": "busy"}],
        });
        assert_eq!(serde_json::to_value(&delivery).unwrap(), stored);
        assert_eq!(serde_json::from_value::<Delivery>(stored).unwrap(), delivery);
    }
}
