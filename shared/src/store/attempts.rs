//! Rows of attempts. Each write is conditional on what it relies on, so a repeat changes nothing and a stale worker
//! cannot undo what another has learned.

use std::collections::HashMap;

use futures::{StreamExt, TryStreamExt};

use super::expression::{Update, Updated};
use super::{Consistency, Core, Item, Put, StoreError, attribute, keys, number, read, sort_key, text};
use crate::attempt::claim::{After, Claim, Release, Try};
use crate::attempt::earlier::{EarlierTry, FLAGS_OF_A_TRY};
use crate::attempt::pricing::Pricing;
use crate::attempt::{Attempt, AttemptKey, Conversion, Evidence, Flag, Moment, Money, Seq, Shard, Skip};
use crate::id::{CampaignId, EventId, WorkspaceId};
use crate::meta::client::Accepted;
use crate::retention::Kind;
use crate::time::UnixMillis;

/// Whether a claim was won.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claimed {
    /// The caller may call Meta while the claim holds.
    Won,
    /// Another worker was faster, or something was learned in between.
    Lost,
}

/// What taking evidence in has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Learned {
    /// At least one flag or time is new.
    News,
    /// All of it was known.
    Nothing,
    /// There is no such attempt.
    NoSuchAttempt,
}

/// How many writers may come in between before a write gives up and is retried as a whole.
const CONTENDERS: usize = 16;

/// Flags that prove that Meta has the message.
const PROOFS_OF_ACCEPTANCE: [Flag; 6] =
    [Flag::Accepted, Flag::Sent, Flag::Delivered, Flag::Read, Flag::Clicked, Flag::Replied];

/// Flags that prove that the recipient has it.
const PROOFS_OF_ARRIVAL: [Flag; 4] = [Flag::Delivered, Flag::Read, Flag::Clicked, Flag::Replied];

