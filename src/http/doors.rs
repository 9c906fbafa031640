//! How requests come in: whose word on their sender is believed, and how often someone may come.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::http::{HeaderMap, HeaderName};
use std::time::Duration;

use crate::door::network::Household;
use crate::door::{Meter, Network, Rate};

/// The address at the other end of a request's connection, put into its extensions by the server.
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub IpAddr);

/// Who stands in front.
#[derive(Debug, Clone, Default)]
pub enum Proxies {
    /// Nobody: the peer is the client.
    #[default]
    None,
    /// Somebody whose addresses aren't known: whose request it is can't be told by addresses.
    Unknown,
    /// Proxies at these addresses, whose word is believed.
    At(Vec<Network>),
}

/// How often someone may come.
#[derive(Debug, Clone, Copy)]
pub struct Rates {
    /// One actor, with anything under `/v1`.
    pub actor: Rate,
    /// One address, with anything.
    pub address: Rate,
    /// One address, with a token that nobody has.
    pub failed: Rate,
}

impl Default for Rates {
    fn default() -> Self {
        let unbound = Rate { per_second: 1_000_000, burst: 1_000_000 };
        Self { actor: unbound, address: unbound, failed: unbound }
    }
}

/// What is looked at before anything else of a request.
#[derive(Debug)]
pub struct Doors {
    proxies: Proxies,
    actor_header: Option<HeaderName>,
    actors: Meter<Arc<str>>,
    addresses: Meter<Household>,
    failures: Meter<Household>,
}

impl Default for Doors {
    fn default() -> Self {
        Self::new(Proxies::None, None, Rates::default())
    }
}

impl Doors {
    /// Doors for what these proxies bring. `actor_header` names the actor; only proxies at known addresses are
    /// believed.
    pub fn new(proxies: Proxies, actor_header: Option<HeaderName>, rates: Rates) -> Self {
        Self {
            proxies,
            actor_header,
            actors: Meter::new(rates.actor),
            addresses: Meter::new(rates.address),
            failures: Meter::new(rates.failed),
        }
    }

    /// The header by which proxies name the actor.
    pub(super) fn actor_header(&self) -> Option<&HeaderName> {
        self.actor_header.as_ref()
    }

    /// Whether what a peer says of its clients is believed.
    pub(super) fn believes(&self, peer: Option<Peer>) -> bool {
        match (&self.proxies, peer) {
            (Proxies::At(networks), Some(Peer(address))) => {
                networks.iter().any(|network| network.has(address))
            }
            _ => false,
        }
    }

    /// Whose request it is, by address, as far as can be told: none for a proxy's own that names nobody, where the
    /// proxies aren't known, and for calls inside the process.
    pub(super) fn household(&self, peer: Option<Peer>, headers: &HeaderMap) -> Option<Household> {
        let Peer(address) = peer?;
        match &self.proxies {
            Proxies::None => Some(address.into()),
            Proxies::Unknown => None,
            Proxies::At(_) if !self.believes(peer) => Some(address.into()),
            Proxies::At(networks) => {
                let is_proxy = |address: &IpAddr| networks.iter().any(|network| network.has(*address));
                match client(headers, is_proxy) {
                    Ok(known) => known.map(Household::from),
                    // Whoever adds a header of their own is counted all the same, with others who do.
                    Err(Disagree) => Some(address.into()),
                }
            }
        }
    }

    /// Counts a request of an address.
    ///
    /// # Errors
    /// How long it should wait.
    pub(super) fn address_comes(&self, household: Option<Household>) -> Result<(), Duration> {
        household.map_or(Ok(()), |household| self.addresses.take(household))
    }

    /// Counts a token that nobody has.
    ///
    /// # Errors
    /// How long the address should wait.
    pub(super) fn address_failed(&self, household: Option<Household>) -> Result<(), Duration> {
        household.map_or(Ok(()), |household| self.failures.take(household))
    }

    /// Counts a request of an actor.
    ///
    /// # Errors
    /// How long they should wait.
    pub(super) fn actor_comes(&self, actor: &Arc<str>) -> Result<(), Duration> {
        self.actors.take(Arc::clone(actor))
    }
}

/// Both headers are there and differ: one of them came from the client itself, and neither is believed.
#[derive(Debug)]
struct Disagree;

