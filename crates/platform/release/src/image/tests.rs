use super::*;
use crate::{fixture::Publisher, publish::KeyPlan};

type Entry<'a> = (&'a str, &'a [u8]);

fn publisher() -> Publisher {
    Publisher::new(KeyPlan::Development)
}

/// An image of these entries, whatever a plan would say.
fn image(entries: &[Entry]) -> Vec<u8> {
    let mut writer = TarWriter::new(Vec::new());
    for (path, body) in entries {
        writer.add(path, body.len() as u64, *body).expect(path);
    }
    zstd::bulk::compress(&writer.finish().expect("memory"), 3).expect("memory")
}

/// A MANIFEST that lists these files beside the worker `weir`, whose body is `abc`.
fn manifest(publisher: &Publisher, files: &[Entry]) -> ReleaseManifest {
    let plan = publisher.plan("1.0.0-b1");
    let mut whole = manifest_of(&plan, &plan.files).expect("manifest");
    whole.files = [("weir", b"abc".as_slice())].iter().chain(files).map(|(path, body)| listed(path, body)).collect();
    whole
}

fn listed(path: &str, body: &[u8]) -> ManifestFile {
    ManifestFile { path: path.to_owned(), bytes: body.len() as u64, sha256: digest_of_bytes(body) }
}

#[test]
fn the_same_plan_is_the_same_image() {
    let publisher = publisher();
    let plan = publisher.plan("1.0.0-b1");
    let (a, b) = (publisher.path("a.image"), publisher.path("b.image"));
    let packed = pack(&plan, &a).expect("pack");
    pack(&plan, &b).expect("pack");
    let bytes = fs::read(&a).expect("image");
    assert_eq!(bytes, fs::read(&b).expect("image"));
    assert_eq!((packed.sha256, packed.bytes), (digest_of_bytes(&bytes), bytes.len() as u64));
    assert!(packed.bytes < packed.manifest.file_bytes() / 10, "repetitive files compress");
    assert_eq!(check(bytes.as_slice(), Some(packed.manifest_digest)).expect("own image"), packed.manifest);
}

#[test]
fn a_plan_without_a_worker_or_with_a_bad_path_is_refused() {
    let publisher = publisher();
    let mut plan = publisher.plan("1.0.0-b1");
    plan.files.retain(|file| file.path != "weir");
    let to = publisher.path("x.image");
    assert!(matches!(pack(&plan, &to), Err(ImageError::Manifest(ReleaseManifestError::NoProgram))));
    for path in ["../x", "/x", "MANIFEST", ".x"] {
        let mut plan = publisher.plan("1.0.0-b1");
        plan.files[1].path = path.to_owned();
        assert!(matches!(pack(&plan, &to), Err(ImageError::Manifest(ReleaseManifestError::Slot(_)))), "{path}");
    }
    let mut plan = publisher.plan("1.0.0-b1");
    plan.files[1].source = publisher.path("none");
    assert!(matches!(pack(&plan, &to), Err(ImageError::File { action: "read", .. })));
}

#[test]
fn every_difference_from_the_manifest_has_its_reason() {
    let publisher = publisher();
    let manifest = manifest(&publisher, &[("z", b"zz")]);
    let text = manifest.to_bytes();
    let m: Entry = ("MANIFEST", &text);
    let (weir, z): (Entry, Entry) = (("weir", b"abc"), ("z", b"zz"));
    assert_eq!(check(image(&[m, weir, z]).as_slice(), None).expect("whole"), manifest);
    type Says = fn(&ImageError) -> bool;
    let cases: [(Vec<Entry>, Says); 9] = [
        (vec![], |e| matches!(e, ImageError::NoManifest)),
        (vec![weir, m, z], |e| matches!(e, ImageError::NoManifest)),
        (vec![m, weir], |e| matches!(e, ImageError::MissingFile(path) if path == "z")),
        (vec![m, z, weir], |e| matches!(e, ImageError::OtherFile(path) if path == "z")),
        (vec![m, ("weir", b"abd"), z], |e| matches!(e, ImageError::OtherFile(path) if path == "weir")),
        (vec![m, ("weir", b"abcd"), z], |e| matches!(e, ImageError::OtherFile(path) if path == "weir")),
        (vec![m, weir, z, ("zz", b"")], |e| matches!(e, ImageError::OtherFile(path) if path == "zz")),
        (vec![m, weir, z, z], |e| matches!(e, ImageError::OtherFile(path) if path == "z")),
        (vec![("MANIFEST", b"{}"), weir, z], |e| matches!(e, ImageError::Manifest(_))),
    ];
    for (index, (entries, says)) in cases.iter().enumerate() {
        let error = check(image(entries).as_slice(), None).expect_err("refused");
        assert!(says(&error), "{index}: {error:?}");
    }
    let other = check(image(&[m, weir, z]).as_slice(), Some(digest_of_bytes(b"other")));
    assert!(matches!(other, Err(ImageError::OtherManifest)));
}

#[test]
fn limits_of_what_is_unpacked() {
    let publisher = publisher();
    let mut large = manifest(&publisher, &[]);
    large.files.push(ManifestFile { path: "z".to_owned(), bytes: UNPACKED_MAX_BYTES, sha256: digest_of_bytes(b"") });
    let text = large.to_bytes();
    assert!(matches!(check(image(&[("MANIFEST", &text)]).as_slice(), None), Err(ImageError::TooLarge)));
    let long = vec![b' '; MANIFEST_MAX_BYTES + 1];
    assert!(matches!(check(image(&[("MANIFEST", &long)]).as_slice(), None), Err(ImageError::TooLarge)));
    // A frame that asks for more memory than a decoder keeps.
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 3).expect("encoder");
    encoder.window_log(WINDOW_LOG_MAX + 2).expect("a window the format has");
    encoder.write_all(&vec![7; 48 * 1024 * 1024]).expect("memory");
    let wide = encoder.finish().expect("memory");
    assert!(matches!(check(wide.as_slice(), None), Err(ImageError::Tar(TarError::Io(_)))), "refused before anything is decoded");
}

#[test]
fn cut_or_damaged_it_is_refused() {
    let publisher = publisher();
    let to = publisher.path("a.image");
    pack(&publisher.plan("1.0.0-b1"), &to).expect("pack");
    let whole = fs::read(&to).expect("image");
    for length in [0, 1, 10, whole.len() / 2, whole.len() - 1] {
        assert!(check(&whole[..length], None).is_err(), "{length}");
    }
    for at in [0, 6, whole.len() / 2] {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x55;
        assert!(check(damaged.as_slice(), None).is_err(), "{at}");
    }
}

/// Gives `whole` and then fails as a disk does.
struct Failing(io::Cursor<Vec<u8>>);

impl Read for Failing {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self.0.read(into)? {
            0 => Err(io::Error::from_raw_os_error(5)),
            read => Ok(read),
        }
    }
}

#[test]
fn a_disk_that_fails_says_nothing_about_the_image() {
    let publisher = publisher();
    let manifest = manifest(&publisher, &[]);
    let whole = image(&[("MANIFEST", &manifest.to_bytes()), ("weir", b"abc")]);
    for keep in [0, 3, whole.len() / 2, whole.len() - 1] {
        let error = check(Failing(io::Cursor::new(whole[..keep].to_vec())), None).expect_err("fails");
        assert_eq!(crate::Invalid::from(error).reason(), weir_model::InvalidReason::Unreadable, "{keep}");
        let cut = check(&whole[..keep], None).expect_err("cut");
        assert_eq!(crate::Invalid::from(cut).reason(), weir_model::InvalidReason::ManifestMalformed, "{keep}");
    }
}
