//! The boot record under torn writes, flipped bits and power cuts.

use super::*;
use crate::disk::{
    FileSystem,
    recorded::{Loss, Recorded},
};
use proptest::prelude::*;

fn slot(version: &str) -> SlotRef {
    let manifest = crate::digest_of_bytes(version.as_bytes());
    SlotRef { name: format!("{version}-{}", manifest.short()), version: version.to_owned(), manifest }
}

fn home() -> (tempfile::TempDir, DataDirectory) {
    let dir = tempfile::tempdir().expect("dir");
    let data = DataDirectory::new(dir.path().join("d"));
    fs::create_dir_all(data.boot()).expect("boot");
    (dir, data)
}

/// The bytes of a first record. They are read by every later build.
#[test]
fn golden_half() {
    let record = BootRecord::first(slot("1.0.0-b1"));
    let digest = slot("1.0.0-b1").manifest.to_string();
    let short = &digest[..12];
    let slot = format!(r#"{{"name":"1.0.0-b1-{short}","version":"1.0.0-b1","manifest":"{digest}"}}"#);
    let body = format!(r#"{{"active":{slot},"previous":null,"last_good":{slot},"trial":null,"burned":[],"term":0,"gen":0}}"#);
    let expected = format!("weir-boot 1 seq=1 crc32c={:08x} bytes={}\n{body}", checksum(1, body.as_bytes()), body.len());
    assert_eq!(String::from_utf8(spell(1, &record)).expect("text"), expected);
    assert_eq!(parse(expected.as_bytes()), Ok((1, record)));
}

#[test]
fn writes_alternate_and_the_newer_half_is_read() {
    let (_dir, data) = home();
    assert!(matches!(read(&data), Err(BootError::Absent(_))));
    for (seq, version) in (1..).zip(["1.0.0-b1", "1.0.0-b2", "1.0.0-b3"]) {
        write(&mut FileSystem, &data, &BootRecord::first(slot(version))).expect("write");
        let found = read(&data).expect("read");
        assert_eq!((found.seq, found.record.active.version.as_str()), (seq, version));
    }
}

#[test]
fn a_damaged_half_costs_only_itself_and_two_are_told() {
    let (_dir, data) = home();
    for version in ["1.0.0-b1", "1.0.0-b2"] {
        write(&mut FileSystem, &data, &BootRecord::first(slot(version))).expect("write");
    }
    fs::write(data.boot_half(1), b"noise").expect("damage");
    let found = read(&data).expect("the other half");
    assert_eq!((found.record.active.version.as_str(), found.damaged), ("1.0.0-b1", Some((1, HalfError::Header))));
    write(&mut FileSystem, &data, &BootRecord::first(slot("1.0.0-b3"))).expect("repairs the damaged half");
    assert_eq!(read(&data).expect("read").record.active.version, "1.0.0-b3");
    fs::write(data.boot_half(0), b"weir-boot 2 seq=9 crc32c=00000000 bytes=0\n").expect("damage");
    fs::write(data.boot_half(1), b"weir-boot 1 seq=9 crc32c=00000000 bytes=0\n").expect("damage");
    let error = read(&data).expect_err("both").to_string();
    assert!(error.contains("another format; wrong checksum") && error.contains("backup"), "{error}");
}

#[test]
fn a_sequence_number_nobody_could_follow_is_refused() {
    let (_dir, data) = home();
    write(&mut FileSystem, &data, &BootRecord::first(slot("1.0.0-b1"))).expect("write");
    fs::write(data.boot_half(1), spell(u64::MAX, &BootRecord::first(slot("9.0.0-b1")))).expect("damage");
    assert_eq!(read(&data).expect("the other half").seq, 1);
    write(&mut FileSystem, &data, &BootRecord::first(slot("1.0.0-b2"))).expect("goes on from it");
    assert_eq!(read(&data).expect("read").record.active.version, "1.0.0-b2");
}

/// Every prefix of the write that replaces a record leaves a readable one: the old or the new.
#[test]
fn every_torn_length_is_survived() {
    let (_dir, data) = home();
    for version in ["1.0.0-b1", "1.0.0-b2"] {
        write(&mut FileSystem, &data, &BootRecord::first(slot(version))).expect("write");
    }
    let whole = spell(3, &BootRecord::first(slot("1.0.0-b3")));
    for cut in 0..=whole.len() {
        fs::write(data.boot_half(0), &whole[..cut]).expect("torn");
        let expected = if cut == whole.len() { "1.0.0-b3" } else { "1.0.0-b2" };
        assert_eq!(read(&data).expect("readable").record.active.version, expected, "cut at {cut}");
    }
}

/// Every cut of the power between two records leaves one of them, and after the answer the new one.
#[test]
fn every_power_cut_is_survived() {
    let (_dir, data) = home();
    for version in ["1.0.0-b1", "1.0.0-b2"] {
        write(&mut FileSystem, &data, &BootRecord::first(slot(version))).expect("write");
    }
    let mut disk = Recorded::below(data.root());
    write(&mut disk, &data, &BootRecord::first(slot("1.0.0-b3"))).expect("write");
    for cut in 0..disk.cuts() {
        for loss in Loss::ALL {
            disk.rebuild(data.root(), cut, loss);
            let version = read(&data).expect("readable").record.active.version;
            let answered = cut + 1 == disk.cuts();
            assert!(version == "1.0.0-b3" || (!answered && version == "1.0.0-b2"), "cut {cut} {loss:?}: {version}");
        }
    }
}

proptest! {
    #[test]
    fn a_flipped_bit_is_noticed(at in 0usize..400, bit in 0u8..8) {
        let record = BootRecord::first(slot("1.0.0-b1"));
        let mut bytes = spell(7, &record);
        let at = at % bytes.len();
        bytes[at] ^= 1 << bit;
        // Only the case of a hexadecimal digit of the checksum carries no meaning.
        prop_assert!(parse(&bytes).map_or(true, |found| found == (7, record)));
    }

    #[test]
    fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = parse(&bytes);
    }
}
