//! The receiver, as all shards of an endpoint know it.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use bytes::Bytes;
use reqwest::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Certificate, Client, ClientBuilder, Identity, RequestBuilder, Response, Url};
use tokio::io::AsyncReadExt;
use weir_remote_write::headers;

use crate::config::{Config, Endpoint, Protocol, Security, Tenant};
use crate::deliver::request::Version;
use crate::error::{DeliverError, StartError};
use crate::instruments::{Instruments, Outcome, Speaker};

/// The largest token, certificate or key in a file, in bytes; above all that are in use.
const SECRET_BYTES_MAX: usize = 1 << 20;

/// The receiver, as all shards of an endpoint know it.
#[derive(Clone, Debug)]
pub struct Remote {
    /// Its place among the worker's endpoints.
    pub(super) place: usize,
    client: Client,
    url: Url,
    /// The URL without what might be a secret.
    pub(super) shown: Arc<str>,
    /// The version spoken: what one shard finds out, all know.
    version: Arc<AtomicU8>,
    pub(super) falls_back: bool,
    /// The header that says whose samples they are, and whose those of nobody are.
    pub(super) tenant: Option<(HeaderName, HeaderValue)>,
    /// The file with the bearer token.
    token: Option<Arc<Path>>,
    pub(super) max_samples: usize,
    pub(super) max_bytes: usize,
    pub(super) instruments: Speaker,
}

impl Remote {
    /// The receiver of an endpoint, by its place in the configuration. Nothing is sent yet.
    ///
    /// # Errors
    /// The HTTP client cannot be set up, a file of a certificate or key cannot be used, or the URL is not one.
    pub fn new(config: &Config, place: usize, instruments: &Instruments) -> Result<Self, StartError> {
        let endpoint = config.remote_write.iter().nth(place).ok_or(StartError::Url)?;
        let url = Url::parse(endpoint.url.get_ref()).map_err(|_| StartError::Url)?;
        let builder = Client::builder()
            .timeout(endpoint.timeout.get_ref().get())
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("weir/", env!("CARGO_PKG_VERSION")))
            .default_headers(further_headers(endpoint)?);
        let client = trusting(builder, &endpoint.security)?.build().map_err(StartError::Client)?;
        let version = if endpoint.protocol == Protocol::V1 { Version::V1 } else { Version::V2 };
        let instruments = instruments.speaker(&endpoint.name());
        instruments.speaks(version);
        Ok(Self {
            place,
            client,
            shown: endpoint.shown_url().into(),
            url,
            version: Arc::new(AtomicU8::new(version as u8)),
            falls_back: endpoint.protocol == Protocol::Auto,
            tenant: config.otlp.tenant.as_ref().map(tenant).transpose()?,
            token: endpoint.security.bearer_token_file.as_ref().map(|file| Path::new(file.get_ref()).into()),
            max_samples: usize::try_from(*endpoint.max_samples.get_ref()).unwrap_or(usize::MAX),
            max_bytes: endpoint.max_bytes.get_ref().get_usize(),
            instruments,
        })
    }

    pub(super) fn version(&self) -> Version {
        if self.version.load(Ordering::Relaxed) == Version::V1 as u8 { Version::V1 } else { Version::V2 }
    }

    /// The receiver does not know 2.0, as long as this process lives.
    pub(super) fn fall_back(&self) {
        if self.version.swap(Version::V1 as u8, Ordering::Relaxed) != Version::V1 as u8 {
            tracing::info!(url = %self.shown, "the receiver does not know remote write 2.0, falling back to 1.0");
        }
        self.instruments.speaks(Version::V1);
        self.instruments.request(Outcome::FellBack);
    }

    pub(super) async fn post(
        &self,
        version: Version,
        tenant: Option<&HeaderValue>,
        body: Bytes,
    ) -> Result<Response, DeliverError> {
        let request = self
            .client
            .post(self.url.clone())
            .header(CONTENT_TYPE, version.content_type())
            .header(CONTENT_ENCODING, headers::CONTENT_ENCODING)
            .header(headers::VERSION, version.header())
            .body(body);
        let request = match &self.tenant {
            Some((header, default)) => request.header(header, tenant.unwrap_or(default)),
            None => request,
        };
        let request = self.authorized(request).await?;
        request.send().await.map_err(|source| self.unreachable(source))
    }

    /// The token is read each time: whoever renews it only has to write the file.
    async fn authorized(&self, request: RequestBuilder) -> Result<RequestBuilder, DeliverError> {
        let Some(file) = &self.token else { return Ok(request) };
        let token = read_token(file).await.map_err(|source| {
            self.instruments.request(Outcome::Unauthorized);
            DeliverError::Token { url: self.shown.clone(), file: file.clone(), source }
        })?;
        Ok(request.header(AUTHORIZATION, token))
    }

    pub(super) fn unreachable(&self, source: reqwest::Error) -> DeliverError {
        self.instruments.request(Outcome::Unreachable);
        DeliverError::Unreachable { url: self.shown.clone(), source: source.without_url() }
    }
}

