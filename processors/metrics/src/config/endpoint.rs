//! `[worker.NAME.remote_write]`, or `[[worker.NAME.remote_write]]` for each of several.

use std::collections::BTreeMap;
use std::fmt;

use reqwest::Url;
use reqwest::header::{HeaderName, HeaderValue};
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize, Serializer};
use weir_config::{ByteSize, Checker, Duration, Secret, Spanned, quoted, unset};

use super::relabel::Relabel;

/// The most endpoints of a worker.
const ENDPOINTS_MAX: usize = 16;

/// Headers that Weir sets itself, and those that belong to the connection.
const HEADERS_OWN: [&str; 8] = [
    "authorization",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "host",
    "transfer-encoding",
    "x-prometheus-remote-write-version",
];

/// Where samples go: one table, or a list of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Endpoints {
    list: Vec<Endpoint>,
    /// Whether it is written as one table.
    single: bool,
}

/// A receiver, and how it is spoken to.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Endpoint {
    /// What it is called in logs, in counters and at `/status`; by default the URL's host and port.
    pub name: Option<Spanned<String>>,
    /// The receiver; `http` or `https`, without credentials.
    #[serde(serialize_with = "without_query")]
    pub url: Spanned<String>,
    /// The version of the remote-write protocol.
    pub protocol: Protocol,
    /// Samples of one request, 1 to 1,000,000.
    pub max_samples: Spanned<u32>,
    /// Bytes of one request before compression, 64KiB to 32MiB, which is the most that Prometheus decodes.
    pub max_bytes: Spanned<ByteSize>,
    /// How long a request waits for more samples, 0s to 1m.
    pub linger: Spanned<Duration>,
    /// Requests under way at once, 1 to 256; a series always goes to the same shard.
    pub shards: Spanned<u32>,
    /// How long the receiver may take to answer, 100ms to 10m.
    pub timeout: Spanned<Duration>,
    /// Further headers of every request.
    #[serde(serialize_with = "names_alone")]
    pub headers: BTreeMap<Spanned<String>, Spanned<Secret>>,
    /// How Weir says who it is, and whom it believes.
    pub security: Security,
    /// Labels that every series gets which does not have them.
    pub external_labels: BTreeMap<Spanned<String>, Spanned<String>>,
    /// What is done to the labels of a series, in this order, after that.
    pub write_relabel_configs: Vec<Spanned<Relabel>>,
}

/// How Weir says who it is, and whom it believes.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Security {
    /// The user of basic authentication.
    pub username: Option<Spanned<String>>,
    /// The password of basic authentication.
    #[serde(skip_serializing)]
    pub password: Option<Spanned<Secret>>,
    /// A file with a bearer token, which is read for each request.
    pub bearer_token_file: Option<Spanned<String>>,
    /// Certificates of the authorities that the receiver's is believed from, as PEM; instead of the system's.
    pub ca_file: Option<Spanned<String>>,
    /// Weir's own certificate, as PEM, with those between it and the authority.
    pub certificate_file: Option<Spanned<String>>,
    /// Its key, as PEM of PKCS #8.
    pub key_file: Option<Spanned<String>>,
}

/// The version of the remote-write protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize)]
pub enum Protocol {
    /// 2.0, and 1.0 from when the receiver does not understand that.
    #[default]
    #[serde(rename = "auto")]
    Auto,
    /// 1.0 only.
    #[serde(rename = "1.0")]
    V1,
    /// 2.0 only.
    #[serde(rename = "2.0")]
    V2,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::V1 => "1.0",
            Self::V2 => "2.0",
        })
    }
}

impl Default for Endpoint {
    fn default() -> Self {
        Self {
            name: None,
            url: unset("http://127.0.0.1:9090/api/v1/write".to_owned()),
            protocol: Protocol::Auto,
            max_samples: unset(10_000),
            max_bytes: unset(ByteSize::mib(4)),
            linger: unset(Duration::from_millis(200)),
            shards: unset(4),
            timeout: unset(Duration::from_secs(30)),
            headers: BTreeMap::new(),
            security: Security::default(),
            external_labels: BTreeMap::new(),
            write_relabel_configs: Vec::new(),
        }
    }
}

