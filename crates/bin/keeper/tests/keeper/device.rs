//! A data directory with a fake worker in its slot, and keepers run on it.

use serde_json::Value;
use std::{
    fs,
    io::Read,
    net::{SocketAddr, TcpStream, UdpSocket},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU8, AtomicUsize, Ordering},
    time::Duration,
};
use weir_slots::{BootRecord, DataDirectory, FileSystem, Image, ImageFile, SlotRef, boot, install, staging};

/// How long any condition may take; several times what a loaded machine needs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// The version that is installed first.
pub(crate) const FIRST: &str = "1.0.0-b1";

/// What the keeper of this build says of itself to a worker that it starts: its version, and whether it is of the worker's slot.
pub(crate) fn own_keeper(of_slot: u8) -> String {
    format!("keeper {} {of_slot}", env!("CARGO_PKG_VERSION"))
}

/// What a keeper says when its listeners are bound.
const BOUND: &str = "listeners bound";

/// The port of every listener: below the range outgoing connections take theirs from.
const PORT: u16 = 20473;

/// One device.
pub(crate) struct Device {
    dir: tempfile::TempDir,
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// How often listeners are bound once the keeper that was started last has bound its own.
    bound: AtomicUsize,
}

/// What the fake worker answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) pid: u32,
    pub(crate) version: String,
    pub(crate) crashes: u32,
    pub(crate) last_exit: String,
}

impl Device {
    pub(crate) fn new() -> Self {
        let device = Self { dir: tempfile::tempdir().expect("dir"), address: free_address(), bound: AtomicUsize::new(1) };
        let toml = format!(
            "name = \"d1\"\nrole = \"engine\"\n[[listeners]]\nname = \"http\"\nproto = \"tcp\"\naddress = \"{0}\"\ncount = 2\n\
             [[listeners]]\nname = \"datagrams\"\nproto = \"udp\"\naddress = \"{0}\"\n",
            device.address
        );
        device.write("device.toml", &toml);
        install(&mut FileSystem, &device.data(), &device.image(FIRST, &[])).expect("install");
        device
    }

    /// An image of a version: the fake worker, and these files beside it.
    fn image(&self, version: &str, more: &[(&str, &Path)]) -> Image {
        let sources = self.path(&format!("image-{version}"));
        fs::create_dir_all(&sources).expect("image");
        // A copy: a test damages it, and the example must stay as it is.
        let worker = fake_worker();
        let mut files = Vec::new();
        for (path, from) in [("weir", worker.as_path())].iter().chain(more) {
            let source = sources.join(path);
            fs::copy(from, &source).expect("copy");
            files.push(ImageFile { path: (*path).to_owned(), source });
        }
        Image::measure(version, files).expect("measure")
    }

    /// Writes the slot of another version beside the active one.
    pub(crate) fn stage(&self, version: &str) -> SlotRef {
        self.stage_with(version, &[])
    }

    pub(crate) fn stage_with(&self, version: &str, more: &[(&str, &Path)]) -> SlotRef {
        staging::stage(&mut FileSystem, &self.data(), &self.image(version, more)).expect("stage")
    }

    /// The boot record on the disk.
    pub(crate) fn record(&self) -> BootRecord {
        boot::read(&self.data()).expect("boot record").record
    }

    /// Writes a boot record: no keeper may run.
    pub(crate) fn write_record(&self, record: &BootRecord) {
        boot::write(&mut FileSystem, &self.data(), record).expect("boot record");
    }

    /// Why the last slot fell back, once one has.
    pub(crate) fn fell_back(&self) -> (String, String) {
        self.wait("a slot falls back", || self.record().fell_back.is_some());
        let fell_back = self.record().fell_back.expect("waited for");
        (fell_back.slot.version, fell_back.reason)
    }

    /// Has the worker that serves say something to the keeper, as soon as it serves.
    pub(crate) fn say(&self, line: &str) {
        self.write("say.new", line);
        fs::rename(self.path("say.new"), self.path("say")).expect("say");
        self.wait("the worker says it", || !self.exists("say"));
    }

    /// Has it ask for the trial of a slot.
    pub(crate) fn switch(&self, slot: &SlotRef, generation: u64, ready_ms: u64, trial_ms: u64) {
        self.say(&format!("switch {} {} 1 {generation} {ready_ms} {trial_ms}", slot.version, slot.manifest));
    }

