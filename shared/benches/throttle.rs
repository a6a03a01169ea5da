//! How long the arithmetic of the rate takes: a reservation of a page of 100 and its slots.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use shared::throttle::{Rate, Slots, UnixMicros, refused, reserve};

fn gcra(criterion: &mut Criterion) {
    let (now, rate) = (UnixMicros(1_790_000_000_000_000), Rate::per_second(75));
    let busy = UnixMicros(now.0 + 1_000_000);
    criterion.bench_function("throttle/reserve a page", |bencher| {
        bencher.iter(|| black_box(reserve(black_box(Some(busy)), now, 100, rate)));
    });
    criterion.bench_function("throttle/after a refusal", |bencher| {
        bencher.iter(|| black_box(refused(black_box(Some(busy)), now, 100, rate)));
    });
    criterion.bench_function("throttle/slots of a page of 100", |bencher| {
        let slots = Slots::ending_at(busy, 100, rate);
        bencher.iter(|| (0..100).fold(0_i64, |sum, i| sum.wrapping_add(black_box(slots).at(i).0)));
    });
}

criterion_group!(benches, gcra);
criterion_main!(benches);
