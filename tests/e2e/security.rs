//! Logins, certificates and ACLs, those that are in order and those that are not.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, OnceLock};
use std::thread::spawn;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use serde_json::Value;
use weir_tests::http;
use weir_tests::stack::{Kafka, Listener, Process, Record, folder, free_ports, weir};
use weir_tests::wait::wait_until;

use crate::receiver::{Answers, Judgement, Receiver};
use crate::replay::record;

/// How long anything may take here that is tried again and again, with pauses that grow.
const ENDS: Duration = Duration::from_secs(120);
/// Secrets that must never be seen. The first is the right password; the others are wrong, or of a key.
const PASSWORD: &str = "weir-secret";
const WRONG_PASSWORD: &str = "canary-password";
const PASSPHRASE: &str = "canary-passphrase";

/// A broker with every listener, and a topic for dead letters that `weir` may not write to.
fn broker() -> &'static Kafka {
    static BROKER: OnceLock<Kafka> = OnceLock::new();
    BROKER.get_or_init(|| {
        let kafka = Kafka::start(1);
        kafka.create_topic("weir-dead-letters", 1, &[("max.message.bytes", "2097152")]);
        kafka
    })
}

/// `[kafka.security]` of a login with a password.
fn scram(password: &str) -> String {
    let ca = Kafka::tls("ca.crt");
    format!(
        "protocol = \"sasl_ssl\"\nmechanism = \"scram-sha-512\"\nusername = \"weir\"\npassword = \"{password}\"\n\
         ca_file = \"{ca}\"\n"
    )
}

/// `[kafka.security]` with a certificate and a key of the stack, or a key elsewhere.
fn certificate(certificate: &str, key: &str) -> String {
    let (ca, certificate) = (Kafka::tls("ca.crt"), Kafka::tls(certificate));
    format!("protocol = \"ssl\"\nca_file = \"{ca}\"\ncertificate_file = \"{certificate}\"\nkey_file = \"{key}\"\n")
}

/// A worker, which reads a topic in a group of the same name.
struct Secured {
    folder: PathBuf,
    admin: String,
}

/// Its process.
struct Runs<'a> {
    of: &'a Secured,
    process: Process,
}

impl Secured {
    /// A worker of that topic, which reaches the broker so, and delivers there.
    fn new(topic: &str, listener: Listener, security: &str, properties: &str, url: &str) -> Self {
        Self::at(&broker().bootstrap(listener), topic, security, properties, url)
    }

    fn at(brokers: &str, topic: &str, security: &str, properties: &str, url: &str) -> Self {
        let (folder, admin) = (folder("secured"), format!("127.0.0.1:{}", free_ports()));
        let mut text = format!("[kafka]\nbrokers = [\"{brokers}\"]\n[kafka.security]\n{security}\n");
        write!(text, "[kafka.properties]\n{properties}\n[process]\nadmin = \"{admin}\"\n").unwrap();
        write!(text, "[topic_defaults]\nreplication_factor = 1\nmin_insync_replicas = 1\n").unwrap();
        write!(text, "[worker.metrics]\ntopics = [\"{topic}\"]\ngroup = \"{topic}\"\n").unwrap();
        write!(text, "[worker.metrics.remote_write]\nurl = \"{url}\"\n").unwrap();
        fs::write(folder.join("topology.toml"), text).unwrap();
        Self { folder, admin }
    }

    /// Starts it; its admin server answers when this returns.
    #[track_caller]
    fn start(&self) -> Runs<'_> {
        let mut process = weir(&self.folder, &["run", "metrics", "--log-level", "debug"]);
        wait_until(ENDS, "admin server", || {
            assert!(process.is_running(), "weir ended: {}", process.stderr());
            self.get("healthz")
        });
        Runs { of: self, process }
    }

    fn get(&self, path: &str) -> Result<String, String> {
        http::get(&format!("http://{}/{path}", self.admin), &[])
    }

    /// Runs another command with its topology; exit code and what it wrote.
    #[track_caller]
    fn command(&self, args: &[&str]) -> (i32, String) {
        // Standard output and error are appended to what was there.
        let other = folder("command");
        fs::copy(self.folder.join("topology.toml"), other.join("topology.toml")).unwrap();
        let mut process = weir(&other, args);
        let code = process.finish(ENDS).code().unwrap();
        let text = process.stdout() + &process.stderr();
        keeps_secrets(&text);
        (code, text)
    }
}

