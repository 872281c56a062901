//! Apache's and nginx's access logs: common and combined, with or without the virtual host before them.
//!
//! Names: <https://opentelemetry.io/docs/specs/semconv/http/http-spans>.

use super::scan::Scan;
use super::{Clock, logfmt, time};
use crate::process::value::{Parsed, Value};

/// Reads `host ident user [time] "request" status bytes`, then `"referer" "agent"` where they are there. What follows
/// is kept as pairs, where it is pairs.
pub fn parse<'a>(line: &'a str, clock: Clock, out: &mut Parsed<'a>) -> bool {
    read(line.trim_ascii(), clock, out).is_some()
}

fn read<'a>(line: &'a str, clock: Clock, out: &mut Parsed<'a>) -> Option<()> {
    let mut scan = Scan(line);
    let mut client = word(&mut scan)?;
    let ident = word(&mut scan)?;
    let mut user = word(&mut scan)?;
    if scan.peek() != Some(b'[') {
        // `vhost:port` comes first.
        let (host, port) = client.rsplit_once(':')?;
        let port: u16 = port.parse().ok()?;
        out.put("server.address", host);
        out.put("server.port", i64::from(port));
        client = ident;
        user = word(&mut scan)?;
    }
    scan.eat("[").then_some(())?;
    out.time_nanos = Some(time::any(&mut scan, clock)?);
    scan.eat("] \"").then_some(())?;
    out.put_known("client.address", client);
    out.put_known("user.name", user);
    let request = logfmt::quoted(&mut scan, b'"')?;
    request_line(request, out);
    scan.eat(" ").then_some(())?;
    let status = scan.exactly(3).filter(|status| (100..600).contains(status))?;
    out.put("http.response.status_code", i64::from(status));
    scan.eat(" ").then_some(())?;
    let size = scan.word();
    if size != "-" {
        out.put("http.response.body.size", size.parse::<i64>().ok()?);
    }
    let names = ["http.request.header.referer", "user_agent.original"];
    for name in names {
        if !scan.spaces().eat("\"") {
            break;
        }
        let text = logfmt::quoted(&mut scan, b'"')?;
        if text.is_empty() || text == "-" {
            continue;
        }
        // Headers are lists in the conventions: one may come twice.
        if name.starts_with("http") {
            out.put(name, Value::List(vec![text.into()]));
        } else {
            out.put(name, text);
        }
    }
    logfmt::pairs(scan.0, out);
    Some(())
}

/// The next word and the space after it.
fn word<'a>(scan: &mut Scan<'a>) -> Option<&'a str> {
    let word = scan.word();
    (!word.is_empty() && scan.eat(" ")).then_some(word)
}

/// `GET /path?query HTTP/1.1`; anything else (a handshake on a plain port, an attack) is kept whole.
fn request_line<'a>(request: std::borrow::Cow<'a, str>, out: &mut Parsed<'a>) {
    let std::borrow::Cow::Borrowed(text) = request else {
        out.put("http.request.line", request);
        return;
    };
    let mut parts = text.split(' ');
    let (Some(method), Some(target), protocol, None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        out.put_known("http.request.line", text);
        return;
    };
    if method.is_empty() || !method.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_' || byte == b'-') {
        out.put_known("http.request.line", text);
        return;
    }
    out.put("http.request.method", method);
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    out.put_known("url.path", path);
    if let Some(query) = query {
        out.put_known("url.query", query);
    }
    if let Some((name, version)) = protocol.and_then(|protocol| protocol.split_once('/')) {
        // Names of protocols are lower case in the conventions.
        let name = if name == "HTTP" { "http".into() } else { Value::Text(name.to_ascii_lowercase().into()) };
        out.put("network.protocol.name", name);
        out.put_known("network.protocol.version", version);
    }
}
