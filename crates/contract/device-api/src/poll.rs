//! The long poll: a newer configuration, and questions for the device.

use crate::UpdateWord;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use weir_model::DeviceConfiguration;

/// Most log lines one question may ask for.
pub const LOG_LINES_MAX: u32 = 10_000;

/// Most bytes of whole backups in an engine's vault: eight of a large network. A larger backup is kept by no engine.
pub const VAULT_BYTES_MAX: u64 = 1 << 30;

/// What the name of a backup ends with.
pub const BACKUP_EXTENSION: &str = ".weirbackup";

/// Longest name of a backup, in bytes.
const BACKUP_NAME_BYTES_MAX: usize = 200;

/// Whether this is the plain file name of a backup: nothing that leads elsewhere. Pure.
pub fn is_backup_name(name: &str) -> bool {
    name.len() <= BACKUP_NAME_BYTES_MAX
        && name.ends_with(BACKUP_EXTENSION)
        && !name.starts_with('.')
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte))
}

/// What a poll returns: at once when there is something, else empty after the wait.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Poll {
    /// A configuration newer than the one the device named.
    #[serde(default)]
    pub configuration: Option<DeviceConfiguration>,
    /// Questions to answer at [`crate::paths::ANSWERS`].
    #[serde(default)]
    pub questions: Vec<Question>,
    /// The term of the manager that answers; 0 from a build that does not say. A device passes over an answer of a lower term than
    /// the highest it has heard.
    #[serde(default)]
    pub term: u64,
    /// What it is to become, when that is not what the poll named.
    #[serde(default)]
    pub update: Option<UpdateWord>,
}

/// A question with the number its answer carries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// Chosen by the manager.
    pub id: u64,
    /// What it wants to know.
    pub ask: Ask,
}

/// What an operator may ask a device through the manager.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Ask {
    /// The last lines of its log.
    Logs {
        /// How many, at most [`LOG_LINES_MAX`].
        lines: u32,
    },
    /// Routers: where would this client be sent, and why.
    Explain {
        /// The client's address.
        client: IpAddr,
        /// `http://domain/path`, or `/domain/path` at an address.
        url: String,
    },
    /// Engines: keep the release archive at this path of the system delivery service, `/<sha256>.weir`, and say how much of it is
    /// there. Asked again until all of it is.
    Hold {
        /// The content path.
        path: String,
    },
    /// Engines: fetch this backup from [`crate::paths::VAULT`], keep it in the vault.
    VaultKeep {
        /// Its SHA-256, hex.
        sha256: String,
        /// Its length.
        bytes: u64,
        /// What it is called in the vault: a plain file name.
        name: String,
    },
    /// Engines: read this backup from the vault and PUT it to [`crate::paths::VAULT`].
    VaultGive {
        /// Its SHA-256, hex.
        sha256: String,
        /// What it is called in the vault.
        name: String,
    },
    /// What this release does not know. A question of a later line must not cost the device the rest of its poll.
    #[serde(other)]
    Unknown,
}

/// The device's answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Answer {
    /// Log lines, oldest first; each is one JSON object as text.
    Logs {
        /// The lines.
        lines: Vec<String>,
    },
    /// The decision with its reasons, as the router's crate writes it.
    Explain {
        /// `weir_routing::Decision` as JSON.
        decision: serde_json::Value,
    },
    /// Bytes of the archive that are there; all of them only once it is whole.
    Held {
        /// How many.
        bytes: u64,
    },
    /// The device cannot answer this.
    Refused {
        /// Why, one sentence.
        reason: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_of_a_later_line_is_no_reason_to_lose_the_others() {
        let poll = r#"{"questions":[{"id":1,"ask":{"kind":"of_a_later_line","with":{"more":[1]}}},{"id":2,"ask":{"kind":"hold","path":"/x.weir"}}]}"#;
        let poll: Poll = serde_json::from_str(poll).expect("reads");
        let asks: Vec<Ask> = poll.questions.into_iter().map(|question| question.ask).collect();
        assert_eq!(asks, [Ask::Unknown, Ask::Hold { path: "/x.weir".into() }]);
    }

    #[test]
    fn an_answer_reads_back() {
        let text = serde_json::to_string(&Answer::Held { bytes: 7 }).expect("JSON");
        assert_eq!(text, r#"{"kind":"held","bytes":7}"#);
        assert_eq!(serde_json::from_str::<Answer>(&text).expect("reads"), Answer::Held { bytes: 7 });
    }

    #[test]
    fn only_plain_names_are_those_of_backups() {
        assert!(is_backup_name("demo-20261123T071419Z-r12.weirbackup"));
        for name in ["", ".weirbackup", "../a.weirbackup", "a/b.weirbackup", "a.weir", "a b.weirbackup", "a\0.weirbackup"] {
            assert!(!is_backup_name(name), "{name:?}");
        }
        assert!(!is_backup_name(&format!("{}.weirbackup", "a".repeat(BACKUP_NAME_BYTES_MAX))));
    }
}
