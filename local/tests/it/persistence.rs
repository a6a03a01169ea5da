//! What the engines acknowledged survives the process, however it ends.

use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_sqs::types::MessageSystemAttributeName;
use local::engines::{Engines, Storage};

use crate::support::{bodies, create_queue, create_table, in_folder, put, receive, s, send};

async fn fill(engines: &Engines) -> String {
    create_table(&engines.dynamodb(), "core").await;
    put(&engines.dynamodb(), "core", "P", 7).await;
    engines.s3().create_bucket().bucket("bucket").send().await.unwrap();
    engines.s3().put_object().bucket("bucket").key("k").body(ByteStream::from_static(b"kept")).send().await.unwrap();
    let sqs = engines.sqs();
    let queue = create_queue(&sqs, "q", &[("VisibilityTimeout", "600")]).await;
    let in_flight = send(&sqs, &queue, "in flight").await;
    assert_eq!(receive(&sqs, &queue).await.len(), 1);
    send(&sqs, &queue, "deleted").await;
    let deleted = receive(&sqs, &queue).await.remove(0);
    sqs.delete_message().queue_url(&queue).receipt_handle(deleted.receipt_handle().unwrap()).send().await.unwrap();
    send(&sqs, &queue, "waiting").await;
    sqs.send_message().queue_url(&queue).message_body("delayed").delay_seconds(600).send().await.unwrap();
    in_flight
}

async fn check(engines: &Engines, in_flight: &str) {
    let read = engines.dynamodb().get_item().table_name("core").key("pk", s("P")).key("sk", s("A"));
    assert!(read.send().await.unwrap().item.is_some());
    let object = engines.s3().get_object().bucket("bucket").key("k").send().await.unwrap();
    assert_eq!(object.body.collect().await.unwrap().to_vec(), b"kept");
    let sqs = engines.sqs();
    let queue = sqs.get_queue_url().queue_name("q").send().await.unwrap().queue_url.unwrap();
    let received = receive(&sqs, &queue).await;
    assert_eq!(bodies(&received), ["in flight", "waiting"]);
    assert_eq!(received[0].message_id(), Some(in_flight));
    assert_eq!(received[0].attributes().unwrap()[&MessageSystemAttributeName::ApproximateReceiveCount], "2");
}

#[tokio::test]
async fn all_three_engines_go_on_after_an_orderly_stop() {
    let folder = tempfile::tempdir().unwrap();
    let engines = in_folder(&folder).await;
    let id = fill(&engines).await;
    engines.shutdown().await;
    check(&in_folder(&folder).await, &id).await;
}

/// A copy of the folder while the engines run is what a kill leaves.
#[tokio::test]
async fn all_three_engines_go_on_after_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let engines = in_folder(&folder).await;
    let id = fill(&engines).await;
    let left = tempfile::tempdir().unwrap();
    copy(folder.path(), left.path());
    check(&in_folder(&left).await, &id).await;
    drop(engines);
}

#[tokio::test]
async fn a_receive_count_over_the_limit_is_remembered() {
    let folder = tempfile::tempdir().unwrap();
    let engines = in_folder(&folder).await;
    let sqs = engines.sqs();
    create_queue(&sqs, "dead", &[]).await;
    let policy = format!(r#"{{"deadLetterTargetArn":"{}","maxReceiveCount":"1"}}"#, engines.queue_arn("dead"));
    let queue = create_queue(&sqs, "q", &[("RedrivePolicy", &policy)]).await;
    send(&sqs, &queue, "poison").await;
    assert_eq!(receive(&sqs, &queue).await.len(), 1);
    engines.shutdown().await;

    let engines = in_folder(&folder).await;
    let sqs = engines.sqs();
    let url = async |name: &str| sqs.get_queue_url().queue_name(name).send().await.unwrap().queue_url.unwrap();
    assert!(receive(&sqs, &url("q").await).await.is_empty());
    engines.shutdown().await;

    let engines = in_folder(&folder).await;
    let sqs = engines.sqs();
    let dead = sqs.get_queue_url().queue_name("dead").send().await.unwrap().queue_url.unwrap();
    assert_eq!(bodies(&receive(&sqs, &dead).await), ["poison"]);
}

#[tokio::test]
async fn a_folder_has_one_user_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let engines = in_folder(&folder).await;
    let second = Engines::start(Storage::Directory(folder.path().to_owned())).await;
    assert!(second.unwrap_err().to_string().contains("in use by another running process"));
    drop(engines);
    drop(in_folder(&folder).await);
}

fn copy(from: &std::path::Path, to: &std::path::Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            std::fs::create_dir(&target).unwrap();
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}
