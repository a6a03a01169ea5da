//! Who came, on what, and from where: what a request tells of its sender by the user agent, the headers of browsers and the
//! address. Pure logic over plain types; what is done with an answer, and the wire formats it travels in, live elsewhere.
//!
//! [`verdict`] tells people from machines, [`agent`] reads device, system and browser, [`place`] looks addresses up in
//! databases of the MaxMind format.

pub mod agent;
pub mod place;

mod tokens;
pub mod verdict;

/// Builds what is built once (tables of tokens, the regular expressions of the parser), which takes milliseconds that the first
/// visitor would wait for. On Lambda the start has a whole processor, and a small function's invocations have not.
pub fn warm_up() {
    const SAMPLES: [&str; 4] = [
        "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Mobile Safari/537.36",
        "Mozilla/5.0 (iPhone; CPU iPhone OS 18_7 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.0 Mobile/15E148 Safari/604.1",
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0",
        "WhatsApp/2.25.31.76 A",
    ];
    for sample in SAMPLES {
        let request = verdict::Request { user_agent: Some(sample), ..verdict::Request::default() };
        std::hint::black_box(verdict::of_click(&request));
    }
}
