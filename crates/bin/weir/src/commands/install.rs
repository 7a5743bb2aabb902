//! `weir install`: makes this program the slot a device's keeper starts.

use crate::{cli::InstallArgs, commands::Misconfigured, output, worker::device::Device};
use anyhow::Context;
use std::path::{Path, PathBuf};
use weir_model::version;
use weir_slots::{DataDirectory, FileSystem, Image, ImageFile, InstallError, Installed, PROGRAM};

/// Copies this program below `directory`, where slots can be linked from it whatever happens to the original. Returns
/// the copy and its image.
pub(crate) fn image(directory: &Path) -> anyhow::Result<(Image, PathBuf)> {
    let program = std::env::current_exe().context("find this program's file")?;
    let (digest, _) = weir_slots::digest_of_file(&program).with_context(|| format!("read {}", program.display()))?;
    let copy = directory.join(format!("{}-{}", version(), digest.short())).join(PROGRAM);
    if !copy.exists() {
        std::fs::create_dir_all(copy.parent().expect("it has one")).context("make the image directory")?;
        let temporary = directory.join("new");
        std::fs::copy(&program, &temporary).with_context(|| format!("copy this program to {}", temporary.display()))?;
        std::fs::File::open(&temporary).and_then(|f| f.sync_all()).context("write the image to disk")?;
        std::fs::rename(&temporary, &copy).context("place the image")?;
    }
    let files = vec![ImageFile { path: PROGRAM.into(), source: copy.clone() }];
    Ok((Image::measure(version(), files)?, copy))
}

/// Installs this program in the data directory of a device that has its device.toml.
pub(super) fn run(format: crate::cli::Format, arguments: &InstallArgs) -> anyhow::Result<()> {
    let device = Device::read(&arguments.data)?;
    let data = DataDirectory::new(&arguments.data);
    let staging = arguments.data.join("staging");
    let (image, _) = image(&staging)?;
    let installed = weir_slots::install(&mut FileSystem, &data, &image).map_err(|error| match error {
        InstallError::OtherVersion { installed, .. } => {
            let text = format!("{} runs version {installed}, this is {}; a device changes version by its software update, which this version does not have yet", device.name, version());
            anyhow::Error::from(Misconfigured(text))
        }
        other => other.into(),
    })?;
    std::fs::remove_dir_all(&staging).context("clear the staging directory")?;
    let what = match installed {
        Installed::First => "installed",
        Installed::Unchanged => "was installed already",
        Installed::Replaced { .. } => "replaced another build of the same version; restart the keeper to run it",
    };
    let done = serde_json::json!({ "device": device.name, "version": version(), "slot": image.slot().name });
    output::print(format, &done, |_| format!("{} {what} in {}", version(), arguments.data.display()))
}
