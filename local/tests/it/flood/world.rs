//! What happens in a flood: a function of the seed and a recipient's number, so that nothing has to be remembered to be
//! checked in the end. What must come of it is worked out here from what happened alone, by no rule of the product's.

use std::collections::BTreeMap;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use serde::{Deserialize, Serialize};
use shared::activity;
use shared::attempt::claim::Claim;
use shared::attempt::earlier::EarlierTry;
use shared::attempt::pricing::Pricing;
use shared::attempt::{Attempt, AttemptKey, Failure, Moment, Seq, Shard};
use shared::campaign::{PAGE_SIZE, PageNumber, VariantIndex, shards_for};
use shared::id::{AccountId, CampaignId, EventId, WorkspaceId};
use shared::time::UnixMillis;

/// Whose everything is.
pub(crate) const WORKSPACE: WorkspaceId = WorkspaceId::FIRST;

/// Campaigns that write to the same people: the first two from one account, the others from another.
pub(crate) const CAMPAIGNS: u32 = 4;

/// Between the campaigns of one account: what answers the first without a quote must lie before the second.
const APART_S: i64 = 7_200;

/// The longest story, from the first message to the last click.
const STORY: Duration = Duration::from_secs(12 * 3_600);

/// Codes of failures; the second tells that the person has stopped marketing messages.
const CODES: [i64; 4] = [131_026, STOPPED_MARKETING, 131_049, 470];

/// Meta's code for a person who has stopped marketing messages.
pub(crate) const STOPPED_MARKETING: i64 = 131_050;

/// The campaigns, the people and how many they are.
#[derive(Serialize, Deserialize)]
pub(crate) struct World {
    seed: u64,
    pub(crate) people: u32,
    /// Statuses, messages received, clicks and the like, each once.
    pub(crate) events: usize,
    pub(crate) campaigns: [CampaignId; CAMPAIGNS as usize],
    pub(crate) accounts: [AccountId; 2],
    epoch_s: i64,
}

/// One recipient of one campaign: how `send` left the attempt, what happened then, and what the row must say.
pub(crate) struct Life {
    pub(crate) n: u32,
    pub(crate) key: AttemptKey,
    pub(crate) account: usize,
    pub(crate) left_s: i64,
    pub(crate) sent: Attempt,
    pub(crate) updates: Vec<Update>,
    pub(crate) clicks: Vec<Visit>,
    pub(crate) expected: Attempt,
    /// When the person asked for no more messages: the last word counts.
    pub(crate) last_no: Option<UnixMillis>,
}

/// Something that Meta reports.
pub(crate) enum Update {
    Status(Status),
    Reply(Reply),
    /// A field that no version of ours knows.
    Unknown,
    /// A status without a time.
    Broken,
}

pub(crate) struct Status {
    /// The try it speaks of.
    pub(crate) number: u16,
    pub(crate) wamid: String,
    pub(crate) kind: &'static str,
    pub(crate) at_s: i64,
    pub(crate) code: Option<i64>,
    pub(crate) priced: bool,
}

pub(crate) struct Reply {
    pub(crate) wamid: String,
    pub(crate) at_s: i64,
    /// The message it quotes.
    pub(crate) quotes: Option<String>,
    pub(crate) text: String,
}

pub(crate) struct Visit {
    pub(crate) id: EventId,
    pub(crate) at: UnixMillis,
    pub(crate) human: bool,
}

impl World {
    /// As many people as it takes for so many events.
    pub(crate) fn new(seed: u64, events: usize) -> Self {
        let now = UnixMillis::now();
        // The number of shards follows from that of people; no life depends on it but by its key.
        let mut world = Self {
            seed,
            people: 1,
            events: 0,
            campaigns: std::array::from_fn(|_| CampaignId::new(now)),
            accounts: std::array::from_fn(|_| AccountId::new(now)),
            epoch_s: now.seconds() - i64::try_from(STORY.as_secs()).unwrap(),
        };
        world.campaigns.sort();
        for person in 0.. {
            let of_person = (0..CAMPAIGNS).map(|c| world.life(person * CAMPAIGNS + c));
            world.events += of_person.map(|life| life.updates.len() + life.clicks.len()).sum::<usize>();
            if world.events >= events {
                world.people = person + 1;
                break;
            }
        }
        world
    }

    /// All recipients of all campaigns, by number.
    pub(crate) fn numbers(&self) -> std::ops::Range<u32> {
        0..self.people * CAMPAIGNS
    }

    pub(crate) fn shards(&self) -> u8 {
        shards_for(self.people)
    }

