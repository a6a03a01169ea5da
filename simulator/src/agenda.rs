//! The one timer of the simulator: a queue of appointments ordered by time, and the windows in which updates are collected.
//! A campaign of a million messages is a million entries here, not a million sleeping tasks.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rand::Rng;
use tokio::sync::mpsc::UnboundedReceiver;

use crate::browser;
use crate::identity;
use crate::plan::EventKind;
use crate::webhook::courier;
use crate::webhook::payload::Update;
use crate::world::{EventKey, UpdateKey, World};

/// Something to do at a time.
#[derive(Debug)]
pub(crate) struct Appointment {
    /// Unix milliseconds.
    pub(crate) at_ms: u64,
    pub(crate) job: Job,
}

/// What there is to do.
#[derive(Debug)]
pub(crate) enum Job {
    /// Let an event happen.
    Event(EventKey),
    /// End the review of a revision of a template.
    Review { template: u64, revision: u64 },
    /// Deliver an update that is not about a message.
    Post(Arc<Update>),
    /// Hand a copy of an update to the window that collects for it.
    Copy {
        update: Arc<Update>,
        /// From 0; copies of one update never share a POST.
        copy: u32,
    },
}

/// Updates that wait for company. Each copy number has its own window.
#[derive(Debug, Default)]
struct Window {
    updates: Vec<Arc<Update>>,
    closes_ms: u64,
}

struct Agenda {
    world: Arc<World>,
    queue: BTreeMap<(u64, u64), Job>,
    windows: Vec<Window>,
    arrivals: u64,
}

/// Most appointments taken in or carried out before other tasks of the runtime get a turn.
const TURN: usize = 256;

/// Runs until the world stops.
pub(crate) async fn run(world: Arc<World>, mut inbox: UnboundedReceiver<Vec<Appointment>>) {
    let windows = (0..world.config.delivery.repeat).map(|_| Window::default()).collect();
    let mut agenda = Agenda { world: Arc::clone(&world), queue: BTreeMap::new(), windows, arrivals: 0 };
    let mut arrived = Vec::with_capacity(TURN);
    loop {
        agenda.carry_out_due();
        let wake_at = world.clock.instant_at(agenda.next_ms());
        tokio::select! {
            biased;
            () = world.stop.cancelled() => return,
            count = inbox.recv_many(&mut arrived, TURN) => {
                if count == 0 {
                    return;
                }
                for appointment in arrived.drain(..).flatten() {
                    agenda.enter(appointment);
                }
            }
            () = tokio::time::sleep_until(wake_at) => {}
        }
        tokio::task::yield_now().await;
    }
}

impl Agenda {
    fn enter(&mut self, appointment: Appointment) {
        // The arrival number keeps events of the same millisecond in their order.
        self.queue.insert((appointment.at_ms, self.arrivals), appointment.job);
        self.arrivals += 1;
    }

    /// When there is something to do next; an hour from now if there is nothing.
    fn next_ms(&self) -> u64 {
        let queued = self.queue.keys().next().map(|(at_ms, _)| *at_ms);
        let windows = self.windows.iter().filter(|window| !window.updates.is_empty()).map(|window| window.closes_ms);
        windows.chain(queued).min().unwrap_or_else(|| self.world.clock.now_ms() + 3_600_000)
    }

    fn carry_out_due(&mut self) {
        let now_ms = self.world.clock.now_ms();
        for _ in 0..TURN {
            match self.queue.first_entry() {
                Some(entry) if entry.key().0 <= now_ms => {
                    let job = entry.remove();
                    self.carry_out(job, now_ms);
                }
                _ => break,
            }
        }
        for copy in 0..self.windows.len() {
            if self.windows[copy].closes_ms <= now_ms {
                self.close(copy);
            }
        }
    }

    fn carry_out(&mut self, job: Job, now_ms: u64) {
        match job {
            Job::Copy { update, copy } => self.collect(update, copy, now_ms),
            Job::Review { template, revision } => self.world.review(template, revision),
            Job::Post(update) => self.spread(&update, 0, now_ms),
            Job::Event(key) => {
                let world = Arc::clone(&self.world);
                let record = world.book().message(key.message);
                let Some(event) = record.as_ref().and_then(|record| record.plan.events.get(key.event)) else { return };
                match event.kind {
                    EventKind::Preview { .. } | EventKind::Click { .. } => browser::visit(&world, key),
                    _ => match happen(&world, key) {
                        Some(update) => self.spread(&Arc::new(update), 0, now_ms),
                        // A number that a new configuration no longer lists: Meta would have nobody to tell.
                        None => world.settle(world.config.delivery.repeat as usize),
                    },
                }
            }
        }
    }

    /// Makes appointments for the copies of an update, from `first` on.
    fn spread(&mut self, update: &Arc<Update>, first: u32, now_ms: u64) {
        let world = Arc::clone(&self.world);
        for copy in first..world.config.delivery.repeat {
            match hold_ms(&world, update.key, copy) {
                0 => self.collect(Arc::clone(update), copy, now_ms),
                hold_ms => self.enter(Appointment {
                    at_ms: now_ms + hold_ms,
                    job: Job::Copy { update: Arc::clone(update), copy },
                }),
            }
        }
    }

    fn collect(&mut self, update: Arc<Update>, copy: u32, now_ms: u64) {
        let delivery = &self.world.config.delivery;
        let Some(window) = self.windows.get_mut(copy as usize) else { return };
        if window.updates.is_empty() {
            window.closes_ms = now_ms + milliseconds(delivery.window);
        }
        window.updates.push(update);
        if window.updates.len() >= delivery.batch_max {
            self.close(copy as usize);
        }
    }

    fn close(&mut self, copy: usize) {
        let updates = std::mem::take(&mut self.windows[copy].updates);
        if !updates.is_empty() {
            courier::dispatch(&self.world, &updates, u32::try_from(copy).unwrap_or(u32::MAX), None);
        }
    }
}

/// Lets a status or an answer happen and gives the update that reports it.
pub(crate) fn happen(world: &World, key: EventKey) -> Option<Update> {
    world.book().happened(key);
    world.update(key)
}

/// Appointments for the second and further copies of an update whose first one is delivered by other means.
pub(crate) fn further_copies(world: &World, update: &Arc<Update>) -> Vec<Appointment> {
    let now_ms = world.clock.now_ms();
    let appointment = |copy| Appointment {
        at_ms: now_ms + hold_ms(world, update.key, copy),
        job: Job::Copy { update: Arc::clone(update), copy },
    };
    (1..world.config.delivery.repeat).map(appointment).collect()
}

/// How long a copy is held back: further copies come later, and shuffling adds a random time to each.
fn hold_ms(world: &World, key: UpdateKey, copy: u32) -> u64 {
    let delivery = &world.config.delivery;
    let apart = u64::from(copy) * milliseconds(delivery.window).max(20);
    let Some(horizon) = delivery.shuffle else { return apart };
    let (of, number) = match key {
        UpdateKey::Event(key) => (key.message.to_string(), key.event.to_string()),
        UpdateKey::Notice(number) => ("notice".to_owned(), number.to_string()),
    };
    let parts = ["shuffle", &of, &number, &copy.to_string()];
    apart + identity::stream(world.config.seed, &parts).random_range(0..=milliseconds(horizon))
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
