//! What the raw archive must hold: everything that came in, at least once, and nothing that did not.

use std::collections::BTreeSet;

use local::stack::{BUCKET, Stack};
use serde_json::Value;
use shared::activity::Click;
use shared::archive::{self, Line, PREFIX};
use shared::id::EventId;
use shared::queue::Inbound;

use super::wire;
use super::world::{CAMPAIGNS, Update, World};

/// What was found so far.
struct Found<'a> {
    world: &'a World,
    /// For each recipient a bit for each of their updates.
    updates: Vec<u32>,
    clicks: BTreeSet<EventId>,
    lines: usize,
    wrong: Option<String>,
}

pub(super) async fn differences(world: &World, stack: &Stack) -> Option<String> {
    let updates = vec![0; world.numbers().len()];
    let mut found = Found { world, updates, clicks: BTreeSet::new(), lines: 0, wrong: None };
    let client = stack.engines().s3();
    let (mut objects, mut bytes, mut next) = (0, 0, None);
    loop {
        let list = client.list_objects_v2().bucket(BUCKET).prefix(PREFIX).set_continuation_token(next.take());
        let page = list.send().await.unwrap();
        for key in page.contents().iter().filter_map(|object| object.key()) {
            let object = client.get_object().bucket(BUCKET).key(key).send().await.unwrap();
            let object = object.body.collect().await.unwrap().into_bytes();
            (objects, bytes) = (objects + 1, bytes + object.len());
            for line in archive::lines(&object).unwrap() {
                found.line(&line.unwrap());
            }
        }
        next = page.next_continuation_token;
        if next.is_none() {
            break;
        }
    }
    println!("the archive has {} messages in {objects} objects of {} MiB", found.lines, bytes >> 20);
    found.what_is_wrong()
}

impl Found<'_> {
    fn line(&mut self, line: &Line) {
        self.lines += 1;
        let is_known = if line.is_of_meta() { self.notification(&line.body) } else { self.click(&line.body) };
        if is_known.is_none() {
            self.wrong = Some(format!("the archive has something else: {}", String::from_utf8_lossy(&line.body)));
        }
    }

    fn click(&mut self, body: &[u8]) -> Option<()> {
        let Inbound::Click(click) = serde_json::from_slice(body).ok()? else { return None };
        let Click { id, campaign, recipient, ip, user_agent, .. } = *click;
        let campaign = self.world.campaigns.iter().position(|known| Some(*known) == campaign)?;
        let life = self.life(recipient?.1.0 * CAMPAIGNS + u32::try_from(campaign).ok()?)?;
        life.clicks.iter().find(|visit| visit.id == id)?;
        self.clicks.insert(id);
        // What tells of the person is not kept.
        (ip.is_none() && user_agent.is_none()).then_some(())
    }

    /// Byte for byte as it was sent, so it is read by other means than the product's.
    fn notification(&mut self, body: &[u8]) -> Option<()> {
        let body: Value = serde_json::from_slice(body).ok()?;
        for entry in body["entry"].as_array()? {
            for change in entry["changes"].as_array()? {
                let value = &change["value"];
                if change["field"] == "brand_new_field" {
                    let n = u32::try_from(value["of"].as_u64()?).ok()?;
                    self.mark(n, |update| matches!(update, Update::Unknown))?;
                }
                for status in value["statuses"].as_array().into_iter().flatten() {
                    self.status(status)?;
                }
                for message in value["messages"].as_array().into_iter().flatten() {
                    let wamid = message["id"].as_str()?;
                    let n = wamid.strip_prefix("wamid.in.")?.split('.').next()?.parse().ok()?;
                    self.mark(n, |update| matches!(update, Update::Reply(reply) if reply.wamid == wamid))?;
                }
            }
        }
        Some(())
    }

    fn status(&mut self, status: &Value) -> Option<()> {
        let wamid = status["id"].as_str()?;
        if let Some(n) = wamid.strip_prefix("wamid.broken.") {
            let n = n.parse().ok()?;
            (*status == serde_json::from_str::<Value>(&wire::broken(n)).ok()?).then_some(())?;
            return self.mark(n, |update| matches!(update, Update::Broken));
        }
        let (_, n) = wamid.rsplit_once('I')?;
        let n = n.get(..8)?.parse().ok()?;
        let at_s: i64 = status["timestamp"].as_str()?.parse().ok()?;
        let code = status["errors"][0]["code"].as_i64();
        self.mark(n, |update| match update {
            Update::Status(known) => {
                known.wamid == wamid && known.kind == status["status"] && known.at_s == at_s && known.code == code
            }
            _ => false,
        })
    }

    /// Notes the recipient's updates that are this one.
    fn mark(&mut self, n: u32, is_it: impl Fn(&Update) -> bool) -> Option<()> {
        let life = self.life(n)?;
        let bits = life.updates.iter().enumerate().filter(|(_, update)| is_it(update)).map(|(k, _)| 1 << k);
        let bits = bits.fold(0, |all: u32, bit: u32| all | bit);
        self.updates[n as usize] |= bits;
        (bits != 0).then_some(())
    }

    fn life(&self, n: u32) -> Option<super::world::Life> {
        self.world.numbers().contains(&n).then(|| self.world.life(n))
    }

    fn what_is_wrong(self) -> Option<String> {
        if self.wrong.is_some() {
            return self.wrong;
        }
        for life in self.world.numbers().map(|n| self.world.life(n)) {
            if self.updates[life.n as usize].count_ones() as usize != life.updates.len() {
                return Some(format!("the archive has not all updates of recipient {}", life.n));
            }
            if !life.clicks.iter().all(|visit| self.clicks.contains(&visit.id)) {
                return Some(format!("the archive has not all clicks of recipient {}", life.n));
            }
        }
        None
    }
}
