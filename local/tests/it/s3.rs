//! What the functions rely on in S3.

use aws_sdk_s3::{
    primitives::ByteStream,
    types::{CompletedMultipartUpload, CompletedPart},
};

use crate::support::memory;

#[tokio::test]
async fn objects_are_stored_listed_and_removed() {
    let engines = memory().await;
    let client = engines.s3();
    client.create_bucket().bucket("audience").send().await.unwrap();
    for key in ["c/1/000002.json", "c/1/000001.json", "c/2/000001.json"] {
        let body = ByteStream::from(key.as_bytes().to_vec());
        client
            .put_object()
            .bucket("audience")
            .key(key)
            .content_type("application/json")
            .body(body)
            .send()
            .await
            .unwrap();
    }
    let listed = client.list_objects_v2().bucket("audience").prefix("c/1/").send().await.unwrap();
    let keys: Vec<_> = listed.contents().iter().map(|object| object.key().unwrap()).collect();
    assert_eq!(keys, ["c/1/000001.json", "c/1/000002.json"]);
    let read = client.get_object().bucket("audience").key("c/1/000002.json").send().await.unwrap();
    assert_eq!(read.content_type(), Some("application/json"));
    assert_eq!(read.body.collect().await.unwrap().to_vec(), b"c/1/000002.json");
    client.delete_object().bucket("audience").key("c/1/000002.json").send().await.unwrap();
    let missing = client.get_object().bucket("audience").key("c/1/000002.json").send().await;
    assert!(missing.unwrap_err().into_service_error().is_no_such_key());
}

#[tokio::test]
async fn a_list_goes_on_in_pages() {
    let engines = memory().await;
    let client = engines.s3();
    client.create_bucket().bucket("bucket").send().await.unwrap();
    for number in 0..5 {
        client
            .put_object()
            .bucket("bucket")
            .key(format!("k{number}"))
            .body(ByteStream::from_static(b"x"))
            .send()
            .await
            .unwrap();
    }
    let mut pages = client.list_objects_v2().bucket("bucket").max_keys(2).into_paginator().send();
    let mut keys = Vec::new();
    while let Some(page) = pages.next().await {
        keys.extend(page.unwrap().contents().iter().map(|object| object.key().unwrap().to_owned()));
    }
    assert_eq!(keys, ["k0", "k1", "k2", "k3", "k4"]);
}

#[tokio::test]
async fn a_large_object_is_uploaded_in_parts() {
    let engines = memory().await;
    let client = engines.s3();
    client.create_bucket().bucket("bucket").send().await.unwrap();
    let upload = client.create_multipart_upload().bucket("bucket").key("large").send().await.unwrap();
    let id = upload.upload_id().unwrap();
    let mut parts = CompletedMultipartUpload::builder();
    for (number, byte) in [(1, b'a'), (2, b'b')] {
        let body = ByteStream::from(vec![byte; 5 << 20]);
        let sent = client.upload_part().bucket("bucket").key("large").upload_id(id).part_number(number).body(body);
        let sent = sent.send().await.unwrap();
        parts = parts.parts(CompletedPart::builder().part_number(number).set_e_tag(sent.e_tag).build());
    }
    let complete = client.complete_multipart_upload().bucket("bucket").key("large").upload_id(id);
    complete.multipart_upload(parts.build()).send().await.unwrap();
    let read = client.get_object().bucket("bucket").key("large").range("bytes=5242879-5242880").send().await.unwrap();
    assert_eq!(read.body.collect().await.unwrap().to_vec(), b"ab");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_writes_on_the_same_condition_one_holds_and_no_reader_sees_half() {
    let engines = memory().await;
    let client = engines.s3();
    client.create_bucket().bucket("bucket").send().await.unwrap();
    let put = |round: u8| client.put_object().bucket("bucket").key("k").body(ByteStream::from(vec![round; 100_000]));
    let first = put(0).if_none_match("*").send().await.unwrap();
    assert_eq!(put(9).if_none_match("*").send().await.unwrap_err().raw_response().unwrap().status().as_u16(), 412);
    let mut etag = first.e_tag.unwrap();
    for round in 1..10 {
        let writers = futures::future::join_all((0..4).map(|_| put(round).if_match(&etag).send()));
        let readers = futures::future::join_all((0..4).map(|_| async {
            let read = client.get_object().bucket("bucket").key("k").send().await.unwrap();
            // The SDK holds the contents against the checksum that came with them.
            read.body.collect().await.unwrap().to_vec()
        }));
        let (written, read) = futures::join!(writers, readers);
        assert_eq!(written.iter().filter(|written| written.is_ok()).count(), 1);
        assert!(read.iter().all(|read| read.len() == 100_000 && read.iter().all(|byte| *byte == read[0])));
        etag = client.head_object().bucket("bucket").key("k").send().await.unwrap().e_tag.unwrap();
    }
}
