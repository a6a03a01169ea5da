//! A client of our own API, for the demo and for tests: it speaks HTTP like anybody else.

use anyhow::{Context, bail};
use serde_json::Value;

/// Calls one API with one key.
#[derive(Clone)]
pub struct ApiClient {
    http: reqwest::Client,
    base: String,
    key: String,
}

impl ApiClient {
    /// The API at `base` (such as `http://127.0.0.1:8080`), past any proxy of the environment.
    #[must_use]
    pub fn new(base: &str, key: &str) -> Self {
        let http = reqwest::Client::builder().no_proxy().build().unwrap_or_default();
        Self { http, base: base.to_owned(), key: key.to_owned() }
    }

    /// `GET`; an answer that is not 2xx is an error with the problem's detail.
    ///
    /// # Errors
    /// When the API cannot be reached or refuses.
    pub async fn get(&self, path: &str) -> anyhow::Result<Value> {
        answer(self.http.get(self.url(path)).bearer_auth(&self.key)).await
    }

    /// `POST` of a JSON body; `Value::Null` sends none.
    ///
    /// # Errors
    /// As [`ApiClient::get`].
    pub async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        let request = self.http.post(self.url(path)).bearer_auth(&self.key);
        answer(if body.is_null() { request } else { request.json(body) }).await
    }

    /// `PATCH` with a JSON body.
    ///
    /// # Errors
    /// As [`ApiClient::get`].
    pub async fn patch(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        answer(self.http.patch(self.url(path)).bearer_auth(&self.key).json(body)).await
    }

    /// `POST /v1/campaigns` as a form: the definition and the audience as a CSV.
    ///
    /// # Errors
    /// As [`ApiClient::get`].
    pub async fn create_campaign(&self, definition: &Value, csv: &str) -> anyhow::Result<Value> {
        let form = reqwest::multipart::Form::new()
            .text("campaign", definition.to_string())
            .part("audience", reqwest::multipart::Part::text(csv.to_owned()).file_name("people.csv"));
        answer(self.http.post(self.url("/v1/campaigns")).bearer_auth(&self.key).multipart(form)).await
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }
}

async fn answer(request: reqwest::RequestBuilder) -> anyhow::Result<Value> {
    let response = request.send().await.context("the API does not answer")?;
    let status = response.status();
    let text = response.text().await.context("the API's answer was cut off")?;
    if !status.is_success() {
        let detail = serde_json::from_str::<Value>(&text).ok();
        let detail = detail.as_ref().and_then(|problem| problem["detail"].as_str()).unwrap_or(&text);
        bail!("the API answered {status}: {detail}");
    }
    serde_json::from_str(&text).context("the API's answer is not JSON")
}
