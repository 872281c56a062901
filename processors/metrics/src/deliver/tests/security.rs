//! Receivers that want to know who it is, or have to be believed first.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::sync::mpsc::{Receiver as Heads, channel};

use openssl::asn1::Asn1Time;
use openssl::bn::BigNum;
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::ssl::{SslAcceptor, SslMethod, SslVerifyMode};
use openssl::x509::extension::{BasicConstraints, SubjectAlternativeName};
use openssl::x509::{X509, X509NameBuilder};
use weir_config::Document;

use super::*;

/// In every secret of these tests, and in nothing else.
const CANARY: &str = "hunter2";

/// A certificate and its key.
struct Party {
    certificate: X509,
    key: PKey<Private>,
}

impl Party {
    /// One that signs itself, or is signed by another; of this machine.
    fn new(name: &str, issuer: Option<&Self>) -> Self {
        let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
        let key = PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap();
        let mut subject = X509NameBuilder::new().unwrap();
        subject.append_entry_by_text("CN", name).unwrap();
        let subject = subject.build();
        let mut builder = X509::builder().unwrap();
        builder.set_version(2).unwrap();
        builder.set_serial_number(&BigNum::from_u32(1).unwrap().to_asn1_integer().unwrap()).unwrap();
        builder.set_subject_name(&subject).unwrap();
        builder.set_issuer_name(issuer.map_or(&subject, |issuer| issuer.certificate.subject_name())).unwrap();
        builder.set_not_before(&Asn1Time::from_unix(0).unwrap()).unwrap();
        builder.set_not_after(&Asn1Time::days_from_now(1).unwrap()).unwrap();
        builder.set_pubkey(&key).unwrap();
        if issuer.is_none() {
            builder.append_extension(BasicConstraints::new().critical().ca().build().unwrap()).unwrap();
        }
        let context = builder.x509v3_context(None, None);
        let address = SubjectAlternativeName::new().ip("127.0.0.1").build(&context).unwrap();
        builder.append_extension(address).unwrap();
        builder.sign(issuer.map_or(&key, |issuer| &issuer.key), MessageDigest::sha256()).unwrap();
        Self { certificate: builder.build(), key }
    }

    /// Writes both into a folder; the table `security` of a client that has them.
    fn written(&self, folder: &Path, name: &str) -> String {
        let [certificate, key] = ["pem", "key"].map(|kind| folder.join(format!("{name}.{kind}")));
        fs::write(&certificate, self.certificate.to_pem().unwrap()).unwrap();
        fs::write(&key, self.key.private_key_to_pem_pkcs8().unwrap()).unwrap();
        format!("certificate_file = {certificate:?}\nkey_file = {key:?}\n")
    }
}

/// A receiver behind TLS that takes everything, and tells the head of each request; it wants a certificate from `of`.
fn behind_tls(server: &Party, of: Option<&Party>) -> (String, Heads<String>) {
    let mut acceptor = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server()).unwrap();
    acceptor.set_private_key(&server.key).unwrap();
    acceptor.set_certificate(&server.certificate).unwrap();
    if let Some(authority) = of {
        acceptor.cert_store_mut().add_cert(authority.certificate.clone()).unwrap();
        acceptor.set_verify(SslVerifyMode::PEER | SslVerifyMode::FAIL_IF_NO_PEER_CERT);
    }
    let (acceptor, listener) = (acceptor.build(), TcpListener::bind("127.0.0.1:0").unwrap());
    let url = format!("https://{}/api/v1/write?token={CANARY}", listener.local_addr().unwrap());
    let (heads, told) = channel();
    // Ends with the test's process.
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            let Ok(mut connection) = acceptor.accept(connection.unwrap()) else { continue };
            let mut got = Vec::new();
            let mut byte = [0];
            while !got.ends_with(b"\r\n\r\n") && connection.read(&mut byte).is_ok_and(|read| read > 0) {
                got.push(byte[0]);
            }
            let head = String::from_utf8_lossy(&got).to_lowercase();
            let len = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok()).unwrap_or(0);
            let mut body = vec![0; len];
            connection.read_exact(&mut body).ok();
            let answer = format!("HTTP/1.1 204 \r\n{WRITTEN}: 1\r\nConnection: close\r\n\r\n");
            connection.write_all(answer.as_bytes()).ok();
            connection.shutdown().ok();
            heads.send(head).ok();
        }
    });
    (url, told)
}

/// An endpoint with that table `security`, checked.
fn secured(url: &str, security: &str) -> Endpoint {
    let text = format!("url = \"{url}\"\n[headers]\nX-Region = \"eu-{CANARY}\"\n[security]\n{security}");
    let (endpoint, report) =
        Document::parse("t.toml", &text).unwrap().read::<Endpoints>(&|_| Err(std::io::ErrorKind::Unsupported.into()));
    let mut report = report;
    endpoint.check(&mut report.at(""));
    report.finish().unwrap();
    endpoint.iter().next().unwrap().clone()
}

