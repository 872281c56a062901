//! A Prometheus to write to and to ask.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use super::{Process, folder, free_ports, script};
use crate::http;

/// A Prometheus with remote write 1.0 and 2.0, OTLP, exemplars, and 30 minutes for late samples.
#[derive(Debug)]
pub struct Prometheus {
    folder: PathBuf,
    port: u16,
    flags: Vec<String>,
    process: Process,
}

/// How a Prometheus differs from the usual one.
#[derive(Debug, Clone, Default)]
pub struct PrometheusOptions {
    /// Its `prometheus.yml`.
    pub config: Option<String>,
    /// Flags besides the usual ones.
    pub flags: Vec<String>,
}

impl Prometheus {
    /// Starts one with no data.
    pub fn start(options: PrometheusOptions) -> Self {
        let (folder, port) = (folder("prometheus"), free_ports());
        if let Some(config) = options.config {
            fs::write(folder.join("prometheus.yml"), config).unwrap();
        }
        Self { process: serve(&folder, port, &options.flags), folder, port, flags: options.flags }
    }

    /// Its process, to be signalled.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Starts it again at the same address, with its data, after [`Process::kill`].
    pub fn restart(&mut self) {
        self.process = serve(&self.folder, self.port, &self.flags);
    }

    /// Gives it another `prometheus.yml`, which holds when this returns.
    #[track_caller]
    pub fn configure(&self, config: &str) {
        fs::write(self.folder.join("prometheus.yml"), config).unwrap();
        let reload = reqwest::Client::new().post(self.url("/-/reload"));
        let answer = http::block_on(async { reload.send().await?.error_for_status() });
        answer.unwrap();
    }

    /// The URL of `path`, which starts with a slash: `/api/v1/write`, `/api/v1/otlp`.
    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// The `data` of its answer to a GET of `path`, `/api/v1/series` for example.
    ///
    /// # Errors
    /// Those of [`http::get_json`].
    pub fn get(&self, path: &str, parameters: &[(&str, &str)]) -> Result<Value, String> {
        http::get_json(&self.url(path), parameters).map(|mut answer| answer["data"].take())
    }

    /// The result of an instant query, now: an array of series.
    ///
    /// # Errors
    /// Those of [`http::get_json`].
    pub fn query(&self, promql: &str) -> Result<Value, String> {
        self.get("/api/v1/query", &[("query", promql)]).map(|mut data| data["result"].take())
    }
}

fn serve(folder: &PathBuf, port: u16, flags: &[String]) -> Process {
    let mut command = Command::new(script("prometheus"));
    command.args(["run", "--port", &port.to_string(), "--dir"]).arg(folder).arg("--").args(flags);
    let mut process = Process::spawn("prometheus", folder, &command);
    let ready = format!("http://127.0.0.1:{port}/-/ready");
    process.ready(Duration::from_secs(30), || http::get(&ready, &[]).map(drop));
    process
}
