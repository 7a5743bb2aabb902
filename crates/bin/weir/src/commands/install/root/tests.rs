use super::*;
use crate::{
    cli::{Format, InstallArgs},
    commands::{install::run, release::describe::described},
};
use std::{fs, path::PathBuf};
use tempfile::TempDir;
use weir_model::InvalidReason;
use weir_release::{Effort, ImagePlan, KeyPlan, ReleaseDirectory};
use weir_slots::ImageFile;

const NOW: u64 = 1_800_000_000;

/// A publisher, and the data directory of a device without anything.
struct Scene {
    dir: TempDir,
    directory: ReleaseDirectory,
}

impl Scene {
    fn new() -> Self {
        let dir = TempDir::new().expect("dir");
        let directory = ReleaseDirectory::create(&dir.path().join("release"), KeyPlan::Development, NOW).expect("directory");
        fs::create_dir(dir.path().join("data")).expect("data");
        Self { dir, directory }
    }

    fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    fn root(&self) -> Vec<u8> {
        self.directory.root().expect("root")
    }

    /// The archive of a small release.
    fn archive(&self) -> PathBuf {
        let described = described();
        let source = self.dir.path().join("program");
        fs::write(&source, b"program").expect("program");
        let plan = ImagePlan {
            version: described.version,
            arch: described.arch.clone(),
            bridges: described.bridges,
            interface: described.interface,
            migrations: described.migrations,
            notes: String::new(),
            fault: None,
            effort: Effort::Development,
            files: vec![ImageFile { path: "weir".to_owned(), source }],
        };
        self.directory.build(&plan, NOW).expect("build");
        self.directory.pack(described.version, &described.arch, self.dir.path()).expect("pack")
    }

    /// What a manager on the box has pinned: the newest root at this moment.
    fn pin(&self) -> TrustStore {
        TrustStore::pin(&self.data().join("state/manager/trust"), &self.root()).expect("pin")
    }

    fn arguments(&self) -> InstallArgs {
        InstallArgs { data: self.data(), archive: None, root: None, release_root: None }
    }

    fn kept(&self) -> Option<Vec<u8>> {
        fs::read(self.data().join(RELEASE_ROOT)).ok()
    }
}

fn refused<T>(result: anyhow::Result<T>) -> String {
    format!("{:#}", result.err().expect("refused"))
}

#[test]
fn what_is_no_root_is_not_read() {
    let dir = tempfile::tempdir().expect("dir");
    let file = dir.path().join("root.json");
    fs::write(&file, b"{}").expect("write");
    let refused = refused(read(&file));
    assert!(refused.contains("is no root of release keys"), "{refused}");
}

#[test]
fn a_root_is_kept_once_and_another_is_refused() {
    let (scene, stranger) = (Scene::new(), Scene::new());
    let first = scene.root();
    keep(&scene.data(), &first).expect("kept");
    keep(&scene.data(), &first).expect("the same again");
    let text = refused(keep(&scene.data(), &stranger.root()));
    assert!(text.contains(RELEASE_ROOT) && text.contains("install no more"), "{text}");
    scene.directory.rotate(&[], NOW).expect("rotate");
    keep(&scene.data(), &scene.root()).expect("the next one, signed by the first");
    assert_eq!(scene.kept(), Some(first));
}

#[test]
fn a_root_of_the_pinned_chain_is_accepted_and_any_other_refused_though_the_file_is_gone() {
    let (scene, stranger) = (Scene::new(), Scene::new());
    let first = scene.root();
    let store = scene.pin();
    let text = refused(keep(&scene.data(), &stranger.root()));
    assert!(text.contains("memory of which releases were taken off the list") && text.contains("give a root of its publisher"), "{text}");
    assert_eq!(scene.kept(), None);
    for _ in 0..2 {
        scene.directory.rotate(&[], NOW).expect("rotate");
    }
    assert!(keep(&scene.data(), &scene.root()).is_err(), "two steps on, and nothing proves the first");
    store.load(&scene.directory.metadata().expect("set"), NOW).expect("load");
    keep(&scene.data(), &scene.root()).expect("stored");
    assert_eq!(scene.kept(), Some(first), "what was pinned");
}

#[test]
fn an_archive_is_verified_by_what_the_box_remembers() {
    let scene = Scene::new();
    let archive = scene.archive();
    let store = scene.pin();
    fs::write(scene.data().join(RELEASE_ROOT), scene.root()).expect("root");
    let named = scene.dir.path().join("named.json");
    fs::write(&named, scene.root()).expect("root");
    let expected = Expected::default();
    let plain = trusted(&scene.arguments(), None).expect("trusted");
    plain.verify(&archive, &expected, NOW).expect("listed");
    let described = described();
    scene.directory.delist(described.version, &described.arch, NOW).expect("delist");
    store.load(&scene.directory.metadata().expect("set"), NOW).expect("load");
    for root in [None, Some(named)] {
        let arguments = InstallArgs { root, ..scene.arguments() };
        let invalid = trusted(&arguments, None).expect("trusted").verify(&archive, &expected, NOW).expect_err("delisted");
        assert_eq!(invalid.reason(), InvalidReason::Delisted);
    }
}

#[test]
fn a_root_is_kept_only_after_its_archive_was_proven() {
    let (scene, stranger) = (Scene::new(), Scene::new());
    fs::write(scene.data().join("device.toml"), "name = \"e1\"\nrole = \"engine\"\n").expect("device.toml");
    let file = scene.dir.path().join("root.json");
    fs::write(&file, scene.root()).expect("root");
    let arguments = InstallArgs { archive: Some(stranger.archive()), release_root: Some(file), ..scene.arguments() };
    let text = refused(run(Format::Json, &arguments));
    assert!(text.contains("may not be installed (unsigned)"), "{text}");
    assert_eq!(scene.kept(), None, "a wrong file may be given again rightly");
}

#[test]
fn nothing_is_installed_beside_a_running_keeper() {
    let scene = Scene::new();
    fs::write(scene.data().join("device.toml"), "name = \"e1\"\nrole = \"engine\"\n").expect("device.toml");
    let run_dir = scene.data().join("run");
    fs::create_dir(&run_dir).expect("run");
    fs::write(run_dir.join("keeper.pid"), "4711\n").expect("pid");
    let held = fs::File::create(run_dir.join("keeper.lock")).expect("lock");
    held.try_lock().expect("nobody else has it");
    let text = refused(run(Format::Json, &scene.arguments()));
    assert!(text.contains("(process 4711)") && text.contains("stop the keeper first"), "{text}");
    assert!(!scene.data().join("slots").exists());
}
