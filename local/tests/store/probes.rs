//! Accounts are looked at once a slot whoever tries, and what was found is counted once.

use shared::account::{Account, NumberIdentity};
use shared::health::probes::{Slot, Trouble};
use shared::store::AppsAsked;
use shared::time::UnixMillis;

use crate::{NOW, Tables, WORKSPACE, account_id, at_once};

fn account() -> Account {
    let number = NumberIdentity {
        phone_number_id: "107853902081447".to_owned(),
        waba_id: "104996122399160".to_owned(),
        display_phone_number: "+1 555-078-3881".to_owned(),
    };
    Account::new(account_id(), WORKSPACE, number, NOW)
}

#[tokio::test]
async fn a_slot_is_taken_by_one_of_those_who_try() {
    let tables = Tables::new().await;
    let slot = Slot::of(NOW);
    assert!(tables.core.take_probe(account_id(), slot).await.unwrap().is_none(), "nobody asked for looks");
    tables.core.create_account(&account()).await.unwrap();
    tables.core.watch_account(&account()).await.unwrap();
    for slot in [slot, Slot(slot.0 + 1)] {
        let due = tables.core.accounts_to_probe(slot).await.unwrap();
        assert_eq!(due.iter().map(|watched| watched.account).collect::<Vec<_>>(), [account_id()]);
        let taken = at_once(8, |_| {
            let core = tables.another_core();
            async move { core.take_probe(account_id(), slot).await.unwrap() }
        })
        .await;
        assert_eq!(taken.iter().flatten().count(), 1);
        assert_eq!(tables.core.accounts_to_probe(slot).await.unwrap(), []);
    }
    assert!(tables.core.take_probe(account_id(), slot).await.unwrap().is_none(), "an older slot is over");
}

#[tokio::test]
async fn what_meta_said_of_apps_is_kept_for_the_next_look() {
    let tables = Tables::new().await;
    tables.core.create_account(&account()).await.unwrap();
    let asked = AppsAsked { at: NOW, subscribed: true };
    tables.core.keep_apps(account_id(), asked).await.unwrap();
    let watched = tables.core.take_probe(account_id(), Slot::of(NOW)).await.unwrap().unwrap();
    assert_eq!((watched.apps, watched.workspace), (Some(asked), WORKSPACE));
}

#[tokio::test]
async fn looks_are_counted_once_over_midnight_however_often_they_are_noted() {
    let tables = Tables::new().await;
    // 2026-09-22T00:10:00Z
    let now = UnixMillis(1_790_035_800_000);
    let Slot(last) = Slot::of(now);
    for _ in 0..2 {
        for (back, troubles) in [(0, &[][..]), (1, &[Trouble::App]), (3, &[Trouble::App, Trouble::Unheard]), (4, &[])] {
            tables.core.record_probe(WORKSPACE, account_id(), Slot(last - back), troubles).await.unwrap();
        }
    }
    let probes = tables.core.probes(WORKSPACE, account_id(), now).await.unwrap();
    assert_eq!(probes.up_and_down(now), (2, 2));
    assert_eq!(probes.troubles(now), [(Trouble::App, 2), (Trouble::Unheard, 1)]);
    assert_eq!(probes.latest(now).unwrap().len(), 0);
    let tomorrow = UnixMillis(now.0 + 86_400_000);
    assert_eq!(tables.core.probes(WORKSPACE, account_id(), tomorrow).await.unwrap().up_and_down(tomorrow), (0, 0));
}
