//! A DNS client with its own reading of the wire format (RFC 1035, 6891, 7871), so that the router's is not its own oracle.

use anyhow::{Context, bail, ensure};
use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::atomic::{AtomicU16, Ordering},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream, UdpSocket},
    time::timeout,
};

/// Patience for one answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// Size of a datagram this client takes, and what its EDNS says.
const DATAGRAM_BYTES: u16 = 1232;
/// Compression pointers followed in one name.
const POINTERS_MAX: u32 = 16;

/// Types of RFC 1035, 3596 and 6891, by number.
pub mod kind {
    #![allow(missing_docs, reason = "the names of RFC 1035, 3596 and 6891")]
    pub const A: u16 = 1;
    pub const NS: u16 = 2;
    pub const SOA: u16 = 6;
    pub const MX: u16 = 15;
    pub const TXT: u16 = 16;
    pub const AAAA: u16 = 28;
    pub const OPT: u16 = 41;
}

/// Response codes, by number.
pub mod code {
    #![allow(missing_docs, reason = "the names of RFC 1035 and 6891")]
    pub const NOERROR: u16 = 0;
    pub const FORMERR: u16 = 1;
    pub const NXDOMAIN: u16 = 3;
    pub const REFUSED: u16 = 5;
    pub const BADVERS: u16 = 16;
}

/// A network the question is asked for (RFC 7871).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subnet {
    /// An address in it.
    pub address: IpAddr,
    /// Bits of it that are told.
    pub prefix: u8,
}

/// A question.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// What for, in the case it is to be asked in.
    pub name: &'a str,
    /// Its type.
    pub kind: u16,
    /// Whom it is asked for; none: without EDNS.
    pub subnet: Option<Subnet>,
}

/// What a record says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Data {
    /// A or AAAA.
    Address(IpAddr),
    /// NS.
    Name(String),
    /// SOA: primary, serial and minimum.
    Soa(String, u32, u32),
    /// Anything else.
    Other(Vec<u8>),
}

/// A record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Owner, in the case it came in.
    pub name: String,
    /// Type.
    pub kind: u16,
    /// Seconds it may be kept.
    pub ttl: u32,
    /// What it says.
    pub data: Data,
}

/// An answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answer {
    /// Code, with EDNS's upper bits.
    pub code: u16,
    /// The server says that it is the authority.
    pub authoritative: bool,
    /// It did not fit.
    pub truncated: bool,
    /// The question as it came back.
    pub question: String,
    /// Sections.
    pub answers: Vec<Record>,
    /// Authority section.
    pub authority: Vec<Record>,
    /// Additional section without OPT.
    pub additional: Vec<Record>,
    /// Source and scope of the client subnet that came back.
    pub subnet: Option<(u8, u8)>,
    /// Whether there was an OPT record.
    pub edns: bool,
}

impl Answer {
    /// Addresses of the answer section.
    pub fn addresses(&self) -> Vec<IpAddr> {
        self.answers.iter().filter_map(|r| if let Data::Address(address) = r.data { Some(address) } else { None }).collect()
    }

    /// Names that NS records of the answer section give.
    pub fn name_servers(&self) -> Vec<String> {
        self.answers.iter().filter_map(|r| if let Data::Name(name) = &r.data { Some(name.clone()) } else { None }).collect()
    }

    /// The SOA of the authority section: how a negative answer says how long it may be kept (RFC 2308 section 3).
    pub fn soa(&self) -> Option<&Record> {
        self.authority.iter().find(|record| record.kind == kind::SOA)
    }
}

impl<'a> Question<'a> {
    /// Without EDNS.
    pub fn new(name: &'a str, kind: u16) -> Self {
        Self { name, kind, subnet: None }
    }

    /// Asked for `address/prefix`.
    #[must_use]
    pub fn of(mut self, address: IpAddr, prefix: u8) -> Self {
        self.subnet = Some(Subnet { address, prefix });
        self
    }

