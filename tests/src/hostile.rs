//! A server of software files: it answers each path as well or as badly as a test asks for.

use anyhow::Context;
use std::{
    collections::BTreeMap,
    future::pending,
    io,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

/// Bytes written at a time.
const CHUNK_BYTES: usize = 64 * 1024;
/// Pause between the bytes of a trickle.
const TRICKLE: Duration = Duration::from_millis(100);

/// How a path is answered.
#[derive(Debug, Clone)]
pub enum Answering {
    /// With a file.
    File(PathBuf),
    /// With bytes.
    Bytes(Vec<u8>),
    /// With bytes, to whoever sends this field.
    Guarded {
        /// Its name, in lower case.
        field: &'static str,
        /// Its value.
        value: String,
        /// What he gets.
        bytes: Vec<u8>,
    },
    /// With bytes that never end, and no length.
    Endless,
    /// With a length, and nothing that goes with it.
    Announced(u64),
    /// With one byte at a time.
    Trickle,
    /// With nothing at all; the connection stays open.
    Silent,
    /// With 302 to there.
    Redirect(String),
    /// With 302 to nowhere.
    Nowhere,
    /// With this status and an empty body.
    Status(u16),
    /// With fewer bytes than it says.
    CutShort(Vec<u8>),
    /// With what is not HTTP.
    Noise,
}

/// What was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Path and query.
    pub target: String,
    /// Fields, names in lower case.
    pub fields: BTreeMap<String, String>,
}

#[derive(Default)]
struct Shared {
    answers: Mutex<BTreeMap<String, Answering>>,
    asked: Mutex<Vec<Request>>,
}

/// A running server; ends when dropped.
pub struct Depot {
    address: SocketAddr,
    shared: Arc<Shared>,
    _accepting: JoinSet<()>,
}

impl Depot {
    /// Listens on a free port of `address`.
    pub async fn start(address: IpAddr) -> anyhow::Result<Self> {
        let listener = TcpListener::bind((address, 0)).await.with_context(|| format!("listen on {address}"))?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared::default());
        let mut accepting = JoinSet::new();
        accepting.spawn(accept(listener, shared.clone()));
        Ok(Self { address, shared, _accepting: accepting })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on answers `path` like this; returns its URL.
    pub fn put(&self, path: &str, answering: Answering) -> String {
        self.shared.answers.lock().expect("no answer panics").insert(path.to_owned(), answering);
        self.url(path)
    }

    /// The same with a file.
    pub fn file(&self, path: &str, file: &Path) -> String {
        self.put(path, Answering::File(file.to_owned()))
    }

    /// URL of a path.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// What was asked for `path`, in order.
    pub fn asked(&self, path: &str) -> Vec<Request> {
        self.shared.asked.lock().expect("no answer panics").iter().filter(|request| request.target == path).cloned().collect()
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let shared = shared.clone();
        connections.spawn(async move {
            // Whoever asks hangs up on most of these.
            let _ = serve(stream, &shared).await;
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn read_head(stream: &mut BufReader<TcpStream>) -> io::Result<Option<Request>> {
    let mut line = String::new();
    stream.read_line(&mut line).await?;
    let Some(target) = line.split(' ').nth(1).map(str::to_owned) else { return Ok(None) };
    let mut fields = BTreeMap::new();
    loop {
        line.clear();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(None);
        }
        let Some((name, value)) = line.trim_end().split_once(':') else { return Ok(Some(Request { target, fields })) };
        fields.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
}

async fn serve(stream: TcpStream, shared: &Shared) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    let Some(request) = read_head(&mut stream).await? else { return Ok(()) };
    shared.asked.lock().expect("no answer panics").push(request.clone());
    let path = request.target.split('?').next().unwrap_or_default();
    let answering = shared.answers.lock().expect("no answer panics").get(path).cloned();
    let mut stream = stream.into_inner();
    answer(&mut stream, &request, answering.unwrap_or(Answering::Status(404))).await?;
    stream.flush().await
}

async fn head(stream: &mut TcpStream, status: &str, fields: &str) -> io::Result<()> {
    stream.write_all(format!("HTTP/1.1 {status}\r\nConnection: close\r\n{fields}\r\n").as_bytes()).await
}

async fn whole(stream: &mut TcpStream, bytes: &[u8]) -> io::Result<()> {
    head(stream, "200 OK", &format!("Content-Length: {}\r\n", bytes.len())).await?;
    stream.write_all(bytes).await
}

async fn answer(stream: &mut TcpStream, request: &Request, answering: Answering) -> io::Result<()> {
    match answering {
        Answering::File(path) => send(stream, &path).await,
        Answering::Bytes(bytes) => whole(stream, &bytes).await,
        Answering::Guarded { field, value, bytes } if request.fields.get(field) == Some(&value) => whole(stream, &bytes).await,
        Answering::Guarded { .. } => head(stream, "401 Unauthorized", "WWW-Authenticate: Basic realm=\"x\"\r\nContent-Length: 0\r\n").await,
        Answering::Endless => {
            head(stream, "200 OK", "").await?;
            loop {
                stream.write_all(&[b'x'; CHUNK_BYTES]).await?;
            }
        }
        Answering::Announced(length) => {
            head(stream, "200 OK", &format!("Content-Length: {length}\r\n")).await?;
            pending().await
        }
        Answering::Trickle => {
            head(stream, "200 OK", "").await?;
            loop {
                stream.write_all(b"x").await?;
                tokio::time::sleep(TRICKLE).await;
            }
        }
        Answering::Silent => pending().await,
        Answering::Redirect(to) => head(stream, "302 Found", &format!("Location: {to}\r\nContent-Length: 0\r\n")).await,
        Answering::Nowhere => head(stream, "302 Found", "Content-Length: 0\r\n").await,
        Answering::Status(status) => head(stream, &format!("{status} As asked"), "Content-Length: 0\r\n").await,
        Answering::CutShort(bytes) => {
            head(stream, "200 OK", &format!("Content-Length: {}\r\n", bytes.len() + 1)).await?;
            stream.write_all(&bytes).await
        }
        Answering::Noise => stream.write_all(b"SSH-2.0-OpenSSH_9.9\r\n").await,
    }
}

async fn send(stream: &mut TcpStream, path: &Path) -> io::Result<()> {
    let mut file = tokio::fs::File::open(path).await?;
    head(stream, "200 OK", &format!("Content-Length: {}\r\n", file.metadata().await?.len())).await?;
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        match file.read(&mut chunk).await? {
            0 => return Ok(()),
            read => stream.write_all(&chunk[..read]).await?,
        }
    }
}
