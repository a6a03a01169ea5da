//! The functions, each built from the same settings that Lambda would give it, and the routes to those that answer HTTP.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_lambda_events::event::dynamodb::Event as StreamEvent;
use aws_lambda_events::event::sqs::SqsEvent;
use lambda_http::{Request, service_fn};
use serde_json::Value;
use shared::aws::Clients;
use shared::config::{InvalidSettings, Settings};
use shared::secrets::Secrets;
use shared::time::UnixMillis;

use crate::drivers::{Function, Routes, from_fn, from_http};

/// How long an invocation of `ingest` may take, as `template.yaml` has it.
pub(super) const INGEST_TIMEOUT: Duration = Duration::from_secs(60);

/// Every function of the path.
pub(super) struct Functions {
    webhook: Arc<dyn Function>,
    redirect: Arc<dyn Function>,
    collect: Arc<dyn Function>,
    api: Arc<dyn Function>,
    analytics: Arc<dyn Function>,
    pub(super) ingest: Arc<dyn Function>,
    pub(super) dispatch: Arc<dyn Function>,
    pub(super) send: Arc<dyn Function>,
    pub(super) rollup: Arc<dyn Function>,
    pub(super) publish: Arc<dyn Function>,
    pub(super) compact: Arc<dyn Function>,
    pub(super) deliver: Arc<dyn Function>,
}

impl Functions {
    pub(super) fn new(
        settings: &BTreeMap<String, String>,
        clients: &Clients,
        secrets: &Secrets,
    ) -> anyhow::Result<Self> {
        let Configs {
            webhook,
            redirect,
            collect,
            ingest,
            api,
            dispatch,
            send,
            rollup,
            publish,
            compact,
            analytics,
            deliver,
        } = Configs::read(settings)?;
        let webhook = Arc::new(webhook::Webhook::new(webhook, clients));
        let redirect = Arc::new(redirect::Redirect::new(redirect, clients.dynamodb.clone(), clients.sqs.clone()));
        let collect = collect::router(collect::Collect::new(collect, clients));
        let ingest = Arc::new(ingest::Ingest::new(ingest, clients)?);
        let dispatch = Arc::new(dispatch::Dispatch::new(dispatch, clients, secrets.clone())?);
        let send = Arc::new(send::Send::new(send, clients, secrets.clone())?);
        let rollup = Arc::new(rollup::Rollup::new(rollup, clients));
        let publish = Arc::new(publish::Publish::new(publish, clients));
        let compact = Arc::new(compact::Compact::new(compact, clients));
        let deliver = Arc::new(deliver::Deliver::new(deliver, clients, secrets.clone())?);
        let api = api::router(api::Api::new(api, clients, secrets.clone())?);
        let analytics = analytics::router(analytics::Analytics::new(analytics, clients));
        Ok(Self {
            webhook: from_http(service_fn(move |request: Request| {
                let webhook = Arc::clone(&webhook);
                async move { Ok::<_, std::convert::Infallible>(webhook::handle(&webhook, request).await) }
            })),
            redirect: from_http(service_fn(move |request: Request| {
                let redirect = Arc::clone(&redirect);
                async move { Ok::<_, std::convert::Infallible>(redirect::handle(&redirect, request).await) }
            })),
            collect: from_http(collect),
            api: from_http(api),
            analytics: from_http(analytics),
            ingest: from_fn(move |batch: SqsEvent| {
                let (ingest, begun) = (Arc::clone(&ingest), Instant::now());
                let has_time = move || begun.elapsed() < INGEST_TIMEOUT / 2;
                async move { Ok::<_, std::convert::Infallible>(ingest::handle(&ingest, batch, has_time).await) }
            }),
            dispatch: from_fn(move |event: Value| {
                let dispatch = Arc::clone(&dispatch);
                async move { dispatch::handle(&dispatch, event).await }
            }),
            send: from_fn(move |batch: SqsEvent| {
                let send = Arc::clone(&send);
                async move { Ok::<_, std::convert::Infallible>(send::handle(&send, batch).await) }
            }),
            rollup: from_fn(move |batch: StreamEvent| {
                let rollup = Arc::clone(&rollup);
                async move { rollup::handle(&rollup, batch).await }
            }),
            publish: from_fn(move |batch: StreamEvent| {
                let publish = Arc::clone(&publish);
                async move { publish::handle(&publish, batch).await }
            }),
            compact: from_fn(move |event: Value| {
                let compact = Arc::clone(&compact);
                async move { compact::handle(&compact, &event, UnixMillis::now(), None).await }
            }),
            deliver: from_fn(move |event: Value| {
                let deliver = Arc::clone(&deliver);
                async move { deliver::handle(&deliver, event).await }
            }),
        })
    }

