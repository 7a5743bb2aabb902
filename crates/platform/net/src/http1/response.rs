//! The response head a service writes: straight into the connection's reusable buffer.

/// Status and fields of one response.
///
/// The loop adds Date, Content-Length or Transfer-Encoding, and Connection; fields of those names (Date aside) given
/// here are left out, so that relayed fields cannot break the framing.
pub struct ResponseHead<'a> {
    out: &'a mut Vec<u8>,
    start: usize,
    status: u16,
    close: bool,
    dated: bool,
}

/// What the loop needs to know of a head once the service is done with it.
#[derive(Clone, Copy)]
pub(crate) struct Written {
    /// Where the head begins in the buffer.
    pub(crate) start: usize,
    pub(crate) status: u16,
    pub(crate) close: bool,
    pub(crate) dated: bool,
}

impl<'a> ResponseHead<'a> {
    /// A head appended to `out`; status 200 unless [`ResponseHead::status`] says otherwise.
    pub fn new(out: &'a mut Vec<u8>) -> Self {
        let start = out.len();
        out.extend_from_slice(OK_LINE);
        Self { out, start, status: 200, close: false, dated: false }
    }

    /// Sets the status: 200 to 999; what RFC 9110 does not define (600 and above) is an origin's to send. May be called at any time.
    pub fn status(&mut self, status: u16) {
        if status == self.status {
            return;
        }
        let old = status_line_length(self.status);
        let fields = self.out.split_off(self.start + old);
        self.out.truncate(self.start);
        push_status_line(self.out, status);
        self.out.extend_from_slice(&fields);
        self.status = status;
    }

    /// Appends a field. Line breaks and NUL in the value become spaces (RFC 9110 5.5), so a value cannot start a field.
    pub fn field(&mut self, name: &str, value: impl AsRef<[u8]>) {
        debug_assert!(!name.is_empty() && name.bytes().all(is_token), "field name {name:?}");
        if is_framing(name) {
            return;
        }
        self.dated |= name.eq_ignore_ascii_case("date");
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b": ");
        let value = value.as_ref();
        if value.iter().any(|byte| breaks_line(*byte)) {
            self.out.extend(value.iter().map(|byte| if breaks_line(*byte) { b' ' } else { *byte }));
        } else {
            self.out.extend_from_slice(value);
        }
        self.out.extend_from_slice(b"\r\n");
    }

    /// Appends a field whose value is a decimal number.
    pub fn number(&mut self, name: &str, value: u64) {
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b": ");
        push_decimal(self.out, value);
        self.out.extend_from_slice(b"\r\n");
    }

    /// Appends a prebuilt block of `Name: value` CRLF lines as it is. It carries no framing field; if it carries a Date,
    /// say so with [`ResponseHead::dated`].
    pub fn raw(&mut self, block: &[u8]) {
        debug_assert!(block.is_empty() || block.ends_with(b"\r\n"), "a block ends its last line");
        self.out.extend_from_slice(block);
    }

    /// Says that a raw block carries the Date (that of the origin, RFC 9110 6.6.1), so the loop adds none.
    pub fn dated(&mut self) {
        self.dated = true;
    }

    /// Closes the connection after this response.
    pub fn close(&mut self) {
        self.close = true;
    }

    /// The status set so far.
    pub fn current_status(&self) -> u16 {
        self.status
    }

    pub(crate) fn written(&self) -> Written {
        Written { start: self.start, status: self.status, close: self.close, dated: self.dated }
    }
}

const OK_LINE: &[u8] = b"HTTP/1.1 200 OK\r\n";

/// `HTTP/1.1 `, three digits, a space, the phrase, CRLF.
fn status_line_length(status: u16) -> usize {
    9 + 3 + 1 + reason_phrase(status).len() + 2
}

pub(crate) fn push_status_line(out: &mut Vec<u8>, status: u16) {
    debug_assert!((100..1000).contains(&status), "status {status}");
    let status = status.clamp(100, 999);
    out.extend_from_slice(b"HTTP/1.1 ");
    push_decimal(out, u64::from(status));
    out.push(b' ');
    out.extend_from_slice(reason_phrase(status).as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// Appends a number in decimal without going through `fmt`.
pub(crate) fn push_decimal(out: &mut Vec<u8>, mut value: u64) {
    let mut digits = [0u8; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

fn is_framing(name: &str) -> bool {
    ["content-length", "transfer-encoding", "connection", "keep-alive"].iter().any(|framing| name.eq_ignore_ascii_case(framing))
}

fn breaks_line(byte: u8) -> bool {
    matches!(byte, b'\r' | b'\n' | 0)
}

/// RFC 9110 5.6.2.
pub(crate) fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// The phrase of a status (RFC 9110 15, and the registry for the rest); empty for one unknown here.
pub fn reason_phrase(status: u16) -> &'static str {
    match status {
        100 => "Continue",
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        203 => "Non-Authoritative Information",
        204 => "No Content",
        206 => "Partial Content",
        300 => "Multiple Choices",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        411 => "Length Required",
        412 => "Precondition Failed",
        413 => "Content Too Large",
        414 => "URI Too Long",
        415 => "Unsupported Media Type",
        416 => "Range Not Satisfiable",
        417 => "Expectation Failed",
        421 => "Misdirected Request",
        422 => "Unprocessable Content",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        507 => "Insufficient Storage",
        508 => "Loop Detected",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_may_come_after_fields() {
        let mut out = b"before".to_vec();
        let mut head = ResponseHead::new(&mut out);
        head.field("A", "1");
        head.status(404);
        head.number("N", 120);
        head.status(599);
        head.raw(b"B: 2\r\n");
        assert_eq!(out, b"beforeHTTP/1.1 599 \r\nA: 1\r\nN: 120\r\nB: 2\r\n");
    }

    #[test]
    fn a_value_cannot_split_the_response() {
        let mut out = Vec::new();
        let mut head = ResponseHead::new(&mut out);
        head.field("Location", "/a\r\nSet-Cookie: x\0");
        head.field("Content-Length", "7");
        assert_eq!(out, b"HTTP/1.1 200 OK\r\nLocation: /a  Set-Cookie: x \r\n");
    }

    #[test]
    fn decimals() {
        for value in [0, 9, 10, 65_535, u64::MAX] {
            let mut out = Vec::new();
            push_decimal(&mut out, value);
            assert_eq!(out, value.to_string().into_bytes());
        }
    }
}
