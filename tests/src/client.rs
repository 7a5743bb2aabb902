//! A viewer's HTTP/1.1, or 1.0: one request on one connection, from a chosen loopback address, redirects followed by hand.

use std::{
    io::{Error, ErrorKind, Result},
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpSocket, TcpStream},
    time::timeout,
};

/// A client of zone west: 127.128.0.0/9.
pub const WEST: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 128, 0, 1));
/// A client of zone east: the rest of 127/8.
pub const EAST: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 1));
/// Patience for one request, its body included.
const PATIENCE: Duration = Duration::from_secs(20);
/// Bytes read at once.
const READ_BYTES: usize = 64 * 1024;
/// Longest line of a head that is read, in bytes.
const LINE_BYTES_MAX: usize = 64 * 1024;
/// Redirects followed for one request.
const REDIRECTS_MAX: u32 = 3;

/// A client at one address.
#[derive(Debug, Clone, Copy)]
pub struct Client {
    source: IpAddr,
    patience: Duration,
}

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Ask<'a> {
    method: &'a str,
    target: &'a str,
    host: Option<&'a str>,
    fields: Vec<(&'a str, String)>,
    old: bool,
}

impl<'a> Ask<'a> {
    /// GET.
    pub fn get(target: &'a str) -> Self {
        Self { method: "GET", target, host: None, fields: Vec::new(), old: false }
    }

    /// HEAD.
    pub fn head(target: &'a str) -> Self {
        Self { method: "HEAD", ..Self::get(target) }
    }

    /// With this Host instead of the address that is asked.
    #[must_use]
    pub fn host(mut self, host: &'a str) -> Self {
        self.host = Some(host);
        self
    }

    /// As HTTP/1.0, with Host as those clients send it.
    #[must_use]
    pub fn old(mut self) -> Self {
        self.old = true;
        self
    }

    /// With a field.
    #[must_use]
    pub fn field(mut self, name: &'a str, value: impl Into<String>) -> Self {
        self.fields.push((name, value.into()));
        self
    }
}

/// The head of an answer.
#[derive(Debug, Clone)]
pub struct Head {
    /// Status code.
    pub status: u16,
    fields: Vec<(String, String)>,
}

impl Head {
    /// The field's value; those of a repeated field joined by commas, nearest the client last.
    pub fn field(&self, name: &str) -> Option<String> {
        let values: Vec<&str> = self.fields.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str()).collect();
        (!values.is_empty()).then(|| values.join(", "))
    }

    /// A field that must be there.
    ///
    /// # Panics
    /// When it is not.
    pub fn must(&self, name: &str) -> String {
        self.field(name).unwrap_or_else(|| panic!("no {name} in {self:?}"))
    }
}

/// A whole answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Its head.
    pub head: Head,
    /// Its body.
    pub body: Vec<u8>,
}

impl Answer {
    /// Status code.
    pub fn status(&self) -> u16 {
        self.head.status
    }

    /// The body as text.
    ///
    /// # Panics
    /// When it is not UTF-8.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("a text body is UTF-8")
    }
}

/// How the end of a body is known.
#[derive(Debug)]
enum Framing {
    Length(u64),
    Chunked,
    Close,
    Done,
}

/// An answer whose body is still coming.
pub struct Reading {
    stream: BufReader<TcpStream>,
    /// Its head.
    pub head: Head,
    framing: Framing,
}

fn bad(text: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidData, text.into())
}

impl Client {
    /// A client at `source`.
    pub fn at(source: IpAddr) -> Self {
        Self { source, patience: PATIENCE }
    }

    /// A client of zone west.
    pub fn west() -> Self {
        Self::at(WEST)
    }

    /// A client of zone east.
    pub fn east() -> Self {
        Self::at(EAST)
    }

    /// Its address.
    pub fn source(&self) -> IpAddr {
        self.source
    }

