//! What is sent to one endpoint at a time, and for how long one that fails is left alone (a circuit breaker). So an endpoint
//! that is slow or dead takes a bounded part of the workers' time, and the others are served as if it were not there.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::id::ParcelId;
use crate::time::UnixMillis;

/// Parcels that are posted to one endpoint at a time.
pub const PARCELS_AT_ONCE: usize = 4;

/// After so many failures in a row an endpoint is left alone for a while.
pub const OPENS_AFTER: u32 = 5;

/// For so long at first; twice as long each time that the next try fails as well.
const FIRST_REST: Duration = Duration::from_secs(30);

/// And never for longer.
const LONGEST_REST: Duration = Duration::from_secs(3_600);

/// The largest share of a rest that is added to it at random, so that two that died together do not wake together.
const JITTER: f64 = 0.1;

/// A worker that has held its place for so long is dead: longer than an invocation of `deliver` takes.
pub const LEASE: Duration = Duration::from_secs(150);

/// A subscription of which nothing has arrived for so long is switched off.
const DEAD_AFTER: Duration = Duration::from_secs(5 * 24 * 3_600);

/// Provided that at least so many tries have failed: one alone, days after another, proves nothing.
const DEAD_AFTER_FAILURES: u32 = 10;

/// The state of an endpoint as it is stored.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// Version of the stored shape.
    pub v: u8,
    /// Counts the changes.
    pub revision: u64,
    /// The parcels that are being posted, each with the time after which its worker is dead.
    #[serde(default)]
    pub running: BTreeMap<ParcelId, UnixMillis>,
    /// Failures since the last success.
    #[serde(default)]
    pub failures: u32,
    /// The first of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failing_since: Option<UnixMillis>,
    /// Left alone until then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rests_until: Option<UnixMillis>,
    /// Rests since the last success.
    #[serde(default)]
    pub rests: u32,
    /// The last success.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub succeeded_at: Option<UnixMillis>,
}

/// Whether a parcel may be posted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// Yes.
    Go,
    /// Its first delivery: the endpoint has failed, and nobody knows whether it is back.
    Probe,
    /// Not now: others are at it.
    Busy,
    /// Not before then.
    Rests(UnixMillis),
}

/// What posting a parcel has come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Whether anything has arrived.
    pub succeeded: bool,
    /// Failures since then, or in all.
    pub failures: u32,
}

impl Seen {
    /// Another one has arrived, or not.
    pub const fn note(&mut self, succeeded: bool) {
        if succeeded {
            *self = Self { succeeded: true, failures: 0 };
        } else {
            self.failures = self.failures.saturating_add(1);
        }
    }
}

impl Endpoint {
    /// Gives the parcel a place, if there is one for it.
    pub fn admit(&mut self, parcel: ParcelId, now: UnixMillis) -> Admission {
        self.running.retain(|_, until| *until > now);
        if let Some(until) = self.rests_until.filter(|until| *until > now) {
            return Admission::Rests(until);
        }
        let probing = self.failures >= OPENS_AFTER;
        let places = if probing { 1 } else { PARCELS_AT_ONCE };
        if self.running.contains_key(&parcel) || self.running.len() >= places {
            return Admission::Busy;
        }
        self.running.insert(parcel, now.plus(LEASE));
        if probing { Admission::Probe } else { Admission::Go }
    }

    /// Takes the place back and notes what was seen. `roll` is random, from 0 to 1.
    pub fn done(&mut self, parcel: ParcelId, seen: Seen, roll: f64, now: UnixMillis) {
        self.running.remove(&parcel);
        if seen.succeeded {
            let (running, revision) = (std::mem::take(&mut self.running), self.revision);
            *self = Self { v: self.v, revision, running, succeeded_at: Some(now), ..Self::default() };
        }
        if seen.failures == 0 {
            return;
        }
        self.failures = self.failures.saturating_add(seen.failures);
        self.failing_since.get_or_insert(now);
        if self.failures >= OPENS_AFTER {
            let rest = FIRST_REST.saturating_mul(2_u32.saturating_pow(self.rests)).min(LONGEST_REST);
            let until = now.plus(rest.mul_f64(JITTER.mul_add(roll.clamp(0.0, 1.0), 1.0)));
            self.rests_until = self.rests_until.max(Some(until));
            self.rests = self.rests.saturating_add(1);
        }
    }

