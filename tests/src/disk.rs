//! A file system of its own at a directory, as small as a test wants it.

use crate::prerequisite::missing;
use anyhow::{Context, ensure};
use std::{
    fs::File,
    io::{ErrorKind, Write},
    path::{Path, PathBuf},
    process::Command,
};

/// The file that fills it.
const FILLER: &str = "filler";
/// Bytes written at once while it is filled; the last of them one by one, so that nothing is left.
const BLOCK: usize = 64 * 1024;

/// A tmpfs; gone when dropped.
#[derive(Debug)]
pub struct SmallDisk(PathBuf);

impl SmallDisk {
    /// Of this size, as `mount` takes it (`1m`), over an empty directory. `None` where this user may not mount, and need not.
    pub fn mount(at: &Path, size: &str) -> anyhow::Result<Option<Self>> {
        let options = format!("size={size}");
        let done = Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(at).output().context("run mount")?;
        if done.status.success() {
            return Ok(Some(Self(at.to_owned())));
        }
        Ok(missing("mount", &format!("this user may not mount a tmpfs: {}", String::from_utf8_lossy(&done.stderr))))
    }

    /// The same in the place of a directory that has content, which is moved there.
    pub fn under(directory: &Path, size: &str) -> anyhow::Result<Option<Self>> {
        let away = directory.with_extension("away");
        std::fs::rename(directory, &away).with_context(|| format!("move {}", directory.display()))?;
        std::fs::create_dir(directory).with_context(|| format!("make {}", directory.display()))?;
        let disk = Self::mount(directory, size)?;
        let mut source = away.into_os_string();
        source.push("/.");
        let copied = Command::new("cp").arg("-a").arg(source).arg(directory).output().context("run cp")?;
        ensure!(copied.status.success(), "copy to {}: {}", directory.display(), String::from_utf8_lossy(&copied.stderr));
        Ok(disk)
    }

    /// Makes it larger.
    pub fn enlarge(&self, size: &str) -> anyhow::Result<()> {
        let done = Command::new("mount").args(["-o", &format!("remount,size={size}")]).arg(&self.0).status().context("run mount")?;
        ensure!(done.success(), "remount: {done}");
        Ok(())
    }

    /// Takes all the room there is.
    pub fn fill(&self) -> anyhow::Result<()> {
        let mut file = File::create(self.0.join(FILLER)).context("make the filler")?;
        for size in [BLOCK, 1] {
            let block = vec![b'x'; size];
            loop {
                match file.write_all(&block) {
                    Ok(()) => {}
                    Err(error) if error.kind() == ErrorKind::StorageFull => break,
                    Err(error) => return Err(error).context("fill the disk"),
                }
            }
        }
        Ok(())
    }

    /// Gives it back.
    pub fn empty(&self) -> anyhow::Result<()> {
        std::fs::remove_file(self.0.join(FILLER)).context("remove the filler")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // What still runs keeps its open files; the mount itself is gone.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}