    /// The routes of the HTTP API, as `template.yaml` has them.
    pub(super) fn routes(&self) -> Routes {
        let campaign = "/v1/campaigns/{id}";
        Routes::new()
            .route("GET", "/webhooks/meta", Arc::clone(&self.webhook))
            .route("POST", "/webhooks/meta", Arc::clone(&self.webhook))
            .route("ANY", "/l/{code}", Arc::clone(&self.redirect))
            .route("POST", "/collect", Arc::clone(&self.collect))
            .route("OPTIONS", "/collect", Arc::clone(&self.collect))
            .route("GET", "/tt.js", Arc::clone(&self.collect))
            .route("GET", "/v1/audit", Arc::clone(&self.analytics))
            .route("GET", &format!("{campaign}/report"), Arc::clone(&self.analytics))
            .route("GET", &format!("{campaign}/breakdown"), Arc::clone(&self.analytics))
            .route("GET", &format!("{campaign}/timeseries"), Arc::clone(&self.analytics))
            .route("GET", &format!("{campaign}/recipients"), Arc::clone(&self.analytics))
            .route("GET", &format!("{campaign}/recipients/{{phone}}"), Arc::clone(&self.analytics))
            .route("GET", &format!("{campaign}/recipients/{{phone}}/send-response"), Arc::clone(&self.analytics))
            .route("GET", "/v1/events", Arc::clone(&self.analytics))
            .route("GET", "/v1/contacts/{id}/journey", Arc::clone(&self.analytics))
            .route("GET", "/v1/contacts/{id}/sessions", Arc::clone(&self.analytics))
            .route("GET", "/v1/contacts/{id}/conversations", Arc::clone(&self.analytics))
            .route("GET", "/v1/conversations", Arc::clone(&self.analytics))
            .route("GET", "/v1/accounts/{id}/health", Arc::clone(&self.analytics))
            .route("GET", "/v1/analytics/attribution", Arc::clone(&self.analytics))
            .route("GET", "/v1/analytics/response-times", Arc::clone(&self.analytics))
            .route("GET", "/v1/analytics/sessions", Arc::clone(&self.analytics))
            .route("GET", "/v1/events/quarantined", Arc::clone(&self.analytics))
            .route("GET", "/v1/events/unknown", Arc::clone(&self.analytics))
            .route("ANY", "$default", Arc::clone(&self.api))
    }
}

/// What each function is told by its environment.
struct Configs {
    webhook: webhook::Config,
    redirect: redirect::Config,
    collect: collect::Config,
    ingest: ingest::Config,
    api: api::Config,
    dispatch: dispatch::Config,
    send: send::Config,
    rollup: rollup::Config,
    publish: publish::Config,
    compact: compact::Config,
    analytics: analytics::Config,
    deliver: deliver::Config,
}

impl Configs {
    /// Reads all of them; what is wrong for any function is in the one message, each mistake once.
    fn read(settings: &BTreeMap<String, String>) -> Result<Self, InvalidSettings> {
        let mut all = InvalidSettings { mistakes: Vec::new() };
        let mut note = |mistakes: InvalidSettings| {
            for mistake in mistakes.mistakes {
                if !all.mistakes.contains(&mistake) {
                    all.mistakes.push(mistake);
                }
            }
        };
        let settings = || Settings::from_values(settings.clone());
        let webhook = webhook::Config::read(settings()).map_err(&mut note);
        let redirect = redirect::Config::read(settings()).map_err(&mut note);
        let collect = collect::Config::read(settings()).map_err(&mut note);
        let ingest = ingest::Config::read(settings()).map_err(&mut note);
        let api = api::Config::read(settings()).map_err(&mut note);
        let dispatch = dispatch::Config::read(settings()).map_err(&mut note);
        let send = send::Config::read(settings()).map_err(&mut note);
        let rollup = rollup::Config::read(settings()).map_err(&mut note);
        let publish = publish::Config::read(settings()).map_err(&mut note);
        let compact = compact::Config::read(settings()).map_err(&mut note);
        let analytics = analytics::Config::read(settings()).map_err(&mut note);
        let deliver = deliver::Config::read(settings()).map_err(&mut note);
        match (webhook, redirect, collect, ingest, api, dispatch, send, rollup, publish, compact, analytics, deliver) {
            (
                Ok(webhook),
                Ok(redirect),
                Ok(collect),
                Ok(ingest),
                Ok(api),
                Ok(dispatch),
                Ok(send),
                Ok(rollup),
                Ok(publish),
                Ok(compact),
                Ok(analytics),
                Ok(deliver),
            ) => Ok(Self {
                webhook,
                redirect,
                collect,
                ingest,
                api,
                dispatch,
                send,
                rollup,
                publish,
                compact,
                analytics,
                deliver,
            }),
            _ => Err(all),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mistakes_of_all_functions_come_in_one_message() {
        let settings = [("LINK_KEYS", "1:short"), ("META_APP_SECRET", ","), ("PAGE_FORGOTTEN_AFTER_S", "soon")];
        let settings = settings.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let error = Configs::read(&settings).err().unwrap();
        let named = |name: &str| error.mistakes.iter().filter(|mistake| mistake.name == name).count();
        for name in ["LINK_KEYS", "META_APP_SECRET", "PAGE_FORGOTTEN_AFTER_S", "CORE_TABLE", "ADMIN_API_KEY_SHA256"] {
            assert_eq!(named(name), 1, "{name}");
        }
    }
}
