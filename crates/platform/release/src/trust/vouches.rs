//! Whose signatures are on a set that is not newer than what is trusted: it changes nothing, but it says whom an archive is from.

use super::{TrustError, TrustStore};
use crate::{metadata::MetadataSet, tuf};

impl TrustStore {
    /// Whether `set` is of this store's publisher, old or new: signed from the pinned root on. Neither its expiry nor whether it is
    /// older than what is trusted is judged, and nothing of it is taken in.
    ///
    /// # Errors
    /// [`TrustError`]: it is not signed as a root of this store asks, or the store cannot be read.
    pub fn vouches(&self, set: &MetadataSet) -> Result<(), TrustError> {
        let state = self.state()?;
        let mut set = set.clone();
        if let Some((stored, _)) = &state.stored {
            // An archive need not carry every root since the pinned one: those that are known lead to the first that it has.
            let newest = set.newest_root().0;
            set.roots.extend(stored.roots.range(..newest).map(|(version, body)| (*version, body.clone())));
        }
        tuf::verify(&state.pinned, &set, None, &self.dir)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::{ArchiveContent, KeyPlan, ReleaseDirectory, TrustStore};
    use crate::{Effort, ImagePlan};
    use weir_model::{ReleaseInterface, Span};
    use weir_slots::ImageFile;

    const NOW: u64 = 1_800_000_000;

    fn built(dir: &std::path::Path, directory: &ReleaseDirectory, version: &str) -> ArchiveContent {
        let source = dir.join("program");
        std::fs::write(&source, version).expect("program");
        let span = Span { min: 1, max: 1 };
        let plan = ImagePlan {
            version: version.parse().expect("version"),
            arch: "x86_64".to_owned(),
            bridges: None,
            interface: ReleaseInterface { protocols: [].into(), schema: span, cache_format: span, gates: vec![] },
            migrations: vec![],
            notes: String::new(),
            fault: None,
            effort: Effort::Development,
            files: vec![ImageFile { path: "weir".to_owned(), source }],
        };
        directory.build(&plan, NOW).expect("built");
        let archive = directory.pack(plan.version, &plan.arch, dir).expect("packed");
        ArchiveContent::read(std::fs::File::open(archive).expect("archive")).expect("an archive")
    }

    #[test]
    fn old_and_new_sets_of_the_publisher_are_told_from_a_strangers() {
        let dir = tempfile::tempdir().expect("dir");
        let ours = ReleaseDirectory::create(&dir.path().join("ours"), KeyPlan::Development, NOW).expect("directory");
        let other = ReleaseDirectory::create(&dir.path().join("other"), KeyPlan::Development, NOW).expect("directory");
        let store = TrustStore::pin(&dir.path().join("trust"), &ours.root().expect("root")).expect("pinned");
        let (old, new) = (built(dir.path(), &ours, "1.0.0-b1"), built(dir.path(), &ours, "1.1.0-b1"));
        let stranger = built(dir.path(), &other, "1.0.0-b1");
        for set in [&old, &new] {
            store.vouches(set.metadata()).expect("before anything was loaded");
        }
        store.load(new.metadata(), NOW).expect("loaded");
        for set in [&old, &new] {
            store.vouches(set.metadata()).expect("older than what is trusted, or the same");
        }
        assert!(store.vouches(stranger.metadata()).is_err());
        assert_eq!(store.metadata().expect("read").as_ref(), Some(new.metadata()), "nothing was taken in");
    }
}
