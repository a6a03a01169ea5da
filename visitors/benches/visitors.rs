//! What a visitor costs: the verdict on a click, and the place of an address.

#![allow(missing_docs, reason = "the macros of criterion write functions without")]

use std::hint::black_box;
use std::net::IpAddr;
use std::path::Path;

use criterion::{Criterion, criterion_group, criterion_main};
use visitors::place::{Places, Source};
use visitors::verdict::{Request, of_click};

const AGENTS: [(&str, &str); 4] = [
    (
        "a person in WhatsApp",
        "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.7390.124 Mobile Safari/537.36 [WA4A/2.25.32.75;]",
    ),
    (
        "a person in Safari",
        "Mozilla/5.0 (iPhone; CPU iPhone OS 18_7 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.0 Mobile/15E148 Safari/604.1",
    ),
    ("WhatsApp's fetcher", "WhatsApp/2.25.31.76 A"),
    ("a crawler", "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"),
];

fn verdicts(criterion: &mut Criterion) {
    visitors::warm_up();
    let mut group = criterion.benchmark_group("verdict on");
    for (name, agent) in AGENTS {
        let request = Request { method: "GET", user_agent: Some(agent), ..Request::default() };
        group.bench_function(name, |bencher| bencher.iter(|| of_click(black_box(&request))));
    }
    group.finish();
}

fn places(criterion: &mut Criterion) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/geo");
    let (city, network) = (folder.join("GeoLite2-City-Test.mmdb"), folder.join("GeoLite2-ASN-Test.mmdb"));
    let source = |path| Some(Source { setting: "bench", path });
    let Ok(cities) = Places::open(source(&city), None) else { return };
    let Ok(both) = Places::open(source(&city), source(&network)) else { return };
    let address = IpAddr::from([89, 160, 20, 112]);
    criterion.bench_function("city of an address", |bencher| bencher.iter(|| cities.of(black_box(address))));
    criterion.bench_function("city and network of an address", |bencher| bencher.iter(|| both.of(black_box(address))));
}

criterion_group!(benches, verdicts, places);
criterion_main!(benches);
