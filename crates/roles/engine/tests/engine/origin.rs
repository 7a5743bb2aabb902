//! A scriptable origin on a real socket.

use std::{
    future::Future,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use weir_telemetry::Tasks;

/// A request as the origin got it.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Seen {
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
    }
}

/// Where a script writes its answer, byte for byte.
pub(crate) struct Out(TcpStream);

impl Out {
    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        // The engine may hang up; what that means is the test's to see at the other end.
        drop(self.0.write_all(bytes.as_ref()).await);
    }

    /// A whole answer with Content-Length.
    pub(crate) async fn answer(&mut self, status: u16, fields: &str, body: impl AsRef<[u8]>) {
        let body = body.as_ref();
        let head = format!("HTTP/1.1 {status} X\r\n{fields}Content-Length: {}\r\n\r\n", body.len());
        self.send([head.as_bytes(), body].concat()).await;
    }
}

/// Whether the connection stays open after an answer.
pub(crate) enum Then {
    Keep,
    Close,
}

pub(crate) struct Origin {
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    _tasks: Tasks,
}

impl Origin {
    /// Answers every request with `script`.
    pub(crate) async fn start<F, R>(script: F) -> Self
    where
        F: Fn(Seen, Out) -> R + Send + Sync + 'static,
        R: Future<Output = (Out, Then)> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let address = listener.local_addr().expect("address");
        let (seen, tasks, script) = (Arc::new(Mutex::new(Vec::new())), Tasks::new(), Arc::new(script));
        let (log, inner) = (seen.clone(), tasks.clone());
        tasks.spawn("origin", async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (log, script) = (log.clone(), script.clone());
                inner.spawn("origin connection", async move {
                    let mut out = Out(stream);
                    while let Some(request) = read(&mut out.0).await {
                        log.lock().unwrap_or_else(PoisonError::into_inner).push(request.clone());
                        let (back, then) = script(request, out).await;
                        out = back;
                        if matches!(then, Then::Close) {
                            return;
                        }
                    }
                });
            }
        });
        Self { address, seen, _tasks: tasks }
    }

    /// An origin that answers everything alike.
    pub(crate) async fn fixed(status: u16, fields: &'static str, body: impl Into<Vec<u8>>) -> Self {
        let body = Arc::new(body.into());
        Self::start(move |_, mut out| {
            let body = body.clone();
            async move {
                out.answer(status, fields, body.as_slice()).await;
                (out, Then::Keep)
            }
        })
        .await
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn read(stream: &mut TcpStream) -> Option<Seen> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let text = String::from_utf8(head).expect("text");
    let mut lines = text.trim_end().split("\r\n");
    let mut line = lines.next().expect("a line").split(' ');
    let (method, target) = (line.next().expect("method").to_owned(), line.next().expect("target").to_owned());
    let fields: Vec<(String, String)> = lines
        .map(|l| l.split_once(": ").map(|(n, v)| (n.to_owned(), v.to_owned())).unwrap_or_else(|| (l.to_owned(), String::new())))
        .collect();
    let mut seen = Seen { method, target, fields, body: Vec::new() };
    let length = seen.field("content-length").map_or(0, |v| v.parse().expect("a number"));
    seen.body.resize(length, 0);
    stream.read_exact(&mut seen.body).await.ok()?;
    Some(seen)
}
