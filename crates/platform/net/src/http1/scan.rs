//! The pre-scan of a head: finds its end, and refuses what the grammar's line structure forbids before any parser runs.
//!
//! It resumes where it stopped, so a head that comes byte by byte is read once, and it judges strictly in the order of
//! the bytes, so how a head is cut into reads never changes the verdict.

use super::{Limits, Refusal};

/// Bytes of a request line beside its target: a method of a sane length, two spaces, the version.
const REQUEST_LINE_REST_BYTES: usize = 64;

/// Where a complete head lies in the bytes given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadSpan {
    /// First byte of the request line.
    pub start: usize,
    /// First byte after the empty line.
    pub end: usize,
}

/// The state of a scan over one growing head.
#[derive(Clone, Debug, Default)]
pub struct HeadScan {
    /// Everything before is judged.
    position: usize,
    /// First byte of the request line: 2 after a tolerated empty line.
    start: usize,
    /// First byte of the line `position` is in.
    line: usize,
}

impl HeadScan {
    /// Goes on over `bytes`, which begin with the head's first byte and are those of the last call, or more.
    /// `Ok(None)`: more bytes are needed.
    pub fn advance(&mut self, bytes: &[u8], limits: &Limits) -> Result<Option<HeadSpan>, Refusal> {
        let window = &bytes[..bytes.len().min(limits.header_bytes)];
        let line_limit = limits.target_bytes.saturating_add(REQUEST_LINE_REST_BYTES);
        while let Some(at) = next_control(window, self.position) {
            self.check_request_line(at, line_limit)?;
            match window[at] {
                b'\r' => match window.get(at + 1..) {
                    Some([b'\n', rest @ ..]) => {
                        if at == self.line && self.line > self.start {
                            return Ok(Some(HeadSpan { start: self.start, end: at + 2 }));
                        }
                        if !self.end_line(at, rest)? {
                            break;
                        }
                    }
                    Some([_, ..]) => return Err(Refusal::BareCr),
                    Some([]) | None => {
                        self.position = at;
                        break;
                    }
                },
                b'\n' => return Err(Refusal::BareLf),
                0 => return Err(Refusal::Nul),
                // A tab, or a control character whose place decides: the parser's business.
                _ => self.position = at + 1,
            }
        }
        self.check_request_line(window.len(), line_limit)?;
        if bytes.len() >= limits.header_bytes { Err(Refusal::HeadTooLarge) } else { Ok(None) }
    }

    /// Steps over the line end at `at`. `false`: the byte after it is needed to tell a fold from a field.
    fn end_line(&mut self, at: usize, rest: &[u8]) -> Result<bool, Refusal> {
        if at == self.start {
            // One empty line before the request line is tolerated (RFC 9112 2.2).
            if self.start > 0 {
                return Err(Refusal::EmptyLine);
            }
            self.start = 2;
        } else {
            match rest.first() {
                None => {
                    self.position = at;
                    return Ok(false);
                }
                Some(b' ' | b'\t') => return Err(Refusal::ObsoleteFold),
                Some(_) => {}
            }
        }
        self.line = at + 2;
        self.position = at + 2;
        Ok(true)
    }

    fn check_request_line(&self, at: usize, limit: usize) -> Result<(), Refusal> {
        if self.line == self.start && at.saturating_sub(self.start) > limit { Err(Refusal::TargetTooLong) } else { Ok(()) }
    }
}

/// The first control character at or after `from`. Sixteen bytes at a time: the compiler turns the fold into vector code.
fn next_control(bytes: &[u8], from: usize) -> Option<usize> {
    const STEP: usize = 16;
    let mut at = from;
    for chunk in bytes.get(from..)?.chunks_exact(STEP) {
        if chunk.iter().fold(false, |found, byte| found | (*byte < 0x20)) {
            break;
        }
        at += STEP;
    }
    bytes[at..].iter().position(|byte| *byte < 0x20).map(|offset| at + offset)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scan(bytes: &[u8], limits: &Limits) -> Result<Option<HeadSpan>, Refusal> {
        HeadScan::default().advance(bytes, limits)
    }

    #[test]
    fn verdicts() {
        let limits = Limits::default();
        let cases = [
            (&b""[..], Ok(None)),
            (b"GET / HTTP/1.1\r\n", Ok(None)),
            (b"GET / HTTP/1.1\r\n\r", Ok(None)),
            (b"GET / HTTP/1.1\r\n\r\nmore", Ok(Some(HeadSpan { start: 0, end: 18 }))),
            (b"\r\nGET / HTTP/1.1\r\nA: b\r\n\r\n", Ok(Some(HeadSpan { start: 2, end: 26 }))),
            (b"\r\n\r\nGET", Err(Refusal::EmptyLine)),
            (b"GET / HTTP/1.1\n", Err(Refusal::BareLf)),
            (b"GET / HTTP/1.1\rX", Err(Refusal::BareCr)),
            (b"GET / HTTP/1.1\r\r\n", Err(Refusal::BareCr)),
            (b"GET /\0 HTTP/1.1\r\n", Err(Refusal::Nul)),
            (b"GET / HTTP/1.1\r\n A: b\r\n", Err(Refusal::ObsoleteFold)),
            (b"GET / HTTP/1.1\r\nA: b\r\n\tc\r\n\r\n", Err(Refusal::ObsoleteFold)),
            (b"GET / HTTP/1.1\r\nA: b\tc\r\n\r\n", Ok(Some(HeadSpan { start: 0, end: 26 }))),
        ];
        for (bytes, verdict) in cases {
            assert_eq!(scan(bytes, &limits), verdict, "{:?}", String::from_utf8_lossy(bytes));
        }
    }

    #[test]
    fn limits_hold_before_the_head_is_complete() {
        let limits = Limits { header_bytes: 300, target_bytes: 100, ..Limits::default() };
        assert_eq!(scan(&[b'a'; 164], &limits), Ok(None));
        assert_eq!(scan(&[b'a'; 165], &limits), Err(Refusal::TargetTooLong));
        let mut head = b"GET / HTTP/1.1\r\n".to_vec();
        head.resize(299, b'a');
        assert_eq!(scan(&head, &limits), Ok(None));
        head.push(b'a');
        assert_eq!(scan(&head, &limits), Err(Refusal::HeadTooLarge));
    }
}
