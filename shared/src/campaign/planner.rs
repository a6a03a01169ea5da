//! Planning an audience line by line: who is sent to, who is held out, who is left out and why, and on which page each
//! recipient stands. Nothing of it is written here, and what is held is small whatever the audience: a number of eight
//! bytes for each recipient, and one page for each region.

use std::collections::{BTreeMap, HashSet};

use super::audience::{HeldOut, Line, NumberedLine, Recipient, Skipped};
use super::render::{Fields, Filled};
use super::{PAGE_SIZE, PageNumber, Variant, VariantIndex, assign_variant, is_held_out};
use crate::attempt::Seq;
use crate::id::{CampaignId, MediaId};
use crate::link::code::RecipientSeq;
use crate::phone::{InvalidPhoneNumber, PhoneNumber, canonical_digits};

/// Most recipients of a campaign: as many as a link's code can tell apart, less what pages that are not full leave free.
pub const MAX_RECIPIENTS: u32 = RecipientSeq::MAX.get() / PAGE_SIZE * PAGE_SIZE - 300 * PAGE_SIZE;

/// Most skipped or held-out people in one object of a list.
pub const PART_LINES: usize = 1_000;

/// What a campaign asks of its audience.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Variants and holdout depend on it.
    pub campaign: CampaignId,
    /// The messages.
    pub variants: Vec<Variant>,
    /// Share of the people who get none, 0 to 50.
    pub holdout_percent: u8,
}

/// A page of recipients, all of one region.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Its number.
    pub number: PageNumber,
    /// At most [`PAGE_SIZE`].
    pub recipients: Vec<Recipient>,
}

/// What becomes of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is sent to; the page that it has filled, if it has.
    Planned(Option<Page>),
    /// It would be sent to, but is left out to measure the effect.
    HeldOut(HeldOut),
    /// It cannot be sent to.
    Skipped(Skipped),
}

/// An audience that is being planned. The same lines in the same order give the same pages, to the byte.
pub struct Planner {
    rules: Rules,
    /// The numbers so far. A number has at most 15 digits (E.164), so as an integer it is itself and not a hash: no two
    /// people are ever taken for one. 1 M of them take 18 MB, and half as much again while the table grows.
    seen: HashSet<u64>,
    /// Pages that are not full, by region. The regions of a numbering plan are some 250, so this is some 25,000 people.
    open: BTreeMap<Option<String>, Vec<Recipient>>,
    next_page: u32,
    planned: u32,
}

/// A line that can be sent to.
struct Checked {
    phone: PhoneNumber,
    region: Option<String>,
    variant: VariantIndex,
    name: Option<String>,
}

impl Planner {
    /// Before the first line.
    #[must_use]
    pub fn new(rules: Rules) -> Self {
        Self { rules, seen: HashSet::new(), open: BTreeMap::new(), next_page: 0, planned: 0 }
    }

    /// Takes the next line: a real number, not seen before in this audience, with all variables that its message needs.
    pub fn take(&mut self, (number, line): NumberedLine) -> Verdict {
        let skipped = |phone: String, reason: String| Verdict::Skipped(Skipped { line: number, phone, reason });
        let line = match line {
            Ok(line) => line,
            Err(reason) => return skipped(String::new(), reason),
        };
        match self.check(&line) {
            Ok(checked) => self.place(number, checked, line),
            Err(reason) => skipped(line.phone, reason),
        }
    }

    fn check(&mut self, line: &Line) -> Result<Checked, String> {
        let (phone, region) = PhoneNumber::with_region(&line.phone).map_err(|reason| reason.to_string())?;
        if self.planned >= MAX_RECIPIENTS {
            return Err(format!("a campaign has at most {MAX_RECIPIENTS} recipients"));
        }
        // In three countries one person can be dialled under two numbers.
        let digits: u64 =
            canonical_digits(phone.digits()).parse().map_err(|_| InvalidPhoneNumber::NotInPlan.to_string())?;
        if !self.seen.insert(digits) {
            return Err("the number is in the audience already".to_owned());
        }
        let variant = assign_variant(self.rules.campaign, &phone, &self.rules.variants);
        let name = line.name.as_deref().map(str::trim).filter(|name| !name.is_empty());
        if let Some(Variant { message, .. }) = self.rules.variants.get(usize::from(variant.0)) {
            let media = |media: MediaId| Some(media.to_string());
            let fields = Fields { variables: &line.variables, name, link: &longest_short_link, media: &media };
            message.fill(&fields).map_err(|reason| reason.to_string())?;
        }
        Ok(Checked { phone, region, variant, name: name.map(str::to_owned) })
    }

