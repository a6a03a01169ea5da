//! What happens in one run: people to whom things happen, the writes that tell of it in any order and any number of
//! times, and how the stream of those writes is cut into batches. All of it is drawn at random and shrinks.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use shared::attempt::{AttemptKey, Flag, Seq, Shard};
use shared::id::{AccountId, CampaignId, WorkspaceId};
use shared::link::code::LinkId;
use shared::time::UnixMillis;

/// 2026-09-21T23:23:20Z: an hour and a day end while things happen.
const START_SECONDS: i64 = 1_790_033_000;

/// How long things happen, in seconds.
const SPAN_SECONDS: i64 = 7_200;

/// Partitions of each campaign's attempts.
const SHARDS: u32 = 3;

/// Campaigns in a world.
pub(crate) const CAMPAIGNS: u64 = 2;

/// Variants of each campaign.
pub(crate) const VARIANTS: u8 = 3;

/// What can happen to a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Thing {
    Flag(Flag),
    Failed(i64),
}

/// One report of a thing, as often as it is told.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    pub(crate) thing: Thing,
    /// Since the start.
    pub(crate) second: i64,
    pub(crate) times: usize,
}

/// What the sender does besides what Meta reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sending {
    Once,
    /// The claim is given back and taken again: writes that count for nothing.
    Twice,
    /// The answer was lost.
    Unanswered,
}

/// What happens to one recipient.
#[derive(Clone, Debug)]
pub(crate) struct Life {
    pub(crate) campaign: u64,
    pub(crate) seq: u32,
    pub(crate) variant: u8,
    pub(crate) sending: Sending,
    pub(crate) price: Price,
    pub(crate) reports: Vec<Report>,
}

/// What Meta tells of a message's price: the same with each of these flags.
#[derive(Clone, Debug)]
pub(crate) struct Price {
    pub(crate) category: &'static str,
    pub(crate) free: bool,
    pub(crate) told_with: Vec<Flag>,
}

/// One visit of a tracked link, as often as it is told.
#[derive(Clone, Debug)]
pub(crate) struct Visit {
    pub(crate) campaign: u64,
    pub(crate) link: u32,
    pub(crate) human: bool,
    pub(crate) second: i64,
    pub(crate) number: usize,
    pub(crate) times: usize,
}

/// A write to the table; the numbers are places in the world's lists.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Write {
    Claim(usize),
    Release(usize),
    ClaimAgain(usize),
    MarkUnknown(usize),
    Learn { life: usize, report: usize },
    Visit(usize),
}

/// One delivery of a batch of the stream to the rollup.
#[derive(Clone, Debug)]
pub(crate) struct Delivery {
    /// Which shard of the stream.
    pub(crate) shard: Index,
    /// How many records before the first that is not done the batch begins: a late repeat of an earlier batch.
    pub(crate) back: usize,
    /// How long the batch is: longer, shorter (bisected) or the same as the last time.
    pub(crate) take: usize,
    /// What becomes of it.
    pub(crate) end: End,
}

/// How a delivery ends.
#[derive(Clone, Copy, Debug)]
pub(crate) enum End {
    /// All counter items are written and the batch counts as done.
    Done,
    /// All counter items are written, but nobody hears of it: the batch comes again.
    Unheard,
    /// It breaks off: the counter item `i` of the batch is written if bit `i` is set, and only the first of its writes
    /// if its bit in `cut` is. The batch comes again.
    Crash { written: u64, cut: u64 },
}

/// One run.
#[derive(Clone, Debug)]
pub(crate) struct World {
    pub(crate) lives: Vec<Life>,
    pub(crate) visits: Vec<Visit>,
    pub(crate) writes: Vec<Write>,
    /// How many writes are taken in together, as a batch of `ingest`; over and over.
    pub(crate) taken_in: Vec<usize>,
    pub(crate) first_sequence: u128,
    pub(crate) stream_shards: usize,
    /// How many counters one write adds to at most; an update that names more is cut.
    pub(crate) names_a_write: usize,
    pub(crate) deliveries: Vec<Delivery>,
}

pub(crate) fn campaign(number: u64) -> CampaignId {
    CampaignId::from_ulid(ulid::Ulid::from_parts(1_790_000_000_000, u128::from(number)))
}

pub(crate) fn account() -> AccountId {
    AccountId::from_ulid(ulid::Ulid::from_parts(1_790_000_000_000, 7))
}

/// The time of a second since the start.
pub(crate) fn at(second: i64) -> UnixMillis {
    UnixMillis::from_seconds(START_SECONDS + second)
}