/// Delivers one sample; everything that could tell a secret is looked at.
async fn deliver(endpoint: &Endpoint) -> Result<(), DeliverError> {
    let remote = super::remote(endpoint, &Instruments::default()).unwrap();
    let mut sink = RemoteWriteSink::new(&remote);
    sink.pack(&items(&[("a", 1)]));
    let delivered = sink.deliver().await;
    let shown = format!("{endpoint:?} {sink:?} {remote:?} {delivered:?} {}", serde_json::to_string(endpoint).unwrap());
    let error = delivered.as_ref().err().map(|error| crate::process::chain(error)).unwrap_or_default();
    // The URL's query is in what is kept of it, which is only ever shown without.
    let shown = shown.replace(&format!("?token={CANARY}"), "").replace(&format!("Some(\"token={CANARY}\")"), "");
    assert!(!shown.contains(CANARY) && !error.contains(CANARY), "{shown} {error}");
    delivered
}

#[tokio::test]
async fn a_password_and_further_headers_are_sent_and_never_shown() {
    let authority = Party::new("authority", None);
    let server = Party::new("server", Some(&authority));
    let folder = tempfile::tempdir().unwrap();
    authority.written(folder.path(), "ca");
    let (url, heads) = behind_tls(&server, None);
    let ca = folder.path().join("ca.pem");
    let security = format!("username = \"weir\"\npassword = \"{CANARY}\"\nca_file = {ca:?}\n");
    deliver(&secured(&url, &security)).await.unwrap();
    let head = heads.recv().unwrap();
    // What `printf weir:hunter2 | base64` says.
    assert!(head.contains("\r\nauthorization: basic d2vpcjpodw50zxiy\r\n"), "{head}");
    assert!(head.contains("\r\nx-region: eu-hunter2\r\n"), "{head}");
}

#[tokio::test]
async fn a_receiver_of_an_unknown_authority_is_not_believed() {
    let authority = Party::new("authority", None);
    let (url, _heads) = behind_tls(&Party::new("server", Some(&authority)), None);
    let error = deliver(&secured(&url, "")).await.unwrap_err();
    assert_eq!(error.next(), Next::Retry { after: None });
    let other = Party::new("other authority", None);
    let folder = tempfile::tempdir().unwrap();
    other.written(folder.path(), "ca");
    let ca = folder.path().join("ca.pem");
    deliver(&secured(&url, &format!("ca_file = {ca:?}\n"))).await.unwrap_err();
}

#[tokio::test]
async fn a_client_certificate_is_shown_where_it_is_asked_for() {
    let authority = Party::new("authority", None);
    let folder = tempfile::tempdir().unwrap();
    authority.written(folder.path(), "ca");
    let ca = format!("ca_file = {:?}\n", folder.path().join("ca.pem"));
    let (url, heads) = behind_tls(&Party::new("server", Some(&authority)), Some(&authority));
    deliver(&secured(&url, &ca)).await.unwrap_err();
    let own = Party::new("weir", Some(&authority)).written(folder.path(), "weir");
    deliver(&secured(&url, &format!("{ca}{own}"))).await.unwrap();
    assert!(heads.recv().unwrap().starts_with("post /api/v1/write"));
}

/// Scenario: the token is renewed while the worker runs, is gone for a while, is empty, has two lines.
#[tokio::test]
async fn a_token_is_read_again_for_each_request() {
    let receiver = Receiver::answering(vec![(204, vec![(WRITTEN, "1")], String::new())]).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    let endpoint = secured(&receiver.url, &format!("bearer_token_file = {file:?}\n"));
    for token in ["one-hunter2", "two-hunter2\n"] {
        fs::write(&file, token).unwrap();
        deliver(&endpoint).await.unwrap();
        assert_eq!(receiver.authorizations().last(), Some(&format!("Bearer {}", token.trim())));
    }
    fs::remove_file(&file).unwrap();
    let error = deliver(&endpoint).await.unwrap_err();
    assert_eq!(error.next(), Next::Blocked);
    assert!(error.to_string().contains("token"), "{error}");
    for token in ["", "\n", "hunter2\nhunter2", "hunter2\u{7f}"] {
        fs::write(&file, token).unwrap();
        assert_eq!(deliver(&endpoint).await.unwrap_err().next(), Next::Blocked, "{token:?}");
    }
    assert_eq!(receiver.got().len(), 2, "nothing is sent without a token");
}

#[test]
fn a_file_that_is_not_there_or_not_a_certificate_is_told_by_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let own = Party::new("weir", None).written(folder.path(), "weir");
    let url = "https://127.0.0.1:1/";
    let error = |security: &str| {
        let error = remote(&secured(url, security), &Instruments::default()).unwrap_err();
        crate::process::chain(&error)
    };
    let missing = folder.path().join("missing.pem");
    assert!(error(&format!("ca_file = {missing:?}\n")).contains("missing.pem: "));
    let key = folder.path().join("weir.key");
    fs::write(&key, CANARY).unwrap();
    let told = error(&own);
    assert!(told.contains("weir.key") && !told.contains(CANARY), "{told}");
}
