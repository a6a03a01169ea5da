//! What was there before the flood: accounts, campaigns, and attempts as `send` leaves them.

use futures::{StreamExt as _, TryStreamExt as _};
use serde_json::json;
use shared::account::{Account, NumberIdentity};
use shared::attempt::claim::{After, Try};
use shared::campaign::{Campaign, PAGE_SIZE};
use shared::store::{Claimed, Core, StoreError, Touch};
use shared::time::UnixMillis;

use super::wire::NUMBERS;
use super::world::{CAMPAIGNS, Life, Update, WORKSPACE, World};

/// Writes under way at once.
const AT_ONCE: usize = 32;

/// Writes everything that the product had written before the first event.
pub(crate) async fn seed(world: &World, core: &Core) {
    for (id, (number, waba)) in world.accounts.into_iter().zip(NUMBERS) {
        let number = NumberIdentity {
            phone_number_id: number.to_owned(),
            waba_id: waba.to_owned(),
            display_phone_number: "+1 555-078-3881".to_owned(),
        };
        assert!(core.create_account(&Account::new(id, WORKSPACE, number, UnixMillis::now())).await.unwrap());
    }
    for n in 0..CAMPAIGNS {
        assert!(core.create_campaign(&campaign(world, n)).await.unwrap());
    }
    futures::stream::iter(world.numbers().step_by(2))
        .map(|n| async move {
            let pair = [world.life(n), world.life(n + 1)];
            // A touch is there for everybody; those whom nobody answers are left out to save time.
            let answered = pair.iter().any(|life| life.updates.iter().any(|update| matches!(update, Update::Reply(_))));
            for life in &pair {
                write(core, life, answered).await?;
            }
            Ok::<_, StoreError>(())
        })
        .buffer_unordered(AT_ONCE)
        .try_collect::<()>()
        .await
        .unwrap();
}

async fn write(core: &Core, life: &Life, touched: bool) -> Result<(), StoreError> {
    let sent = &life.sent;
    let first = Try { number: sent.number, after: After::Nothing };
    let claim = sent.claim.as_ref().unwrap();
    assert_eq!(core.claim(&life.key, sent, first, claim).await?, Claimed::Won);
    if touched {
        let touch = Touch {
            v: 1,
            campaign: life.key.campaign,
            account: sent.account,
            shard: life.key.shard,
            seq: life.key.seq,
            at: UnixMillis::from_seconds(life.left_s),
            content: None,
        };
        core.touch(WORKSPACE, &World::digits(life.n / CAMPAIGNS), &touch).await?;
    }
    Ok(())
}

fn campaign(world: &World, n: u32) -> Campaign {
    let people = world.people;
    serde_json::from_value(json!({
        "v": 1, "id": world.campaigns[n as usize], "workspace": WORKSPACE, "account": world.accounts[n as usize / 2],
        "name": format!("Flood {n}"), "category": "marketing",
        "variants": (["A", "B"].map(|name| json!({
            "name": name, "weight": 1, "message": {"type": "text", "text": {"body": "Hi"}},
        }))),
        "schedule": {}, "on_unknown": "leave", "links": [], "recipients": people, "skipped": 0,
        "pages": people.div_ceil(PAGE_SIZE), "shards": world.shards(), "status": "draft",
        "next_page": 0, "done_before": 0, "created_at": UnixMillis::now().0,
    }))
    .unwrap()
}
