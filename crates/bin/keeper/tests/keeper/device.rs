//! A data directory with a fake worker in its slot, and keepers run on it.

use serde_json::Value;
use std::{
    fs,
    io::Read,
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU8, Ordering},
    time::Duration,
};
use weir_slots::{DataDirectory, FileSystem, Image, ImageFile, install, verify_active};

/// How long any condition may take; several times what a loaded machine needs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// The port of every listener: below the range outgoing connections take theirs from.
const PORT: u16 = 20473;

/// One device.
pub(crate) struct Device {
    dir: tempfile::TempDir,
    /// Where it listens.
    pub(crate) address: SocketAddr,
}

/// What the fake worker answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) pid: u32,
    pub(crate) crashes: u32,
    pub(crate) last_exit: String,
}

impl Device {
    pub(crate) fn new() -> Self {
        let device = Self { dir: tempfile::tempdir().expect("dir"), address: free_address() };
        let toml = format!(
            "name = \"d1\"\nrole = \"engine\"\n[[listeners]]\nname = \"http\"\nproto = \"tcp\"\naddress = \"{}\"\ncount = 2\n",
            device.address
        );
        device.write("device.toml", &toml);
        // A copy: a test damages it, and the example must stay as it is.
        let program = device.path("program");
        fs::copy(fake_worker(), &program).expect("copy the fake worker");
        let files = vec![ImageFile { path: "weir".to_owned(), source: program }];
        let image = Image::measure("1.0.0-b1", files).expect("measure");
        install(&mut FileSystem, &device.data(), &image).expect("install");
        device
    }

    fn data(&self) -> DataDirectory {
        DataDirectory::new(self.dir.path())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).expect(name);
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    pub(crate) fn exists(&self, name: &str) -> bool {
        self.path(name).exists()
    }

    pub(crate) fn pid(&self, name: &str) -> Option<u32> {
        self.read(&format!("run/{name}")).trim().parse().ok()
    }

    pub(crate) fn damage_program(&self) {
        use std::os::unix::fs::PermissionsExt;
        let program = verify_active(&self.data()).expect("verified").program;
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("mode");
        let mut bytes = fs::read(&program).expect("program");
        *bytes.last_mut().expect("a byte") ^= 1;
        fs::write(&program, bytes).expect("damage");
    }

    /// Starts a keeper on this device.
    pub(crate) fn start(&self, arguments: &[&str]) -> Keeper {
        let data = self.dir.path().to_str().expect("a path of text");
        Keeper::start(&[&["--data", data, "--same-user"], arguments].concat())
    }

    /// A connection to the device, as soon as it listens.
    pub(crate) fn connect(&self) -> TcpStream {
        // Before that a connection could reach a copy of another listener's socket that a test running beside this one
        // carries between fork and exec.
        self.wait_log("listeners bound", 1);
        self.connect_to(self.address)
    }

    pub(crate) fn connect_to(&self, address: SocketAddr) -> TcpStream {
        let mut connection = None;
        self.wait("the device listens", || {
            connection = TcpStream::connect(address).ok();
            connection.is_some()
        });
        connection.expect("waited for")
    }

    /// What the running worker says of itself.
    pub(crate) fn answer(&self) -> Answer {
        answer_of(self.connect())
    }

    /// The keeper's lines with this message.
    pub(crate) fn log(&self, message: &str) -> Vec<Value> {
        let lines = self.read("log/device.log");
        // The last line may be half written while a keeper runs.
        lines.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()).filter(|line| line["message"] == message).collect()
    }

    pub(crate) fn wait_log(&self, message: &str, times: usize) {
        self.wait(message, || self.log(message).len() >= times);
    }

    /// Waits for a condition; what the keeper said is shown when it does not come.
    pub(crate) fn wait(&self, what: &str, mut condition: impl FnMut() -> bool) {
        let deadline = weir_clock::monotonic() + PATIENCE;
        while !condition() {
            assert!(
                weir_clock::monotonic() < deadline,
                "{what} did not happen:\n{}{}",
                self.read("log/device.log"),
                self.read("log/worker.stderr")
            );
            pause();
        }
    }
}

/// Reads a fake worker's answer; a connection reset by a dying worker fails the test.
pub(crate) fn answer_of(mut connection: TcpStream) -> Answer {
    connection.set_read_timeout(Some(PATIENCE)).expect("timeout");
    let mut text = String::new();
    connection.read_to_string(&mut text).expect("an answer");
    let mut words = text.trim().splitn(3, ' ');
    let mut word = || words.next().unwrap_or_else(|| panic!("not an answer: {text:?}"));
    Answer { pid: word().parse().expect("pid"), crashes: word().parse().expect("crashes"), last_exit: word().to_owned() }
}

/// A running keeper; dropped, it and its worker end.
pub(crate) struct Keeper {
    child: Child,
    stderr: Option<String>,
}

impl Keeper {
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_weir-keeper"));
        command.args(arguments).stdin(Stdio::piped()).stderr(Stdio::piped());
        Self { child: command.spawn().expect("start the keeper"), stderr: None }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: &str) {
        kill(self.child.id(), signal);
    }

    pub(crate) fn close_lifeline(&mut self) {
        drop(self.child.stdin.take());
    }

    /// The exit code once it has ended; `None` when a signal ended it.
    pub(crate) fn exit_code(&mut self) -> Option<i32> {
        let deadline = weir_clock::monotonic() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().expect("wait") {
                return status.code();
            }
            assert!(weir_clock::monotonic() < deadline, "the keeper did not end");
            pause();
        }
    }

    /// What an ended keeper printed.
    pub(crate) fn stderr(&mut self) -> String {
        if self.stderr.is_none() {
            let mut text = String::new();
            self.child.stderr.take().expect("stderr").read_to_string(&mut text).expect("stderr");
            self.stderr = Some(text);
        }
        self.stderr.clone().expect("just read")
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        // The worker leaves when its control socket closes.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An address no other test uses: a loopback address of its own per process and call, so that tests beside this one
/// neither take it nor carry a copy of its socket between fork and exec.
pub(crate) fn free_address() -> SocketAddr {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    let [.., high, low] = std::process::id().to_be_bytes();
    let ip = [127, 100 + high % 64, low, NEXT.fetch_add(1, Ordering::Relaxed)];
    SocketAddr::from((ip, PORT))
}

pub(crate) fn kill(pid: u32, signal: &str) {
    let status = Command::new("kill").args([format!("-{signal}"), pid.to_string()]).status().expect("kill");
    assert!(status.success(), "kill -{signal} {pid}");
}

/// Whether a process runs; one that ended and was not reaped does not.
pub(crate) fn alive(pid: u32) -> bool {
    let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { return false };
    stat.rsplit(") ").next().is_some_and(|rest| !rest.starts_with('Z'))
}

/// Between two looks at a condition.
fn pause() {
    std::thread::park_timeout(Duration::from_millis(5));
}

/// The example next to the tests' own programs; `cargo test` builds both.
fn fake_worker() -> PathBuf {
    let own = std::env::current_exe().expect("the test's own path");
    let target = own.parent().and_then(Path::parent).expect("target/<profile>/deps/<test>");
    let program = target.join("examples/fake-worker");
    assert!(program.exists(), "{} is absent: run the tests with `cargo test -p weir-keeper`", program.display());
    program
}
