//! This very program as a signed release: the image every slot is linked from, and the release keys that sign it.
//!
//! The MANIFEST is known before the image is packed, so slots are installed at once; packing and signing go on beside the
//! start of the network.

use crate::commands::{Misconfigured, install, release};
use anyhow::{Context, bail};
use std::{
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
};
use weir_release::{Effort, ImagePlan, KeyPlan, Listed, PublishError, Published, RELEASE_MANIFEST, ReleaseDirectory};
use weir_slots::{Digest, Image, ImageFile, PROGRAM, digest_of_bytes};

/// The environment variable that names the release directory.
const KEYS: &str = "WEIR_DEV_KEYS";
/// Where it is when that says nothing, below the home directory.
const KEYS_BELOW_HOME: &str = ".local/share/weir/dev-release";
/// The public root of the release keys in a network's directory.
const RELEASE_ROOT: &str = "release-root.json";

/// The release keys of development, which every network of this user shares.
pub(crate) struct Keys {
    directory: ReleaseDirectory,
    path: PathBuf,
    root: Vec<u8>,
}

impl Keys {
    /// Opens them, made on first use, for the network in `network`, whose root they must be if it has one.
    pub(crate) fn open(network: &Path) -> anyhow::Result<Self> {
        let path = path()?;
        let opened = ReleaseDirectory::open_or_create(&path, KeyPlan::Development, weir_clock::wall_seconds());
        let directory = opened.map_err(|error| refused(error, &path))?;
        let pinned = network.join(RELEASE_ROOT);
        let root = match fs::read(&pinned) {
            Ok(root) if directory.has_root(&root).map_err(|error| refused(error, &path))? => root,
            Ok(_) => {
                return Err(Misconfigured(format!(
                    "the network in {} trusts other release keys than those in {}; set {KEYS} to the directory it was made with, or choose another --dir",
                    network.display(),
                    path.display()
                ))
                .into());
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let root = directory.root().map_err(|error| refused(error, &path))?;
                weir_slots::durable_write(&pinned, &root)?;
                root
            }
            Err(error) => return Err(error).with_context(|| format!("read {}", pinned.display())),
        };
        Ok(Self { directory, path: fs::canonicalize(&path).unwrap_or(path), root })
    }

    /// Where they are.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Makes a device trust them: each verifies for itself what it is to run.
    pub(crate) fn pin(&self, data: &Path) -> anyhow::Result<()> {
        install::keep_root(data, &self.root)
    }

    /// Lists the image of this program, unless it is; how it is listed. Blocks on compression.
    pub(crate) fn list(&self, own: &OwnRelease) -> anyhow::Result<Listed> {
        let built = self.directory.build_if_other(&own.plan, weir_clock::wall_seconds());
        match built.map_err(|error| refused(error, &self.path))? {
            (listed, None | Some(Published::Version(_))) => Ok(listed),
            (_, Some(Published::Waiting(_))) => {
                let path = self.path.display();
                Err(Misconfigured(format!(
                    "the release keys in {path} do not suffice to sign; weir release sign --directory {path} --key FILE"
                ))
                .into())
            }
        }
    }

    /// Writes the archive of what [`Self::list`] gave, into the directory `to`. Blocks on the disk.
    pub(crate) fn pack(&self, own: &OwnRelease, listed: &Listed, to: &Path) -> anyhow::Result<PathBuf> {
        let archive = self.directory.pack(own.plan.version, &own.plan.arch, to).map_err(|error| refused(error, &self.path))?;
        let content = weir_release::Archive::open(&archive)?;
        if content.content().image_digest() != (listed.bytes, listed.sha256) {
            bail!("another `weir up` has just listed another build of {} in {}; start again", own.plan.version, self.path.display());
        }
        Ok(archive)
    }
}

/// The release directory: the environment's, or the one of this user.
fn path() -> Result<PathBuf, Misconfigured> {
    if let Some(path) = std::env::var_os(KEYS).filter(|path| !path.is_empty()) {
        return Ok(path.into());
    }
    let home = std::env::var_os("HOME").filter(|home| !home.is_empty());
    home.map(|home| Path::new(&home).join(KEYS_BELOW_HOME)).ok_or_else(|| {
        Misconfigured(format!("there is no HOME to keep the release keys of development in; set {KEYS} to a directory for them"))
    })
}

