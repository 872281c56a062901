//! Lines of logs with something in them, and where it is.

use crate::random::Random;
use crate::{clean, person, secret};

/// A line, and what is to be found in it.
pub struct Line {
    pub text: String,
    pub truth: Vec<Truth>,
}

/// Something that is to be found.
pub struct Truth {
    pub detector: &'static str,
    pub start: usize,
    pub end: usize,
    /// False for what may be taken for it, and is not.
    pub there: bool,
}

/// Where any value may stand: prose in several languages, syslog, JSON, keys and values.
const FRAMES: [&str; 34] = [
    "{T} INFO contact {V} was updated",
    "{T} WARN could not notify {V}: timeout after 30 s",
    "{T} [worker-3] ERROR no account for {V}.",
    "customer wrote: please use {V}, thank you",
    "({V})",
    "{V}",
    "value={V}",
    "value=\"{V}\" result=ok",
    "{T} user bob, {V}, logged in",
    "<13>Nov 21 22:03:11 host app[123]: seen {V} twice",
    "{\"ts\":\"2026-11-21T22:03:11Z\",\"level\":\"info\",\"msg\":\"seen {V} today\"}",
    "{\"user\":{\"value\":\"{V}\",\"n\":17},\"ok\":true}",
    "{\"values\":[\"{V}\",\"other\"]}",
    "{\"msg\":\"{\\\"value\\\":\\\"{V}\\\",\\\"n\\\":1}\"}",
    "{'value': '{V}', 'n': 3}",
    "Die Angabe {V} ist ungültig",
    "Kunde hat {V} geändert; alles übernommen",
    "la valeur {V} n'existe pas",
    "le client a donné {V}, merci",
    "el cliente indicó {V}; gracias",
    "o valor {V} não foi encontrado",
    "il valore {V} non è valido",
    "お客様の連絡先は{V}です",
    "「{V}」を登録しました",
    "入力値：{V}、結果：成功",
    "ユーザー {V} がログインしました。",
    "用户{V}已登录",
    "联系方式：{V}。",
    "пользователь {V} не найден",
    "<value>{V}</value>",
    "a;b;{V};c",
    "{V}\t17\tok",
    "[2026-11-21 22:03:11] app.INFO: saved {\"value\":\"{V}\"} []",
    "error: '{V}' is not allowed",
];

/// Where a value stands under its own name.
const NAMED: [&str; 8] = [
    "{T} {K}={V} status=ok",
    "{T} {K}: {V}",
    "{\"{K}\":\"{V}\",\"n\":1}",
    "{\"data\":{\"{K}\": \"{V}\"}}",
    "level=info {K}=\"{V}\" n=1",
    "GET /api?{K}={V}&page=2 HTTP/1.1",
    "{K} is {V}",
    "User({K}={V}, n=1)",
];

/// Where a password or a token stands under its name.
const ASSIGNED: [&str; 14] = [
    "{K}={V}",
    "{T} INFO login {K}={V} user=bob",
    "{\"{K}\":\"{V}\"}",
    "{\"user\":\"bob\",\"{K}\": \"{V}\",\"n\":1}",
    "{\"msg\":\"{\\\"{K}\\\":\\\"{V}\\\"}\"}",
    "{'{K}': '{V}', 'n': 1}",
    "app --{K} {V} --verbose",
    "app --{K}={V} --verbose",
    "<{K}>{V}</{K}>",
    "{T} config: {K}=\"{V}\", timeout=30",
    "GET /cb?{K}={V}&state=1 HTTP/1.1",
    "export {K}='{V}'",
    "{K} = {V}",
    "{\"args\":[\"--{K}={V}\"],\"n\":1}",
];

/// Where a password is told in prose.
const TOLD: [&str; 16] = [
    "the password is {V}",
    "password: {V}",
    "{T} DEBUG new password set to {V} for bob",
    "Password for bob was reset. Password: {V}",
    "Das Passwort lautet {V}",
    "Passwort: {V}",
    "Kennwort: {V}",
    "le mot de passe est {V}",
    "mot de passe : {V}",
    "la contraseña es {V}",
    "contraseña: {V}",
    "a senha é {V}",
    "パスワードは {V} です",
    "パスワード：{V}",
    "密码：{V}",
    "пароль: {V}",
];

