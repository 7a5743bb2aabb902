//! A server on data threads of its own, a small service, and blocking clients with deadlines.

use bytes::Bytes;
use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};
use tokio::sync::mpsc;
use weir_net::{
    cores::{self, Cores},
    http1::{Body, BodyError, BodySource, Gate, Limits, Phase, Request, ResponseHead, Service, SliceBody},
};

/// Longer than anything here takes on a busy machine.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// Pieces whose concatenation is [`ALPHABET`].
const PIECES: [&str; 5] = ["abcde", "f", "", "ghijklmnopqrstu", "vwxyz"];
pub(crate) const ALPHABET: &str = "abcdefghijklmnopqrstuvwxyz";

#[derive(Clone, Default)]
pub(crate) struct Probe {
    /// Streams and requests dropped before their end.
    pub(crate) abandoned: Arc<AtomicUsize>,
    /// Requests that wait for a permit.
    pub(crate) waiting: Arc<AtomicUsize>,
    pub(crate) permits: Arc<Permits>,
    /// Held by a test to keep a data thread from doing anything.
    pub(crate) turnstile: Arc<Mutex<()>>,
}

pub(crate) struct Permits(tokio::sync::Semaphore);

impl Default for Permits {
    fn default() -> Self {
        Self(tokio::sync::Semaphore::new(0))
    }
}

impl Permits {
    pub(crate) fn add(&self) {
        self.0.add_permits(1);
    }
}

struct Abandoned(Arc<AtomicUsize>, bool);

impl Drop for Abandoned {
    fn drop(&mut self) {
        if !self.1 {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
}

/// Gives its pieces, then fails, ends, or waits for ever.
struct Script {
    pieces: std::vec::IntoIter<Bytes>,
    last: &'static str,
    guard: Abandoned,
}

impl BodySource for Script {
    fn poll_next(&mut self, _: &mut Context<'_>) -> Poll<Result<Option<Bytes>, BodyError>> {
        match (self.pieces.next(), self.last) {
            (Some(piece), _) => Poll::Ready(Ok(Some(piece))),
            (None, "fail") => Poll::Ready(Err(BodyError::Stopped)),
            (None, "hang") => Poll::Pending,
            (None, _) => {
                self.guard.1 = true;
                Poll::Ready(Ok(None))
            }
        }
    }
}

impl Probe {
    fn script(&self, last: &'static str, length: Option<u64>) -> Body {
        let pieces = PIECES.map(|piece| Bytes::from_static(piece.as_bytes())).to_vec().into_iter();
        Body::Stream { length, source: Box::new(Script { pieces, last, guard: Abandoned(self.abandoned.clone(), false) }) }
    }

    async fn wait(&self) {
        let mut guard = Abandoned(self.abandoned.clone(), false);
        self.waiting.fetch_add(1, Ordering::SeqCst);
        self.permits.0.acquire().await.expect("never closed").forget();
        guard.1 = true;
    }
}

impl Service for Probe {
    async fn respond(&self, request: &Request<'_>, head: &mut ResponseHead<'_>) -> Body {
        match request.target.path {
            "/hello" => Body::bytes("hello"),
            "/alphabet" => alphabet(request),
            "/echo" => Body::bytes(echo(request)),
            "/empty" => {
                head.status(204);
                Body::Empty
            }
            "/close" => {
                head.close();
                Body::bytes("bye")
            }
            "/dated" => {
                head.field("date", "Sun, 06 Nov 1994 08:49:37 GMT");
                Body::Empty
            }
            "/big" => Body::Slices(SliceBody::owned(vec![Bytes::from(vec![b'x'; 64 * 1024]); 320])),
            "/stream" => self.script("end", None),
            "/stream/known" => self.script("end", Some(26)),
            "/stream/short" => self.script("end", Some(27)),
            "/stream/long" => self.script("end", Some(25)),
            "/stream/fail" => self.script("fail", None),
            "/stream/hang" => self.script("hang", None),
            "/channel" => {
                let (sender, receiver) = mpsc::channel(4);
                for piece in ["one ", "two"] {
                    sender.try_send(Ok(Bytes::from_static(piece.as_bytes()))).expect("has room");
                }
                Body::Stream { length: None, source: Box::new(receiver) }
            }
            "/wait" => {
                self.wait().await;
                Body::bytes("waited")
            }
            "/block" => {
                self.waiting.fetch_add(1, Ordering::SeqCst);
                drop(self.turnstile.lock().expect("not poisoned"));
                Body::Empty
            }
            _ => {
                head.status(404);
                Body::Empty
            }
        }
    }
}

fn alphabet(request: &Request<'_>) -> Body {
    let pieces: Arc<[Bytes]> = PIECES.iter().map(|piece| Bytes::from_static(piece.as_bytes())).collect();
    let range = request.target.query.and_then(|query| query.split_once('-')).expect("a range");
    Body::Slices(SliceBody::range(pieces, range.0.parse().expect("a number")..range.1.parse().expect("a number")))
}

fn echo(request: &Request<'_>) -> String {
    let fields: Vec<String> = request.fields.values("x-test").map(|value| String::from_utf8_lossy(value).into_owned()).collect();
    format!(
        "{} {} {:?} authority={} host={} port={:?} x-test={fields:?} body={}",
        request.method,
        request.target.path,
        request.target.query,
        request.authority,
        request.host,
        request.port,
        String::from_utf8_lossy(&request.body)
    )
}

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) gate: Gate,
    pub(crate) probe: Probe,
    cores: Option<Cores>,
}