/// The client that the proxies name: of those they passed it on for, the last that isn't one of them.
fn client(headers: &HeaderMap, is_proxy: impl Fn(&IpAddr) -> bool) -> Result<Option<IpAddr>, Disagree> {
    let last = |chain: Vec<Option<IpAddr>>| {
        // What can't be read ends the chain: anything before it could have been made up.
        let known = chain.into_iter().rev().map_while(|address| address);
        let mut furthest = None;
        for address in known {
            furthest = Some(address);
            if !is_proxy(&address) {
                break;
            }
        }
        furthest
    };
    let values = |name: &str| -> Option<Vec<String>> {
        let lines: Vec<String> = headers
            .get_all(name)
            .iter()
            .flat_map(|line| line.to_str().unwrap_or("?").split(',').map(str::to_owned).collect::<Vec<_>>())
            .collect();
        (!lines.is_empty()).then_some(lines)
    };
    let plain = values("x-forwarded-for").map(|list| list.iter().map(|item| address(item)).collect());
    let standard = values("forwarded").map(|list| list.iter().map(|item| forwarded_for(item)).collect());
    match (plain.map(last), standard.map(last)) {
        (None, None) => Ok(None),
        (Some(one), None) | (None, Some(one)) => Ok(one),
        (Some(one), Some(other)) if one == other => Ok(one),
        _ => Err(Disagree),
    }
}

/// The `for` of an element of `Forwarded` (RFC 7239).
fn forwarded_for(element: &str) -> Option<IpAddr> {
    let pair = |pair: &str| {
        let (name, value) = pair.split_once('=')?;
        name.trim().eq_ignore_ascii_case("for").then(|| address(value.trim().trim_matches('"')))?
    };
    element.split(';').find_map(pair)
}

/// An address, with or without a port, an IPv6 one with or without brackets.
fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    bare.parse().ok().or_else(|| Some(text.parse::<SocketAddr>().ok()?.ip()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(lines: &[(&'static str, &str)]) -> Option<String> {
        let proxies: Vec<Network> = ["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()].into();
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, value.parse().unwrap());
        }
        let is_proxy = |address: &IpAddr| proxies.iter().any(|network| network.has(*address));
        client(&headers, is_proxy).ok().flatten().map(|address| address.to_string())
    }

    #[test]
    fn the_client_is_the_last_that_is_no_proxy() {
        for (lines, client) in [
            (&[][..], None),
            (&[("x-forwarded-for", "192.0.2.1")], Some("192.0.2.1")),
            (&[("x-forwarded-for", "6.6.6.6, 192.0.2.1, 10.0.0.3")], Some("192.0.2.1")),
            (&[("x-forwarded-for", "6.6.6.6"), ("x-forwarded-for", "192.0.2.1")], Some("192.0.2.1")),
            (&[("x-forwarded-for", "6.6.6.6, nonsense, 10.0.0.3")], Some("10.0.0.3")),
            (&[("x-forwarded-for", "nonsense")], None),
            (&[("x-forwarded-for", "[2001:db8::1]:443")], Some("2001:db8::1")),
            (&[("x-forwarded-for", "192.0.2.1:5000")], Some("192.0.2.1")),
            (&[("forwarded", "for=192.0.2.1;proto=https, For=\"[fd00::1]:80\"")], Some("192.0.2.1")),
            (&[("forwarded", "by=192.0.2.1")], None),
            (&[("x-forwarded-for", "192.0.2.1"), ("forwarded", "for=192.0.2.1")], Some("192.0.2.1")),
            (&[("x-forwarded-for", "192.0.2.1"), ("forwarded", "for=6.6.6.6")], None),
        ] {
            assert_eq!(named(lines).as_deref(), client, "{lines:?}");
        }
    }

    #[test]
    fn nobody_but_a_proxy_is_believed() {
        let proxies = Proxies::At(vec!["10.0.0.7".parse().unwrap()]);
        let doors = Doors::new(proxies, None, Rates::default());
        let mut headers = HeaderMap::new();
        headers.insert("x-forwarded-for", "192.0.2.1".parse().unwrap());
        let peer = |address: &str| Some(Peer(address.parse().unwrap()));
        let household = |address: &str| Some(Household::from(address.parse::<IpAddr>().unwrap()));
        assert_eq!(doors.household(peer("10.0.0.7"), &headers), household("192.0.2.1"));
        assert_eq!(doors.household(peer("10.0.0.8"), &headers), household("10.0.0.8"));
        assert_eq!(doors.household(peer("10.0.0.7"), &HeaderMap::new()), None);
        let mut both = headers.clone();
        both.insert("forwarded", "for=6.6.6.6".parse().unwrap());
        assert_eq!(
            doors.household(peer("10.0.0.7"), &both),
            household("10.0.0.7"),
            "it is counted with its like"
        );
        assert_eq!(Doors::default().household(peer("10.0.0.7"), &headers), household("10.0.0.7"));
        let unknown = Doors::new(Proxies::Unknown, None, Rates::default());
        assert_eq!(unknown.household(peer("10.0.0.7"), &headers), None);
        assert!(!unknown.believes(peer("10.0.0.7")) && doors.believes(peer("10.0.0.7")));
    }
}
