//! Our copy of a template follows Meta's news in whatever order they come.

use serde_json::{Value, json};
use shared::meta::webhook::{TemplateComponentsUpdate, TemplateRef};
use shared::template::{FetchedTemplate, StoredTemplate, TemplateChange, TemplateStatus};
use shared::time::UnixMillis;

use crate::{NOW, Tables, WORKSPACE, at_once};

const WABA: &str = "104996122399160";
const ID: (&str, &str, &str) = ("offer", "en_US", "4711");

fn at(second: i64) -> UnixMillis {
    UnixMillis(NOW.0 + second * 1_000)
}

fn status(status: TemplateStatus) -> TemplateChange {
    TemplateChange::Status { status, title: None, description: None, rejected_reason: None }
}

fn fetched(status: TemplateStatus, text: &str) -> FetchedTemplate {
    FetchedTemplate {
        meta_id: "4711".to_owned(),
        name: "offer".to_owned(),
        language: "en_US".to_owned(),
        status,
        category: Some("MARKETING".to_owned()),
        quality: Some("GREEN".to_owned()),
        parameter_format: Some("POSITIONAL".to_owned()),
        components: vec![json!({"type": "BODY", "text": text, "example": {"body_text": [["Ana"]]}})],
        rejected_reason: None,
    }
}

async fn news(tables: &Tables, change: &TemplateChange, second: i64) -> bool {
    tables.core.change_template(WORKSPACE, WABA, ID, change, at(second)).await.unwrap()
}

async fn keep(tables: &Tables, template: &FetchedTemplate, second: i64) {
    tables.core.keep_template(WORKSPACE, WABA, template, at(second)).await.unwrap();
}

async fn stored(tables: &Tables) -> StoredTemplate {
    tables.core.template(WORKSPACE, WABA, "offer", "en-US").await.unwrap().unwrap()
}

#[tokio::test]
async fn older_news_change_nothing_and_a_repeat_neither() {
    let tables = Tables::new().await;
    assert!(news(&tables, &status(TemplateStatus::Approved), 10).await);
    assert!(!news(&tables, &status(TemplateStatus::Paused), 5).await, "the pause was before the approval");
    assert!(news(&tables, &status(TemplateStatus::Approved), 10).await);
    assert_eq!(stored(&tables).await.status, TemplateStatus::Approved);
    // News of one part say nothing about another.
    assert!(news(&tables, &TemplateChange::Quality("RED".to_owned()), 3).await);
    assert!(!news(&tables, &TemplateChange::Quality("GREEN".to_owned()), 2).await);
    let next = TemplateChange::Category { current: Some("UTILITY".to_owned()), next: Some("MARKETING".to_owned()) };
    assert!(news(&tables, &next, 4).await);
    assert!(news(&tables, &TemplateChange::Category { current: Some("MARKETING".to_owned()), next: None }, 6).await);
    let now = stored(&tables).await;
    assert_eq!(
        (now.quality.as_deref(), now.category.as_deref(), now.next_category),
        (Some("RED"), Some("MARKETING"), None)
    );
    assert_eq!(now.components, None, "nobody has read them yet");
}

#[tokio::test]
async fn the_same_news_in_any_order_end_in_the_same_row() {
    let changes = [
        (status(TemplateStatus::Approved), 1),
        (status(TemplateStatus::Paused), 2),
        (status(TemplateStatus::Approved), 3),
    ];
    for rotated in 0..3 {
        let tables = Tables::new().await;
        at_once(6, |i| {
            let core = tables.another_core();
            let (change, second) = changes[(i + rotated) % 3].clone();
            async move { core.change_template(WORKSPACE, WABA, ID, &change, at(second)).await.unwrap() }
        })
        .await;
        let now = stored(&tables).await;
        assert_eq!((now.status, now.status_at), (TemplateStatus::Approved, Some(at(3))));
    }
}

