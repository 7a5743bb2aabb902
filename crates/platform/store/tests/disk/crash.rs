//! Power cut and rot: what was written is cut, garbled, or missing, and what is served is what was stored.

use super::*;
use proptest::prelude::*;
use std::{collections::HashSet, fs, path::PathBuf};

/// A directory as a process that was killed left it, and every body that ever belonged to a key.
struct Left {
    dir: tempfile::TempDir,
    history: HashSet<(String, Vec<u8>)>,
}

const KEYS: u32 = 30;

/// The lease is given up once; what came after that is in a segment that was not ended.
fn left() -> Left {
    let dir = tempfile::tempdir().expect("dir");
    let mut history = HashSet::new();
    let store: Store<Head> = writing(dir.path(), 32 * MIB, 64 * MIB);
    for round in 0..40u32 {
        let (key, body) = (format!("k{}", round % KEYS), pattern(3000 + 700 * round as usize, round));
        assert!(put(&store, &key, Head::new(0), &body));
        assert!(store.find(&key, |_| true).is_some());
        history.insert((key, body));
        until(&store, "it is written", |stats| stats.writes == u64::from(round) + 1);
        if round == 20 {
            settle(&store);
        }
        if round > 20 && round % 5 == 0 {
            store.remove(&format!("k{}", (round + 3) % KEYS));
        }
    }
    let copy = tempfile::tempdir().expect("dir");
    copy_store(dir.path(), copy.path());
    Left { dir: copy, history }
}

fn copy_store(from: &Path, to: &Path) {
    fs::create_dir_all(to.join("store")).expect("dir");
    for file in fs::read_dir(from.join("store")).expect("dir") {
        let file = file.expect("entry");
        fs::copy(file.path(), to.join("store").join(file.file_name())).expect("copied");
    }
}

fn segments(directory: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(directory.join("store")).expect("dir").map(|file| file.expect("entry").path());
    let mut segments: Vec<_> = files.filter(|path| path.extension().is_some_and(|ending| ending == "seg")).collect();
    segments.sort();
    segments
}

/// Opens what is left, as one that reads and as one that writes, and compares whatever is served.
fn check(left: &Left, directory: &Path) -> usize {
    let reader: Store<Head> = open(directory, 32 * MIB, 64 * MIB);
    let mut served = 0;
    for key in (0..KEYS).map(|key| format!("k{key}")) {
        let Some(object) = wait(reader.load(&key, |_| true)) else { continue };
        let body = body_of(&object).expect("objects of one slice are whole or not there");
        assert!(left.history.contains(&(key.clone(), body)), "{key} is not what was stored");
        served += 1;
    }
    wait(reader.take_writer());
    assert!(put(&reader, "after", Head::new(0), b"after"));
    give_up(&reader);
    assert_eq!(stats(&reader).error, None);
    drop(reader);
    let again: Store<Head> = open(directory, 32 * MIB, 64 * MIB);
    assert_eq!(get(&again, "after", 0).as_deref(), Some(b"after".as_slice()));
    served
}

/// Where the records of a segment begin, and where the last one ends.
fn boundaries(bytes: &[u8]) -> Vec<usize> {
    let mut at = 32;
    let mut boundaries = vec![at];
    while at + 24 <= bytes.len() {
        let length = u32::from_le_bytes(bytes[at + 4..at + 8].try_into().expect("four bytes")) as usize;
        if length < 24 || at + length > bytes.len() {
            break;
        }
        at += length;
        boundaries.push(at);
    }
    boundaries
}

#[test]
fn cut_at_every_record_and_beside_it_what_is_before_the_cut_is_served() {
    let left = left();
    let newest = segments(left.dir.path()).pop().expect("a segment");
    let bytes = fs::read(&newest).expect("read");
    let boundaries = boundaries(&bytes);
    assert!(boundaries.len() > 20, "{} records", boundaries.len());
    let cuts = boundaries.iter().flat_map(|at| [at - 1, *at, at + 1]).chain([0, 1, 8, 31]).filter(|at| *at <= bytes.len());
    for cut in cuts {
        fs::write(&newest, &bytes[..cut]).expect("cut");
        let work = tempfile::tempdir().expect("dir");
        copy_store(left.dir.path(), work.path());
        let served = check(&left, work.path());
        assert!(served >= 15, "cut at {cut}: what was ended before is still there, {served} served");
    }
}

#[test]
fn a_missing_or_foreign_segment_hides_what_is_before_it() {
    let left = left();
    let all = segments(left.dir.path());
    let (first, second) = (&all[0], &all[1]);
    let bytes = fs::read(second).expect("read");
    let count = |directory: &Path| stats(&open::<Head>(directory, MIB, 64 * MIB));
    let whole = count(left.dir.path());
    assert_eq!((whole.objects > 5, whole.foreign_segments), (true, 0));
    // Another format: it may hold removals.
    fs::write(second, [&bytes[..8], &9u32.to_le_bytes(), &bytes[12..]].concat()).expect("written");
    let foreign = count(left.dir.path());
    assert_eq!((foreign.objects, foreign.foreign_segments, foreign.segments), (0, 1, whole.segments));
    assert!(foreign.bytes == whole.bytes && second.exists(), "left alone and counted");
    fs::write(second, &bytes).expect("written");
    // One between others is missing, and may have held removals.
    let third = second.with_file_name("0000000003.seg");
    fs::rename(second, &third).expect("away");
    assert_eq!(count(left.dir.path()).objects, 0);
    fs::rename(&third, second).expect("back");
    // The first is missing: nothing is before it.
    fs::rename(first, first.with_extension("away")).expect("away");
    assert!((1..whole.objects).contains(&count(left.dir.path()).objects));
    fs::rename(first.with_extension("away"), first).expect("back");
    assert_eq!(count(left.dir.path()).objects, whole.objects);
}