impl Endpoint {
    /// What it is called: its name, or the URL's host and port.
    pub fn name(&self) -> String {
        let host = || {
            let url = Url::parse(self.url.get_ref()).ok()?;
            let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
            Some(format!("{}{port}", url.host_str()?))
        };
        self.name.as_ref().map(|name| name.get_ref().clone()).or_else(host).unwrap_or_default()
    }

    /// The URL without its query, which may hold a token.
    pub fn shown_url(&self) -> String {
        Url::parse(self.url.get_ref()).map_or_else(|_| String::new(), |url| shown(&url))
    }

    fn check(&self, at: &mut Checker<'_>) {
        at.url(&self.url, "url");
        at.within(&self.max_samples, "max_samples", 1..=1_000_000);
        at.within(&self.max_bytes, "max_bytes", ByteSize::kib(64)..=ByteSize::mib(32));
        at.within(&self.linger, "linger", Duration::from_secs(0)..=Duration::from_mins(1));
        at.within(&self.shards, "shards", 1..=256);
        at.within(&self.timeout, "timeout", Duration::from_millis(100)..=Duration::from_mins(10));
        if let Some(name) = self.name.as_ref().filter(|name| name.get_ref().trim().is_empty()) {
            at.problem(name.span(), "name", "expected a name, not an empty one");
        }
        let headers = &mut at.under("headers");
        for (name, value) in &self.headers {
            let path = quoted(name.get_ref());
            match HeaderName::try_from(name.get_ref()) {
                Ok(header) if HEADERS_OWN.contains(&header.as_str()) => {
                    headers.problem(name.span(), &path, "Weir sets this header itself");
                }
                Ok(_) => {}
                Err(_) => headers.problem(name.span(), &path, "expected the name of a header"),
            }
            if HeaderValue::try_from(value.get_ref().expose()).is_err() {
                headers.problem(value.span(), &path, "expected a header's value: no line breaks or control characters");
            }
        }
        for (name, value) in &self.external_labels {
            let at = &mut at.under("external_labels");
            let path = quoted(name.get_ref());
            if name.get_ref().is_empty() || name.get_ref() == "__name__" {
                at.problem(name.span(), &path, "expected a label's name, which is not empty and not __name__");
            }
            if value.get_ref().is_empty() {
                at.problem(value.span(), &path, "expected a value, not an empty one");
            }
        }
        for (index, rule) in self.write_relabel_configs.iter().enumerate() {
            rule.get_ref().check(rule.span(), &mut at.under(&format!("write_relabel_configs[{index}]")));
        }
        self.security.check(self.url.get_ref().starts_with("https:"), &mut at.under("security"));
    }
}

fn without_query<S: Serializer>(url: &Spanned<String>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&Url::parse(url.get_ref()).map_or_else(|_| String::new(), |url| shown(&url)))
}

fn names_alone<S: Serializer>(
    headers: &BTreeMap<Spanned<String>, Spanned<Secret>>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(headers.keys().map(Spanned::get_ref))
}

/// Where the receiver is, without credentials and query.
pub(crate) fn shown(url: &Url) -> String {
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}://{}{port}{}", url.scheme(), url.host_str().unwrap_or_default(), url.path())
}

