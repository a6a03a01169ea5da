//! Nothing until it is clicked: a link of one's own for each recipient, without a write and without a stored byte.

use std::collections::HashSet;
use std::time::Instant;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use local::api_client::ApiClient;
use local::stack::{People, Stack};
use reqwest::{StatusCode, redirect};
use serde_json::json;
use shared::attempt::Seq;
use shared::link::code::Code;
use shared::link::{ShortLinks, position};

use super::audience::{planned, upload};
use super::{account, stack, stored};

/// What is stored: rows of the table with their bytes, and the bytes of objects.
#[derive(Debug, Default, PartialEq, Eq)]
struct Stock {
    links: usize,
    other_rows: usize,
    bytes_of_rows: usize,
    bytes_of_audiences: u64,
}

async fn stock(stack: &Stack) -> Stock {
    let (client, mut stock, mut start) = (stack.engines().dynamodb(), Stock::default(), None);
    loop {
        // With a number, for dynoxide reads the whole rest of a table for a page without one.
        let page = client.scan().table_name("thirdtick-core").limit(1_000).set_exclusive_start_key(start);
        let page = page.send().await.unwrap();
        for item in page.items() {
            let is_link = item["pk"].as_s().unwrap().starts_with("LINK#");
            *(if is_link { &mut stock.links } else { &mut stock.other_rows }) += 1;
            stock.bytes_of_rows += item.iter().map(|(name, value)| name.len() + size(value)).sum::<usize>();
        }
        start = page.last_evaluated_key;
        if start.is_none() {
            break;
        }
    }
    let mut pages =
        stack.engines().s3().list_objects_v2().bucket("thirdtick-data").prefix("campaigns/").into_paginator().send();
    while let Some(page) = pages.next().await {
        let sizes = page.unwrap().contents().iter().map(|object| object.size().unwrap()).sum::<i64>();
        stock.bytes_of_audiences += u64::try_from(sizes).unwrap();
    }
    stock
}

/// Bytes of a value, as DynamoDB counts them or nearly so.
fn size(value: &AttributeValue) -> usize {
    match value {
        AttributeValue::S(text) | AttributeValue::N(text) => text.len(),
        AttributeValue::B(bytes) => Blob::as_ref(bytes).len(),
        AttributeValue::Ss(texts) => texts.iter().map(String::len).sum(),
        AttributeValue::L(values) => values.iter().map(size).sum(),
        AttributeValue::M(parts) => parts.iter().map(|(name, value)| name.len() + size(value)).sum(),
        _ => 1,
    }
}

async fn campaign(api: &ApiClient, account: &str, body: &str, csv: &str) -> String {
    let upload_id = upload(api, csv.to_owned()).await;
    let definition = json!({"name": "Offer", "account_id": account, "audience": {"upload_id": upload_id},
        "variants": [{"name": "A", "message": {"type": "text", "text": {"body": body}}}]});
    let id = api.post("/v1/campaigns", &definition).await.unwrap()["id"].as_str().unwrap().to_owned();
    planned(api, &id).await;
    id
}

async fn a_link_for_each_of(people: u32) {
    let (stack, api) = stack(People::default(), None).await;
    let account = account(&api).await;
    let lines = (0..people).map(|n| format!("+6011{}\n", 10_000_000 + n));
    let csv = format!("phone\n{}", lines.collect::<String>());
    let empty = stock(&stack).await;
    campaign(&api, &account, "Nothing to follow", &csv).await;
    let without = stock(&stack).await;
    let id = campaign(&api, &account, "See https://shop.example/a and https://shop.example/b", &csv).await;
    let with = stock(&stack).await;

    let rows = |now: &Stock, before: &Stock| now.other_rows - before.other_rows;
    assert_eq!(with.links, 2, "a row for each link");
    // What the stack notes of itself meanwhile is a row or two, with links and without.
    let (more, usual) = (rows(&with, &without), rows(&without, &empty));
    assert!(more < 10 && usual < 10, "{more} rows with links, {usual} without");
    let audience = without.bytes_of_audiences - empty.bytes_of_audiences;
    assert_eq!(with.bytes_of_audiences - without.bytes_of_audiences, audience, "the same bytes with links and without");
    let bytes = |now: &Stock, before: &Stock| now.bytes_of_rows.saturating_sub(before.bytes_of_rows);
    let (more_bytes, usual_bytes) = (bytes(&with, &without), bytes(&without, &empty));
    assert!(more_bytes < usual_bytes + 4_096, "{more_bytes} bytes of rows with links, {usual_bytes} without");

    let stored = stored(&stack, &id).await;
    assert_eq!(stored.planned(), people);
    let links = ShortLinks::new(stack.base_url(), stack.link_keys().parse().unwrap());
    let link = stack.tables().0.link(stored.links[0].id).await.unwrap().unwrap();
    let begun = Instant::now();
    let mut codes = HashSet::with_capacity(people as usize);
    for seq in (0..people).map(Seq) {
        let code = Code::parse(&links.of_recipient(&link, seq).unwrap().code).unwrap();
        let whose = links.readings(&link.site(), &code).find(|reading| link.has_issued(&link.site(), reading)).unwrap();
        assert_eq!(position(whose.seq), Some(seq));
        codes.insert(code.to_string());
    }
    let took = begun.elapsed().as_secs_f64() * 1_000.0;
    assert_eq!(codes.len(), people as usize, "no two are the same");
    println!(
        "{people} recipients with 2 links: 2 rows of links, {more} others, {more_bytes} bytes; without links {usual} rows, \
         {usual_bytes} bytes; the audience {audience} bytes either way"
    );
    println!("{people} codes made and read back in {took:.0} ms");

    let http = reqwest::Client::builder().no_proxy().redirect(redirect::Policy::none()).build().unwrap();
    for code in codes.iter().take(3) {
        let answer = http.get(format!("{}/l/{code}", stack.base_url())).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::FOUND, "a code that nobody has written down leads on");
    }
    stack.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn planning_a_campaign_writes_a_row_for_each_link_and_nothing_for_a_recipient() {
    a_link_for_each_of(10_000).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes; prints its figures"]
async fn a_million_recipients_have_links_and_nothing_is_written_for_any_of_them() {
    a_link_for_each_of(1_000_000).await;
}
