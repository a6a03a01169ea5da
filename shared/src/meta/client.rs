//! Calls to the Graph API. The client tells apart what matters to a sender that must neither lose nor double a message:
//! Meta took it, Meta refused it, it certainly never arrived, or nobody knows.

use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use futures::Stream;
use serde::Deserialize;
use serde_json::Value;

use super::error::MetaError;
use crate::attempt::claim::CALL_TIMEOUT;
use crate::secrets::AccessToken;

/// Calls one Graph API, Meta's own or any other that speaks it. Cloning shares the connections.
#[derive(Clone, Debug)]
pub struct GraphClient {
    pub(super) http: reqwest::Client,
    pub(super) base: String,
}

/// What became of a send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SendOutcome {
    /// Meta has the message.
    Accepted(Accepted),
    /// Meta answered with an error: the message will not be sent.
    Refused(MetaError),
    /// No byte of the request left: sending again is safe.
    NotSent,
    /// The request left and no answer that can be read came back: Meta may have the message.
    Lost,
}

/// Meta's answer to a send.
#[derive(Clone, PartialEq, Eq)]
pub struct Accepted {
    /// The message's id.
    pub wamid: String,
    /// The recipient's `wa_id`, which may differ from the number that was dialled.
    pub wa_id: Option<String>,
    /// The exact JSON of the answer.
    pub response: String,
}

/// A file to be uploaded.
pub struct MediaUpload<'a> {
    /// Its MIME type.
    pub mime_type: &'a str,
    /// A name for it.
    pub file_name: String,
    /// Its length.
    pub bytes: u64,
    /// Its bytes.
    pub body: Pin<Box<dyn Stream<Item = Result<Bytes, std::io::Error>> + Send>>,
    /// How long it may take.
    pub timeout: Duration,
}

/// What became of an upload. An upload that got no answer may be repeated: at worst Meta has the file twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UploadOutcome {
    /// Meta has it under this id, for 30 days (Meta, media).
    Done(String),
    /// Meta answered with an error.
    Refused(MetaError),
    /// No answer that can be read.
    NoAnswer,
}

impl std::fmt::Debug for Accepted {
    /// A wamid contains the phone number, so nothing is shown.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Accepted(…)")
    }
}

/// The HTTP client could not be built: no trust store, for instance.
#[derive(Debug, thiserror::Error)]
#[error("no HTTP client for the Graph API can be made")]
pub struct NoClient(#[source] reqwest::Error);

/// Whether the address is this machine's own: a proxy of the environment is not asked for it.
fn is_on_this_machine(url: &str) -> bool {
    let host = url::Url::parse(url).ok().and_then(|url| url.host().map(|host| host.to_owned()));
    match host {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

#[derive(Deserialize)]
struct UploadResponse {
    id: String,
}

#[derive(Deserialize)]
struct SendResponse {
    #[serde(default)]
    contacts: Vec<SendContact>,
    messages: Vec<SendMessage>,
}

#[derive(Deserialize)]
struct SendContact {
    wa_id: Option<String>,
}

#[derive(Deserialize)]
struct SendMessage {
    id: String,
}

impl GraphClient {
    /// A client for the Graph API at `url` (such as `https://graph.facebook.com`) in this version (such as `v26.0`).
    ///
    /// # Errors
    /// [`NoClient`].
    pub fn new(url: &str, version: &str) -> Result<Self, NoClient> {
        Self::with_call_timeout(url, version, CALL_TIMEOUT)
    }

    /// The same, with another time that a call may take.
    ///
    /// # Errors
    /// [`NoClient`].
    pub fn with_call_timeout(url: &str, version: &str, call_timeout: Duration) -> Result<Self, NoClient> {
        let mut builder = reqwest::Client::builder();
        if is_on_this_machine(url) {
            builder = builder.no_proxy();
        }
        let http = builder
            .timeout(call_timeout)
            .connect_timeout(call_timeout / 2)
            .pool_idle_timeout(Duration::from_secs(60))
            .tcp_nodelay(true)
            .redirect(reqwest::redirect::Policy::none())
            // Our own retries know what Meta may have; the client must not repeat a send by itself.
            .retry(reqwest::retry::never())
            .user_agent(concat!("thirdtick/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(NoClient)?;
        Ok(Self { http, base: format!("{}/{version}", url.trim_end_matches('/')) })
    }

    /// Sends one message from a business number. `body` is Meta's send body.
    pub async fn send(&self, phone_number_id: &str, token: &AccessToken, body: &Value) -> SendOutcome {
        let url = format!("{}/{phone_number_id}/messages", self.base);
        let answer = match self.http.post(url).bearer_auth(token.expose()).json(body).send().await {
            Ok(answer) => answer,
            Err(error) if error.is_connect() || error.is_builder() => return SendOutcome::NotSent,
            Err(_) => return SendOutcome::Lost,
        };
        let status = answer.status();
        let Ok(text) = answer.text().await else {
            return SendOutcome::Lost;
        };
        if status.is_success() {
            return match serde_json::from_str::<SendResponse>(&text) {
                Ok(SendResponse { contacts, messages }) => match messages.into_iter().next() {
                    Some(message) => SendOutcome::Accepted(Accepted {
                        wamid: message.id,
                        wa_id: contacts.into_iter().next().and_then(|contact| contact.wa_id),
                        response: text,
                    }),
                    None => SendOutcome::Lost,
                },
                Err(_) => SendOutcome::Lost,
            };
        }
        match MetaError::read(&token.hidden_in(&text), status.as_u16()) {
            Some(error) => SendOutcome::Refused(error),
            // An error page of something between Meta and us says nothing about the message.
            None => SendOutcome::Lost,
        }
    }

    /// Uploads a file for a business number.
    pub async fn upload_media(
        &self,
        phone_number_id: &str,
        token: &AccessToken,
        upload: MediaUpload<'_>,
    ) -> UploadOutcome {
        let MediaUpload { mime_type, file_name, bytes, body, timeout } = upload;
        let body = reqwest::Body::wrap_stream(body);
        let part = reqwest::multipart::Part::stream_with_length(body, bytes).file_name(file_name);
        let Ok(part) = part.mime_str(mime_type) else {
            return UploadOutcome::NoAnswer;
        };
        let form = reqwest::multipart::Form::new()
            .text("messaging_product", "whatsapp")
            .text("type", mime_type.to_owned())
            .part("file", part);
        let url = format!("{}/{phone_number_id}/media", self.base);
        let request = self.http.post(url).bearer_auth(token.expose()).multipart(form).timeout(timeout);
        let Ok(answer) = request.send().await else {
            return UploadOutcome::NoAnswer;
        };
        let status = answer.status();
        let Ok(text) = answer.text().await else {
            return UploadOutcome::NoAnswer;
        };
        if status.is_success() {
            return serde_json::from_str(&text)
                .map_or(UploadOutcome::NoAnswer, |UploadResponse { id }| UploadOutcome::Done(id));
        }
        MetaError::read(&text, status.as_u16()).map_or(UploadOutcome::NoAnswer, UploadOutcome::Refused)
    }
}