impl Core {
    /// The attempts of these recipients that exist.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn attempts(
        &self,
        wanted: &[AttemptKey],
        consistency: Consistency,
    ) -> Result<HashMap<Seq, Attempt>, StoreError> {
        let items = self.batch_get(wanted.iter().map(keys::attempt).collect(), consistency).await?;
        items
            .into_iter()
            .map(|item| {
                let seq = sort_key(&item).and_then(|sk| sk.parse().ok()).map_or(Seq(u32::MAX), Seq);
                Ok((seq, read("attempt", item)?))
            })
            .collect()
    }

    /// One attempt.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn attempt(&self, key: &AttemptKey) -> Result<Option<Attempt>, StoreError> {
        self.get("attempt", keys::attempt(key)).await
    }

    /// Attempts of one shard in order of `seq`, after `after` if given.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn attempts_of_shard(
        &self,
        workspace: WorkspaceId,
        campaign: CampaignId,
        shard: Shard,
        after: Option<Seq>,
        limit: Option<usize>,
    ) -> Result<Vec<(Seq, Attempt)>, StoreError> {
        let pk = keys::attempts_pk(workspace, campaign, shard);
        let after = after.map(|seq| format!("{:08}", seq.0));
        let items = self.query(&pk, "", after.as_deref(), limit, true).await?;
        items
            .into_iter()
            .map(|item| {
                let seq = sort_key(&item).and_then(|sk| sk.parse().ok()).map_or(Seq(u32::MAX), Seq);
                Ok((seq, read("attempt", item)?))
            })
            .collect()
    }

    /// All attempts of a campaign, in no order.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn attempts_of_campaign(
        &self,
        workspace: WorkspaceId,
        campaign: CampaignId,
        shards: u8,
    ) -> Result<Vec<(Seq, Attempt)>, StoreError> {
        let shards = futures::stream::iter((0..shards).map(Shard));
        let found: Vec<Vec<_>> = shards
            .map(|shard| self.attempts_of_shard(workspace, campaign, shard, None, None))
            .buffer_unordered(8)
            .try_collect()
            .await?;
        Ok(found.into_iter().flatten().collect())
    }

    /// Claims the right to send, as this try of `attempt`: the row as it was read, or as it is to be born.
    ///
    /// # Errors
    /// [`StoreError`]; then nobody knows whether the claim was written, and it must be treated as lost.
    pub async fn claim(
        &self,
        key: &AttemptKey,
        attempt: &Attempt,
        tried: Try,
        claim: &Claim,
    ) -> Result<Claimed, StoreError> {
        if tried.after == After::Nothing {
            let row = Attempt { claim: Some(claim.clone()), number: tried.number, ..attempt.clone() };
            return match self
                .put_new("attempt", keys::attempt(key), &row, self.expiry(Kind::Attempts, claim.slot))
                .await?
            {
                Put::New => Ok(Claimed::Won),
                Put::There(item) => whose(item, claim),
            };
        }
        match self.update(keys::attempt(key), claiming(attempt, tried, claim)?).await? {
            Updated::Done(_) => Ok(Claimed::Won),
            Updated::Refused(item) => whose(item, claim),
        }
    }

    /// Settles a recipient who gets no message, by a rule, in place of this try; who is claimed stays as they are.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn skip(&self, key: &AttemptKey, attempt: &Attempt, tried: Try, skip: &Skip) -> Result<(), StoreError> {
        if let Some(ended) = match tried.after {
            After::Nothing | After::Release => None,
            After::Failure => Some("failed"),
            After::Unknown => Some("unknown"),
        } {
            // It stays what it was, failed or unknown, and is not tried again.
            let mut update = Update::default();
            update.set("skipped", attribute("skip", skip)?);
            update.only_if_equal("number", number(i64::from(attempt.number)));
            update.only_if_present(ended);
            update.only_if_absent("skipped");
            return self.update(keys::attempt(key), update).await.map(|_| ());
        }
        let row = Attempt { number: 0, skipped: Some(skip.clone()), ..attempt.clone() };
        if self.put_new("attempt", keys::attempt(key), &row, self.expiry(Kind::Attempts, skip.at)).await?.is_new() {
            return Ok(());
        }
        let mut update = Update::default();
        update.set("skipped", attribute("skip", skip)?);
        update.remove("released");
        update.only_if_present("released");
        update.only_if_absent("claim");
        not_yet_settled(&mut update);
        self.update(keys::attempt(key), update).await.map(|_| ())
    }

    /// Records Meta's answer. A repeat changes nothing.
    ///
    /// # Errors
    /// [`StoreError`]; then the attempt stays claimed, becomes unknown, and a status resolves it.
    pub async fn record_accepted(
        &self,
        key: &AttemptKey,
        tried: u16,
        accepted: &Accepted,
        moment: Moment,
    ) -> Result<(), StoreError> {
        let flag = Evidence::Flag(Flag::Accepted, moment);
        let mut update = learning(&[flag], Some(Told { number: tried, wamid: Some(&accepted.wamid), pricing: None }))?;
        update.set_if_absent("response", text(&accepted.response));
        if let Updated::Refused(item) = self.update(keys::attempt(key), update).await?
            && !item.is_empty()
        {
            // A status of a kind that we do not know was faster; the answer itself is kept all the same.
            let mut update = Update::default();
            update.set_if_absent("wamid", text(&accepted.wamid));
            update.set_if_absent("response", text(&accepted.response));
            update.only_if_equal("number", number(i64::from(tried)));
            self.update(keys::attempt(key), update).await?;
        }
        Ok(())
    }

    /// Gives a claim back: Meta certainly does not have the message. `refusals` is how often Meta has refused it so far.
    ///
    /// # Errors
    /// [`StoreError`]; then the claim runs out and the attempt becomes unknown: a recipient may be lost, none is doubled.
    pub async fn release(
        &self,
        key: &AttemptKey,
        tried: u16,
        refusals: u16,
        release: &Release,
    ) -> Result<(), StoreError> {
        let mut update = Update::default();
        update.set("refusals", number(i64::from(refusals)));
        update.set("released", attribute("release", release)?);
        update.remove("claim");
        update.only_if_equal("number", number(i64::from(tried)));
        update.only_if_present("claim");
        self.update(keys::attempt(key), update).await.map(|_| ())
    }

    /// Marks an attempt as unknown whose answer was lost or whose claim ran out before `moment`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn mark_unknown(&self, key: &AttemptKey, tried: u16, moment: Moment) -> Result<(), StoreError> {
        let mut update = Update::default();
        update.set("unknown", attribute("moment", &moment)?);
        update.only_if_equal("number", number(i64::from(tried)));
        update.only_if_present("claim");
        update.only_if_absent("unknown");
        update.only_if_absent(Flag::Accepted.name());
        self.update(keys::attempt(key), update).await.map(|_| ())
    }

    /// Keeps what the operator says that the deal was worth; their first word counts, and more than any conversion's.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn record_value(&self, key: &AttemptKey, value: &Money) -> Result<(), StoreError> {
        let mut update = Update::default();
        update.set("closed_value", attribute("value", value)?);
        update.remove("closed_by");
        update.only_if_present("pk");
        let (value, by) = (update.name("closed_value"), update.name("closed_by"));
        update.only_if(format!("attribute_not_exists({value}) OR attribute_exists({by})"));
        self.update(keys::attempt(key), update).await.map(|_| ())
    }

    /// Keeps what a conversion was worth. Of several the earliest is kept, in whatever order they come; the operator's word
    /// stays.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn record_conversion(
        &self,
        key: &AttemptKey,
        at: UnixMillis,
        event: EventId,
        value: &Money,
    ) -> Result<(), StoreError> {
        let mut update = Update::default();
        update.set("closed_value", attribute("value", value)?);
        update.set("closed_by", attribute("conversion", &Conversion { at, event })?);
        update.only_if_present("pk");
        let known = update.name("closed_value");
        let (known_at, known_event) = (update.part("closed_by", "at"), update.part("closed_by", "event"));
        let (at, event) = (update.value(number(at.0)), update.value(text(&event.to_string())));
        update.only_if(format!(
            "attribute_not_exists({known}) OR {known_at} > {at} OR ({known_at} = {at} AND {known_event} > {event})"
        ));
        self.update(keys::attempt(key), update).await.map(|_| ())
    }

    /// Takes evidence in: one conditional write, a second one only when part of it was known. `told` names the try that
    /// it speaks of, where it names one: what a try that is over has come to is no news of the present one.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn learn(
        &self,
        key: &AttemptKey,
        evidence: &[Evidence],
        told: Option<Told<'_>>,
    ) -> Result<Learned, StoreError> {
        let mut news: Vec<Evidence> = earliest(evidence);
        let mut told = told;
        // Each refusal shows at least one piece that is known, unless another writer came in between.
        for _ in 0..news.len() + CONTENDERS {
            if news.is_empty() {
                return Ok(Learned::Nothing);
            }
            match self.update(keys::attempt(key), learning(&news, told)?).await? {
                Updated::Done(_) => return Ok(Learned::News),
                Updated::Refused(item) if item.is_empty() => return Ok(Learned::NoSuchAttempt),
                Updated::Refused(item) => {
                    let known: Attempt = read("attempt", item)?;
                    if told.is_some_and(|told| told.number <= known.superseded) {
                        news.retain(|evidence| !evidence.is_of_one_try());
                        told = None;
                    }
                    news.retain(|evidence| known.is_news(evidence));
                }
            }
        }
        Err(StoreError::Unavailable { operation: "UpdateItem", message: "too many writers on one attempt".to_owned() })
    }
}