const PASSWORDS: [&str; 11] = [
    "password",
    "passwd",
    "db_password",
    "PASSWORD",
    "userPassword",
    "pwd",
    "passphrase",
    "DB_PASS",
    "new-password",
    "spring.datasource.password",
    "smtp_passwd",
];
const SECRETS: [&str; 14] = [
    "token",
    "access_token",
    "refresh_token",
    "api_key",
    "apikey",
    "client_secret",
    "secret",
    "API_KEY",
    "x-api-key",
    "authToken",
    "aws_secret_access_key",
    "id_token",
    "csrf_token",
    "secretKey",
];

pub fn line(r: &mut Random) -> Line {
    match r.between(0, 26) {
        0..=5 => Line { text: clean::line(r), truth: Vec::new() },
        6 | 7 => anywhere(r, "email", person::email, &["email", "mail", "to", "user", "contact"]),
        8 | 9 => anywhere(r, "phone", person::phone, &["phone", "tel", "mobile", "contact"]),
        10 => anywhere(r, "card", person::card, &["card", "pan", "card_number", "payment"]),
        11 => anywhere(r, "iban", person::iban, &["iban", "account", "konto"]),
        12 => anywhere(r, "my_number", person::my_number, &["my_number", "mynumber", "マイナンバー", "個人番号"]),
        13 => anywhere(r, "ssn", person::ssn, &["ssn", "tax_id"]),
        14 => anywhere(r, "ipv4", person::ipv4, &["ip", "client", "src", "remote_addr"]),
        15 => anywhere(r, "ipv6", person::ipv6, &["ip", "client", "dst", "remote_addr"]),
        16 => anywhere(r, "mac", person::mac, &["mac", "hwaddr"]),
        17 => anywhere(r, "jwt", secret::jwt, &["jwt", "value"]),
        18 => anywhere(r, "api_key", secret::api_key, &["value", "credentials_of"]),
        19 => {
            let (frame, value) = (r.of(&ASSIGNED), secret::password(r));
            let key = r.of(&PASSWORDS);
            framed(r, frame, key, &query(frame, value), "password")
        }
        20 => {
            let (frame, value) = (r.of(&TOLD), secret::password(r));
            framed(r, frame, "", &value, "password")
        }
        21 => {
            let (frame, value) = (r.of(&ASSIGNED), secret::token(r));
            let key = r.of(&SECRETS);
            framed(r, frame, key, &value, "secret")
        }
        22 => authorization(r),
        23 => cookie(r),
        24 => url(r),
        25 => private_key(r),
        _ => several(r),
    }
}

/// A value in one of the frames, or under its name.
fn anywhere(r: &mut Random, detector: &'static str, value: fn(&mut Random) -> String, names: &[&str]) -> Line {
    let value = value(r);
    if r.one_in(4) {
        let (frame, key) = (r.of(&NAMED), r.of(names));
        return framed(r, frame, key, &query(frame, value), detector);
    }
    let frame = r.of(&FRAMES);
    let escaped = if frame.starts_with('{') && r.one_in(6) {
        value.replace('@', "\\u0040").replace('+', "\\u002b")
    } else {
        value
    };
    // Nested JSON needs its backslashes twice.
    let escaped = if frame.contains("\\\"") { escaped.replace("\\u", "\\\\u") } else { escaped };
    framed(r, frame, "", &escaped, detector)
}

/// A value as a query has it: RFC 3986, 2.1.
fn query(frame: &str, value: String) -> String {
    if !frame.contains('?') {
        return value;
    }
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-._~!*".contains(letter);
    value
        .chars()
        .map(|letter| if plain(letter) { letter.to_string() } else { format!("%{:02X}", u32::from(letter)) })
        .collect()
}

fn framed(r: &mut Random, frame: &str, key: &str, value: &str, detector: &'static str) -> Line {
    let frame = frame.replace("{T}", &clean::time(r)).replace("{K}", key);
    let start = frame.find("{V}").unwrap();
    let text = frame.replacen("{V}", value, 1);
    Line { text, truth: vec![Truth { detector, start, end: start + value.len(), there: true }] }
}

fn authorization(r: &mut Random) -> Line {
    let basic = format!("{}:{}", person::word(r), secret::password(r));
    let (scheme, value) = match r.between(0, 2) {
        0 => ("Bearer", secret::token(r)),
        1 => ("Basic", secret::base64(basic.as_bytes())),
        _ => ("bearer", secret::token(r)),
    };
    let frame = r.of(&[
        "Authorization: {K} {V}",
        "{T} > authorization: {K} {V}",
        "curl -H 'Authorization: {K} {V}' https://api.example.com/x",
        "{\"headers\":{\"Authorization\":\"{K} {V}\",\"Accept\":\"*/*\"}}",
        "{\"msg\":\"sent Authorization: {K} {V}\"}",
        "headers={Authorization=[{K} {V}], Accept=[*/*]}",
        "http.request.header.authorization=\"{K} {V}\" n=1",
        "Proxy-Authorization: {K} {V}",
    ]);
    framed(r, frame, scheme, &value, "authorization")
}

