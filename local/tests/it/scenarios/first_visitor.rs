//! A new instance opens its connections at its start, which changes nothing and ends even if nobody answers.

use std::time::Duration;

use lambda_http::{Body, http};
use local::engines::Engines;
use redirect::{Config, Redirect};
use shared::attempt::Seq;
use shared::config::Settings;
use shared::link::ShortLinks;

use crate::front::Front;
use crate::redirect_speed::{KEYS, deployment};
use crate::support::{memory, receive};

/// The redirect of these engines, with their addresses.
fn redirect(
    engines: &Engines,
    settings: impl IntoIterator<Item = (String, String)>,
    tables: &str,
    queues: &str,
) -> Redirect {
    let dynamodb = engines.dynamodb().config().to_builder().endpoint_url(tables).build();
    let sqs = engines.sqs().config().to_builder().endpoint_url(queues).build();
    let config = Config::read(Settings::from_values(settings)).unwrap();
    Redirect::new(config, aws_sdk_dynamodb::Client::from_conf(dynamodb), aws_sdk_sqs::Client::from_conf(sqs))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_visitor_goes_through_connections_that_the_start_has_opened() {
    let engines = memory().await;
    let (mut settings, links) = deployment(&engines).await;
    // However busy the machine is.
    settings.insert("CLICK_PATIENCE_MS".to_owned(), "60000".to_owned());
    let events = settings["EVENTS_QUEUE_URL"].clone();
    let tables = Front::plain(engines.dynamodb_url()).await;
    let queues = Front::plain(engines.sqs_url()).await;
    let redirect = redirect(&engines, settings, &tables.url(), &queues.url());
    assert_eq!((tables.connections(), queues.connections()), (0, 0), "nothing is opened before it is asked for");

    redirect.warm_up().await;
    assert_eq!((tables.connections(), queues.connections()), (1, 1));
    assert!(receive(&engines.sqs(), &events).await.is_empty(), "a start is no click");

    let code = ShortLinks::new("", KEYS.parse().unwrap()).of_recipient(&links[7], Seq(7)).unwrap().code;
    let request = http::Request::get(format!("https://go.example/{code}")).body(Body::Empty).unwrap();
    assert_eq!(::redirect::handle(&redirect, request).await.status().as_u16(), 302);
    assert_eq!(receive(&engines.sqs(), &events).await.len(), 1);
    assert_eq!((tables.connections(), queues.connections()), (1, 1), "the visitor opened one more");
}

#[tokio::test]
async fn a_start_ends_when_nobody_answers() {
    let engines = memory().await;
    let (settings, _) = deployment(&engines).await;
    // It takes connections and never says a word.
    let silent = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let silent = format!("http://{}", silent.local_addr().unwrap());
    let redirect = redirect(&engines, settings, &silent, &silent);
    let waited = tokio::time::timeout(Duration::from_secs(10), redirect.warm_up()).await;
    assert!(waited.is_ok(), "it waits for as long as nobody answers");
}
