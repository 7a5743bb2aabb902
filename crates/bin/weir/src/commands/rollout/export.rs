//! `weir upgrade export`: the rollout as its records in the journal.

use crate::api_client::ApiClient;
use anyhow::Context;
use std::{
    fs::File,
    io::{self, Write},
    path::Path,
};
use weir_operator_api::paths;

/// Bytes that the journal may have.
const JOURNAL_BYTES: u64 = 256 << 20;

pub(super) async fn run(api: &ApiClient, file: Option<&Path>) -> anyhow::Result<()> {
    let path = format!("{}/journal", paths::ROLLOUT);
    let Some(file) = file else { return api.download(&path, JOURNAL_BYTES, &mut io::stdout().lock()).await };
    let mut to = File::create_new(file).with_context(|| format!("create {}", file.display()))?;
    let fetched = api.download(&path, JOURNAL_BYTES, &mut to).await;
    let kept = fetched.and_then(|()| to.flush().and_then(|()| to.sync_all()).with_context(|| format!("write {}", file.display())));
    if kept.is_err() {
        // Half of it says something else.
        std::fs::remove_file(file).ok();
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api_client::tests::{answer, place, read_head};
    use weir_operator_api::{Problem, Reason};

    #[tokio::test]
    async fn what_the_manager_has_is_in_the_file_or_there_is_none() {
        let to = tempfile::tempdir().unwrap();
        let file = to.path().join("rollout.jsonl");
        for (status, body) in
            [("404 Not Found", serde_json::to_value(Problem::new(Reason::NoRollout, "none")).unwrap()), ("200 OK", 7.into())]
        {
            let (data, listener) = place();
            let api = ApiClient::local(data.path()).unwrap();
            let manager = async {
                let (mut stream, _) = listener.accept().await.unwrap();
                let head = read_head(&mut stream).await;
                answer(&mut stream, status, &body).await;
                head
            };
            let (exported, head) = tokio::join!(run(&api, Some(&file)), manager);
            assert!(head.starts_with("get /api/v1/rollout/journal http"), "{head}");
            assert_eq!(exported.is_ok(), status == "200 OK");
            assert_eq!(std::fs::read_to_string(&file).ok(), exported.ok().map(|()| "7".to_owned()), "{status}");
        }
    }
}
