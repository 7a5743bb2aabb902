//! Answers to what an operator asks a device through the manager.

use crate::{
    agent::Shared,
    vault::{self, Kept},
};
use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    path::Path,
    sync::Arc,
};
use weir_device_api::{Answer, Ask, poll::LOG_LINES_MAX};
use weir_model::Role;

/// Most log text one answer carries, in bytes.
const LOG_ANSWER_BYTES: u64 = 1024 * 1024;

/// The answer to one question.
pub(crate) async fn to(shared: &Arc<Shared>, ask: Ask) -> Answer {
    match ask {
        Ask::Logs { lines } => {
            let path = shared.settings.log.clone();
            let count = usize::try_from(lines.min(LOG_LINES_MAX)).expect("fits");
            match tokio::task::spawn_blocking(move || last_lines(&path, count)).await {
                Ok(Ok(lines)) => Answer::Logs { lines },
                Ok(Err(error)) => Answer::Refused { reason: format!("cannot read its log: {error}") },
                Err(error) => Answer::Refused { reason: format!("cannot read its log: {error}") },
            }
        }
        Ask::Explain { client, url } => match &shared.hooks.explain {
            None => Answer::Refused { reason: "is not a router; ask one with --router".into() },
            Some(explain) => match explain(client, &url) {
                Ok(decision) => Answer::Explain { decision },
                Err(reason) => Answer::Refused { reason },
            },
        },
        Ask::Hold { path } => match &shared.hooks.hold {
            None => Answer::Refused { reason: "is not an engine; only engines hold archives".into() },
            Some(hold) => match hold(&path) {
                Ok(bytes) => Answer::Held { bytes },
                Err(reason) => Answer::Refused { reason },
            },
        },
        Ask::VaultKeep { .. } | Ask::VaultGive { .. } if shared.settings.role != Role::Engine => {
            Answer::Refused { reason: "keeps no backups; only engines do".into() }
        }
        Ask::VaultKeep { sha256, bytes, name } => vault::keep(shared, Kept { sha256, bytes, name }).await,
        Ask::VaultGive { sha256, name } => vault::give(shared, &sha256, &name).await,
        Ask::Unknown => Answer::Refused { reason: "does not know this question; its release is older than the question".into() },
    }
}

/// The last `count` lines of a file, oldest first, reading at most [`LOG_ANSWER_BYTES`] of it.
pub fn last_lines(path: &Path, count: usize) -> io::Result<Vec<String>> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    let from = length.saturating_sub(LOG_ANSWER_BYTES);
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    file.take(LOG_ANSWER_BYTES).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let mut lines: Vec<&str> = text.lines().collect();
    if from > 0 && !lines.is_empty() {
        lines.remove(0);
    }
    let skip = lines.len().saturating_sub(count);
    Ok(lines[skip..].iter().map(|l| (*l).to_owned()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_in_order_and_never_half_a_line() {
        let file = tempfile::NamedTempFile::new().expect("file");
        let text: String = (0..200_000).map(|i| format!("line {i}\n")).collect();
        std::fs::write(file.path(), text).expect("write");
        assert_eq!(last_lines(file.path(), 2).expect("lines"), ["line 199998", "line 199999"]);
        let all = last_lines(file.path(), usize::MAX).expect("lines");
        assert!(all.len() < 200_000 && all.iter().all(|l| l.starts_with("line ")));
    }
}
