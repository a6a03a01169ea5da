//! `PATCH /v1/accounts/{id}`: JSON merge. What is absent stays, `null` is the default or none, and everything that is
//! wrong is said at once.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::{Extension, Json};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use shared::account::{Account, AccountPausedBy, DEFAULT_RATE, DEFAULT_TIMEZONE};
use shared::http::auth::Caller;
use shared::http::body;
use shared::http::problem::{FieldError, Problem};
use shared::secrets::AccessToken;
use shared::time::UnixMillis;

use super::{check, check_token, find, state, wrong};
use crate::Api;
use crate::view::AccountView;

/// `PATCH /v1/accounts/{id}`. A new access token lets an account go on that errors had paused.
pub(crate) async fn change(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    payload: Bytes,
) -> Result<Json<AccountView>, Problem> {
    let patch: Map<String, Value> = body::read(&payload)?;
    let account = find(&api, caller, &id).await?;
    let mut errors = apply(&patch, &mut account.clone());
    let token = read_token(&patch, &mut errors);
    if !errors.is_empty() {
        return Err(Problem::all_invalid(errors));
    }
    if let Some(token) = &token {
        // Before the row, which tells every process to read the token again.
        api.secrets.keep_token(account.workspace, account.id, token).await?;
    }
    let now = UnixMillis::now();
    let changed = api.core.change_account(account.workspace, account.id, |account| {
        let mut patched = account.clone();
        // Another change may have come in between that makes this one impossible.
        let errors = apply(&patch, &mut patched);
        if !errors.is_empty() {
            return Err(errors);
        }
        if token.is_some() {
            patched.token_at = Some(now);
        }
        let resumed = token.is_some() && patched.paused_by == Some(AccountPausedBy::Errors) && patched.resume();
        *account = patched;
        Ok(resumed)
    });
    let (account, changed) = changed.await?.ok_or_else(|| Problem::not_found("account"))?;
    if changed.map_err(Problem::all_invalid)? {
        let followed = api.core.campaigns_follow(account.workspace, account.id, now).await?;
        state::wake(&api, account.workspace, &followed).await;
    }
    Ok(Json(AccountView::from(&account)))
}

/// The new access token, if one is given.
fn read_token(patch: &Map<String, Value>, errors: &mut Vec<FieldError>) -> Option<AccessToken> {
    match patch.get("access_token")? {
        Value::String(token) => {
            let token = AccessToken::new(token);
            check_token(&token, errors);
            Some(token)
        }
        _ => {
            errors.push(wrong("/access_token", "must be a text"));
            None
        }
    }
}

/// Puts the patch on the account; what is wrong with it.
fn apply(patch: &Map<String, Value>, account: &mut Account) -> Vec<FieldError> {
    let mut errors = Vec::new();
    for (field, value) in patch {
        let pointer = format!("/{}", field.replace('~', "~0").replace('/', "~1"));
        let text = || match value {
            Value::String(text) => Ok(text.trim().to_owned()),
            _ => Err(wrong(pointer.as_str(), "must be a text")),
        };
        let applied = match field.as_str() {
            "name" => text().map(|name| account.name = name),
            "display_phone_number" => text().map(|number| account.display_phone_number = number),
            "timezone" if value.is_null() => {
                DEFAULT_TIMEZONE.clone_into(&mut account.timezone);
                Ok(())
            }
            "timezone" => text().map(|timezone| account.timezone = timezone),
            "portfolio" if value.is_null() => {
                account.portfolio = None;
                Ok(())
            }
            "portfolio" => text().map(|portfolio| account.portfolio = Some(portfolio)),
            "messages_per_second" => match value {
                Value::Null => Some(DEFAULT_RATE),
                // Out of range as any other number that is too large.
                value => value.as_u64().map(|rate| u32::try_from(rate).unwrap_or(u32::MAX)),
            }
            .map(|rate| account.messages_per_second = rate)
            .ok_or_else(|| wrong(pointer.as_str(), "must be a whole number")),
            "limits" => {
                merge(&mut account.limits, value, &pointer, &mut errors);
                Ok(())
            }
            "safety" => {
                merge(&mut account.safety, value, &pointer, &mut errors);
                Ok(())
            }
            // Kept elsewhere.
            "access_token" => Ok(()),
            "phone_number_id" | "waba_id" => {
                Err(wrong(pointer.as_str(), "cannot be changed: connect the number as another account"))
            }
            _ => Err(wrong(pointer.as_str(), "unknown field")),
        };
        errors.extend(applied.err());
    }
    if errors.is_empty() {
        check(account, &mut errors);
    } else {
        // What could be read may be wrong as well.
        let mut more = Vec::new();
        check(account, &mut more);
        more.retain(|error| !errors.iter().any(|known| known.pointer == error.pointer));
        errors.extend(more);
    }
    errors
}

