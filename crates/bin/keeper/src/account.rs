//! The user the worker runs as, and the files a root keeper makes for it.

use crate::failure::Failure;
use rustix::fs::OFlags;
use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::{OpenOptionsExt, fchown, lchown},
    path::Path,
};

/// The user a worker of a root keeper runs as, when the machine has it.
const WORKER_USER: &str = "weir";

/// A user and its first group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

/// The account to run the worker as; `None` for the keeper's own: it is not root, or the machine has no such user.
pub(crate) fn worker_account() -> Result<Option<Account>, Failure> {
    if !rustix::process::geteuid().is_root() {
        return Ok(None);
    }
    let users = fs::read_to_string("/etc/passwd").map_err(Failure::system("read /etc/passwd"))?;
    Ok(find(&users, WORKER_USER))
}

/// Makes a directory the worker writes in; one that is there keeps its owner.
pub(crate) fn make_dir_as(path: &Path, user: Option<Account>) -> io::Result<()> {
    match (fs::create_dir(path), user) {
        (Ok(()), Some(Account { uid, gid })) => lchown(path, Some(uid), Some(gid)),
        (Err(error), _) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        (result, _) => result,
    }
}

/// Opens a file the worker appends to as well; one that is there keeps its owner. No symbolic link is followed: in a
/// directory of the worker's user it could lead a root keeper to any file.
pub(crate) fn append_as(path: &Path, user: Option<Account>) -> io::Result<File> {
    let flags = i32::try_from(OFlags::NOFOLLOW.bits()).expect("an open flag fits an int");
    let mut options = OpenOptions::new();
    options.append(true).custom_flags(flags);
    match options.open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        result => return result,
    }
    match options.clone().create_new(true).open(path) {
        Ok(file) => {
            if let Some(Account { uid, gid }) = user {
                fchown(&file, Some(uid), Some(gid))?;
            }
            Ok(file)
        }
        // The other process was first.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => options.open(path),
        Err(error) => Err(error),
    }
}

/// Finds a user in the format of passwd(5).
fn find(users: &str, name: &str) -> Option<Account> {
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let found = fields.next()? == name;
        let (uid, gid) = (fields.nth(1)?.parse().ok()?, fields.next()?.parse().ok()?);
        found.then_some(Account { uid, gid })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_found_by_their_whole_name() {
        let users =
            "root:x:0:0:root:/root:/bin/sh\nweird:x:7:7::/:/bin/false\nweir:x:990:991:Weir:/var/lib/weir:/usr/sbin/nologin\nbroken\n";
        assert_eq!(find(users, "weir"), Some(Account { uid: 990, gid: 991 }));
        assert_eq!(find(users, "wei"), None);
        assert_eq!(find("weir:x:oops:1::/:", "weir"), None);
    }
}
