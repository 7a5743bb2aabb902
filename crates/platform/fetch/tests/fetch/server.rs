//! A server written by hand: it reads one request of each connection and then does whatever a test says.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

/// Longest wait of a server for a client that does not go away.
const STUCK: Duration = Duration::from_secs(30);

/// Listens on loopback until it is dropped.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// What a server does with a connection it accepted.
fn accept(listener: &TcpListener, stop: &AtomicBool, mut serve: impl FnMut(TcpStream)) {
    while let Ok((stream, _)) = listener.accept() {
        if stop.load(Ordering::SeqCst) {
            return;
        }
        stream.set_read_timeout(Some(STUCK)).expect("a timeout");
        stream.set_write_timeout(Some(STUCK)).expect("a timeout");
        serve(stream);
    }
}

impl Server {
    /// Gives `answer` each connection as it is.
    pub(crate) fn raw(mut answer: impl FnMut(TcpStream) + Send + 'static) -> Self {
        Self::on("127.0.0.1:0", Arc::default(), move |_, stream| answer(stream))
    }

    /// Reads a request's head, then lets `answer` do the rest; it is given the head and the stream.
    pub(crate) fn http(mut answer: impl FnMut(&str, &mut TcpStream) + Send + 'static) -> Self {
        Self::on("127.0.0.1:0", Arc::default(), move |requests: &Mutex<Vec<String>>, mut stream: TcpStream| {
            let head = request(&mut stream);
            requests.lock().expect("whole").push(head.clone());
            answer(&head, &mut stream);
        })
    }

    /// Answers each request with these bytes and closes.
    pub(crate) fn fixed(answer: impl Into<Vec<u8>>) -> Self {
        let answer = answer.into();
        Self::http(move |_, stream| send(stream, &answer))
    }

    fn on(
        address: &str,
        requests: Arc<Mutex<Vec<String>>>,
        mut serve: impl FnMut(&Mutex<Vec<String>>, TcpStream) + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind(address).expect("a port");
        let address = listener.local_addr().expect("an address");
        let stop = Arc::new(AtomicBool::new(false));
        let (seen, stopped) = (Arc::clone(&requests), Arc::clone(&stop));
        let thread = std::thread::spawn(move || accept(&listener, &stopped, |stream| serve(&seen, stream)));
        Self { address, requests, stop, thread: Some(thread) }
    }

    /// A URL on it.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The heads of the requests that came.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().expect("whole").clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        // Wakes the thread that accepts.
        drop(TcpStream::connect(self.address));
        let ended = self.thread.take().map(JoinHandle::join);
        if !std::thread::panicking() {
            ended.expect("joined once").expect("a server that does not panic");
        }
    }
}

/// A request's head, up to its empty line or the end of the connection.
pub(crate) fn request(stream: &mut impl Read) -> String {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|read| read == 1) {
        head.push(byte[0]);
    }
    String::from_utf8(head).expect("a head in ASCII")
}

/// Sends, to a client that may be gone.
pub(crate) fn send(stream: &mut impl Write, bytes: &[u8]) {
    let _gone = stream.write_all(bytes).and_then(|()| stream.flush());
}

/// Waits until the client is gone.
pub(crate) fn wait_for_the_end(stream: &mut TcpStream) {
    let mut rest = [0; 64];
    while stream.read(&mut rest).is_ok_and(|read| read > 0) {}
}

/// Waits for `time`; whether the client is still there.
pub(crate) fn pause(stream: &mut TcpStream, time: Duration) -> bool {
    stream.set_read_timeout(Some(time)).expect("a timeout");
    !stream.read(&mut [0]).is_ok_and(|read| read == 0)
}

/// An answer with a body and its length.
pub(crate) fn ok(body: &[u8]) -> Vec<u8> {
    [format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()).as_bytes(), body].concat()
}

/// A redirect.
pub(crate) fn redirect(status: u16, location: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status} Elsewhere\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n").into_bytes()
}