impl Runs<'_> {
    /// Waits until it says what is wrong, everywhere where it is looked for, and is not ready; and until it has tried
    /// several times, each time after a longer pause.
    #[track_caller]
    fn says(&self, what: &str) {
        wait_until(ENDS, what, || {
            let status: Value = http::get_json(&format!("http://{}/status", self.of.admin), &[])?;
            let worker = &status["metrics"];
            let told = [&worker["session_error"], &worker["commit_error"]];
            let said = told.iter().filter_map(|error| error.as_str()).any(|error| error.contains(what));
            if said { Ok(()) } else { Err(format!("{worker}")) }
        });
        // Between two tries it may be about to begin.
        wait_until(ENDS, "what is wrong at /readyz", || match self.of.get("readyz") {
            Err(answer) if answer.starts_with("503") && answer.contains(what) => Ok(()),
            other => Err(format!("{other:?}")),
        });
        let pauses = wait_until(ENDS, "four tries", || {
            let log = self.process.stderr();
            let pauses: Vec<f64> = log.lines().filter_map(|line| pause(line, what)).collect();
            if pauses.len() >= 4 { Ok(pauses) } else { Err(format!("{pauses:?}")) }
        });
        assert!(pauses[3] > 2.0 * pauses[0], "pauses grow: {pauses:?}");
        self.keeps_secrets();
    }

    /// No secret is in its log or at its endpoints.
    #[track_caller]
    fn keeps_secrets(&self) {
        keeps_secrets(&self.process.stderr());
        keeps_secrets(&self.process.stdout());
        for path in ["status", "metrics", "readyz"] {
            keeps_secrets(&self.of.get(path).unwrap_or_else(|error| error));
        }
    }
}

/// The seconds until the next try, in a line of the log that says why.
fn pause(line: &str, what: &str) -> Option<f64> {
    let (_, rest) = line.split_once("retry_after_secs=").filter(|_| line.contains(what))?;
    rest.split_whitespace().next()?.parse().ok()
}

#[track_caller]
fn keeps_secrets(text: &str) {
    for secret in [PASSWORD, WRONG_PASSWORD, PASSPHRASE] {
        let line = text.lines().find(|line| line.contains(secret));
        assert_eq!(line, None, "a secret is told");
    }
}

/// A receiver, and how many samples it has.
fn receiver() -> (Receiver, Arc<Mutex<usize>>) {
    let count = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&count);
    let judge = move |series: &weir_remote_write::TimeSeries| {
        *counted.lock() += series.samples.len();
        Judgement::Taken
    };
    (Receiver::start(free_ports(), Answers::Judges, Box::new(judge)), count)
}

/// A topic with a record.
fn topic(name: &str) -> String {
    let topic = Kafka::unique(name);
    broker().create_topic(&topic, 1, &[("retention.ms", "-1")]);
    broker().produce(&topic, &[record(0, 0)]);
    topic
}

/// Allows `weir` some operations on resources, such as `--topic a`.
fn allow(operations: &[&str], resources: &[&str]) {
    let mut args = vec!["--add", "--allow-principal", "User:weir"];
    operations.iter().for_each(|operation| args.extend(["--operation", operation]));
    broker().tool("AclCommand", &[&args, resources].concat());
}

/// Passes connections on to a broker, and notes when each came; where it listens, and the times.
fn counting(broker: String) -> (String, Arc<Mutex<Vec<Instant>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (address, times) = (listener.local_addr().unwrap().to_string(), Arc::new(Mutex::new(Vec::new())));
    let noted = Arc::clone(&times);
    spawn(move || {
        for from in listener.incoming().map(Result::unwrap) {
            noted.lock().push(Instant::now());
            let to = TcpStream::connect(&broker).unwrap();
            for (mut one, mut other) in
                [(from.try_clone().unwrap(), to.try_clone().unwrap()), (to.try_clone().unwrap(), from)]
            {
                spawn(move || {
                    // A connection that breaks is what this is about.
                    std::io::copy(&mut one, &mut other).ok();
                    other.shutdown(Shutdown::Both).ok();
                });
            }
        }
    });
    (address, times)
}

