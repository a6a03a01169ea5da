//! The functions, each built from the same settings that Lambda would give it, and the routes to those that answer HTTP.

use std::collections::BTreeMap;
use std::sync::Arc;

use aws_lambda_events::event::dynamodb::Event as StreamEvent;
use aws_lambda_events::event::sqs::SqsEvent;
use lambda_http::{Request, service_fn};
use serde_json::Value;
use shared::aws::Clients;
use shared::config::Settings;
use shared::secrets::Secrets;

use crate::drivers::{Function, Routes, from_fn, from_http};

/// Every function of the path.
pub(super) struct Functions {
    webhook: Arc<dyn Function>,
    redirect: Arc<dyn Function>,
    api: Arc<dyn Function>,
    analytics: Arc<dyn Function>,
    pub(super) ingest: Arc<dyn Function>,
    pub(super) dispatch: Arc<dyn Function>,
    pub(super) send: Arc<dyn Function>,
    pub(super) rollup: Arc<dyn Function>,
}

impl Functions {
    pub(super) fn new(
        settings: &BTreeMap<String, String>,
        clients: &Clients,
        secrets: &Secrets,
    ) -> anyhow::Result<Self> {
        let settings = || Settings::from_values(settings.clone());
        let webhook = Arc::new(webhook::Webhook::new(webhook::Config::read(settings())?, clients));
        let redirect = Arc::new(redirect::Redirect::new(redirect::Config::read(settings())?, clients));
        let ingest = Arc::new(ingest::Ingest::new(ingest::Config::read(settings())?, clients)?);
        let dispatch = Arc::new(dispatch::Dispatch::new(dispatch::Config::read(settings())?, clients));
        let send = Arc::new(send::Send::new(send::Config::read(settings())?, clients, secrets.clone())?);
        let rollup = Arc::new(rollup::Rollup::new(rollup::Config::read(settings())?, clients));
        let api = api::router(api::Api::new(api::Config::read(settings())?, clients, secrets.clone()));
        let analytics = analytics::router(analytics::Analytics::new(analytics::Config::read(settings())?, clients));
        Ok(Self {
            webhook: from_http(service_fn(move |request: Request| {
                let webhook = Arc::clone(&webhook);
                async move { Ok::<_, std::convert::Infallible>(webhook::handle(&webhook, request).await) }
            })),
            redirect: from_http(service_fn(move |request: Request| {
                let redirect = Arc::clone(&redirect);
                async move { Ok::<_, std::convert::Infallible>(redirect::handle(&redirect, request).await) }
            })),
            api: from_http(api),
            analytics: from_http(analytics),
            ingest: from_fn(move |batch: SqsEvent| {
                let ingest = Arc::clone(&ingest);
                async move { Ok::<_, std::convert::Infallible>(ingest::handle(&ingest, batch).await) }
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
        })
    }

    /// The routes of the HTTP API, as `template.yaml` has them.
    pub(super) fn routes(&self) -> Routes {
        let campaign = "/v1/campaigns/{id}";
        Routes::new()
            .route("GET", "/webhooks/meta", Arc::clone(&self.webhook))
            .route("POST", "/webhooks/meta", Arc::clone(&self.webhook))
            .route("ANY", "/l/{code}", Arc::clone(&self.redirect))
            .route("GET", &format!("{campaign}/report"), Arc::clone(&self.analytics))
            .route("GET", &format!("{campaign}/recipients"), Arc::clone(&self.analytics))
            .route("GET", &format!("{campaign}/recipients/{{phone}}"), Arc::clone(&self.analytics))
            .route("GET", &format!("{campaign}/recipients/{{phone}}/send-response"), Arc::clone(&self.analytics))
            .route("ANY", "$default", Arc::clone(&self.api))
    }
}
