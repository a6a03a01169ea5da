//! What clicks count for, in the views of a campaign and of a link: every click as raw, machines by their reason; and people's
//! by device, system, browser, place, hour and page, from the rows of what each of them did ([`Visits`]), which know repeats.

use std::collections::BTreeMap;

use super::contribution::{campaign_pk, link_pk, view};
use super::{Contribution, CounterKey, Counts, add};
use crate::activity::{Content, Event, Visitor};
use crate::link::code::LinkId;
use crate::link::visits::{Visits, Whose};
use crate::store::keys::EventPartition;

/// Every counted click of a person.
const HUMAN: &str = "human";

/// People who have followed the link: recipients, or visitors of a day.
const UNIQUE: &str = "unique";

/// What is not known has this name in a breakdown.
const UNKNOWN: &str = "unknown";

/// What a person's click counts for beside itself: `device.mobile`, `city.SE Linköping`. Nothing for a machine's, or for what
/// is no click.
#[must_use]
pub fn facets(event: &Event) -> Vec<String> {
    let Content::LinkClicked {
        visitor: Visitor::Human { device, os, browser, .. },
        country,
        region,
        city,
        referrer,
        ..
    } = &event.content
    else {
        return Vec::new();
    };
    let country = country.as_deref().unwrap_or(UNKNOWN);
    let within = |part: Option<&str>, between: &str| {
        part.map_or_else(|| UNKNOWN.to_owned(), |part| format!("{country}{between}{part}"))
    };
    vec![
        format!("device.{device}"),
        format!("os.{os}"),
        format!("browser.{browser}"),
        format!("country.{country}"),
        format!("region.{}", within(region.as_deref(), "-")),
        format!("city.{}", within(city.as_deref(), " ")),
        format!("referrer.{}", referrer.as_deref().unwrap_or("none")),
        // Of the day, UTC.
        format!("hour.{}", &event.at.to_rfc3339()[11..13]),
    ]
}

/// What an event of the feed counts for if it is a click. `source` is where it lies.
pub(super) fn of_click(source: &EventPartition, event: &Event) -> Contribution {
    let Content::LinkClicked { link, campaign, visitor, .. } = &event.content else {
        return Contribution::new();
    };
    let mut counts = Counts::from([("raw".to_owned(), 1)]);
    if let Visitor::Machine { reason } = visitor {
        counts.insert(format!("machine.{reason}"), 1);
    }
    let sk = format!("{}#{}#{:02}", view::CLICK, source.date, source.shard.0);
    let mut contribution = Contribution::new();
    if let Some(campaign) = campaign {
        let mut counts = counts.clone();
        counts.insert(of_link(*link, "raw"), 1);
        contribution.insert(CounterKey { pk: campaign_pk(source.workspace, *campaign), sk: sk.clone() }, counts);
    }
    // A link's clicks all lie in the feed of one account, or all in that of none: an item is fed by one source partition.
    contribution.insert(CounterKey { pk: link_pk(source.workspace, *link), sk }, counts);
    contribution
}

/// What a person's clicks count for. A recipient's links are all of one campaign, and a visitor's row is of one link, so each
/// item has one source.
#[must_use]
pub fn of_visits(whose: &Whose, visits: &Visits) -> Contribution {
    let (workspace, campaign, sk) = match whose {
        Whose::Recipient(key) => (key.workspace, Some(key.campaign), format!("{}#{:02}", view::VISIT, key.shard.0)),
        Whose::Visitor(visitor) => {
            let source = format!("{}#{}#{:02}", view::VISIT, visitor.link.get(), visitor.mark.shard());
            (visitor.workspace, visitor.campaign, source)
        }
    };
    let by_link: BTreeMap<LinkId, Counts> = visits.counts();
    let mut whole = Counts::new();
    let mut contribution = Contribution::new();
    for (link, mut counts) in by_link {
        add(&mut whole, &counts);
        whole.insert(of_link(link, HUMAN), counts.get(HUMAN).copied().unwrap_or(0));
        counts.insert(UNIQUE.to_owned(), 1);
        contribution.insert(CounterKey { pk: link_pk(workspace, link), sk: sk.clone() }, counts);
    }
    if let Some(campaign) = campaign.filter(|_| !whole.is_empty()) {
        contribution.insert(CounterKey { pk: campaign_pk(workspace, campaign), sk }, whole);
    }
    contribution
}

/// Breakdowns whose names come from outside: anybody can make up any number of them, and an item holds 400 KB (DynamoDB,
/// "Quotas").
const OPEN: [&str; 3] = ["referrer.", "city.", "region."];

/// The counts with all names of open breakdowns taken together as `other`, but for those that are known.
#[must_use]
pub fn without_rare_names(counts: Counts, is_known: impl Fn(&str) -> bool) -> Counts {
    let mut bounded = Counts::new();
    for (name, n) in counts {
        let open = OPEN.iter().find(|open| name.starts_with(**open) && !is_known(&name));
        let name = open.map_or(name, |open| format!("{open}other"));
        *bounded.entry(name).or_default() += n;
    }
    bounded
}