/// A copy of the client's key, encrypted.
fn encrypted_key() -> String {
    let file = folder("key").join("weir.key").display().to_string();
    let mut openssl = Command::new("openssl");
    openssl.args(["pkcs8", "-topk8", "-v2", "aes256", "-in", &Kafka::tls("weir.key"), "-out", &file]);
    assert!(openssl.args(["-passout", &format!("pass:{PASSPHRASE}")]).status().unwrap().success());
    file
}

/// Scenario: a worker with the ACLs that `weir check --acls` prints, that for dead letters apart, logs in with a
/// password, then with a certificate whose key is encrypted.
/// Guards: these ACLs are enough; `weir check --live` names the one that is missing, and no other; no secret is told.
#[test]
fn a_worker_with_the_acls_that_are_printed_works_over_scram_and_over_mtls() {
    let (receiver, arrived) = receiver();
    let topic = topic("secured");
    let by_password = Secured::new(&topic, Listener::Sasl, &scram(PASSWORD), "", receiver.url());
    let (code, printed) = by_password.command(&["check", "--acls"]);
    assert_eq!(code, 0, "{printed}");
    let of_worker = |line: &&str| line.starts_with("kafka-acls.sh") && !line.contains("$OPERATOR");
    let commands: Vec<_> = printed.lines().filter(of_worker).collect();
    assert_eq!(commands.len(), 4, "{printed}");
    for command in commands.into_iter().filter(|command| !command.contains("weir-dead-letters")) {
        let (_, args) = command.split_once("--add ").unwrap();
        let args: Vec<_> = ["--add"].into_iter().chain(args.split(' ')).collect();
        broker().tool("AclCommand", &args);
    }

    let passphrase = format!("\"ssl.key.password\" = \"{PASSPHRASE}\"");
    let security = certificate("weir.crt", &encrypted_key());
    let by_certificate = Secured::new(&topic, Listener::MutualTls, &security, &passphrase, receiver.url());
    for (number, secured) in (0..).zip([&by_password, &by_certificate]) {
        broker().produce(&topic, &[record(0, number + 1)]);
        let runs = secured.start();
        let samples = usize::try_from(number).unwrap() + 2;
        wait_until(ENDS, "sample", || {
            let count = *arrived.lock();
            if count >= samples { Ok(()) } else { Err(format!("{count}: {}", secured.get("status")?)) }
        });
        wait_until(ENDS, "readiness", || secured.get("readyz"));
        runs.keeps_secrets();
        let mut runs = runs;
        assert_eq!(runs.process.terminate(ENDS).code(), Some(0), "{}", runs.process.stderr());
        keeps_secrets(&runs.process.stderr());

        let (code, told) = secured.command(&["check", "--live"]);
        assert_eq!(code, 1, "{told}");
        let problems: BTreeSet<_> = told.lines().filter(|line| line.starts_with("problem ")).collect();
        let missing = "problem    worker metrics: WRITE, DESCRIBE on topic weir-dead-letters: ";
        let named =
            problems.iter().any(|line| line.starts_with(missing) && line.ends_with("--topic weir-dead-letters"));
        assert!(problems.len() == 1 && named, "{told}");
        assert!(told.contains("took a request without samples"), "{told}");
        assert!(told.contains(&format!("WRITE, DESCRIBE on transactional id {topic}-*: allowed")), "{told}");
    }
    assert_eq!(*arrived.lock(), 3, "each record once");
}

