//! What stands in a campaign's way, and what its operator should know before it starts; each with what to do about it.

use serde::Serialize;

use super::eta::Eta;
use super::waterfall::Waterfall;
use crate::account::{Account, AccountStatus, Quality};
use crate::campaign::{Campaign, Category, Message};
use crate::link::domain::DomainName;
use crate::price::{CURRENCY, Estimate, Micros};
use crate::time::UnixMillis;

/// Something to know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// For programs.
    pub code: &'static str,
    /// For people.
    pub message: String,
    /// For people.
    pub what_to_do: &'static str,
}

/// What is known of a template that the campaign uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateFacts {
    /// Its name and language.
    pub name: String,
    /// Whether Meta lets messages with it through; `None` when it was never read from Meta.
    pub may_be_sent: Option<bool>,
}

/// What is known of a campaign before it starts.
#[derive(Clone, Copy)]
pub struct Facts<'a> {
    /// The campaign.
    pub campaign: &'a Campaign,
    /// Its account, if it still exists.
    pub account: Option<&'a Account>,
    /// Whether an access token is kept for it.
    pub has_token: bool,
    /// Its templates.
    pub templates: &'a [TemplateFacts],
    /// The domain of its links, if the workspace has it no more.
    pub removed_domain: Option<&'a DomainName>,
    /// Who gets a message.
    pub people: &'a Waterfall,
    /// When.
    pub eta: Option<&'a Eta>,
    /// For how much.
    pub cost: &'a Estimate,
    /// People of the portfolio that may still be written to today; `None` without a limit.
    pub people_left: Option<u32>,
}

/// What keeps the campaign from sending anything.
#[must_use]
pub fn blockers(facts: &Facts<'_>, now: UnixMillis) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut find = |code, message: String, what_to_do| found.push(Finding { code, message, what_to_do });
    let Facts { campaign, account, .. } = *facts;
    match account {
        None => find(
            "no_account",
            "the campaign's account does not exist any more".to_owned(),
            "create the campaign anew from another account",
        ),
        Some(account) => {
            if account.status == AccountStatus::Paused {
                let why = account.status_reason.as_deref().unwrap_or("no reason is known");
                let what_to_do = match account.paused_until {
                    Some(_) => "wait: it goes on by itself",
                    None => "mend the cause, then resume the account",
                };
                find("account_paused", format!("the account is paused: {why}"), what_to_do);
            }
            if !facts.has_token {
                find(
                    "no_token",
                    "no access token is kept for the account".to_owned(),
                    "give the account its access token",
                );
            }
        }
    }
    for template in facts.templates.iter().filter(|template| template.may_be_sent == Some(false)) {
        let message = format!("the template {} is not approved at Meta", template.name);
        find("template_not_approved", message, "wait for Meta's approval, or choose another template");
    }
    if let Some(domain) = facts.removed_domain {
        let message = format!("the campaign's links are on {domain}, which was removed: they would answer 404");
        find("link_domain_removed", message, "add the domain again, or duplicate the campaign");
    }
    if campaign.has_expired(now) {
        find("expired", "the campaign's expires_at has passed".to_owned(), "create it anew with a later one");
    }
    if let Some(planning) = &campaign.planning
        && let Some(reason) = &planning.failed
    {
        find(
            "planning_failed",
            format!("the audience cannot be read: {reason}"),
            "correct it and create the campaign anew",
        );
    }
    if facts.people.reachable == 0 && campaign.planning.is_none() {
        find(
            "nobody_reachable",
            "nobody of the audience would get a message".to_owned(),
            "look at where people are left out",
        );
    }
    found
}

/// What the operator should know.
#[must_use]
pub fn warnings(facts: &Facts<'_>) -> Vec<Finding> {
    let mut found = Vec::new();
    about_the_account(facts, &mut found);
    about_the_messages(facts, &mut found);
    about_the_terms(facts, &mut found);
    found
}

