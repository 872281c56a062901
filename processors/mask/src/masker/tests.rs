use proptest::prelude::*;
use weir_config::{Secret, unset};

use super::*;
use crate::{Encoding, KeyConfig};

/// What is found in a log of an application, as detector and text.
fn found(text: &str) -> Vec<(&'static str, &str)> {
    let masker = Masker::new(&Config::default()).unwrap();
    let all = masker.explain(Class::App, Field::BODY, text);
    all.into_iter().map(|found| (found.detector.name(), text.get(found.span).unwrap())).collect()
}

#[track_caller]
fn finds(detector: &str, cases: &[(&str, &str)]) {
    let wrong = |(text, value): &&(&str, &str)| found(text) != [(detector, *value)];
    let wrong: Vec<_> = cases.iter().filter(wrong).map(|(text, _)| (text, found(text))).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[track_caller]
fn stays(texts: &[&str]) {
    let wrong: Vec<_> = texts.iter().map(|text| (text, found(text))).filter(|(_, found)| !found.is_empty()).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn mail_addresses_are_found_up_to_their_boundaries() {
    finds(
        "email",
        &[
            ("mail from eve@example.com accepted", "eve@example.com"),
            ("<eve.o'hara+tag@mail.example.co.uk>,", "eve.o'hara+tag@mail.example.co.uk"),
            ("to=eve@example.com.", "eve@example.com"),
            ("eve+99@example.com", "eve+99@example.com"),
            ("by eve+2026-11@example.com", "eve+2026-11@example.com"),
            ("eve%25adams@example.com", "eve%25adams@example.com"),
            ("連絡先はtaro@example.co.jpです", "taro@example.co.jp"),
            ("GET /u?email=eve%40example.com&x=1", "eve%40example.com"),
            (r#"{"to":"eve\u0040example.com"}"#, r"eve\u0040example.com"),
            ("mailto:eve@xn--bcher-kva.example", "eve@xn--bcher-kva.example"),
            ("eve@münchen.de wrote", "eve@münchen.de"),
            ("\"eve\"@example.com", "\"eve\"@example.com"),
            ("'eve@example.com'", "eve@example.com"),
            (r#"{"mail":"eve@example.com"}"#, "eve@example.com"),
            ("eve@example.com", "eve@example.com"),
            // What other detectors look at, too: numbers, schemes, the beginning of a token.
            ("from 12345678@qq.com.", "12345678@qq.com"),
            ("from 2026eve@example.com", "2026eve@example.com"),
            ("from 10.0.0.1@example.com", "10.0.0.1@example.com"),
            ("from bearer@example.com", "bearer@example.com"),
            ("from ewo.smith@example.com", "ewo.smith@example.com"),
            ("from 4111111111111111@example.com", "4111111111111111@example.com"),
        ],
    );
    stays(&[
        "npm i @types/node@20.1.0",
        "logo@2x.png",
        "root@localhost",
        "user@1000.service: done",
        "git@github.com:org/repo.git",
        "java.lang.Object@1f2e3d4c",
        "a @ b.com",
        "@decorator",
        "image@sha256:abcdef",
        "backup@2026-11-21.tar.gz",
        "report@2026-11-21.pdf",
        "go get golang.org/x/crypto@v0.17.0",
        "go get example.org/pkg@1.22.33",
    ]);
    let local = "x".repeat(65);
    assert_eq!(found(&format!("{local}@example.com")), []);
}

#[test]
fn payment_cards_are_found_by_issuer_length_and_check_digit() {
    finds(
        "card",
        &[
            ("card 4111111111111111 ok", "4111111111111111"),
            ("pan=4111-1111-1111-1111,", "4111-1111-1111-1111"),
            ("4111 1111 1111 1111", "4111 1111 1111 1111"),
            ("amex 3782 822463 10005", "3782 822463 10005"),
            ("diners 30569309025904.", "30569309025904"),
            ("jcb 3530111333300000", "3530111333300000"),
            ("mc 2223003122003222", "2223003122003222"),
            ("カード4111111111111111を", "4111111111111111"),
            ("カード４１１１１１１１１１１１１１１１", "４１１１１１１１１１１１１１１１"),
        ],
    );
    stays(&[
        "order 4111111111111112",
        "order 1234567812345670",
        "id 41111111111111110000",
        "0.4111111111111111",
        "4111111111111111.5",
        "x4111111111111111",
        "4111 1111-1111 1111",
        "7f3a4111-1111-1111-1111-111111111111",
        "ts 1700000000000000000",
    ]);
}

#[test]
fn numbers_of_persons_and_accounts_check() {
    finds(
        "my_number",
        &[
            ("マイナンバー: 123456789018", "123456789018"),
            ("no 1234-5678-9018", "1234-5678-9018"),
            ("user 123456789018 registered", "123456789018"),
        ],
    );
    finds("ssn", &[("ssn 123-45-6789", "123-45-6789"), ("ssn=123456789", "123456789")]);
    finds(
        "iban",
        &[
            ("to DE89370400440532013000.", "DE89370400440532013000"),
            ("GB82 WEST 1234 5698 7654 32", "GB82 WEST 1234 5698 7654 32"),
        ],
    );
    stays(&[
        "123456789012",
        "arn:aws:iam::123456789018:role/x",
        "000-12-3456",
        "666-12-3456",
        "123-00-4567",
        "900-12-3456",
        "123456789",
        "DE89370400440532013001",
        "DE893704004405320130009",
        "XDE89370400440532013000",
        "DE89_DE89370400440532013000",
        "order 123456789018",
        "at 202611210002",
        "ns:x:123456789018:role",
        "123456789018a",
        "1234-5678-9018-1",
        "000000000000",
        "123-45-0000",
        "123-45-6789-1",
        "123-45-6789x",
        "123 45 6789",
    ]);
}

#[test]
fn telephone_numbers_follow_their_plans() {
    finds(
        "phone",
        &[
            ("call +81 90-1234-5678 now", "+81 90-1234-5678"),
            ("tel:+12025550123;", "+12025550123"),
            ("+1 (202) 555-0123", "+1 (202) 555-0123"),
            ("+44 (0)20 7946 0958", "+44 (0)20 7946 0958"),
            ("+49 30 123456", "+49 30 123456"),
            ("電話090-1234-5678まで", "090-1234-5678"),
            ("03-3234-5678", "03-3234-5678"),
            ("(03) 3234-5678", "(03) 3234-5678"),
            ("tel 09012345678", "09012345678"),
            ("0120-123-456", "0120-123-456"),
            ("045-312-3456", "045-312-3456"),
            ("fax 0033 1 12 34 56 78", "0033 1 12 34 56 78"),
            ("０９０－１２３４－５６７８", "０９０－１２３４－５６７８"),
            ("tel=%2B819012345678&x", "%2B819012345678"),
        ],
    );
    stays(&[
        "2026-11-21T22:03:11.123+0900",
        "2026-11-21 22:03:11,123 +09:00",
        "offset +1234567",
        "delta +68577 -68577",
        "01-2345-6789",
        "0000012345",
        "+999 123 456 789",
        "+1 123 456 7890",
        "+12021550123",
        "021-234-5678",
        "010-1234-5678",
        "x+819012345678",
        "+819012345678a",
        "09012345678a",
        "03-3234 5678",
        "+666666666666",
        "0033112345678",
        "1.5e+1000000000",
        "550e8400-e29b-41d4-a716-446655440000",
        "00000000-0000-0000-0000-000000000000",
    ]);
}

#[test]
fn addresses_of_machines_are_told_from_versions_and_times() {
    finds(
        "ipv4",
        &[
            ("from 192.0.2.19:443", "192.0.2.19"),
            ("outside/1.1.0.7(53) ->", "1.1.0.7"),
            ("10.0.0.0/8", "10.0.0.0"),
            ("ip=203.0.113.9.", "203.0.113.9"),
            ("http://203.0.113.9/x", "203.0.113.9"),
            ("HIER_DIRECT/203.0.113.9", "203.0.113.9"),
        ],
    );
    finds(
        "ipv6",
        &[
            ("from 2001:db8::1 to", "2001:db8::1"),
            ("[2001:db8::1]:443", "2001:db8::1"),
            ("src:fe80::1%eth0", "fe80::1"),
            ("2001:0db8:85a3:0000:0000:8a2e:0370:7334", "2001:0db8:85a3:0000:0000:8a2e:0370:7334"),
            ("::ffff:192.0.2.1 x", "::ffff:192.0.2.1"),
        ],
    );
    finds(
        "mac",
        &[
            ("mac 00:1a:2b:3c:4d:5e up", "00:1a:2b:3c:4d:5e"),
            ("00-1A-2B-3C-4D-5E", "00-1A-2B-3C-4D-5E"),
            ("001a.2b3c.4d5e", "001a.2b3c.4d5e"),
            ("mac:00:1a:2b:3c:4d:5e", "00:1a:2b:3c:4d:5e"),
            ("入力値：4e:b8:40:83:2f:a5、", "4e:b8:40:83:2f:a5"),
            ("MAC=00:16:3e:12:34:56:00:16:3e:ab:cd:ef:08:00 SRC=", "00:16:3e:12:34:56:00:16:3e:ab:cd:ef:08:00"),
        ],
    );
    stays(&[
        "version 1.2.3.4",
        r#"{"appVersion":"1.2.3.4"}"#,
        "GET /app.js?v=1.2.3.4",
        "[app-1.2.3.4.jar!/:1.2.3.4]",
        "got 1.2.3.4.tar.gz",
        "010.001.002.003",
        "0:0:0:0:0:0:0:1",
        "2001:db8::1xyz",
        "x-2001:db8::1",
        "feed::face",
        "a1-00-1A-2B-3C-4D-5E",
        "00-1A-2B-3C-4D-5Ex",
        "00-1A-2B-3C-4D-5E-",
        "001a.2b3c.4d5ex",
        "test db::e2e",
        "MD5:16:27:ac:a5:76:28:2d:36:63:1b:56:4d:eb:df:a6:48",
        "v1.2.3.4",
        "Chrome/120.0.0.0 Safari/537.36",
        "foo-1.2.3.4.jar",
        "1.2.3.4.5",
        "256.1.2.3",
        "127.0.0.1",
        "0.0.0.0:80",
        "255.255.255.0",
        "22:03:11.123",
        "std::vec::Vec",
        "dead::beef",
        "a::b",
        "::1",
        "AB:CD:EF:01:23:45:67:89:AB:CD:EF:01:23:45:67:89:AB:CD:EF:01",
        "00:00:00:00:00:00",
        "2026-11-21",
        "550e8400-e29b-41d4-a716-446655440000",
        "4bf92f3577b34da6a3ce929d0e0e4736",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    ]);
}

#[test]
#[expect(clippy::too_many_lines, reason = "a list of cases")]
fn named_secrets_are_found_in_every_form() {
    finds(
        "password",
        &[
            ("password=hunter2 user=bob", "hunter2"),
            ("password: hunter2", "hunter2"),
            ("--password hunter2 -v", "hunter2"),
            ("Pwd=S3cr3t;Server=x", "S3cr3t"),
            (r#"{"password":"hunter 2","a":1}"#, "hunter 2"),
            (r#"{"password": 12345}"#, "12345"),
            (r#"{"db_password":{"a":"b"},"c":1}"#, r#"{"a":"b"}"#),
            (r#"{"msg":"{\"password\":\"hunter2\"}"}"#, "hunter2"),
            ("{'password': 'hunter2'}", "hunter2"),
            ("<password>hunter2</password>", "hunter2"),
            ("the password is hunter2.", "hunter2"),
            ("Passwort lautet: geheim1", "geheim1"),
            ("mot de passe : secret42", "secret42"),
            ("contraseña: secreta1", "secreta1"),
            ("パスワードは hunter2 です", "hunter2"),
            ("パスワード：hunter2、", "hunter2"),
            ("密码：hunter2，", "hunter2"),
            ("пароль: hunter2", "hunter2"),
            (r#"password="a b c" x"#, "a b c"),
            ("dbPass=abc1", "abc1"),
        ],
    );
    finds(
        "secret",
        &[
            ("GET /x?access_token=abc123def&y=1", "abc123def"),
            ("api_key: 0123456789abcdef", "0123456789abcdef"),
            ("client_secret=abc", "abc"),
            ("X-Api-Key: abcdef123456", "abcdef123456"),
            ("?sig=AbC%2F12&x", "AbC%2F12"),
        ],
    );
    finds(
        "authorization",
        &[
            ("Authorization: Bearer abc.def-123", "abc.def-123"),
            ("authorization: Basic dXNlcjpwYXNz", "dXNlcjpwYXNz"),
            ("curl -H 'Authorization: token abcdef12' http://x", "abcdef12"),
            (r#"{"authorization":"Bearer abcdefgh1"}"#, "abcdefgh1"),
            ("[web] Authorization: Digest username=\"eve\", response=\"abc\"", "username=\"eve\", response=\"abc\""),
            ("sent bearer abcdefgh1234 to", "abcdefgh1234"),
        ],
    );
    finds("url", &[("postgres://bob:s3cret@db/x", "bob:s3cret"), ("redis://:s3cret@db:6379", ":s3cret")]);
    stays(&[
        "password reset for user",
        "Invalid password: must be longer",
        "password is incorrect",
        "tokens=512 max_tokens=33",
        "Unexpected token: }",
        "password=null",
        "password=***",
        "PWD=/home/bob",
        "cache key=abc",
        "next_page_token=abcdef12",
        "the bearer of bad news",
        "bearer v2.0 of news",
        "xbearer abcdefgh1234",
        "postgres://bob:@db",
        "postgres://bob:${PASSWORD}@db",
        "ssh://deploy1@host/x",
        "https://a-very-long-name-of-a-user@host/x",
        "password is mandatory now",
        "password prompting",
        "token=12345",
        "secret: unavailable",
        "basic authentication",
        "https://user@example",
        "class=passive bypass=1",
        "--- PASS: TestMask (0.00s)",
        "pass=12 fail=0",
        "pam_unix(passwd:chauthtok): changed",
        "arn:aws:secretsmanager:us-east-1:123456789012:secret:prod/db-AbCdEf",
        r#"secret "webhook-server-cert-v2" not found"#,
        "Version=8.0.0.0, PublicKeyToken=cc7b13ffcd2ddd51",
        "ssl.truststore.password = [hidden]",
        "token = (known after apply)",
        "cookie: disabled",
        "secret: expired",
    ]);
}

#[test]
fn issued_keys_and_tokens_are_found() {
    for (detector, text) in [
        ("api_key", "AKIAIOSFODNN7EXAMPLE".to_owned()),
        ("api_key", format!("ghp_{}", "a1B2".repeat(9))),
        ("api_key", format!("glpat-{}", "a1B2".repeat(5))),
        ("api_key", "xoxb-123456789012-abcdefABCDEF".to_owned()),
        ("api_key", format!("sk_live_{}", "a1B2".repeat(6))),
        ("api_key", format!("npm_{}", "a1B2".repeat(9))),
        ("api_key", format!("AIza{}", "a1B2c".repeat(7))),
        ("api_key", format!("110201543:AA{}", "a1B".repeat(11))),
        ("jwt", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P".to_owned()),
        ("private_key", "-----BEGIN RSA PRIVATE KEY-----\nMIIE+a/b=\nabc\n-----END RSA PRIVATE KEY-----".to_owned()),
        ("private_key", r"-----BEGIN PRIVATE KEY-----\nMIIE+a/b=\nabc\n-----END PRIVATE KEY-----".to_owned()),
    ] {
        finds(detector, &[(&format!("x {text} y"), &text), (&text, &text), (&format!("{{\"a\":\"{text}\"}}"), &text)]);
    }
    stays(&["task_live_1", "-----BEGIN CERTIFICATE-----\nMIIE", "eyJub3QiOjF9.x.y", "AKIA is a prefix", "sk-learn"]);
    stays(&[
        "AKIA12345678",
        "xAKIAIOSFODNN7EXAMPLE",
        "AKIAIOSFODNN7EXAMPLE1",
        "sk_test_integration",
        &format!("7:AA{}", "a1B".repeat(11)),
        "-----BEGIN PRIVATE KEY is how it begins",
        "-----BEGIN PUBLIC KEY-----\nMIIE",
        "eyJub3QiOjF9.eyJzdWIiOiIxMjM0In0.abcdef",
        "xeyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abcdef",
    ]);
}

#[test]
fn json_stays_json() {
    let masker = Masker::new(&Config::default()).unwrap();
    for line in [
        r#"{"card":4111111111111111,"b":[4111111111111111, 1]}"#,
        r#"{"password":{"a":[1,"}"]},"x":"\"password\":\"y\""}"#,
        r#"{"m":"{\"card\":4111111111111111}"}"#,
        r#"{"key":"-----BEGIN PRIVATE KEY-----\nMIIE"}"#,
        r#"{"m":"Authorization: Digest username=\"x\", realm=\"y\"","n":1}"#,
        r#"{"cookie":"a=b; c=\"d\"","set-cookie":["a=b; Path=/"]}"#,
        r#"[{"pin":"x","otp":123456}]"#,
    ] {
        let (mut out, mut counts) = (String::new(), Counts::default());
        assert_eq!(masker.text(Class::App, Field::BODY, line, &mut out, &mut counts), Outcome::Changed, "{line}");
        assert!(serde_json::from_str::<serde_json::Value>(&out).is_ok(), "{line} became {out}");
        let mut again = String::new();
        assert_eq!(
            masker.text(Class::App, Field::BODY, &out, &mut again, &mut counts),
            Outcome::Same,
            "{out}: {again}"
        );
    }
}

fn keyed(text: &str) -> Masker {
    let mut config = Config::default();
    config.keys.push(KeyConfig {
        id: unset("k1".to_owned()),
        key: unset(Secret::from(text.to_owned())),
        encoding: Encoding::Raw,
    });
    for detector in [Detector::Email, Detector::Card, Detector::Phone] {
        config.actions.insert(detector, unset(Action::Hash));
    }
    config.actions.insert(Detector::Iban, unset(Action::Partial));
    config.actions.insert(Detector::Mac, unset(Action::Drop));
    for (field, action) in
        [("user.id", Action::Hash), ("note", Action::Drop), ("order", Action::Keep), ("Pin", Action::Redact)]
    {
        config.fields.insert(unset(field.to_owned()), unset(action));
    }
    Masker::new(&config).unwrap()
}

/// What a text becomes; itself if nothing changes, `(dropped)` if the whole value goes.
fn masked(masker: &Masker, class: Class, field: &str, text: &str) -> String {
    let (mut out, mut counts) = (String::new(), Counts::default());
    let field = if field.is_empty() { Field::BODY } else { masker.field(field) };
    match masker.text(class, field, text, &mut out, &mut counts) {
        Outcome::Same => {
            assert_eq!((out.as_str(), counts.iter().count()), ("", 0), "{text}");
            text.to_owned()
        }
        Outcome::Changed => out,
        Outcome::Dropped => "(dropped)".to_owned(),
    }
}

#[test]
fn each_action_does_what_it_says() {
    let masker = keyed("0123456789abcdef");
    let app = |text: &str| masked(&masker, Class::App, "", text);
    let hashed = app("to eve@example.com");
    assert!(hashed.starts_with("to [HASH:email:k1:") && hashed.ends_with(']'), "{hashed}");
    assert_eq!(hashed.len(), "to [HASH:email:k1:0123456789abcdef]".len());
    assert_eq!(app("to EVE@example.COM"), hashed, "an address is one whatever its case");
    assert_eq!(app("4111 1111 1111 1111"), app("4111-1111-1111-1111"), "a number is one however it is grouped");
    assert_eq!(app(&hashed), hashed, "what is hashed is not hashed again");
    assert_ne!(masked(&keyed("0123456789abcdeg"), Class::App, "", "to eve@example.com"), hashed);
    assert_eq!(app("DE89370400440532013000"), "****3000");
    assert_eq!(app("mac 00:1a:2b:3c:4d:5e up"), "mac  up");
    assert_eq!(app(r#"{"m":"00:1a:2b:3c:4d:5e"}"#), r#"{"m":""}"#);
    let address = app("from 192.0.2.19 and 192.0.2.20");
    let parts: Vec<_> = address.split(' ').collect();
    let prefix = |address: &str| address.rsplit_once('.').map(|(prefix, _)| prefix.to_owned());
    assert!(parts[1] != "192.0.2.19" && parts[1].parse::<std::net::Ipv4Addr>().is_ok(), "{address}");
    assert_eq!(prefix(parts[1]), prefix(parts[3]), "{address}");
}

#[test]
fn fields_go_by_their_names_first() {
    let masker = keyed("0123456789abcdef");
    let app = |field: &str, text: &str| masked(&masker, Class::App, field, text);
    assert!(app("enduser.user.id", "4711").starts_with("[HASH:field:k1:"));
    assert_eq!(app("user.identity", "4711"), "4711");
    assert_eq!(app("superuser.id", "4711"), "4711");
    assert_eq!(app("NOTE", "anything"), "(dropped)");
    assert_eq!(app("order", "eve@example.com"), "eve@example.com");
    assert_eq!(app("pin", "1234"), "[REDACTED:field]");
    assert_eq!(app("db.password", "correct horse"), "[REDACTED:password]");
    assert_eq!(app("password", "null"), "null");
    assert_eq!(app("http.request.header.authorization", "Bearer abc"), "Bearer [REDACTED:authorization]");
    assert_eq!(app("http.request.header.authorization", "abc"), "[REDACTED:authorization]");
    assert_eq!(
        app("http.response.header.set-cookie", "a=b; Path=/; Expires=Wed, 21 Oct 2026 07:28:00 GMT, c=d; Secure"),
        "a=[REDACTED:cookie]; Path=/; Expires=Wed, 21 Oct 2026 07:28:00 GMT, c=[REDACTED:cookie]; Secure"
    );
    assert_eq!(app("http.request.header.cookie", "a=b; c=d"), "a=[REDACTED:cookie]; c=[REDACTED:cookie]");
    assert_eq!(app("http.route", "/users/{id}"), "/users/{id}");
    for plain in ["service.name", "token_count", "max_tokens", "bypass", "next_page_token", "passed", "key", "monkey"] {
        assert!(!masker.field(plain).says_something(), "{plain}");
    }
    for telling in ["api-key", "X-Api-Key", "accessToken", "CLIENT_SECRET", "dbPass", "パスワード", "password2"] {
        assert!(masker.field(telling).says_something(), "{telling}");
    }
}

#[test]
fn the_documentation_has_an_example_of_each_detector_that_it_finds_and_each_action() {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/masking.md")).unwrap();
    let mut config = Config::default();
    config.actions.insert(Detector::Entropy, unset(Action::Redact));
    let masker = Masker::new(&config).unwrap();
    let row = |name: &str| text.lines().find(|line| line.starts_with(&format!("| `{name}`")));
    for detector in Detector::ALL.into_iter().filter(|detector| *detector != Detector::Field) {
        let name = detector.name();
        let line = row(name).or_else(|| row("ipv4").filter(|line| line.contains(name)));
        let examples = line.and_then(|line| line.split('|').nth(3)).unwrap_or_else(|| panic!("{name} has no row"));
        let examples: Vec<_> = examples.split('`').skip(1).step_by(2).collect();
        assert!(!examples.is_empty(), "{name} has no example");
        let finds = |example: &&str| {
            let found = masker.explain(Class::App, Field::BODY, example);
            found.iter().any(|found| found.detector == detector)
        };
        let wrong: Vec<_> = examples.iter().filter(|example| !finds(example)).collect();
        assert!(wrong.is_empty() || detector.name().starts_with("ipv") && wrong.len() == 1, "{name}: {wrong:?}");
    }
    for action in [Action::Redact, Action::Hash, Action::Pseudonymise, Action::Partial, Action::Drop, Action::Keep] {
        assert!(row(action.name()).is_some(), "{} has no row", action.name());
    }
}

#[test]
fn classes_differ_as_their_defaults_say() {
    let masker = Masker::new(&Config::default()).unwrap();
    let line = "eve@example.com 192.0.2.19 password=hunter2";
    let of = |class| masked(&masker, class, "", line);
    let personal = "[REDACTED:email] [REDACTED:ipv4] password=[REDACTED:password]";
    assert_eq!((of(Class::App).as_str(), of(Class::Job).as_str()), (personal, personal));
    assert_eq!(of(Class::Access), "eve@example.com [REDACTED:ipv4] password=[REDACTED:password]");
    for class in [Class::Audit, Class::Security, Class::Infra] {
        assert_eq!(of(class), "eve@example.com 192.0.2.19 password=[REDACTED:password]", "{class:?}");
    }
}

#[test]
fn counts_are_those_of_what_was_masked() {
    let masker = Masker::new(&Config::default()).unwrap();
    let (mut out, mut counts) = ("before ".to_owned(), Counts::default());
    masker.text(Class::Audit, Field::BODY, "a@example.com token=abcdef1 token=abcdef2", &mut out, &mut counts);
    assert_eq!(counts.iter().collect::<Vec<_>>(), [(Detector::Secret, 2)]);
    assert_eq!(out, "before a@example.com token=[REDACTED:secret] token=[REDACTED:secret]");
}

#[test]
fn what_is_unknown_is_found_by_its_entropy_where_that_is_on() {
    let mut config = Config::default();
    config.actions.insert(Detector::Entropy, unset(Action::Redact));
    let masker = Masker::new(&config).unwrap();
    let app = |text: &str| masked(&masker, Class::App, "", text);
    assert_eq!(app("k q7Jx2LmPz9Rt4VbNc8Ws1Ty x"), "k [REDACTED:entropy] x");
    for text in [
        "4bf92f3577b34da6a3ce929d0e0e4736",
        "4Bf92F3577B34Da6A3Ce929D0E0e4736",
        "aA1aA1aA1aA1aA1aA1aA1",
        "AbstractSingletonProxyFactoryBean2",
        "a-long-name-of-a-thing-17",
    ] {
        assert_eq!(app(text), text);
    }
}

/// Guards: a detector that looks far from each candidate takes seconds for a megabyte of them.
#[test]
fn no_text_takes_long() {
    let masker = keyed("0123456789abcdef");
    for part in [
        "@",
        "a@",
        "a@b.",
        "://",
        "://a:b",
        "password=\"",
        "\"password\":{",
        "password",
        "pas",
        "key ",
        "eyJ",
        "eyJ.",
        "1.",
        "1:",
        "::",
        "1-",
        "4111 ",
        "0120-",
        "+81 ",
        "DE89",
        "-----BEGIN PRIVATE KEY-----",
        "\\",
        "\\\"password\\\":\\\"",
        "%40",
        "Bearer ",
        "cookie: a=",
        "Authorization: Digest a=\"",
        "9",
        "a",
        "\u{30d1}",
        "AKIA",
        "xoxb-",
        "[",
        "{\"a\":4111111111111111,",
        "eve@example.com ",
    ] {
        let text = part.repeat((1 << 20) / part.len());
        let started = std::time::Instant::now();
        masked(&masker, Class::App, "", &text);
        let took = started.elapsed();
        assert!(took.as_secs() < 20, "{part:?}: {took:?} for a megabyte");
    }
}

#[test]
fn a_document_stays_one_where_a_string_ends_like_a_header() {
    let masker = Masker::new(&Config::default()).unwrap();
    for (text, wanted) in [
        (r#"{"Authorization: ":"","a":"eve@example.com"}"#, r#"{"Authorization: ":"","a":"[REDACTED:email]"}"#),
        (
            r#"{"n":"Authorization: '","password":"hunter2!"}"#,
            r#"{"n":"Authorization: '","password":"[REDACTED:password]"}"#,
        ),
        (r#"[-4956298506623480353]"#, r#"["[REDACTED:card]"]"#),
    ] {
        assert_eq!(masked(&masker, Class::App, "", text), wanted);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(debug_assertions) { 2000 } else { 20_000 }))]

    /// Pieces that detectors look for, put together in any way.
    #[test]
    fn any_text_is_masked_for_good_and_json_stays_json(parts in prop::collection::vec(piece(), 0..12)) {
        let text = parts.concat();
        for masker in [Masker::new(&Config::default()).unwrap(), keyed("0123456789abcdef")] {
            for class in Class::ALL {
                let found = masker.explain(class, Field::BODY, &text);
                for pair in found.windows(2) {
                    prop_assert!(pair[0].span.end <= pair[1].span.start);
                }
                for one in &found {
                    prop_assert!(text.get(one.span.clone()).is_some_and(|part| !part.is_empty()));
                }
                masked(&masker, class, "", &text);
                masked(&masker, class, "cookie", &text);
                masked(&masker, class, "password", &text);
            }
        }
        let masker = Masker::new(&Config::default()).unwrap();
        let once = masked(&masker, Class::App, "", &text);
        for redacted in masker.explain(Class::App, Field::BODY, &once) {
            prop_assert!(!once.get(redacted.span.clone()).unwrap().starts_with("[REDACTED"), "{text} -> {once}: {redacted:?}");
        }
    }

    /// A document of any shape, with what detectors look for in its strings and names.
    #[test]
    fn a_document_stays_a_document(document in document(), nested in any::<bool>()) {
        let text = serde_json::json!({ "n": document }).to_string();
        let text = if nested { serde_json::json!({ "message": text }).to_string() } else { text };
        for masker in [Masker::new(&Config::default()).unwrap(), keyed("0123456789abcdef")] {
            let out = masked(&masker, Class::App, "", &text);
            prop_assert!(serde_json::from_str::<serde_json::Value>(&out).is_ok(), "{text}\n{out}");
        }
    }
}

fn piece() -> impl Strategy<Value = String> {
    let known = [
        "eve@example.com",
        "4111111111111111",
        "+81 90-1234-5678",
        "192.0.2.19",
        "2001:db8::1",
        "password",
        "password=",
        "\"password\":\"",
        "\\\"token\\\":\\\"",
        "Authorization: ",
        "Bearer ",
        "Cookie: ",
        "a=b",
        "; ",
        "\"",
        "\\",
        "'",
        "{",
        "}",
        "[",
        "]",
        ":",
        ",",
        " ",
        "\n",
        "=",
        "://u:p@h",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abc",
        "-----BEGIN PRIVATE KEY-----",
        "MIIE",
        "パスワード",
        "は",
        "：",
        "%40",
        "\\u0040",
        "[REDACTED:email]",
        "[HASH:email:k1:0123456789abcdef]",
        "****1111",
        "DE89370400440532013000",
        "00:1a:2b:3c:4d:5e",
        "é",
        "ñ",
        "contrase",
    ];
    prop_oneof![3 => prop::sample::select(known.to_vec()).prop_map(str::to_owned), 1 => ".{0,6}"]
}

fn document() -> impl Strategy<Value = serde_json::Value> {
    let text = || prop::collection::vec(piece(), 0..4).prop_map(|parts| parts.concat());
    let leaf = prop_oneof![
        text().prop_map(serde_json::Value::from),
        Just(serde_json::Value::from(4_111_111_111_111_111_u64)),
        any::<i64>().prop_map(serde_json::Value::from),
        any::<bool>().prop_map(serde_json::Value::from),
    ];
    let name = prop_oneof![
        text(),
        prop::sample::select(vec!["password", "cookie", "authorization", "tokens"]).prop_map(str::to_owned)
    ];
    leaf.prop_recursive(3, 24, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(serde_json::Value::from),
            prop::collection::btree_map(name.clone(), inner, 0..4)
                .prop_map(|map| map.into_iter().collect::<serde_json::Map<_, _>>().into()),
        ]
    })
}