    /// Waits until a worker of this version heard a line so often.
    pub(crate) fn wait_heard(&self, version: &str, line: &str, times: usize) {
        self.wait(&format!("{version} hears `{line}`"), || self.heard(version).iter().filter(|heard| *heard == line).count() >= times);
    }

    /// Waits until the worker that serves is one of this version, and returns its process.
    pub(crate) fn wait_serves(&self, version: &str) -> u32 {
        let mut pid = 0;
        self.wait(&format!("{version} serves"), || {
            let answer = self.answer();
            pid = answer.pid;
            answer.version == version
        });
        pid
    }

    pub(crate) fn heard(&self, version: &str) -> Vec<String> {
        self.read(&format!("heard-{version}")).lines().map(str::to_owned).collect()
    }

    pub(crate) fn data(&self) -> DataDirectory {
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

    /// Damages the program of the active slot.
    pub(crate) fn damage_program(&self) {
        self.damage(&self.record().active);
    }

    pub(crate) fn damage(&self, slot: &SlotRef) {
        use std::os::unix::fs::PermissionsExt;
        let program = self.data().slot(&slot.name).join("weir");
        let mut bytes = fs::read(&program).expect("program");
        *bytes.last_mut().expect("a byte") ^= 1;
        // A running program cannot be written to, but its name can get another file.
        let beside = self.path("damaged");
        fs::write(&beside, bytes).expect("damage");
        fs::set_permissions(program.parent().expect("slot"), fs::Permissions::from_mode(0o755)).expect("mode");
        fs::rename(&beside, &program).expect("damage");
    }

    /// Has every read of a slot's program fail: a directory cannot be read.
    pub(crate) fn make_unreadable(&self, slot: &SlotRef) {
        use std::os::unix::fs::PermissionsExt;
        let program = self.data().slot(&slot.name).join("weir");
        fs::set_permissions(program.parent().expect("slot"), fs::Permissions::from_mode(0o755)).expect("mode");
        fs::remove_file(&program).expect("remove");
        fs::create_dir(&program).expect("in its place");
    }

    /// Starts a keeper on this device.
    pub(crate) fn start(&self, arguments: &[&str]) -> Keeper {
        let data = self.dir.path().to_str().expect("a path of text");
        self.bound.store(self.log(BOUND).len() + 1, Ordering::Relaxed);
        Keeper::start(&[&["--data", data, "--same-user"], arguments].concat())
    }

    /// A connection to the device, as soon as it listens.
    pub(crate) fn connect(&self) -> TcpStream {
        // Before that a connection could reach a copy of another listener's socket that a test running beside this one
        // carries between fork and exec, or the one of a worker that dies because its keeper was killed.
        self.wait_log(BOUND, self.bound.load(Ordering::Relaxed));
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

    /// A datagram socket that has sent one to the device.
    pub(crate) fn ask_by_datagram(&self) -> UdpSocket {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("socket");
        socket.send_to(b"who", self.address).expect("send");
        socket
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

/// The answer to a datagram.
pub(crate) fn datagram_answer(socket: &UdpSocket) -> Answer {
    socket.set_read_timeout(Some(PATIENCE)).expect("timeout");
    let mut bytes = [0; 256];
    let length = socket.recv(&mut bytes).expect("an answer");
    answer_in(std::str::from_utf8(&bytes[..length]).expect("text"))
}

/// Reads a fake worker's answer; a connection reset by a dying worker fails the test.
pub(crate) fn answer_of(mut connection: TcpStream) -> Answer {
    connection.set_read_timeout(Some(PATIENCE)).expect("timeout");
    let mut text = String::new();
    connection.read_to_string(&mut text).expect("an answer");
    answer_in(&text)
}

fn answer_in(text: &str) -> Answer {
    let mut words = text.trim().splitn(4, ' ');
    let mut word = || words.next().unwrap_or_else(|| panic!("not an answer: {text:?}"));
    Answer {
        pid: word().parse().expect("pid"),
        version: word().to_owned(),
        crashes: word().parse().expect("crashes"),
        last_exit: word().to_owned(),
    }
}

/// A running keeper; dropped, it and its worker end.
pub(crate) struct Keeper {
    child: Child,
    stderr: Option<String>,
}

impl Keeper {
    pub(crate) fn start(arguments: &[&str]) -> Self {
        Self::start_program(Path::new(env!("CARGO_BIN_EXE_weir-keeper")), arguments)
    }

    pub(crate) fn start_program(program: &Path, arguments: &[&str]) -> Self {
        let mut command = Command::new(program);
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
