//! `weir mask`: what masking makes of lines, to try rules before they are deployed.

use std::io::{BufRead, BufReader, BufWriter, ErrorKind, Read, Write};

use anyhow::Context;
use weir_mask::{Class, Counts, Field, Masker, Outcome};

use crate::cli::{Answer, Common};
use crate::topology::{self, Kind};

/// The longest line, in bytes; one that goes on is masked in parts of this size.
const LINE_BYTES_MAX: u64 = 16 << 20;

/// Flags of `weir mask`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  weir mask < app.log\n  \
    tail -f access.log | weir mask --class access\n  weir mask --explain <<< 'login of eve@example.com failed'\n\n\
    The rules are those of a logs worker of the topology; without a key, what would be hashed or pseudonymised is\n\
    redacted.\n\
    With --explain a tab and, for example, `email 9..24 redact` follow a line for each place where something was\n\
    found, kept or not; the numbers are bytes of the line, from 0, the end not included.\n\n\
    Exit codes: 0 all lines were read and written, 2 they could not be.")]
pub struct Args {
    /// The class of the logs that the lines are from: access, app, audit, security, job or infra.
    #[arg(long, default_value = "app", value_parser = class)]
    pub class: Class,
    /// Add what was found: detector, span and action.
    #[arg(long)]
    pub explain: bool,
    /// The logs worker whose rules count.
    #[arg(long, value_name = "NAME", default_value = "logs")]
    pub worker: String,
}

/// Masks standard input, line for line, to standard output.
///
/// # Errors
/// The topology has problems, or no logs worker of that name; the input cannot be read or the output not written.
pub fn run(args: &Args, common: &Common) -> anyhow::Result<Answer> {
    let (topology, _) = topology::load(common.topology.as_deref())?;
    let Kind::Enrich(config) = &topology.worker(&args.worker)?.kind else {
        anyhow::bail!("worker {:?} is no logs worker: it masks nothing", args.worker);
    };
    let masker = Masker::new(&config.mask).context("could not use the worker's rules")?;
    let input = BufReader::new(std::io::stdin());
    match lines(args, &masker, input, BufWriter::new(std::io::stdout().lock())) {
        // A reader that has seen enough (`| head`) is no error.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(Answer::Yes),
        done => done.map(|()| Answer::Yes).context("could not read standard input or write standard output"),
    }
}

/// Masks every line of `input`; what is written is flushed before there is a wait for more.
fn lines<R: Read>(args: &Args, masker: &Masker, mut input: BufReader<R>, mut out: impl Write) -> std::io::Result<()> {
    let mut line = Vec::new();
    loop {
        line.clear();
        if input.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut line)? == 0 {
            return out.flush();
        }
        let (text, end) = match line.strip_suffix(b"\n") {
            Some(text) => (text, "\n"),
            None => (line.as_slice(), ""),
        };
        let masked = masked(args, masker, text);
        out.write_all(&masked)?;
        out.write_all(end.as_bytes())?;
        if input.buffer().is_empty() {
            out.flush()?;
        }
    }
}

/// A masked line; bytes that are no UTF-8 stay, and what they separate is masked on its own.
fn masked(args: &Args, masker: &Masker, line: &[u8]) -> Vec<u8> {
    let (mut masked, mut found) = (Vec::with_capacity(line.len()), String::new());
    let (mut out, mut counts, mut start) = (String::new(), Counts::default(), 0);
    for chunk in line.utf8_chunks() {
        out.clear();
        match masker.text(args.class, Field::BODY, chunk.valid(), &mut out, &mut counts) {
            Outcome::Changed => masked.extend_from_slice(out.as_bytes()),
            Outcome::Same | Outcome::Dropped => masked.extend_from_slice(chunk.valid().as_bytes()),
        }
        masked.extend_from_slice(chunk.invalid());
        if args.explain {
            found.extend(masker.explain(args.class, Field::BODY, chunk.valid()).iter().map(|one| {
                let (from, to) = (start + one.span.start, start + one.span.end);
                format!("\t{} {from}..{to} {}", one.detector.name(), one.action.name())
            }));
        }
        start += chunk.valid().len() + chunk.invalid().len();
    }
    masked.extend_from_slice(found.as_bytes());
    masked
}

fn class(name: &str) -> Result<Class, String> {
    let known = || Class::ALL.map(Class::name).join(", ");
    Class::ALL.into_iter().find(|class| class.name() == name).ok_or_else(|| format!("expected one of {}", known()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(args: &Args, input: &[u8]) -> Vec<u8> {
        let (masker, mut out) = (Masker::new(&weir_mask::Config::default()).unwrap(), Vec::new());
        lines(args, &masker, BufReader::with_capacity(16, input), &mut out).unwrap();
        out
    }

    #[test]
    fn a_line_stays_a_line_whatever_its_bytes() {
        let args = Args { class: Class::App, explain: false, worker: String::new() };
        assert_eq!(text(&args, b""), b"");
        assert_eq!(text(&args, b"\n\nplain\r\n"), b"\n\nplain\r\n");
        assert_eq!(text(&args, b"eve@example.com"), b"[REDACTED:email]");
        let invalid = b"\xffeve@example.com\xfe\x00\nnext\xff\n";
        assert_eq!(text(&args, invalid), b"\xff[REDACTED:email]\xfe\x00\nnext\xff\n");
    }

    #[test]
    fn explanations_count_the_bytes_of_the_line() {
        let args = Args { class: Class::Audit, explain: true, worker: String::new() };
        let line = b"\xffeve@example.com password=hunter2\n";
        let masked = b"\xffeve@example.com password=[REDACTED:password]\tpassword 26..33 redact\n";
        assert_eq!(text(&args, line), masked);
        let args = Args { class: Class::App, explain: true, worker: String::new() };
        assert_eq!(text(&args, b"to eve@example.com\n"), b"to [REDACTED:email]\temail 3..18 redact\n");
    }
}
