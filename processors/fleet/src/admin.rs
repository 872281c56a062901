//! The admin server of a process: `/metrics`, `/healthz`, `/readyz`, `/status`.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};
use parking_lot::Mutex;
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use weir_runtime::{Status, WorkerStatus};

/// What the server shows.
#[derive(Clone)]
pub struct Shown {
    /// Every counter of the process.
    pub registry: Arc<Mutex<Registry>>,
    /// Every worker of the process, by name.
    pub workers: BTreeMap<String, Status>,
}

/// Serves until the process ends; the address it listens on, which tells the port where 0 was asked for.
///
/// # Errors
/// The address cannot be listened on.
pub async fn serve(address: SocketAddr, shown: Shown) -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind(address).await.with_context(|| {
        format!("could not listen on {address} for the admin server: choose another with process.admin in the topology")
    })?;
    let bound = listener.local_addr().context("the admin server's address is not to be had")?;
    let app = Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz))
        .route("/status", get(status))
        .with_state(shown);
    tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, app).await {
            tracing::error!(error = %error, "admin server ended");
        }
    });
    Ok(bound)
}

async fn metrics(State(shown): State<Shown>) -> impl IntoResponse {
    let mut text = String::new();
    match prometheus_client::encoding::text::encode(&mut text, &shown.registry.lock()) {
        Ok(()) => {
            let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            (StatusCode::OK, [(header::CONTENT_TYPE, kind)], text)
        }
        Err(_) => {
            (StatusCode::INTERNAL_SERVER_ERROR, [(header::CONTENT_TYPE, "text/plain")], "could not encode\n".to_owned())
        }
    }
}

/// Ready: every worker has its assignment, and every sink takes what it is sent.
async fn readyz(State(shown): State<Shown>) -> (StatusCode, String) {
    let waiting: Vec<_> = shown.workers.iter().filter_map(|(name, status)| not_ready(name, status)).collect();
    if waiting.is_empty() {
        (StatusCode::OK, "ready\n".to_owned())
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, waiting.join(""))
    }
}

fn not_ready(name: &str, status: &Status) -> Option<String> {
    if status.is_ready() {
        return None;
    }
    let status = status.get();
    let (why, error) = if !status.assigned {
        ("has no assignment yet", status.session_error)
    } else if let Some(error) = status.commit_error {
        ("cannot commit", Some(error))
    } else {
        let blocked = status.sinks.iter().find(|(_, sink)| sink.blocked_shards > 0);
        let troubled = status.sinks.iter().find(|(_, sink)| sink.retrying_shards > 0);
        let why = if blocked.is_some() { "is blocked by its sink" } else { "gets no answer from its sink" };
        (why, blocked.or(troubled).and_then(|(name, sink)| Some(format!("{name}: {}", sink.last_error.as_ref()?))))
    };
    Some(format!("{name} {why}{}\n", error.map_or_else(String::new, |error| format!(": {error}"))))
}

async fn status(State(shown): State<Shown>) -> Json<BTreeMap<String, WorkerStatus>> {
    Json(shown.workers.iter().map(|(name, status)| (name.clone(), status.get())).collect())
}