fn refused(error: PublishError, path: &Path) -> anyhow::Error {
    match error {
        PublishError::Disk(disk) => Misconfigured(format!(
            "the release keys of development cannot be kept in {}: {disk}: {}; set {KEYS} to a directory that can be written",
            path.display(),
            disk.source
        ))
        .into(),
        other => release::explain(other, path),
    }
}

/// This program as it is installed in every slot.
pub(crate) struct OwnRelease {
    plan: ImagePlan,
    /// What slots are linked from.
    pub(crate) image: Image,
    /// The copy of this program that keepers run.
    pub(crate) program: PathBuf,
}

impl OwnRelease {
    /// Copies this program below `images`, with its MANIFEST; a copy that is there is used, others go.
    pub(crate) fn prepare(images: &Path) -> anyhow::Result<Self> {
        let program = std::env::current_exe().context("find this program's file")?;
        let mut plan = plan(program);
        let bytes = plan.manifest()?.to_bytes();
        let manifest = digest_of_bytes(&bytes);
        let tree = images.join(format!("{}-{}", plan.version, manifest.short()));
        let image = match Image::of_tree(&tree, manifest) {
            Ok(image) => image,
            Err(_) => copy(&plan, &bytes, manifest, &tree)?,
        };
        remove_others(images, &tree)?;
        let program = tree.join(PROGRAM);
        plan.files[0].source.clone_from(&program);
        Ok(Self { plan, image, program })
    }

    /// Its version as the API has it.
    pub(crate) fn version(&self) -> String {
        self.plan.version.to_string()
    }
}

/// The plan `weir release build` would make of this program.
fn plan(program: PathBuf) -> ImagePlan {
    let described = release::describe::described();
    ImagePlan {
        version: described.version,
        arch: described.arch,
        bridges: described.bridges,
        interface: described.interface,
        migrations: described.migrations,
        notes: String::new(),
        fault: None,
        effort: Effort::Development,
        files: vec![ImageFile { path: PROGRAM.to_owned(), source: program }],
    }
}

/// Makes the tree under another name, so that one of its own name is whole.
fn copy(plan: &ImagePlan, bytes: &[u8], manifest: Digest, tree: &Path) -> anyhow::Result<Image> {
    let shown = || format!("copy this program to {}", tree.display());
    let new = tree.with_file_name("new");
    for stale in [tree, &new] {
        remove(stale).with_context(shown)?;
    }
    fs::create_dir_all(&new).with_context(shown)?;
    fs::copy(&plan.files[0].source, new.join(PROGRAM)).with_context(shown)?;
    fs::write(new.join(RELEASE_MANIFEST), bytes).with_context(shown)?;
    fs::rename(&new, tree).with_context(shown)?;
    Image::of_tree(tree, manifest).context("this program changed while it was copied; start it again")
}

/// Earlier copies: slots have names of their own for what they still need.
fn remove_others(images: &Path, tree: &Path) -> anyhow::Result<()> {
    let entries = fs::read_dir(images).with_context(|| format!("read {}", images.display()))?;
    for entry in entries {
        let path = entry.with_context(|| format!("read {}", images.display()))?.path();
        if path != tree {
            remove(&path).with_context(|| format!("remove {}", path.display()))?;
        }
    }
    Ok(())
}

fn remove(path: &Path) -> std::io::Result<()> {
    let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    match removed {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_copy_of_before_is_used_and_others_go() {
        let dir = tempfile::tempdir().expect("dir");
        let images = dir.path().join("images");
        let first = OwnRelease::prepare(&images).expect("first");
        fs::create_dir(images.join("0.9.0-b1-0123456789ab")).expect("another");
        let second = OwnRelease::prepare(&images).expect("second");
        assert_eq!((first.image.slot(), first.program.clone()), (second.image.slot(), second.program));
        assert_eq!(fs::read_dir(&images).expect("images").count(), 1);
        fs::write(&first.program, "damaged").expect("damage");
        let third = OwnRelease::prepare(&images).expect("made again");
        assert_ne!(fs::read(third.program).expect("program"), b"damaged");
    }

    #[test]
    fn a_network_keeps_the_keys_it_was_made_with() {
        let dir = tempfile::tempdir().expect("dir");
        let keys = |name: &str| ReleaseDirectory::create(&dir.path().join(name), KeyPlan::Development, 1_800_000_000).expect("keys");
        let (first, second) = (keys("a"), keys("b"));
        let root = first.root().expect("root");
        assert!(first.has_root(&root).expect("roots") && !second.has_root(&root).expect("roots"));
    }
}
