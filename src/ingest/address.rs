//! An address that StatsD lines are listened for on: an IP address and a port.

use core::net::SocketAddr;
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

/// An IP address and a port, as in `127.0.0.1:8125` or `[::1]:8125`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct InternetAddress(SocketAddr);

/// Why a text is no address to listen on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not an IP address with a port: write 127.0.0.1:8125 or [::1]:8125 for this machine only, 0.0.0.0:8125 for every interface"
)]
pub struct InternetAddressError(String);

impl InternetAddress {
    /// As the system's calls take it.
    #[must_use]
    pub const fn get(self) -> SocketAddr {
        self.0
    }
}

impl From<SocketAddr> for InternetAddress {
    fn from(address: SocketAddr) -> Self {
        Self(address)
    }
}

impl FromStr for InternetAddress {
    type Err = InternetAddressError;
    fn from_str(text: &str) -> Result<Self, InternetAddressError> {
        text.parse().map(Self).map_err(|_| InternetAddressError(text.to_owned()))
    }
}

impl fmt::Display for InternetAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl serde::Serialize for InternetAddress {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for InternetAddress {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl schemars::JsonSchema for InternetAddress {
    fn schema_name() -> Cow<'static, str> {
        "InternetAddress".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "description": "An IP address and a port: 127.0.0.1:8125, [::1]:8125."
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_ip_address_with_a_port_is_told_what_to_be() {
        for text in ["127.0.0.1:8125", "[::1]:8125", "0.0.0.0:0"] {
            assert_eq!(text.parse::<InternetAddress>().map(|address| address.to_string()), Ok(text.to_owned()));
        }
        for text in ["localhost:8125", "127.0.0.1", ":8125", "8125", "::1:8125x"] {
            let error = text.parse::<InternetAddress>().expect_err(text).to_string();
            assert!(error.starts_with(&format!("{text:?} is not")) && error.contains("127.0.0.1:8125"), "{error}");
        }
    }
}
