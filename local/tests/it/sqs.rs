//! What the functions and the drivers rely on in SQS.

use aws_sdk_sqs::types::{
    ChangeMessageVisibilityBatchRequestEntry, DeleteMessageBatchRequestEntry, MessageAttributeValue,
    MessageSystemAttributeName, QueueAttributeName, SendMessageBatchRequestEntry,
};

use crate::support::{bodies, create_queue, memory, receive, send, until};

#[tokio::test]
async fn a_batch_is_sent_received_and_deleted() {
    let engines = memory().await;
    let client = engines.sqs();
    let queue = create_queue(&client, "q", &[]).await;
    let entries = (0..10)
        .map(|n| {
            SendMessageBatchRequestEntry::builder().id(n.to_string()).message_body(format!("m{n}")).build().unwrap()
        })
        .collect();
    let sent = client.send_message_batch().queue_url(&queue).set_entries(Some(entries)).send().await.unwrap();
    assert_eq!(sent.successful.len(), 10);
    let received = receive(&client, &queue).await;
    assert_eq!(bodies(&received), (0..10).map(|n| format!("m{n}")).collect::<Vec<_>>());
    assert_eq!(received[3].message_id(), Some(sent.successful[3].message_id()));
    assert!(receive(&client, &queue).await.is_empty());
    let entries = received
        .iter()
        .enumerate()
        .map(|(n, message)| {
            let handle = message.receipt_handle().unwrap();
            DeleteMessageBatchRequestEntry::builder().id(n.to_string()).receipt_handle(handle).build().unwrap()
        })
        .collect();
    let deleted = client.delete_message_batch().queue_url(&queue).set_entries(Some(entries)).send().await.unwrap();
    assert_eq!(deleted.successful.len(), 10);
    assert_eq!(count(&client, &queue).await, (0, 0, 0));
}

#[tokio::test]
async fn attributes_come_back_with_the_message() {
    let engines = memory().await;
    let client = engines.sqs();
    let queue = create_queue(&client, "q", &[]).await;
    let kind = MessageAttributeValue::builder().data_type("String").string_value("webhook").build().unwrap();
    let sent = client.send_message().queue_url(&queue).message_body("x").message_group_id("tenant");
    let sent = sent.message_attributes("kind", kind.clone()).send().await.unwrap();
    let received = receive(&client, &queue).await.remove(0);
    assert_eq!(received.message_attributes().unwrap()["kind"], kind);
    assert_eq!(received.md5_of_message_attributes(), sent.md5_of_message_attributes());
    let system = received.attributes().unwrap();
    assert_eq!(system[&MessageSystemAttributeName::ApproximateReceiveCount], "1");
    assert_eq!(system[&MessageSystemAttributeName::MessageGroupId], "tenant");
    assert!(system.contains_key(&MessageSystemAttributeName::SentTimestamp));
}

#[tokio::test]
async fn a_message_may_be_one_mebibyte_long() {
    let engines = memory().await;
    let client = engines.sqs();
    let queue = create_queue(&client, "q", &[("MaximumMessageSize", "1048576")]).await;
    send(&client, &queue, &"x".repeat(1 << 20)).await;
    assert_eq!(receive(&client, &queue).await[0].body().unwrap().len(), 1 << 20);
    let too_long = client.send_message().queue_url(&queue).message_body("x".repeat((1 << 20) + 1)).send().await;
    assert!(too_long.is_err());
    let read = client.get_queue_attributes().queue_url(&queue).attribute_names(QueueAttributeName::All);
    let attributes = read.send().await.unwrap().attributes.unwrap();
    assert_eq!(attributes[&QueueAttributeName::MaximumMessageSize], "1048576");
}

#[tokio::test]
async fn a_message_reappears_when_its_visibility_ends() {
    let engines = memory().await;
    let client = engines.sqs();
    let queue = create_queue(&client, "q", &[("VisibilityTimeout", "1")]).await;
    send(&client, &queue, "x").await;
    let first = receive(&client, &queue).await.remove(0);
    let again = client.receive_message().queue_url(&queue).wait_time_seconds(5).send().await.unwrap();
    assert_eq!(bodies(again.messages()), ["x"]);
    // The first receiver is too late: the message belongs to the second one.
    client.delete_message().queue_url(&queue).receipt_handle(first.receipt_handle().unwrap()).send().await.unwrap();
    assert_eq!(count(&client, &queue).await, (0, 1, 0));
}

