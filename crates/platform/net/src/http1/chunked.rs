//! Chunked request bodies (RFC 9112 7.1): an incremental, strict decoder.

use super::{Refusal, response::is_token};

/// Hexadecimal digits of one chunk size.
const SIZE_DIGITS: u8 = 16;
/// Bytes of chunk extensions in one body; they are ignored, and unbounded ones cost a sender little and us much.
const EXTENSION_BYTES: usize = 4 * 1024;
/// Bytes of a trailer section; it is discarded.
const TRAILER_BYTES: usize = 8 * 1024;

/// What a call of [`ChunkedDecoder::decode`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decoded {
    /// Bytes of the input used up.
    pub used: usize,
    /// Whether the body, trailers included, is complete; bytes after `used` belong to the next request.
    pub done: bool,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Size {
        digits: u8,
    },
    Extension,
    SizeLf,
    Data {
        left: u64,
    },
    DataCr,
    DataLf,
    /// At the start of a trailer line.
    Trailer,
    TrailerName,
    TrailerValue,
    TrailerLf,
    LastLf,
    Done,
}

/// Decodes one body, however it is cut into reads.
#[derive(Clone, Debug)]
pub struct ChunkedDecoder {
    state: State,
    size: u64,
    body_left: u64,
    extension_left: usize,
    trailer_left: usize,
}

impl ChunkedDecoder {
    /// A decoder that refuses a body of more than `body_bytes`.
    pub fn new(body_bytes: u64) -> Self {
        Self {
            state: State::Size { digits: 0 },
            size: 0,
            body_left: body_bytes,
            extension_left: EXTENSION_BYTES,
            trailer_left: TRAILER_BYTES,
        }
    }

    /// Decodes what it can of `input`, appending body bytes to `body`.
    pub fn decode(&mut self, input: &[u8], body: &mut Vec<u8>) -> Result<Decoded, Refusal> {
        let mut used = 0;
        while used < input.len() && !matches!(self.state, State::Done) {
            if let State::Data { left } = self.state {
                let take = usize::try_from(left).unwrap_or(usize::MAX).min(input.len() - used);
                body.extend_from_slice(&input[used..used + take]);
                used += take;
                let left = left - take as u64;
                self.state = if left == 0 { State::DataCr } else { State::Data { left } };
            } else {
                self.state = self.step(input[used])?;
                used += 1;
            }
        }
        Ok(Decoded { used, done: matches!(self.state, State::Done) })
    }

    fn step(&mut self, byte: u8) -> Result<State, Refusal> {
        match (self.state, byte) {
            (State::Size { digits }, byte) => self.size_byte(digits, byte),
            (State::Extension, b'\r') => Ok(State::SizeLf),
            (State::Extension, byte) if is_text(byte) => {
                spend(&mut self.extension_left, Refusal::BadChunkSize)?;
                Ok(State::Extension)
            }
            (State::SizeLf, b'\n') if self.size == 0 => Ok(State::Trailer),
            (State::SizeLf, b'\n') => {
                let left = std::mem::take(&mut self.size);
                self.body_left = self.body_left.checked_sub(left).ok_or(Refusal::BodyTooLarge)?;
                Ok(State::Data { left })
            }
            (State::DataCr, b'\r') => Ok(State::DataLf),
            (State::DataLf, b'\n') => Ok(State::Size { digits: 0 }),
            (State::Trailer, b'\r') => Ok(State::LastLf),
            (State::LastLf, b'\n') => Ok(State::Done),
            (State::Trailer | State::TrailerName | State::TrailerValue | State::TrailerLf, byte) => self.trailer_byte(byte),
            (State::Extension | State::SizeLf, _) => Err(Refusal::BadChunkSize),
            (State::DataCr | State::DataLf | State::Data { .. }, _) => Err(Refusal::BadChunkEnd),
            (State::LastLf | State::Done, _) => Err(Refusal::BadTrailer),
        }
    }

    /// `chunk-size = 1*HEXDIG`: no sign, no `0x`, no whitespace.
    fn size_byte(&mut self, digits: u8, byte: u8) -> Result<State, Refusal> {
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' => byte - b'a' + 10,
            b'A'..=b'F' => byte - b'A' + 10,
            b'\r' if digits > 0 => return Ok(State::SizeLf),
            b';' if digits > 0 => return Ok(State::Extension),
            _ => return Err(Refusal::BadChunkSize),
        };
        if digits == SIZE_DIGITS {
            return Err(Refusal::BadChunkSize);
        }
        // Sixteen digits fill 64 bits exactly.
        self.size = (self.size << 4) | u64::from(digit);
        Ok(State::Size { digits: digits + 1 })
    }

    fn trailer_byte(&mut self, byte: u8) -> Result<State, Refusal> {
        spend(&mut self.trailer_left, Refusal::BadTrailer)?;
        match (self.state, byte) {
            (State::Trailer | State::TrailerName, byte) if is_token(byte) => Ok(State::TrailerName),
            (State::TrailerName, b':') => Ok(State::TrailerValue),
            (State::TrailerValue, b'\r') => Ok(State::TrailerLf),
            (State::TrailerValue, byte) if is_text(byte) => Ok(State::TrailerValue),
            (State::TrailerLf, b'\n') => Ok(State::Trailer),
            _ => Err(Refusal::BadTrailer),
        }
    }
}

