//! Builds of other lines, made by `cargo xtask test` (or `cargo xtask synthetic` alone).

use std::path::PathBuf;

/// This build.
pub const THIS: &str = env!("CARGO_PKG_VERSION");
/// The first build of the synthetic next line.
pub const NEXT: &str = "1.1.0-b1";
/// The same program as the line after that.
pub const AFTER_NEXT: &str = "1.2.0-b1";
/// The same program as the next major.
pub const NEXT_MAJOR: &str = "2.0.0-b1";

/// The folder of synthetic lines: `WEIR_DIST`, else where `cargo xtask synthetic` makes it.
fn folder() -> PathBuf {
    let made = || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../target/dist-test"));
    std::env::var_os("WEIR_DIST").map_or_else(made, PathBuf::from)
}

/// The release directory of every network in a test: `WEIR_DEV_KEYS`, never one in the user's home.
pub fn keys() -> PathBuf {
    std::env::var_os("WEIR_DEV_KEYS").map_or_else(|| folder().join("keys"), PathBuf::from)
}

/// The archive of a version.
///
/// # Panics
/// When it is not there.
pub fn archive(version: &str) -> PathBuf {
    there(folder().join("archives").join(format!("weir-{version}-{}.weir", std::env::consts::ARCH)))
}

/// The program of the synthetic next line.
///
/// # Panics
/// When it is not there.
pub fn next() -> PathBuf {
    there(folder().join("next/weir"))
}

/// The program of the line that was cut last, built from its commit.
///
/// # Panics
/// When it is not there.
pub fn released() -> PathBuf {
    there(folder().join("released/weir"))
}

fn there(path: PathBuf) -> PathBuf {
    assert!(path.is_file(), "{} is missing: `cargo xtask synthetic` makes it", path.display());
    path
}
