//! Installing, replacing and verifying slots, and the power going at every write.

use super::*;
use crate::disk::{
    FileSystem,
    recorded::{Loss, Recorded},
};

/// The active slot, verified.
pub(crate) fn verify_active(data: &DataDirectory) -> Result<VerifiedSlot, VerifyError> {
    verify(data, &boot::read(data).expect("a boot record").record.active)
}

struct Home {
    dir: tempfile::TempDir,
    data: DataDirectory,
}

fn home() -> Home {
    let dir = tempfile::tempdir().expect("dir");
    let data = DataDirectory::new(dir.path().join("d"));
    Home { dir, data }
}

impl Home {
    fn image(&self, version: &str, program: &str) -> Image {
        let sources = self.dir.path().join("sources").join(program);
        fs::create_dir_all(&sources).expect("sources");
        fs::write(sources.join("weir"), program).expect("program");
        fs::write(sources.join("page"), "a page").expect("page");
        let file = |path: &str, source: &str| ImageFile { path: path.to_owned(), source: sources.join(source) };
        Image::measure(version, vec![file("weir", "weir"), file("share/pages/page", "page")]).expect("measure")
    }

    fn install(&self, image: &Image) -> Installed {
        install(&mut FileSystem, &self.data, image).expect("install")
    }

    fn program(&self) -> String {
        fs::read_to_string(verify_active(&self.data).expect("verified").program).expect("program")
    }
}

#[test]
fn first_unchanged_replaced_and_another_version() {
    let home = home();
    let first = home.image("1.0.0-b1", "first");
    assert_eq!(home.install(&first), Installed::First);
    assert_eq!(home.install(&first), Installed::Unchanged);
    assert_eq!(home.program(), "first");
    let second = home.image("1.0.0-b1", "second");
    assert_eq!(home.install(&second), Installed::Replaced { before: first.slot().clone() });
    assert_eq!(home.program(), "second");
    let slots: Vec<_> = fs::read_dir(home.data.slots()).expect("slots").flatten().map(|e| e.file_name()).collect();
    assert_eq!(slots, [second.slot().name.as_str()]);
    let error = install(&mut FileSystem, &home.data, &home.image("1.0.0-b2", "third")).expect_err("another version");
    assert!(matches!(error, InstallError::OtherVersion { .. }), "{error}");
    assert_eq!(home.program(), "second");
}

#[test]
fn a_slot_is_linked_and_read_only() {
    use std::os::unix::fs::MetadataExt;
    let home = home();
    let image = home.image("1.0.0-b1", "first");
    home.install(&image);
    let program = verify_active(&home.data).expect("verified").program;
    let (source, placed) = (fs::metadata(&image.files[0].source).expect("source"), fs::metadata(&program).expect("program"));
    assert_eq!(source.ino(), placed.ino());
    assert_eq!(placed.mode() & 0o777, READ_ONLY);
    assert_eq!(fs::metadata(program.parent().expect("tree")).expect("tree").mode() & 0o777, READ_ONLY);
}

/// An unpacked image below `tree`, and the digest of its MANIFEST.
fn unpacked(tree: &Path, version: &str) -> Digest {
    fs::create_dir_all(tree.join("share")).expect("tree");
    fs::write(tree.join("weir"), "program").expect("program");
    fs::write(tree.join("share/page"), "a page").expect("page");
    let file = |path: &str| {
        let (sha256, bytes) = digest_of_file(&tree.join(path)).expect("digest");
        ManifestFile { path: path.to_owned(), bytes, sha256 }
    };
    let mut manifest = Manifest::of(version, "x86_64", vec![file("weir"), file("share/page")]).expect("manifest");
    manifest.files.reverse();
    fs::write(tree.join(MANIFEST), manifest.to_bytes()).expect("MANIFEST");
    digest_of_bytes(&manifest.to_bytes())
}

#[test]
fn an_unpacked_image_is_installed_with_its_own_manifest() {
    let home = home();
    let tree = home.dir.path().join("tree");
    let manifest = unpacked(&tree, "1.1.0-b1");
    let image = Image::of_tree(&tree, manifest).expect("image");
    assert_eq!(image.slot().name, format!("1.1.0-b1-{}", manifest.short()));
    home.install(&image);
    assert_eq!(home.program(), "program");
    let installed = home.data.slot(&image.slot().name).join(MANIFEST);
    assert_eq!(fs::read(installed).expect("MANIFEST"), fs::read(tree.join(MANIFEST)).expect("MANIFEST"), "byte for byte");
}

