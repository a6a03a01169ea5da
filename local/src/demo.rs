//! The demo: a campaign to 250 simulated people, from the first message to the report, through the same HTTP API that
//! anybody else uses. An unfinished campaign of an earlier run is followed to its end instead of starting another.

mod screen;

use std::time::{Duration, Instant};

use anyhow::Context;
use console::Term;
use serde_json::{Value, json};

use self::screen::{FunnelScreen, SendingScreen};
use crate::api_client::ApiClient;
use crate::stack::Stack;

/// 250 invented people with names in many scripts; their numbers are invented as well.
const PEOPLE: &str = include_str!("demo/people.csv");

const CAMPAIGN_NAME: &str = "March offer (demo)";
/// File that holds the id of the campaign whose report was shown last.
const SHOWN: &str = "demo.shown";

const PHONE_NUMBER_ID: &str = "107853902081447";

/// How often the screen asks the API.
const REFRESH: Duration = Duration::from_millis(150);

/// The funnel is final when nothing has changed for this long and no simulated person has anything left to do.
const QUIET: Duration = Duration::from_millis(1_500);

/// Without the built-in simulator nobody knows who will still react; the report is shown after this much silence.
const QUIET_WITHOUT_SIMULATOR: Duration = Duration::from_secs(20);

/// Of the people who reply, every third buys.
const CLOSED_EVERY: usize = 3;

/// Runs the demo and shows it on `screen`.
///
/// # Errors
/// When the API refuses something or the screen cannot be written.
pub async fn run(stack: &Stack, screen: &Term) -> anyhow::Result<()> {
    let api = ApiClient::new(stack.base_url(), stack.admin_key());
    if stack.sends_to_meta() {
        anyhow::bail!(
            "the demo writes to invented numbers, which may belong to somebody: it does not send through Meta"
        );
    }
    let campaign = match unfinished(stack, &api).await? {
        Some(campaign) => {
            screen.write_line("  An earlier run was cut off; its campaign goes on where it was.")?;
            campaign
        }
        None => create(&api, screen, stack.speed()).await?,
    };
    let id = campaign["id"].as_str().context("the campaign has no id")?.to_owned();
    if campaign["status"] == "draft" {
        api.post(&format!("/v1/campaigns/{id}/start"), &Value::Null).await?;
    }
    send(&api, &id, screen).await?;
    let report = follow(stack, &api, &id, screen).await?;
    screen::report(screen, &report, stack.base_url())?;
    remember_shown(stack, &id)
}

/// The latest demo campaign, if its report was not shown: a run that was cut off is followed to its end, at whatever
/// point that was, and nobody is written to again.
async fn unfinished(stack: &Stack, api: &ApiClient) -> anyhow::Result<Option<Value>> {
    let shown = stack.data_dir().and_then(|folder| std::fs::read_to_string(folder.join(SHOWN)).ok());
    let campaigns = api.get("/v1/campaigns?limit=200").await?;
    let latest = campaigns["data"].as_array().and_then(|all| all.iter().find(|one| one["name"] == CAMPAIGN_NAME));
    Ok(latest
        .filter(|campaign| campaign["id"].as_str() != shown.as_deref())
        .filter(|campaign| !matches!(campaign["status"].as_str(), Some("cancelled" | "failed")))
        .cloned())
}

fn remember_shown(stack: &Stack, id: &str) -> anyhow::Result<()> {
    match stack.data_dir() {
        Some(folder) => std::fs::write(folder.join(SHOWN), id).context("the data directory cannot be written"),
        None => Ok(()),
    }
}

async fn create(api: &ApiClient, screen: &Term, speed: Option<f64>) -> anyhow::Result<Value> {
    let account = account(api).await?;
    let definition = json!({
        "name": CAMPAIGN_NAME,
        "tag": "campaign-2026-03",
        "account_id": account,
        "category": "marketing",
        "variants": [{"name": "A", "message": {"type": "text", "text": {
            "body": "Hi {{first_name}}, our spring offer is here: https://shop.example/offer – reply STOP to hear no more.",
        }}}],
        "messages_per_second": 75,
    });
    let campaign = api.create_campaign(&definition, PEOPLE).await?;
    screen::created(screen, &campaign, speed)?;
    Ok(campaign)
}