    /// With another patience for one request.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Connects.
    pub async fn connect(&self, address: SocketAddr) -> Result<TcpStream> {
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddr::new(self.source, 0))?;
        let stream = timeout(self.patience, socket.connect(address)).await??;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    /// Sends a request and reads the head of the answer.
    pub async fn open(&self, address: SocketAddr, ask: &Ask<'_>) -> Result<Reading> {
        let mut stream = self.connect(address).await?;
        let host = ask.host.map_or_else(|| address.to_string(), str::to_owned);
        let mut request = match ask.old {
            true => format!("{} {} HTTP/1.0\r\nHost: {host}\r\n", ask.method, ask.target),
            false => format!("{} {} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n", ask.method, ask.target),
        };
        for (name, value) in &ask.fields {
            request += &format!("{name}: {value}\r\n");
        }
        request += "\r\n";
        stream.write_all(request.as_bytes()).await?;
        let mut stream = BufReader::with_capacity(READ_BYTES, stream);
        let head = timeout(self.patience, read_head(&mut stream)).await??;
        let framing = framing(ask.method, &head)?;
        Ok(Reading { stream, head, framing })
    }

    /// Sends a request and reads the whole answer.
    pub async fn ask(&self, address: SocketAddr, ask: &Ask<'_>) -> Result<Answer> {
        let whole = async {
            let reading = self.open(address, ask).await?;
            if ask.old { reading.whole_and_closed().await } else { reading.whole().await }
        };
        timeout(self.patience, whole).await?
    }

    /// GET.
    pub async fn get(&self, address: SocketAddr, target: &str) -> Result<Answer> {
        self.ask(address, &Ask::get(target)).await
    }

    /// Where a router sends this client for `target`: the engine, and the target there.
    pub async fn route(&self, router: SocketAddr, target: &str) -> Result<(SocketAddr, String)> {
        let answer = self.get(router, target).await?;
        location(&answer)?.ok_or_else(|| bad(format!("the router answered {}: {}", answer.status(), String::from_utf8_lossy(&answer.body))))
    }

    /// Asks, follows redirects, and says who answered and under which target.
    pub async fn follow(&self, address: SocketAddr, ask: &Ask<'_>) -> Result<(SocketAddr, String, Answer)> {
        let (mut address, mut target) = (address, ask.target.to_owned());
        for _ in 0..=REDIRECTS_MAX {
            let here = Ask { target: &target, ..ask.clone() };
            let answer = self.ask(address, &here).await.map_err(|error| Error::new(error.kind(), format!("{address}: {error}")))?;
            match location(&answer)? {
                Some(next) => (address, target) = next,
                None => return Ok((address, target, answer)),
            }
        }
        Err(bad("too many redirects"))
    }
}

/// Address and target of a redirect.
fn location(answer: &Answer) -> Result<Option<(SocketAddr, String)>> {
    if !matches!(answer.status(), 302 | 307) {
        return Ok(None);
    }
    let location = answer.head.field("Location").ok_or_else(|| bad("a redirect without Location"))?;
    let rest = location.strip_prefix("http://").ok_or_else(|| bad(format!("Location {location} is not http")))?;
    let slash = rest.find('/').ok_or_else(|| bad(format!("Location {location} has no path")))?;
    let address = rest[..slash].parse().map_err(|_| bad(format!("Location {location} has no address")))?;
    Ok(Some((address, rest[slash..].to_owned())))
}

async fn read_line(stream: &mut BufReader<TcpStream>) -> Result<String> {
    let mut line = Vec::new();
    let count = stream.take(LINE_BYTES_MAX as u64).read_until(b'\n', &mut line).await?;
    if count == 0 {
        return Err(ErrorKind::UnexpectedEof.into());
    }
    let line = line.strip_suffix(b"\r\n").ok_or_else(|| bad("a line without CRLF"))?;
    String::from_utf8(line.to_vec()).map_err(|_| bad("a head that is not UTF-8"))
}

