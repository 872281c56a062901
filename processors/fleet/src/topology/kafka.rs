//! `[kafka]`: how to reach Kafka.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use weir_config::{Checker, Duration, Secret, Spanned, quoted, unset};
use weir_kafka::real::{OWNED, POLL_WITHIN_MS};

/// How to reach Kafka.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KafkaConfig {
    /// `host:port` of some brokers; the others are learnt from them.
    pub brokers: Spanned<Vec<String>>,
    /// How the connection is secured.
    pub security: Security,
    /// Further librdkafka properties; each may be a secret.
    pub properties: BTreeMap<Spanned<String>, Spanned<Secret>>,
}

/// How the connection is secured.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Security {
    /// Encryption and authentication.
    pub protocol: Spanned<Protocol>,
    /// How to authenticate, with SASL.
    pub mechanism: Option<Spanned<Mechanism>>,
    /// The user, with SASL.
    pub username: Option<Spanned<String>>,
    /// The user's password, with SASL.
    pub password: Option<Spanned<Secret>>,
    /// The authorities that brokers are verified against, as PEM; those of the system by default.
    pub ca_file: Option<Spanned<String>>,
    /// This client's certificate, as PEM, for mTLS.
    pub certificate_file: Option<Spanned<String>>,
    /// The certificate's key, as PEM, for mTLS.
    pub key_file: Option<Spanned<String>>,
}

/// Encryption and authentication of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// Neither.
    #[default]
    Plaintext,
    /// TLS, with a certificate of the client's or none.
    Ssl,
    /// SASL without encryption.
    SaslPlaintext,
    /// SASL over TLS.
    SaslSsl,
}

/// How to authenticate with SASL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mechanism {
    /// User and password as they are.
    Plain,
    /// A challenge, with SHA-256.
    #[serde(rename = "scram-sha-256")]
    ScramSha256,
    /// A challenge, with SHA-512.
    #[serde(rename = "scram-sha-512")]
    ScramSha512,
    /// A token; its issuer is set by `sasl.oauthbearer.*` properties.
    Oauthbearer,
}

/// librdkafka's properties that `[kafka.security]` sets, and its keys.
const SECURITY: &[(&str, &str)] = &[
    ("sasl.mechanism", "mechanism"),
    ("sasl.mechanisms", "mechanism"),
    ("sasl.password", "password"),
    ("sasl.username", "username"),
    ("security.protocol", "protocol"),
    ("ssl.ca.location", "ca_file"),
    ("ssl.certificate.location", "certificate_file"),
    ("ssl.key.location", "key_file"),
];

/// Properties that librdkafka refuses beside `group.protocol=consumer`: the broker decides them there (KIP-848).
const NOT_WITH_CONSUMER_PROTOCOL: &[&str] = &["group.protocol.type", "heartbeat.interval.ms", "session.timeout.ms"];

/// How long a consumer may go without a poll before its partitions are taken away.
const MAX_POLL_INTERVAL: &str = "max.poll.interval.ms";

impl Default for KafkaConfig {
    fn default() -> Self {
        Self {
            brokers: unset(vec!["127.0.0.1:9092".to_owned()]),
            security: Security::default(),
            properties: BTreeMap::new(),
        }
    }
}

impl Default for Security {
    fn default() -> Self {
        Self {
            protocol: unset(Protocol::default()),
            mechanism: None,
            username: None,
            password: None,
            ca_file: None,
            certificate_file: None,
            key_file: None,
        }
    }
}

impl KafkaConfig {
    /// librdkafka's properties for every client: brokers, security, and `properties`. **Holds secrets.**
    pub fn client_properties(&self) -> BTreeMap<String, String> {
        let security = &self.security;
        let text = |value: &Option<Spanned<String>>| value.as_ref().map(|value| value.get_ref().clone());
        let own = [
            ("bootstrap.servers", Some(self.brokers.get_ref().join(","))),
            ("security.protocol", Some(security.protocol.get_ref().to_string())),
            ("sasl.mechanisms", security.mechanism.as_ref().map(|mechanism| mechanism.get_ref().to_string())),
            ("sasl.username", text(&security.username)),
            ("sasl.password", security.password.as_ref().map(|secret| secret.get_ref().expose().to_owned())),
            ("ssl.ca.location", text(&security.ca_file)),
            ("ssl.certificate.location", text(&security.certificate_file)),
            ("ssl.key.location", text(&security.key_file)),
        ];
        let own = own.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
        let further = self.properties.iter();
        own.chain(further.map(|(name, value)| (name.get_ref().clone(), value.get_ref().expose().to_owned()))).collect()
    }

