//! Trouble on purpose: what at-least-once delivery permits but a quiet machine never does. A seed makes it repeatable
//! as far as the order of concurrent invocations is.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use crate::engines::Faults;
use rand::{Rng as _, SeedableRng as _, rngs::StdRng, seq::SliceRandom as _};

/// What a source does besides delivering. The default is nothing; every share is a probability from 0 to 1.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Mischief {
    /// Where the random numbers begin.
    pub seed: u64,
    /// Share of batches that are delivered once more after they were acknowledged.
    pub redeliver: f64,
    /// Share of batches whose records are shuffled. Queues only: a stream keeps its order whatever happens.
    pub reorder: f64,
    /// Share of batches whose response is lost after the function ran, as if the process had died just then.
    pub crash: f64,
    /// Share of batches that are cut at a random place and delivered in parts.
    pub cut: f64,
    /// The longest pause before a delivery; each is random.
    pub delay: Duration,
    /// How the engines fail for the functions and the drivers of the whole stack.
    pub faults: Faults,
}

/// The dice of one source.
#[derive(Debug)]
pub(super) struct Dice {
    mischief: Mischief,
    random: Mutex<StdRng>,
}

impl Dice {
    pub(super) fn new(mischief: Mischief) -> Self {
        let random = Mutex::new(StdRng::seed_from_u64(mischief.seed));
        Self { mischief, random }
    }

    pub(super) fn redeliver(&self) -> bool {
        self.happens(self.mischief.redeliver)
    }

    pub(super) fn crash(&self) -> bool {
        self.happens(self.mischief.crash)
    }

    /// Shuffles the records, or leaves them.
    pub(super) fn reorder<T>(&self, records: &mut [T]) {
        if self.happens(self.mischief.reorder) {
            records.shuffle(&mut *self.random());
        }
    }

    /// Where to cut a batch of this length; `None` leaves it whole.
    pub(super) fn cut(&self, length: usize) -> Option<usize> {
        (length > 1 && self.happens(self.mischief.cut)).then(|| self.random().random_range(1..length))
    }

    /// Waits as long as the dice say.
    pub(super) async fn delay(&self) {
        if self.mischief.delay > Duration::ZERO {
            let share = self.random().random::<f64>();
            tokio::time::sleep(self.mischief.delay.mul_f64(share)).await;
        }
    }

    fn happens(&self, share: f64) -> bool {
        share > 0.0 && self.random().random::<f64>() < share
    }

    fn random(&self) -> std::sync::MutexGuard<'_, StdRng> {
        self.random.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
