use super::*;
use crate::software::shelf::Kept;
use weir_release::{Archive, KeyPlan, ReleaseDirectory, TrustStore};
use weir_slots::ImageFile;

/// When the tests take place, in seconds since 1970.
const NOW: u64 = 1_800_000_000;

fn archive(dir: &std::path::Path, directory: &ReleaseDirectory) -> Archive {
    let source = dir.join("program");
    std::fs::write(&source, "#!/bin/sh\n").expect("program");
    let span = weir_model::Span { min: 1, max: 1 };
    let interface = weir_model::ReleaseInterface { protocols: [].into(), schema: span, cache_format: span, gates: vec![] };
    let plan = weir_release::ImagePlan {
        version: "1.1.0-b1".parse().expect("version"),
        arch: "x86_64".to_owned(),
        bridges: None,
        interface,
        migrations: vec![],
        notes: String::new(),
        fault: None,
        effort: weir_release::Effort::Development,
        files: vec![ImageFile { path: "weir".to_owned(), source }],
    };
    directory.build(&plan, NOW).expect("built");
    Archive::open(&directory.pack(plan.version, &plan.arch, dir).expect("packed")).expect("an archive")
}

#[tokio::test]
async fn what_checks_learnt_counts_although_they_end_by_a_fault() {
    let dir = tempfile::tempdir().expect("dir");
    let directory = ReleaseDirectory::create(&dir.path().join("release"), KeyPlan::Development, NOW).expect("directory");
    let archive = archive(dir.path(), &directory);
    let shelf = Arc::new(Shelf::new(dir.path(), Kept::default()));
    TrustStore::pin(&shelf.trust, &directory.root().expect("root")).expect("pinned");
    let learning = Learning(Arc::clone(&shelf));
    let work = move || {
        let store = TrustStore::open(&learning.0.trust).expect("pinned");
        store.load(archive.content().metadata(), NOW).expect("loaded");
        panic!("a fault of the manager's own");
    };
    assert!(tokio::task::spawn_blocking(work).await.is_err());
    assert_eq!(shelf.newest().expect("learnt").images.len(), 1);
}