    /// A person's number in digits.
    pub(crate) fn digits(person: u32) -> String {
        format!("60123{person:06}")
    }

    /// The number of the recipient at this place.
    pub(crate) fn number_of(&self, key: &AttemptKey) -> Option<u32> {
        let campaign = self.campaigns.iter().position(|campaign| *campaign == key.campaign)?;
        Some(key.seq.0 * CAMPAIGNS + u32::try_from(campaign).unwrap())
    }

    pub(crate) fn life(&self, n: u32) -> Life {
        let (person, campaign) = (n / CAMPAIGNS, n % CAMPAIGNS);
        let mut random = StdRng::seed_from_u64(self.seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ u64::from(n));
        let shard = Shard(u8::try_from(person % u32::from(self.shards())).unwrap());
        let key =
            AttemptKey { workspace: WORKSPACE, campaign: self.campaigns[campaign as usize], shard, seq: Seq(person) };
        let account = campaign as usize / 2;
        let left_s = self.epoch_s + i64::from(person % 3_000) + i64::from(campaign) * APART_S;
        let sent = sent(&mut random, n, self.accounts[account], left_s);
        let mut life = Life {
            n,
            key,
            account,
            left_s,
            expected: sent.clone(),
            sent,
            updates: Vec::new(),
            clicks: Vec::new(),
            last_no: None,
        };
        life.statuses(&mut random);
        life.replies(&mut random);
        life.visits(&mut random);
        if n % 500 == 7 {
            life.updates.push(Update::Unknown);
        }
        if n % 700 == 9 {
            life.updates.push(Update::Broken);
        }
        life
    }
}

