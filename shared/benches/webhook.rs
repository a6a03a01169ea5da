//! What the webhook and the ingester do per POST: check the signature, read the body; with one status and with the
//! 1,000 Meta batches at most.

use std::fmt::Write as _;
use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use shared::meta::signature::{AppSecret, sign, verify};
use shared::meta::webhook::parse;

/// A body of `count` statuses in one change, compact as on the wire, each with its contact.
fn body(count: usize) -> Vec<u8> {
    let mut contacts = String::new();
    let mut statuses = String::new();
    for n in 0..count {
        let comma = if n == 0 { "" } else { "," };
        // Writing to a string cannot fail.
        let _ = write!(
            contacts,
            r#"{comma}{{"profile":{{"name":"Dana {n}"}},"wa_id":"1650{n:07}","user_id":"US.2018473659102837{n:04}"}}"#
        );
        let _ = write!(
            statuses,
            r#"{comma}{{"id":"wamid.HBgLMTY1MDU1NTEyMzQVAgARGBI2Nzc2MTI4Mjg3RUYy{n:04}","status":"delivered","timestamp":"1790000004","recipient_id":"1650{n:07}","recipient_user_id":"US.2018473659102837{n:04}","biz_opaque_callback_data":"cmp-42:rcp-{n:06}","pricing":{{"billable":true,"pricing_model":"PMP","category":"marketing","type":"regular"}}}}"#
        );
    }
    format!(
        r#"{{"object":"whatsapp_business_account","entry":[{{"id":"104996122399160","changes":[{{"value":{{"messaging_product":"whatsapp","metadata":{{"display_phone_number":"15550783881","phone_number_id":"107853902081447"}},"contacts":[{contacts}],"statuses":[{statuses}]}},"field":"messages"}}]}}]}}"#
    )
    .into_bytes()
}

fn webhook(c: &mut Criterion) {
    let Ok(secret) = AppSecret::new("f3a9c0de5511aa77bb99cc00dd11ee22") else { return };
    let secrets = [secret];
    let mut group = c.benchmark_group("webhook");
    for count in [1, 1_000] {
        let body = body(count);
        let header = sign(&body, &secrets[0]);
        group.throughput(Throughput::Bytes(body.len() as u64));
        group.bench_function(BenchmarkId::new("verify", count), |b| {
            b.iter(|| verify(black_box(&body), Some(header.as_bytes()), &secrets));
        });
        group.bench_function(BenchmarkId::new("parse", count), |b| b.iter(|| parse(black_box(&body))));
        group.bench_function(BenchmarkId::new("verify_and_parse", count), |b| {
            b.iter(|| verify(black_box(&body), Some(header.as_bytes()), &secrets).map(|_| parse(&body)));
        });
    }
    group.finish();
}

criterion_group!(benches, webhook);
criterion_main!(benches);
