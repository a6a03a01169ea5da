//! The audience of a campaign: reading it, checking every line, and cutting it into pages. Pages lie in the bucket, not
//! in a table: a recipient's row is born when its send is claimed.

use std::collections::{BTreeMap, HashSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use super::render::{Fields, Filled};
use super::{Variant, VariantIndex, assign_variant};
use crate::attempt::Seq;
use crate::id::CampaignId;
use crate::phone::{PhoneNumber, wa_id_variants};

/// One line of an audience as given.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// The number as typed.
    pub phone: String,
    /// The person's name.
    #[serde(default)]
    pub name: Option<String>,
    /// What fills the placeholders.
    #[serde(default)]
    pub variables: BTreeMap<String, String>,
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Line(…)")
    }
}

/// A line with its number, or why it is none.
pub type NumberedLine = (u64, Result<Line, String>);

/// A planned recipient, as a page of the audience holds it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recipient {
    /// Position among the planned recipients.
    pub seq: Seq,
    /// Whom to send to.
    pub phone: PhoneNumber,
    /// The person's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Which message.
    pub variant: VariantIndex,
    /// What fills it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub variables: BTreeMap<String, String>,
}

impl fmt::Debug for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Recipient({})", self.seq.0)
    }
}

/// A line that is not sent to, and why.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skipped {
    /// The line in the file, or the position in the list, from 1; a file's header is line 1.
    pub line: u64,
    /// The number as typed.
    pub phone: String,
    /// For people.
    pub reason: String,
}

impl fmt::Debug for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Skipped(line {}: {})", self.line, self.reason)
    }
}

/// A checked audience.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Whom to send to, `seq` rising from 0.
    pub recipients: Vec<Recipient>,
    /// Whom not to.
    pub skipped: Vec<Skipped>,
}

/// Why a file is not an audience at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnreadableCsv {
    /// Nothing in it.
    #[error("the CSV is empty: its first line names the columns, one of them phone")]
    Empty,
    /// No column of phone numbers.
    #[error("the CSV has no column phone (also understood: {0})")]
    NoPhoneColumn(String),
}

/// Column names that are understood as the phone number.
const PHONE_COLUMNS: [&str; 8] =
    ["phone", "phone_number", "phonenumber", "mobile", "number", "whatsapp", "wa_id", "telephone"];

/// Checks every line: a real number, not seen before in this audience, and all variables that its message needs.
#[must_use]
pub fn plan(campaign: CampaignId, variants: &[Variant], lines: impl IntoIterator<Item = NumberedLine>) -> Plan {
    let mut plan = Plan::default();
    let mut seen = HashSet::new();
    for (number, line) in lines {
        let mut skip = |phone: String, reason: String| {
            plan.skipped.push(Skipped { line: number, phone, reason });
        };
        let line = match line {
            Ok(line) => line,
            Err(reason) => {
                skip(String::new(), reason);
                continue;
            }
        };
        let phone: PhoneNumber = match line.phone.parse() {
            Ok(phone) => phone,
            Err(reason) => {
                skip(line.phone, reason.to_string());
                continue;
            }
        };
        // In three countries one person can be dialled under two numbers.
        if !seen.insert(wa_id_variants(phone.digits()).into_iter().min()) {
            skip(line.phone, "the number is in the audience already".to_owned());
            continue;
        }
        let variant = assign_variant(campaign, &phone, variants);
        let name = line.name.map(|name| name.trim().to_owned()).filter(|name| !name.is_empty());
        if let Some(message) = variants.get(usize::from(variant.0)).map(|variant| &variant.message) {
            let fields = Fields {
                variables: &line.variables,
                name: name.as_deref(),
                link: &longest_short_link,
                media: &|media| Some(media.to_string()),
            };
            if let Err(reason) = message.fill(&fields) {
                skip(line.phone, reason.to_string());
                continue;
            }
        }
        let seq = Seq(u32::try_from(plan.recipients.len()).unwrap_or(u32::MAX));
        plan.recipients.push(Recipient { seq, phone, name, variant, variables: line.variables });
    }
    plan
}

/// Stands for the recipient's link while the message is only measured: a domain and twelve characters.
fn longest_short_link(_: &str) -> Option<Filled> {
    let code = "0".repeat(12);
    Some(Filled { short_url: format!("https://{}.example/{code}", "x".repeat(20)), code })
}

