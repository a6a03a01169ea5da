//! A row of the activity feed as a published event. What is published of each kind is named here, one by one: a kind that
//! is not named publishes that it happened and nothing else, so that nothing personal gets out by accident.

use serde_json::{Map, Value};

use super::Published;
use crate::activity::custom::CustomReport;
use crate::activity::{Content, Event, Visitor};
use crate::attempt::{Money, Seq};
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
fn place(content: &Content) -> (Option<CampaignId>, Option<Seq>) {
    match content {
        Content::LinkClicked { campaign, recipient, .. } | Content::MessageReceived { campaign, recipient, .. } => {
            (*campaign, *recipient)
        }
        Content::Custom(report) => (report.campaign, report.recipient),
        _ => (None, None),
    }
}

fn data(content: &Content) -> Map<String, Value> {
    let text = |name: &str, value: &str| Some((name.to_owned(), Value::from(value)));
    match content {
        Content::LinkClicked { link, visitor, country, region, city, referrer, .. } => {
            let link = Some(("link".to_owned(), Value::from(link.get().to_string())));
            let told = [("country", country), ("region", region), ("city", city), ("referrer", referrer)];
            let told = told.into_iter().filter_map(|(name, value)| text(name, value.as_deref()?));
            link.into_iter().chain(told).chain(of_visitor(visitor)).collect()
        }
        // A wamid holds the person's number.
        Content::MessageReceived { kind, .. } => text("kind", kind).into_iter().collect(),
        Content::MetaReported { field, kind, .. } => {
            [text("field", field), text("kind", kind)].into_iter().flatten().collect()
        }
        Content::ChatAssigned(report) => {
            let previous = report.previous.as_deref().and_then(|agent| text("previous", agent));
            [text("agent", &report.agent), previous].into_iter().flatten().collect()
        }
        Content::ChatResolved(report) => {
            let agent = report.agent.as_deref().and_then(|agent| text("agent", agent));
            let outcome = report.outcome.as_deref().and_then(|outcome| text("outcome", outcome));
            [agent, outcome].into_iter().flatten().collect()
        }
        Content::MessageSent(report) => {
            let agent = report.agent.as_deref().and_then(|agent| text("agent", agent));
            [agent, Some(("bot".to_owned(), Value::from(report.bot)))].into_iter().flatten().collect()
        }
        Content::Custom(report) => of_custom(report),
        _ => Map::new(),
    }
}

fn of_visitor(visitor: &Visitor) -> Vec<(String, Value)> {
    let texts = match visitor {
        Visitor::Human { device, os, browser, os_version, browser_version, in_app } => {
            let versions = [("os_version", os_version), ("browser_version", browser_version), ("in_app", in_app)];
            let known = versions.iter().filter_map(|(name, value)| Some((*name, value.as_deref()?)));
            let always = [("visitor", "human"), ("device", device), ("os", os), ("browser", browser)];
            always.into_iter().chain(known).collect()
        }
        Visitor::Machine { reason } => vec![("visitor", "machine"), ("reason", reason.as_str())],
    };
    texts.into_iter().map(|(name, value)| (name.to_owned(), Value::from(value))).collect()
}

/// An event in its sender's words. Its properties are what they want to be told of; its own id may be anything, and stays.
fn of_custom(report: &CustomReport) -> Map<String, Value> {
    let mut data: Map<String, Value> = report.visitor.iter().flat_map(of_visitor).collect();
    data.insert("source".to_owned(), report.source.name().into());
    data.insert("conversion".to_owned(), report.conversion.into());
    if let Some(Money { amount, currency }) = &report.value {
        data.insert("amount".to_owned(), amount.clone().into());
        data.insert("currency".to_owned(), currency.clone().into());
    }
    if let Some(country) = &report.country {
        data.insert("country".to_owned(), country.clone().into());
    }
    if !report.properties.is_empty() {
        data.insert("properties".to_owned(), report.properties.map().clone().into());
    }
    data
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
            campaign: Some("cmp_01J00000000000000000000000".parse().unwrap()),
            recipient: Some(Seq(3)),
            visitor: Visitor::Human {
                device: "mobile".into(),
                os: "Android".into(),
                browser: "Chrome".into(),
                os_version: Some("15".into()),
                browser_version: None,
                in_app: None,
            },
            country: Some("MY".into()),
            region: Some("10".into()),
            city: Some("Shah Alam".into()),
            referrer: None,
        });
        assert_eq!((&json["type"], &json["recipient"]), (&json!("link.clicked"), &json!(3)));
        assert_eq!(json["campaign"], "cmp_01J00000000000000000000000");
        assert_eq!(
            (&json["at"], &json["seen"]),
            (&json!("2026-09-21T14:13:20.000Z"), &json!("2026-09-21T14:13:20.005Z"))
        );
        let data = json!({"link": "7", "visitor": "human", "device": "mobile", "os": "Android", "browser": "Chrome",
            "os_version": "15", "country": "MY", "region": "10", "city": "Shah Alam"});
        assert_eq!(json["data"], data);
    }

    #[test]
    fn a_machines_click_says_why_it_is_taken_for_one() {
        let json = published(Content::LinkClicked {
            link: LinkId::new(7).unwrap(),
            campaign: Some("cmp_01J00000000000000000000000".parse().unwrap()),
            recipient: None,
            visitor: Visitor::Machine { reason: "preview".into() },
            country: None,
            region: None,
            city: None,
            referrer: None,
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
    fn an_event_in_its_senders_words_says_what_it_was_worth_and_what_they_tell() {
        let report = json!({
            "type": "custom", "name": "purchase", "source": "web", "own_id": SECRET, "click_id": SECRET,
            "campaign": "cmp_01J00000000000000000000000", "recipient": 3, "conversion": true,
            "value": {"amount": 49.9, "currency": "MYR"}, "visitor": "human", "device": "mobile", "os": "Android",
            "browser": "Chrome", "properties": "{\"items\":2}",
        });
        let json = published(serde_json::from_value(report).unwrap());
        assert_eq!((&json["type"], &json["recipient"]), (&json!("purchase"), &json!(3)));
        assert_eq!(
            json["data"],
            json!({"source": "web", "conversion": true, "amount": 49.9, "currency": "MYR", "visitor": "human",
                "device": "mobile", "os": "Android", "browser": "Chrome", "properties": {"items": 2}})
        );
        let sent = json!({"type": "message.sent", "agent": "kim", "wamid": SECRET});
        assert_eq!(published(serde_json::from_value(sent).unwrap())["data"], json!({"agent": "kim", "bot": false}));
    }

    #[test]
    fn what_meta_reported_says_its_field_and_what_cannot_be_read_says_only_that() {
        let json = published(Content::MetaReported { field: "account_update".into(), kind: "ban".into(), raw: raw() });
        assert_eq!(json["data"], json!({"field": "account_update", "kind": "ban"}));
        let json = published(Content::MetaQuarantined { field: "messages".into(), reason: SECRET.into(), raw: raw() });
        assert_eq!((&json["type"], json.get("data")), (&json!("meta.quarantined"), None));
    }
}
