//! How long a store takes to open a directory, and to bring one object back: `open_time [OBJECTS] [BODY_BYTES]`.

use bytes::Bytes;
use std::time::{Duration, Instant};
use weir_store::{DiskSettings, Durable, Store, StoreSettings};

struct Nothing;

impl Durable for Nothing {
    fn write(&self, out: &mut Vec<u8>) -> bool {
        out.extend_from_slice(&[0; 300]);
        true
    }

    fn read(_: &[u8]) -> Option<Self> {
        Some(Self)
    }

    fn memory_bytes(&self) -> u64 {
        300
    }
}

fn open(directory: &std::path::Path) -> std::io::Result<Store<Nothing>> {
    let disk = DiskSettings { directory: directory.to_owned(), bytes: 1 << 40 };
    Store::open(StoreSettings { ram_bytes: 1 << 30, disk: Some(disk) })
}

fn seconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64()
}

#[allow(clippy::print_stdout, reason = "what it measures is what it is for")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let objects: u32 = arguments.next().map_or(Ok(1_000_000), |text| text.parse())?;
    let body = Bytes::from(vec![7; arguments.next().map_or(Ok(1024), |text| text.parse())?]);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let directory = tempfile::tempdir()?;
    let store = open(directory.path())?;
    let begun = weir_clock::monotonic();
    for object in 0..objects {
        let key = format!("http://example.test/catalogue/{object}.m4s");
        let mut fill = store.begin(&key, Nothing, 300, Some(body.len() as u64), |_| true).map_err(|(_, refused)| refused)?;
        fill.append(body.clone());
        fill.finish()?;
        if object % 100_000 == 99_999 || object + 1 == objects {
            runtime.block_on(async {
                store.take_writer().await;
                store.give_up_writer(Duration::from_secs(600)).await;
            });
        }
    }
    println!("written: {objects} objects in {:.1} s", seconds(begun));
    drop(store);
    let begun = weir_clock::monotonic();
    let store = open(directory.path())?;
    println!("opened: {:.3} s, {:?}", seconds(begun), store.disk_stats());
    let begun = weir_clock::monotonic();
    for object in (0..objects).step_by((objects as usize / 10_000).max(1)) {
        let key = format!("http://example.test/catalogue/{object}.m4s");
        runtime.block_on(store.load(&key, |_| true)).ok_or("an object is missing")?;
    }
    println!("loaded: {:.1} us each, one after the other", seconds(begun) * 1e6 / f64::from(objects.min(10_000)));
    Ok(())
}
