//! A request body while it arrives and while a service holds it, charged to the gate for as long as its memory lives.

use super::{ChunkedDecoder, Decoded, Framing, Gate, Limits, Refusal};
use bytes::Bytes;

/// Bytes of a body taken on trust in its Content-Length before they arrive; few, so that announcing costs no budget.
const FIRST_BYTES: u64 = 4 * 1024;

enum Reader {
    Length(u64),
    Chunked(ChunkedDecoder),
}

/// One request body on its way in.
pub(crate) struct Upload {
    reader: Reader,
    /// The body can be no longer than this.
    most: u64,
    body: Charged,
}

impl Upload {
    /// Makes ready for the body a head announces; `None` when it announces none.
    pub(crate) fn new(framing: Framing, limits: &Limits, gate: &Gate) -> Result<Option<Self>, Refusal> {
        let (reader, most) = match framing {
            Framing::None => return Ok(None),
            Framing::Length(length) if length > limits.body_bytes => return Err(Refusal::BodyTooLarge),
            // It could still turn out empty, but a listener that takes no bodies need not wait for that.
            Framing::Chunked if limits.body_bytes == 0 => return Err(Refusal::BodyTooLarge),
            Framing::Length(length) => (Reader::Length(length), length),
            Framing::Chunked => (Reader::Chunked(ChunkedDecoder::new(limits.body_bytes)), limits.body_bytes),
        };
        let mut body = Charged { bytes: Vec::new(), taken: 0, gate: gate.clone(), budget: limits.bodies_bytes };
        body.reserve(most.min(FIRST_BYTES), most)?;
        Ok(Some(Self { reader, most, body }))
    }

    /// Takes what is the body's of `input`.
    pub(crate) fn feed(&mut self, input: &[u8]) -> Result<Decoded, Refusal> {
        match &mut self.reader {
            Reader::Length(left) => {
                let used = usize::try_from(*left).unwrap_or(usize::MAX).min(input.len());
                self.body.reserve(used as u64, self.most)?;
                self.body.bytes.extend_from_slice(&input[..used]);
                *left -= used as u64;
                Ok(Decoded { used, done: *left == 0 })
            }
            Reader::Chunked(decoder) => {
                // The data in it is shorter than the input by its framing.
                self.body.reserve(input.len() as u64, self.most)?;
                decoder.decode(input, &mut self.body.bytes)
            }
        }
    }

    /// The whole body. Its memory stays charged until the last clone is dropped.
    pub(crate) fn finish(self) -> Bytes {
        Bytes::from_owner(self.body)
    }
}

/// Memory charged to the gate.
struct Charged {
    bytes: Vec<u8>,
    taken: u64,
    gate: Gate,
    budget: u64,
}

impl Charged {
    /// Makes room for `more` bytes: twice as much as before where that is not more than the body can need.
    fn reserve(&mut self, more: u64, most: u64) -> Result<(), Refusal> {
        let needed = self.bytes.len() as u64 + more;
        if needed <= self.taken {
            return Ok(());
        }
        let wanted = (self.taken * 2).min(most).max(needed);
        if !self.gate.take_body_bytes(wanted - self.taken, self.budget) {
            return Err(Refusal::BodiesTooLarge);
        }
        self.taken = wanted;
        // Fits: it is bounded by the limit of a body and one read.
        self.bytes.reserve_exact(wanted as usize - self.bytes.len());
        Ok(())
    }
}

impl AsRef<[u8]> for Charged {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Charged {
    fn drop(&mut self) {
        self.gate.give_body_bytes(self.taken);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn upload(framing: Framing, limits: &Limits, gate: &Gate) -> Result<Upload, Refusal> {
        Upload::new(framing, limits, gate).map(|upload| upload.expect("a body is announced"))
    }

    fn free(gate: &Gate, limits: &Limits, bytes: u64) -> bool {
        let taken = gate.take_body_bytes(bytes, limits.bodies_bytes);
        if taken {
            gate.give_body_bytes(bytes);
        }
        taken
    }

    #[test]
    fn a_body_is_charged_as_it_arrives_and_until_it_is_dropped() {
        let gate = Gate::new();
        let limits = Limits { bodies_bytes: 100_000, ..Limits::default() };
        let mut first = upload(Framing::Length(60_000), &limits, &gate).expect("fits");
        assert!(free(&gate, &limits, 100_000 - FIRST_BYTES), "what is only announced costs next to nothing");
        assert!(first.feed(&[b'x'; 60_000]).expect("fits").done);
        let body = first.finish();
        assert!(!free(&gate, &limits, 40_001), "charged while a service holds it");
        assert!(free(&gate, &limits, 40_000), "no more than its length");
        let mut second = upload(Framing::Chunked, &limits, &gate).expect("fits");
        assert_eq!(second.feed(&[b'y'; 50_000]), Err(Refusal::BodiesTooLarge));
        drop(second);
        let part = body.slice(1..3);
        drop(body);
        assert!(!free(&gate, &limits, 40_001), "a part keeps the whole");
        drop(part);
        assert!(free(&gate, &limits, 100_000));
    }

    #[test]
    fn no_bodies_means_none_of_either_framing() {
        let (gate, limits) = (Gate::new(), Limits::without_bodies());
        assert!(Upload::new(Framing::None, &limits, &gate).expect("no body").is_none());
        for framing in [Framing::Length(1), Framing::Chunked] {
            assert_eq!(upload(framing, &limits, &gate).err(), Some(Refusal::BodyTooLarge), "{framing:?}");
        }
    }
}
