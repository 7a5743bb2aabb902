//! `state/manager/box.json`: what must hold of this box without its database: enabled, fenced, about to be promoted, frozen, on its way
//! to another version.
//!
//! Every write is durable before its call returns, so that nobody acts on what a crash could take back.

use crate::keep;
use serde::{Deserialize, Serialize};
use std::{
    fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};
use weir_model::{DeviceName, Stamp, Version};

/// Its name in the state directory.
const FILE: &str = "box.json";

/// Somebody else is primary since a term: this box is not while its own is lower.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Fence {
    /// The term this box has heard of.
    pub(crate) term: u64,
    /// Whose term it is; absent: whoever named it is not the primary of that term (a standby that polls, one that was primary).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<DeviceName>,
    /// Where its device API is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) address: Option<SocketAddr>,
}

/// What the file holds.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Kept {
    enabled: bool,
    /// Why it is not, in an operator's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    why: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fenced: Option<Fence>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    promoting: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    frozen: Option<Frozen>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    switch: Option<SwitchNote>,
}

/// The configuration takes no writes while managers are switched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Frozen {
    /// Since when, milliseconds since 1970: it names this freeze.
    pub(crate) since_ms: u64,
    /// Of the primary that froze it: it counts in that term alone.
    pub(crate) term: u64,
    /// Hash of the plan that froze it.
    pub(crate) plan: String,
}

/// This box becomes another version: what it must know when it starts with either.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SwitchNote {
    /// Of the word.
    pub(crate) stamp: Stamp,
    /// What it ran.
    pub(crate) from: Version,
    /// What it becomes.
    pub(crate) to: Version,
    /// SHA-256 of the MANIFEST of that, hex.
    pub(crate) manifest: String,
    /// Its database may be taken back and the box enabled without an operator, once every manager runs `to`.
    pub(crate) way_back: bool,
}

impl Default for Kept {
    fn default() -> Self {
        Self { enabled: true, why: None, fenced: None, promoting: None, frozen: None, switch: None }
    }
}

/// The file; calls that write block on the disk.
#[derive(Debug)]
pub(crate) struct BoxFile {
    path: PathBuf,
    kept: Mutex<Kept>,
}

impl BoxFile {
    /// Reads it; a box that never wrote one is enabled and neither fenced nor about to be promoted.
    ///
    /// # Errors
    /// When it cannot be read, or is not what this module writes: a fence that nobody can read must not be passed over.
    pub(crate) fn open(state: &Path) -> io::Result<Self> {
        let path = state.join(FILE);
        let kept = match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Kept::default(),
            Err(error) => return Err(error),
        };
        Ok(Self { path, kept: Mutex::new(kept) })
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes what `change` makes of it, when it says that there is something to write; unchanged in memory when the disk refuses.
    fn write(&self, change: impl FnOnce(&mut Kept) -> bool) -> io::Result<()> {
        let mut kept = self.kept();
        let mut next = kept.clone();
        if !change(&mut next) {
            return Ok(());
        }
        keep::file(&self.path, &serde_json::to_vec_pretty(&next).expect("our own types are JSON"))?;
        *kept = next;
        Ok(())
    }

    /// Whether the box may be primary or standby.
    pub(crate) fn enabled(&self) -> bool {
        self.kept().enabled
    }

    /// Why it may not, in an operator's words.
    pub(crate) fn why(&self) -> Option<String> {
        self.kept().why.clone()
    }

    /// Enables or disables the box.
    pub(crate) fn set_enabled(&self, enabled: bool, why: Option<String>) -> io::Result<()> {
        self.write(|kept| {
            kept.enabled = enabled;
            kept.why = why.filter(|_| !enabled);
            true
        })
    }

    /// The fence of the highest term; whether it counts is for the term of `config.db` to say.
    pub(crate) fn fenced(&self) -> Option<Fence> {
        self.kept().fenced.clone()
    }

    /// Fences the box. A fence of a lower term changes nothing; one of the same term adds a name to one without.
    pub(crate) fn fence(&self, fence: Fence) -> io::Result<()> {
        self.write(|kept| {
            let says_more = match &kept.fenced {
                None => true,
                Some(known) => fence.term > known.term || (fence.term == known.term && known.name.is_none() && fence.name.is_some()),
            };
            if says_more {
                kept.fenced = Some(fence);
            }
            says_more
        })
    }

    /// The term this box asked the primary to make way for, and has not taken yet.
    pub(crate) fn promoting(&self) -> Option<u64> {
        self.kept().promoting
    }

    /// Notes it, or that there is none.
    pub(crate) fn set_promoting(&self, term: Option<u64>) -> io::Result<()> {
        self.write(|kept| std::mem::replace(&mut kept.promoting, term) != term)
    }

