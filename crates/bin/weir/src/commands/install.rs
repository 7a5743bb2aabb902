//! `weir install`: this program, or a release archive's, becomes the first slot of a device, or replaces the build it runs.

mod root;

use crate::{cli::InstallArgs, commands::Misconfigured, output, worker::device::Device};
use anyhow::Context;
use root::Trusted;
pub(crate) use root::keep as keep_root;
use std::{
    fs::{File, TryLockError},
    io,
    path::Path,
};
use weir_model::version;
use weir_release::{Expected, Invalid};
use weir_slots::{DataDirectory, FileSystem, Image, ImageFile, InstallError, Installed, PROGRAM};

/// Installs in the data directory of a device that has its device.toml.
pub(super) fn run(format: crate::cli::Format, arguments: &InstallArgs) -> anyhow::Result<()> {
    let device = Device::read(&arguments.data)?;
    let data = DataDirectory::new(&arguments.data);
    let offered = arguments.release_root.as_deref().map(root::read).transpose()?;
    if let Some(root) = &offered {
        root::judge(&arguments.data, root)?;
    }
    let _alone = without_keeper(&data)?;
    let staging = Staging::new(&arguments.data)?;
    let image = match &arguments.archive {
        Some(archive) => of_archive(archive, &root::trusted(arguments, offered.as_deref())?, &staging)?,
        None => of_this_program(&staging)?,
    };
    // Only a root whose archive was proven is kept.
    if let Some(root) = &offered {
        keep_root(&arguments.data, root)?;
    }
    let version = image.slot().version.clone();
    let installed = weir_slots::install(&mut FileSystem, &data, &image).map_err(|error| match error {
        InstallError::OtherVersion { installed, .. } => {
            let text = format!("{} runs version {installed}, this is {version}; a device changes version by its software update: `weir upgrade device {} --to VERSION`", device.name, device.name);
            anyhow::Error::from(Misconfigured(text))
        }
        other => other.into(),
    })?;
    drop(staging);
    let what = match installed {
        Installed::First => "installed",
        Installed::Unchanged => "was installed already",
        Installed::Replaced { .. } => "replaced another build of the same version; start the keeper to run it",
    };
    let done = serde_json::json!({ "device": device.name, "version": version, "slot": image.slot().name });
    output::print(format, &done, |_| format!("{version} {what} in {}", arguments.data.display()))
}

/// Keeps a keeper from starting until it is dropped; refused while one runs, which alone writes the boot record then. Without a
/// lock file no keeper ever ran here.
fn without_keeper(data: &DataDirectory) -> anyhow::Result<Option<File>> {
    let path = data.keeper_lock();
    let lock = match File::open(&path) {
        Ok(lock) => lock,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(|| format!("open {}", path.display())),
    };
    match lock.try_lock() {
        Ok(()) => Ok(Some(lock)),
        Err(TryLockError::WouldBlock) => {
            let pid: Option<u32> = std::fs::read_to_string(data.keeper_pid()).ok().and_then(|text| text.trim().parse().ok());
            let named = pid.map(|pid| format!(" (process {pid})")).unwrap_or_default();
            Err(Misconfigured(format!("a keeper{named} runs on {}: stop the keeper first", data.root().display())).into())
        }
        Err(TryLockError::Error(error)) => Err(error).with_context(|| format!("lock {}", path.display())),
    }
}

/// A directory beside the slots, on their file system so that files are linked; it goes when this is dropped.
struct Staging(tempfile::TempDir);

impl Staging {
    fn new(data: &Path) -> anyhow::Result<Self> {
        let made = tempfile::Builder::new().prefix("staging-").tempdir_in(data);
        Ok(Self(made.with_context(|| format!("make a staging directory in {}", data.display()))?))
    }
}

/// A copy of this program: slots are linked from it whatever happens to the original.
fn of_this_program(staging: &Staging) -> anyhow::Result<Image> {
    let program = std::env::current_exe().context("find this program's file")?;
    let copy = staging.0.path().join(PROGRAM);
    std::fs::copy(&program, &copy).with_context(|| format!("copy {} to {}", program.display(), copy.display()))?;
    Ok(Image::measure(version(), vec![ImageFile { path: PROGRAM.into(), source: copy }])?)
}

/// The image of an archive, verified for this machine by everything that is trusted, and unpacked.
fn of_archive(path: &Path, trusted: &Trusted, staging: &Staging) -> anyhow::Result<Image> {
    if let Err(error) = std::fs::metadata(path) {
        return Err(Misconfigured(format!("cannot read the archive {}: {error}", path.display())).into());
    }
    let expected = Expected { version: None, arch: Some(std::env::consts::ARCH.to_owned()) };
    let refused = |invalid: Invalid| {
        let reason = invalid.reason().as_str();
        anyhow::Error::from(invalid)
            .context(format!("{} may not be installed ({reason}); every check: weir release verify FILE --root FILE", path.display()))
    };
    let verified = trusted.verify(path, &expected, weir_clock::wall_seconds()).map_err(refused)?;
    let tree = staging.0.path().join("image");
    verified.unpack(&tree).with_context(|| format!("unpack {}", path.display()))?;
    Ok(Image::of_tree(&tree, verified.release.manifest)?)
}
