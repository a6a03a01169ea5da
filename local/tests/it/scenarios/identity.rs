//! Contacts as persons, over the API: identifiers, search, changes, merging and deleting.

use local::stack::People;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::{account, consent::notify, stack, until};

/// Any request; what was answered.
async fn call(base: &str, key: &str, method: Method, path: &str, body: &Value) -> (StatusCode, Value) {
    let request = reqwest::Client::new().request(method, format!("{base}{path}")).bearer_auth(key);
    let answer = request.json(body).send().await.unwrap();
    let status = answer.status();
    let text = answer.text().await.unwrap();
    (status, serde_json::from_str(&text).unwrap_or(Value::Null))
}

#[tokio::test(flavor = "multi_thread")]
async fn contacts_are_made_found_changed_merged_and_deleted() {
    let (stack, api) = stack(People::default(), None).await;
    let (base, key) = (stack.base_url().to_owned(), stack.admin_key().to_owned());
    let call = async |method: Method, path: String, body: Value| call(&base, &key, method, &path, &body).await;
    let get = async |path: &str| api.get(path).await.unwrap();
    let ids = async |path: &str| -> Vec<String> {
        let found = api.get(path).await.unwrap();
        found["data"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect()
    };

    let aisha = json!({"phone": "+55 11 98765-4321", "email": "Aisha@Example.com", "name": "Aisha Núñez", "tags": ["vip"], "persona": "buyer", "opt_in": {"source": "form"}});
    let (status, aisha) = call(Method::POST, "/v1/contacts".to_owned(), aisha).await;
    assert_eq!((status, &aisha["conflicts"]), (StatusCode::CREATED, &json!([])));
    let id = aisha["id"].as_str().unwrap();
    let (status, again) =
        call(Method::POST, "/v1/contacts".to_owned(), json!({"email": "aisha@example.com", "tags": ["march"]})).await;
    assert_eq!((status, again["id"].as_str(), &again["tags"]), (StatusCode::OK, Some(id), &json!(["march", "vip"])));
    let (status, nobody) = call(Method::POST, "/v1/contacts".to_owned(), json!({"name": "Nobody"})).await;
    assert_eq!((status, nobody["code"].as_str()), (StatusCode::UNPROCESSABLE_ENTITY, Some("invalid")));

    for q in ["%2B5511987654321", "551187654321", "AISHA@example.com", "nun%20ais", id] {
        assert_eq!(ids(&format!("/v1/contacts?q={q}")).await, [id], "{q}");
    }
    assert_eq!(ids("/v1/contacts?tag=vip&persona=buyer").await, [id]);
    assert!(ids("/v1/contacts?tag=vip&persona=seller").await.is_empty());
    assert!(ids("/v1/contacts?q=nobody").await.is_empty());

    let (_, other) = call(
        Method::POST,
        "/v1/contacts".to_owned(),
        json!({"phone": "+60123456789", "name": "A. N.", "tags": ["vip"]}),
    )
    .await;
    let other = other["id"].as_str().unwrap();
    let (_, merged) = call(Method::POST, format!("/v1/contacts/{id}/merge"), json!({"contact_id": other})).await;
    assert_eq!((merged["id"].as_str(), &merged["absorbed"][0]["id"]), (Some(id), &json!(other)));
    assert_eq!(merged["aliases"].as_array().unwrap().len(), 3);
    assert_eq!(get(&format!("/v1/contacts/{other}")).await["merged_into"], json!(id));
    assert_eq!(ids("/v1/contacts").await, [id]);
    assert_eq!(ids("/v1/contacts?tag=vip").await, [id], "one person is shown once");

    let (status, changed) =
        call(Method::PATCH, format!("/v1/contacts/{id}"), json!({"tags": null, "name": "Aisha", "persona": null}))
            .await;
    assert_eq!((status, &changed["tags"], &changed["persona"]), (StatusCode::OK, &json!([]), &Value::Null));
    assert!(ids("/v1/contacts?tag=vip").await.is_empty(), "also from what was merged");
    assert!(ids("/v1/contacts?q=nunez").await.is_empty());

    let (_, alone) = call(Method::POST, format!("/v1/contacts/{id}/unmerge"), json!({"contact_id": other})).await;
    assert_eq!(alone["absorbed"], json!([]));
    assert_eq!(get(&format!("/v1/contacts/{other}")).await["merged_into"], Value::Null);
    let (status, _) = call(Method::PATCH, format!("/v1/contacts/{id}"), json!({"phone": "+60123456789"})).await;
    assert_eq!(status, StatusCode::CONFLICT, "it is somebody else's");

    api.post(&format!("/v1/contacts/{id}/opt-out"), &Value::Null).await.unwrap();
    let (status, _) = call(Method::DELETE, format!("/v1/contacts/{id}"), Value::Null).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    let (status, _) = call(Method::GET, format!("/v1/contacts/{id}"), Value::Null).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    let (_, back) = call(Method::POST, "/v1/contacts".to_owned(), json!({"phone": "+5511987654321"})).await;
    assert_ne!(back["id"].as_str(), Some(id));
    assert_eq!(back["opted_out"], json!(true), "a no outlives the contact");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_takes_another_number_stays_the_same_contact_and_their_no_stays_a_no() {
    let (stack, api) = stack(People::default(), None).await;
    account(&api).await;
    let message = |id: &str, from: &str, user: &str, content: Value| {
        let mut message = json!({"id": id, "from": from, "from_user_id": user, "timestamp": "1790000000"});
        message.as_object_mut().unwrap().extend(content.as_object().unwrap().clone());
        json!({"messages": [message], "contacts": []})
    };
    let text = json!({"type": "text", "text": {"body": "STOP"}});
    notify(&stack, "messages", message("wamid.A", "60123450001", "MY.1", text)).await;
    let find = async |q: &str| -> Option<Value> {
        let found = api.get(&format!("/v1/contacts?q={q}")).await.unwrap();
        found["data"].get(0).cloned()
    };
    let limit = std::time::Duration::from_secs(20);
    let before =
        until("the contact", limit, async || find("60123450001").await.filter(|one| one["opted_out"] == true)).await;
    let change = json!({"type": "system", "system": {"type": "user_changed_number", "body": "", "wa_id": "60123450002", "user_id": "MY.2", "previous_user_id": "MY.1"}});
    notify(&stack, "messages", message("wamid.B", "60123450001", "MY.1", change)).await;
    let after =
        until("the new number", limit, async || find("60123450002").await.filter(|one| one["phone"] == "+60123450002"))
            .await;
    assert_eq!(after["id"], before["id"]);
    assert_eq!(after["opted_out"], json!(true));
}
