//! What survives the simulator's death.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

use simulator::Behaviour;

use crate::receiver::{Receiver, client, config, send, settled, simulator, text, until};

#[tokio::test]
async fn a_dropped_simulator_goes_on_from_its_journal() {
    let (receiver, url) = Receiver::start().await;
    let folder = tempfile::tempdir().expect("a folder");
    let mut config = config(&url);
    config.behaviour = Behaviour::Exact { delivered: 20, read: 15, clicked: 5, replied: 10, skip_delivered: 3 };
    config.journal = Some(folder.path().join("journal.ndjson"));
    receiver.down.store(1, Ordering::SeqCst);

    let first = simulator(config.clone()).await;
    let client = client();
    for n in 0..30 {
        let body = text(&format!("+4477009{n:05}"), &format!("{url}l/{n}"));
        assert_eq!(send(&first, &client, &body).await.expect("an answer").0, 200);
    }
    let before = first.ledger();
    until("some webhooks have failed", || first.ledger().webhooks.failed_attempts > 0).await;
    drop(first);
    receiver.down.store(0, Ordering::SeqCst);

    let second = simulator(config.clone()).await;
    settled(&second).await;
    let counts = receiver.status_counts();
    assert_eq!((counts.get("sent"), counts.get("delivered"), counts.get("read")), (Some(&30), Some(&17), Some(&15)));
    // A reply whose acknowledgement the crash cut off is sent again, under the same id.
    let replies: BTreeSet<String> = receiver.messages().iter().map(|seen| seen.id().to_owned()).collect();
    assert_eq!(replies.len(), 10);
    let wamids =
        |ledger: &simulator::Ledger| ledger.messages().map(|message| message.wamid.clone()).collect::<Vec<_>>();
    assert_eq!(wamids(&before), wamids(&second.ledger()));
    let posts = receiver.posts().len();
    second.shutdown().await;

    let third = simulator(config).await;
    assert_eq!(third.pending(), 0);
    send(&third, &client, &text("+447700999999", "hi")).await.expect("an answer");
    settled(&third).await;
    assert_eq!(receiver.status_counts().get("sent"), Some(&31));
    assert!(receiver.posts().len() <= posts + 1, "what was acknowledged is not repeated");
}
