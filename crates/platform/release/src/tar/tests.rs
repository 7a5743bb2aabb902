use super::*;
use proptest::prelude::*;

fn written(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = TarWriter::new(Vec::new());
    for (path, body) in entries {
        writer.add(path, body.len() as u64, *body).expect(path);
    }
    writer.finish().expect("memory")
}

fn read(bytes: &[u8]) -> Result<Vec<(String, Vec<u8>)>, TarError> {
    let mut reader = TarReader::new(bytes);
    let mut entries = Vec::new();
    while let Some(head) = reader.next_entry()? {
        let body = reader.body(u64::MAX)?.expect("no limit");
        assert_eq!(body.len() as u64, head.bytes);
        entries.push((head.path, body));
    }
    assert_eq!(reader.position(), bytes.len() as u64);
    Ok(entries)
}

/// A finished container with the checksum of its first header put right again.
fn resummed(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes[148..156].copy_from_slice(b"        ");
    let sum: u32 = bytes[..BLOCK_BYTES].iter().map(|byte| u32::from(*byte)).sum();
    bytes[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    bytes
}

fn edited(at: usize, text: &[u8]) -> Vec<u8> {
    let mut bytes = written(&[("weir", b"program")]);
    bytes[at..at + text.len()].copy_from_slice(text);
    resummed(bytes)
}

#[test]
fn an_edited_header_that_is_made_whole_again_is_the_same() {
    assert_eq!(edited(0, b"weir"), written(&[("weir", b"program")]));
}

#[test]
fn every_entry_but_a_plain_file_is_refused() {
    for kind in *b"123456789xgLKSAZ\0" {
        assert!(matches!(read(&edited(156, &[kind])), Err(TarError::NotAFile(_))), "{kind}");
    }
    for path in ["/etc", "..", "../x", "./x", "a//b", "a/", ".x", "a b", "a\\b", "a\x01"] {
        let mut name = path.as_bytes().to_vec();
        name.resize(PATH_MAX_BYTES, 0);
        assert!(matches!(read(&edited(0, &name)), Err(TarError::Path(_))), "{path:?}");
        assert!(matches!(TarWriter::new(Vec::new()).add(path, 0, io::empty()), Err(TarError::Path(_))), "{path:?}");
    }
    for (at, text) in [
        (100, b"0004755\0".as_slice()),
        (108, b"0000001\0"),
        (124, b"0000000000 \0"),
        (124, b"\x80\0\0\0\0\0\0\0\0\0\0\x07"),
        (136, b"00000000001\0"),
        (157, b"/etc/passwd"),
        (345, b"../.."),
        (500, b"x"),
    ] {
        assert!(matches!(read(&edited(at, text)), Err(TarError::Form(_))), "{at}");
    }
    let mut wrong_sum = written(&[("weir", b"program")]);
    wrong_sum[148] ^= 1;
    assert!(matches!(read(&wrong_sum), Err(TarError::Form(_))));
}

#[test]
fn cut_anywhere_it_is_truncated() {
    let whole = written(&[("a", b"first"), ("b", &[7; 600])]);
    assert_eq!(read(&whole).expect("whole").len(), 2);
    for length in 0..whole.len() {
        assert!(matches!(read(&whole[..length]), Err(TarError::Truncated)), "{length}");
    }
}

#[test]
fn nothing_hides_between_or_after_entries() {
    let whole = written(&[("a", b"first")]);
    let mut padded = whole.clone();
    padded[BLOCK_BYTES + 5] = 1;
    assert!(matches!(read(&padded), Err(TarError::NoHeader)));
    let mut marker = whole.clone();
    *marker.last_mut().expect("bytes") = 1;
    assert!(matches!(read(&marker), Err(TarError::Trailing)));
    assert!(matches!(read(&[whole.as_slice(), b"x"].concat()), Err(TarError::Trailing)));
    assert!(matches!(read(&[1; 2048]), Err(TarError::NoHeader)));
}

#[test]
fn a_body_that_is_shorter_than_promised_is_not_written() {
    assert!(matches!(TarWriter::new(Vec::new()).add("a", 4, b"abc".as_slice()), Err(TarError::Truncated)));
}

#[test]
fn a_body_over_its_limit_is_not_read() {
    let bytes = written(&[("a", b"abcd"), ("b", b"x")]);
    let mut reader = TarReader::new(bytes.as_slice());
    reader.next_entry().expect("head").expect("a");
    assert_eq!(reader.body(3).expect("limit"), None);
    assert_eq!(reader.next_entry().expect("a body that was not read is passed over").expect("b").path, "b");
}

proptest! {
    #[test]
    fn what_is_written_reads_the_same(entries in prop::collection::vec(("[a-zA-Z0-9_+-][a-zA-Z0-9._+-]{0,20}", prop::collection::vec(any::<u8>(), 0..1500)), 0..5)) {
        let borrowed: Vec<(&str, &[u8])> = entries.iter().map(|(path, body)| (path.as_str(), body.as_slice())).collect();
        prop_assert_eq!(read(&written(&borrowed)).expect("own bytes"), entries);
    }

    #[test]
    fn what_is_read_has_one_form(at in 0usize..2560, byte in any::<u8>()) {
        let mut bytes = written(&[("a", b"first"), ("share/b", &[7; 600])]);
        let at = at.min(bytes.len() - 1);
        bytes[at] = byte;
        if let Ok(entries) = read(&bytes) {
            let borrowed: Vec<(&str, &[u8])> = entries.iter().map(|(path, body)| (path.as_str(), body.as_slice())).collect();
            prop_assert_eq!(written(&borrowed), bytes);
        }
    }
}
