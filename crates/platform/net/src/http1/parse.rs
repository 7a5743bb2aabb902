//! Judges a complete head (RFC 9112): what comes out is unambiguous, everything else is a [`Refusal`].

use super::{
    FIELDS_MAX, Fields, HeadScan, HeadSpan, HttpVersion, Limits, Refusal, Request, Target,
    host::parse_authority,
    request::{FieldSpan, Span},
};
use bytes::Bytes;
use std::{mem::MaybeUninit, net::SocketAddr};

/// How the body of a request is delimited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Framing {
    /// There is none.
    #[default]
    None,
    /// By Content-Length, in bytes.
    Length(u64),
    /// By `Transfer-Encoding: chunked`.
    Chunked,
}

/// A judged head, as offsets into the bytes it was read from. Reused from request to request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Head {
    method: Span,
    path: Span,
    query: Option<Span>,
    authority: Span,
    host: Span,
    port: Option<u16>,
    version: HttpVersion,
    fields: Vec<FieldSpan>,
    framing: Framing,
    keep_alive: bool,
    expects_continue: bool,
}

/// How far a head got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// More bytes are needed.
    Incomplete,
    /// The head ends before this byte.
    Complete(usize),
}

/// Judges the head at the start of `bytes` and describes it in `head`. Pure: the same bytes give the same verdict however
/// they arrived.
pub fn parse_head(bytes: &[u8], limits: &Limits, head: &mut Head) -> Result<Progress, Refusal> {
    match HeadScan::default().advance(bytes, limits)? {
        None => Ok(Progress::Incomplete),
        Some(span) => head.read(bytes, span, limits).map(|()| Progress::Complete(span.end)),
    }
}

impl Head {
    /// Judges the head the scan found at `span`.
    pub(crate) fn read(&mut self, bytes: &[u8], span: HeadSpan, limits: &Limits) -> Result<(), Refusal> {
        self.fields.clear();
        let bytes = &bytes[..span.end];
        let mut slots = [const { MaybeUninit::uninit() }; FIELDS_MAX];
        let slots = &mut slots[..limits.header_fields.min(FIELDS_MAX)];
        let mut parsed = httparse::Request::new(&mut []);
        let text = &bytes[span.start..];
        match parsed.parse_with_uninit_headers(text, slots) {
            Ok(httparse::Status::Complete(length)) if length == text.len() => {}
            Ok(_) => return Err(Refusal::BadRequestLine),
            Err(error) => return Err(refusal_of(error, text)),
        }
        let (Some(method), Some(target), Some(minor)) = (parsed.method, parsed.path, parsed.version) else {
            return Err(Refusal::BadRequestLine);
        };
        self.version = if minor == 0 { HttpVersion::Http10 } else { HttpVersion::Http11 };
        self.method = span_in(bytes, method.as_bytes());
        for field in parsed.headers.iter() {
            self.fields.push(FieldSpan { name: span_in(bytes, field.name.as_bytes()), value: span_in(bytes, field.value) });
        }
        let marks = Marks::of(parsed.headers)?;
        self.read_target(bytes, method, target.as_bytes(), marks.host, limits)?;
        self.framing = marks.framing(self.version)?;
        self.keep_alive = match self.version {
            HttpVersion::Http11 => !marks.close,
            HttpVersion::Http10 => marks.keep_alive && !marks.close,
        };
        self.expects_continue = marks.expects_continue && self.version == HttpVersion::Http11;
        Ok(())
    }

    /// RFC 9112 3.2: origin-form, absolute-form, and `*` for OPTIONS; with it the authority the request is for.
    fn read_target(&mut self, bytes: &[u8], method: &str, target: &[u8], host: Option<&[u8]>, limits: &Limits) -> Result<(), Refusal> {
        if method == "CONNECT" {
            return Err(Refusal::Connect);
        }
        if target.len() > limits.target_bytes {
            return Err(Refusal::TargetTooLong);
        }
        if !target.iter().all(|byte| (0x21..0x7f).contains(byte) && *byte != b'#') {
            return Err(Refusal::BadTarget);
        }
        let authority = match (host, self.version) {
            (Some(host), _) => Some(host),
            (None, HttpVersion::Http11) => return Err(Refusal::MissingHost),
            (None, HttpVersion::Http10) => None,
        };
        self.set_authority(bytes, authority)?;
        let path = match target {
            [b'/', ..] => target,
            b"*" if method == "OPTIONS" => target,
            _ => self.read_absolute(bytes, target, authority.is_some())?,
        };
        let cut = path.iter().position(|byte| *byte == b'?');
        self.path = span_in(bytes, &path[..cut.unwrap_or(path.len())]);
        self.query = cut.map(|at| span_in(bytes, &path[at + 1..]));
        Ok(())
    }