fn about_the_account(facts: &Facts<'_>, found: &mut Vec<Finding>) {
    let mut find = |code, message: String, what_to_do| found.push(Finding { code, message, what_to_do });
    match facts.account.map(|account| account.quality) {
        Some(Quality::Red) => find(
            "quality_red",
            "Meta rates the number's quality as low; it sends at half its rate".to_owned(),
            "send less, and only to people who expect it: Meta lowers the limits of a number that stays low",
        ),
        Some(Quality::Yellow) => find(
            "quality_yellow",
            "Meta rates the number's quality as medium".to_owned(),
            "send to those first who have read your messages before",
        ),
        Some(Quality::Green | Quality::Unknown) | None => {}
    }
    if let Some(left) = facts.people_left.filter(|left| *left < facts.people.reachable) {
        find(
            "messaging_limit",
            format!(
                "{left} people may still be written to in these 24 hours, and the campaign has {}",
                facts.people.reachable
            ),
            "let it wait for the next day's room, or split the audience",
        );
    }
}

fn about_the_messages(facts: &Facts<'_>, found: &mut Vec<Finding>) {
    let mut find = |code, message: String, what_to_do| found.push(Finding { code, message, what_to_do });
    for template in facts.templates.iter().filter(|template| template.may_be_sent.is_none()) {
        let message =
            format!("the template {} was never read from Meta, so nobody knows whether it is approved", template.name);
        find("template_unknown", message, "read the account's templates from Meta");
    }
    let variants = &facts.campaign.variants;
    let is_template = |message: &Message| matches!(message, Message::Template { .. });
    if variants.iter().any(|variant| !is_template(&variant.message)) {
        find(
            "service_window",
            "a message that is no template reaches only people who have written to you in the last 24 hours".to_owned(),
            "use an approved template for everybody else",
        );
    }
    // Not delivered since 1 April 2025 (Meta, per-user marketing template limits).
    let in_the_us = facts.campaign.regions.get("US").copied().unwrap_or(0);
    let is_marketing = facts.campaign.category == Category::Marketing;
    if in_the_us > 0 && is_marketing && variants.iter().any(|variant| is_template(&variant.message)) {
        find(
            "marketing_to_us",
            format!(
                "Meta delivers no marketing templates to numbers of the United States; {in_the_us} are in the audience"
            ),
            "leave them out: each comes back with error 131049",
        );
    }
    let lacking = facts.people.missing_variables;
    if lacking > 0 {
        find(
            "missing_variables",
            format!("{lacking} recipients lack a variable of their message and are skipped"),
            "complete the lines, or give the placeholder a default: {{name|friend}}",
        );
    }
}