/// A tab, a visible character, a space, or a byte above ASCII.
fn is_text(byte: u8) -> bool {
    byte == b'\t' || (byte >= 0x20 && byte != 0x7f)
}

fn spend(left: &mut usize, refusal: Refusal) -> Result<(), Refusal> {
    *left = left.checked_sub(1).ok_or(refusal)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Verdict = Result<(Vec<u8>, Option<usize>), Refusal>;

    fn decode(parts: &[&[u8]], limit: u64) -> Verdict {
        let mut decoder = ChunkedDecoder::new(limit);
        let mut body = Vec::new();
        let mut used = 0;
        for part in parts {
            let decoded = decoder.decode(part, &mut body)?;
            used += decoded.used;
            if decoded.done {
                return Ok((body, Some(used)));
            }
        }
        Ok((body, None))
    }

    #[test]
    fn verdicts() {
        let done = |body: &str, used| Ok((body.as_bytes().to_vec(), Some(used)));
        let cases: Vec<(&str, Verdict)> = vec![
            ("0\r\n\r\n", done("", 5)),
            ("5\r\nhello\r\n0\r\n\r\nGET", done("hello", 15)),
            ("00005\r\nhello\r\n0\r\n\r\n", done("hello", 19)),
            ("A\r\n0123456789\r\n0;last\r\nX: y\r\n\r\n", done("0123456789", 31)),
            ("1;a=\"b\"\r\nx\r\n0\r\n\r\n", done("x", 17)),
            ("5\r\nhel", Ok((b"hel".to_vec(), None))),
            ("0x5\r\nhello\r\n", Err(Refusal::BadChunkSize)),
            ("+5\r\nhello\r\n", Err(Refusal::BadChunkSize)),
            ("-1\r\n", Err(Refusal::BadChunkSize)),
            (" 5\r\nhello\r\n", Err(Refusal::BadChunkSize)),
            ("5 \r\nhello\r\n", Err(Refusal::BadChunkSize)),
            ("5\nhello\n", Err(Refusal::BadChunkSize)),
            ("5;a\nhello", Err(Refusal::BadChunkSize)),
            ("5;a\rb\r\nhello", Err(Refusal::BadChunkSize)),
            ("5;\0\r\nhello", Err(Refusal::BadChunkSize)),
            ("\r\n", Err(Refusal::BadChunkSize)),
            (";a\r\n", Err(Refusal::BadChunkSize)),
            ("00000000000000005\r\n", Err(Refusal::BadChunkSize)),
            ("5\r\nhelloworld", Err(Refusal::BadChunkEnd)),
            ("5\r\nhello\n0\r\n\r\n", Err(Refusal::BadChunkEnd)),
            ("5\r\nhello\rX", Err(Refusal::BadChunkEnd)),
            ("ffffffffffffffff\r\n", Err(Refusal::BodyTooLarge)),
            ("65\r\n", Err(Refusal::BodyTooLarge)),
            ("0\r\nX: y\n\r\n", Err(Refusal::BadTrailer)),
            ("0\r\n X: y\r\n\r\n", Err(Refusal::BadTrailer)),
            ("0\r\nX : y\r\n\r\n", Err(Refusal::BadTrailer)),
            ("0\r\n\rX", Err(Refusal::BadTrailer)),
            ("0\r\nGET / HTTP/1.1\r\n", Err(Refusal::BadTrailer)),
        ];
        for (input, verdict) in cases {
            assert_eq!(decode(&[input.as_bytes()], 100), verdict, "{input:?}");
        }
    }

    #[test]
    fn extensions_and_trailers_are_bounded() {
        let long = format!("1;{}\r\nx", "a".repeat(EXTENSION_BYTES + 1));
        assert_eq!(decode(&[long.as_bytes()], 100), Err(Refusal::BadChunkSize));
        let each = "1;aaaaaaaaa\r\nx\r\n".repeat(EXTENSION_BYTES / 9 + 1);
        assert_eq!(decode(&[each.as_bytes()], 100_000), Err(Refusal::BadChunkSize));
        let trailers = format!("0\r\nX: {}\r\n\r\n", "a".repeat(TRAILER_BYTES));
        assert_eq!(decode(&[trailers.as_bytes()], 100), Err(Refusal::BadTrailer));
    }

    fn wire() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            Just("5\r\nhello\r\n"),
            Just("1;x=y\r\nz\r\n"),
            Just("0\r\n"),
            Just("\r\n"),
            Just("X: y\r\n"),
            Just("3"),
            Just("\n"),
            Just(" "),
            Just("0x1"),
        ];
        proptest::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat().into_bytes())
    }

    proptest! {
        #[test]
        fn cutting_the_input_changes_nothing(input in wire(), cut in 0usize..64) {
            let (first, second) = input.split_at(cut.min(input.len()));
            prop_assert_eq!(decode(&[first, second], 20), decode(&[&input], 20));
            let bytes: Vec<&[u8]> = input.chunks(1).collect();
            prop_assert_eq!(decode(&bytes, 20), decode(&[&input], 20));
        }

        #[test]
        fn never_panics(input in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode(&[&input], 50);
        }
    }
}
