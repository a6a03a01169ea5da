//! Ten million altered codes against a deployment's links: what the redirect does with them, less the table.
//!
//! `cargo test --release -p shared --test altered_codes -- --ignored --nocapture`

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, reason = "a measurement")]

use std::collections::{HashMap, HashSet};
use std::time::Instant;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::json;
use shared::attempt::Seq;
use shared::link::code::{Code, LinkId};
use shared::link::domain::{DomainName, Site};
use shared::link::{Link, ShortLinks};

const TRIES: usize = 10_000_000;

/// Links of the deployment, recipients of each, and the generations their codes were made with.
const LINKS: u32 = 1_000;
const RECIPIENTS: u32 = 100_000;
const KEYS: &str =
    "3:00112233445566778899aabbccddeeff,2:ffeeddccbbaa99887766554433221100,1:0123456789abcdef0123456789abcdef";
const GENERATIONS: u32 = 3;

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// What a code was before it was altered: none of the changes may give another recipient's.
fn altered(code: Code, random: &mut StdRng) -> Code {
    let mut text = *code.as_str().as_bytes().first_chunk::<12>().unwrap();
    loop {
        let at = random.random_range(0..12);
        match random.random_range(0..5) {
            // One character is another, as by a typing mistake.
            0 => text[at] = ALPHABET[random.random_range(0..62)],
            // Two neighbours change places.
            1 => text.swap(at.min(10), at.min(10) + 1),
            // Capitals and small letters are mixed up.
            2 => {
                text[at] = if text[at].is_ascii_uppercase() {
                    text[at].to_ascii_lowercase()
                } else {
                    text[at].to_ascii_uppercase()
                }
            }
            // The next code, for somebody who counts upwards.
            3 => {
                let at = ALPHABET.iter().position(|one| *one == text[11]).unwrap();
                text[11] = ALPHABET[(at + 1) % 62];
            }
            // A guess.
            _ => text.iter_mut().for_each(|byte| *byte = ALPHABET[random.random_range(0..62)]),
        }
        let altered = Code::parse(std::str::from_utf8(&text).unwrap()).unwrap();
        if altered != code {
            return altered;
        }
    }
}

#[test]
#[ignore = "ten million decodings: seconds in release, minutes without"]
fn none_of_ten_million_altered_codes_is_accepted() {
    let mut random = StdRng::seed_from_u64(7);
    let short_links = ShortLinks::new("https://go.example", KEYS.parse().unwrap());
    let domains = ["go.brand.example", "go.other.example"].map(|name| DomainName::parse(name).unwrap());
    let mut links: HashMap<LinkId, Link> = HashMap::new();
    while links.len() < usize::try_from(LINKS).unwrap() {
        let id = random.random_range(0..=LinkId::MAX.get());
        let n = u32::try_from(links.len()).unwrap();
        let domain = [None, Some(&domains[0]), Some(&domains[1])][usize::try_from(n % 3).unwrap()];
        let stored = json!({"v": 1, "id": id, "workspace": "wsp_00000000000000000000000001", "domain": domain,
            "url": "https://shop.example/", "kid": 1 + n % GENERATIONS, "recipients": RECIPIENTS, "shards": 1, "created_at": 0});
        links.insert(LinkId::new(id).unwrap(), serde_json::from_value(without_nulls(stored)).unwrap());
    }
    let all: Vec<&Link> = links.values().collect();
    let sites: Vec<Site> = all.iter().map(|link| link.site()).collect::<HashSet<_>>().into_iter().collect();
    assert_eq!(sites.len(), 3);

    let accepted = |site: &Site, code: &Code| {
        let mut readings = short_links.readings(site, code);
        let read = readings.find(|reading| links.get(&reading.link).is_some_and(|link| link.has_issued(site, reading)));
        read.is_some()
    };
    let (mut decoded, mut named, mut taken, mut elsewhere) = (0_u32, 0_u32, 0_u32, 0_u32);
    let begun = Instant::now();
    for n in 0..TRIES {
        let link = all[random.random_range(0..all.len())];
        let seq = Seq(random.random_range(0..RECIPIENTS));
        let code: Code = short_links.of_recipient(link, seq).unwrap().code.parse().unwrap();
        let site = link.site();
        // The code itself on the domains that it was not made for, now and then; else an altered one on its own.
        if n % 10 == 0 {
            elsewhere += u32::from(sites.iter().any(|other| *other != site && accepted(other, &code)));
            continue;
        }
        let code = altered(code, &mut random);
        for reading in short_links.readings(&site, &code) {
            decoded += 1;
            named += u32::from(links.contains_key(&reading.link));
        }
        taken += u32::from(accepted(&site, &code));
        if n % 1_000 == 1 {
            let real = short_links.of_recipient(link, seq).unwrap().code.parse().unwrap();
            assert!(accepted(&site, &real), "a code that was issued is taken");
        }
    }
    let tried = f64::from(u32::try_from(TRIES).unwrap());
    // The check of 20.45 bits under each generation; then the number must be a link's, of that generation and site, and the
    // recipient one of its own.
    let passes = f64::from(GENERATIONS) * f64::from(2_u32).powi(51) / f64::from(62_u32).powi(12);
    let is_link = f64::from(LINKS) / f64::from(2_u32).powi(26) / f64::from(GENERATIONS) / 3.0;
    let is_recipient = f64::from(RECIPIENTS) / f64::from(2_u32).powi(25);
    println!("{TRIES} altered codes, {LINKS} links x {RECIPIENTS} recipients, {GENERATIONS} keys, 3 domains");
    println!("decoded by some key: {decoded} (expected {:.1})", 0.9 * tried * passes);
    println!("named a link that exists: {named}");
    println!("accepted: {taken} (expected {:.1e})", 0.9 * tried * passes * is_link * is_recipient);
    println!("codes accepted on another domain: {elsewhere}");
    println!("per try, altering included: {:.0} ns", begun.elapsed().as_secs_f64() * 1e9 / tried);
    assert_eq!((taken, elsewhere), (0, 0));
}

fn without_nulls(mut value: serde_json::Value) -> serde_json::Value {
    if let Some(fields) = value.as_object_mut() {
        fields.retain(|_, value| !value.is_null());
    }
    value
}
