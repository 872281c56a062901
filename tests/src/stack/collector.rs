//! An OpenTelemetry Collector, and load for it.

use std::fs;
use std::process::Command;
use std::time::Duration;

use super::{Kafka, Listener, Process, folder, free_ports, script, stack_home};
use crate::http;

/// A Collector that receives OTLP.
#[derive(Debug)]
pub struct Collector {
    port: u16,
    process: Process,
}

impl Collector {
    /// Starts one that does what `config` says; `scripts/stack/otelcol.d/base.yaml` is already
    /// there: the `otlp` receiver, health, its own metrics. `config` adds exporters and pipelines.
    pub fn start(config: &str) -> Self {
        let path = folder("config").join("config.yaml");
        fs::write(&path, config).unwrap();
        Self::serve(Command::new(script("otelcol")).arg("run").arg(path))
    }

    /// Starts the gateway, which writes to the topics `PREFIX-traces`, `PREFIX-metrics` and
    /// `PREFIX-logs`; they must exist.
    pub fn gateway(kafka: &Kafka, prefix: &str) -> Self {
        let brokers = kafka.bootstrap(Listener::Plain);
        let mut command = Command::new(script("otelcol"));
        Self::serve(command.arg("run").env("KAFKA_BROKERS", brokers).env("TOPIC_PREFIX", prefix))
    }

    fn serve(command: &mut Command) -> Self {
        let (folder, port) = (folder("otelcol"), free_ports());
        command.arg("--port").arg(port.to_string()).arg("--dir").arg(&folder);
        let mut process = Process::spawn("otelcol", &folder, command);
        let health = format!("http://127.0.0.1:{}/", port + 2);
        process.ready(Duration::from_secs(30), || http::get(&health, &[]).map(drop));
        Self { port, process }
    }

    /// Its process, to be signalled.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Where it receives OTLP over gRPC: `127.0.0.1:4317`.
    pub fn otlp_grpc(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Where it receives OTLP over HTTP: `127.0.0.1:4318`.
    pub fn otlp_http(&self) -> String {
        format!("127.0.0.1:{}", self.port + 1)
    }
}

/// Sends load to an OTLP/gRPC `endpoint` and returns when all of it is sent. `signal` is `metrics`,
/// `traces` or `logs`; `args` are further flags of telemetrygen.
#[track_caller]
pub fn telemetrygen(signal: &str, endpoint: &str, args: &[&str]) {
    let mut command = Command::new(stack_home().join("bin/telemetrygen"));
    command.args([signal, "--otlp-insecure", "--otlp-endpoint", endpoint]).args(args);
    let mut process = Process::spawn("telemetrygen", &folder("telemetrygen"), &command);
    let status = process.finish(Duration::from_secs(120));
    assert!(status.success(), "telemetrygen {signal} {args:?}: {status}");
}
