//! What lines are counted to, through both workers to Prometheus.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{scope, sleep};
use std::time::Duration;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use prost::Message;
use weir_tests::stack::{Prometheus, PrometheusOptions, Record};
use weir_tests::wait::wait_until;

use crate::job::{Job, Program, Topology, full, sample};
use crate::logs::{produce, records, text};
use crate::trouble::{self, CLASSIC, Plan, at_random, below};

/// How long the last totals may take: the last dead worker's session, and what waits.
const ARRIVES: Duration = Duration::from_secs(180);

/// Counts by partition, service, class and severity.
type Counts = BTreeMap<[String; 4], u64>;

/// Scenario: lines are produced while processes of the logs worker are killed and restarted, and so are those of the
/// metrics worker that reads what they count.
/// Guards: in Prometheus, the lines by partition, service, class and severity are those of the output, each line once;
/// histograms of response times too; and no series ever went down.
#[test]
fn what_lines_are_counted_to_is_exact_in_prometheus_whatever_is_killed() {
    let (kafka, _turn) = trouble::cluster();
    let topology = Topology { measure: "interval = \"1s\"", ..CLASSIC };
    let job = Job::on(kafka, Program::Logs, "measures", trouble::PARTITIONS, topology);
    let metrics = job.measuring(CLASSIC);
    let prometheus = Prometheus::start(PrometheusOptions::default());
    let url = prometheus.url("/api/v1/write");
    let kills = if full() { 30 } else { 3 };
    let plan = Plan { kills, stops: 0, broker_kills: 0, rolling_restarts: 1, named: false };
    let ended = AtomicBool::new(false);
    let killed = scope(|scope| {
        let killing = scope.spawn(|| kill(&metrics, &url, &ended));
        let _ends = Ends(&ended);
        trouble::under_plan(&job, "", plan, |stop| produce(&job, stop));
        ended.store(true, Ordering::SeqCst);
        killing.join().unwrap()
    });
    assert!(killed >= if full() { kills } else { 1 }, "{killed} metrics workers were killed");

    let want = counts(&records(&job, &job.output()));
    let _last = (job.start(""), metrics.start(&url));
    let told = |query: &str| totals(&prometheus, query);
    wait_until(ARRIVES, "every line in Prometheus", || {
        let got = told("last_over_time(log_lines_total[3h])")?;
        let differs = want.iter().find(|(labels, lines)| got.get(*labels) != Some(*lines));
        let sums = (got.values().sum::<u64>(), want.values().sum::<u64>());
        assert!(sums.0 <= sums.1, "{sums:?}: more than there are");
        if got.len() == want.len() && differs.is_none() { Ok(()) } else { Err(format!("{sums:?} lines, {differs:?}")) }
    });
    // Nothing is written any more: what is there now stays.
    assert_eq!(told("last_over_time(log_lines_total[3h])"), Ok(want.clone()));
    assert_eq!(told("resets(log_lines_total[3h])").unwrap().values().sum::<u64>(), 0, "a total went down");
    let sum = |query: &str| told(query).unwrap().values().sum::<u64>();
    let errors: u64 = want.iter().filter(|(labels, _)| labels[3] == "error").map(|(_, lines)| lines).sum();
    assert_eq!(sum("last_over_time(log_errors_total[3h])"), errors);
    let infinite = sum("last_over_time(log_response_time_seconds_bucket{le='+Inf'}[3h])");
    assert!(infinite > 0 && infinite == sum("last_over_time(log_response_time_seconds_count[3h])"), "{infinite}");
    assert!(sum("last_over_time(log_failed_logins_total[3h])") > 0);
    // Series begin with nothing, so that the first lines are an increase.
    let increase = sum("last_over_time(log_lines_total[3h]) - min_over_time(log_lines_total[3h])");
    assert_eq!(increase, want.values().sum::<u64>());
    println!("{} lines in {} series, {killed} metrics workers killed", want.values().sum::<u64>(), want.len());
}

/// Ends the killing when the test panics, or the scope would wait for it without end.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Runs two processes, and kills one of them now and then, until it is told to end; how many were killed.
fn kill(job: &Job, url: &str, ended: &AtomicBool) -> usize {
    let (mut members, mut killed) = (vec![job.start(url), job.start(url)], 0);
    while !ended.load(Ordering::SeqCst) {
        sleep(Duration::from_secs(2) + at_random(Duration::from_secs(if full() { 5 } else { 10 })));
        members.remove(below(members.len())).process.kill();
        killed += 1;
        members.push(job.start(url));
    }
    members.into_iter().for_each(|mut member| member.process.kill());
    killed
}

/// What the lines of an output come to.
fn counts(output: &[Record]) -> Counts {
    let mut counts = Counts::new();
    for record in output {
        let request = ExportLogsServiceRequest::decode(record.value.as_deref().unwrap()).unwrap();
        for logs in request.resource_logs {
            let service = text(&logs.resource.as_ref().unwrap().attributes, "service.name").unwrap().to_owned();
            for line in logs.scope_logs.iter().flat_map(|logs| &logs.log_records) {
                let origin = text(&line.attributes, "weir.origin").unwrap();
                let partition = origin.splitn(3, '/').take(2).collect::<Vec<_>>().join("/");
                let class = text(&line.attributes, "weir.class").unwrap().to_owned();
                let severity = match line.severity_number {
                    0 => "",
                    1..=4 => "trace",
                    5..=8 => "debug",
                    9..=12 => "info",
                    13..=16 => "warn",
                    17..=20 => "error",
                    _ => "fatal",
                };
                *counts.entry([partition, service.clone(), class, severity.to_owned()]).or_default() += 1;
            }
        }
    }
    counts
}

/// The values of a query, by the same labels.
fn totals(prometheus: &Prometheus, query: &str) -> Result<Counts, String> {
    let answer = prometheus.query(query)?;
    let total = |series: &serde_json::Value| {
        let label = |name: &str| series["metric"][name].as_str().unwrap_or_default().to_owned();
        let value: f64 = sample(&series["value"]).1.parse().unwrap();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count of lines")]
        let value = value as u64;
        (["instance", "service_name", "weir_class", "severity"].map(label), value)
    };
    Ok(answer.as_array().unwrap().iter().map(total).collect())
}