/// What a status tells besides the evidence: which try it speaks of, and the id of its message.
#[derive(Clone, Copy, Debug)]
pub struct Told<'a> {
    /// The try's number, from the callback data.
    pub number: u16,
    /// Meta's message id, if it names one; fills in the id if the answer to the send was lost.
    pub wamid: Option<&'a str>,
    /// What it says of the price; the first word is kept.
    pub pricing: Option<&'a Pricing>,
}

/// The write that claims another try of a row.
fn claiming(attempt: &Attempt, tried: Try, claim: &Claim) -> Result<Update, StoreError> {
    let before = tried.number.saturating_sub(1);
    let mut update = Update::default();
    update.set("claim", attribute("claim", claim)?);
    update.set("number", number(i64::from(tried.number)));
    if let Some(contact) = &attempt.contact {
        update.set_if_absent("contact", text(&contact.to_string()));
    }
    update.only_if_equal("number", number(i64::from(before)));
    update.only_if_absent("skipped");
    match tried.after {
        After::Nothing | After::Release => {
            update.remove("released");
            update.only_if_present("released");
            update.only_if_absent("claim");
            not_yet_settled(&mut update);
        }
        After::Unknown => {
            update.remove("unknown");
            update.set("superseded", number(i64::from(before)));
            update.only_if_present("unknown");
            update.only_if_absent("failed");
            no_proof(&mut update, &PROOFS_OF_ACCEPTANCE);
        }
        After::Failure => {
            if let Some(failed) = &attempt.failed {
                let wamid = attempt.wamid.clone();
                let mut earlier = attempt.earlier.clone();
                earlier.push(EarlierTry { number: before, wamid, failed: failed.clone() });
                update.set("earlier", attribute("attempt", &earlier)?);
                let failed_at = update.part("failed", "seen");
                let seen = update.value(number(failed.seen.0));
                update.only_if(format!("{failed_at} = {seen}"));
            }
            for name in ["failed", "unknown", "released", "wamid", "response", "pricing", "refusals"] {
                update.remove(name);
            }
            for flag in FLAGS_OF_A_TRY {
                update.remove(flag.name());
            }
            update.set("superseded", number(i64::from(before)));
            update.only_if_present("failed");
            no_proof(&mut update, &PROOFS_OF_ARRIVAL);
        }
    }
    Ok(update)
}