    /// An absolute target's authority takes the place of Host (RFC 9112 3.2.2); one that differs from Host is refused.
    fn read_absolute<'t>(&mut self, bytes: &[u8], target: &'t [u8], has_host: bool) -> Result<&'t [u8], Refusal> {
        let (rest, default_port) = if starts_with(target, b"http://") {
            (&target[7..], 80)
        } else if starts_with(target, b"https://") {
            (&target[8..], 443)
        } else {
            return Err(Refusal::BadTarget);
        };
        let end = rest.iter().position(|byte| matches!(byte, b'/' | b'?')).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let (sent_host, sent_port) = (self.host, self.port);
        self.set_authority(bytes, Some(authority)).map_err(|_| Refusal::BadTarget)?;
        let same = self.host.bytes(bytes).eq_ignore_ascii_case(sent_host.bytes(bytes))
            && self.port.unwrap_or(default_port) == sent_port.unwrap_or(default_port);
        if has_host && !same { Err(Refusal::HostMismatch) } else { Ok(path) }
    }

    fn set_authority(&mut self, bytes: &[u8], authority: Option<&[u8]>) -> Result<(), Refusal> {
        let Some(authority) = authority else {
            (self.authority, self.host, self.port) = (Span::default(), Span::default(), None);
            return Ok(());
        };
        let parts = parse_authority(authority)?;
        self.authority = span_in(bytes, authority);
        self.host = span_in(bytes, &authority[parts.host]);
        self.port = parts.port;
        Ok(())
    }

    /// Where the authority lies, so that the connection can make it lower case in its buffer.
    pub(crate) fn authority_range(&self) -> std::ops::Range<usize> {
        self.authority.start as usize..self.authority.end as usize
    }

    /// How the body is delimited.
    pub fn framing(&self) -> Framing {
        self.framing
    }

    /// Whether the client wants the connection kept (RFC 9112 9.3).
    pub fn keep_alive(&self) -> bool {
        self.keep_alive
    }

    /// Whether the client waits for 100 before it sends its body (RFC 9110 10.1.1).
    pub fn expects_continue(&self) -> bool {
        self.expects_continue
    }

    /// The client's version.
    pub fn version(&self) -> HttpVersion {
        self.version
    }

    /// The request this head describes. `bytes` are those it was read from.
    pub fn request<'a>(&'a self, bytes: &'a [u8], peer: SocketAddr, local: SocketAddr, body: Bytes) -> Request<'a> {
        let method = self.method.text(bytes);
        // An absolute target without a path: `*` for OPTIONS (RFC 9112 3.2.4), else `/`.
        let path = match (self.path.is_empty(), method) {
            (false, _) => self.path.text(bytes),
            (true, "OPTIONS") if self.query.is_none() => "*",
            (true, _) => "/",
        };
        Request {
            method,
            target: Target { path, query: self.query.map(|query| query.text(bytes)) },
            authority: self.authority.text(bytes),
            host: self.host.text(bytes),
            port: self.port,
            version: self.version,
            fields: Fields::new(bytes, &self.fields),
            peer,
            local,
            body,
        }
    }
}

/// The fields that decide about the message and the connection.
#[derive(Default)]
struct Marks<'a> {
    host: Option<&'a [u8]>,
    content_length: Option<u64>,
    chunked: bool,
    close: bool,
    keep_alive: bool,
    expects_continue: bool,
}

