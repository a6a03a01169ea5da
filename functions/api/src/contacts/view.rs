//! What the API shows of a person.

use std::collections::HashMap;

use serde_json::{Value, json};
use shared::contact::alias::Rank;
use shared::contact::family::Family;
use shared::contact::{Consent, Contact};
use shared::conversation::Conversation;
use shared::http::auth::Caller;
use shared::http::problem::Problem;
use shared::id::{AccountId, ContactId};
use shared::store::Known;
use shared::time::UnixMillis;

use crate::Api;

/// A person in a list.
pub(super) fn short(person: &Contact, consents: &HashMap<String, Consent>) -> Value {
    let consent = person.phone.as_ref().and_then(|phone| consents.get(phone.digits()));
    json!({
        "id": person.id,
        "phone": person.phone,
        "name": person.name,
        "email": person.email,
        "attributes": person.attributes,
        "tags": person.tags,
        "persona": person.persona,
        "opt_in": consent.and_then(|consent| consent.opt_in.as_ref()),
        "opt_out": consent.and_then(|consent| consent.opt_out.as_ref()),
        "opted_out": consent.is_some_and(Consent::is_opted_out),
        "created_at": person.created_at.to_rfc3339(),
        "updated_at": person.updated_at.to_rfc3339(),
    })
}

/// A person with their identifiers, the consent given under each, who was merged into them, and until when each account may
/// write to them freely. `merged_into` is there when another contact of theirs was asked for.
pub(super) async fn whole(
    api: &Api,
    caller: Caller,
    asked: ContactId,
    family: &Family,
    known: &[Known],
) -> Result<Value, Problem> {
    let workspace = caller.workspace;
    let person = family.person();
    let mut aliases = Vec::new();
    let mut of_user_id = None;
    for Known { alias, contact, at, until } in known {
        let mut shown = json!({
            "kind": alias.kind().name().to_lowercase(),
            "value": alias.value(),
            "contact_id": contact,
            "since": at.to_rfc3339(),
            "until": until.map(UnixMillis::to_rfc3339),
        });
        if alias.kind().rank() == Rank::User
            && let Some(consent) = api.core.consent_of(workspace, alias).await?
        {
            shown["opt_in"] = json!(consent.opt_in);
            shown["opt_out"] = json!(consent.opt_out);
            shown["opted_out"] = json!(consent.is_opted_out());
            if until.is_none() {
                of_user_id = of_user_id.or(Some(consent));
            }
        }
        aliases.push(shown);
    }
    let digits: Vec<&str> = person.phone.iter().map(shared::phone::PhoneNumber::digits).collect();
    let mut shown = short(&person, &api.core.consents(workspace, &digits).await?);
    // Whoever hides their number has given their word under their user id.
    if let (None, Some(consent)) = (&person.phone, of_user_id) {
        shown["opted_out"] = json!(consent.is_opted_out());
        shown["opt_in"] = json!(consent.opt_in);
        shown["opt_out"] = json!(consent.opt_out);
    }
    shown["merged_into"] = json!((asked != person.id).then_some(person.id));
    shown["absorbed"] = family
        .absorbed
        .iter()
        .map(|contact| json!({"id": contact.id, "merged_at": contact.merged_into.map(|merged| merged.at.to_rfc3339())}))
        .collect();
    shown["aliases"] = json!(aliases);
    shown["conversations"] = conversations(api, caller, family).await?;
    Ok(shown)
}

async fn conversations(api: &Api, caller: Caller, family: &Family) -> Result<Value, Problem> {
    let mut of_account: HashMap<AccountId, Vec<Conversation>> = HashMap::new();
    for contact in family.ids() {
        for (account, conversation) in api.core.conversations(caller.workspace, contact).await? {
            of_account.entry(account).or_default().push(conversation);
        }
    }
    let mut accounts: Vec<(AccountId, Conversation)> =
        of_account.into_iter().map(|(account, rows)| (account, Conversation::joined(rows))).collect();
    accounts.sort_by_key(|(account, _)| *account);
    let now = UnixMillis::now();
    let shown = accounts.iter().map(|(account, conversation)| {
        json!({
            "account_id": account,
            "last_inbound_at": conversation.last_inbound_at.map(UnixMillis::to_rfc3339),
            "window_open_until": conversation.open_until().map(UnixMillis::to_rfc3339),
            "window_open": conversation.is_open_at(now),
        })
    });
    Ok(shown.collect())
}
