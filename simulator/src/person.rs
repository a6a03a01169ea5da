//! A simulated person: name, ids, device, browser and place, all derived from the seed and the address.
//! What a person does with a message is in `plan`.

use std::net::IpAddr;

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;

use crate::config::Origin;
use crate::identity::{self, Address, Author, Language};
use crate::speech;

/// What a person opens links with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Device {
    /// An Android phone.
    Android,
    /// An iPhone.
    Ios,
    /// WhatsApp Web or desktop on a computer.
    Desktop,
}

impl Device {
    /// Author kind of the messages written on it. WhatsApp on a computer is linked to a phone; Android's layout is as good.
    pub(crate) fn author(self) -> Author {
        match self {
            Self::Android | Self::Desktop => Author::Android,
            Self::Ios => Author::Ios,
        }
    }

    /// User agent of the client's own link-preview fetcher.
    pub(crate) fn preview_agent(self) -> &'static str {
        match self {
            Self::Android => "WhatsApp/2.25.31.76 A",
            Self::Ios => "WhatsApp/2.25.31.74 i",
            Self::Desktop => "WhatsApp/2.2544.3 W",
        }
    }
}

/// A simulated person.
#[derive(Debug, Clone)]
pub(crate) struct Person {
    /// Profile name.
    pub(crate) name: &'static str,
    /// Business-scoped user id.
    pub(crate) user_id: String,
    /// What links are opened with.
    pub(crate) device: Device,
    /// Of the browser that opens links.
    pub(crate) user_agent: String,
    /// Where from.
    pub(crate) ip: IpAddr,
    /// Language of answers.
    pub(crate) language: Language,
}

impl Person {
    /// The person at an address. `None` only if there are no origins.
    pub(crate) fn at(seed: u64, address: &Address, origins: &[Origin]) -> Option<Self> {
        let mut rng = identity::stream(seed, &["person", address.as_str()]);
        let name = speech::NAMES.choose(&mut rng).copied().unwrap_or("Sam");
        let device = match rng.random_range(0..100) {
            0..62 => Device::Android,
            62..95 => Device::Ios,
            _ => Device::Desktop,
        };
        let user_agent = user_agent(device, &mut rng);
        let at_home: Vec<&Origin> = origins.iter().filter(|origin| origin.country == address.country()).collect();
        let origin = match at_home.choose(&mut rng) {
            Some(origin) => origin,
            None => origins.choose(&mut rng)?,
        };
        let language = match address {
            Address::Phone(digits) => identity::country_of(digits).1,
            Address::UserId(_) => Language::English,
        };
        Some(Self { name, user_id: identity::user_id(seed, address), device, user_agent, ip: origin.ip, language })
    }
}

/// A browser's user agent: WhatsApp's in-app browser for about half of the phones, the default browser for the others.
fn user_agent(device: Device, rng: &mut StdRng) -> String {
    let in_app = rng.random_bool(0.5);
    match device {
        Device::Android => {
            let chrome = rng.random_range(138..=142);
            let base = format!(
                "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{chrome}.0.0.0 Mobile Safari/537.36"
            );
            match (in_app, rng.random_bool(0.2)) {
                (true, _) => format!("{base} [WA4A/2.25.{}.75;]", rng.random_range(28..=33)),
                (false, true) => base.replace(" Chrome/", " SamsungBrowser/28.0 Chrome/"),
                (false, false) => base,
            }
        }
        Device::Ios => {
            let (system, safari) = [("18_6", "18.6"), ("18_7", "26.0.1"), ("18_7", "26.1"), ("17_6_1", "17.6")]
                .choose(rng)
                .copied()
                .unwrap_or(("18_6", "18.6"));
            let base = format!(
                "Mozilla/5.0 (iPhone; CPU iPhone OS {system} like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/{safari} Mobile/15E148 Safari/604.1"
            );
            if in_app { format!("{base} [WAiOS/2.25.{}]", rng.random_range(28..=33)) } else { base }
        }
        Device::Desktop => {
            let chrome = rng.random_range(138..=142);
            match rng.random_range(0..3) {
                0 => format!(
                    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{chrome}.0.0.0 Safari/537.36"
                ),
                1 => "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:144.0) Gecko/20100101 Firefox/144.0".to_owned(),
                _ => format!(
                    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{chrome}.0.0.0 Safari/537.36"
                ),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn crowd() -> Vec<Person> {
        let origins = Origin::defaults();
        (0..500).filter_map(|n| Person::at(3, &Address::Phone(format!("4477009{n:05}")), &origins)).collect()
    }

    #[test]
    fn people_are_the_same_for_the_same_seed_and_live_where_their_phone_says() {
        let address = Address::Phone("447700900123".to_owned());
        let one = Person::at(3, &address, &Origin::defaults()).expect("origins");
        let again = Person::at(3, &address, &Origin::defaults()).expect("origins");
        assert_eq!((one.name, &one.user_agent, one.ip), (again.name, &again.user_agent, again.ip));
        assert!(["81.2.69.142", "2.125.160.216"].contains(&one.ip.to_string().as_str()));
    }

    #[test]
    fn a_crowd_uses_in_app_browsers_plain_browsers_and_a_few_computers() {
        let crowd = crowd();
        let share = |test: fn(&Person) -> bool| crowd.iter().filter(|person| test(person)).count();
        assert!(share(|p| p.user_agent.contains("WA4A/")) > 100);
        assert!(share(|p| p.user_agent.contains("WAiOS/")) > 40);
        assert!((5..60).contains(&share(|p| p.device == Device::Desktop)));
        assert!(crowd.iter().all(|person| !person.user_agent.starts_with("WhatsApp/")));
    }
}
