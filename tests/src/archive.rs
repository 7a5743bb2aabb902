//! Release archives taken apart and put together wrongly: the tests' own reading of the container.

use anyhow::{Context, ensure};
use std::path::Path;

/// The unit of the container, in bytes (POSIX.1-2017, pax, "ustar Interchange Format").
const BLOCK_BYTES: usize = 512;
/// Blocks of zeros at its end.
const END_BYTES: usize = 2 * BLOCK_BYTES;
/// Where a header says what kind of file follows.
const KIND_AT: usize = 156;
/// A symbolic link.
const LINK: u8 = b'2';

/// An archive in parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Archive {
    /// Path and content of each entry, in order.
    pub entries: Vec<(String, Vec<u8>)>,
}

/// One way to break an archive, and what a network must say of it.
#[derive(Debug)]
pub struct Broken {
    /// What was done.
    pub name: &'static str,
    /// The bytes.
    pub bytes: Vec<u8>,
    /// The check that fails.
    pub check: &'static str,
    /// Its reason.
    pub reason: &'static str,
}

fn header(path: &str, bytes: usize) -> Vec<u8> {
    let mut block = vec![0; BLOCK_BYTES];
    let mut put = |at: usize, text: &str| block[at..at + text.len()].copy_from_slice(text.as_bytes());
    put(0, path);
    put(100, "0000555");
    put(108, "0000000");
    put(116, "0000000");
    put(124, &format!("{bytes:011o}"));
    put(136, "00000000000");
    put(KIND_AT, "0");
    put(257, "ustar\x0000");
    checked(block)
}

/// With its sum, which is made as if the sum were spaces.
fn checked(mut block: Vec<u8>) -> Vec<u8> {
    block[148..156].fill(b' ');
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}

fn padded(bytes: usize) -> usize {
    bytes.div_ceil(BLOCK_BYTES) * BLOCK_BYTES
}

impl Archive {
    /// Takes an archive apart.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        Self::read(&std::fs::read(path).with_context(|| format!("read {}", path.display()))?)
    }

    /// Takes the bytes of an archive apart.
    pub fn read(bytes: &[u8]) -> anyhow::Result<Self> {
        let (mut rest, mut entries) = (bytes, Vec::new());
        while rest.first().is_some_and(|byte| *byte != 0) {
            let (head, body) = rest.split_at_checked(BLOCK_BYTES).context("a header")?;
            let path = String::from_utf8(head[..100].iter().copied().take_while(|byte| *byte != 0).collect()).context("a path")?;
            let length = usize::from_str_radix(std::str::from_utf8(&head[124..135])?, 8).context("a length")?;
            entries.push((path, body.get(..length).context("a body")?.to_vec()));
            rest = body.get(padded(length)..).context("padding")?;
        }
        ensure!(rest == [0; END_BYTES], "{} bytes at the end", rest.len());
        Ok(Self { entries })
    }

    /// Its bytes.
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (path, body) in &self.entries {
            bytes.extend(header(path, body.len()));
            bytes.extend(body);
            bytes.resize(padded(bytes.len()), 0);
        }
        bytes.resize(bytes.len() + END_BYTES, 0);
        bytes
    }

    /// The content of the entry whose path ends so.
    ///
    /// # Panics
    /// When there is none.
    pub fn entry(&mut self, end: &str) -> &mut Vec<u8> {
        let found = self.entries.iter_mut().find(|(path, _)| path.ends_with(end));
        &mut found.unwrap_or_else(|| panic!("an entry …{end}")).1
    }

    fn with(&self, edit: impl FnOnce(&mut Self)) -> Vec<u8> {
        let mut copy = self.clone();
        edit(&mut copy);
        copy.bytes()
    }

    fn without(&self, end: &str) -> Vec<u8> {
        self.with(|archive| archive.entries.retain(|(path, _)| !path.ends_with(end)))
    }

    /// Everything that can be broken without a key. The metadata itself is not: a network reads it only when it is newer.
    pub fn broken(&self) -> Vec<Broken> {
        let whole = self.bytes();
        let image = self.entries.last().expect("an archive ends with its image").1.len();
        let image_at = whole.len() - END_BYTES - padded(image);
        let cut = |at: usize| whole[..at].to_vec();
        let mut linked = whole.clone();
        linked[image_at - BLOCK_BYTES + KIND_AT] = LINK;
        let relinked = checked(linked[image_at - BLOCK_BYTES..image_at].to_vec());
        linked[image_at - BLOCK_BYTES..image_at].copy_from_slice(&relinked);
        let flipped = self.with(|archive| archive.entry(".image")[image / 2] ^= 1);
        let html = b"<!doctype html><title>Sign in</title>".repeat(100);
        let zip = [b"PK\x03\x04".as_slice(), &whole].concat();
        let mut unsummed = whole.clone();
        unsummed[KIND_AT - 1] ^= 1;
        let cases = [
            ("nothing", Vec::new(), "archive", "truncated"),
            ("cut in the first header", cut(BLOCK_BYTES / 2), "archive", "truncated"),
            ("cut in the metadata", cut(BLOCK_BYTES + 100), "archive", "truncated"),
            ("cut before the image", cut(image_at - BLOCK_BYTES), "archive", "truncated"),
            ("cut in the image", cut(image_at + image / 2), "archive", "truncated"),
            ("without its end", cut(whole.len() - BLOCK_BYTES), "archive", "truncated"),
            ("a page to sign in", html, "archive", "not_an_archive"),
            ("a zip", zip, "archive", "not_an_archive"),
            ("bytes at its end", [whole.as_slice(), &[1; 700]].concat(), "archive", "not_an_archive"),
            ("a header with another sum", unsummed, "archive", "not_an_archive"),
            ("no image", self.without(".image"), "archive", "not_an_archive"),
            ("a link for an image", linked, "archive", "unsafe_entry"),
            ("no snapshot", self.without(".snapshot.json"), "archive", "metadata_missing"),
            ("no timestamp", self.without("timestamp.json"), "archive", "metadata_missing"),
            ("a bit of the image flipped", flipped, "content", "wrong_digest"),
            ("a byte more of the image", self.with(|archive| archive.entry(".image").push(0)), "content", "wrong_size"),
        ];
        cases.into_iter().map(|(name, bytes, check, reason)| Broken { name, bytes, check, reason }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Publisher;

    #[test]
    fn an_archive_is_put_together_as_it_was() {
        let publisher = Publisher::alone().unwrap();
        let path = publisher.release("1.0.0-b1", |_| {}).unwrap();
        let archive = Archive::open(&path).unwrap();
        assert_eq!(archive.bytes(), std::fs::read(path).unwrap());
        assert!(archive.entries.last().unwrap().0.ends_with(".image"));
    }

    #[test]
    fn each_break_fails_at_its_check_for_its_reason() {
        let publisher = Publisher::alone().unwrap();
        let path = publisher.release("1.0.0-b1", |_| {}).unwrap();
        for broken in Archive::open(&path).unwrap().broken() {
            let refused = publisher.refused(&broken.bytes).unwrap_or_else(|| panic!("{} is accepted", broken.name));
            assert_eq!(refused, (broken.check.to_owned(), broken.reason.to_owned()), "{}", broken.name);
        }
    }
}