/// Scenario: four workers, each without one of its ACLs; one of them gets it later.
/// Guards: the ACL is named in the log, at /status and at /readyz; tries become rarer; with the ACL it goes on by itself.
#[test]
fn an_acl_that_is_missing_is_named_and_awaited() {
    let (receiver, arrived) = receiver();
    let [group, id, read, letters] = ["acl-group", "acl-id", "acl-read", "acl-letters"].map(topic);
    broker().produce(&letters, &[Record { value: Some(vec![0xff; 9]), ..Record::default() }]);
    let (ids_of_group, ids_of_read, ids_of_letters) = (format!("{group}-"), format!("{read}-"), format!("{letters}-"));
    let mut ids = vec!["--resource-pattern-type", "prefixed"];
    for name in [&ids_of_group, &ids_of_read, &ids_of_letters] {
        ids.extend(["--transactional-id", name]);
    }
    allow(&["Write"], &ids);
    allow(
        &["Read"],
        &[
            "--topic", &group, "--topic", &id, "--topic", &letters, "--group", &id, "--group", &read, "--group",
            &letters,
        ],
    );
    allow(&["Describe"], &["--topic", &read]);

    let secured = [&group, &id, &read, &letters]
        .map(|topic| Secured::new(topic, Listener::Sasl, &scram(PASSWORD), "", receiver.url()));
    let runs: Vec<_> = secured.iter().map(Secured::start).collect();
    for (runs, acl) in runs.iter().zip([
        format!("the ACL READ on group {group} is missing"),
        format!("the ACL WRITE on transactional ID {id}-"),
        format!("the ACL READ on topic {read} is missing"),
        "the ACL WRITE on topic weir-dead-letters is missing".to_owned(),
    ]) {
        runs.says(&acl);
    }
    let before = *arrived.lock();
    allow(&["Read"], &["--group", &group]);
    wait_until(ENDS, "readiness with the ACL", || runs[0].of.get("readyz"));
    wait_until(ENDS, "sample with the ACL", || if *arrived.lock() > before { Ok(()) } else { Err("none yet") });
}

/// Scenario: a wrong password; a broker whose certificate has expired, or is another host's; a client whose certificate
/// has expired, or whose key does not open.
/// Guards: each says what it is, tries become rarer, it is not ready; `weir check --live` says the same; no secret is told.
#[test]
fn a_login_or_a_certificate_that_does_not_pass_is_told_and_tried_again() {
    let (receiver, _) = receiver();
    let topic = topic("refused");
    let tls = format!("protocol = \"ssl\"\nca_file = \"{}\"\n", Kafka::tls("ca.crt"));
    let wrong_passphrase = format!("\"ssl.key.password\" = \"{PASSPHRASE}-wrong\"");
    let expired = certificate("expired.crt", &Kafka::tls("expired.key"));
    let locked = certificate("weir.crt", &encrypted_key());
    let cases = [
        (Listener::Sasl, scram(WRONG_PASSWORD), "", "invalid credentials"),
        (Listener::Expired, tls.clone(), "", "the broker's certificate has expired, is of another host"),
        (Listener::OtherHost, tls.clone(), "", "the broker's certificate has expired, is of another host"),
        (
            Listener::MutualTls,
            expired,
            "",
            "the broker does not take the certificate of kafka.security.certificate_file",
        ),
        (Listener::MutualTls, locked, wrong_passphrase.as_str(), "ssl.key.location"),
    ];
    let secured: Vec<_> = cases
        .iter()
        .map(|(listener, security, properties, _)| {
            Secured::new(&topic, *listener, security, properties, receiver.url())
        })
        .collect();
    let (address, connections) = counting(broker().bootstrap(Listener::Expired));
    let counted = Secured::at(&address, &topic, &tls, "", receiver.url());
    let _counted = counted.start();
    let runs: Vec<_> = secured.iter().map(Secured::start).collect();
    for (runs, (listener, _, _, what)) in runs.iter().zip(&cases) {
        println!("{listener:?}: {what}");
        runs.says(what);
        let (code, told) = runs.of.command(&["check", "--live"]);
        assert_ne!(code, 0, "{told}");
        assert!(told.contains(what), "{listener:?}: {what}: {told}");
    }
    let times = connections.lock();
    let (count, seconds) = (times.len(), times[0].elapsed().as_secs_f64());
    println!("{count} connections in {seconds:.0} s");
    // Of two clients; librdkafka's own pauses do not grow where no connection comes about.
    let most = 6.0 * seconds;
    assert!(count > 2 && f64::from(u32::try_from(count).unwrap()) < most, "{count} connections in {seconds} s");
}