async fn read_head(stream: &mut BufReader<TcpStream>) -> Result<Head> {
    let line = read_line(stream).await?;
    let status = line.strip_prefix("HTTP/1.1 ").and_then(|l| l.get(..3)).and_then(|s| s.parse().ok());
    let status = status.ok_or_else(|| bad(format!("status line {line:?}")))?;
    let mut fields = Vec::new();
    loop {
        let line = read_line(stream).await?;
        if line.is_empty() {
            return Ok(Head { status, fields });
        }
        let (name, value) = line.split_once(':').ok_or_else(|| bad(format!("field line {line:?}")))?;
        fields.push((name.to_owned(), value.trim().to_owned()));
    }
}

/// RFC 9112 section 6.3.
fn framing(method: &str, head: &Head) -> Result<Framing> {
    if method == "HEAD" || head.status == 204 || head.status == 304 {
        return Ok(Framing::Close);
    }
    if head.field("Transfer-Encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked")) {
        return Ok(Framing::Chunked);
    }
    match head.field("Content-Length") {
        Some(length) => length.parse().map(Framing::Length).map_err(|_| bad(format!("Content-Length {length}"))),
        None => Ok(Framing::Close),
    }
}

impl Reading {
    /// The next bytes of the body; `None` at its end. A body that breaks off is an error.
    pub async fn some(&mut self) -> Result<Option<Vec<u8>>> {
        match self.framing {
            Framing::Done => Ok(None),
            Framing::Length(0) => self.end(),
            Framing::Length(left) => {
                let bytes = self.at_most(left).await?;
                self.framing = Framing::Length(left - bytes.len() as u64);
                Ok(Some(bytes))
            }
            Framing::Close => {
                let mut bytes = vec![0; READ_BYTES];
                let count = self.stream.read(&mut bytes).await?;
                bytes.truncate(count);
                if count == 0 { self.end() } else { Ok(Some(bytes)) }
            }
            Framing::Chunked => self.chunk().await,
        }
    }

    fn end(&mut self) -> Result<Option<Vec<u8>>> {
        self.framing = Framing::Done;
        Ok(None)
    }

    async fn at_most(&mut self, left: u64) -> Result<Vec<u8>> {
        let mut bytes = vec![0; usize::try_from(left).unwrap_or(READ_BYTES).min(READ_BYTES)];
        let count = self.stream.read(&mut bytes).await?;
        if count == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        bytes.truncate(count);
        Ok(bytes)
    }

    async fn chunk(&mut self) -> Result<Option<Vec<u8>>> {
        let line = read_line(&mut self.stream).await?;
        let size =
            usize::from_str_radix(line.split(';').next().unwrap_or_default(), 16).map_err(|_| bad(format!("chunk size {line:?}")))?;
        if size == 0 {
            while !read_line(&mut self.stream).await?.is_empty() {}
            return self.end();
        }
        let mut bytes = vec![0; size];
        self.stream.read_exact(&mut bytes).await?;
        let end = read_line(&mut self.stream).await?;
        if end.is_empty() { Ok(Some(bytes)) } else { Err(bad("a chunk that is longer than it says")) }
    }

    /// The rest of the body, of an answer behind which its connection ends.
    async fn whole_and_closed(mut self) -> Result<Answer> {
        let mut body = Vec::new();
        while let Some(bytes) = self.some().await? {
            body.extend_from_slice(&bytes);
        }
        match self.stream.read(&mut [0]).await? {
            0 => Ok(Answer { head: self.head, body }),
            _ => Err(bad("bytes behind the answer")),
        }
    }

    /// The rest of the body.
    pub async fn whole(mut self) -> Result<Answer> {
        let mut body = Vec::new();
        while let Some(bytes) = self.some().await? {
            body.extend_from_slice(&bytes);
        }
        Ok(Answer { head: self.head, body })
    }
}
