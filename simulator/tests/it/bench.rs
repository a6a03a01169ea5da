//! How much the simulator takes. Not a benchmark: a floor under which no change may push it.

use std::time::Instant;

use futures::StreamExt;
use simulator::Behaviour;

use crate::receiver::{Receiver, client, config, send, settled, simulator, text};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_of_messages_are_accepted_and_reported() {
    const MESSAGES: u32 = 3_000;
    let (receiver, url) = Receiver::start().await;
    let mut config = config(&url);
    config.behaviour =
        Behaviour::Exact { delivered: 2_900, read: 2_000, clicked: 100, replied: 500, skip_delivered: 100 };
    config.delivery.batch_max = 100;
    let running = simulator(config).await;
    let client = client();
    let started = Instant::now();
    let sends = (0..MESSAGES).map(|n| {
        let body = text(&format!("+4477{n:08}"), &format!("{url}l/{n}"));
        let (client, running) = (client.clone(), &running);
        async move { send(running, &client, &body).await.expect("an answer").0 }
    });
    let accepted = futures::stream::iter(sends)
        .buffer_unordered(32)
        .filter(|status| std::future::ready(*status == 200))
        .count()
        .await;
    let accepting = started.elapsed();
    settled(&running).await;
    println!("accepted {MESSAGES} in {accepting:?}, settled after {:?}", started.elapsed());
    assert_eq!(accepted, MESSAGES as usize);
    assert_eq!(receiver.status_counts().get("read"), Some(&2_000));
}
