//! `WEIR_` variables: `WEIR_WORKER__METRICS__REMOTE_WRITE__URL` is `worker.metrics.remote_write.url`.

/// How many keys a variable leads through at most; more than the topology has levels.
const DEPTH_MAX: usize = 16;

/// The keys that `variable` leads to; none if it is not one that overrides the topology.
///
/// A variable cannot hold `-` or `.`: a name of a topic or worker that the file does not have is taken with `-` for
/// each `_`, a librdkafka property with `.`.
pub(super) fn path(variable: &str) -> Option<Vec<String>> {
    let keys = variable.strip_prefix("WEIR_").filter(|keys| keys.contains("__"))?;
    let mut path: Vec<String> = Vec::new();
    for key in keys.splitn(DEPTH_MAX, "__") {
        let key = key.to_ascii_lowercase();
        let parents: Vec<_> = path.iter().map(String::as_str).collect();
        path.push(match parents.as_slice() {
            ["topic" | "worker"] => key.replace('_', "-"),
            ["kafka", "properties"] => key.replace('_', "."),
            _ => key,
        });
    }
    Some(path)
}
