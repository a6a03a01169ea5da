//! The few links that are being followed, kept for a minute so that a hot campaign needs no read per click.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use shared::link::Link;
use shared::link::code::LinkId;
use shared::store::{Core, StoreError};

/// How long a link is used before it is read again: a revoked link works at most this much longer.
const KEPT_FOR: Duration = Duration::from_secs(60);

/// Links kept at most; a rare campaign's link then costs a read.
const MOST: usize = 10_000;

/// What was read of a link, and when; `None` is that there was no such link.
struct Read {
    link: Option<Arc<Link>>,
    at: Instant,
}

#[derive(Default)]
pub(crate) struct LinkCache {
    kept: Mutex<HashMap<LinkId, Read>>,
}

impl LinkCache {
    /// The link, from the cache or the table. That there is no such link is kept as well.
    pub(crate) async fn get(&self, core: &Core, id: LinkId) -> Result<Option<Arc<Link>>, StoreError> {
        if let Some(known) = self.known(id) {
            return Ok(known);
        }
        let link = core.link(id).await?.map(Arc::new);
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= MOST {
            kept.retain(|_, read| read.at.elapsed() < KEPT_FOR);
        }
        if kept.len() < MOST {
            kept.insert(id, Read { link: link.clone(), at: Instant::now() });
        }
        Ok(link)
    }

    fn known(&self, id: LinkId) -> Option<Option<Arc<Link>>> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.get(&id).filter(|read| read.at.elapsed() < KEPT_FOR).map(|read| read.link.clone())
    }
}