    fn place(&mut self, number: u64, checked: Checked, line: Line) -> Verdict {
        let Checked { phone, region, variant, name } = checked;
        let variables = line.variables;
        if is_held_out(self.rules.campaign, &phone, self.rules.holdout_percent) {
            return Verdict::HeldOut(HeldOut { line: number, phone, name, variables });
        }
        self.planned += 1;
        let page = self.open.entry(region).or_default();
        // Its place is known when the page is full.
        page.push(Recipient { seq: Seq(0), phone, name, variant, variables });
        if page.len() < PAGE_SIZE as usize {
            return Verdict::Planned(None);
        }
        let recipients = std::mem::take(page);
        Verdict::Planned(Some(self.number(recipients)))
    }

    /// The pages that have not become full, after the last line.
    #[must_use]
    pub fn finish(mut self) -> Vec<Page> {
        let open = std::mem::take(&mut self.open);
        open.into_values().filter(|page| !page.is_empty()).map(|recipients| self.number(recipients)).collect()
    }

    fn number(&mut self, mut recipients: Vec<Recipient>) -> Page {
        let number = PageNumber(self.next_page);
        self.next_page += 1;
        for (recipient, place) in recipients.iter_mut().zip(0..) {
            recipient.seq = Seq(number.0 * PAGE_SIZE + place);
        }
        Page { number, recipients }
    }
}

