//! Version numbers out of user agents.

/// The number that follows a product's token: digits and dots, of which at least one digit.
pub(super) fn leading(rest: &str) -> Option<&str> {
    let rest = rest.trim_start_matches(['/', ' ', '_', ':']);
    let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
    let version = rest.get(..end)?.trim_end_matches('.');
    version.starts_with(|c: char| c.is_ascii_digit()).then_some(version)
}

/// The number that follows the first occurrence of this token.
pub(super) fn after<'a>(agent: &'a str, token: &str) -> Option<&'a str> {
    leading(agent.split_once(token)?.1)
}

/// As [`after`], for versions written with underscores.
pub(super) fn underscored_after<'a>(agent: &'a str, token: &str) -> Option<&'a str> {
    let rest = agent.split_once(token)?.1.trim_start();
    let end = rest.find(|c: char| !c.is_ascii_digit() && c != '_' && c != '.').unwrap_or(rest.len());
    let version = rest.get(..end)?.trim_end_matches(['_', '.']);
    version.starts_with(|c: char| c.is_ascii_digit()).then_some(version)
}

/// The first part of a version.
pub(super) fn major(version: &str) -> Option<u32> {
    version.split(['.', '_']).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_ends_where_its_digits_end() {
        assert_eq!(after("x SamsungBrowser/28.0 Chrome/1", "SamsungBrowser"), Some("28.0"));
        assert_eq!(after("[WA4A/2.25.32.75;]", "WA4A/"), Some("2.25.32.75"));
        assert_eq!(after("musical_ly_41.9.0", "musical_ly"), Some("41.9.0"));
        assert_eq!(after("Version/beta", "Version/"), None);
        assert_eq!(after("nothing", "Version/"), None);
        assert_eq!(underscored_after("CPU iPhone OS 18_7_1 like", "OS "), Some("18_7_1"));
    }
}