/// The lines of a CSV in UTF-8 with a header; every column besides phone and name is a variable. A line that is not
/// well formed comes with its reason and disturbs no other.
///
/// # Errors
/// [`UnreadableCsv`] when there is no header with a phone column.
pub fn read_csv(text: &str) -> Result<Vec<NumberedLine>, UnreadableCsv> {
    let text = text.trim_start_matches('\u{feff}');
    if text.trim().is_empty() {
        return Err(UnreadableCsv::Empty);
    }
    let mut reader = csv::ReaderBuilder::new()
        .flexible(true)
        .trim(csv::Trim::All)
        .delimiter(delimiter(text))
        .from_reader(text.as_bytes());
    let header: Vec<String> = match reader.headers() {
        Ok(header) => header.iter().map(|name| name.to_lowercase().replace([' ', '-'], "_")).collect(),
        Err(_) => return Err(UnreadableCsv::Empty),
    };
    let phone = PHONE_COLUMNS
        .iter()
        .find_map(|known| header.iter().position(|name| name == known))
        .ok_or_else(|| UnreadableCsv::NoPhoneColumn(PHONE_COLUMNS[1..].join(", ")))?;
    let name = header.iter().position(|column| column == "name");
    let lines = reader.records().map(|record| {
        let record = match record {
            Ok(record) => record,
            Err(error) => {
                let line = error.position().map_or(0, csv::Position::line);
                return (line, Err("the line is not well-formed CSV".to_owned()));
            }
        };
        let number = record.position().map_or(0, csv::Position::line);
        if record.len() > header.len() {
            let reason = format!("the line has {} columns, the header {}", record.len(), header.len());
            return (number, Err(reason));
        }
        let variables = header
            .iter()
            .zip(&record)
            .enumerate()
            .filter(|(column, (_, value))| *column != phone && Some(*column) != name && !value.is_empty())
            .map(|(_, (key, value))| (key.clone(), value.to_owned()))
            .collect();
        let line = Line {
            phone: record.get(phone).unwrap_or_default().to_owned(),
            name: name.and_then(|column| record.get(column)).map(str::to_owned),
            variables,
        };
        (number, Ok(line))
    });
    Ok(lines.collect())
}

/// The most frequent of comma, semicolon and tab in the header: spreadsheets of many countries write semicolons.
fn delimiter(text: &str) -> u8 {
    let header = text.lines().next().unwrap_or_default();
    let count = |delimiter: &u8| header.bytes().filter(|byte| byte == delimiter).count();
    [b',', b';', b'\t'].into_iter().rev().max_by_key(count).unwrap_or(b',')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::campaign::Message;
    use crate::time::UnixMillis;

    fn planned(csv: &str, body: &str) -> Plan {
        let variants = [Variant { name: "A".to_owned(), weight: 1, message: Message::text(body) }];
        plan(CampaignId::new(UnixMillis(1)), &variants, read_csv(csv).unwrap())
    }

    #[test]
    fn every_line_is_planned_or_skipped_with_its_number_and_reason() {
        let csv = "Phone;Name;First Name\n+60123456789;Aisha Tan;Aisha\n12;X;Y\n60 12-345 6789;Again;A\n+60123456780;No;\n;;\n+60123456781;a;b;c;d\n";
        let plan = planned(csv, "Hi {{first_name}}");
        assert_eq!(plan.recipients.len(), 1);
        assert_eq!(plan.recipients[0].variables["first_name"], "Aisha");
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
        assert_eq!(plan.recipients[1].variables["first_name"], "مريم");
    }

    #[test]
    fn a_file_without_numbers_is_refused() {
        assert_eq!(read_csv(" \n"), Err(UnreadableCsv::Empty));
        assert!(matches!(read_csv("name,mail\na,b\n"), Err(UnreadableCsv::NoPhoneColumn(_))));
    }

    #[test]
    fn nothing_personal_is_shown_by_debug() {
        let plan = planned("phone,first_name\n+60123456789,Aisha\n1,Aisha\n", "{{first_name}}");
        let shown = format!("{plan:?}");
        assert!(!shown.contains("Aisha") && !shown.contains("60123456789"), "{shown}");
    }
}
