//! What the network of an address tells: the autonomous systems of Meta, of hosting companies, and of those whose machines
//! iCloud Private Relay leaves by.

use crate::agent::{Agent, Os, Surface};

/// What an autonomous system is to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Network {
    /// Meta fetches pages for previews and to look at them, at times with the user agent of a browser.
    Meta,
    /// People do not sit there; programs, link scanners, and the ends of people's tunnels do.
    Hosting,
    /// Hosting, and where iCloud Private Relay sends people's requests from.
    Relay,
    /// Where people are, as far as we know.
    Access,
}

/// Autonomous systems by number, with the company's name, in order of the numbers. Assignments: the registries'
/// (<https://www.iana.org/assignments/as-numbers>); who relays for Apple:
/// <https://blog.apnic.net/2023/01/24/a-look-at-icloud-private-relay/>.
const KNOWN: [(u32, Network, &str); 41] = [
    (7224, Network::Hosting, "Amazon"),
    (8068, Network::Hosting, "Microsoft"),
    (8075, Network::Hosting, "Microsoft"),
    (8560, Network::Hosting, "IONOS"),
    (8987, Network::Hosting, "Amazon"),
    (12876, Network::Hosting, "Scaleway"),
    (13335, Network::Relay, "Cloudflare"),
    (14061, Network::Hosting, "DigitalOcean"),
    (14618, Network::Hosting, "Amazon"),
    (15169, Network::Hosting, "Google"),
    (16265, Network::Hosting, "Leaseweb"),
    (16276, Network::Hosting, "OVH"),
    (16509, Network::Hosting, "Amazon"),
    (16625, Network::Relay, "Akamai"),
    (19527, Network::Hosting, "Google"),
    (19551, Network::Hosting, "Imperva"),
    (20473, Network::Hosting, "Vultr"),
    (20940, Network::Relay, "Akamai"),
    (21409, Network::Hosting, "Ikoula"),
    (24940, Network::Hosting, "Hetzner"),
    (26496, Network::Hosting, "GoDaddy"),
    (28753, Network::Hosting, "Leaseweb"),
    (29066, Network::Hosting, "Velia"),
    (31898, Network::Hosting, "Oracle"),
    (32934, Network::Meta, "Meta"),
    (36183, Network::Relay, "Akamai"),
    (36351, Network::Hosting, "IBM SoftLayer"),
    (37963, Network::Hosting, "Alibaba"),
    (40021, Network::Hosting, "Contabo"),
    (45090, Network::Hosting, "Tencent"),
    (45102, Network::Hosting, "Alibaba"),
    (51167, Network::Hosting, "Contabo"),
    (51396, Network::Hosting, "Pfcloud"),
    (54113, Network::Relay, "Fastly"),
    (55286, Network::Hosting, "ServerMania"),
    (60781, Network::Hosting, "Leaseweb"),
    (62567, Network::Hosting, "DigitalOcean"),
    (63949, Network::Hosting, "Akamai Linode"),
    (132_203, Network::Hosting, "Tencent"),
    (213_230, Network::Hosting, "Hetzner"),
    (396_982, Network::Hosting, "Google Cloud"),
];

impl Network {
    /// What this autonomous system is to us.
    #[must_use]
    pub fn of(asn: u32) -> Self {
        let at = KNOWN.binary_search_by_key(&asn, |(number, ..)| *number).ok();
        at.and_then(|at| KNOWN.get(at)).map_or(Self::Access, |(_, network, _)| *network)
    }
}

/// Whether the agent is one that iCloud Private Relay carries: Safari, and what runs on iOS.
pub(super) fn is_relayed(agent: &Agent<'_>) -> bool {
    agent.os == Os::Ios || (agent.os == Os::MacOs && agent.browser == "Safari" && agent.surface == Surface::Browser)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::{ClientHints, read};

    #[test]
    fn the_table_is_in_order() {
        assert!(KNOWN.is_sorted_by(|a, b| a.0 < b.0));
    }

    #[test]
    fn networks_are_told_by_their_numbers() {
        assert_eq!(Network::of(32934), Network::Meta);
        assert_eq!(Network::of(16509), Network::Hosting);
        assert_eq!(Network::of(36183), Network::Relay);
        assert_eq!(Network::of(1221), Network::Access);
    }

    #[test]
    fn private_relay_carries_safari_and_what_runs_on_ios() {
        let relayed = |agent| is_relayed(&read(agent, &ClientHints::default()));
        let mac = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Safari/605.1.15";
        let chrome_on_mac = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36";
        let in_app = "Mozilla/5.0 (iPhone; CPU iPhone OS 26_0_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.0.1 Mobile/15E148 Safari/604.1 [WAiOS/2.25.31]";
        assert!(relayed(mac) && relayed(in_app));
        assert!(!relayed(chrome_on_mac));
    }
}