fn about_the_terms(facts: &Facts<'_>, found: &mut Vec<Finding>) {
    let mut find = |code, message: String, what_to_do| found.push(Finding { code, message, what_to_do });
    if facts.campaign.planning.as_ref().is_some_and(|planning| planning.failed.is_none()) {
        let message = "the audience is still being read: all figures are of what was read so far".to_owned();
        find("planning", message, "ask again when it is done");
    }
    if let Some(expired) = facts.eta.map(|eta| eta.expired).filter(|expired| *expired > 0) {
        let message = format!("the campaign expires before {expired} people get their message");
        find("expires_too_soon", message, "let it expire later, start it earlier, or raise the rate");
    }
    let unpriced = facts.cost.unpriced;
    if unpriced > 0 {
        let message = format!("no rate is known for {unpriced} messages; they are not in the cost");
        find("unpriced", message, "look them up on Meta's rate card");
    }
    let budget = facts.campaign.budget.as_ref().and_then(|budget| Micros::from_decimal(&budget.amount.to_string()));
    if let Some(budget) = budget.filter(|budget| *budget < facts.cost.high) {
        find(
            "over_budget",
            format!(
                "the campaign may cost {} {CURRENCY}, and its budget is {budget}: it pauses there",
                facts.cost.high
            ),
            "raise the budget, or be there to resume it",
        );
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use super::*;
    use crate::account::sample::account;
    use crate::attempt::Money;
    use crate::campaign::tests::campaign;

    const COST: Estimate = Estimate { low: Micros(0), high: Micros(5_000_000), currency: CURRENCY, unpriced: 0 };

    fn codes(found: Vec<Finding>) -> Vec<&'static str> {
        found.into_iter().map(|finding| finding.code).collect()
    }

    fn marketing() -> Campaign {
        let message = serde_json::json!({"type": "template", "template": {"name": "offer", "language": "en"}});
        let mut campaign = campaign();
        campaign.variants[0].message = serde_json::from_value(message).unwrap();
        campaign
    }

    static PEOPLE: LazyLock<Waterfall> =
        LazyLock::new(|| Waterfall { audience: 10, reachable: 10, ..Waterfall::default() });

    fn check<'a>(
        campaign: &'a Campaign,
        account: Option<&'a Account>,
        change: impl FnOnce(&mut Facts<'a>),
    ) -> [Vec<&'static str>; 2] {
        let mut facts = Facts {
            campaign,
            account,
            has_token: true,
            templates: &[],
            removed_domain: None,
            people: &PEOPLE,
            eta: None,
            cost: &COST,
            people_left: None,
        };
        change(&mut facts);
        [codes(blockers(&facts, UnixMillis(1_000))), codes(warnings(&facts))]
    }

    #[test]
    fn a_campaign_without_a_fault_has_nothing_in_its_way() {
        assert_eq!(check(&marketing(), Some(&account()), |_| {}), [[""; 0].to_vec(), vec![]]);
    }

    #[test]
    fn what_keeps_it_from_sending_is_a_blocker() {
        let paused = Account { status: AccountStatus::Paused, ..account() };
        assert_eq!(check(&marketing(), Some(&paused), |_| {})[0], ["account_paused"]);
        assert_eq!(check(&marketing(), None, |facts| facts.has_token = false)[0], ["no_account"]);
        assert_eq!(check(&marketing(), Some(&account()), |facts| facts.has_token = false)[0], ["no_token"]);
        let nobody = Waterfall::default();
        assert_eq!(check(&marketing(), Some(&account()), |facts| facts.people = &nobody)[0], ["nobody_reachable"]);
        let mut over = marketing();
        over.schedule.expires_at = Some(UnixMillis(1_000));
        assert_eq!(check(&over, Some(&account()), |_| {})[0], ["expired"]);
        let template = |may_be_sent| [TemplateFacts { name: "offer (en)".to_owned(), may_be_sent }];
        let (refused, unknown) = (template(Some(false)), template(None));
        assert_eq!(check(&marketing(), Some(&account()), |f| f.templates = &refused)[0], ["template_not_approved"]);
        assert_eq!(check(&marketing(), Some(&account()), |f| f.templates = &unknown)[1], ["template_unknown"]);
        let gone = DomainName::parse("go.brand.example").unwrap();
        assert_eq!(
            check(&marketing(), Some(&account()), |f| f.removed_domain = Some(&gone))[0],
            ["link_domain_removed"]
        );
    }

    #[test]
    fn what_goes_worse_than_hoped_is_a_warning() {
        let warned =
            |campaign: &Campaign, change: fn(&mut Facts<'_>)| check(campaign, Some(&account()), change)[1].clone();
        let mut us = marketing();
        us.regions = [("US".to_owned(), 4)].into();
        assert_eq!(warned(&us, |_| {}), ["marketing_to_us"]);
        assert_eq!(warned(&Campaign { category: Category::Utility, ..us }, |_| {}), [""; 0]);
        assert_eq!(warned(&campaign(), |_| {}), ["service_window"]);
        assert_eq!(warned(&marketing(), |facts| facts.people_left = Some(9)), ["messaging_limit"]);
        assert_eq!(warned(&marketing(), |facts| facts.people_left = Some(10)), [""; 0]);
        let low = Account { quality: Quality::Red, ..account() };
        assert_eq!(check(&marketing(), Some(&low), |_| {})[1], ["quality_red"]);
        let budget = Some(Money { amount: 4.into(), currency: CURRENCY.to_owned() });
        assert_eq!(warned(&Campaign { budget, ..marketing() }, |_| {}), ["over_budget"]);
    }
}
