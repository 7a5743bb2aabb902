//! The local socket: whoever may open `<data>/run/cms.sock` (mode 0600) needs no token.

use crate::keep;
use std::{
    fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};
use tokio::net::UnixListener;
use weir_operator_api::paths::LOCAL_SOCKET;

/// The socket; its file goes when this is dropped.
pub(crate) struct LocalSocket {
    pub(crate) listener: UnixListener,
    pub(crate) file: SocketFile,
}

/// Removes the socket's file when dropped.
pub(crate) struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        // A successor may have put its own there; it is no longer a matter of this process.
        let _ = fs::remove_file(&self.0);
    }
}

/// Listens at `<data>/run/cms.sock`. Bound in a directory nobody else may enter and moved into place, so that it is
/// never open to others; a stale one is replaced (the manager's lock says that no other manager runs here).
pub(crate) fn bind(data: &Path) -> io::Result<LocalSocket> {
    let path = data.join(LOCAL_SOCKET);
    let run = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    if !run.exists() {
        keep::directory(run)?;
    }
    let private = run.join(".c");
    keep::directory(&private)?;
    let hidden = private.join("s");
    match fs::remove_file(&hidden) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(&hidden)?;
    fs::set_permissions(&hidden, fs::Permissions::from_mode(0o600))?;
    fs::rename(&hidden, &path)?;
    fs::remove_dir(&private)?;
    Ok(LocalSocket { listener, file: SocketFile(path) })
}
