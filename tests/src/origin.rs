//! A scripted origin: each test says how it answers, and it counts what it is asked for.

use std::{
    collections::BTreeMap,
    future::Future,
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, Mutex},
};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

/// What was asked.
#[derive(Debug, Clone)]
pub struct Asked {
    /// The target.
    pub target: String,
    /// How often this target has been asked for, this time included.
    pub count: u64,
}

/// Writes the answer; the connection closes when it is dropped.
pub struct Reply {
    stream: TcpStream,
}

/// What a script returns.
pub type Replying = Pin<Box<dyn Future<Output = io::Result<()>> + Send>>;

type Script = dyn Fn(Asked, Reply) -> Replying + Send + Sync;

impl Reply {
    /// Sends status 200 with a body of `length` bytes to come.
    pub async fn head(&mut self, length: usize, fields: &str) -> io::Result<()> {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n{fields}\r\n");
        self.stream.write_all(head.as_bytes()).await
    }

    /// Sends bytes of the body.
    pub async fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await?;
        self.stream.flush().await
    }

    /// Sends a whole answer.
    pub async fn whole(&mut self, body: &[u8], fields: &str) -> io::Result<()> {
        self.head(body.len(), fields).await?;
        self.bytes(body).await
    }

    /// Sends 404.
    pub async fn not_found(&mut self) -> io::Result<()> {
        self.stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").await
    }
}

#[derive(Default)]
struct Counts {
    targets: Mutex<BTreeMap<String, u64>>,
}

/// A running origin; ends when dropped.
pub struct Origin {
    address: SocketAddr,
    counts: Arc<Counts>,
    _accepting: JoinSet<()>,
}

impl Origin {
    /// Serves `script` on a free port of 127.0.0.1.
    pub async fn start(script: impl Fn(Asked, Reply) -> Replying + Send + Sync + 'static) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let counts = Arc::new(Counts::default());
        let mut accepting = JoinSet::new();
        accepting.spawn(accept(listener, counts.clone(), Arc::new(script)));
        Ok(Self { address, counts, _accepting: accepting })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How often `target` was asked for.
    pub fn count(&self, target: &str) -> u64 {
        self.counts.targets.lock().expect("no counter panics").get(target).copied().unwrap_or(0)
    }
}

async fn accept(listener: TcpListener, counts: Arc<Counts>, script: Arc<Script>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let (counts, script) = (counts.clone(), script.clone());
        connections.spawn(async move {
            // A client that goes away is part of some tests.
            let _ = answer(stream, &counts, &*script).await;
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn answer(stream: TcpStream, counts: &Counts, script: &Script) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    stream.read_line(&mut line).await?;
    let Some(target) = line.split(' ').nth(1).map(str::to_owned) else { return Ok(()) };
    while line != "\r\n" {
        line.clear();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(());
        }
    }
    let count = {
        let mut targets = counts.targets.lock().expect("no counter panics");
        let count = targets.entry(target.clone()).or_default();
        *count += 1;
        *count
    };
    let asked = Asked { target, count };
    script(asked, Reply { stream: stream.into_inner() }).await
}
