//! Plain blocking HTTP GET, for tests that ask a service.

use std::time::Duration;

use serde_json::Value;

/// Runs a future to its end on this thread.
pub fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// GETs `url` with the query `parameters`, within 10 s.
///
/// # Errors
/// What kept the answer away, or the status and body of one that is not a success.
pub fn get(url: &str, parameters: &[(&str, &str)]) -> Result<String, String> {
    let url = reqwest::Url::parse_with_params(url, parameters).map_err(|error| error.to_string())?;
    block_on(async {
        let client = reqwest::Client::builder().timeout(Duration::from_secs(10)).no_proxy().build()?;
        let answer = client.get(url).send().await?;
        Ok((answer.status(), answer.text().await?))
    })
    .map_err(|error: reqwest::Error| format!("{error:?}"))
    .and_then(|(status, body)| if status.is_success() { Ok(body) } else { Err(format!("{status}: {body}")) })
}

/// Like [`get`], for an answer in JSON.
///
/// # Errors
/// Those of [`get`], and a body that is not JSON.
pub fn get_json(url: &str, parameters: &[(&str, &str)]) -> Result<Value, String> {
    let body = get(url, parameters)?;
    serde_json::from_str(&body).map_err(|error| format!("{error} in {body}"))
}
