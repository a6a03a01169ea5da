//! What people do with messages.

use std::collections::BTreeSet;

use futures::StreamExt;
use simulator::{Behaviour, Running};

use crate::receiver::{Receiver, client, config, send, settled, simulator, text};

async fn campaign(running: &Running, people: usize, link: &str) {
    let client = client();
    let sends = (0..people).map(|n| {
        let body = text(&format!("+4477009{n:05}"), &format!("Offer for you: {link}{n}."));
        let client = client.clone();
        async move { send(running, &client, &body).await.expect("an answer").0 }
    });
    let answers: Vec<u16> = futures::stream::iter(sends).buffer_unordered(16).collect().await;
    assert!(answers.iter().all(|status| *status == 200));
}

#[tokio::test]
async fn exactly_so_many_people_reach_each_stage() {
    let (receiver, url) = Receiver::start().await;
    let mut config = config(&url);
    config.behaviour = Behaviour::Exact { delivered: 80, read: 60, clicked: 20, replied: 25, skip_delivered: 7 };
    let running = simulator(config).await;
    campaign(&running, 100, &format!("{url}l/")).await;
    settled(&running).await;

    let counts = receiver.status_counts();
    assert_eq!(counts.get("sent"), Some(&100));
    assert_eq!(counts.get("delivered"), Some(&73));
    assert_eq!(counts.get("read"), Some(&60));
    assert_eq!(counts.get("failed"), None);
    assert_eq!(receiver.messages().len(), 25);
    assert_eq!(receiver.hits().len(), 20);
    let totals = running.ledger().totals();
    assert_eq!((totals.accepted, totals.delivered, totals.read, totals.clicked, totals.replied), (100, 80, 60, 20, 25));
    assert_eq!(totals.delivered_skipped, 7);
}

#[tokio::test]
async fn a_click_is_a_real_get_by_a_person_who_follows_no_redirect() {
    let (receiver, url) = Receiver::start().await;
    let mut config = config(&url);
    config.behaviour = Behaviour::Exact { delivered: 40, read: 40, clicked: 40, replied: 0, skip_delivered: 0 };
    let running = simulator(config).await;
    campaign(&running, 40, &format!("{url}l/")).await;
    settled(&running).await;

    let hits = receiver.hits();
    let paths: BTreeSet<_> = hits.iter().map(|hit| hit.path.clone()).collect();
    assert_eq!(paths, (0..40).map(|n| format!("/l/{n}")).collect());
    for hit in &hits {
        assert_eq!(hit.method, "GET");
        assert!(hit.headers["user-agent"].to_str().is_ok_and(|agent| agent.starts_with("Mozilla/5.0 ")));
        assert!(hit.headers["x-forwarded-for"].to_str().is_ok_and(|ip| ["81.2.69.142", "2.125.160.216"].contains(&ip)));
    }
    assert!(running.ledger().messages().all(|message| message.click_answers == [302]));
}

#[tokio::test]
async fn preview_fetchers_visit_links_as_machines_and_do_not_count_as_clicks() {
    let (receiver, url) = Receiver::start().await;
    let mut config = config(&url);
    config.behaviour = Behaviour::Exact { delivered: 0, read: 0, clicked: 0, replied: 0, skip_delivered: 0 };
    config.preview_share = 1.0;
    let running = simulator(config).await;
    campaign(&running, 40, &format!("{url}l/")).await;
    settled(&running).await;
    let hits = receiver.hits();
    assert_eq!(hits.len(), 40);
    assert!(hits.iter().any(|hit| hit.method == "HEAD"));
    let agent = |hit: &crate::receiver::Hit| hit.headers["user-agent"].to_str().map(str::to_owned).unwrap_or_default();
    assert!(hits.iter().any(|hit| agent(hit).starts_with("WhatsApp/2.")));
    assert!(hits.iter().any(|hit| agent(hit).starts_with("facebookexternalhit/1.1")));
    assert_eq!(running.ledger().totals().clicked, 0);
}

#[tokio::test]
async fn answers_come_from_the_person_and_some_quote_the_message() {
    let (receiver, url) = Receiver::start().await;
    let mut config = config(&url);
    config.behaviour = Behaviour::Exact { delivered: 40, read: 40, clicked: 0, replied: 40, skip_delivered: 0 };
    let running = simulator(config).await;
    campaign(&running, 40, "no link ").await;
    settled(&running).await;
    let messages = receiver.messages();
    assert_eq!(messages.len(), 40);
    let wamids: BTreeSet<_> = running.ledger().messages().map(|message| message.wamid.clone()).collect();
    let quoting = messages.iter().filter(|seen| !seen.value["context"].is_null()).count();
    assert!((5..36).contains(&quoting), "{quoting}");
    for seen in &messages {
        assert!(seen.value["from"].as_str().is_some_and(|from| from.starts_with("4477009")));
        assert!(seen.value["context"]["id"].as_str().is_none_or(|id| wamids.contains(id)));
    }
}
