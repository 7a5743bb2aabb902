//! The program this keeper is, whether a slot holds the same one, and the change to the one a slot holds.

use crate::{VERSION, failure::Failure, listeners::SOCKETS_VARIABLE};
use serde::{Deserialize, Serialize};
use std::{
    cell::OnceCell,
    ffi::OsString,
    fs::{self, File},
    io,
    os::unix::{fs::MetadataExt, process::CommandExt},
    path::{Path, PathBuf},
    process::Command,
};
use weir_slots::{DataDirectory, Digest, DiskError, MANIFEST_MAX_BYTES, Manifest, PROGRAM, VerifiedSlot, digest_of_file, durable_write};

/// The keeper as a program of its own; else it is [`PROGRAM`] with [`VERB`].
const KEEPER: &str = "weir-keeper";

/// What [`PROGRAM`] is told to be a keeper with.
const VERB: &str = "keeper";

/// This process's program, whatever became of the file it was started from (proc(5)).
const OWN: &str = "/proc/self/exe";

/// The format of `boot/keeper.json`.
const MARK_FORMAT: u32 = 1;

/// The running program.
pub(crate) struct Program {
    /// The file of a slot that is its successor.
    name: &'static str,
    version: String,
    file: fs::Metadata,
    digest: OnceCell<Digest>,
    /// What it was started with, behind the program's name and [`VERB`].
    arguments: Vec<OsString>,
}

/// A keeper in a slot.
#[derive(Debug)]
pub(crate) struct Successor {
    pub(crate) program: PathBuf,
    pub(crate) digest: Digest,
    /// It differs from the keeper that runs.
    pub(crate) other: bool,
}

impl Program {
    /// This process's program.
    pub(crate) fn own(arguments: Vec<OsString>) -> Result<Self, Failure> {
        let find = || -> io::Result<Self> {
            let path = fs::read_link(OWN)?;
            let alone = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(KEEPER));
            Ok(Self {
                name: if alone { KEEPER } else { PROGRAM },
                version: version_beside(&path).unwrap_or_else(|| VERSION.to_owned()),
                file: File::open(OWN)?.metadata()?,
                digest: OnceCell::new(),
                arguments,
            })
        };
        find().map_err(Failure::system("find the keeper's own program"))
    }

    /// Its version: that of the slot it runs from, else the one it was built as.
    pub(crate) fn version(&self) -> &str {
        &self.version
    }

    /// Whether the keeper in a slot is this one, byte for byte. A slot without a keeper has no other.
    pub(crate) fn is_of(&self, slot: &VerifiedSlot) -> bool {
        let Some(listed) = slot.manifest.files.iter().find(|file| file.path == self.name) else { return true };
        // The same file under another name needs no reading.
        let same_file = fs::metadata(slot.program.with_file_name(self.name))
            .is_ok_and(|file| (file.dev(), file.ino()) == (self.file.dev(), self.file.ino()));
        same_file || (listed.bytes == self.file.len() && self.digest().is_some_and(|digest| digest == listed.sha256))
    }

    /// The keeper in a slot.
    pub(crate) fn successor(&self, slot: &VerifiedSlot) -> Option<Successor> {
        let listed = slot.manifest.files.iter().find(|file| file.path == self.name)?;
        Some(Successor { program: slot.program.with_file_name(self.name), digest: listed.sha256, other: !self.is_of(slot) })
    }

    fn digest(&self) -> Option<Digest> {
        match self.digest.get() {
            Some(digest) => Some(*digest),
            None => {
                let (digest, _) = digest_of_file(Path::new(OWN)).ok()?;
                Some(*self.digest.get_or_init(|| digest))
            }
        }
    }

    /// Becomes the successor: the same process, arguments, environment and standard input, and the sockets that were handed on.
    /// Returns only when that failed.
    pub(crate) fn turn_into(&self, successor: &Path, sockets: &str) -> io::Error {
        let mut command = Command::new(successor);
        if self.name == PROGRAM {
            command.arg(VERB);
        }
        command.args(&self.arguments).env(SOCKETS_VARIABLE, sockets).exec()
    }

    /// Removes the mark that names this program: its worker is ready.
    pub(crate) fn note_ready(&self, data: &DataDirectory) -> io::Result<()> {
        match Mark::read(data) {
            Some(mark) if self.digest() == Some(mark.program) => fs::remove_file(data.keeper_mark()),
            _ => Ok(()),
        }
    }
}

/// `boot/keeper.json`: a keeper that was started in the place of another and has not had a worker ready.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Mark {
    format: u32,
    /// SHA-256 of its program.
    pub(crate) program: Digest,
}

impl Mark {
    /// A mark for a keeper about to be started.
    pub(crate) fn of(program: Digest) -> Self {
        Self { format: MARK_FORMAT, program }
    }

    /// The mark there is; one that cannot be read names nobody.
    pub(crate) fn read(data: &DataDirectory) -> Option<Self> {
        let mark: Self = serde_json::from_slice(&fs::read(data.keeper_mark()).ok()?).ok()?;
        Some(mark).filter(|mark| mark.format == MARK_FORMAT)
    }

    /// Removes it: its program was not started.
    pub(crate) fn remove(data: &DataDirectory) -> io::Result<()> {
        fs::remove_file(data.keeper_mark())
    }

    /// Makes it durable.
    pub(crate) fn write(&self, data: &DataDirectory) -> Result<(), DiskError> {
        durable_write(&data.keeper_mark(), &serde_json::to_vec(self).expect("a mark is JSON"))
    }
}

/// The version in the MANIFEST beside a program, when it runs from a slot.
fn version_beside(program: &Path) -> Option<String> {
    let path = program.with_file_name("MANIFEST");
    let fits = fs::metadata(&path).is_ok_and(|file| file.len() <= MANIFEST_MAX_BYTES as u64);
    let bytes = if fits { fs::read(&path).ok()? } else { return None };
    Some(Manifest::parse(&bytes).ok()?.version)
}