impl Life {
    pub(crate) fn key(&self) -> AttemptKey {
        let shard = Shard(u8::try_from(self.seq % SHARDS).unwrap());
        AttemptKey { workspace: WorkspaceId::FIRST, campaign: campaign(self.campaign), shard, seq: Seq(self.seq) }
    }
}

/// Any world.
pub(crate) fn worlds() -> impl Strategy<Value = World> {
    (vec(life(), 1..24), vec(visit(), 0..8))
        .prop_flat_map(|(mut lives, mut visits)| {
            for (seq, life) in (0..).zip(&mut lives) {
                life.seq = seq;
            }
            for (number, visit) in visits.iter_mut().enumerate() {
                visit.number = number;
            }
            let writes = Just(writes_of(&lives, &visits)).prop_shuffle();
            // Numbers that gain a digit on the way, and one that no DynamoDB number holds.
            let first_sequence = select(vec![1, 95, 990, 10_u128.pow(38) - 20]);
            let stream = (first_sequence, 1_usize..4, 1_usize..12);
            (Just((lives, visits)), writes, vec(1_usize..9, 1..6), stream, vec(delivery(), 0..60))
        })
        .prop_map(|((lives, visits), writes, taken_in, stream, deliveries)| {
            let (first_sequence, stream_shards, names_a_write) = stream;
            World { lives, visits, writes, taken_in, first_sequence, stream_shards, names_a_write, deliveries }
        })
}

fn life() -> impl Strategy<Value = Life> {
    let sending = prop_oneof![3 => Just(Sending::Once), 1 => Just(Sending::Twice), 2 => Just(Sending::Unanswered)];
    let life = (0..CAMPAIGNS, 0..VARIANTS, sending, price(), vec(report(), 0..9));
    life.prop_map(|(campaign, variant, sending, price, reports)| Life {
        campaign,
        seq: 0,
        variant,
        sending,
        price,
        reports,
    })
}

fn price() -> impl Strategy<Value = Price> {
    let told_with = proptest::sample::subsequence(vec![Flag::Sent, Flag::Delivered, Flag::Read], 0..=3);
    (select(vec!["marketing", "service"]), any::<bool>(), told_with).prop_map(|(category, free, told_with)| Price {
        category,
        free,
        told_with,
    })
}

fn report() -> impl Strategy<Value = Report> {
    // A few seconds only for some, so that reports of the same time meet.
    let second = prop_oneof![0..4_i64, 0..SPAN_SECONDS];
    let thing = prop_oneof![
        8 => select(Flag::ALL.to_vec()).prop_map(Thing::Flag),
        2 => select(vec![0, 131_026, 131_049]).prop_map(Thing::Failed),
    ];
    (thing, second, 1_usize..4).prop_map(|(thing, second, times)| Report { thing, second, times })
}

fn visit() -> impl Strategy<Value = Visit> {
    (0..CAMPAIGNS, 1_u32..3, any::<bool>(), 0..SPAN_SECONDS, 1_usize..4)
        .prop_map(|(campaign, link, human, second, times)| Visit { campaign, link, human, second, number: 0, times })
}

fn delivery() -> impl Strategy<Value = Delivery> {
    let end = prop_oneof![
        3 => Just(End::Done),
        1 => Just(End::Unheard),
        3 => any::<(u64, u64)>().prop_map(|(written, cut)| End::Crash { written, cut }),
    ];
    let back = prop_oneof![3 => Just(0_usize), 1 => 0_usize..12];
    (any::<Index>(), back, 1_usize..16, end).prop_map(|(shard, back, take, end)| Delivery { shard, back, take, end })
}

/// Every write as often as it is made, in no order that matters.
fn writes_of(lives: &[Life], visits: &[Visit]) -> Vec<Write> {
    let mut writes = Vec::new();
    for (life, Life { sending, reports, .. }) in lives.iter().enumerate() {
        writes.push(Write::Claim(life));
        match sending {
            Sending::Once => {}
            Sending::Twice => writes.extend([Write::Release(life), Write::ClaimAgain(life)]),
            Sending::Unanswered => writes.push(Write::MarkUnknown(life)),
        }
        for (report, Report { times, .. }) in reports.iter().enumerate() {
            writes.extend(std::iter::repeat_n(Write::Learn { life, report }, *times));
        }
    }
    for (visit, Visit { times, .. }) in visits.iter().enumerate() {
        writes.extend(std::iter::repeat_n(Write::Visit(visit), *times));
    }
    writes
}

/// A link of the visit's campaign: no two campaigns share one.
pub(crate) fn link(visit: &Visit) -> LinkId {
    link_of(visit.campaign, visit.link)
}

/// A campaign's link of this number.
pub(crate) fn link_of(campaign: u64, number: u32) -> LinkId {
    LinkId::new(u32::try_from(campaign).unwrap() * 100 + number).unwrap()
}