    /// Whether the subscription is to be switched off: nothing has arrived for days.
    #[must_use]
    pub fn is_dead(&self, now: UnixMillis) -> bool {
        self.failures >= DEAD_AFTER_FAILURES && self.failing_since.is_some_and(|since| now >= since.plus(DEAD_AFTER))
    }
}

#[cfg(test)]
mod tests {
    use ulid::Ulid;

    use super::*;

    const NOW: UnixMillis = UnixMillis(1_790_000_000_000);

    fn parcel(n: u128) -> ParcelId {
        ParcelId::from_ulid(Ulid::from_parts(1, n))
    }

    fn after(seconds: u64) -> UnixMillis {
        NOW.plus(Duration::from_secs(seconds))
    }

    fn failed(failures: u32) -> Seen {
        Seen { succeeded: false, failures }
    }

    #[test]
    fn so_many_parcels_at_a_time_and_each_by_one_worker() {
        let mut endpoint = Endpoint::default();
        for n in 0..4 {
            assert_eq!(endpoint.admit(parcel(n), NOW), Admission::Go);
        }
        assert_eq!(endpoint.admit(parcel(9), NOW), Admission::Busy);
        endpoint.done(parcel(0), Seen { succeeded: true, failures: 0 }, 0.0, NOW);
        assert_eq!(endpoint.admit(parcel(1), NOW), Admission::Busy, "another worker is at it");
        assert_eq!(endpoint.admit(parcel(9), NOW), Admission::Go);
        assert_eq!(endpoint.admit(parcel(8), NOW), Admission::Busy);
        assert_eq!(endpoint.admit(parcel(1), NOW.plus(LEASE)), Admission::Go, "its worker is dead");
    }

    #[test]
    fn an_endpoint_that_fails_is_left_alone_ever_longer_and_then_probed_by_one() {
        let mut endpoint = Endpoint::default();
        endpoint.done(parcel(1), failed(4), 0.0, NOW);
        assert_eq!(endpoint.admit(parcel(1), NOW), Admission::Go, "not yet");
        endpoint.done(parcel(1), failed(1), 0.0, NOW);
        assert_eq!(endpoint.admit(parcel(2), after(29)), Admission::Rests(after(30)));
        assert_eq!(endpoint.admit(parcel(2), after(30)), Admission::Probe);
        assert_eq!(endpoint.admit(parcel(3), after(30)), Admission::Busy, "one probe at a time");
        endpoint.done(parcel(2), failed(1), 0.0, after(31));
        assert_eq!(endpoint.admit(parcel(3), after(32)), Admission::Rests(after(31 + 60)));
        for n in 0..20_u32 {
            endpoint.done(parcel(3), failed(1), 1.0, after(u64::from(n)));
        }
        assert_eq!(endpoint.rests_until, Some(after(19 + 3_960)), "an hour and a tenth at most");
        endpoint.done(parcel(3), Seen { succeeded: true, failures: 0 }, 0.0, after(9_999));
        assert_eq!(endpoint.admit(parcel(4), after(9_999)), Admission::Go);
        assert_eq!((endpoint.failing_since, endpoint.succeeded_at), (None, Some(after(9_999))));
    }

    #[test]
    fn nothing_seen_changes_nothing_but_the_place() {
        let mut endpoint = Endpoint::default();
        endpoint.done(parcel(1), failed(2), 0.0, NOW);
        let before = endpoint.clone();
        endpoint.admit(parcel(1), NOW);
        endpoint.done(parcel(1), Seen::default(), 0.0, after(9));
        assert_eq!(endpoint, before);
    }

    #[test]
    fn five_days_without_a_success_are_the_end() {
        let mut endpoint = Endpoint::default();
        let day = 86_400;
        endpoint.done(parcel(1), failed(1), 0.0, NOW);
        endpoint.done(parcel(1), failed(1), 0.0, after(6 * day));
        assert!(!endpoint.is_dead(after(6 * day)), "two failures prove nothing");
        endpoint.done(parcel(1), failed(8), 0.0, after(6 * day));
        assert!(endpoint.is_dead(after(6 * day)));
        endpoint.done(parcel(1), Seen { succeeded: true, failures: 1 }, 0.0, after(6 * day));
        assert!(!endpoint.is_dead(after(7 * day)));
    }

    #[test]
    fn what_was_seen_counts_failures_since_the_last_success() {
        let mut seen = Seen::default();
        for succeeded in [false, true, false, false] {
            seen.note(succeeded);
        }
        assert_eq!(seen, Seen { succeeded: true, failures: 2 });
    }
}