/// Stands for the recipient's link while the message is only measured: a domain and twelve characters.
fn longest_short_link(_: &str) -> Option<Filled> {
    let code = "0".repeat(12);
    Some(Filled { short_url: format!("https://{}.example/{code}", "x".repeat(20)), code })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::campaign::Message;
    use crate::campaign::audience::read_csv;

    fn rules(body: &str, holdout_percent: u8) -> Rules {
        let variants = vec![Variant { name: "A".to_owned(), weight: 1, message: Message::text(body) }];
        Rules { campaign: "cmp_01J00000000000000000000000".parse().unwrap(), variants, holdout_percent }
    }

    /// Pages, held-out people and skipped lines of an audience.
    #[derive(Debug, Default, PartialEq)]
    struct Plan {
        pages: Vec<Page>,
        held_out: Vec<HeldOut>,
        skipped: Vec<Skipped>,
    }

    fn plan(rules: &Rules, lines: Vec<NumberedLine>) -> Plan {
        let mut planner = Planner::new(rules.clone());
        let mut plan = Plan::default();
        for line in lines {
            match planner.take(line) {
                Verdict::Planned(page) => plan.pages.extend(page),
                Verdict::HeldOut(person) => plan.held_out.push(person),
                Verdict::Skipped(line) => plan.skipped.push(line),
            }
        }
        plan.pages.extend(planner.finish());
        plan
    }

    fn planned(csv: &str, body: &str) -> Plan {
        plan(&rules(body, 0), read_csv(csv).unwrap())
    }

    fn lines(phones: impl IntoIterator<Item = String>) -> Vec<NumberedLine> {
        let line = |phone| Ok(Line { phone, name: None, variables: BTreeMap::new() });
        (1..).zip(phones.into_iter().map(line)).collect()
    }

    #[test]
    fn every_line_is_planned_or_skipped_with_its_number_and_reason() {
        let csv = "Phone;Name;First Name\n+60123456789;Aisha Tan;Aisha\n12;X;Y\n60 12-345 6789;Again;A\n+60123456780;No;\n;;\n+60123456781;a;b;c;d\n";
        let plan = planned(csv, "Hi {{first_name}}");
        assert_eq!(plan.pages.len(), 1);
        assert_eq!(plan.pages[0].recipients[0].variables["first_name"], "Aisha");
        let reasons: Vec<(u64, &str)> = plan.skipped.iter().map(|s| (s.line, s.reason.as_str())).collect();
        assert_eq!(
            reasons,
            [
                (3, "no such number in the numbering plan of its country"),
                (4, "the number is in the audience already"),
                (5, "the variable first_name is missing"),
                (6, "the phone number is empty"),
                (7, "the line has 5 columns, the header 3"),
            ]
        );
    }

    #[test]
    fn names_in_any_script_and_a_byte_order_mark_are_read() {
        let plan = planned("\u{feff}phone,first_name\n+8613912345678,王芳\n+201001234567,مريم\n", "{{first_name}}");
        assert_eq!(plan.skipped, []);
        // Egypt comes before China.
        assert_eq!(plan.pages[1].recipients[0].variables["first_name"], "مريم");
    }

    #[test]
    fn a_page_has_recipients_of_one_region_and_every_place_is_taken_once() {
        let malaysia = (0..250).map(|n| format!("+6012345{n:04}"));
        let singapore = (0..120).map(|n| format!("+65812{n:05}"));
        let mut phones: Vec<String> = malaysia.chain(singapore).collect();
        // Mixed, but always in the same way.
        phones.sort_by_key(|phone| phone.chars().rev().collect::<String>());
        let plan = plan(&rules("hi", 0), lines(phones));
        assert_eq!(plan.skipped, []);
        let mut places = HashSet::new();
        for (page, number) in plan.pages.iter().zip(0..) {
            assert_eq!(page.number, PageNumber(number));
            let regions: HashSet<_> = page.recipients.iter().map(|recipient| recipient.phone.region()).collect();
            assert_eq!(regions.len(), 1, "page {number}");
            for (recipient, place) in page.recipients.iter().zip(0..) {
                assert_eq!(recipient.seq, Seq(number * PAGE_SIZE + place));
                assert!(places.insert(recipient.seq));
            }
        }
        assert_eq!(places.len(), 370);
        let sizes: Vec<usize> = plan.pages.iter().map(|page| page.recipients.len()).collect();
        assert_eq!(sizes.iter().filter(|size| **size == 100).count(), 3);
        assert_eq!(&sizes[3..], [50, 20], "what is left over comes at the end");
    }

    #[test]
    fn the_same_lines_give_the_same_pages_to_the_byte() {
        let phones = || lines((0..300).map(|n| format!("+6012345{n:04}")));
        let bytes = || {
            let plan = plan(&rules("hi", 20), phones());
            let pages: Vec<String> =
                plan.pages.iter().map(|page| serde_json::to_string(&page.recipients).unwrap()).collect();
            (pages, plan.held_out)
        };
        assert!(bytes() == bytes());
    }

    #[test]
    fn held_out_people_are_listed_and_get_no_message() {
        let plan = plan(&rules("hi", 25), lines((0..2_000).map(|n| format!("+6012345{n:04}"))));
        assert!((400..600).contains(&plan.held_out.len()), "{} of 2000 for 25 %", plan.held_out.len());
        let planned: HashSet<_> = plan.pages.iter().flat_map(|page| &page.recipients).map(|one| &one.phone).collect();
        assert!(plan.held_out.iter().all(|person| !planned.contains(&person.phone)));
        assert_eq!(planned.len() + plan.held_out.len(), 2_000);
    }

    #[test]
    fn pages_and_lists_are_stored_in_this_shape() {
        let plan = planned("phone,name,city\n+60123456789,Aisha,Ipoh\n12,X,Y\n", "Hi {{name}}");
        assert_eq!(
            serde_json::to_string(&plan.pages[0].recipients).unwrap(),
            r#"[{"seq":0,"phone":"+60123456789","name":"Aisha","variant":0,"variables":{"city":"Ipoh"}}]"#
        );
        assert_eq!(
            serde_json::to_string(&plan.skipped[0]).unwrap(),
            r#"{"line":3,"phone":"12","reason":"no such number in the numbering plan of its country"}"#
        );
        let held_out = HeldOut {
            line: 7,
            phone: "+60123456789".parse().unwrap(),
            name: None,
            variables: [("city".to_owned(), "Ipoh".to_owned())].into(),
        };
        assert_eq!(
            serde_json::to_string(&held_out).unwrap(),
            r#"{"line":7,"phone":"+60123456789","variables":{"city":"Ipoh"}}"#
        );
    }

    #[test]
    fn nothing_personal_is_shown_by_debug() {
        let plan = planned("phone,first_name\n+60123456789,Aisha\n1,Aisha\n", "{{first_name}}");
        let shown = format!("{plan:?}");
        assert!(!shown.contains("Aisha") && !shown.contains("60123456789"), "{shown}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn every_line_ends_in_exactly_one_place(
            numbers in prop::collection::vec(0_u32..400, 0..500),
            holdout in 0_u8..=50,
        ) {
            let phones = numbers.iter().map(|n| match n % 4 {
                0 => format!("+6012345{n:04}"),
                1 => format!("+65812{n:05}"),
                2 => format!("+55119876{n:05}"),
                _ => format!("nothing {n}"),
            });
            let plan = plan(&rules("hi", holdout), lines(phones));
            let planned: usize = plan.pages.iter().map(|page| page.recipients.len()).sum();
            prop_assert_eq!(planned + plan.held_out.len() + plan.skipped.len(), numbers.len());
            let distinct: HashSet<u32> = numbers.iter().copied().filter(|n| n % 4 != 3).collect();
            prop_assert_eq!(planned + plan.held_out.len(), distinct.len());
        }
    }
}