    /// How long a consumer may go without a poll.
    pub(super) fn max_poll_interval(&self) -> Duration {
        let set = self.properties.get(MAX_POLL_INTERVAL).and_then(|millis| millis.get_ref().expose().parse().ok());
        Duration::from_millis(set.unwrap_or(POLL_WITHIN_MS))
    }

    pub(super) fn check(&self, at: &mut Checker<'_>) {
        let brokers = self.brokers.get_ref();
        if brokers.is_empty() {
            at.problem(self.brokers.span(), "brokers", "expected at least one broker, such as \"127.0.0.1:9092\"");
        }
        for (index, broker) in brokers.iter().enumerate() {
            let port =
                broker.rsplit_once(':').filter(|(host, _)| !host.is_empty()).map(|(_, port)| port.parse::<u16>());
            if !matches!(port, Some(Ok(1..))) || broker.contains(',') {
                let message = "expected a host and a port, such as \"127.0.0.1:9092\"";
                at.problem(self.brokers.span(), &format!("brokers[{index}]"), message);
            }
        }
        self.security.check(&mut at.under("security"));
        let at = &mut at.under("properties");
        for (name, value) in &self.properties {
            let path = quoted(name.get_ref());
            if let Some((_, instead)) = OWNED.iter().find(|(owned, _)| owned == name.get_ref()) {
                at.problem(name.span(), &path, format_args!("Weir sets this property itself: {instead}"));
            }
            if let Some((_, key)) = SECURITY.iter().find(|(property, _)| property == name.get_ref()) {
                let message = format!("Weir sets this property itself: use kafka.security.{key}");
                at.problem(name.span(), &path, message);
            }
            if name.get_ref() == MAX_POLL_INTERVAL && value.get_ref().expose().parse::<u64>().is_err() {
                at.problem(value.span(), &path, "expected a whole number of milliseconds");
            }
        }
    }

    /// Reports properties that the worker's group protocol does not go with; `at` is the worker.
    pub(super) fn check_consumer_protocol(&self, at: &mut Checker<'_>) {
        for name in self.properties.keys().filter(|name| NOT_WITH_CONSUMER_PROTOCOL.contains(&name.get_ref().as_str()))
        {
            let message =
                format!("\"consumer\" does not go with {name} in kafka.properties: the broker decides it then");
            at.problem(name.span(), "group_protocol", message);
        }
    }
}

impl Security {
    fn check(&self, at: &mut Checker<'_>) {
        let protocol = *self.protocol.get_ref();
        let sasl = matches!(protocol, Protocol::SaslPlaintext | Protocol::SaslSsl);
        let tls = matches!(protocol, Protocol::Ssl | Protocol::SaslSsl);
        let span = |value: &Option<Spanned<String>>| value.as_ref().map(Spanned::span);

        let mechanism = ("mechanism", self.mechanism.as_ref().map(Spanned::span));
        let username = ("username", span(&self.username));
        let password = ("password", self.password.as_ref().map(Spanned::span));
        let files = [
            ("ca_file", span(&self.ca_file)),
            ("certificate_file", span(&self.certificate_file)),
            ("key_file", span(&self.key_file)),
        ];
        for (name, span) in [&mechanism, &username, &password] {
            if let (false, Some(span)) = (sasl, span) {
                at.problem(span.clone(), name, "goes with protocol = \"sasl_ssl\" or \"sasl_plaintext\" only");
            }
        }
        for (name, span) in &files {
            if let (false, Some(span)) = (tls, span) {
                at.problem(span.clone(), name, "goes with protocol = \"ssl\" or \"sasl_ssl\" only");
            }
        }
        let by_password = !matches!(self.mechanism.as_ref().map(Spanned::get_ref), None | Some(Mechanism::Oauthbearer));
        let needed = [(sasl, &mechanism), (sasl && by_password, &username), (sasl && by_password, &password)];
        for (is_needed, (name, span)) in needed {
            if is_needed && span.is_none() {
                at.problem(self.protocol.span(), name, format_args!("is missing, which {protocol} needs"));
            }
        }
        let [_, (_, certificate), (_, key)] = &files;
        match (certificate, key) {
            (Some(span), None) => at.problem(span.clone(), "key_file", "is missing, which certificate_file needs"),
            (None, Some(span)) => at.problem(span.clone(), "certificate_file", "is missing, which key_file needs"),
            _ => {}
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plaintext => "plaintext",
            Self::Ssl => "ssl",
            Self::SaslPlaintext => "sasl_plaintext",
            Self::SaslSsl => "sasl_ssl",
        })
    }
}

/// As librdkafka names it.
impl fmt::Display for Mechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plain => "PLAIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha512 => "SCRAM-SHA-512",
            Self::Oauthbearer => "OAUTHBEARER",
        })
    }
}
