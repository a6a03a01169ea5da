//! Clicks that the redirect could not queue are taken in from the lines of its log, once.

use std::time::Duration;

use local::stack::People;
use serde_json::{Value, json};
use shared::activity::Click;
use shared::id::{EventId, WorkspaceId};
use shared::link::code::{KeyId, LinkKey};
use shared::link::lost;
use shared::time::UnixMillis;

use super::web::BROWSER;
use super::{stack, until};

#[tokio::test(flavor = "multi_thread")]
async fn lost_clicks_are_counted_once_however_often_their_lines_are_sent() {
    let (stack, api) = stack(People::default(), None).await;
    let link = api.post("/v1/links", &json!({"url": "https://shop.example/"})).await.unwrap();
    let id = link["id"].as_str().unwrap();
    let row = stack.tables().0.link_of(WorkspaceId::FIRST, id.parse().unwrap()).await.unwrap().unwrap();
    let key = LinkKey::new(KeyId(1), &[7; 16]);
    let line = |at: UnixMillis, workspace: WorkspaceId| {
        let click: Click =
            serde_json::from_value(json!({"id": EventId::new(at), "link": row.id, "workspace": workspace,
            "recipient": null, "at": at, "method": "GET", "user_agent": BROWSER, "ip": "192.0.2.7", "country": "DE"}))
            .unwrap();
        json!({"level": "ERROR", "message": lost::MESSAGE, "click": lost::logged(click, &key), "reason": "throttled"})
            .to_string()
    };
    let now = UnixMillis::now();
    let earlier = UnixMillis(now.0 - 3_600_000);
    let stranger = "wsp_00000000000000000000000002".parse().unwrap();
    let log = [
        "START RequestId: 1".to_owned(),
        line(earlier, WorkspaceId::FIRST),
        line(now, WorkspaceId::FIRST),
        line(now, stranger),
    ];
    let post = || {
        let request = reqwest::Client::new().post(format!("{}/v1/events/lost-clicks", stack.base_url()));
        request.bearer_auth(stack.admin_key()).body(log.join("\n")).send()
    };
    let said = async || {
        let answer = post().await.unwrap();
        assert_eq!(answer.status(), 202);
        answer.json::<Value>().await.unwrap()
    };
    assert_eq!(said().await, json!({"clicks": 2, "known": 0, "of_other_workspaces": 1, "lines": 4}));
    until("the clicks are known", Duration::from_secs(30), async || {
        (said().await["known"] == 2).then_some(Value::Null)
    })
    .await;
    let stats = until("both clicks", Duration::from_secs(30), async || {
        let stats = api.get(&format!("/v1/links/{id}/stats")).await.unwrap();
        (stats["clicks"]["human"] == 2).then_some(stats)
    })
    .await;
    // A visitor is told again within a day (UTC).
    let visitors = if earlier.date() == now.date() { 1 } else { 2 };
    assert_eq!(stats["clicks"], json!({"raw": 2, "human": 2, "unique": visitors}));
    assert_eq!(stats["by"]["country"], json!({"DE": 2}));
    stack.shutdown().await;
}
