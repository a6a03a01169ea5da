//! What a reservation costs the sender besides its write: the state's arithmetic, its JSON, and the slots of a page.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use shared::id::CampaignId;
use shared::throttle::{Answer, Ask, Rate, Slots, State, UnixMicros, window::Limits};
use shared::time::UnixMillis;

const NOW: UnixMicros = UnixMicros(1_790_000_000_000_000);

fn throttle(criterion: &mut Criterion) {
    let campaigns: Vec<CampaignId> = (0..3).map(|n| CampaignId::new(UnixMillis(1_790_000_000_000 + n))).collect();
    let limits = Limits::default();
    let ask = |n: usize| Ask { campaign: campaigns[n], messages: 100, ceiling: None, rate: 1_000, limits: &limits };
    let mut shared_by_three = State::default();
    let mut now = NOW;
    for round in 0..60 {
        if let Answer::Wait(wait) = shared_by_three.reserve(&ask(round % 3), now) {
            now = UnixMicros::from_millis(wait.until);
        }
    }

    criterion.bench_function("reserve a page, three campaigns at once", |bencher| {
        bencher.iter_batched_ref(
            || shared_by_three.clone(),
            |state| black_box(state.reserve(&ask(0), black_box(now))),
            criterion::BatchSize::SmallInput,
        );
    });
    criterion.bench_function("read and write the state", |bencher| {
        let json = serde_json::to_string(&shared_by_three).unwrap_or_default();
        bencher.iter(|| {
            let state: State = serde_json::from_str(black_box(&json)).unwrap_or_default();
            black_box(serde_json::to_string(&state).map(|json| json.len()).unwrap_or_default())
        });
    });
    criterion.bench_function("slots of a page of 100", |bencher| {
        let slots = Slots::starting_at(NOW, 100, Rate::per_second(1_000));
        bencher.iter(|| black_box(slots).iter().map(|slot| slot.0).sum::<i64>());
    });
}

criterion_group!(benches, throttle);
criterion_main!(benches);
