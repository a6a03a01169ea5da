//! A row of the activity feed as a published event. What is published of each kind is named here, one by one: a kind that
//! is not named publishes that it happened and nothing else, so that nothing personal gets out by accident.

use serde_json::{Map, Value};

use super::Published;
use crate::activity::{Content, Event, Visitor};
use crate::attempt::Seq;
use crate::id::{AccountId, CampaignId, WorkspaceId};

/// The event that a row of the feed stands for. Its id is the row's.
#[must_use]
pub fn of_event(workspace: WorkspaceId, account: Option<AccountId>, event: &Event) -> Published {
    let (campaign, recipient) = place(&event.content);
    Published {
        id: event.id,
        kind: event.content.kind().to_owned(),
        at: event.at,
        seen: event.seen,
        workspace,
        account,
        contact: event.contact,
        campaign,
        recipient,
        variant: event.variant,
        data: data(&event.content),
    }
}

/// The recipient of a campaign that it concerns.
const fn place(content: &Content) -> (Option<CampaignId>, Option<Seq>) {
    match content {
        Content::LinkClicked { campaign, recipient, .. } => (Some(*campaign), *recipient),
        Content::MessageReceived { campaign, recipient, .. } => (*campaign, *recipient),
        _ => (None, None),
    }
}

fn data(content: &Content) -> Map<String, Value> {
    let text = |name: &str, value: &str| Some((name.to_owned(), Value::from(value)));
    match content {
        Content::LinkClicked { link, visitor, country, .. } => {
            let link = Some(("link".to_owned(), Value::from(link.get().to_string())));
            let country = country.as_deref().and_then(|country| text("country", country));
            let visitor = match visitor {
                Visitor::Human { device, os, browser } => {
                    vec![text("visitor", "human"), text("device", device), text("os", os), text("browser", browser)]
                }
                Visitor::Machine { reason } => vec![text("visitor", "machine"), text("reason", reason)],
            };
            [link, country].into_iter().chain(visitor).flatten().collect()
        }
        // A wamid holds the person's number.
        Content::MessageReceived { kind, .. } => text("kind", kind).into_iter().collect(),
        Content::MetaReported { field, kind, .. } => {
            [text("field", field), text("kind", kind)].into_iter().flatten().collect()
        }
        _ => Map::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::activity::{Kept, id_of};
    use crate::link::code::LinkId;
    use crate::time::UnixMillis;

    /// Stands for everything that must not get out.
    const SECRET: &str = "60123456789";

    fn published(content: Content) -> Value {
        let at = UnixMillis(1_790_000_000_000);
        let contact = Some("ctc_01J00000000000000000000000".parse().unwrap());
        let id = id_of(at, &["x"]);
        let event = Event { v: 1, id, at, seen: UnixMillis(at.0 + 5), contact, variant: None, content };
        let account = "acc_01J00000000000000000000000".parse().unwrap();
        let published = of_event(WorkspaceId::FIRST, Some(account), &event);
        assert_eq!((published.id, published.contact, published.account), (id, contact, Some(account)));
        let json = serde_json::to_value(&published).unwrap();
        assert!(!json.to_string().contains(SECRET), "{json}");
        json
    }

    fn raw() -> Kept {
        Kept::Inline(format!(r#"{{"from":"{SECRET}"}}"#))
    }

    #[test]
    fn a_persons_click_says_what_it_was_made_with() {
        let json = published(Content::LinkClicked {
            link: LinkId::new(7).unwrap(),
            campaign: "cmp_01J00000000000000000000000".parse().unwrap(),
            recipient: Some(Seq(3)),
            visitor: Visitor::Human { device: "mobile".into(), os: "Android".into(), browser: "Chrome".into() },
            country: Some("MY".into()),
        });
        assert_eq!((&json["type"], &json["recipient"]), (&json!("link.clicked"), &json!(3)));
        assert_eq!(json["campaign"], "cmp_01J00000000000000000000000");
        assert_eq!(
            (&json["at"], &json["seen"]),
            (&json!("2026-09-21T14:13:20.000Z"), &json!("2026-09-21T14:13:20.005Z"))
        );
        let data = json!({"link": "7", "visitor": "human", "device": "mobile", "os": "Android", "browser": "Chrome",
            "country": "MY"});
        assert_eq!(json["data"], data);
    }

    #[test]
    fn a_machines_click_says_why_it_is_taken_for_one() {
        let json = published(Content::LinkClicked {
            link: LinkId::new(7).unwrap(),
            campaign: "cmp_01J00000000000000000000000".parse().unwrap(),
            recipient: None,
            visitor: Visitor::Machine { reason: "preview".into() },
            country: None,
        });
        assert_eq!(json["data"], json!({"link": "7", "visitor": "machine", "reason": "preview"}));
        assert_eq!(json.get("recipient"), None);
    }

    #[test]
    fn a_message_received_says_its_kind_and_nothing_of_its_sender() {
        let json = published(Content::MessageReceived {
            wamid: format!("wamid.{SECRET}"),
            from: Some(SECRET.into()),
            kind: "text".into(),
            campaign: Some("cmp_01J00000000000000000000000".parse().unwrap()),
            recipient: Some(Seq(9)),
            detail: Box::default(),
            raw: raw(),
        });
        assert_eq!((&json["type"], &json["data"]), (&json!("message.received"), &json!({"kind": "text"})));
        assert_eq!(json["recipient"], 9);
    }

    #[test]
    fn what_meta_reported_says_its_field_and_what_cannot_be_read_says_only_that() {
        let json = published(Content::MetaReported { field: "account_update".into(), kind: "ban".into(), raw: raw() });
        assert_eq!(json["data"], json!({"field": "account_update", "kind": "ban"}));
        let json = published(Content::MetaQuarantined { field: "messages".into(), reason: SECRET.into(), raw: raw() });
        assert_eq!((&json["type"], json.get("data")), (&json!("meta.quarantined"), None));
    }
}