    /// The datagram.
    pub fn encode(&self, id: u16) -> Vec<u8> {
        let mut out = id.to_be_bytes().to_vec();
        out.extend([0, 0, 0, 1, 0, 0, 0, 0, 0, u8::from(self.subnet.is_some())]);
        for label in self.name.split('.').filter(|label| !label.is_empty()) {
            out.push(u8::try_from(label.len()).expect("test labels are short"));
            out.extend_from_slice(label.as_bytes());
        }
        out.push(0);
        out.extend(self.kind.to_be_bytes());
        out.extend(1u16.to_be_bytes());
        if let Some(subnet) = self.subnet {
            out.extend(opt(subnet));
        }
        out
    }

    /// Asks over UDP from `source`, and again over TCP when the answer did not fit.
    pub async fn ask(&self, server: SocketAddr, source: IpAddr) -> anyhow::Result<Answer> {
        let answer = self.ask_udp(server, source).await?;
        if answer.truncated { self.ask_tcp(server, source).await } else { Ok(answer) }
    }

    /// Asks over UDP.
    pub async fn ask_udp(&self, server: SocketAddr, source: IpAddr) -> anyhow::Result<Answer> {
        let id = next_id();
        let answer = exchange(server, source, &self.encode(id)).await.with_context(|| format!("ask {server} for {}", self.name))?;
        read(&answer.context("no answer")?, id)
    }

    /// Asks over TCP.
    pub async fn ask_tcp(&self, server: SocketAddr, source: IpAddr) -> anyhow::Result<Answer> {
        let id = next_id();
        let mut stream = connect(server, source).await?;
        send_framed(&mut stream, &self.encode(id)).await?;
        read(&timeout(PATIENCE, read_framed(&mut stream)).await.context("no answer over TCP")??, id)
    }
}

/// Connects to a server from `source`.
pub async fn connect(server: SocketAddr, source: IpAddr) -> anyhow::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::new(source, 0))?;
    Ok(timeout(PATIENCE, socket.connect(server)).await??)
}

/// Writes a message behind its length (RFC 1035 section 4.2.2).
pub async fn send_framed(stream: &mut TcpStream, message: &[u8]) -> anyhow::Result<()> {
    let mut framed = u16::try_from(message.len())?.to_be_bytes().to_vec();
    framed.extend_from_slice(message);
    Ok(stream.write_all(&framed).await?)
}

/// Reads the next message.
pub async fn read_framed(stream: &mut TcpStream) -> anyhow::Result<Vec<u8>> {
    let mut message = vec![0; usize::from(stream.read_u16().await?)];
    stream.read_exact(&mut message).await?;
    Ok(message)
}

/// Sends one datagram and takes the next one that comes; `None` when none does.
pub async fn exchange(server: SocketAddr, source: IpAddr, query: &[u8]) -> anyhow::Result<Option<Vec<u8>>> {
    let socket = UdpSocket::bind(SocketAddr::new(source, 0)).await?;
    socket.connect(server).await?;
    socket.send(query).await?;
    let mut answer = vec![0; usize::from(u16::MAX)];
    match timeout(PATIENCE, socket.recv(&mut answer)).await {
        Ok(count) => {
            answer.truncate(count?);
            Ok(Some(answer))
        }
        Err(_) => Ok(None),
    }
}

fn next_id() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// OPT with a client subnet (RFC 7871 section 6): as many bytes of the address as the prefix touches, the rest of the last one zero.
fn opt(subnet: Subnet) -> Vec<u8> {
    let (family, mut bytes): (u16, Vec<u8>) = match subnet.address {
        IpAddr::V4(address) => (1, address.octets().to_vec()),
        IpAddr::V6(address) => (2, address.octets().to_vec()),
    };
    bytes.truncate(usize::from(subnet.prefix).div_ceil(8));
    if let (Some(last), spare @ 1..) = (bytes.last_mut(), (8 - subnet.prefix % 8) % 8) {
        *last &= 0xff << spare;
    }
    let length = |n: usize| u16::try_from(n).expect("short").to_be_bytes();
    let mut out = vec![0];
    out.extend(kind::OPT.to_be_bytes());
    out.extend(DATAGRAM_BYTES.to_be_bytes());
    out.extend([0; 4]);
    out.extend(length(8 + bytes.len()));
    out.extend(8u16.to_be_bytes());
    out.extend(length(4 + bytes.len()));
    out.extend(family.to_be_bytes());
    out.extend([subnet.prefix, 0]);
    out.extend(bytes);
    out
}

