//! One account for one number of Meta's.

use shared::account::{Account, NumberIdentity};
use shared::id::AccountId;

use crate::{NOW, Tables, WORKSPACE, at_once};

pub(crate) fn account(phone_number_id: &str) -> Account {
    let number = NumberIdentity {
        phone_number_id: phone_number_id.to_owned(),
        waba_id: "1".to_owned(),
        display_phone_number: "+60 12-345 6789".to_owned(),
    };
    Account { name: "Shop".to_owned(), ..Account::new(AccountId::new(NOW), WORKSPACE, number, NOW) }
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

#[tokio::test]
async fn a_business_account_leads_to_the_accounts_of_all_its_numbers() {
    let tables = Tables::new().await;
    let both = [account("1"), account("2")];
    for account in &both {
        assert!(tables.core.create_account(account).await.unwrap());
    }
    let elsewhere = Account { waba_id: "2".to_owned(), ..account("3") };
    assert!(tables.core.create_account(&elsewhere).await.unwrap());
    assert!(!tables.core.create_account(&account("1")).await.unwrap(), "the number is taken");

    let mut expected = both.map(|account| (WORKSPACE, account.id));
    expected.sort_unstable();
    assert_eq!(tables.core.accounts_of_waba("1").await.unwrap(), expected);
    assert_eq!(tables.core.accounts_of_waba("2").await.unwrap(), [(WORKSPACE, elsewhere.id)]);
    assert_eq!(tables.core.accounts_of_waba("").await.unwrap(), []);

    let of_before = Account { waba_id: "9".to_owned(), ..account("4") };
    for _ in 0..2 {
        tables.core.route_waba(&of_before).await.unwrap();
    }
    assert_eq!(tables.core.accounts_of_waba("9").await.unwrap(), [(WORKSPACE, of_before.id)]);
}
