//! The password of a link: posted as a form, never in an address, and tried a few times a minute at most.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use lambda_http::Body;
use shared::link::code::LinkId;
use shared::link::password::PasswordHash;
use tokio::sync::Semaphore;

/// Passwords that may be tried for one link in [`WINDOW`], on this instance. What a guess costs besides is the hash's work.
const MOST_TRIES: u32 = 10;
const WINDOW: Duration = Duration::from_secs(60);

/// Hashes that are computed at once, at 19 MiB each.
const HASHES_AT_ONCE: usize = 2;

/// Largest form that is read, in bytes.
const MAX_FORM_BYTES: usize = 1_024;

/// How often passwords were tried lately.
pub(crate) struct Tries {
    of: Mutex<HashMap<LinkId, (Instant, u32)>>,
    hashing: Semaphore,
}

/// What became of a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Right,
    Wrong,
    /// It was not looked at; another will be in so many seconds.
    TooMany(u64),
}

impl Default for Tries {
    fn default() -> Self {
        Self { of: Mutex::default(), hashing: Semaphore::new(HASHES_AT_ONCE) }
    }
}

impl Tries {
    /// Compares the password of a form with the link's.
    pub(crate) async fn judge(&self, link: LinkId, hash: &PasswordHash, form: &Body) -> Verdict {
        let Some(password) = password_in(form) else { return Verdict::Wrong };
        if let Some(wait) = self.wait(link, Instant::now()) {
            return Verdict::TooMany(wait.as_secs().max(1));
        }
        let Ok(_place) = self.hashing.acquire().await else { return Verdict::Wrong };
        let hash = Arc::new(hash.clone());
        match tokio::task::spawn_blocking(move || hash.matches(&password)).await {
            Ok(true) => Verdict::Right,
            Ok(false) | Err(_) => Verdict::Wrong,
        }
    }

    /// Counts one try; how long to wait when there were too many.
    fn wait(&self, link: LinkId, now: Instant) -> Option<Duration> {
        let mut of = self.of.lock().unwrap_or_else(PoisonError::into_inner);
        // Only links that have a password are ever in it, so it stays small.
        of.retain(|_, (since, _)| now.duration_since(*since) < WINDOW);
        let (since, tries) = of.entry(link).or_insert((now, 0));
        if *tries >= MOST_TRIES {
            return Some(WINDOW.saturating_sub(now.duration_since(*since)));
        }
        *tries += 1;
        None
    }
}

fn password_in(form: &Body) -> Option<String> {
    let bytes: &[u8] = form.as_ref();
    if bytes.len() > MAX_FORM_BYTES {
        return None;
    }
    let mut fields = url::form_urlencoded::parse(bytes);
    fields.find(|(name, _)| name == "password").map(|(_, value)| value.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_passwords_a_minute_are_looked_at_for_each_link() {
        let (tries, begun) = (Tries::default(), Instant::now());
        let link = |n: u32| LinkId::new(n).unwrap();
        let at = |s: u64| begun + Duration::from_secs(s);
        assert!((0..10).all(|n| tries.wait(link(1), at(n)).is_none()));
        assert_eq!(tries.wait(link(1), at(20)), Some(Duration::from_secs(40)));
        assert_eq!(tries.wait(link(2), at(20)), None);
        assert_eq!(tries.wait(link(1), at(60)), None, "a new minute");
        assert_eq!(tries.of.lock().unwrap().len(), 2);
    }

    #[tokio::test]
    async fn only_the_right_password_opens() {
        let (tries, hash) = (Tries::default(), PasswordHash::of("open sesame").unwrap());
        let link = LinkId::new(1).unwrap();
        for (form, expected) in [
            ("password=open+sesame", Verdict::Right),
            ("password=open%20sesame&x=1", Verdict::Right),
            ("password=Open", Verdict::Wrong),
            ("pw=open+sesame", Verdict::Wrong),
            ("", Verdict::Wrong),
        ] {
            assert_eq!(tries.judge(link, &hash, &Body::from(form)).await, expected, "{form}");
        }
        let large = format!("password=open+sesame&x={}", "a".repeat(MAX_FORM_BYTES));
        assert_eq!(tries.judge(link, &hash, &Body::from(large)).await, Verdict::Wrong);
    }
}
