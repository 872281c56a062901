//! The closed lists: classes of logs, detectors, actions; and what is done where nothing is configured.

use serde::{Deserialize, Serialize};

/// What kind of log a record belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    /// Requests as a server or proxy logs them.
    Access,
    /// What applications write.
    #[default]
    App,
    /// Who did what.
    Audit,
    /// Firewalls, logins, intrusion detection.
    Security,
    /// Batch jobs.
    Job,
    /// Machines, containers, networks.
    Infra,
}

/// What finds something in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Detector {
    /// A private key in PEM.
    PrivateKey,
    /// User name and password in a URL.
    Url,
    /// Credentials of a header `Authorization` or `Proxy-Authorization`, or after `Bearer` or `Basic`.
    Authorization,
    /// Values of the headers `Cookie` and `Set-Cookie`.
    Cookie,
    /// A value that is named a password.
    Password,
    /// A value that is named a secret: a token, an API key, a signature.
    Secret,
    /// An API key, known by its issuer's prefix.
    ApiKey,
    /// A JSON Web Token.
    Jwt,
    /// A long text that looks drawn at random; kept unless configured.
    Entropy,
    /// An e-mail address.
    Email,
    /// A payment card's number.
    Card,
    /// An International Bank Account Number.
    Iban,
    /// A Japanese individual number (My Number).
    MyNumber,
    /// A social security number of the United States.
    Ssn,
    /// A telephone number, international or Japanese.
    Phone,
    /// A hardware address.
    Mac,
    /// An IPv4 address.
    Ipv4,
    /// An IPv6 address.
    Ipv6,
    /// A field for which the configuration has a rule.
    Field,
}

/// What becomes of what was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// `[REDACTED:email]`.
    Redact,
    /// `[HASH:email:KEY:0123456789abcdef]`: HMAC-SHA-256, so that the same value is the same text.
    Hash,
    /// Another IP address, by Crypto-PAn: what shares a prefix still does.
    Pseudonymise,
    /// `****1111`: the last four characters of what is long enough, else redacted.
    Partial,
    /// Nothing is left of it.
    Drop,
    /// It stays.
    Keep,
}

// === impl Class ===

impl Class {
    /// Every class.
    pub const ALL: [Self; 6] = [Self::Access, Self::App, Self::Audit, Self::Security, Self::Job, Self::Infra];

    /// As it is written in configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Access => "access",
            Self::App => "app",
            Self::Audit => "audit",
            Self::Security => "security",
            Self::Job => "job",
            Self::Infra => "infra",
        }
    }
}

// === impl Detector ===

impl Detector {
    /// Every detector; of two that found the same text, the first one is named.
    pub const ALL: [Self; 19] = [
        Self::PrivateKey,
        Self::Url,
        Self::Authorization,
        Self::Cookie,
        Self::ApiKey,
        Self::Jwt,
        Self::Password,
        Self::Secret,
        Self::Entropy,
        Self::Email,
        Self::Card,
        Self::Iban,
        Self::MyNumber,
        Self::Ssn,
        Self::Phone,
        Self::Mac,
        Self::Ipv4,
        Self::Ipv6,
        Self::Field,
    ];

    /// As it is written in configuration and in what it masked.
    pub const fn name(self) -> &'static str {
        match self {
            Self::PrivateKey => "private_key",
            Self::Url => "url",
            Self::Authorization => "authorization",
            Self::Cookie => "cookie",
            Self::Password => "password",
            Self::Secret => "secret",
            Self::ApiKey => "api_key",
            Self::Jwt => "jwt",
            Self::Entropy => "entropy",
            Self::Email => "email",
            Self::Card => "card",
            Self::Iban => "iban",
            Self::MyNumber => "my_number",
            Self::Ssn => "ssn",
            Self::Phone => "phone",
            Self::Mac => "mac",
            Self::Ipv4 => "ipv4",
            Self::Ipv6 => "ipv6",
            Self::Field => "field",
        }
    }

    /// Whether it finds what opens a door, as opposed to what tells of a person or a machine.
    pub const fn is_secret(self) -> bool {
        use Detector::{ApiKey, Authorization, Cookie, Entropy, Field, Jwt, Password, PrivateKey, Secret, Url};
        matches!(self, PrivateKey | Url | Authorization | Cookie | Password | Secret | ApiKey | Jwt | Entropy | Field)
    }

    /// What is done where nothing is configured: secrets are redacted everywhere, personal data in the logs of
    /// applications and jobs; addresses of machines are pseudonymised there and in access logs, and kept where
    /// they are what the log is for.
    pub const fn default_action(self, class: Class) -> Action {
        match (self, class) {
            (Self::Entropy, _) => Action::Keep,
            (Self::Ipv4 | Self::Ipv6, Class::Access | Class::App | Class::Job) => Action::Pseudonymise,
            (Self::Ipv4 | Self::Ipv6, _) => Action::Keep,
            (_, Class::App | Class::Job) => Action::Redact,
            _ if self.is_secret() => Action::Redact,
            _ => Action::Keep,
        }
    }

    pub(crate) const fn index(self) -> usize {
        self as usize
    }
}

// === impl Action ===

impl Action {
    /// As it is written in configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Redact => "redact",
            Self::Hash => "hash",
            Self::Pseudonymise => "pseudonymise",
            Self::Partial => "partial",
            Self::Drop => "drop",
            Self::Keep => "keep",
        }
    }
}
