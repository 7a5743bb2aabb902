//! Several ranges in one answer (RFC 9110 section 14.6): the parts are slices of the stored body, nothing is copied.

use bytes::Bytes;
use weir_caching::range::ByteRange;

/// Between parts; long and odd enough not to occur in media, as RFC 2046 section 5.1.1 asks.
const BOUNDARY: &str = "weir-part-3f1c8e5a90d7426bb1e4";
/// The answer's own type.
pub(crate) const CONTENT_TYPE: &str = "multipart/byteranges; boundary=weir-part-3f1c8e5a90d7426bb1e4";

/// The parts with their heads; `kind` is the stored content type.
pub(crate) fn body(slices: &[Bytes], ranges: &[ByteRange], length: u64, kind: Option<&[u8]>) -> Vec<Bytes> {
    let mut pieces = Vec::new();
    for (index, range) in ranges.iter().enumerate() {
        let mut head = Vec::new();
        if index > 0 {
            head.extend_from_slice(b"\r\n");
        }
        head.extend_from_slice(format!("--{BOUNDARY}\r\n").as_bytes());
        if let Some(kind) = kind {
            head.extend_from_slice(b"Content-Type: ");
            head.extend_from_slice(kind);
            head.extend_from_slice(b"\r\n");
        }
        head.extend_from_slice(format!("Content-Range: {}\r\n\r\n", range.content_range(length)).as_bytes());
        pieces.push(head.into());
        cut(slices, *range, &mut pieces);
    }
    pieces.push(Bytes::from(format!("\r\n--{BOUNDARY}--\r\n")));
    pieces
}

/// The slices, or parts of them, that make up a range.
fn cut(slices: &[Bytes], range: ByteRange, out: &mut Vec<Bytes>) {
    let mut at = 0u64;
    for slice in slices {
        let end = at + slice.len() as u64;
        let (from, until) = (range.start.max(at), (range.end + 1).min(end));
        if from < until {
            let inside = |n: u64| usize::try_from(n - at).expect("inside a slice");
            out.push(slice.slice(inside(from)..inside(until)));
        }
        at = end;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_with_their_heads() {
        let slices = [Bytes::from_static(b"0123"), Bytes::from_static(b"4567")];
        let ranges = [ByteRange { start: 1, end: 1 }, ByteRange { start: 3, end: 5 }];
        let text = String::from_utf8(body(&slices, &ranges, 8, Some(b"text/plain")).concat()).expect("text");
        let expected = format!(
            "--{BOUNDARY}\r\nContent-Type: text/plain\r\nContent-Range: bytes 1-1/8\r\n\r\n1\r\n\
             --{BOUNDARY}\r\nContent-Type: text/plain\r\nContent-Range: bytes 3-5/8\r\n\r\n345\r\n--{BOUNDARY}--\r\n"
        );
        assert_eq!(text, expected);
        assert!(CONTENT_TYPE.ends_with(BOUNDARY));
    }
}