impl<'a> Marks<'a> {
    fn of(fields: &[httparse::Header<'a>]) -> Result<Self, Refusal> {
        let mut marks = Self::default();
        for field in fields {
            // By length first: most fields are none of these.
            match field.name.len() {
                4 if field.name.eq_ignore_ascii_case("host") => set_once(&mut marks.host, field.value, Refusal::RepeatedHost)?,
                6 if field.name.eq_ignore_ascii_case("expect") => {
                    let known = field.value.eq_ignore_ascii_case(b"100-continue");
                    marks.expects_continue = known.then_some(true).ok_or(Refusal::UnknownExpectation)?;
                }
                10 if field.name.eq_ignore_ascii_case("connection") => marks.read_connection(field.value),
                14 if field.name.eq_ignore_ascii_case("content-length") => {
                    set_once(&mut marks.content_length, parse_length(field.value)?, Refusal::RepeatedContentLength)?;
                }
                17 if field.name.eq_ignore_ascii_case("transfer-encoding") => {
                    let only = !marks.chunked && field.value.eq_ignore_ascii_case(b"chunked");
                    marks.chunked = only.then_some(true).ok_or(Refusal::BadTransferEncoding)?;
                }
                _ => {}
            }
        }
        Ok(marks)
    }

    fn read_connection(&mut self, value: &[u8]) {
        for option in value.split(|byte| *byte == b',') {
            let option = option.trim_ascii();
            self.close |= option.eq_ignore_ascii_case(b"close");
            self.keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
        }
    }

    /// RFC 9112 6.3, without its leniencies: two framings are an attack or a fault, and both end the connection.
    fn framing(&self, version: HttpVersion) -> Result<Framing, Refusal> {
        match (self.chunked, self.content_length) {
            (true, Some(_)) => Err(Refusal::TwoFramings),
            (true, None) if version == HttpVersion::Http10 => Err(Refusal::BadTransferEncoding),
            (true, None) => Ok(Framing::Chunked),
            (false, None | Some(0)) => Ok(Framing::None),
            (false, Some(length)) => Ok(Framing::Length(length)),
        }
    }
}

fn set_once<V>(slot: &mut Option<V>, value: V, repeated: Refusal) -> Result<(), Refusal> {
    slot.replace(value).map_or(Ok(()), |_| Err(repeated))
}

/// `1*DIGIT` that fits.
fn parse_length(value: &[u8]) -> Result<u64, Refusal> {
    if value.is_empty() {
        return Err(Refusal::BadContentLength);
    }
    value
        .iter()
        .try_fold(0u64, |length, byte| {
            let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
            length.checked_mul(10)?.checked_add(digit)
        })
        .ok_or(Refusal::BadContentLength)
}

fn refusal_of(error: httparse::Error, text: &[u8]) -> Refusal {
    match error {
        httparse::Error::HeaderName => Refusal::BadFieldName,
        httparse::Error::HeaderValue => Refusal::BadFieldValue,
        httparse::Error::TooManyHeaders => Refusal::TooManyFields,
        httparse::Error::Version | httparse::Error::NewLine | httparse::Error::Status | httparse::Error::Token => refusal_of_line(text),
    }
}

/// Tells a version that is another one (505) from one that is none, and both from a line of another shape.
fn refusal_of_line(text: &[u8]) -> Refusal {
    let line = text.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let mut parts = line.split(|byte| *byte == b' ');
    let (Some(_), Some(_), Some(version), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return Refusal::BadRequestLine;
    };
    match version {
        b"HTTP/1.0" | b"HTTP/1.1" => Refusal::BadRequestLine,
        [b'H', b'T', b'T', b'P', b'/', b'0'..=b'9', b'.', b'0'..=b'9'] => Refusal::UnsupportedVersion,
        _ => Refusal::BadVersion,
    }
}

fn starts_with(text: &[u8], prefix: &[u8]) -> bool {
    text.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

/// Where `part`, a slice of `whole`, lies in it. An empty part may lie anywhere (httparse gives a constant), so it has no place.
fn span_in(whole: &[u8], part: &[u8]) -> Span {
    if part.is_empty() {
        return Span::default();
    }
    let start = part.as_ptr().addr() - whole.as_ptr().addr();
    // Heads are bounded by `Limits::header_bytes`, far below 4 GiB.
    Span { start: start as u32, end: (start + part.len()) as u32 }
}
