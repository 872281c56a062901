//! User agents taken apart, by the tokens that they are made of: no list of devices, nothing that has to be kept up.
//!
//! Form: RFC 9110, section 10.1.5: products with versions, and comments in parentheses.

use crate::process::value::Value;

/// Where a user agent stands, as OpenTelemetry calls it.
pub const ORIGINAL: &str = "user_agent.original";

/// How many products and parts of comments are looked at: whoever writes more says nothing with it.
const PARTS_MAX: usize = 32;

/// The longest name or version that is told, in bytes.
const TEXT_BYTES_MAX: usize = 64;

/// The products that say who it is, before those that are named for the sake of old servers; with what people call them.
const BROWSERS: [(&str, &str); 18] = [
    ("Edg", "Edge"),
    ("EdgA", "Edge"),
    ("EdgiOS", "Edge"),
    ("Edge", "Edge"),
    ("OPR", "Opera"),
    ("OPiOS", "Opera"),
    ("Opera", "Opera"),
    ("SamsungBrowser", "Samsung Internet"),
    ("YaBrowser", "Yandex Browser"),
    ("Vivaldi", "Vivaldi"),
    ("DuckDuckGo", "DuckDuckGo"),
    ("Firefox", "Firefox"),
    ("FxiOS", "Firefox"),
    ("CriOS", "Chrome"),
    ("HeadlessChrome", "Headless Chrome"),
    ("Chrome", "Chrome"),
    ("MSIE", "Internet Explorer"),
    ("Trident", "Internet Explorer"),
];

/// What a user agent says.
#[derive(Debug, Default, PartialEq)]
pub struct Agent<'a> {
    /// Who it is.
    pub name: Option<&'a str>,
    /// Its version.
    pub version: Option<&'a str>,
    /// The operating system.
    pub os: Option<&'static str>,
    /// Its version.
    pub os_version: Option<String>,
    /// Whether it says that it is no person's.
    pub bot: bool,
}

/// A product, and its version, which may be empty.
type Product<'a> = (&'a str, &'a str);

impl<'a> Agent<'a> {
    /// Takes a user agent apart.
    pub fn read(text: &'a str) -> Self {
        let (products, comments) = parts(text);
        let mut agent = Self::default();
        for comment in &comments {
            agent.system(comment);
        }
        let bot = products.iter().copied().chain(comments.iter().map(|comment| product(comment))).find(is_bot);
        agent.bot = bot.is_some();
        let found = bot.or_else(|| browser(&products, &comments)).or_else(|| own(&products));
        if let Some((name, version)) = found {
            agent.name = fits(name);
            agent.version = fits(version);
        }
        agent
    }

    /// Adds what it says to the attributes of a line.
    pub fn add(self, out: &mut Vec<(&'static str, Value<'static>)>) {
        let own = |text: &str| Value::Text(text.to_owned().into());
        out.extend(self.name.map(|name| ("user_agent.name", own(name))));
        out.extend(self.version.map(|version| ("user_agent.version", own(version))));
        out.extend(self.os.map(|os| ("user_agent.os.name", own(os))));
        out.extend(self.os_version.map(|version| ("user_agent.os.version", Value::Text(version.into()))));
        if self.bot {
            out.push(("user_agent.synthetic.type", own("bot")));
        }
    }

    /// Reads a part of a comment that names an operating system; Android names Linux before itself, iPads Mac OS.
    fn system(&mut self, comment: &str) {
        let after = |start: &str| comment.split_once(start).map(|(_, rest)| rest);
        let version = |rest: &str| {
            let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.' && c != '_').unwrap_or(rest.len());
            rest.get(..end.min(TEXT_BYTES_MAX)).filter(|text| !text.is_empty()).map(|text| text.replace('_', "."))
        };
        let (os, found) = if let Some(rest) = after("Windows NT ") {
            ("Windows", version(rest).map(windows))
        } else if let Some(rest) = comment.strip_prefix("Android").or(after("Android ")) {
            ("Android", version(rest.trim_start()))
        } else if let Some(rest) = after("iPhone OS ").or_else(|| after("CPU OS ")) {
            ("iOS", version(rest))
        } else if let Some(rest) = after("Mac OS X") {
            ("macOS", version(rest.trim_start()))
        } else if comment.starts_with("CrOS ") {
            ("Chrome OS", comment.rsplit(' ').next().and_then(version))
        } else if comment.starts_with("Linux") || comment.starts_with("X11") {
            ("Linux", None)
        } else {
            return;
        };
        if self.os.is_none_or(|os| os == "Linux") {
            (self.os, self.os_version) = (Some(os), found);
        }
    }
}

/// The name that people know of a version of Windows NT.
fn windows(version: String) -> String {
    let name = match version.as_str() {
        "10.0" => "10",
        "6.3" => "8.1",
        "6.2" => "8",
        "6.1" => "7",
        _ => return version,
    };
    name.to_owned()
}

/// The products and the parts of comments, in order.
fn parts(text: &str) -> (Vec<Product<'_>>, Vec<&str>) {
    let (mut products, mut comments) = (Vec::new(), Vec::new());
    let mut rest = text;
    while products.len() + comments.len() < PARTS_MAX && !rest.is_empty() {
        let (front, comment) = rest.split_once('(').unwrap_or((rest, ""));
        products.extend(front.split_whitespace().map(product).take(PARTS_MAX));
        let (inside, behind) = comment.split_once(')').unwrap_or((comment, ""));
        comments.extend(inside.split([';', ',']).map(str::trim).filter(|part| !part.is_empty()).take(PARTS_MAX));
        rest = behind;
    }
    (products, comments)
}