    /// Why the configuration of this term takes no writes: a freeze ends with the primary that began it.
    pub(crate) fn frozen(&self, term: u64) -> Option<Frozen> {
        self.kept().frozen.clone().filter(|frozen| frozen.term == term)
    }

    /// Freezes the configuration, or takes writes again.
    pub(crate) fn set_frozen(&self, frozen: Option<Frozen>) -> io::Result<()> {
        self.write(|kept| {
            let differs = kept.frozen != frozen;
            kept.frozen = frozen;
            differs
        })
    }

    /// What this box is to become.
    pub(crate) fn switch(&self) -> Option<SwitchNote> {
        self.kept().switch.clone()
    }

    /// Notes it.
    pub(crate) fn set_switch(&self, note: SwitchNote) -> io::Result<()> {
        self.write(|kept| {
            let differs = kept.switch.as_ref() != Some(&note);
            kept.switch = Some(note);
            differs
        })
    }

    /// Notes that this one is at its end; one that was noted since stays.
    pub(crate) fn end_switch(&self, note: &SwitchNote) -> io::Result<()> {
        self.write(|kept| kept.switch.take_if(|kept| kept == note).is_some())
    }

    /// Notes that the promotion to this term is at its end, and every one before it; one that was begun since stays.
    pub(crate) fn end_promoting(&self, term: u64) -> io::Result<()> {
        self.write(|kept| kept.promoting.take_if(|noted| *noted <= term).is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fence(term: u64, name: Option<&str>) -> Fence {
        Fence { term, name: name.map(|name| name.parse().expect("name")), address: None }
    }

    #[test]
    fn what_it_says_outlives_the_process_and_a_lower_term_lifts_no_fence() {
        let dir = tempfile::tempdir().expect("dir");
        let open = || BoxFile::open(dir.path()).expect("reads");
        assert!(open().enabled() && open().fenced().is_none() && open().promoting().is_none());
        let file = open();
        file.fence(fence(4, None)).expect("writes");
        for (said, expected) in [
            (fence(3, Some("manager-2")), fence(4, None)),
            (fence(4, Some("manager-2")), fence(4, Some("manager-2"))),
            (fence(4, Some("manager-3")), fence(4, Some("manager-2"))),
            (fence(4, None), fence(4, Some("manager-2"))),
            (fence(5, None), fence(5, None)),
        ] {
            file.fence(said).expect("writes");
            assert_eq!(open().fenced(), Some(expected));
        }
        file.set_promoting(Some(6)).expect("writes");
        file.set_enabled(false, Some("moved to another rack".into())).expect("writes");
        assert_eq!((open().promoting(), open().enabled(), open().why()), (Some(6), false, Some("moved to another rack".into())));
        file.set_enabled(true, None).expect("writes");
        file.end_promoting(5).expect("writes");
        assert_eq!(open().promoting(), Some(6), "begun since");
        file.end_promoting(6).expect("writes");
        assert_eq!((open().promoting(), open().enabled(), open().why()), (None, true, None));
        assert_eq!(open().fenced(), Some(fence(5, None)));
    }

    #[test]
    fn a_freeze_counts_in_its_own_term_alone() {
        let dir = tempfile::tempdir().expect("dir");
        let file = BoxFile::open(dir.path()).expect("reads");
        let frozen = Frozen { since_ms: 7, term: 3, plan: "a plan".into() };
        file.set_frozen(Some(frozen.clone())).expect("writes");
        let again = BoxFile::open(dir.path()).expect("reads");
        assert_eq!([2, 3, 4].map(|term| again.frozen(term)), [None, Some(frozen), None]);
        again.set_frozen(None).expect("writes");
        assert_eq!(BoxFile::open(dir.path()).expect("reads").frozen(3), None);
    }

    #[test]
    fn a_switch_that_ends_takes_no_other_one_with_it() {
        let dir = tempfile::tempdir().expect("dir");
        let file = BoxFile::open(dir.path()).expect("reads");
        let note = |generation| SwitchNote {
            stamp: Stamp { term: 1, generation },
            from: "1.0.0-b1".parse().expect("version"),
            to: "1.1.0-b1".parse().expect("version"),
            manifest: "00".into(),
            way_back: true,
        };
        file.set_switch(note(1)).expect("writes");
        file.set_switch(note(2)).expect("writes");
        file.end_switch(&note(1)).expect("writes");
        assert_eq!(BoxFile::open(dir.path()).expect("reads").switch(), Some(note(2)));
        file.end_switch(&note(2)).expect("writes");
        assert_eq!(BoxFile::open(dir.path()).expect("reads").switch(), None);
    }

    #[test]
    fn a_file_that_cannot_be_read_is_no_permission_to_serve() {
        let dir = tempfile::tempdir().expect("dir");
        fs::write(dir.path().join(FILE), b"{torn").expect("written");
        assert_eq!(BoxFile::open(dir.path()).expect_err("refused").kind(), io::ErrorKind::InvalidData);
    }
}
