//! Archives a publisher signed, into slots or refused.

use super::*;
use weir_model::{ReleaseInterface, Span, Stamp, Version};
use weir_release::{Effort, ImagePlan, KeyPlan, Migration, ReleaseDirectory};
use weir_rollout::update::Leave;
use weir_slots::{BootRecord, ImageFile, digest_of_bytes, verify};

struct Publisher {
    scratch: tempfile::TempDir,
    directory: ReleaseDirectory,
}

fn now() -> u64 {
    weir_clock::wall_seconds()
}

impl Publisher {
    fn new() -> Self {
        let scratch = tempfile::tempdir().expect("dir");
        let directory = ReleaseDirectory::create(&scratch.path().join("release"), KeyPlan::Development, now()).expect("directory");
        Self { scratch, directory }
    }

    /// Builds a release; its archive, and the assignment of it.
    fn build(&self, text: &str, arch: &str) -> (PathBuf, Assignment) {
        let version: Version = text.parse().expect("version");
        let source = self.scratch.path().join(format!("weir-{text}"));
        fs::write(&source, format!("program {text}")).expect("program");
        let span = |max| Span { min: 1, max };
        let plan = ImagePlan {
            version,
            arch: arch.to_owned(),
            bridges: None,
            interface: ReleaseInterface { protocols: [].into(), schema: span(2), cache_format: span(1), gates: vec![] },
            migrations: vec![Migration { step: 2, up: digest_of_bytes(b"up"), down: Some(digest_of_bytes(b"down")) }],
            notes: String::new(),
            fault: None,
            effort: Effort::Development,
            files: vec![ImageFile { path: "weir".to_owned(), source }],
        };
        let (listed, _) = self.directory.build(&plan, now()).expect("built");
        let archive = self.directory.pack(version, arch, self.scratch.path()).expect("packed");
        let stamp = Stamp { term: 1, generation: 1 };
        let manifest = listed.release.expect("a release").manifest.to_string();
        (archive, Assignment { stamp, version, manifest, auto_reload: true, leave: Leave::Drained })
    }

    fn metadata(&self) -> Vec<u8> {
        self.directory.metadata().expect("published").to_bytes()
    }
}

struct Device {
    dir: tempfile::TempDir,
    data: DataDirectory,
    places: Places,
}

impl Device {
    fn new(publisher: &Publisher) -> Self {
        let dir = tempfile::tempdir().expect("dir");
        let data = DataDirectory::new(dir.path().join("d"));
        for made in [data.root().to_owned(), data.boot(), data.slots(), data.staging(), data.state("engine")] {
            fs::create_dir_all(made).expect("made");
        }
        fs::write(data.release_root(), publisher.directory.root().expect("root")).expect("root");
        let active = SlotRef::of("1.0.0-b1", digest_of_bytes(b"old"));
        boot::write(&mut weir_slots::FileSystem, &data, &BootRecord::first(active)).expect("record");
        let places = Places::of(&data, &"ab".repeat(32)).expect("places");
        Self { dir, data, places }
    }

    fn trust(&self) -> PathBuf {
        self.data.state("engine").join("trust")
    }

    fn install(&self, archive: &Path, assignment: &Assignment, metadata: Option<&[u8]>) -> Result<(), ImageRefusal> {
        fs::copy(archive, &self.places.part).expect("fetched");
        install(&self.data, &self.trust(), &self.places, assignment, metadata, now())
    }

    fn refused(&self, archive: &Path, assignment: &Assignment, metadata: Option<&[u8]>) -> String {
        let refusal = self.install(archive, assignment, metadata).expect_err("refused");
        assert!(matches!(refusal, ImageRefusal::Refused(_)), "{refusal:?}");
        assert!(!is_staged(&self.data, assignment), "nothing of it is in a slot");
        refusal.to_string()
    }
}

const ARCH: &str = std::env::consts::ARCH;

#[test]
fn an_archive_of_the_pinned_root_is_staged_and_leaves_nothing_behind() {
    let publisher = Publisher::new();
    let (archive, assignment) = publisher.build("1.1.0-b1", ARCH);
    let device = Device::new(&publisher);
    assert!(!is_staged(&device.data, &assignment));
    device.install(&archive, &assignment, Some(&publisher.metadata())).expect("staged");
    assert!(is_staged(&device.data, &assignment));
    let slot = slot_of(&assignment).expect("slot");
    let program = verify(&device.data, &slot).expect("verifies").program;
    assert_eq!(fs::read_to_string(program).expect("program"), "program 1.1.0-b1");
    assert_eq!(fs::read_dir(device.data.staging()).expect("staging").count(), 0);
    assert_eq!(boot::read(&device.data).expect("record").record.active.version, "1.0.0-b1");
    device.install(&archive, &assignment, None).expect("again, without the manager's metadata");
    fs::write(device.data.release_root(), b"{}").expect("another root");
    device.install(&archive, &assignment, Some(b"noise")).expect("what is pinned stays, and noise changes nothing");
}

