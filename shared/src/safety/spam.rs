//! What makes a message look like spam. The thresholds are ours: Meta publishes none, and only says that people who
//! block or report a business lower its quality.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::outgoing::{Outgoing, Wording, without_links};

/// Most links of a message that does not look like spam: one to go to, one to the terms, one to leave.
pub const MAX_LINKS: usize = 3;

/// Letters below which capitals say nothing: a code, a name, a heading.
const MIN_LETTERS: usize = 20;

/// From this share of capitals on, a text shouts.
const CAPITALS_PERCENT: usize = 70;

/// From this many exclamation and question marks in a row on, a text shouts.
const MARKS: usize = 4;

/// What was found shouting in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "found", rename_all = "snake_case")]
pub enum Shouting {
    /// Mostly capitals.
    Capitals {
        /// Share of the letters that have a case, in whole percent.
        percent: usize,
    },
    /// Exclamation or question marks in a row.
    Marks {
        /// How many.
        run: usize,
    },
}

impl fmt::Display for Shouting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Capitals { percent } => write!(f, "{percent} % of its letters are capitals"),
            Self::Marks { run } => write!(f, "it has {run} exclamation or question marks in a row"),
        }
    }
}

/// Whether the message shouts, links apart. Scripts without capitals cannot. Capitals that were filled into an approved
/// template are names and places as someone's records have them, so they do not count.
#[must_use]
pub fn shouting(message: &Outgoing<'_>) -> Option<Shouting> {
    let (text, _) = without_links(message.text);
    let run = longest_run(&text);
    if run >= MARKS {
        return Some(Shouting::Marks { run });
    }
    let capitals = text.chars().filter(|c| c.is_uppercase()).count();
    let letters = capitals + text.chars().filter(|c| c.is_lowercase()).count();
    let shouts = letters >= MIN_LETTERS && capitals * 100 >= letters * CAPITALS_PERCENT;
    (message.wording == Wording::Own && shouts).then(|| Shouting::Capitals { percent: capitals * 100 / letters })
}

fn longest_run(text: &str) -> usize {
    let is_mark = |c: char| matches!(c, '!' | '?' | '！' | '？' | '؟' | '¡' | '¿' | '‼' | '⁉' | '❗' | '❓');
    text.split(|c| !is_mark(c)).map(|run| run.chars().count()).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::campaign::Category;

    fn found(text: &str, wording: Wording) -> Option<Shouting> {
        shouting(&Outgoing { text, links: 0, media: None, category: Category::Marketing, wording, content: 0 })
    }

    #[test]
    fn mostly_capitals_shout_in_any_script_that_has_them() {
        for (text, percent) in [
            ("BUY NOW AND SAVE 50 % TODAY ONLY", 100),
            ("СКИДКИ ТОЛЬКО СЕГОДНЯ ВСЕМ", 100),
            ("ΜΟΝΟ ΣΗΜΕΡΑ ΜΕΓΑΛΕΣ ΕΚΠΤΩΣΕΙΣ", 100),
        ] {
            assert_eq!(found(text, Wording::Own), Some(Shouting::Capitals { percent }), "{text}");
        }
    }

    #[test]
    fn ordinary_writing_does_not() {
        for text in [
            "Your OTP for the HDFC BANK card is 123456.",
            "STOP to leave",
            "今天所有商品一律五折，欢迎光临我们的商店选购。",
            "خصم كبير على جميع المنتجات اليوم فقط في متجرنا",
            "see HTTPS://GO.EXAMPLE/ABCDEFGHIJKLMNOPQRSTUVWXYZ now",
            "Really?! Yes!!!",
            "",
        ] {
            assert_eq!(found(text, Wording::Own), None, "{text}");
        }
    }

    #[test]
    fn four_marks_in_a_row_shout() {
        assert_eq!(found("Now!!!!", Wording::Own), Some(Shouting::Marks { run: 4 }));
        assert_eq!(found("¿¿Sí?? 真的吗？！？！？", Wording::Approved), Some(Shouting::Marks { run: 5 }));
    }

    #[test]
    fn a_name_in_capitals_that_fills_a_template_is_not_shouting() {
        assert_eq!(found("MUHAMMAD ABDUL RAHMAN BIN ABDULLAH", Wording::Approved), None);
    }
}