struct Reader<'a> {
    message: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> anyhow::Result<&'a [u8]> {
        let bytes = self.message.get(self.at..self.at + count).context("a message that breaks off")?;
        self.at += count;
        Ok(bytes)
    }

    fn number(&mut self) -> anyhow::Result<u16> {
        Ok(u16::from_be_bytes(self.take(2)?.try_into()?))
    }

    fn long(&mut self) -> anyhow::Result<u32> {
        Ok(u32::from_be_bytes(self.take(4)?.try_into()?))
    }

    fn name(&mut self) -> anyhow::Result<String> {
        let (mut labels, mut back, mut pointers) = (Vec::new(), None, 0);
        loop {
            let length = self.take(1)?[0];
            match length {
                0 => break,
                1..=63 => labels.push(String::from_utf8(self.take(usize::from(length))?.to_vec())?),
                192.. => {
                    let target = usize::from(length & 63) << 8 | usize::from(self.take(1)?[0]);
                    back.get_or_insert(self.at);
                    pointers += 1;
                    ensure!(pointers <= POINTERS_MAX, "pointers go round");
                    self.at = target;
                }
                _ => bail!("label type {length}"),
            }
        }
        self.at = back.unwrap_or(self.at);
        Ok(labels.join("."))
    }
}

/// Reads an answer to the query with this id.
pub fn read(message: &[u8], id: u16) -> anyhow::Result<Answer> {
    let mut reader = Reader { message, at: 0 };
    ensure!(reader.number()? == id, "an answer with another id");
    let flags = reader.number()?;
    ensure!(flags & 0x8000 != 0, "a query came back");
    ensure!(flags & 0x0080 == 0, "an authoritative server offers no recursion");
    let counts = [reader.number()?, reader.number()?, reader.number()?, reader.number()?];
    let mut answer = Answer { code: flags & 15, authoritative: flags & 0x0400 != 0, truncated: flags & 0x0200 != 0, ..Answer::default() };
    if counts[0] == 1 {
        answer.question = reader.name()?;
        reader.take(4)?;
    }
    for (section, count) in counts.into_iter().enumerate().skip(1) {
        for _ in 0..count {
            let record = record(&mut reader, &mut answer)?;
            match section {
                1 => answer.answers.extend(record),
                2 => answer.authority.extend(record),
                _ => answer.additional.extend(record),
            }
        }
    }
    ensure!(reader.at == message.len(), "{} bytes behind the answer", message.len() - reader.at);
    Ok(answer)
}

/// The next record; none when it was OPT, which is noted.
fn record(reader: &mut Reader<'_>, answer: &mut Answer) -> anyhow::Result<Option<Record>> {
    let name = reader.name()?;
    let kind = reader.number()?;
    let class = reader.number()?;
    let ttl = reader.long()?;
    let length = usize::from(reader.number()?);
    let end = reader.at + length;
    if kind == kind::OPT {
        answer.edns = true;
        answer.code |= u16::try_from(ttl >> 24)? << 4;
        while reader.at < end {
            let (option, length) = (reader.number()?, usize::from(reader.number()?));
            let bytes = reader.take(length)?;
            if option == 8 {
                answer.subnet = Some((*bytes.get(2).context("source")?, *bytes.get(3).context("scope")?));
            }
        }
        return Ok(None);
    }
    ensure!(class == 1, "class {class}");
    let data = match kind {
        kind::A => Data::Address(Ipv4Addr::from(<[u8; 4]>::try_from(reader.take(length)?)?).into()),
        kind::AAAA => Data::Address(Ipv6Addr::from(<[u8; 16]>::try_from(reader.take(length)?)?).into()),
        kind::NS => Data::Name(reader.name()?),
        kind::SOA => {
            let primary = reader.name()?;
            reader.name()?;
            let serial = reader.long()?;
            reader.take(12)?;
            Data::Soa(primary, serial, reader.long()?)
        }
        _ => Data::Other(reader.take(length)?.to_vec()),
    };
    ensure!(reader.at == end, "a record that is not as long as it says");
    Ok(Some(Record { name, kind, ttl, data }))
}