impl Security {
    /// What it says, in words, and nothing of it; empty if it says nothing.
    pub fn shown(&self) -> Vec<&'static str> {
        let words = [
            (self.username.is_some(), "basic authentication"),
            (self.bearer_token_file.is_some(), "bearer token"),
            (self.certificate_file.is_some(), "client certificate"),
            (self.ca_file.is_some(), "own authority"),
        ];
        words.into_iter().filter_map(|(is_set, word)| is_set.then_some(word)).collect()
    }

    fn check(&self, tls: bool, at: &mut Checker<'_>) {
        let span = |value: &Option<Spanned<String>>| value.as_ref().map(Spanned::span);
        let username = ("username", span(&self.username));
        let password = ("password", self.password.as_ref().map(Spanned::span));
        let [ca, certificate, key] = [
            ("ca_file", span(&self.ca_file)),
            ("certificate_file", span(&self.certificate_file)),
            ("key_file", span(&self.key_file)),
        ];
        for ((name, span), (other, its)) in [(&username, &password), (&certificate, &key)] {
            match (span, its) {
                (Some(span), None) => at.problem(span.clone(), other, format_args!("is missing, which {name} needs")),
                (None, Some(span)) => at.problem(span.clone(), name, format_args!("is missing, which {other} needs")),
                _ => {}
            }
        }
        if self.username.as_ref().is_some_and(|name| name.get_ref().contains(':')) {
            at.problem(username.1.clone().unwrap_or_default(), "username", "must not have a colon in it");
        }
        if let (Some(span), Some(_)) = (span(&self.bearer_token_file), &username.1) {
            at.problem(span, "bearer_token_file", "a request has one authorization: username says another");
        }
        for (name, span) in [&ca, &certificate, &key] {
            if let (false, Some(span)) = (tls, span) {
                at.problem(span.clone(), name, "goes with an https:// URL only");
            }
        }
        let files = [
            ("bearer_token_file", &self.bearer_token_file),
            ("ca_file", &self.ca_file),
            ("certificate_file", &self.certificate_file),
            ("key_file", &self.key_file),
        ];
        for (name, file) in files {
            if let Some(file) = file.as_ref().filter(|file| file.get_ref().is_empty()) {
                at.problem(file.span(), name, "expected the path of a file, not an empty one");
            }
        }
    }
}

// === impl Endpoints ===

impl Default for Endpoints {
    fn default() -> Self {
        Endpoint::default().into()
    }
}

impl From<Endpoint> for Endpoints {
    fn from(endpoint: Endpoint) -> Self {
        Self { list: vec![endpoint], single: true }
    }
}

impl From<Vec<Endpoint>> for Endpoints {
    fn from(list: Vec<Endpoint>) -> Self {
        Self { list, single: false }
    }
}

impl Endpoints {
    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Endpoint> {
        self.list.iter()
    }

    /// The same, to be changed.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Endpoint> {
        self.list.iter_mut()
    }

    /// Reports every value that is wrong; `at` is the worker.
    pub fn check(&self, at: &mut Checker<'_>) {
        if !(1..=ENDPOINTS_MAX).contains(&self.list.len()) {
            let message = format!("expected 1 to {ENDPOINTS_MAX} tables [[...remote_write]]");
            at.problem(0..0, "remote_write", message);
        }
        let mut names = BTreeMap::new();
        for (index, endpoint) in self.list.iter().enumerate() {
            let path = if self.single { "remote_write".to_owned() } else { format!("remote_write[{index}]") };
            let at = &mut at.under(&path);
            endpoint.check(at);
            if let Some(other) = names.insert(endpoint.name(), index) {
                let span = endpoint.name.as_ref().unwrap_or(&endpoint.url).span();
                let message = format!("remote_write[{other}] is called the same: give each a name of its own");
                at.problem(span, "name", message);
            }
        }
    }
}

impl Serialize for Endpoints {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.list.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Endpoints {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OneOrMany)
    }
}

struct OneOrMany;

impl<'de> Visitor<'de> for OneOrMany {
    type Value = Endpoints;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a table, or a list of tables")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Endpoints, A::Error> {
        Endpoint::deserialize(MapAccessDeserializer::new(map)).map(Endpoints::from)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Endpoints, A::Error> {
        Vec::deserialize(SeqAccessDeserializer::new(seq)).map(Endpoints::from)
    }
}