#[tokio::test]
async fn what_meta_answers_does_not_undo_newer_news() {
    let tables = Tables::new().await;
    assert!(news(&tables, &status(TemplateStatus::Paused), 10).await);
    keep(&tables, &fetched(TemplateStatus::Approved, "old"), 8).await;
    let now = stored(&tables).await;
    assert_eq!(now.status, TemplateStatus::Paused);
    assert_eq!((now.quality.as_deref(), now.category.as_deref()), (Some("GREEN"), Some("MARKETING")));
    assert_eq!(now.components.unwrap()[0]["text"], "old");
    keep(&tables, &fetched(TemplateStatus::Approved, "new"), 12).await;
    let now = stored(&tables).await;
    assert_eq!((now.status, now.components.unwrap()[0]["text"].clone()), (TemplateStatus::Approved, json!("new")));
}

#[tokio::test]
async fn an_edit_that_meta_tells_of_changes_the_stored_text_only() {
    let tables = Tables::new().await;
    let edit = |text: &str| {
        TemplateChange::Components(TemplateComponentsUpdate {
            template: TemplateRef {
                id: "4711".to_owned(),
                name: Some("offer".to_owned()),
                language: Some("en_US".to_owned()),
            },
            title: None,
            body: Some(text.to_owned()),
            footer: None,
            buttons: Vec::new(),
        })
    };
    assert!(!news(&tables, &edit("unknown"), 1).await, "nothing is stored that could be edited");
    keep(&tables, &fetched(TemplateStatus::Approved, "Hi {{1}}"), 2).await;
    assert!(news(&tables, &edit("Hello {{1}}"), 5).await);
    assert!(!news(&tables, &edit("Hey {{1}}"), 4).await);
    let components: Vec<Value> = stored(&tables).await.components.unwrap();
    assert_eq!(components, [json!({"type": "BODY", "text": "Hello {{1}}", "example": {"body_text": [["Ana"]]}})]);
}

#[tokio::test]
async fn what_meta_does_not_list_any_more_is_deleted_unless_it_came_since() {
    let tables = Tables::new().await;
    let other = FetchedTemplate { name: "other".to_owned(), ..fetched(TemplateStatus::Approved, "x") };
    keep(&tables, &fetched(TemplateStatus::Approved, "x"), 1).await;
    keep(&tables, &other, 9).await;
    tables.core.templates_were_read(WORKSPACE, WABA, &[], at(5)).await.unwrap();
    assert_eq!(stored(&tables).await.status, TemplateStatus::Deleted);
    let newer = tables.core.template(WORKSPACE, WABA, "other", "en_US").await.unwrap().unwrap();
    assert_eq!(newer.status, TemplateStatus::Approved, "it was created after the list was asked for");
    assert_eq!(tables.core.templates_read_at(WORKSPACE, WABA).await.unwrap(), Some(at(5)));
}

#[tokio::test]
async fn a_list_goes_on_after_its_last_row_and_finds_a_name_exactly() {
    let tables = Tables::new().await;
    for name in ["offer", "offer_2", "zeta"] {
        for language in ["de", "en_US"] {
            let template = FetchedTemplate {
                name: name.to_owned(),
                language: language.to_owned(),
                ..fetched(TemplateStatus::Approved, "x")
            };
            keep(&tables, &template, 1).await;
        }
    }
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let from = after.as_ref().map(|(name, language): &(String, String)| (name.as_str(), language.as_str()));
        let listed = tables.core.templates(WORKSPACE, WABA, None, from, 4).await.unwrap();
        seen.extend(listed.rows.iter().map(|row| (row.name.clone(), row.language.clone())));
        after = listed.rows.last().map(|row| (row.name.clone(), row.language.clone()));
        if !listed.more {
            break;
        }
    }
    assert_eq!(seen.len(), 6);
    let named = tables.core.templates(WORKSPACE, WABA, Some("offer"), None, 10).await.unwrap().rows;
    assert_eq!(named.iter().map(|row| row.language.as_str()).collect::<Vec<_>>(), ["de", "en_US"]);
}