#[test]
fn an_unpacked_image_that_is_another_is_refused() {
    let home = home();
    let tree = home.dir.path().join("tree");
    let manifest = unpacked(&tree, "1.1.0-b1");
    let refused = || Image::of_tree(&tree, manifest).expect_err("refused");
    fs::write(tree.join("share/page"), "a pAge").expect("damage");
    assert!(matches!(refused(), InstallError::OtherFile(path) if path.ends_with("share/page")));
    fs::remove_file(tree.join("share/page")).expect("damage");
    assert!(matches!(refused(), InstallError::Disk(_)));
    fs::write(tree.join(MANIFEST), "{}").expect("damage");
    assert!(matches!(refused(), InstallError::OtherManifest(_)));
    let elsewhere = home.dir.path().join("elsewhere");
    let manifest = unpacked(&elsewhere, "../1.1.0-b1");
    assert!(matches!(Image::of_tree(&elsewhere, manifest), Err(InstallError::Manifest(ManifestError::Path(_)))));
}

#[test]
fn an_image_without_a_worker_is_refused() {
    let home = home();
    let source = home.dir.path().join("page");
    fs::write(&source, "a page").expect("page");
    let files = vec![ImageFile { path: "page".to_owned(), source }];
    assert!(matches!(Image::measure("1.0.0-b1", files), Err(InstallError::NoProgram)));
}

#[test]
fn a_changed_slot_is_not_started() {
    type Expected = fn(&VerifyError) -> bool;
    let cases: [(&str, &str, Expected); 5] = [
        ("weir", "fIrst", |e| matches!(e, VerifyError::OtherFile { .. })),
        ("weir", "first and more", |e| matches!(e, VerifyError::OtherFile { .. })),
        ("share/pages/page", "", |e| matches!(e, VerifyError::OtherFile { .. })),
        ("MANIFEST", "{}", |e| matches!(e, VerifyError::OtherManifest { .. })),
        (".verified", "0", |e| matches!(e, VerifyError::NotWhole { .. })),
    ];
    for (file, content, expected) in cases {
        let home = home();
        home.install(&home.image("1.0.0-b1", "first"));
        let path = home.data.slots().join(&boot::read(&home.data).expect("record").record.active.name).join(file);
        FileSystem.set_mode(path.parent().expect("dir"), 0o755).expect("mode");
        fs::remove_file(&path).expect("remove");
        fs::write(&path, content).expect("damage");
        let error = verify_active(&home.data).expect_err(file);
        assert!(expected(&error), "{file}: {error}");
        let named = fs::canonicalize(home.data.root()).expect("root");
        assert!(error.to_string().contains("install the release again"), "{error} in {}", named.display());
    }
}

#[test]
fn nothing_installed_is_told() {
    let error = boot::read(&home().data).expect_err("nothing");
    assert!(matches!(error, BootError::Absent(_)), "{error}");
}

/// The power goes after every write of a first installation: nothing is installed, or a verified slot.
#[test]
fn every_cut_of_a_first_installation_is_survived() {
    let home = home();
    let image = home.image("1.0.0-b1", "first");
    fs::create_dir(home.data.root()).expect("root");
    let mut disk = Recorded::below(home.data.root());
    install(&mut disk, &home.data, &image).expect("install");
    for cut in 0..disk.cuts() {
        for loss in Loss::ALL {
            disk.rebuild(home.data.root(), cut, loss);
            let answered = cut + 1 == disk.cuts();
            if boot::read(&home.data).is_err() {
                assert!(!answered, "cut {cut} {loss:?}: what was installed is not there");
                continue;
            }
            let verified = verify_active(&home.data).unwrap_or_else(|error| panic!("cut {cut} {loss:?}: {error}"));
            assert_eq!(verified.slot, *image.slot());
        }
    }
}

/// The power goes after every write of a replacement: the old slot starts, or the new one.
#[test]
fn every_cut_of_a_replacement_starts_a_verified_slot() {
    let home = home();
    let first = home.image("1.0.0-b1", "first");
    home.install(&first);
    let second = home.image("1.0.0-b1", "second");
    let mut disk = Recorded::below(home.data.root());
    install(&mut disk, &home.data, &second).expect("install");
    let mut started = BTreeSet::new();
    for cut in 0..disk.cuts() {
        for loss in Loss::ALL {
            disk.rebuild(home.data.root(), cut, loss);
            let verified = verify_active(&home.data).unwrap_or_else(|error| panic!("cut {cut} {loss:?}: {error}"));
            started.insert(verified.slot.name);
        }
    }
    assert_eq!(started, [first.slot().name.clone(), second.slot().name.clone()].into());
    disk.rebuild(home.data.root(), disk.cuts() - 1, Loss::Unsynced);
    assert_eq!(home.program(), "second");
    // And an installation that a cut left behind is simply done again.
    for cut in 0..disk.cuts() {
        disk.rebuild(home.data.root(), cut, Loss::Torn);
        install(&mut FileSystem, &home.data, &second).expect("again");
        assert_eq!(home.program(), "second", "cut {cut}");
    }
}
