//! The defence against web pages. A browser lets any page send requests to loopback addresses, and a page whose own DNS
//! name is made to point here (DNS rebinding) may even read the answers. What gives it away is the name it asks under
//! (`Host`) and the page it comes from (`Origin`). No page can forge either.

use core::net::IpAddr;

use hyper::header::{HOST, HeaderMap, HeaderValue, ORIGIN};
use hyper::http::uri::Authority;

use super::{Address, Config};

/// Why a request is not answered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Foreign {
    /// Asked under a name that is not the agent's.
    #[error("requests for host {0:?} are not answered; add it to http.allowed_hosts if it is this agent's name")]
    Host(String),
    /// Asked by a page from elsewhere.
    #[error("requests from origin {0:?} are not answered; add its host to http.allowed_hosts if it may read this agent")]
    Origin(String),
}

impl Foreign {
    /// The reason as a label.
    pub(super) const fn reason(&self) -> &'static str {
        match self {
            Self::Host(_) => "host",
            Self::Origin(_) => "origin",
        }
    }
}

/// The names under which the agent answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Guard {
    any: bool,
    /// The hosts that `listen` names.
    own: Vec<String>,
    allowed: Vec<String>,
}

impl Guard {
    pub(super) fn new(config: &Config) -> Self {
        let own = config.listen.iter().filter_map(|address| match address {
            Address::Tcp { host, .. } => Some(normal(host)),
            Address::Unix(_) => None,
        });
        let allowed: Vec<String> = config.allowed_hosts.iter().map(|host| normal(host)).collect();
        Self { any: allowed.iter().any(|host| host == "*"), own: own.collect(), allowed }
    }

    /// Checks a request that came over TCP. `target` is the authority in the request line, which stands above `Host`.
    /// A request without either is not from a browser and passes; an IP address cannot be rebound.
    pub(super) fn check(&self, target: Option<&Authority>, headers: &HeaderMap) -> Result<(), Foreign> {
        if self.any {
            return Ok(());
        }
        let mut hosts: Vec<&str> = headers.get_all(HOST).iter().map(readable).collect();
        hosts.extend(target.map(Authority::as_str));
        for host in &hosts {
            let name = normal(host_of(host));
            let known = is_loopback_name(&name) || is_ip(&name) || self.own.contains(&name) || self.allowed.contains(&name);
            if !known {
                return Err(Foreign::Host((*host).to_owned()));
            }
        }
        for origin in headers.get_all(ORIGIN).iter().map(readable) {
            // `null` and every scheme but http(s) have no authority that could be ours.
            let authority = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
            let same = |authority: &str| hosts.last().is_some_and(|host| host.eq_ignore_ascii_case(authority));
            if !authority.is_some_and(|authority| same(authority) || self.allowed.contains(&normal(host_of(authority)))) {
                return Err(Foreign::Origin(origin.to_owned()));
            }
        }
        Ok(())
    }
}

/// A value that is no text is no name that could be ours.
fn readable(value: &HeaderValue) -> &str {
    value.to_str().unwrap_or("?")
}

/// Without port and brackets.
fn host_of(authority: &str) -> &str {
    if let Some((inner, _)) = authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return inner;
    }
    authority.rsplit_once(':').map_or(authority, |(host, _)| host)
}

fn normal(host: &str) -> String {
    host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase()
}

fn is_loopback_name(host: &str) -> bool {
    host == "localhost" || host.ends_with(".localhost")
}

fn is_ip(host: &str) -> bool {
    host.parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(config: &Config, host: &str, origin: Option<&str>) -> Result<(), Foreign> {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, HeaderValue::from_str(host).expect("a header"));
        if let Some(origin) = origin {
            headers.insert(ORIGIN, HeaderValue::from_str(origin).expect("a header"));
        }
        Guard::new(config).check(None, &headers)
    }

    fn config() -> Config {
        Config {
            listen: vec!["db1.example:10842".parse().expect("an address")],
            allowed_hosts: vec!["Metrics.Internal".into()],
            ..Config::default()
        }
    }

    #[test]
    fn the_agents_own_names_and_addresses_are_answered() {
        for host in [
            "localhost:10842",
            "LOCALHOST",
            "a.localhost",
            "127.0.0.1:10842",
            "[::1]:10842",
            "10.0.0.7",
            "db1.example:10842",
            "metrics.internal.",
        ] {
            assert_eq!(check(&config(), host, None), Ok(()), "{host}");
        }
        assert_eq!(Guard::new(&config()).check(None, &HeaderMap::new()), Ok(()), "no browser leaves Host out");
    }

    #[test]
    fn a_rebound_name_is_not() {
        for host in ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "evil.example:10842", "", "10842"] {
            assert!(matches!(check(&config(), host, None), Err(Foreign::Host(_))), "{host}");
        }
        let target: Authority = "evil.example".parse().expect("an authority");
        let mut headers = HeaderMap::new();
        headers.insert(HOST, HeaderValue::from_static("localhost"));
        assert!(Guard::new(&config()).check(Some(&target), &headers).is_err());
        headers.append(HOST, HeaderValue::from_static("evil.example"));
        assert!(Guard::new(&config()).check(None, &headers).is_err(), "one of two names is foreign");
    }

    #[test]
    fn only_pages_of_the_agent_itself_or_of_an_allowed_host_may_ask() {
        let host = "localhost:10842";
        for origin in ["http://localhost:10842", "http://metrics.internal:3000"] {
            assert_eq!(check(&config(), host, Some(origin)), Ok(()), "{origin}");
        }
        for origin in ["http://evil.example", "null", "http://localhost:3000", "http://10.0.0.8:10842", "file://", ""] {
            assert!(matches!(check(&config(), host, Some(origin)), Err(Foreign::Origin(_))), "{origin}");
        }
    }

    #[test]
    fn a_star_allows_all() {
        let config = Config { allowed_hosts: vec!["*".into()], ..Config::default() };
        assert_eq!(check(&config, "evil.example", Some("http://evil.example")), Ok(()));
    }
}
