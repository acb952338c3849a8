//! The `heartbeat` section of the configuration.

use crate::model::PromDuration;
use crate::notify::config::{Authorization, BasicAuth, Tls, http_faults};
use crate::notify::post::Endpoint;
use crate::notify::url::SecretUrl;

/// The `heartbeat` section of the configuration.
#[derive(Clone, Debug, PartialEq, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Heartbeat {
    /// What is asked for while sampling, the evaluation of rules and the delivery of notifications work. Without it there is no heartbeat.
    /// Only its host is shown anywhere.
    pub url: Option<SecretUrl>,
    /// How often.
    pub every: PromDuration,
    /// `GET`, or `POST` with a small JSON object.
    pub method: HeartbeatMethod,
    /// How long the answer may take.
    pub timeout: PromDuration,
    /// User and password.
    pub basic_auth: Option<BasicAuth>,
    /// A token.
    pub authorization: Option<Authorization>,
    /// For `https`.
    pub tls: Tls,
}

/// How a heartbeat is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum HeartbeatMethod {
    /// Without a body.
    #[default]
    Get,
    /// With a small JSON object.
    Post,
}

impl Default for Heartbeat {
    fn default() -> Self {
        Self {
            url: None,
            every: PromDuration::from_secs(60),
            method: HeartbeatMethod::Get,
            timeout: PromDuration::from_secs(10),
            basic_auth: None,
            authorization: None,
            tls: Tls::default(),
        }
    }
}

impl Heartbeat {
    /// Everything that is wrong with it: where, and what.
    #[must_use]
    pub fn check(&self) -> Vec<(String, String)> {
        let mut faults = Vec::new();
        for (key, value, least) in
            [("every", self.every, PromDuration::from_secs(1)), ("timeout", self.timeout, PromDuration::from_millis(10))]
        {
            if value < least {
                faults.push((key.to_owned(), format!("{value} is too short; it is at least {least}")));
            }
        }
        if let Some(url) = &self.url {
            faults.extend(http_faults("", url.reveal(), self.basic_auth.as_ref(), self.authorization.as_ref(), &self.tls));
        }
        faults
    }

    /// Where it goes, where there is one.
    pub(super) fn endpoint(&self) -> Option<Endpoint> {
        let url = self.url.as_ref()?.reveal().parse().ok()?;
        let (basic_auth, authorization, tls) = (self.basic_auth.clone(), self.authorization.clone(), self.tls.clone());
        Some(Endpoint { url, secret: true, timeout: self.timeout.get(), basic_auth, authorization, tls })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_work_is_named_with_its_place() {
        let faults = |text: &str| -> Vec<String> {
            let config: Heartbeat = serde_yaml::from_str(text).expect("readable");
            config.check().into_iter().map(|(path, fault)| format!("{path}: {fault}")).collect()
        };
        assert_eq!(faults("{}"), Vec::<String>::new());
        assert_eq!(faults("{url: 'https://hc.example/ping/1', every: 1s, method: POST}"), Vec::<String>::new());
        for (text, fault) in [
            ("{every: 999ms}", "every: 999ms is too short; it is at least 1s"),
            ("{timeout: 1ms}", "timeout: 1ms is too short; it is at least 10ms"),
            ("{url: 'ftp://a'}", "url: it is not a URL with http or https and a host"),
            ("{url: 'http://a', basic_auth: {username: u}}", "basic_auth: it has neither password nor password_file"),
        ] {
            assert_eq!(faults(text), [fault], "{text}");
        }
    }
}
