//! What a process uses while it works: resident memory over the run, and how far the run was.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Between two looks.
const EVERY: Duration = Duration::from_millis(250);

/// Between two lines that say how far it is.
const TOLD_EVERY: Duration = Duration::from_secs(60);

/// Watches whichever process is running now.
pub(crate) struct Meter {
    begun: Instant,
    pid: AtomicU32,
    /// Updates that were acknowledged.
    pub(crate) done: AtomicUsize,
    samples: Mutex<Vec<Sample>>,
}

#[derive(Clone, Copy)]
struct Sample {
    at: Duration,
    done: usize,
    resident_mib: u64,
}

impl Meter {
    pub(crate) fn new() -> Self {
        Self { begun: Instant::now(), pid: AtomicU32::new(0), done: AtomicUsize::new(0), samples: Mutex::default() }
    }

    /// From now on this process.
    pub(crate) fn watch(&self, pid: u32) {
        self.pid.store(pid, Ordering::Relaxed);
    }

    /// Looks for ever, and says now and then how far it is.
    pub(crate) async fn run(&self) {
        let mut told = Duration::ZERO;
        loop {
            tokio::time::sleep(EVERY).await;
            if let Some(resident_mib) = resident_mib(self.pid.load(Ordering::Relaxed)) {
                let sample = Sample { at: self.begun.elapsed(), done: self.done.load(Ordering::Relaxed), resident_mib };
                self.samples.lock().unwrap().push(sample);
                if sample.at >= told + TOLD_EVERY {
                    told = sample.at;
                    println!("{:>6.0} s {:>9} updates  {resident_mib:>6} MiB", told.as_secs_f64(), sample.done);
                }
            }
        }
    }

    /// Prints rate and memory in ten parts of the run; the highest memory of the first and of the last half, in MiB.
    pub(crate) fn report(&self) -> (u64, u64) {
        let samples = self.samples.lock().unwrap().clone();
        let Some(last) = samples.last().copied() else { return (0, 0) };
        println!("    time   updates  updates/s  resident MiB (mean, max)");
        let mut before = Sample { at: Duration::ZERO, done: 0, resident_mib: 0 };
        for part in samples.chunks(samples.len().div_ceil(10)) {
            let end = part[part.len() - 1];
            let seconds = (end.at - before.at).as_secs_f64();
            let mean = part.iter().map(|sample| sample.resident_mib).sum::<u64>() / part.len() as u64;
            println!(
                "{:>6.0} s {:>9} {:>10.0}  {mean:>6} {:>6}",
                end.at.as_secs_f64(),
                end.done,
                (end.done - before.done) as f64 / seconds,
                highest(part),
            );
            before = end;
        }
        println!(
            "resident memory: first {} MiB, last {} MiB, highest {} MiB",
            samples[0].resident_mib,
            last.resident_mib,
            highest(&samples)
        );
        let (first, second) = samples.split_at(samples.len() / 2);
        (highest(first), highest(second))
    }
}

fn highest(samples: &[Sample]) -> u64 {
    samples.iter().map(|sample| sample.resident_mib).max().unwrap_or(0)
}

/// Resident memory of a process; Linux only.
fn resident_mib(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? / 1_024)
}
