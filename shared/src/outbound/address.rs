//! Where an IP address leads: to the public internet, to one's own network, or nowhere that anybody should call.
//!
//! The networks are those of IANA's registries of special-purpose addresses (IPv4 and IPv6, as of 2025), each with its RFC,
//! and multicast. An address that carries another one inside is judged by that.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::LazyLock;

use ipnet::{Ipv4Net, Ipv6Net};

/// Where an address leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// The public internet.
    Public,
    /// This machine or its own network.
    Private,
    /// Nothing that a webhook can be at, whatever a setting says: metadata services, multicast, reserved networks.
    Never,
}

/// One's own networks, IPv4.
const PRIVATE_V4: [&str; 4] = [
    "10.0.0.0/8",     // RFC 1918, private use
    "127.0.0.0/8",    // RFC 1122, loopback
    "172.16.0.0/12",  // RFC 1918
    "192.168.0.0/16", // RFC 1918
];

/// Networks that are never called, IPv4.
const NEVER_V4: [&str; 13] = [
    "0.0.0.0/8",       // RFC 791, this network
    "100.64.0.0/10",   // RFC 6598, shared address space of carriers (also a cloud's metadata service: 100.100.100.200)
    "169.254.0.0/16",  // RFC 3927, link-local (metadata services: 169.254.169.254)
    "192.0.0.0/24",    // RFC 6890, IETF protocol assignments (also a cloud's metadata service: 192.0.0.192)
    "192.0.2.0/24",    // RFC 5737, documentation
    "192.31.196.0/24", // RFC 7535, AS112
    "192.52.193.0/24", // RFC 7450, AMT
    "192.88.99.0/24",  // RFC 7526, 6to4 relay anycast, deprecated
    "192.175.48.0/24", // RFC 7534, AS112
    "198.18.0.0/15",   // RFC 2544, benchmarking
    "198.51.100.0/24", // RFC 5737
    "203.0.113.0/24",  // RFC 5737
    "224.0.0.0/3",     // RFC 5771 multicast, RFC 1112 reserved, RFC 919 broadcast
];

/// One's own networks, IPv6.
const PRIVATE_V6: [&str; 2] = [
    "::1/128",  // RFC 4291, loopback
    "fc00::/7", // RFC 4193, unique local
];

/// Networks that are never called, within or beside what is public or private.
const NEVER_V6: [&str; 9] = [
    "fd00:ec2::/32",     // AWS: metadata service, name service and clock of an instance
    "2001::/23",         // RFC 2928, IETF protocol assignments: Teredo, ORCHID, benchmarking
    "2001:db8::/32",     // RFC 3849, documentation
    "2002::/16",         // RFC 3056, 6to4
    "2620:4f:8000::/48", // RFC 7534, AS112
    "3fff::/20",         // RFC 9637, documentation
    "5f00::/16",         // RFC 9602, segment routing
    "fe80::/10",         // RFC 4291, link-local
    "ff00::/8",          // RFC 4291, multicast
];

/// RFC 4291: what is given out for the public internet. All else is private or never called.
const GLOBAL_V6: [&str; 1] = ["2000::/3"];

/// RFC 6052: an IPv4 address in its last 32 bits, reached through the network's translator.
const NAT64: [&str; 1] = ["64:ff9b::/96"];

struct Networks {
    private_v4: Vec<Ipv4Net>,
    never_v4: Vec<Ipv4Net>,
    private_v6: Vec<Ipv6Net>,
    never_v6: Vec<Ipv6Net>,
    global_v6: Vec<Ipv6Net>,
    nat64: Vec<Ipv6Net>,
}

/// What cannot be read would be missing: a test counts.
static NETWORKS: LazyLock<Networks> = LazyLock::new(|| Networks {
    private_v4: read(&PRIVATE_V4),
    never_v4: read(&NEVER_V4),
    private_v6: read(&PRIVATE_V6),
    never_v6: read(&NEVER_V6),
    global_v6: read(&GLOBAL_V6),
    nat64: read(&NAT64),
});

fn read<N: std::str::FromStr>(networks: &[&str]) -> Vec<N> {
    networks.iter().filter_map(|network| network.parse().ok()).collect()
}

/// Where an address leads.
#[must_use]
pub fn reach(address: IpAddr) -> Reach {
    match address {
        IpAddr::V4(address) => reach_v4(address),
        IpAddr::V6(address) => reach_v6(address),
    }
}

fn reach_v4(address: Ipv4Addr) -> Reach {
    let within = |networks: &[Ipv4Net]| networks.iter().any(|network| network.contains(&address));
    if within(&NETWORKS.never_v4) {
        Reach::Never
    } else if within(&NETWORKS.private_v4) {
        Reach::Private
    } else {
        Reach::Public
    }
}