/// The row as `send` leaves it: mostly with Meta's answer, sometimes without, sometimes after a try that failed.
fn sent(random: &mut StdRng, n: u32, account: AccountId, left_s: i64) -> Attempt {
    let person = n / CAMPAIGNS;
    let phone = format!("+{}", World::digits(person)).parse().unwrap();
    let page = PageNumber(person / PAGE_SIZE);
    let mut attempt = Attempt::new(phone, account, VariantIndex(u8::try_from(person % 2).unwrap()), page);
    let left = UnixMillis::from_seconds(left_s);
    attempt.claim = Some(Claim::for_slot(left, Duration::from_secs(10)));
    if random.random_bool(0.03) {
        let at = UnixMillis::from_seconds(left_s - 600);
        let failed = Failure { at, seen: at, code: 131_000, title: None, details: None };
        attempt.number = 2;
        attempt.superseded = 1;
        attempt.earlier = vec![EarlierTry { number: 1, wamid: Some(wamid(n, 1)), failed }];
    }
    if random.random_bool(0.95) {
        let at = UnixMillis(left.0 + random.random_range(100..900));
        attempt.accepted = Some(Moment { at, seen: at });
        attempt.wamid = Some(wamid(n, attempt.number));
        attempt.response = Some(format!(r#"{{"messages":[{{"id":"{}"}}]}}"#, wamid(n, attempt.number)));
    }
    attempt
}

fn wamid(n: u32, number: u16) -> String {
    format!("wamid.HBgLMTY1MDU1NTEyMzQVAgARGBI{n:08}{number}")
}

/// When it happened; our own clock's time of taking it in is checked apart from it.
fn at(at_s: i64) -> Moment {
    Moment { at: UnixMillis::from_seconds(at_s), seen: UnixMillis::from_seconds(at_s) }
}

/// The earlier of the two.
fn earlier(known: Option<Moment>, other: Moment) -> Option<Moment> {
    Some(known.filter(|known| known.at <= other.at).unwrap_or(other))
}

impl Life {
    fn status(&mut self, kind: &'static str, at_s: i64, code: Option<i64>) {
        let number = self.sent.number;
        let priced = matches!(kind, "sent" | "delivered");
        let wamid = wamid(self.n, number);
        let row = &mut self.expected;
        match kind {
            "sent" => row.sent = earlier(row.sent, at(at_s)),
            "delivered" => row.delivered = earlier(row.delivered, at(at_s)),
            "read" | "played" => row.read = earlier(row.read, at(at_s)),
            _ => {
                let failure = failure(at_s, code.unwrap());
                let is_first =
                    row.failed.as_ref().is_none_or(|known| (failure.at, failure.code) < (known.at, known.code));
                if is_first {
                    row.failed = Some(failure);
                }
            }
        }
        if code == Some(STOPPED_MARKETING) {
            row.opted_out = earlier(row.opted_out, at(at_s));
            self.last_no = self.last_no.max(Some(UnixMillis::from_seconds(at_s)));
        }
        row.wamid = Some(wamid.clone());
        if priced {
            row.pricing = Some(Pricing {
                category: Some("marketing".to_owned()),
                kind: Some("regular".to_owned()),
                billable: Some(true),
                model: Some("PMP".to_owned()),
            });
        }
        self.updates.push(Update::Status(Status { number, wamid, kind, at_s, code, priced }));
    }

    fn statuses(&mut self, random: &mut StdRng) {
        if self.sent.superseded > 0 {
            // What the first try came to is told late, and is no news of the second.
            for (kind, code) in [("sent", None), ("failed", Some(131_000))] {
                let (wamid, at_s) = (wamid(self.n, 1), self.left_s - 601);
                self.updates.push(Update::Status(Status { number: 1, wamid, kind, at_s, code, priced: false }));
            }
        }
        let mut at_s = self.left_s + random.random_range(0..3);
        let point: f64 = random.random();
        if point < 0.02 {
            return;
        }
        if point < 0.08 {
            if random.random_bool(0.5) {
                self.status("sent", at_s, None);
            }
            let code = CODES[random.random_range(0..CODES.len())];
            self.status("failed", at_s + 2, Some(code));
            if random.random_bool(0.2) {
                self.status("failed", at_s + random.random_range(2..4), Some(131_026));
            }
            return;
        }
        self.status("sent", at_s, None);
        let is_read = random.random_bool(0.6);
        at_s += random.random_range(0..600);
        if !is_read || random.random_bool(0.9) {
            self.status("delivered", at_s, None);
        }
        if is_read {
            at_s += random.random_range(0..2_000);
            self.status("read", at_s, None);
            if random.random_bool(0.1) {
                self.status(if random.random_bool(0.5) { "played" } else { "read" }, at_s + 5, None);
            }
        }
        if random.random_bool(0.01) {
            self.status("failed", at_s + 1, Some(131_026));
        }
    }

    fn replies(&mut self, random: &mut StdRng) {
        if !random.random_bool(0.35) {
            return;
        }
        for k in 0..random.random_range(1..3) {
            let quotes = self.sent.accepted.is_some() && random.random_bool(0.4);
            let at_s = self.left_s + random.random_range(60..APART_S - 60);
            let stops = random.random_bool(0.05);
            let text = match (stops, random.random_bool(0.02)) {
                (true, _) => "Stop".to_owned(),
                (false, true) => format!("Reply {k} of {} {}", self.n, "and so on ".repeat(300)),
                (false, false) => format!("Reply {k} of {}, with “quotes” and \\ and 👍", self.n),
            };
            let row = &mut self.expected;
            row.replied = earlier(row.replied, at(at_s));
            if stops {
                row.opted_out = earlier(row.opted_out, at(at_s));
                self.last_no = self.last_no.max(Some(UnixMillis::from_seconds(at_s)));
            }
            self.updates.push(Update::Reply(Reply {
                wamid: format!("wamid.in.{}.{k}", self.n),
                at_s,
                quotes: quotes.then(|| wamid(self.n, self.sent.number)),
                text,
            }));
        }
    }

    fn visits(&mut self, random: &mut StdRng) {
        if !random.random_bool(0.25) {
            return;
        }
        for k in 0..random.random_range(1..4) {
            let at =
                UnixMillis::from_seconds(self.left_s).plus(Duration::from_millis(random.random_range(0..7_000_000)));
            let id = activity::id_of(at, &["flood", &self.n.to_string(), &k.to_string()]);
            let human = random.random_bool(0.7);
            if human {
                let row = &mut self.expected;
                row.clicked = earlier(row.clicked, Moment { at, seen: at });
            }
            self.clicks.push(Visit { id, at, human });
        }
    }
}

/// A failure as Meta words it in a flood.
pub(crate) fn failure(at_s: i64, code: i64) -> Failure {
    let Moment { at, seen } = at(at_s);
    Failure { at, seen, code, title: Some("Not delivered".to_owned()), details: Some(format!("Reason {code}")) }
}

/// The latest no of everybody who has said no.
pub(crate) fn last_words(world: &World) -> BTreeMap<u32, UnixMillis> {
    let mut words: BTreeMap<u32, UnixMillis> = BTreeMap::new();
    for life in world.numbers().map(|n| world.life(n)) {
        if let Some(no) = life.last_no {
            let word = words.entry(life.n / CAMPAIGNS).or_insert(no);
            *word = (*word).max(no);
        }
    }
    words
}