fn of_link(link: LinkId, what: &str) -> String {
    format!("link.{}.{what}", link.get())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::activity::id_of;
    use crate::attempt::{AttemptKey, Seq, Shard};
    use crate::id::{AccountId, WorkspaceId};
    use crate::link::visits::{Visit, VisitorMark};
    use crate::time::UnixMillis;

    const CAMPAIGN: &str = "cmp_01J00000000000000000000000";

    fn clicked(recipient: Option<Seq>, visitor: Visitor) -> Event {
        let at = UnixMillis(1_790_000_000_000);
        let content = Content::LinkClicked {
            link: LinkId::new(7).unwrap(),
            campaign: Some(CAMPAIGN.parse().unwrap()),
            recipient,
            visitor,
            country: Some("SE".to_owned()),
            region: Some("E".to_owned()),
            city: Some("Linköping".to_owned()),
            referrer: None,
        };
        Event { v: 1, id: id_of(at, &["x"]), at, seen: at, contact: None, variant: None, content }
    }

    fn person() -> Visitor {
        let [device, os, browser] = ["mobile", "Android", "WhatsApp"].map(str::to_owned);
        Visitor::Human { device, os, browser, os_version: None, browser_version: None, in_app: None }
    }

    fn source() -> EventPartition {
        EventPartition {
            workspace: WorkspaceId::FIRST,
            account: Some(AccountId::new(UnixMillis(1))),
            date: "2026-09-21".to_owned(),
            shard: Shard(3),
        }
    }

    fn lines(contribution: &Contribution) -> Vec<String> {
        let line = |key: &CounterKey, name: &str, n: i64| {
            format!("{} {} {name}={n}", key.pk.split('#').nth(2).unwrap(), key.sk)
        };
        contribution.iter().flat_map(|(key, counts)| counts.iter().map(|(name, n)| line(key, name, *n))).collect()
    }

    #[test]
    fn of_a_recipients_click_the_event_counts_that_it_came_and_the_row_whose_it_was() {
        let event = clicked(Some(Seq(35)), person());
        let of_event = lines(&of_click(&source(), &event));
        let expected = [
            "CAMPAIGN CLICK#2026-09-21#03 link.7.raw=1",
            "CAMPAIGN CLICK#2026-09-21#03 raw=1",
            "LINK CLICK#2026-09-21#03 raw=1",
        ];
        assert_eq!(of_event, expected);

        let key = Whose::Recipient(AttemptKey {
            workspace: WorkspaceId::FIRST,
            campaign: CAMPAIGN.parse().unwrap(),
            shard: Shard(3),
            seq: Seq(35),
        });
        let mut visits = Visits::default();
        for n in 0..2 {
            let at = UnixMillis(event.at.0 + n);
            let link = LinkId::new(7).unwrap();
            visits.take(Visit { at, event: id_of(at, &["x"]), link, counts_for: facets(&event) });
        }
        let of_row = lines(&of_visits(&key, &visits));
        for line in [
            "CAMPAIGN VISIT#03 human=1",
            "CAMPAIGN VISIT#03 link.7.human=1",
            "CAMPAIGN VISIT#03 browser.WhatsApp=1",
            "LINK VISIT#03 human=1",
            "LINK VISIT#03 unique=1",
            "LINK VISIT#03 country.SE=1",
        ] {
            assert!(of_row.contains(&line.to_owned()), "{line}: {of_row:#?}");
        }
        assert!(of_visits(&key, &Visits::default()).is_empty());

        let free = Whose::Visitor(crate::link::visits::Visitor {
            workspace: WorkspaceId::FIRST,
            campaign: None,
            link: LinkId::new(7).unwrap(),
            mark: VisitorMark::from_key("0123456789abcdef"),
        });
        let of_row = lines(&of_visits(&free, &visits));
        for name in ["human", "unique", "region.SE-E", "city.SE Linköping", "referrer.none", "hour.14"] {
            assert!(
                of_row.iter().any(|line| line.starts_with("LINK VISIT#7#") && line.ends_with(&format!("{name}=1"))),
                "{name}: {of_row:#?}"
            );
        }
        assert!(!of_row.iter().any(|line| line.starts_with("CAMPAIGN")), "a free link has none");
    }

    #[test]
    fn names_that_anybody_can_make_up_are_taken_together() {
        let counts = Counts::from([
            ("human".to_owned(), 3),
            ("referrer.a.example".to_owned(), 1),
            ("referrer.b.example".to_owned(), 2),
        ]);
        let expected = Counts::from([("human".to_owned(), 3), ("referrer.other".to_owned(), 3)]);
        assert_eq!(without_rare_names(counts, |_| false), expected);
    }

    #[test]
    fn a_machine_counts_for_its_reason_whoever_the_code_is_of() {
        let machine = Visitor::Machine { reason: "preview".to_owned() };
        let counted = lines(&of_click(&source(), &clicked(Some(Seq(35)), machine)));
        assert!(counted.contains(&"LINK CLICK#2026-09-21#03 machine.preview=1".to_owned()));
        assert!(!counted.iter().any(|line| line.contains("human") || line.contains("device")));
    }
}
