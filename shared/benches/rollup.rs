//! How long the arithmetic of a stream batch takes: 1,000 changed attempts to counter updates.

#![allow(clippy::unwrap_used, reason = "a benchmark may fail")]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use shared::attempt::{Attempt, AttemptKey, Evidence, Flag, Moment, Seq, Shard};
use shared::campaign::{PageNumber, VariantIndex};
use shared::id::{AccountId, CampaignId, WorkspaceId};
use shared::rollup::contribution::of_attempt;
use shared::rollup::{SequenceNumber, difference, updates};
use shared::time::UnixMillis;

const NOW: UnixMillis = UnixMillis(1_790_000_000_000);

fn attempt() -> Attempt {
    let moment = Some(Moment { at: NOW, seen: NOW });
    let phone = "+60123456789".parse().unwrap();
    let new = Attempt::new(phone, AccountId::new(NOW), VariantIndex(0), PageNumber(0));
    Attempt { accepted: moment, sent: moment, ..new }
}

fn deltas(criterion: &mut Criterion) {
    let campaign = CampaignId::new(NOW);
    let changes: Vec<_> = (0..1_000_u32)
        .map(|n| {
            let shard = Shard(u8::try_from(n % 4).unwrap());
            let key = AttemptKey { workspace: WorkspaceId::FIRST, campaign, shard, seq: Seq(n) };
            let old = attempt();
            let mut new = old.clone();
            let at = UnixMillis(NOW.0 + 1_000 * i64::from(n));
            new.learn(&Evidence::Flag(Flag::Delivered, Moment { at, seen: at }));
            (SequenceNumber::new(&n.to_string()), key, old, new)
        })
        .collect();
    let mut group = criterion.benchmark_group("rollup");
    group.throughput(Throughput::Elements(1_000));
    group.bench_function("deltas of 1,000 stream records", |bencher| {
        bencher.iter(|| {
            let changes = changes.iter().map(|(sequence, key, old, new)| {
                (sequence.clone(), difference(&of_attempt(key, old), &of_attempt(key, new)))
            });
            let sums: Vec<_> = updates(changes).iter().map(shared::rollup::CounterUpdate::sum).collect();
            black_box(sums)
        });
    });
    group.finish();
}

criterion_group!(benches, deltas);
criterion_main!(benches);