/// Merges a patch into an object of which every member has a default, each member on its own, so that all that is wrong
/// is found.
fn merge<T>(present: &mut T, patch: &Value, pointer: &str, errors: &mut Vec<FieldError>)
where
    T: Serialize + DeserializeOwned + Default,
{
    let members = match patch {
        Value::Null => {
            *present = T::default();
            return;
        }
        Value::Object(members) => members,
        _ => return errors.push(wrong(pointer, "must be an object")),
    };
    for (member, value) in members {
        let merged = serde_json::to_value(&*present).and_then(|mut whole| {
            match whole.as_object_mut().filter(|whole| value.is_null() && whole.contains_key(member)) {
                // Absent is its default.
                Some(whole) => drop(whole.remove(member)),
                None => merge_patch(&mut whole[member.as_str()], value),
            }
            serde_json::to_vec(&whole)
        });
        match merged.map_err(|error| Problem::internal(&error)).and_then(|json| body::read(&Bytes::from(json))) {
            Ok(merged) => *present = merged,
            Err(problem) => {
                let found = problem.errors.into_iter();
                errors.extend(found.map(|error| wrong(format!("{pointer}{}", error.pointer), error.reason)));
            }
        }
    }
}

/// RFC 7396.
fn merge_patch(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    if let Value::Object(target) = target {
        for (key, value) in patch {
            if value.is_null() {
                target.remove(key);
            } else {
                merge_patch(target.entry(key.as_str()).or_insert(Value::Null), value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use shared::account::{Limits, NumberIdentity};
    use shared::id::{AccountId, WorkspaceId};
    use shared::safety::{FrequencyCap, Safety};

    use super::*;

    fn account() -> Account {
        let number = NumberIdentity {
            phone_number_id: "1".to_owned(),
            waba_id: "2".to_owned(),
            display_phone_number: "+1 555-078-3881".to_owned(),
        };
        let id: AccountId = "acc_01J00000000000000000000000".parse().unwrap();
        let account = Account::new(id, WorkspaceId::FIRST, number, UnixMillis(1));
        Account { name: "Shop".to_owned(), ..account }
    }

    fn patched(account: &mut Account, patch: Value) -> Vec<String> {
        let Value::Object(patch) = patch else { panic!("not an object") };
        apply(&patch, account).into_iter().map(|error| error.pointer).collect()
    }

    #[test]
    fn what_is_absent_stays_and_null_is_the_default_or_none() {
        let mut changed = account();
        changed.limits = Limits { per_minute: Some(10), per_day: Some(500), ..Limits::default() };
        changed.safety.require_opt_in = true;
        changed.safety.frequency_cap = Some(FrequencyCap { messages: 1, days: 7 });
        changed.portfolio = Some("group".to_owned());
        let patch = json!({
            "limits": {"per_minute": null, "per_hour": 100},
            "safety": {"require_opt_in": null, "error_threshold": 9, "frequency_cap": {"messages": 2}},
            "portfolio": null, "messages_per_second": 20,
        });
        assert_eq!(patched(&mut changed, patch), [""; 0]);
        let limits = Limits { per_hour: Some(100), per_day: Some(500), ..Limits::default() };
        let frequency_cap = Some(FrequencyCap { messages: 2, days: 7 });
        let safety = Safety { error_threshold: 9, frequency_cap, ..Safety::default() };
        assert_eq!(changed, Account { limits, safety, messages_per_second: 20, ..account() });

        let patch = json!({"limits": null, "safety": null, "messages_per_second": null, "timezone": null});
        assert_eq!(patched(&mut changed, patch.clone()), [""; 0]);
        assert_eq!(changed, account());
        assert_eq!(patched(&mut changed, patch), [""; 0], "a repeat");
        assert_eq!(changed, account());
    }

    #[test]
    fn all_that_is_wrong_is_said_at_once() {
        let patch = json!({
            "name": " ", "display_phone_number": null, "messages_per_second": 0, "timezone": "Mars/Olympus", "colour": 1,
            "waba_id": "3", "portfolio": 7,
            "limits": {"per_week": null, "per_minute": 0, "per_day": "many"}, "safety": {"quiet_hours": {"from": "25:00"}},
        });
        let mut found = patched(&mut account(), patch);
        found.sort_unstable();
        let expected = [
            "/colour",
            "/display_phone_number",
            "/limits/per_day",
            "/limits/per_minute",
            "/limits/per_week",
            "/messages_per_second",
            "/name",
            "/portfolio",
            "/safety/quiet_hours/from",
            "/timezone",
            "/waba_id",
        ];
        assert_eq!(found, expected);
        assert_eq!(patched(&mut account(), json!({"limits": 5, "safety": []})), ["/limits", "/safety"]);
    }
}
