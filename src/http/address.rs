//! An address to listen on: `host:port` or `unix:/path`.

use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// Where to listen, or where is listened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// TCP.
    Tcp {
        /// A name or an IP address, without brackets.
        host: String,
        /// 0 takes any free one.
        port: u16,
    },
    /// A Unix stream socket.
    Unix(PathBuf),
}

/// Why a text is no address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Neither form.
    #[error("{0:?} is not an address: write host:port (127.0.0.1:10842, [::1]:10842) or unix:/path")]
    Form(String),
    /// No host before the port.
    #[error("{0:?} names no host: write 127.0.0.1{0} for this machine only, or 0.0.0.0{0} for every interface")]
    NoHost(String),
    /// Not a number up to 65535.
    #[error("{0:?} is not a port between 0 and 65535")]
    Port(String),
    /// A relative path would depend on where the agent is started.
    #[error("the path of {0:?} has to be absolute")]
    Relative(String),
}

impl Default for Address {
    fn default() -> Self {
        Self::Tcp { host: "127.0.0.1".to_owned(), port: 10842 }
    }
}

impl FromStr for Address {
    type Err = AddressError;
    fn from_str(text: &str) -> Result<Self, AddressError> {
        if let Some(path) = text.strip_prefix("unix:") {
            return if path.starts_with('/') { Ok(Self::Unix(path.into())) } else { Err(AddressError::Relative(text.to_owned())) };
        }
        let form = || AddressError::Form(text.to_owned());
        let (host, port) = text.rsplit_once(':').ok_or_else(form)?;
        let port = port.parse().map_err(|_| AddressError::Port(port.to_owned()))?;
        let host = match host.strip_prefix('[') {
            Some(inner) => inner.strip_suffix(']').filter(|inner| inner.parse::<core::net::Ipv6Addr>().is_ok()).ok_or_else(form)?,
            None if host.is_empty() => return Err(AddressError::NoHost(text.to_owned())),
            None if host.contains([':', '/', ' ']) => return Err(form()),
            None => host,
        };
        Ok(Self::Tcp { host: host.to_owned(), port })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl serde::Serialize for Address {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Address {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl schemars::JsonSchema for Address {
    fn schema_name() -> Cow<'static, str> {
        "Address".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "description": "host:port for TCP, or unix:/path for a Unix stream socket."
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_read_and_printed() {
        for text in ["127.0.0.1:10842", "[::1]:0", "localhost:80", "unix:/run/sidewatch/http.sock"] {
            assert_eq!(text.parse::<Address>().expect("an address").to_string(), text);
        }
    }

    #[test]
    fn other_texts_are_refused_with_what_to_write() {
        for (text, hint) in [
            ("10842", "write host:port"),
            (":10842", "write 127.0.0.1:10842"),
            ("::1:10842", "[::1]:10842"),
            ("localhost:http", "not a port"),
            ("localhost:65536", "not a port"),
            ("[::1", "write host:port"),
            ("http://localhost:1", "write host:port"),
            ("unix:http.sock", "absolute"),
        ] {
            let error = text.parse::<Address>().expect_err(text).to_string();
            assert!(error.contains(hint), "{error}");
        }
    }
}
