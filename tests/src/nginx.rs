//! Debian's nginx as an outside origin: 50 files from 1 byte to 50 MB, and a count of what it served.

use crate::{prerequisite, process::Process, sha256, wait::wait_until};
use anyhow::Context;
use std::{
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};
use tempfile::TempDir;

/// Number of files, and the size of the largest in bytes; sizes grow by a constant factor from 1.
const FILES: u32 = 50;
const LARGEST_BYTES: f64 = 50_000_000.0;
/// Folders the files are dealt to: content is placed by folder, so that both engines of a location get some.
const FOLDERS: u32 = 10;
/// Patience for it to listen.
const START_DEADLINE: Duration = Duration::from_secs(10);

/// A file it serves.
#[derive(Debug, Clone)]
pub struct File {
    /// Path below the origin.
    pub path: String,
    /// Its content.
    pub bytes: Vec<u8>,
    /// SHA-256 of its content.
    pub sha256: String,
}

/// A running nginx; ends when dropped.
pub struct Nginx {
    address: SocketAddr,
    /// What it serves, smallest first.
    pub files: Vec<File>,
    dir: TempDir,
    _process: Process,
}

/// Bytes that no run of another seed shares and no compression shortens (xorshift64*).
fn pseudo_random(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        bytes.extend_from_slice(&state.wrapping_mul(0x2545_F491_4F6C_DD1D).to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "sizes are small positive numbers")]
fn file(number: u32) -> File {
    let length = LARGEST_BYTES.powf(f64::from(number) / f64::from(FILES - 1)).round() as usize;
    let bytes = pseudo_random(u64::from(number) + 1, length);
    File { path: format!("/folder-{}/{number}.bin", number % FOLDERS), sha256: sha256(&bytes), bytes }
}

impl Nginx {
    /// Starts it; `None` when it is missing and may be.
    pub async fn start() -> anyhow::Result<Option<Self>> {
        let Some(program) = prerequisite::program("nginx", "nginx", "nginx-light") else { return Ok(None) };
        let dir = tempfile::Builder::new().prefix("weir-nginx-").tempdir().context("make nginx's directory")?;
        let files: Vec<File> = (0..FILES).map(file).collect();
        for file in &files {
            let path = dir.path().join(format!("files{}", file.path));
            std::fs::create_dir_all(path.parent().expect("a file has a folder")).context("make a folder")?;
            std::fs::write(&path, &file.bytes).context("write a file")?;
        }
        // Free now; nobody else takes it in the moment before nginx does.
        let address = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).context("find a free port")?;
        let config = dir.path().join("nginx.conf");
        std::fs::write(&config, configuration(dir.path(), address)).context("write nginx.conf")?;
        let mut command = Command::new(program);
        command.arg("-p").arg(dir.path()).arg("-c").arg(&config).arg("-e").arg(dir.path().join("error.log"));
        let process = Process::start(command.stdin(Stdio::null()))?;
        wait_until("nginx listens", START_DEADLINE, || std::future::ready(TcpStream::connect(address).is_ok())).await;
        Ok(Some(Self { address, files, dir, _process: process }))
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Requests it has finished: `METHOD PATH STATUS`.
    pub fn served(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.dir.path().join("access.log")).expect("nginx writes its access log");
        text.lines().map(str::to_owned).collect()
    }

    /// The smallest file of at least `bytes`.
    ///
    /// # Panics
    /// When there is none.
    pub fn at_least(&self, bytes: usize) -> &File {
        self.files.iter().find(|f| f.bytes.len() >= bytes).expect("the largest file is larger")
    }
}

fn configuration(dir: &Path, address: SocketAddr) -> String {
    let dir = dir.display();
    let temporary: String =
        ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].iter().map(|kind| format!("  {kind}_temp_path {dir}/{kind};\n")).collect();
    format!(
        "daemon off;\nmaster_process off;\npid {dir}/nginx.pid;\nevents {{ worker_connections 1024; }}\nhttp {{\n{temporary}\
         \x20 default_type application/octet-stream;\n  log_format short '$request_method $uri $status';\n  access_log {dir}/access.log short;\n\
         \x20 server {{\n    listen {address};\n    root {dir}/files;\n    add_header Cache-Control max-age=3600;\n  }}\n}}\n"
    )
}
