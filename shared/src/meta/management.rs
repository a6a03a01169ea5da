//! Calls that manage templates (`/{WABA}/message_templates` and template nodes) and look at subscriptions. They have limits
//! of their own, 200 calls an hour for an app and WABA or 5,000 once the WABA is active (Meta, rate limits), and none of
//! them sends anything, so each may be repeated.

use std::time::Duration;

use reqwest::{Method, RequestBuilder};
use serde::Deserialize;
use serde_json::Value;

use super::client::GraphClient;
use super::error::MetaError;
use crate::secrets::AccessToken;
use crate::template::{FetchedTemplate, TemplateStatus, language_code};

/// How long a call may take: the API that waits for it has 29 s.
const CALL_TIMEOUT: Duration = Duration::from_secs(12);

/// Templates asked for at once.
const PAGE: &str = "200";

/// Pages read at most: a WABA has 6,000 templates at most (Meta, templates).
const MOST_PAGES: usize = 100;

const FIELDS: &str = "id,name,status,category,language,components,quality_score,rejected_reason,parameter_format";

/// Codes of used-up calls: of the app, and of the WABA (Meta, rate limits).
const RATE_LIMITS: [i64; 4] = [4, 613, 80_007, 80_008];

/// Subcodes of limits on templates themselves: created too many, edited too often (Meta, error codes).
const TEMPLATE_LIMITS: [i64; 2] = [2_388_019, 2_388_039];

/// Why a call did not do what it was to do.
#[derive(Debug, thiserror::Error)]
pub enum NotManaged {
    /// Meta refused.
    #[error("meta refused with {}", error.code)]
    Refused {
        /// What Meta says.
        error: MetaError,
        /// Meta's deprecated finer code, which template management still needs: what to mend is in no other.
        subcode: Option<i64>,
        /// When Meta takes calls again, if it says so.
        retry_after: Option<Duration>,
    },
    /// No answer, or none that can be read. Whatever was asked for may have been done.
    #[error("meta gave no answer that can be read")]
    NoAnswer,
}

impl NotManaged {
    /// Whether calls are used up for now.
    #[must_use]
    pub fn is_rate_limit(&self) -> bool {
        match self {
            Self::Refused { error, subcode, .. } => {
                RATE_LIMITS.contains(&error.code)
                    || TEMPLATE_LIMITS.contains(&error.code)
                    || subcode.is_some_and(|subcode| TEMPLATE_LIMITS.contains(&subcode))
            }
            Self::NoAnswer => false,
        }
    }
}

/// What Meta made of a new template.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct CreatedTemplate {
    /// Its id.
    pub id: String,
    /// Where it stands.
    #[serde(default)]
    pub status: TemplateStatus,
    /// Its category, which may be another than asked for.
    #[serde(default)]
    pub category: Option<String>,
}

#[derive(Deserialize)]
struct Page {
    #[serde(default)]
    data: Vec<Node>,
    paging: Option<Paging>,
}

#[derive(Deserialize)]
struct Paging {
    cursors: Option<Cursors>,
    next: Option<String>,
}

#[derive(Deserialize)]
struct Cursors {
    after: Option<String>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    name: String,
    language: String,
    #[serde(default)]
    status: TemplateStatus,
    category: Option<String>,
    #[serde(default)]
    components: Vec<Value>,
    quality_score: Option<Value>,
    rejected_reason: Option<String>,
    parameter_format: Option<String>,
}

impl From<Node> for FetchedTemplate {
    fn from(node: Node) -> Self {
        // An object with the date of the score, or the score alone.
        let quality = node
            .quality_score
            .and_then(|quality| quality.as_str().or_else(|| quality["score"].as_str()).map(str::to_owned));
        Self {
            meta_id: node.id,
            name: node.name,
            language: language_code(&node.language),
            status: node.status,
            category: node.category,
            quality,
            parameter_format: node.parameter_format,
            components: node.components,
            rejected_reason: node.rejected_reason.filter(|reason| reason != "NONE"),
        }
    }
}

impl GraphClient {
    /// The templates of a WABA, or those of one name.
    ///
    /// # Errors
    /// [`NotManaged`].
    pub async fn templates(
        &self,
        waba_id: &str,
        token: &AccessToken,
        name: Option<&str>,
    ) -> Result<Vec<FetchedTemplate>, NotManaged> {
        let mut found = Vec::new();
        let mut after: Option<String> = None;
        for _ in 0..MOST_PAGES {
            let mut request = self.managing(Method::GET, &format!("{waba_id}/message_templates"), token);
            request = request.query(&[("fields", FIELDS), ("limit", PAGE)]);
            if let Some(name) = name {
                request = request.query(&[("name", name)]);
            }
            if let Some(after) = &after {
                request = request.query(&[("after", after)]);
            }
            let page: Page = answer(request).await?;
            found.extend(page.data.into_iter().map(FetchedTemplate::from));
            let next = page.paging.filter(|paging| paging.next.is_some());
            after = next.and_then(|paging| paging.cursors).and_then(|cursors| cursors.after);
            if after.is_none() {
                break;
            }
        }
        // Meta's filter by name also finds names that contain it.
        found.retain(|template| name.is_none_or(|name| template.name == name));
        Ok(found)
    }

    /// Creates a template; `body` is Meta's.
    ///
    /// # Errors
    /// [`NotManaged`]; after [`NotManaged::NoAnswer`] it may exist.
    pub async fn create_template(
        &self,
        waba_id: &str,
        token: &AccessToken,
        body: &Value,
    ) -> Result<CreatedTemplate, NotManaged> {
        answer(self.managing(Method::POST, &format!("{waba_id}/message_templates"), token).json(body)).await
    }