fn cookie(r: &mut Random) -> Line {
    let mut values = (secret::token(r), secret::token(r));
    values.0.truncate(24);
    let (open, close) = *r.of(&[
        &("Cookie: ", ""),
        &("{\"headers\":{\"cookie\":\"", "\"}}"),
        &("curl -H 'Cookie: ", "' https://example.com/"),
        &("request.header.cookie=\"", "\" status=200"),
    ]);
    if r.one_in(3) {
        let text = format!(
            "Set-Cookie: sid={}; Path=/; Expires=Wed, 21 Oct 2026 07:28:00 GMT; HttpOnly; SameSite=Lax",
            values.0
        );
        return Line {
            text,
            truth: vec![Truth { detector: "cookie", start: 16, end: 16 + values.0.len(), there: true }],
        };
    }
    let mut text = format!("{open}session=");
    let first = text.len();
    text += &format!("{}; theme_id=", values.0);
    let second = text.len();
    text += &format!("{}{close}", values.1);
    let truth = [(first, values.0.len()), (second, values.1.len())];
    let truth =
        truth.into_iter().map(|(start, length)| Truth { detector: "cookie", start, end: start + length, there: true });
    Line { text, truth: truth.collect() }
}

fn url(r: &mut Random) -> Line {
    let mut password = secret::password(r);
    password.retain(|letter| !"#%^".contains(letter));
    let userinfo = format!("{}:{password}", person::word(r));
    let frame = r.of(&[
        "connecting to postgres://{V}@db:5432/app",
        "{\"url\":\"https://{V}@example.com/path\"}",
        "redis://{V}@cache:6379/0 is down",
        "cloning https://{V}@git.example.com/x.git",
        "amqp://{V}@mq.internal/vhost, retrying",
        "{\"dsn\":\"mysql:\\/\\/{V}@db\\/x\"}",
    ]);
    framed(r, frame, "", &userinfo, "url")
}

fn private_key(r: &mut Random) -> Line {
    let (frame, end) = *r.of(&[
        &("{T} loaded {V} from disk", "\n"),
        &("{\"key\":\"{V}\",\"n\":1}", "\\n"),
        &("{\"msg\":\"{\\\"pem\\\":\\\"{V}\\\"}\"}", "\\\\n"),
        &("key = {V}", "\r\n"),
    ]);
    let key = secret::private_key(r, end);
    framed(r, frame, "", &key, "private_key")
}

/// An access line, a login, a form: several at once.
fn several(r: &mut Random) -> Line {
    let (mail, address, password, phone) = (person::email(r), person::ipv4(r), secret::password(r), person::phone(r));
    let parts: &[(&str, Option<(&'static str, &str)>)] = match r.between(0, 3) {
        0 => &[
            ("", Some(("ipv4", &address))),
            (" - - [21/Nov/2026:22:03:11 +0900] \"POST /login?user=", Some(("email", &mail))),
            (" HTTP/1.1\" 200 512", None),
        ],
        1 => &[
            ("login user=", Some(("email", &mail))),
            (" password=", Some(("password", &password))),
            (" from ", Some(("ipv4", &address))),
        ],
        2 => &[
            ("{\"email\":\"", Some(("email", &mail))),
            ("\",\"phone\":\"", Some(("phone", &phone))),
            ("\",\"password\":\"", Some(("password", &password))),
            ("\",\"n\":1}", None),
        ],
        _ => &[
            (
                "Feb 19 02:26:26 asa1 %ASA-6-302016: Teardown UDP connection 162121 for outside:",
                Some(("ipv4", &address)),
            ),
            ("/53 to dmz1:10.1.2.x/59232, told ", Some(("email", &mail))),
            (" and ", Some(("phone", &phone))),
        ],
    };
    let (mut text, mut truth) = (String::new(), Vec::new());
    for (before, value) in parts {
        text.push_str(before);
        if let Some((detector, value)) = value {
            truth.push(Truth { detector, start: text.len(), end: text.len() + value.len(), there: true });
            text.push_str(value);
        }
    }
    Line { text, truth }
}
