//! Who follows a campaign's links, where they lead and when: read from counters.

use std::time::Duration;

use local::stack::People;
use reqwest::{StatusCode, redirect};
use serde_json::{Value, json};
use simulator::Behaviour;

use super::web::{BROWSER, link_of};
use super::{stack, started_campaign, until};

const DESKTOP: &str =
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36";

#[tokio::test(flavor = "multi_thread")]
async fn clicks_are_broken_down_and_stages_followed_over_time() {
    let behaviour = Behaviour::Exact { delivered: 0, read: 0, clicked: 0, replied: 0, skip_delivered: 0 };
    let (stack, api) = stack(People { behaviour, ..People::default() }, None).await;
    let id = started_campaign(&api, "Hi {{first_name}}, see https://shop.example/offer", 3).await;
    let path = |rest: &str| format!("/v1/campaigns/{id}/{rest}");
    until("the messages", Duration::from_secs(30), async || {
        let recipients = api.get(&path("recipients?stage=sent")).await.unwrap();
        (recipients["data"].as_array().unwrap().len() == 3).then_some(recipients)
    })
    .await;
    for (seq, agent) in [(0, BROWSER), (1, BROWSER), (2, DESKTOP)] {
        let http = reqwest::Client::builder().no_proxy().user_agent(agent).redirect(redirect::Policy::none());
        let answer = http.build().unwrap().get(link_of(&stack, &id, seq).await).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::FOUND);
    }
    let once_there = async |rest: &str| {
        until(rest, Duration::from_secs(30), async || {
            let answer = api.get(&path(rest)).await.unwrap();
            (answer["total"] == 3).then_some(answer)
        })
        .await
    };
    let devices = once_there("breakdown?by=device").await;
    assert_eq!((&devices["counted"], &devices["by"]), (&json!("clicks"), &json!("device")));
    assert_eq!(devices["data"][0], json!({"value": "mobile", "count": 2, "share": 0.6667}));
    assert_eq!(devices["data"][1], json!({"value": "desktop", "count": 1, "share": 0.3333}));
    let links = once_there("breakdown?by=link").await;
    assert_eq!(
        (&links["data"][0]["url"], &links["data"][0]["share"]),
        (&json!("https://shop.example/offer"), &json!(1.0))
    );
    let link = links["data"][0]["value"].as_str().unwrap();
    assert_eq!(api.get(&format!("/v1/links/{link}/stats")).await.unwrap()["clicks"]["human"], links["total"]);
    let variants = once_there("breakdown?by=variant").await;
    assert_eq!(variants["data"], json!([{"value": "A", "count": 3, "share": 1.0, "sent": 3}]));
    let hours = once_there("breakdown?by=hour").await;
    let times: Vec<&str> = hours["data"].as_array().unwrap().iter().map(|row| row["value"].as_str().unwrap()).collect();
    assert!(times.is_sorted() && times.iter().all(|hour| hour.len() == 13), "{times:?}");
    once_there("breakdown?by=hour_of_day").await;
    assert_eq!(api.get(&path("breakdown?by=error")).await.unwrap()["data"], json!([]));

    // Counters of one view are there when those of another are: they come from the same changes.
    let series = api.get(&path("timeseries?metric=sent,clicked&interval=minute")).await.unwrap();
    let points = series["points"].as_array().unwrap();
    let sum = |metric: &str| points.iter().map(|point| point[metric].as_i64().unwrap()).sum::<i64>();
    assert_eq!((sum("sent"), sum("clicked"), &series["next_from"]), (3, 3, &Value::Null), "{series:#}");
    let times: Vec<&str> = points.iter().map(|point| point["at"].as_str().unwrap()).collect();
    assert!(times.is_sorted() && times.iter().all(|at| at.ends_with(":00.000Z")), "{times:?}");
    let later = api.get(&path("timeseries?from=2100-01-01")).await.unwrap();
    assert_eq!((&later["interval"], &later["points"]), (&json!("hour"), &json!([])));

    for (asked, named) in [
        ("breakdown?by=persona", "persona"),
        ("breakdown", "/by"),
        ("timeseries?metric=opened", "/metric"),
        ("timeseries?interval=week", "/interval"),
        ("timeseries?from=2026-11-22&to=2026-11-21", "/from"),
    ] {
        let error = api.get(&path(asked)).await.unwrap_err().to_string();
        assert!(error.contains(named), "{asked}: {error}");
    }
    stack.shutdown().await;
}
