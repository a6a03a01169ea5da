//! Engines that fail on purpose, as their callers see it: between the SDK and the engine calls are refused, throttled or cut
//! off, and answers are lost after the engine did what it was asked. What AWS does once in a million calls, this does often.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use aws_sdk_s3::primitives::SdkBody;
use aws_smithy_runtime_api::{
    client::{
        http::{
            HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
            SharedHttpConnector,
        },
        orchestrator::{HttpRequest, HttpResponse},
        result::ConnectorError,
        runtime_components::RuntimeComponents,
    },
    http::StatusCode,
};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};

/// How the engines fail. The default is not at all; every share is a probability from 0 to 1, for each call.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Faults {
    /// Where the random numbers begin.
    pub seed: u64,
    /// Share of calls that are refused before they did anything: throttled, answered with 5xx, or not connected.
    pub refuse: f64,
    /// Share of calls that are carried out and whose answer is lost.
    pub lose_answer: f64,
    /// Share of calls with which an outage of their service begins.
    pub outage: f64,
    /// How long an outage lasts: nothing of that service answers.
    pub outage_for: Duration,
}

/// Whose calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Service {
    DynamoDb,
    Sqs,
    S3,
}

/// A client that fails like this.
pub(super) fn faulty(inner: SharedHttpClient, service: Service, faults: &Faults) -> SharedHttpClient {
    // Each client its own dice, or two of them would fail in step.
    let random = Mutex::new(StdRng::seed_from_u64(faults.seed ^ (service as u64 + 1)));
    let dice = Arc::new(Dice { service, faults: faults.clone(), random, out_until: Mutex::new(None) });
    SharedHttpClient::new(FaultyClient { inner, dice })
}

struct Dice {
    service: Service,
    faults: Faults,
    random: Mutex<StdRng>,
    out_until: Mutex<Option<Instant>>,
}

/// What becomes of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Served,
    Throttled,
    Failed,
    NotConnected,
    AnswerLost,
}

impl Dice {
    fn fate(&self, now: Instant) -> Fate {
        let mut random = self.random.lock().unwrap_or_else(PoisonError::into_inner);
        let mut out_until = self.out_until.lock().unwrap_or_else(PoisonError::into_inner);
        if out_until.is_some_and(|end| now < end) {
            return Fate::Failed;
        }
        let Faults { refuse, lose_answer, outage, outage_for, .. } = self.faults;
        let point = random.random::<f64>();
        if point < outage {
            *out_until = Some(now + outage_for);
            Fate::Failed
        } else if point < outage + lose_answer {
            Fate::AnswerLost
        } else if point < outage + lose_answer + refuse {
            match random.random_range(0..3) {
                0 if self.service == Service::DynamoDb => Fate::Throttled,
                0 | 1 => Fate::Failed,
                _ => Fate::NotConnected,
            }
        } else {
            Fate::Served
        }
    }
}

impl fmt::Debug for Dice {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Dice").field("service", &self.service).finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct FaultyClient {
    inner: SharedHttpClient,
    dice: Arc<Dice>,
}

impl HttpClient for FaultyClient {
    fn http_connector(&self, settings: &HttpConnectorSettings, components: &RuntimeComponents) -> SharedHttpConnector {
        let inner = self.inner.http_connector(settings, components);
        SharedHttpConnector::new(FaultyConnector { inner, dice: Arc::clone(&self.dice) })
    }
}

#[derive(Debug)]
struct FaultyConnector {
    inner: SharedHttpConnector,
    dice: Arc<Dice>,
}

impl HttpConnector for FaultyConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        match self.dice.fate(Instant::now()) {
            Fate::Served => self.inner.call(request),
            Fate::Throttled => HttpConnectorFuture::ready(answer(400, THROTTLED)),
            Fate::Failed => HttpConnectorFuture::ready(answer(503, "")),
            Fate::NotConnected => HttpConnectorFuture::ready(Err(cut_off())),
            Fate::AnswerLost => {
                let answered = self.inner.call(request);
                HttpConnectorFuture::new(async move {
                    answered.await?;
                    Err(cut_off())
                })
            }
        }
    }
}

const THROTTLED: &str = r#"{"__type":"com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException","message":"throttled on purpose"}"#;

fn answer(status: u16, body: &'static str) -> Result<HttpResponse, ConnectorError> {
    let status = StatusCode::try_from(status).map_err(|error| ConnectorError::other(error.into(), None))?;
    Ok(HttpResponse::new(status, SdkBody::from(body)))
}

fn cut_off() -> ConnectorError {
    ConnectorError::io("the connection was cut on purpose".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dice(faults: Faults) -> Dice {
        Dice {
            service: Service::DynamoDb,
            faults,
            random: Mutex::new(StdRng::seed_from_u64(7)),
            out_until: Mutex::default(),
        }
    }

    #[test]
    fn calls_fail_as_often_as_asked() {
        let dice = dice(Faults { refuse: 0.3, lose_answer: 0.2, ..Faults::default() });
        let now = Instant::now();
        let fates: Vec<Fate> = (0..10_000).map(|_| dice.fate(now)).collect();
        let share = |wanted: &[Fate]| fates.iter().filter(|fate| wanted.contains(fate)).count();
        assert!((2_800..3_200).contains(&share(&[Fate::Throttled, Fate::Failed, Fate::NotConnected])));
        assert!((1_800..2_200).contains(&share(&[Fate::AnswerLost])));
    }

    #[test]
    fn in_an_outage_nothing_answers_until_it_is_over() {
        let dice = dice(Faults { outage: 1.0, outage_for: Duration::from_secs(1), ..Faults::default() });
        let now = Instant::now();
        assert_eq!(dice.fate(now), Fate::Failed);
        let quiet = Dice { faults: Faults::default(), ..dice };
        assert_eq!(quiet.fate(now + Duration::from_millis(999)), Fate::Failed);
        assert_eq!(quiet.fate(now + Duration::from_millis(1_001)), Fate::Served);
    }
}
