//! The words of a name as people look for them: without case and accents, so that `jose` finds José.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// So many words of a name are found; hardly a name has more.
const MAX_WORDS: usize = 6;

/// So many characters of a word are kept.
const MAX_WORD_CHARS: usize = 32;

/// The words of a name, each once.
#[must_use]
pub fn words(name: &str) -> Vec<String> {
    let mut words = Vec::new();
    for word in name.split(|c: char| c.is_whitespace() || c.is_ascii_punctuation()) {
        let folded = fold(word);
        if !folded.is_empty() && !words.contains(&folded) && words.len() < MAX_WORDS {
            words.push(folded);
        }
    }
    words
}

/// Whether each word that is looked for begins a word of the name.
#[must_use]
pub fn matches(name: &str, wanted: &[String]) -> bool {
    let words = words(name);
    wanted.iter().all(|wanted| words.iter().any(|word| word.starts_with(wanted)))
}

fn fold(word: &str) -> String {
    let plain = word.nfkd().filter(|c| !is_combining_mark(*c)).flat_map(char::to_lowercase);
    plain.filter(|c| c.is_alphanumeric()).take(MAX_WORD_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_found_however_it_is_written() {
        assert_eq!(words("  José  María-Núñez "), ["jose", "maria", "nunez"]);
        assert_eq!(words("AISHA aisha"), ["aisha"]);
        assert_eq!(words("王伟"), ["王伟"]);
        assert!(words(" .,; ").is_empty());
        assert!(matches("José María Núñez", &words("nun jos")));
        assert!(!matches("José María Núñez", &words("nunes")));
    }
}
