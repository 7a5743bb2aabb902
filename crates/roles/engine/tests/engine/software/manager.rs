//! A manager's device API as far as archives go: mutual TLS, one connection a request, ranges.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use weir_net::{
    identity::{Authority, KeyPair, Subject, subject_of},
    tls::{ClientAuth, server_config},
};
use weir_telemetry::Tasks;

/// What it has at every archive's path.
#[derive(Clone)]
pub(super) enum Says {
    The(Vec<u8>),
    NotFound,
}

pub(super) struct Manager {
    pub(super) address: SocketAddr,
    authority: Authority,
    seen: Arc<Mutex<Vec<String>>>,
    _tasks: Tasks,
}

impl Manager {
    pub(super) async fn start(says: Says) -> Self {
        let authority = Authority::create("test", weir_clock::wall()).expect("a CA");
        let own = issue(&authority, "manager-1", "manager");
        let chain = format!("{}{}", own.certificate_pem, authority.certificate_pem());
        let auth = ClientAuth::Optional { ca_pem: authority.certificate_pem() };
        let acceptor = TlsAcceptor::from(server_config(&chain, &own.key_pem, auth, &[b"h2", b"http/1.1"]).expect("a configuration"));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let address = listener.local_addr().expect("address");
        let (seen, tasks) = (Arc::<Mutex<Vec<String>>>::default(), Tasks::new());
        let (log, inner) = (seen.clone(), tasks.clone());
        tasks.spawn("manager", async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, says, log) = (acceptor.clone(), says.clone(), log.clone());
                inner.spawn("manager connection", async move {
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    answer(stream, &says, &log).await;
                });
            }
        });
        Self { address, authority, seen, _tasks: tasks }
    }

    pub(super) fn ca(&self) -> &str {
        self.authority.certificate_pem()
    }

    pub(super) fn identity(&self, engine: &str) -> KeyPair {
        issue(&self.authority, engine, "engine")
    }

    /// Who asked for what, in order.
    pub(super) fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn issue(authority: &Authority, device: &str, role: &str) -> KeyPair {
    let subject = Subject { device: device.into(), role: role.into() };
    authority.issue(&subject, &["127.0.0.1".parse().expect("an address")], weir_clock::wall()).expect("issued")
}

async fn answer(mut stream: TlsStream<TcpStream>, says: &Says, log: &Mutex<Vec<String>>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let Ok(byte) = stream.read_u8().await else { return };
        head.push(byte);
    }
    let who = stream.get_ref().1.peer_certificates().and_then(|chain| subject_of(&chain[0]).ok());
    let text = String::from_utf8(head).expect("text").to_lowercase();
    let line = text.split(" http/1.1\r\n").next().expect("a line").replacen("get", "GET", 1).replacen("head", "HEAD", 1);
    let who = who.map_or_else(|| "nobody".to_owned(), |subject| subject.device);
    log.lock().unwrap_or_else(PoisonError::into_inner).push(format!("{who} {line}"));
    let range = text.lines().find_map(|line| line.strip_prefix("range: bytes=")?.strip_suffix('-')?.parse::<usize>().ok());
    let own = "set-cookie: a=b\r\ncache-control: no-store\r\nconnection: close\r\n";
    let (head, body): (String, &[u8]) = match (says, range) {
        (Says::NotFound, _) => (format!("HTTP/1.1 404 X\r\n{own}content-length: 2\r\n\r\n"), b"no"),
        (Says::The(content), None) => (format!("HTTP/1.1 200 X\r\n{own}content-length: {}\r\n\r\n", content.len()), content),
        (Says::The(content), Some(from)) => {
            let whole = content.len();
            let range = format!("content-range: bytes {from}-{}/{whole}\r\ncontent-length: {}\r\n", whole - 1, whole - from);
            (format!("HTTP/1.1 206 X\r\n{own}{range}\r\n"), &content[from..])
        }
    };
    let body = if line.starts_with("HEAD") { &[] } else { body };
    // The engine may hang up; what that means is the test's to see at the other end.
    drop(stream.write_all(head.as_bytes()).await);
    drop(stream.write_all(body).await);
    drop(stream.shutdown().await);
}
