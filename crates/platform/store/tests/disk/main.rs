//! The disk tier through the store's own interface.

use bytes::Bytes;
use std::{
    future::Future,
    path::Path,
    sync::{Arc, OnceLock},
    time::Duration,
};
use weir_model::Line;
use weir_store::{DiskSettings, DiskStats, Durable, Object, SLICE_BYTES, Store, StoreSettings};

mod crash;
mod golden;
mod keeping;
mod model;
mod sharing;
mod space;

/// Longest wait for anything here.
const DEADLINE: Duration = Duration::from_secs(20);
const MIB: u64 = 1024 * 1024;

/// A head for a reader of line 1.`READER`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Word<const READER: u32> {
    word: u32,
    durable: bool,
    min_reader: Line,
}

type Head = Word<0>;

impl<const READER: u32> Word<READER> {
    fn new(word: u32) -> Self {
        Self { word, durable: true, min_reader: Line::new(1, 0) }
    }
}

impl<const READER: u32> Durable for Word<READER> {
    fn write(&self, out: &mut Vec<u8>) -> bool {
        out.extend_from_slice(&self.word.to_le_bytes());
        self.durable
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        Some(Self::new(u32::from_le_bytes(bytes.try_into().ok()?)))
    }

    fn memory_bytes(&self) -> u64 {
        4
    }

    fn min_reader(&self) -> Line {
        self.min_reader
    }

    fn reader() -> Line {
        Line::new(1, READER)
    }
}

fn wait<T>(future: impl Future<Output = T>) -> T {
    static RUNTIME: OnceLock<tokio::runtime::Runtime> = OnceLock::new();
    let runtime =
        RUNTIME.get_or_init(|| tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("runtime"));
    runtime.block_on(async { tokio::time::timeout(DEADLINE, future).await.expect("in time") })
}

fn open<H: Durable>(directory: &Path, ram_bytes: u64, bytes: u64) -> Store<H> {
    let disk = Some(DiskSettings { directory: directory.join("store"), bytes });
    Store::open(StoreSettings { ram_bytes, disk }).expect("opened")
}

/// A store that writes.
fn writing<H: Durable>(directory: &Path, ram_bytes: u64, bytes: u64) -> Store<H> {
    let store = open(directory, ram_bytes, bytes);
    wait(store.take_writer());
    store
}

fn give_up<H>(store: &Store<H>) {
    wait(store.give_up_writer(DEADLINE));
}

/// Everything queued, and everything in RAM, is on disk when this returns.
fn settle<H>(store: &Store<H>) {
    give_up(store);
    wait(store.take_writer());
}

fn pattern(length: usize, seed: u32) -> Vec<u8> {
    (0..length).map(|i| u8::try_from((i * 7 + i / 251 + seed as usize * 31) % 256).expect("a byte")).collect()
}

fn put<const R: u32>(store: &Store<Word<R>>, key: &str, head: Word<R>, body: &[u8]) -> bool {
    let word = head.word;
    let Ok(mut fill) = store.begin(key, head, 4, Some(body.len() as u64), |h| h.word == word) else { return false };
    for chunk in body.chunks(SLICE_BYTES / 3 + 1) {
        fill.append(Bytes::copy_from_slice(chunk));
    }
    fill.finish().is_ok()
}

/// What RAM or disk has of a key.
fn object<const R: u32>(store: &Store<Word<R>>, key: &str, word: u32) -> Option<Arc<Object<Word<R>>>> {
    let wanted = |head: &Word<R>| head.word == word;
    let object = store.find(key, wanted).or_else(|| wait(store.load(key, wanted)))?;
    assert_eq!(object.head().word, word);
    Some(object)
}

fn get<const R: u32>(store: &Store<Word<R>>, key: &str, word: u32) -> Option<Vec<u8>> {
    object(store, key, word).map(|object| body_of(&object).expect("whole"))
}

fn body_of<H>(object: &Arc<Object<H>>) -> Result<Vec<u8>, weir_store::Aborted> {
    wait(async {
        let mut reader = object.read(0, u64::MAX)?;
        let mut body = Vec::new();
        while let Some(bytes) = reader.next().await? {
            body.extend_from_slice(&bytes);
        }
        Ok(body)
    })
}

fn stats<H>(store: &Store<H>) -> DiskStats {
    store.disk_stats().expect("a disk tier")
}

/// Waits for something about the disk tier.
fn until<H>(store: &Store<H>, what: &str, is_so: impl Fn(&DiskStats) -> bool) {
    let begun = weir_clock::monotonic();
    while !is_so(&stats(store)) {
        assert!(begun.elapsed() < DEADLINE, "{what}: {:?}", stats(store));
        std::thread::yield_now();
    }
}
