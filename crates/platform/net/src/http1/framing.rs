//! Ends a response head: decides how the body is delimited (RFC 9112 6) and whether the connection lives on.

use super::{
    Body, BodySource, HttpVersion, SliceBody,
    date::push_date,
    response::{Written, push_decimal, push_status_line},
};

/// The request's part in the decision.
#[derive(Clone, Copy)]
pub(crate) struct Asked {
    pub(crate) version: HttpVersion,
    pub(crate) method_is_head: bool,
    /// The client and the loop both want another request on this connection.
    pub(crate) keep: bool,
}

/// What follows the head on the wire.
pub(crate) enum Tail {
    Nothing,
    Slices(SliceBody),
    Stream { delimiter: Delimiter, source: Box<dyn BodySource> },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Delimiter {
    Length(u64),
    Chunked,
    Close,
}

/// A finished head in the buffer, and what to do next.
pub(crate) struct Framed {
    pub(crate) tail: Tail,
    pub(crate) keep: bool,
}

/// Appends the loop's own fields and the empty line.
pub(crate) fn finish_head(out: &mut Vec<u8>, written: Written, asked: Asked, body: Body) -> Framed {
    let (written, body) = check(out, written, asked, body);
    let mut keep = asked.keep && !written.close;
    let bodyless = asked.method_is_head || matches!(written.status, 204 | 304);
    let length = match &body {
        Body::Empty if written.status == 304 => None,
        Body::Empty => Some(0),
        Body::Omitted(length) => *length,
        Body::Slices(slices) => Some(slices.len()),
        Body::Stream { length, .. } => *length,
    };
    let delimiter = match (length, asked.version) {
        (Some(length), _) => Delimiter::Length(length),
        (None, HttpVersion::Http11) => Delimiter::Chunked,
        (None, HttpVersion::Http10) => Delimiter::Close,
    };
    if !written.dated {
        push_date(out);
    }
    // RFC 9110 8.6: no Content-Length in a 204. RFC 9112 6.1 lets HEAD go without Transfer-Encoding.
    match delimiter {
        Delimiter::Length(length) if written.status != 204 => {
            out.extend_from_slice(b"Content-Length: ");
            push_decimal(out, length);
            out.extend_from_slice(b"\r\n");
        }
        Delimiter::Chunked if !bodyless => out.extend_from_slice(b"Transfer-Encoding: chunked\r\n"),
        Delimiter::Close if !bodyless => keep = false,
        Delimiter::Length(_) | Delimiter::Chunked | Delimiter::Close => {}
    }
    match (keep, asked.version) {
        (false, _) => out.extend_from_slice(b"Connection: close\r\n"),
        (true, HttpVersion::Http10) => out.extend_from_slice(b"Connection: keep-alive\r\n"),
        (true, HttpVersion::Http11) => {}
    }
    out.extend_from_slice(b"\r\n");
    let tail = match body {
        _ if bodyless => Tail::Nothing,
        Body::Empty | Body::Omitted(_) => Tail::Nothing,
        Body::Slices(slices) => Tail::Slices(slices),
        Body::Stream { source, .. } => Tail::Stream { delimiter, source },
    };
    Framed { tail, keep }
}

/// A service that answers with a status no final response has, or leaves out a body that must follow, is at fault: 500.
fn check(out: &mut Vec<u8>, written: Written, asked: Asked, body: Body) -> (Written, Body) {
    let omitted = matches!(body, Body::Omitted(_)) && !asked.method_is_head && !matches!(written.status, 204 | 304);
    if !omitted && (200..1000).contains(&written.status) {
        return (written, body);
    }
    tracing::error!(status = written.status, omitted, "service gave no valid response");
    out.truncate(written.start);
    push_status_line(out, 500);
    (Written { status: 500, close: true, dated: false, ..written }, Body::Empty)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http1::ResponseHead;
    use bytes::Bytes;

    fn stream(length: Option<u64>) -> Body {
        let (_, receiver) = tokio::sync::mpsc::channel(1);
        Body::Stream { length, source: Box::new(receiver) }
    }

    /// Every field line but Date, and whether a body follows and the connection is kept.
    fn framed(status: u16, method_is_head: bool, version: HttpVersion, body: Body) -> (String, bool, bool) {
        let mut out = Vec::new();
        let mut head = ResponseHead::new(&mut out);
        head.status(status);
        let written = head.written();
        let framed = finish_head(&mut out, written, Asked { version, method_is_head, keep: true }, body);
        let text = String::from_utf8(out).unwrap();
        let lines: Vec<&str> = text.lines().filter(|line| !line.is_empty() && !line.starts_with("Date: ")).collect();
        assert!(text.ends_with("\r\n\r\n") && text.contains("\r\nDate: "));
        (lines.join("|"), !matches!(framed.tail, Tail::Nothing), framed.keep)
    }

    #[test]
    fn table() {
        use HttpVersion::{Http10, Http11};
        let abc = || Body::bytes(Bytes::from_static(b"abc"));
        let cases = [
            (framed(200, false, Http11, abc()), ("HTTP/1.1 200 OK|Content-Length: 3", true, true)),
            (framed(200, true, Http11, abc()), ("HTTP/1.1 200 OK|Content-Length: 3", false, true)),
            (framed(200, false, Http10, abc()), ("HTTP/1.1 200 OK|Content-Length: 3|Connection: keep-alive", true, true)),
            (framed(404, false, Http11, Body::Empty), ("HTTP/1.1 404 Not Found|Content-Length: 0", false, true)),
            (framed(204, false, Http11, Body::Empty), ("HTTP/1.1 204 No Content", false, true)),
            (framed(304, false, Http11, Body::Empty), ("HTTP/1.1 304 Not Modified", false, true)),
            (framed(304, false, Http11, Body::Omitted(Some(9))), ("HTTP/1.1 304 Not Modified|Content-Length: 9", false, true)),
            (framed(200, true, Http11, Body::Omitted(Some(9))), ("HTTP/1.1 200 OK|Content-Length: 9", false, true)),
            (framed(200, true, Http11, Body::Omitted(None)), ("HTTP/1.1 200 OK", false, true)),
            (framed(200, false, Http11, stream(None)), ("HTTP/1.1 200 OK|Transfer-Encoding: chunked", true, true)),
            (framed(200, false, Http11, stream(Some(5))), ("HTTP/1.1 200 OK|Content-Length: 5", true, true)),
            (framed(200, false, Http10, stream(None)), ("HTTP/1.1 200 OK|Connection: close", true, false)),
            (framed(200, true, Http10, stream(None)), ("HTTP/1.1 200 OK|Connection: keep-alive", false, true)),
            (
                framed(200, false, Http11, Body::Omitted(Some(9))),
                ("HTTP/1.1 500 Internal Server Error|Content-Length: 0|Connection: close", false, false),
            ),
            (
                framed(103, false, Http11, Body::Empty),
                ("HTTP/1.1 500 Internal Server Error|Content-Length: 0|Connection: close", false, false),
            ),
        ];
        for ((lines, body, keep), expected) in cases {
            assert_eq!((lines.as_str(), body, keep), expected);
        }
    }
}