async fn read_token(file: &Path) -> std::io::Result<HeaderValue> {
    let mut token = String::from("Bearer ");
    let opened = tokio::fs::File::open(file).await?;
    let limit = u64::try_from(SECRET_BYTES_MAX).unwrap_or(u64::MAX);
    let read = opened.take(limit).read_to_string(&mut token).await?;
    let token = token.trim_end();
    let mut header = HeaderValue::try_from(token)
        .ok()
        .filter(|_| token.len() > "Bearer ".len() && read < SECRET_BYTES_MAX)
        .ok_or_else(|| std::io::Error::new(std::io::ErrorKind::InvalidData, "it is no token: one line of text"))?;
    header.set_sensitive(true);
    Ok(header)
}

fn tenant(config: &Tenant) -> Result<(HeaderName, HeaderValue), StartError> {
    let header = HeaderName::try_from(config.header.get_ref()).map_err(|_| StartError::Header)?;
    Ok((header, HeaderValue::try_from(config.default.get_ref()).map_err(|_| StartError::Header)?))
}

/// The headers that are the same for every request.
fn further_headers(endpoint: &Endpoint) -> Result<HeaderMap, StartError> {
    let mut headers = HeaderMap::new();
    for (name, value) in &endpoint.headers {
        let mut value = HeaderValue::try_from(value.get_ref().expose()).map_err(|_| StartError::Header)?;
        value.set_sensitive(true);
        headers.insert(HeaderName::try_from(name.get_ref()).map_err(|_| StartError::Header)?, value);
    }
    let Security { username, password, .. } = &endpoint.security;
    if let (Some(username), Some(password)) = (username, password) {
        let both = format!("{}:{}", username.get_ref(), password.get_ref().expose());
        let encoded = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, both);
        let mut value = HeaderValue::try_from(format!("Basic {encoded}")).map_err(|_| StartError::Header)?;
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
    Ok(headers)
}

/// Whom the client believes, and the certificate that it shows.
fn trusting(mut builder: ClientBuilder, security: &Security) -> Result<ClientBuilder, StartError> {
    let read = |file: &str| std::fs::read(file).map_err(|source| StartError::File { file: file.to_owned(), source });
    if let Some(file) = security.ca_file.as_ref().map(|file| file.get_ref().as_str()) {
        let certificates = Certificate::from_pem_bundle(&read(file)?)
            .map_err(|source| StartError::Certificate { file: file.to_owned(), source })?;
        builder = builder.tls_certs_only(certificates);
    }
    if let (Some(certificate), Some(key)) = (&security.certificate_file, &security.key_file) {
        let (certificate, key) = (read(certificate.get_ref())?, (key.get_ref(), read(key.get_ref())?));
        let identity = Identity::from_pkcs8_pem(&certificate, &key.1)
            .map_err(|source| StartError::Certificate { file: key.0.clone(), source })?;
        builder = builder.identity(identity);
    }
    Ok(builder)
}