fn reach_v6(address: Ipv6Addr) -> Reach {
    // RFC 4291, section 2.5.5.2: `::ffff:a.b.c.d` is the IPv4 address to the system that connects.
    if let Some(mapped) = address.to_ipv4_mapped() {
        return reach_v4(mapped);
    }
    let within = |networks: &[Ipv6Net]| networks.iter().any(|network| network.contains(&address));
    if within(&NETWORKS.nat64) {
        let [.., a, b, c, d] = address.octets();
        // Through a translator nobody needs to reach what is near.
        return match reach_v4(Ipv4Addr::new(a, b, c, d)) {
            Reach::Public => Reach::Public,
            Reach::Private | Reach::Never => Reach::Never,
        };
    }
    if within(&NETWORKS.never_v6) {
        Reach::Never
    } else if within(&NETWORKS.private_v6) {
        Reach::Private
    } else if within(&NETWORKS.global_v6) {
        Reach::Public
    } else {
        Reach::Never
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_network_of_the_tables_is_read() {
        let Networks { private_v4, never_v4, private_v6, never_v6, global_v6, nat64 } = &*NETWORKS;
        assert_eq!((private_v4.len(), never_v4.len()), (PRIVATE_V4.len(), NEVER_V4.len()));
        assert_eq!((private_v6.len(), never_v6.len()), (PRIVATE_V6.len(), NEVER_V6.len()));
        assert_eq!((global_v6.len(), nat64.len()), (1, 1));
        assert!(never_v4.iter().chain(private_v4).all(|network| network.addr() == network.network()));
        assert!(never_v6.iter().chain(private_v6).all(|network| network.addr() == network.network()));
    }

    #[test]
    fn addresses_lead_where_the_registries_say() {
        for (address, expected) in [
            ("1.1.1.1", Reach::Public),
            ("93.184.215.14", Reach::Public),
            ("9.255.255.255", Reach::Public),
            ("11.0.0.0", Reach::Public),
            ("100.63.255.255", Reach::Public),
            ("100.128.0.0", Reach::Public),
            ("172.15.255.255", Reach::Public),
            ("172.32.0.0", Reach::Public),
            ("223.255.255.255", Reach::Public),
            ("10.0.0.0", Reach::Private),
            ("10.255.255.255", Reach::Private),
            ("127.0.0.1", Reach::Private),
            ("127.255.255.254", Reach::Private),
            ("172.16.0.1", Reach::Private),
            ("172.31.255.255", Reach::Private),
            ("192.168.0.1", Reach::Private),
            ("0.0.0.0", Reach::Never),
            ("0.1.2.3", Reach::Never),
            ("100.64.0.1", Reach::Never),
            ("100.100.100.200", Reach::Never),
            ("100.127.255.255", Reach::Never),
            ("169.254.169.254", Reach::Never),
            ("169.254.170.2", Reach::Never),
            ("192.0.0.192", Reach::Never),
            ("192.0.2.1", Reach::Never),
            ("192.88.99.1", Reach::Never),
            ("198.18.0.1", Reach::Never),
            ("198.19.255.255", Reach::Never),
            ("198.51.100.7", Reach::Never),
            ("203.0.113.7", Reach::Never),
            ("224.0.0.1", Reach::Never),
            ("239.255.255.255", Reach::Never),
            ("240.0.0.1", Reach::Never),
            ("255.255.255.255", Reach::Never),
            ("2606:4700:4700::1111", Reach::Public),
            ("2a00:1450:4001::200e", Reach::Public),
            ("64:ff9b::1.1.1.1", Reach::Public),
            ("::ffff:1.1.1.1", Reach::Public),
            ("::1", Reach::Private),
            ("fc00::1", Reach::Private),
            ("fdff:ffff::1", Reach::Private),
            ("::ffff:10.1.2.3", Reach::Private),
            ("::", Reach::Never),
            ("::ffff:169.254.169.254", Reach::Never),
            // Compatible addresses, which are deprecated.
            ("::7f00:1", Reach::Never),
            ("::1.1.1.1", Reach::Never),
            ("64:ff9b::127.0.0.1", Reach::Never),
            ("64:ff9b::169.254.169.254", Reach::Never),
            ("64:ff9b::10.0.0.1", Reach::Never),
            ("64:ff9b:1::1.1.1.1", Reach::Never),
            ("100::1", Reach::Never),
            ("2001::1", Reach::Never),
            ("2001:2::1", Reach::Never),
            ("2001:db8::1", Reach::Never),
            ("2002:7f00:1::", Reach::Never),
            ("3fff::1", Reach::Never),
            ("5f00::1", Reach::Never),
            ("fe80::1", Reach::Never),
            ("fec0::1", Reach::Never),
            ("ff02::1", Reach::Never),
            ("fd00:ec2::254", Reach::Never),
        ] {
            assert_eq!(reach(address.parse().unwrap()), expected, "{address}");
        }
    }
}
