//! How fast and in how much memory an audience of a million lines is planned. It measures and asserts counts only:
//! `cargo test --release -p local --test it planning_speed -- --ignored --nocapture`.

use std::time::Instant;

use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use shared::blob::Bucket;
use shared::blob::audience::{csv, lay};
use shared::campaign::audience::Columns;
use shared::campaign::planner::{Planner, Rules};
use shared::campaign::{Message, Variant};
use shared::id::{CampaignId, WorkspaceId};
use shared::time::UnixMillis;

use crate::support::{memory, peak_mib};

const LINES: u32 = 1_000_000;

/// A number of one of three countries; each once.
fn phone(n: u32) -> String {
    match n % 10 {
        0 => format!("+65{}", 81_000_000 + n),
        1 => format!("+91{}", 9_800_000_000_u64 + u64::from(n)),
        _ => format!("+6011{}", 10_000_000 + n),
    }
}

async fn upload(client: &aws_sdk_s3::Client, key: &str) {
    let upload = client.create_multipart_upload().bucket("bucket").key(key).send().await.unwrap();
    let id = upload.upload_id().unwrap();
    let mut parts = CompletedMultipartUpload::builder();
    for part in 0..10 {
        let from = part * LINES / 10;
        let mut body = if part == 0 { "phone,name,first_name,city\n".to_owned() } else { String::new() };
        for n in from..from + LINES / 10 {
            body.push_str(&format!("{},\"Person {n}\",First{n},\"Kuala Lumpur, WP\"\n", phone(n)));
        }
        let number = i32::try_from(part).unwrap() + 1;
        let sent = client.upload_part().bucket("bucket").key(key).upload_id(id).part_number(number);
        let sent = sent.body(ByteStream::from(body.into_bytes())).send().await.unwrap();
        parts = parts.parts(CompletedPart::builder().part_number(number).set_e_tag(sent.e_tag).build());
    }
    let complete = client.complete_multipart_upload().bucket("bucket").key(key).upload_id(id);
    complete.multipart_upload(parts.build()).send().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "measures for a minute or more"]
async fn a_million_lines() {
    let engines = memory().await;
    let client = engines.s3();
    client.create_bucket().bucket("bucket").send().await.unwrap();
    upload(&client, "people.csv").await;
    let bucket = Bucket::new(client, "bucket");
    let variants = vec![Variant { name: "A".to_owned(), weight: 1, message: Message::text("Hi {{first_name}}") }];
    let campaign = CampaignId::new(UnixMillis(1));
    let rules = Rules { campaign, variants, holdout_percent: 5 };
    let before = peak_mib(true);
    let begun = Instant::now();
    let file = csv(&bucket, "people.csv".to_owned(), None, Columns::new()).await.unwrap();
    let bytes = file.bytes;
    let laid = lay(&bucket, (WorkspaceId::FIRST, campaign), Planner::new(rules), file.lines, &mut ()).await.unwrap();
    let took = begun.elapsed();
    let progress = laid.progress;
    println!("{bytes} bytes, {progress:?}, first skipped: {:?}", laid.first_skipped.first());
    println!(
        "{:.1} s, {:.0} lines/s; peak memory of the process, engines included: {:?} MiB (before: {before:?} MiB)",
        took.as_secs_f64(),
        f64::from(LINES) / took.as_secs_f64(),
        peak_mib(false),
    );
    assert_eq!(progress.lines, u64::from(LINES));
    assert_eq!(progress.planned + progress.held_out, LINES);
}