#[test]
fn a_foreign_segment_goes_when_its_turn_comes() {
    let dir = tempfile::tempdir().expect("dir");
    fs::create_dir(dir.path().join("store")).expect("dir");
    let foreign = dir.path().join("store/0000000001.seg");
    fs::write(&foreign, [b"WeirSeg\0".as_slice(), &7u32.to_le_bytes(), &[0; 300_000]].concat()).expect("written");
    let store: Store<Head> = writing(dir.path(), MIB, MIB);
    assert!(put(&store, "k", Head::new(0), b"k"));
    settle(&store);
    assert!(foreign.exists() && stats(&store).foreign_segments == 1);
    for key in 0..30 {
        assert!(put(&store, &format!("k{key}"), Head::new(0), &pattern(30_000, key)));
        settle(&store);
    }
    assert!(!foreign.exists() && stats(&store).foreign_segments == 0);
}

#[test]
fn a_damaged_slice_is_not_served_and_its_object_is_forgotten() {
    let dir = tempfile::tempdir().expect("dir");
    let marks: [&[u8]; 2] = [b"the end of the small one", b"the end of the large one"];
    let [small, large] = [(9000, marks[0]), (2 * SLICE_BYTES, marks[1])].map(|(length, mark)| [&pattern(length, 1), mark].concat());
    let store: Store<Head> = writing(dir.path(), 32 * MIB, 64 * MIB);
    assert!(put(&store, "small", Head::new(0), &small) && put(&store, "large", Head::new(0), &large));
    give_up(&store);
    drop(store);
    let mut flipped = 0;
    for segment in segments(dir.path()) {
        let mut bytes = fs::read(&segment).expect("read");
        for mark in marks {
            if let Some(at) = bytes.windows(mark.len()).position(|window| window == mark) {
                bytes[at] ^= 1;
                flipped += 1;
            }
        }
        fs::write(&segment, &bytes).expect("written");
    }
    assert_eq!(flipped, 2);
    let store: Store<Head> = writing(dir.path(), 32 * MIB, 64 * MIB);
    assert!(wait(store.load("small", |_| true)).is_none(), "nobody begins to read it");
    let object = wait(store.load("large", |_| true)).expect("its first slice is right");
    body_of(&object).expect_err("and its last is not");
    until(&store, "both are counted", |stats| stats.corrupt == 2);
    assert_eq!(stats(&store).objects, 0);
    assert!(wait(store.load("large", |_| true)).is_none() && store.find("large", |_| true).is_none());
}

#[test]
fn an_undamaged_record_of_something_else_is_not_served() {
    let dir = tempfile::tempdir().expect("dir");
    let store: Store<Head> = writing(dir.path(), 32 * MIB, 64 * MIB);
    for key in ["one", "two", "key", "four"] {
        assert!(put(&store, key, Head::new(0), format!("the body of {key:4}").as_bytes()));
    }
    give_up(&store);
    drop(store);
    let segment = segments(dir.path()).pop().expect("one");
    let mut bytes = fs::read(&segment).expect("read");
    let position = |bytes: &[u8], of: &[u8]| bytes.windows(of.len()).position(|window| window == of).expect("there");
    // Two slices change places.
    let [one, two] = ["one ", "two "].map(|key| position(&bytes, format!("the body of {key}").as_bytes()) - 40);
    let length = 40 + "the body of one ".len();
    let (first, second) = (bytes[one..one + length].to_vec(), bytes[two..two + length].to_vec());
    bytes[one..one + length].copy_from_slice(&second);
    bytes[two..two + length].copy_from_slice(&first);
    // Another key of the same hash.
    let head = boundaries(&bytes).into_iter().rfind(|at| *at <= position(&bytes, b"key\0")).expect("a record");
    let length = u32::from_le_bytes(bytes[head + 4..head + 8].try_into().expect("four bytes")) as usize;
    let key = position(&bytes, b"key\0");
    bytes[key..key + 3].copy_from_slice(b"KEY");
    let crc = crc32c::crc32c(&bytes[head + 4..head + length]).to_le_bytes();
    bytes[head..head + 4].copy_from_slice(&crc);
    fs::write(&segment, &bytes).expect("written");
    let store: Store<Head> = open(dir.path(), 32 * MIB, 64 * MIB);
    assert_eq!(["one", "two", "key"].map(|key| get(&store, key, 0)), [None, None, None]);
    assert_eq!(get(&store, "four", 0).as_deref(), Some(b"the body of four".as_slice()));
    assert_eq!(stats(&store).corrupt, 2);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn garbled_anywhere_it_never_lies(
        cases in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), 1usize..2000, any::<u8>()), 1..5),
    ) {
        static LEFT: OnceLock<Left> = OnceLock::new();
        let left = LEFT.get_or_init(left);
        let work = tempfile::tempdir().expect("dir");
        copy_store(left.dir.path(), work.path());
        let all = segments(work.path());
        for (segment, at, length, xor) in cases {
            let path = segment.get(&all);
            let mut bytes = fs::read(path).expect("read");
            let at = at.index(bytes.len());
            bytes.iter_mut().skip(at).take(length).for_each(|byte| *byte ^= xor | 1);
            fs::write(path, bytes).expect("written");
        }
        check(left, work.path());
    }
}