impl Server {
    pub(crate) fn start() -> Self {
        Self::with(Limits::default())
    }

    pub(crate) fn with(limits: Limits) -> Self {
        let server = Self::held(limits);
        assert!(server.gate.accept());
        server
    }

    /// A server whose gate is still in `Hold`.
    pub(crate) fn held(limits: Limits) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("bound");
        let (gate, probe) = (Gate::new(), Probe::default());
        let cores = cores::spawn("test", vec![listener], &probe, &limits, &gate).expect("threads start");
        Self { address, gate, probe, cores: Some(cores) }
    }

    pub(crate) fn connect(&self) -> Client {
        Client::connect(self.address)
    }

    /// Sends `request` on a connection of its own and returns everything until the server closes it.
    pub(crate) fn exchange(&self, request: impl AsRef<[u8]>) -> String {
        let mut client = self.connect();
        client.send(request);
        client.rest()
    }

    /// Waits until the data threads are done.
    pub(crate) fn join(mut self) {
        self.cores.take().expect("joined once").join().expect("served to the end");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.gate.close();
        if let Some(cores) = self.cores.take() {
            let joined = cores.join();
            assert!(joined.is_ok() || std::thread::panicking(), "{joined:?}");
        }
        assert_eq!(self.gate.phase(), Phase::Closed);
    }
}

pub(crate) struct Client {
    stream: TcpStream,
    received: Vec<u8>,
}

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("listening");
        stream.set_read_timeout(Some(DEADLINE)).expect("set");
        stream.set_write_timeout(Some(DEADLINE)).expect("set");
        Self { stream, received: Vec::new() }
    }

    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).expect("sent");
    }

    /// Sends and leaves it at that when the server has closed.
    pub(crate) fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> std::io::Result<()> {
        self.stream.write_all(bytes.as_ref())
    }

    /// Reads one response with a Content-Length.
    pub(crate) fn response(&mut self) -> (String, String) {
        let end = self.read_until(b"\r\n\r\n") + 4;
        let head = String::from_utf8(self.received.drain(..end).collect()).expect("text");
        let length = field(&head, "content-length").map_or(0, |length| length.parse().expect("a number"));
        while self.received.len() < length {
            assert!(self.read() > 0, "closed in a body after {head}");
        }
        (head, String::from_utf8(self.received.drain(..length).collect()).expect("text"))
    }

    /// Reads until `mark` has come; where it begins.
    pub(crate) fn read_until(&mut self, mark: &[u8]) -> usize {
        loop {
            if let Some(at) = self.received.windows(mark.len()).position(|window| window == mark) {
                return at;
            }
            assert!(
                self.read() > 0,
                "closed before {:?}, after {:?}",
                String::from_utf8_lossy(mark),
                String::from_utf8_lossy(&self.received)
            );
        }
    }

    fn read(&mut self) -> usize {
        let mut buffer = [0; 65536];
        let count = self.stream.read(&mut buffer).expect("data or an orderly close");
        self.received.extend_from_slice(&buffer[..count]);
        count
    }

    /// Everything until an orderly close.
    pub(crate) fn rest(&mut self) -> String {
        while self.read() > 0 {}
        String::from_utf8(std::mem::take(&mut self.received)).expect("text")
    }

    /// Everything until the server is gone, and whether it went with a reset.
    pub(crate) fn until_gone(&mut self) -> (String, bool) {
        let mut buffer = [0; 65536];
        let reset = loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => break false,
                Ok(count) => self.received.extend_from_slice(&buffer[..count]),
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => break true,
                Err(error) => panic!("{error}"),
            }
        };
        (String::from_utf8_lossy(&self.received).into_owned(), reset)
    }
}

/// The value of a field of a head.
pub(crate) fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| line.split_once(": ").filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value))
}

/// The status of the first response in `text`.
pub(crate) fn status(text: &str) -> &str {
    text.get(9..12).unwrap_or(text)
}

/// Waits for a condition with a deadline.
pub(crate) fn eventually(what: &str, condition: impl Fn() -> bool) {
    let start = weir_clock::monotonic();
    while !condition() {
        assert!(start.elapsed() < DEADLINE, "not in time: {what}");
        std::thread::yield_now();
    }
}
