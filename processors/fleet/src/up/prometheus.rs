//! Asks a real Prometheus back what it was sent.

use std::time::Duration;

use anyhow::Context;
use serde::Deserialize;

use super::receiver::Judge;

/// How much older than the run a sample may be.
const SLACK: Duration = Duration::from_secs(60);

#[derive(Deserialize)]
struct Answer<T> {
    data: T,
}

#[derive(Deserialize)]
struct Matrix {
    result: Vec<Series>,
}

#[derive(Deserialize)]
struct Series {
    metric: std::collections::BTreeMap<String, String>,
    values: Vec<(f64, String)>,
}

/// Judges every sample that the Prometheus has of the run.
pub(super) async fn ask(url: &str, judge: &Judge, elapsed: Duration) -> anyhow::Result<()> {
    let client = reqwest::Client::new();
    let base = url.trim_end_matches('/');
    let ours = format!("{{job=~\"{}\"}}", weir_generate::jobs().collect::<Vec<_>>().join("|"));
    let names: Answer<Vec<String>> =
        get(&client, &format!("{base}/api/v1/label/__name__/values"), &[("match[]", &ours)]).await?;
    let seconds = (elapsed + SLACK).as_secs();
    for name in names.data {
        let query = format!("{name}{ours}[{seconds}s]");
        let matrix: Answer<Matrix> = get(&client, &format!("{base}/api/v1/query"), &[("query", &query)]).await?;
        for series in matrix.data.result {
            for (timestamp, value) in series.values {
                let labels = series.metric.iter().map(|(name, value)| (name.as_str(), value.as_str()));
                let value: f64 = value.parse().context("Prometheus answered with a value that is no number")?;
                judge.sample(labels, milliseconds(timestamp), value);
            }
        }
    }
    Ok(())
}

#[expect(clippy::cast_possible_truncation, reason = "seconds since the epoch, in milliseconds, are far below 2^63")]
fn milliseconds(seconds: f64) -> i64 {
    (seconds * 1000.0).round() as i64
}

async fn get<T: for<'de> Deserialize<'de>>(
    client: &reqwest::Client,
    url: &str,
    query: &[(&str, &str)],
) -> anyhow::Result<T> {
    let url = reqwest::Url::parse_with_params(url, query).with_context(|| format!("{url} is no URL"))?;
    let path = url.path().to_owned();
    let asked = async {
        let answer = client.get(url).send().await?.error_for_status()?;
        answer.bytes().await
    };
    let body = asked.await.with_context(|| format!("could not ask Prometheus back at {path}"))?;
    serde_json::from_slice(&body).with_context(|| format!("Prometheus's answer to {path} is not as expected"))
}
