//! Which system a visitor's device runs, for links that lead elsewhere on some. The one place that tells; what the click
//! counts for is worked out later, from the same headers.

use shared::link::targets::Platform;

/// By the client hint if there is one (`Sec-CH-UA-Platform`, W3C User-Agent Client Hints), else by the user agent.
pub(crate) fn of(user_agent: Option<&str>, hint: Option<&str>) -> Platform {
    match hint {
        Some("Android") => Platform::Android,
        Some("iOS") => Platform::Ios,
        Some("Windows" | "macOS" | "Linux" | "Chrome OS" | "Chromium OS") => Platform::Desktop,
        _ => user_agent.map_or(Platform::Other, of_user_agent),
    }
}

fn of_user_agent(agent: &str) -> Platform {
    let has = |marks: &[&str]| marks.iter().any(|mark| agent.contains(mark));
    // Windows Phone called itself Android and iPhone besides.
    if has(&["Windows Phone"]) {
        Platform::Other
    } else if has(&["iPhone", "iPad", "iPod"]) {
        Platform::Ios
    } else if has(&["Android"]) {
        Platform::Android
    } else if has(&["Windows NT", "Macintosh", "X11;", "CrOS"]) {
        Platform::Desktop
    } else {
        Platform::Other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phones_and_computers_are_told_apart() {
        let of_agent = |agent: &str| of(Some(agent), None);
        assert_eq!(of_agent("Mozilla/5.0 (iPhone; CPU iPhone OS 18_7 like Mac OS X) Mobile/15E148"), Platform::Ios);
        assert_eq!(of_agent("Mozilla/5.0 (iPad; CPU OS 18_7 like Mac OS X)"), Platform::Ios);
        assert_eq!(of_agent("Mozilla/5.0 (Linux; Android 10; K) [WA4A/2.25.32.75;]"), Platform::Android);
        assert_eq!(of_agent("Mozilla/5.0 (Windows NT 10.0; Win64; x64)"), Platform::Desktop);
        assert_eq!(of_agent("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7)"), Platform::Desktop);
        assert_eq!(of_agent("WhatsApp/2.23.20.0"), Platform::Other);
        assert_eq!(of(None, None), Platform::Other);
    }

    #[test]
    fn the_browsers_hint_is_believed_before_its_user_agent() {
        let desktop = "Mozilla/5.0 (X11; Linux x86_64) Chrome/142.0.0.0";
        assert_eq!(of(Some(desktop), Some("Android")), Platform::Android);
        assert_eq!(of(Some(desktop), Some("Unknown")), Platform::Desktop);
    }
}
