//! One account for one number of Meta's.

use shared::account::{Account, AccountStatus, DEFAULT_RATE, Quality};
use shared::id::AccountId;

use crate::{NOW, Tables, WORKSPACE, at_once};

fn account(phone_number_id: &str) -> Account {
    Account {
        v: 1,
        id: AccountId::new(NOW),
        workspace: WORKSPACE,
        name: "Shop".to_owned(),
        phone_number_id: phone_number_id.to_owned(),
        waba_id: "1".to_owned(),
        display_phone_number: "+60 12-345 6789".to_owned(),
        messages_per_second: DEFAULT_RATE,
        limits: shared::account::Limits::default(),
        safety: shared::safety::Safety::default(),
        timezone: "Asia/Kuala_Lumpur".to_owned(),
        status: AccountStatus::Active,
        status_reason: None,
        paused_until: None,
        quality: Quality::Unknown,
        messaging_limit: None,
        portfolio: None,
        created_at: NOW,
    }
}

#[tokio::test]
async fn of_accounts_for_one_number_one_wins_and_the_others_leave_no_trace() {
    let tables = Tables::new().await;
    let contenders: Vec<Account> = (0..10).map(|_| account("106540352242922")).collect();
    let won = at_once(contenders.len(), |i| {
        let (core, account) = (tables.another_core(), contenders[i].clone());
        async move { core.create_account(&account).await.unwrap() }
    })
    .await;
    let winners: Vec<&Account> = contenders.iter().zip(&won).filter(|(_, won)| **won).map(|(a, _)| a).collect();
    assert_eq!(winners.len(), 1);
    let route = tables.core.account_of_number("106540352242922").await.unwrap();
    assert_eq!(route, Some((WORKSPACE, winners[0].id)));
    assert_eq!(tables.core.accounts(WORKSPACE, None, 100).await.unwrap().rows, [winners[0].clone()]);
    for (loser, _) in contenders.iter().zip(&won).filter(|(_, won)| !**won) {
        assert_eq!(tables.core.account(WORKSPACE, loser.id).await.unwrap(), None);
    }
}

#[tokio::test]
async fn an_account_with_another_number_is_another_account() {
    let tables = Tables::new().await;
    for number in ["1", "2"] {
        assert!(tables.core.create_account(&account(number)).await.unwrap());
    }
    assert_eq!(tables.core.accounts(WORKSPACE, None, 100).await.unwrap().rows.len(), 2);
    assert_eq!(tables.core.account_of_number("3").await.unwrap(), None);
}