#[test]
fn what_is_not_the_assigned_image_is_refused_for_good() {
    let publisher = Publisher::new();
    let (archive, assignment) = publisher.build("1.1.0-b1", ARCH);
    let (other, other_assignment) = publisher.build("1.1.0-b2", ARCH);
    let device = Device::new(&publisher);
    let detail = device.refused(&other, &assignment, None);
    assert!(detail.contains("wrong_version"), "{detail}");
    let manifest = other_assignment.manifest.clone();
    let detail = device.refused(&archive, &Assignment { manifest, ..assignment.clone() }, None);
    assert!(detail.contains("was assigned"), "{detail}");
    let (foreign, foreign_assignment) = publisher.build("1.1.0-b3", "riscv64");
    let detail = device.refused(&foreign, &foreign_assignment, None);
    assert!(detail.contains("wrong_arch"), "{detail}");
    let mut torn = fs::read(&archive).expect("archive");
    torn.truncate(torn.len() / 2);
    let path = device.dir.path().join("torn");
    fs::write(&path, torn).expect("torn");
    device.refused(&path, &assignment, None);
}

#[test]
fn a_stranger_s_signature_and_a_missing_root_are_told_with_the_next_step() {
    let (publisher, stranger) = (Publisher::new(), Publisher::new());
    let (archive, assignment) = stranger.build("1.1.0-b1", ARCH);
    let device = Device::new(&publisher);
    device.refused(&archive, &assignment, None);
    let bare = Device::new(&stranger);
    fs::remove_file(bare.data.release_root()).expect("gone");
    let detail = bare.refused(&archive, &assignment, None);
    assert!(detail.contains("weir install --release-root"), "{detail}");
    fs::write(bare.data.release_root(), b"{}").expect("no root");
    let detail = bare.refused(&archive, &assignment, None);
    assert!(detail.contains("is no release root"), "{detail}");
}

#[test]
fn what_the_newest_metadata_takes_off_the_list_is_refused() {
    let publisher = Publisher::new();
    let (archive, assignment) = publisher.build("1.1.0-b1", ARCH);
    publisher.directory.delist(assignment.version, ARCH, now()).expect("delisted");
    let device = Device::new(&publisher);
    let detail = device.refused(&archive, &assignment, Some(&publisher.metadata()));
    assert!(detail.contains("delisted"), "{detail}");
    let detail = device.refused(&archive, &assignment, None);
    assert!(detail.contains("delisted"), "what was seen once is remembered: {detail}");
}

#[test]
fn room_is_reserved_and_what_is_old_goes() {
    let publisher = Publisher::new();
    let (_, assignment) = publisher.build("1.1.0-b1", ARCH);
    let device = Device::new(&publisher);
    let place = |bytes| ArchivePlace {
        sha256: "ab".repeat(32),
        bytes,
        method: weir_model::DownloadMethod::Default,
        direct: None,
        allow: Vec::new(),
    };
    fs::write(device.data.staging().join(format!("{}.weir.part", "cd".repeat(32))), b"old").expect("old");
    fs::create_dir(device.data.slots().join("0.9.0-b1-000000000000")).expect("old slot");
    reserve(&device.data, &place(4096), &device.places, &assignment).expect("room");
    let mut names: Vec<_> = fs::read_dir(device.data.staging()).expect("staging").flatten().map(|entry| entry.file_name()).collect();
    names.sort();
    let own = "ab".repeat(32);
    assert_eq!(names, [format!("{own}.room").as_str(), format!("{own}.weir.part").as_str()]);
    assert_eq!(fs::read_dir(device.data.slots()).expect("slots").count(), 0);
    let full = reserve(&device.data, &place(1 << 60), &device.places, &assignment).expect_err("more than any disk");
    assert!(matches!(full, ImageRefusal::NoSpace(_)), "{full:?}");
    assert_eq!(bytes_needed(&place(100)), 700);
    assert_eq!(bytes_needed(&place(1 << 40)), (1 << 40) + UNPACKED_MAX_BYTES);
    assert!(Places::of(&device.data, "../../etc").is_none());
}

#[test]
fn a_full_disk_is_known_by_its_error() {
    let full = weir_slots::DiskError { action: "write", path: "x".into(), source: io::ErrorKind::StorageFull.into() };
    assert!(matches!(ImageRefusal::disk(&full), ImageRefusal::NoSpace(_)));
    let other = weir_slots::DiskError { action: "write", path: "x".into(), source: io::ErrorKind::PermissionDenied.into() };
    assert!(matches!(ImageRefusal::disk(&other), ImageRefusal::Again(_)));
}
