//! An HTTP server by hand: what it answers can be changed, and held back.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
};
use weir_telemetry::Tasks;

/// Largest head of a request here.
const HEAD_MAX: usize = 16 * 1024;

pub(crate) struct SourceServer {
    pub(crate) address: SocketAddr,
    answer: Arc<Mutex<Vec<u8>>>,
    heads: Arc<Mutex<Vec<String>>>,
    open: watch::Sender<bool>,
    _tasks: Tasks,
}

impl SourceServer {
    /// Serves these bytes as a file.
    pub(crate) async fn of_file(bytes: &[u8]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
        let address = listener.local_addr().expect("address");
        let (answer, heads, open) = (Arc::new(Mutex::new(ok(bytes))), Arc::<Mutex<Vec<String>>>::default(), watch::Sender::new(true));
        let tasks = Tasks::new();
        let (answers, seen, gate, connections) = (Arc::clone(&answer), Arc::clone(&heads), open.subscribe(), tasks.clone());
        tasks.spawn("source", async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (answers, seen, gate) = (Arc::clone(&answers), Arc::clone(&seen), gate.clone());
                connections.spawn("source-connection", serve(stream, answers, seen, gate));
            }
        });
        Self { address, answer, heads, open, _tasks: tasks }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/weir.weir", self.address)
    }

    /// Serves another file from now on.
    pub(crate) fn put(&self, bytes: &[u8]) {
        self.answer_raw(ok(bytes));
    }

    /// Answers with these bytes from now on.
    pub(crate) fn answer_raw(&self, bytes: Vec<u8>) {
        *self.answer.lock().expect("lock") = bytes;
    }

    /// Requests are taken and not answered until it opens.
    pub(crate) fn set_open(&self, open: bool) {
        self.open.send_replace(open);
    }

    /// The heads of the requests that came.
    pub(crate) fn heads(&self) -> Vec<String> {
        self.heads.lock().expect("lock").clone()
    }
}

fn ok(bytes: &[u8]) -> Vec<u8> {
    let mut answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", bytes.len()).into_bytes();
    answer.extend_from_slice(bytes);
    answer
}

async fn serve(mut stream: TcpStream, answers: Arc<Mutex<Vec<u8>>>, seen: Arc<Mutex<Vec<String>>>, mut gate: watch::Receiver<bool>) {
    let mut head = Vec::new();
    let mut chunk = [0; 1024];
    while !head.windows(4).any(|end| end == b"\r\n\r\n") && head.len() < HEAD_MAX {
        match stream.read(&mut chunk).await {
            Ok(read) if read > 0 => head.extend_from_slice(&chunk[..read]),
            _ => return,
        }
    }
    seen.lock().expect("lock").push(String::from_utf8_lossy(&head).into_owned());
    if gate.wait_for(|open| *open).await.is_err() {
        return;
    }
    let answer = answers.lock().expect("lock").clone();
    if stream.write_all(&answer).await.is_ok() {
        let _ = stream.shutdown().await;
        // The other side reads to the end before this one goes.
        let _ = stream.read(&mut chunk).await;
    }
}