async fn account(api: &ApiClient) -> anyhow::Result<Value> {
    let accounts = api.get("/v1/accounts?limit=200").await?;
    let known = accounts["data"].as_array().and_then(|all| {
        all.iter().find(|account| account["phone_number_id"] == PHONE_NUMBER_ID).map(|account| account["id"].clone())
    });
    if let Some(id) = known {
        return Ok(id);
    }
    let account = api
        .post(
            "/v1/accounts",
            &json!({
                "name": "Demo shop",
                "phone_number_id": PHONE_NUMBER_ID,
                "waba_id": "104996122399160",
                "display_phone_number": "+1 555-078-3881",
                "access_token": "simulated",
            }),
        )
        .await?;
    Ok(account["id"].clone())
}

/// Shows the sending until the campaign has ended.
async fn send(api: &ApiClient, id: &str, screen: &Term) -> anyhow::Result<()> {
    let mut bar: Option<SendingScreen> = None;
    loop {
        let campaign = api.get(&format!("/v1/campaigns/{id}")).await?;
        let bar = bar.get_or_insert_with(|| SendingScreen::new(&campaign, screen));
        bar.show(&campaign);
        match campaign["status"].as_str() {
            Some("completed" | "cancelled" | "failed") => {
                bar.finish(&campaign)?;
                return Ok(());
            }
            Some("paused") => {
                let reason = campaign["status_reason"].as_str().unwrap_or("no reason is given");
                anyhow::bail!("the campaign is paused: {reason}");
            }
            _ => tokio::time::sleep(REFRESH).await,
        }
    }
}

/// Shows the funnel as it fills, until nobody has anything left to do; closes a deal with some who reply.
async fn follow(stack: &Stack, api: &ApiClient, id: &str, screen: &Term) -> anyhow::Result<Value> {
    let path = format!("/v1/campaigns/{id}/report");
    let mut live = FunnelScreen::new(screen);
    let mut last = Value::Null;
    let mut changed = Instant::now();
    loop {
        close_some(api, id).await?;
        let report = api.get(&path).await?;
        live.show(&report)?;
        if report["stages"] != last["stages"] || report["clicks"] != last["clicks"] {
            changed = Instant::now();
        }
        last = report;
        let quiet = match stack.simulator() {
            Some(simulator) if simulator.pending() > 0 => {
                changed = Instant::now();
                QUIET
            }
            Some(_) => QUIET,
            None => QUIET_WITHOUT_SIMULATOR,
        };
        if changed.elapsed() > quiet {
            live.finish()?;
            return Ok(last);
        }
        tokio::time::sleep(REFRESH).await;
    }
}

/// The shop's own people do this part in life. Closing twice changes nothing, so nothing is remembered here.
async fn close_some(api: &ApiClient, id: &str) -> anyhow::Result<()> {
    let replied = api.get(&format!("/v1/campaigns/{id}/recipients?stage=replied&stuck=true&limit=200")).await?;
    let replied = replied["data"].as_array().map(Vec::as_slice).unwrap_or_default();
    for person in replied.iter().filter(|person| buys(person)) {
        let phone = person["phone"].as_str().unwrap_or_default().replace('+', "%2B");
        let value = json!({"value": {"amount": 49.9, "currency": "USD"}});
        api.post(&format!("/v1/campaigns/{id}/recipients/{phone}/close"), &value).await?;
    }
    Ok(())
}

/// Every third person, told by their number, so that a second run closes with the same people; not who wrote STOP.
fn buys(person: &Value) -> bool {
    let digits = person["phone"].as_str().unwrap_or_default().bytes().map(usize::from).sum::<usize>();
    digits % CLOSED_EVERY == 0 && person["opted_out"] == false
}

#[cfg(test)]
mod tests {
    use shared::campaign::audience::read_csv;
    use shared::phone::PhoneNumber;

    use super::PEOPLE;

    #[test]
    fn all_250_people_have_a_number_that_could_exist() {
        let lines = read_csv(PEOPLE).unwrap();
        assert_eq!(lines.len(), 250);
        for (number, line) in lines {
            let line = line.unwrap();
            assert!(line.phone.parse::<PhoneNumber>().is_ok(), "line {number}");
            assert!(!line.variables["first_name"].is_empty(), "line {number}");
        }
    }
}
