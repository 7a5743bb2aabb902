//! The harness of the system tests: real processes on loopback, seen from outside only.
//!
//! [`Network`] runs `weir up` in a directory of its own and ends it again; what it knows of the network it reads from
//! `network.json`, as any other program would. Traffic comes from [`Client`] (one request on one connection, from a
//! chosen loopback address, so that a test picks the coverage zone), from players ([`player`]) and from clients that
//! keep starting streams ([`starts`]). A [`Viewer`] follows redirects and may have a resolver of its own ([`resolver`]), which
//! asks the routers' DNS ([`dns`]); an [`Audience`] is all of them at once, and says what they noticed. The operator is [`Api`], with [`offload`] on top, `weir cms` on the boxes of the managers ([`pair`]), or [`Pages`] and a real [`browser`].
//!
//! [`Registers`] are written all the time and remember what was acknowledged; [`namespaces`] cut boxes off from each other.
//!
//! Releases come from a [`Publisher`] with the keys the network trusts; [`archive`] and [`forge`] break them, and a [`Depot`]
//! serves them as well or as badly as a test asks for.
//!
//! Origins are Debian's nginx ([`Nginx`]) or a scripted server ([`Origin`]).
//!
//! Each test program runs one network at a time (`--test-threads=1`). `WEIR_BIN` names the binary under test, `WEIR_DIST` the
//! folder of synthetic lines, `WEIR_DEV_KEYS` the release directory that signs, `WEIR_TOOLS` the folder of installed node tools, `WEIR_SKIP` prerequisites whose absence skips a test instead of failing it.

pub mod acceptance;
pub mod api;
pub mod archive;
pub mod audience;
pub mod browser;
pub mod by_hand;
pub mod chronicle;
pub mod client;
pub mod contract;
pub mod disk;
pub mod dns;
pub mod forge;
pub mod hls;
pub mod hostile;
pub mod lines;
pub mod namespaces;
pub mod network;
pub mod nginx;
pub mod offload;
pub mod origin;
pub mod paced;
pub mod pages;
pub mod pair;
pub mod person;
pub mod player;
pub mod playlist;
pub mod prerequisite;
pub mod process;
pub mod publisher;
pub mod registers;
pub mod resolver;
pub mod rollout;
pub mod software;
pub mod starts;
pub mod update;
pub mod viewer;
pub mod wait;

pub use api::Api;
pub use audience::Audience;
pub use chronicle::{Change, Chronicle, Observer};
pub use client::{Answer, Ask, Client};
pub use hostile::Depot;
pub use network::{Network, Part};
pub use nginx::Nginx;
pub use origin::Origin;
pub use pages::Pages;
pub use pair::Seat;
pub use publisher::Publisher;
pub use registers::Registers;
pub use viewer::Viewer;
pub use wait::{wait_for, wait_until};

use sha2::Digest;

/// SHA-256 of `bytes`, as lower-case hexadecimal digits.
pub fn sha256(bytes: &[u8]) -> String {
    hex::encode(sha2::Sha256::digest(bytes))
}
