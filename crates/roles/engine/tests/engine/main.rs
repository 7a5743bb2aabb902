//! The engine through real sockets, before an origin that does as the test says.

mod caching;
mod client;
mod collapsing;
#[cfg(feature = "synthetic-next")]
mod detail;
mod failure;
mod herd;
mod keeping;
mod network;
mod offload;
mod origin;
mod restart;
mod restart_ratio;
mod serving;
mod software;
mod steering;
mod tree;
mod trust;
mod upstream;

use std::time::Duration;

/// Bytes that differ from place to place.
fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|i| u8::try_from((i * 7 + i / 253) % 256).expect("a byte")).collect()
}

/// Waits until something holds, looking every few milliseconds.
async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let wait = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(client::PATIENCE, wait).await.unwrap_or_else(|_| panic!("never: {what}"));
}
