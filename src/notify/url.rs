//! URLs of the configuration: what is wrong with one, and how one that may be a secret is shown.

use std::borrow::Cow;
use std::fmt;

use hyper::Uri;

use super::secret::Secret;

/// What is shown in place of the part of a URL that may be a secret.
const SHOWN: &str = "<secret>";
/// Shorter parts of a path (`v1`, `ping`) are no secrets, and are words of other sentences as well.
const SECRET_CHARS_MIN: usize = 6;

/// A URL whose path is as good as a password, as those of webhooks and of dead man's switches often are. Its scheme, host and port are shown.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct SecretUrl(Secret);

impl SecretUrl {
    /// All of it, for whoever asks for it.
    pub(super) fn reveal(&self) -> &str {
        self.0.reveal()
    }
}

impl fmt::Display for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let uri = match self.reveal() {
            "" => return Ok(()),
            url => url.parse::<Uri>().unwrap_or_default(),
        };
        let (Some(scheme), Some(host)) = (uri.scheme_str(), uri.host()) else { return f.write_str(SHOWN) };
        write!(f, "{scheme}://{host}")?;
        uri.port().map_or(Ok(()), |port| write!(f, ":{port}"))?;
        if uri.path_and_query().is_some_and(|rest| rest.as_str() != "/") { write!(f, "/{SHOWN}") } else { Ok(()) }
    }
}

impl fmt::Debug for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<'de> serde::Deserialize<'de> for SecretUrl {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Secret::deserialize(deserializer).map(Self)
    }
}

impl serde::Serialize for SecretUrl {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl schemars::JsonSchema for SecretUrl {
    fn schema_name() -> Cow<'static, str> {
        "SecretUrl".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "description": "A URL with http or https; only its host is shown." })
    }
}

/// What somebody says who was asked for a URL, without what in it may be secret: servers repeat the path that they do not know.
pub(super) fn without_path(url: &Uri, said: &str) -> String {
    let path = url.path_and_query().map_or("", |path| path.as_str());
    let mut parts: Vec<_> = path.split(['/', '?', '&', '=']).filter(|part| part.chars().count() >= SECRET_CHARS_MIN).collect();
    // One may be a part of another.
    parts.sort_by_key(|part| std::cmp::Reverse(part.len()));
    parts.into_iter().fold(said.to_owned(), |said, part| said.replace(part, SHOWN))
}

/// Why a text is no URL that can be asked. The text itself is not repeated: it may hold a password.
pub(super) fn url_fault(url: &str) -> Option<String> {
    let uri = match url.parse::<Uri>() {
        Ok(uri) => uri,
        Err(error) => return Some(format!("it is not a URL: {error}")),
    };
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    match uri.scheme_str() {
        _ if authority.contains('@') => Some("user and password do not belong in a URL, but under basic_auth".to_owned()),
        Some("http" | "https") if uri.host().is_some_and(|host| !host.is_empty()) => None,
        _ => Some("it is not a URL with http or https and a host".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_url_that_may_be_a_secret_only_the_host_is_shown() {
        for (url, shown) in [
            ("''", ""),
            ("http://a", "http://a"),
            ("https://a:8443/", "https://a:8443"),
            ("https://hooks.example/services/T0/hidden", "https://hooks.example/<secret>"),
            ("https://a?token=hidden", "https://a/<secret>"),
            ("https://me:hidden@a:1/b", "https://a:1/<secret>"),
            ("hidden", "<secret>"),
            ("not hidden", "<secret>"),
        ] {
            let read: SecretUrl = serde_yaml::from_str(url).expect("a text");
            assert_eq!(read.reveal(), url.trim_matches('\''));
            assert_eq!((read.to_string(), format!("{read:?}")), (shown.to_owned(), shown.to_owned()));
            assert_eq!(serde_json::to_string(&read).expect("written"), format!("{shown:?}"));
        }
    }

    #[test]
    fn what_is_said_about_a_url_does_not_repeat_it() {
        let url = "https://hc.example/ping/5b1f0e63-0b5a?token=t0ps3cr3t".parse().expect("a URL");
        let said = "404: no /ping/5b1f0e63-0b5a, nor t0ps3cr3t";
        assert_eq!(without_path(&url, said), "404: no /ping/<secret>, nor <secret>");
        let url = "http://a/webhook/webhook-9f8e7d".parse().expect("a URL");
        assert_eq!(without_path(&url, "no webhook-9f8e7d"), "no <secret>");
        for (url, fault) in [
            ("http://a b", "it is not a URL: invalid uri character"),
            ("hidden/x", "it is not a URL: invalid format"),
            ("ftp://hidden", "it is not a URL with http or https and a host"),
            ("hidden", "it is not a URL with http or https and a host"),
            ("http://me:hidden@a", "user and password do not belong in a URL, but under basic_auth"),
        ] {
            assert_eq!(url_fault(url).as_deref(), Some(fault));
        }
    }
}