fn product(token: &str) -> Product<'_> {
    token.split_once('/').or_else(|| token.split_once(' ')).unwrap_or((token, ""))
}

/// Whether a product's name says that it is no person's: `Googlebot`, `Baiduspider`.
fn is_bot((name, version): &Product<'_>) -> bool {
    let ends = |end: &str| {
        name.len()
            .checked_sub(end.len())
            .and_then(|at| name.get(at..))
            .is_some_and(|last| last.eq_ignore_ascii_case(end))
    };
    !version.is_empty() && !name.contains(' ') && ["bot", "crawler", "spider"].into_iter().any(ends)
}

fn browser<'a>(products: &[Product<'a>], comments: &[&'a str]) -> Option<Product<'a>> {
    let all = || products.iter().copied().chain(comments.iter().map(|comment| product(comment)));
    for (token, name) in BROWSERS {
        if let Some((_, version)) = all().find(|(have, _)| *have == token) {
            let engine = token == "Trident";
            // Trident is the engine; `rv` is what it drives.
            let version = if engine { comments.iter().find_map(|part| part.strip_prefix("rv:"))? } else { version };
            return Some((name, version));
        }
    }
    let has = |token: &str| products.iter().find(|(have, _)| *have == token);
    let (_, version) = has("Safari").and_then(|_| has("Version"))?;
    Some(("Safari", version))
}

/// The first product, unless it is the one that all browsers name.
fn own<'a>(products: &[Product<'a>]) -> Option<Product<'a>> {
    products.first().copied().filter(|(name, _)| *name != "Mozilla")
}

fn fits(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty() && *text != "-" && text.len() <= TEXT_BYTES_MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Name, version, system, its version; a star before a bot's name.
    fn told(text: &str) -> String {
        let agent = Agent::read(text);
        let bot = if agent.bot { "*" } else { "" };
        let of = |text: Option<&str>| text.unwrap_or("?").to_owned();
        format!("{bot}{} {} {} {}", of(agent.name), of(agent.version), of(agent.os), of(agent.os_version.as_deref()))
    }

    #[test]
    fn agents_of_every_family_are_told_apart() {
        let webkit = "AppleWebKit/537.36 (KHTML, like Gecko)";
        for (text, want) in [
            (
                format!("Mozilla/5.0 (Windows NT 10.0; Win64; x64) {webkit} Chrome/129.0.0.0 Safari/537.36"),
                "Chrome 129.0.0.0 Windows 10",
            ),
            (
                format!("Mozilla/5.0 (Windows NT 10.0; Win64; x64) {webkit} Chrome/129.0.0.0 Safari/537.36 Edg/129.0.2792.79"),
                "Edge 129.0.2792.79 Windows 10",
            ),
            (
                format!("Mozilla/5.0 (Linux; Android 14; SM-S918B) {webkit} SamsungBrowser/26.0 Chrome/122.0.0.0 Mobile Safari/537.36"),
                "Samsung Internet 26.0 Android 14",
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 17_6_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.6 Mobile/15E148 Safari/604.1".into(),
                "Safari 17.6 iOS 17.6.1",
            ),
            (
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Safari/605.1.15".into(),
                "Safari 18.0 macOS 10.15.7",
            ),
            ("Mozilla/5.0 (X11; Linux x86_64; rv:131.0) Gecko/20100101 Firefox/131.0".into(), "Firefox 131.0 Linux ?"),
            ("Mozilla/5.0 (Windows NT 6.1; WOW64; Trident/7.0; rv:11.0) like Gecko".into(), "Internet Explorer 11.0 Windows 7"),
            ("Mozilla/4.0 (compatible; MSIE 8.0; Windows NT 6.1)".into(), "Internet Explorer 8.0 Windows 7"),
            (format!("Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) {webkit} Chrome/129.0.0.0 Safari/537.36"), "Chrome 129.0.0.0 Chrome OS 14541.0.0"),
            ("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)".into(), "*Googlebot 2.1 ? ?"),
            (format!("Mozilla/5.0 {webkit} (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm) Chrome/116.0 Safari/537.36"), "*bingbot 2.0 ? ?"),
            ("curl/8.9.1".into(), "curl 8.9.1 ? ?"),
            ("WorkApp/2.4 (Android 14)".into(), "WorkApp 2.4 Android 14"),
            ("python-requests/2.32.3".into(), "python-requests 2.32.3 ? ?"),
            ("kube-probe/1.31".into(), "kube-probe 1.31 ? ?"),
            ("-".into(), "? ? ? ?"),
            ("Mozilla/5.0".into(), "? ? ? ?"),
            (String::new(), "? ? ? ?"),
        ] {
            assert_eq!(told(&text), want, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_and_what_is_told_is_short(text in r"[\PC()/;]{0,300}") {
            let agent = Agent::read(&text);
            prop_assert!(agent.name.unwrap_or_default().len() <= TEXT_BYTES_MAX);
            prop_assert!(agent.version.unwrap_or_default().len() <= TEXT_BYTES_MAX);
        }
    }
}
