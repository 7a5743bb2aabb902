//! Programs and files the tests need besides Weir: found, skipped by name, or a failure that says what to install.

use std::path::PathBuf;

/// Whether `WEIR_SKIP` names this prerequisite.
fn may_be_missing(name: &str) -> bool {
    std::env::var("WEIR_SKIP").is_ok_and(|list| list.split(',').any(|word| word.trim() == name))
}

/// The program's path; `None` when it is missing and `WEIR_SKIP` names `name`, which is said on standard error.
///
/// # Panics
/// When it is missing and not to be skipped.
pub fn program(name: &str, program: &str, package: &str) -> Option<PathBuf> {
    let search = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&search).chain([PathBuf::from("/usr/sbin"), PathBuf::from("/sbin")]);
    let found = folders.map(|folder| folder.join(program)).find(|path| path.is_file());
    found.or_else(|| missing(name, &format!("{program} is missing: install the Debian package {package}")))
}

/// The file of a node or Python tool below `WEIR_TOOLS` (`target/tools` when unset); `None` as for [`program`].
///
/// # Panics
/// When it is missing and not to be skipped.
pub fn tool(name: &str, file: &str) -> Option<PathBuf> {
    let tools = std::env::var_os("WEIR_TOOLS")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../target/tools")), PathBuf::from);
    let path = tools.join(file);
    if path.is_file() { Some(path) } else { missing(name, &format!("{} is missing: `cargo xtask test` installs it", path.display())) }
}

/// What comes of a prerequisite that is not there: `None`, said on standard error, when `WEIR_SKIP` names it.
///
/// # Panics
/// When it is not to be skipped.
pub fn missing<T>(name: &str, why: &str) -> Option<T> {
    assert!(may_be_missing(name), "{why}; or go on without by WEIR_SKIP={name}");
    eprintln!("skipped: {why}");
    None
}