#[tokio::test]
async fn visibility_can_be_given_up() {
    let engines = memory().await;
    let client = engines.sqs();
    let queue = create_queue(&client, "q", &[]).await;
    send(&client, &queue, "x").await;
    let held = receive(&client, &queue).await.remove(0);
    let entry = ChangeMessageVisibilityBatchRequestEntry::builder()
        .id("0")
        .receipt_handle(held.receipt_handle().unwrap())
        .visibility_timeout(0)
        .build()
        .unwrap();
    client.change_message_visibility_batch().queue_url(&queue).entries(entry).send().await.unwrap();
    assert_eq!(bodies(&receive(&client, &queue).await), ["x"]);
}

#[tokio::test]
async fn a_delayed_message_is_hidden_and_ends_a_long_poll() {
    let engines = memory().await;
    let client = engines.sqs();
    let queue = create_queue(&client, "q", &[]).await;
    client.send_message().queue_url(&queue).message_body("later").delay_seconds(1).send().await.unwrap();
    assert!(receive(&client, &queue).await.is_empty());
    assert_eq!(count(&client, &queue).await, (0, 0, 1));
    let polled = client.receive_message().queue_url(&queue).wait_time_seconds(10).send().await.unwrap();
    assert_eq!(bodies(polled.messages()), ["later"]);
}

#[tokio::test]
async fn a_message_received_too_often_goes_to_the_dead_letter_queue_and_can_be_replayed() {
    let engines = memory().await;
    let client = engines.sqs();
    let dead = create_queue(&client, "dead", &[]).await;
    let policy = format!(r#"{{"deadLetterTargetArn":"{}","maxReceiveCount":2}}"#, engines.queue_arn("dead"));
    let attributes = [("VisibilityTimeout", "0"), ("RedrivePolicy", policy.as_str())];
    let queue = create_queue(&client, "q", &attributes).await;
    let id = send(&client, &queue, "poison").await;
    for _ in 0..2 {
        assert_eq!(bodies(&receive(&client, &queue).await), ["poison"]);
    }
    assert!(receive(&client, &queue).await.is_empty());
    let given_up = receive(&client, &dead).await.remove(0);
    assert_eq!(given_up.message_id(), Some(id.as_str()));
    let source = &given_up.attributes().unwrap()[&MessageSystemAttributeName::DeadLetterQueueSourceArn];
    assert_eq!(*source, engines.queue_arn("q"));
    let handle = given_up.receipt_handle().unwrap();
    client
        .change_message_visibility()
        .queue_url(&dead)
        .receipt_handle(handle)
        .visibility_timeout(0)
        .send()
        .await
        .unwrap();
    client.start_message_move_task().source_arn(engines.queue_arn("dead")).send().await.unwrap();
    let tasks = client.list_message_move_tasks().source_arn(engines.queue_arn("dead")).send().await.unwrap();
    assert_eq!(tasks.results()[0].approximate_number_of_messages_moved(), 1);
    assert_eq!(count(&client, &dead).await, (0, 0, 0));
    assert_eq!(bodies(&receive(&client, &queue).await), ["poison"]);
}

#[tokio::test]
async fn a_long_poll_ends_when_a_message_comes() {
    let engines = memory().await;
    let client = engines.sqs();
    let queue = create_queue(&client, "q", &[]).await;
    let polled = tokio::spawn(client.receive_message().queue_url(&queue).wait_time_seconds(20).send());
    send(&client, &queue, "x").await;
    assert_eq!(bodies(polled.await.unwrap().unwrap().messages()), ["x"]);
}

#[tokio::test]
async fn creating_a_queue_again_is_harmless_unless_it_differs() {
    let engines = memory().await;
    let client = engines.sqs();
    let one = create_queue(&client, "q", &[("VisibilityTimeout", "60")]).await;
    assert_eq!(create_queue(&client, "q", &[("VisibilityTimeout", "60")]).await, one);
    let other = client.create_queue().queue_name("q").attributes(QueueAttributeName::VisibilityTimeout, "61");
    assert!(other.send().await.is_err());
    client.delete_queue().queue_url(&one).send().await.unwrap();
    until("the queue is gone", || async {
        client.send_message().queue_url(&one).message_body("x").send().await.is_err()
    })
    .await;
}

async fn count(client: &aws_sdk_sqs::Client, queue: &str) -> (u32, u32, u32) {
    let read = client.get_queue_attributes().queue_url(queue).attribute_names(QueueAttributeName::All);
    let attributes = read.send().await.unwrap().attributes.unwrap();
    let number = |name: QueueAttributeName| attributes[&name].parse().unwrap();
    (
        number(QueueAttributeName::ApproximateNumberOfMessages),
        number(QueueAttributeName::ApproximateNumberOfMessagesNotVisible),
        number(QueueAttributeName::ApproximateNumberOfMessagesDelayed),
    )
}
