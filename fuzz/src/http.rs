//! The HTTP/1.1 server's parsers: request heads and chunked bodies.

use weir_net::http1::{ChunkedDecoder, Head, Limits, Progress, Refusal, parse_head};

/// Places at which an input is cut; more would make long inputs quadratic.
const CUTS_MAX: usize = 64;
/// Bytes of body the decoder may give.
const BODY_BYTES: u64 = 4096;

/// A request head: cutting the bytes never changes the verdict, and an accepted head frames its body in one way only.
pub fn request_head(bytes: &[u8]) -> bool {
    let limits = Limits::default();
    let (whole, head) = judge(bytes, &limits);
    let step = (bytes.len() / CUTS_MAX).max(1);
    for cut in (0..bytes.len()).step_by(step) {
        let (part, part_head) = judge(&bytes[..cut], &limits);
        match part {
            Ok(Progress::Incomplete) => {}
            decided => {
                assert_eq!(decided, whole, "the first {cut} bytes decided otherwise");
                assert!(decided.is_err() || part_head == head, "the first {cut} bytes read otherwise");
            }
        }
    }
    let Ok(Progress::Complete(end)) = whole else { return false };
    assert!(end <= limits.header_bytes, "a head of {end} bytes");
    unambiguous(&bytes[..end]);
    true
}

fn judge(bytes: &[u8], limits: &Limits) -> (Result<Progress, Refusal>, Head) {
    let mut head = Head::default();
    (parse_head(bytes, limits, &mut head), head)
}

/// What RFC 9112 forbids in any head that was accepted, looked for without a parser.
fn unambiguous(head: &[u8]) {
    assert!(!head.contains(&0), "NUL");
    for (at, &byte) in head.iter().enumerate() {
        match byte {
            b'\n' => assert!(at > 0 && head[at - 1] == b'\r', "bare LF at {at} (section 2.2)"),
            b'\r' => assert!(head.get(at + 1) == Some(&b'\n'), "bare CR at {at} (section 2.2)"),
            _ => {}
        }
    }
    let text = String::from_utf8_lossy(head);
    let lines = text.trim_start_matches("\r\n").split("\r\n").skip(1).filter(|line| !line.is_empty());
    let names: Vec<String> = lines
        .map(|line| {
            assert!(!line.starts_with([' ', '\t']), "obs-fold (section 5.2)");
            let (name, _) = line.split_once(':').expect("an accepted field line has a colon");
            assert!(!name.is_empty() && !name.ends_with([' ', '\t']), "white space before the colon (section 5.1)");
            name.to_ascii_lowercase()
        })
        .collect();
    let count = |wanted: &str| names.iter().filter(|name| *name == wanted).count();
    let (lengths, codings) = (count("content-length"), count("transfer-encoding"));
    assert!(lengths + codings <= 1, "{lengths} Content-Length and {codings} Transfer-Encoding fields (section 6.3)");
    assert!(count("host") <= 1, "Host repeated (section 3.2)");
}

/// A chunked body: byte by byte gives the same body, end and verdict as all at once.
pub fn chunked(bytes: &[u8]) -> bool {
    let mut whole = Vec::new();
    let verdict = ChunkedDecoder::new(BODY_BYTES).decode(bytes, &mut whole);
    let mut body = Vec::new();
    let mut decoder = ChunkedDecoder::new(BODY_BYTES);
    let mut used = 0;
    let mut refused = None;
    let mut done = false;
    for byte in bytes {
        match decoder.decode(&[*byte], &mut body) {
            Ok(decoded) => {
                used += decoded.used;
                done = decoded.done;
            }
            Err(refusal) => refused = Some(refusal),
        }
        if done || refused.is_some() {
            break;
        }
    }
    assert!(body.len() as u64 <= BODY_BYTES, "a body of {} bytes", body.len());
    match verdict {
        Ok(decoded) => {
            assert_eq!((refused, body), (None, whole));
            assert_eq!((used, done), (decoded.used, decoded.done));
            done
        }
        Err(refusal) => {
            assert_eq!(refused, Some(refusal));
            false
        }
    }
}
