//! A client that notices everything.

use std::{io, net::SocketAddr, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
};

/// Longest a test waits for anything.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
    }

    /// All lines of a field, joined as a list.
    pub(crate) fn list(&self, name: &str) -> String {
        let values: Vec<&str> = self.fields.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str()).collect();
        values.join(", ")
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("text")
    }
}

enum Framing {
    None,
    Length(u64),
    Chunked,
    Close,
}

/// A response being read.
pub(crate) struct Incoming {
    stream: TcpStream,
    pub(crate) reply: Reply,
    framing: Framing,
}

impl Incoming {
    /// Sends a request and reads the response's head.
    pub(crate) async fn ask(address: SocketAddr, method: &str, host: &str, target: &str, fields: &str) -> io::Result<Self> {
        Self::over(TcpStream::connect(address).await?, method, host, target, fields).await
    }

    /// The same over a connection that is made already.
    pub(crate) async fn over(mut stream: TcpStream, method: &str, host: &str, target: &str, fields: &str) -> io::Result<Self> {
        stream.write_all(format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\n{fields}\r\n").as_bytes()).await?;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await?);
        }
        let text = String::from_utf8(head).expect("text");
        let mut lines = text.trim_end().split("\r\n");
        let status = lines.next().expect("a line").split(' ').nth(1).expect("status").parse().expect("a number");
        let fields = lines.map(|l| l.split_once(": ").map(|(n, v)| (n.to_owned(), v.to_owned())).expect("a field")).collect();
        let reply = Reply { status, fields, body: Vec::new() };
        let framing = match (reply.field("transfer-encoding"), reply.field("content-length")) {
            _ if method == "HEAD" || status == 304 || status == 204 => Framing::None,
            (Some("chunked"), None) => Framing::Chunked,
            (None, Some(length)) => Framing::Length(length.parse().expect("a number")),
            (None, None) => Framing::Close,
            both => panic!("ambiguous framing {both:?}"),
        };
        Ok(Self { stream, reply, framing })
    }

    /// Reads `count` bytes of the body of known length.
    pub(crate) async fn some(&mut self, count: usize) -> io::Result<()> {
        let at = self.reply.body.len();
        self.reply.body.resize(at + count, 0);
        self.stream.read_exact(&mut self.reply.body[at..]).await.map(drop)
    }

    /// Reads the rest; an error when the body ends before its framing says so.
    pub(crate) async fn rest(mut self) -> io::Result<Reply> {
        match self.framing {
            Framing::None => {}
            Framing::Length(length) => {
                let left = usize::try_from(length).expect("fits") - self.reply.body.len();
                self.some(left).await?;
            }
            Framing::Close => drop(self.stream.read_to_end(&mut self.reply.body).await?),
            Framing::Chunked => loop {
                let mut line = Vec::new();
                while !line.ends_with(b"\r\n") {
                    line.push(self.stream.read_u8().await?);
                }
                let size = usize::from_str_radix(std::str::from_utf8(&line).expect("text").trim_end(), 16).expect("a size");
                self.some(size).await?;
                self.stream.read_u16().await?;
                if size == 0 {
                    break;
                }
            },
        }
        Ok(self.reply)
    }
}

/// Asks the demo service and reads the whole answer.
pub(crate) async fn ask(address: SocketAddr, method: &str, target: &str, fields: &str) -> Reply {
    let whole = async { Incoming::ask(address, method, "demo.weir.test", target, fields).await?.rest().await };
    tokio::time::timeout(PATIENCE, whole).await.expect("in time").expect("a whole response")
}

/// Asks the demo service with GET from another address of this machine.
pub(crate) async fn ask_from(source: &str, address: SocketAddr, target: &str, fields: &str) -> Reply {
    let whole = async {
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddr::new(source.parse().expect("an address"), 0))?;
        Incoming::over(socket.connect(address).await?, "GET", "demo.weir.test", target, fields).await?.rest().await
    };
    tokio::time::timeout(PATIENCE, whole).await.expect("in time").expect("a whole response")
}

/// GET without fields.
pub(crate) async fn get(address: SocketAddr, target: &str) -> Reply {
    ask(address, "GET", target, "").await
}