/// On condition that nothing is known of how the attempt ended.
fn not_yet_settled(update: &mut Update) {
    update.only_if_absent("failed");
    update.only_if_absent("unknown");
    no_proof(update, &PROOFS_OF_ACCEPTANCE);
}

fn no_proof(update: &mut Update, proofs: &[Flag]) {
    for proof in proofs {
        update.only_if_absent(proof.name());
    }
}

/// Whose claim a row holds: a write whose answer was lost is repeated by the SDK and then finds itself.
fn whose(item: Item, claim: &Claim) -> Result<Claimed, StoreError> {
    if item.is_empty() {
        return Ok(Claimed::Lost);
    }
    let there: Attempt = read("attempt", item)?;
    Ok(if there.claim.is_some_and(|there| there.by == claim.by) { Claimed::Won } else { Claimed::Lost })
}

/// Of several reports of the same flag only the earliest matters.
fn earliest(evidence: &[Evidence]) -> Vec<Evidence> {
    let mut kept: Vec<Evidence> = Vec::new();
    for candidate in evidence {
        let same = kept.iter_mut().find(|kept| match (&**kept, candidate) {
            (Evidence::Flag(a, _), Evidence::Flag(b, _)) => a == b,
            (Evidence::Failed(_), Evidence::Failed(_)) => true,
            _ => false,
        });
        match same {
            None => kept.push(candidate.clone()),
            Some(kept) => {
                let earlier = match (&*kept, candidate) {
                    (Evidence::Flag(_, a), Evidence::Flag(_, b)) => b < a,
                    (Evidence::Failed(a), Evidence::Failed(b)) => b.comes_before(a),
                    _ => false,
                };
                if earlier {
                    *kept = candidate.clone();
                }
            }
        }
    }
    kept
}

/// The update that turns all of `news` on, on condition that all of it is news: the table's form of
/// [`Attempt::is_news`] and [`Attempt::learn`].
fn learning(news: &[Evidence], told: Option<Told<'_>>) -> Result<Update, StoreError> {
    let mut update = Update::default();
    update.only_if_present("pk");
    for evidence in news {
        match evidence {
            Evidence::Flag(flag, moment) => {
                update.set(flag.name(), attribute("moment", moment)?);
                let known = update.name(flag.name());
                let known_at = update.part(flag.name(), "at");
                let known_seen = update.part(flag.name(), "seen");
                let (at, seen) = (update.value(number(moment.at.0)), update.value(number(moment.seen.0)));
                update.only_if(format!(
                    "attribute_not_exists({known}) OR {known_at} > {at} OR ({known_at} = {at} AND {known_seen} > {seen})"
                ));
            }
            Evidence::Failed(failure) => {
                update.set("failed", attribute("failure", failure)?);
                let known = update.name("failed");
                let (known_at, known_code) = (update.part("failed", "at"), update.part("failed", "code"));
                let known_seen = update.part("failed", "seen");
                let (at, code) = (update.value(number(failure.at.0)), update.value(number(failure.code)));
                let seen = update.value(number(failure.seen.0));
                update.only_if(format!(
                    "attribute_not_exists({known}) OR {known_at} > {at} OR ({known_at} = {at} AND ({known_code} > {code} \
                     OR ({known_code} = {code} AND {known_seen} > {seen})))"
                ));
            }
        }
    }
    if let Some(told) = told {
        let superseded = update.name("superseded");
        let tried = update.value(number(i64::from(told.number)));
        update.only_if(format!("attribute_not_exists({superseded}) OR {superseded} < {tried}"));
        if let Some(wamid) = told.wamid {
            update.set_if_absent("wamid", text(wamid));
        }
        if let Some(pricing) = told.pricing {
            update.set_if_absent("pricing", attribute("pricing", pricing)?);
        }
    }
    Ok(update)
}