    /// Changes a template; `body` is Meta's.
    ///
    /// # Errors
    /// [`NotManaged`].
    pub async fn edit_template(&self, meta_id: &str, token: &AccessToken, body: &Value) -> Result<(), NotManaged> {
        answer::<Value>(self.managing(Method::POST, meta_id, token).json(body)).await.map(|_| ())
    }

    /// Lets a template go on that Meta has paused.
    ///
    /// # Errors
    /// [`NotManaged`].
    pub async fn unpause_template(&self, meta_id: &str, token: &AccessToken) -> Result<(), NotManaged> {
        answer::<Value>(self.managing(Method::POST, &format!("{meta_id}/unpause"), token)).await.map(|_| ())
    }

    /// Deletes a template in all languages, or in the one with this id of Meta's.
    ///
    /// # Errors
    /// [`NotManaged`].
    pub async fn delete_template(
        &self,
        waba_id: &str,
        token: &AccessToken,
        name: &str,
        meta_id: Option<&str>,
    ) -> Result<(), NotManaged> {
        let mut request = self.managing(Method::DELETE, &format!("{waba_id}/message_templates"), token);
        request = request.query(&[("name", name)]);
        if let Some(id) = meta_id {
            request = request.query(&[("hsm_id", id)]);
        }
        answer::<Value>(request).await.map(|_| ())
    }

    /// Whether any app is subscribed to the webhooks of a WABA.
    ///
    /// # Errors
    /// [`NotManaged`].
    pub async fn has_subscribed_app(&self, waba_id: &str, token: &AccessToken) -> Result<bool, NotManaged> {
        let apps: Value = answer(self.managing(Method::GET, &format!("{waba_id}/subscribed_apps"), token)).await?;
        Ok(apps["data"].as_array().is_some_and(|apps| !apps.is_empty()))
    }

    fn managing(&self, method: Method, path: &str, token: &AccessToken) -> RequestBuilder {
        let url = format!("{}/{path}", self.base);
        self.http.request(method, url).bearer_auth(token.expose()).timeout(CALL_TIMEOUT)
    }
}

async fn answer<T: serde::de::DeserializeOwned>(request: RequestBuilder) -> Result<T, NotManaged> {
    let response = request.send().await.map_err(|_| NotManaged::NoAnswer)?;
    let status = response.status();
    let usage = response.headers().get("x-business-use-case-usage").and_then(|usage| usage.to_str().ok());
    let retry_after = usage.and_then(regained_after);
    let text = response.text().await.map_err(|_| NotManaged::NoAnswer)?;
    if status.is_success() {
        return serde_json::from_str(&text).map_err(|_| NotManaged::NoAnswer);
    }
    Err(refusal(&text, status.as_u16(), retry_after).unwrap_or(NotManaged::NoAnswer))
}

/// Reads an error of template management: what helps people is in `error_user_title` and `error_user_msg`.
fn refusal(text: &str, http_status: u16, retry_after: Option<Duration>) -> Option<NotManaged> {
    let mut error = MetaError::read(text, http_status)?;
    let body: Value = serde_json::from_str(text).ok()?;
    let body = &body["error"];
    if let Some(title) = body["error_user_title"].as_str().filter(|title| !title.is_empty()) {
        title.clone_into(&mut error.title);
    }
    if let Some(message) = body["error_user_msg"].as_str().filter(|message| !message.is_empty()) {
        error.details = Some(message.to_owned());
    }
    Some(NotManaged::Refused { error, subcode: body["error_subcode"].as_i64(), retry_after })
}

/// The longest `estimated_time_to_regain_access`, in minutes, of the header that tells how much was used (Meta, rate
/// limits).
fn regained_after(usage: &str) -> Option<Duration> {
    let usage: Value = serde_json::from_str(usage).ok()?;
    let minutes = usage.as_object()?.values().filter_map(Value::as_array).flatten();
    let minutes = minutes.filter_map(|used| used["estimated_time_to_regain_access"].as_u64()).max()?;
    (minutes > 0).then(|| Duration::from_secs(minutes.saturating_mul(60)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_read_with_what_helps_people() {
        let text = r#"{"error":{"message":"Invalid parameter","type":"OAuthException","code":100,"error_subcode":2388299,
            "error_user_title":"Leading variables","error_user_msg":"Variables can't be at the start.","fbtrace_id":"A"}}"#;
        let Some(NotManaged::Refused { error, subcode, .. }) = refusal(text, 400, None) else { panic!("not read") };
        assert_eq!((error.title.as_str(), subcode), ("Leading variables", Some(2_388_299)));
        assert_eq!(error.details.as_deref(), Some("Variables can't be at the start."));
    }

    #[test]
    fn used_up_calls_are_told_from_other_errors() {
        let refused = |code: i64, subcode: i64| {
            let text = format!(r#"{{"error":{{"message":"x","code":{code},"error_subcode":{subcode}}}}}"#);
            refusal(&text, 400, None).unwrap()
        };
        for (code, subcode) in [(4, 0), (80_007, 0), (80_008, 0), (100, 2_388_019), (100, 2_388_039)] {
            assert!(refused(code, subcode).is_rate_limit(), "{code} {subcode}");
        }
        assert!(!refused(100, 2_388_024).is_rate_limit());
    }

    #[test]
    fn the_time_until_calls_are_taken_again_is_in_a_header() {
        let usage = r#"{"104996122399160":[{"type":"whatsapp","call_count":100,"estimated_time_to_regain_access":3},
            {"type":"messaging","call_count":1,"estimated_time_to_regain_access":0}]}"#;
        assert_eq!(regained_after(usage), Some(Duration::from_secs(180)));
        assert_eq!(regained_after(r#"{"1":[{"estimated_time_to_regain_access":0}]}"#), None);
        assert_eq!(regained_after("busy"), None);
    }
}
