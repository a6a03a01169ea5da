//! Link codes: issuing, following, and turning away guesses; beside them the same cipher by a general-purpose
//! implementation.

use std::hint::black_box;

use aes::Aes128;
use criterion::{Criterion, criterion_group, criterion_main};
use fpe::ff1::{FF1, FlexibleNumeralString};
use shared::link::code::{Code, KeyId, KeyRing, LinkId, LinkKey, RecipientSeq, Tweak, decode, encode};

const KEY: [u8; 16] = *b"thirdtick-link-A";

fn link_code(c: &mut Criterion) {
    let key = LinkKey::new(KeyId(1), &KEY);
    let tweak = Tweak::for_scope("ws_demo");
    let (Some(link), Some(seq)) = (LinkId::new(4_711), RecipientSeq::new(123_456)) else { return };
    let code = encode(&key, tweak, link, seq);
    let Ok(guess) = Code::parse("abcdef012345") else { return };
    let mut group = c.benchmark_group("link_code");
    group.bench_function("new_key", |b| b.iter(|| LinkKey::new(KeyId(1), black_box(&KEY))));
    group.bench_function("encode", |b| b.iter(|| encode(&key, tweak, black_box(link), black_box(seq))));
    group.bench_function("decode", |b| b.iter(|| decode(&key, tweak, black_box(&code))));
    group.bench_function("decode_garbage", |b| b.iter(|| decode(&key, tweak, black_box(&guess))));
    group.bench_function("parse_and_decode", |b| {
        b.iter(|| Code::parse(black_box("abcdef012345")).ok().and_then(|code| decode(&key, tweak, &code)));
    });

    let mut ring = String::from("3:00000000000000000000000000000003,2:00000000000000000000000000000002,1:");
    ring.extend(KEY.map(|byte| format!("{byte:02x}")));
    let Ok(ring) = KeyRing::parse(&ring) else { return };
    group.bench_function("decode_third_key", |b| b.iter(|| ring.decode(tweak, black_box(&code))));

    let Ok(ff1) = FF1::<Aes128>::new(&KEY, 62) else { return };
    let digits: Vec<u16> = (0..12).collect();
    group.bench_function("fpe_encode", |b| {
        b.iter(|| ff1.encrypt(&[1; 8], &FlexibleNumeralString::from(black_box(digits.clone()))));
    });
    group.bench_function("fpe_decode", |b| {
        b.iter(|| ff1.decrypt(&[1; 8], &FlexibleNumeralString::from(black_box(digits.clone()))));
    });
    group.finish();
}

criterion_group!(benches, link_code);
criterion_main!(benches);
