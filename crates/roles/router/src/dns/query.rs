//! A query as it came: the header, the one question, and what its EDNS says; or why it cannot be read.

use super::{Outcome, PLAIN_ANSWER_BYTES_MAX, UDP_ANSWER_BYTES_MAX, subnet::Subnet};
use domain::{
    base::{
        Header, Message, Name, ParsedName, Question,
        iana::{Class, Opcode, OptionCode, Rtype},
        name::Label,
        opt::{Opt, UnknownOptData},
        record::ParsedRecord,
        wire::ParseError,
    },
    dep::octseq::Parser,
};

/// Bytes of a message's header (RFC 1035 section 4.1.1).
const HEADER_BYTES: usize = 12;
/// Longest name in text form, in bytes, with room to spare for a dot behind each label.
pub(super) const NAME_TEXT_BYTES: usize = 255;

/// A query that can be answered.
#[derive(Debug)]
pub(super) struct Query<'q> {
    /// Id and flags.
    pub(super) header: Header,
    /// Of any class and type, its name as it was spelled.
    pub(super) question: Question<Name<&'q [u8]>>,
    /// Absent: a client of before 1999, which gets no EDNS back.
    pub(super) edns: Option<Edns>,
}

/// What a client says of itself (RFC 6891). All options but one say nothing here.
#[derive(Debug, Clone, Copy)]
pub(super) struct Edns {
    /// The largest datagram it takes, in bytes.
    pub(super) udp_bytes: u16,
    /// It takes DNSSEC records (DO): there are none, and the bit goes back as it came (RFC 3225 section 3).
    pub(super) dnssec_ok: bool,
    /// 0, or a version this server does not speak.
    pub(super) version: u8,
    /// The client behind a resolver.
    pub(super) subnet: Option<Subnet>,
}

/// Why a message gets no answer, or only a header and, if its own OPT can be read, an OPT (RFC 6891 section 7).
#[derive(Debug, Clone, Copy)]
pub(super) enum Unreadable {
    /// Too short for a header, or itself an answer: answering might begin a loop.
    NotAQuery,
    /// Another operation.
    Operation(Header, Option<Edns>),
    /// It is not what RFC 1035 and RFC 6891 say a query is.
    Format(Header, Option<Edns>),
}

impl Unreadable {
    pub(super) fn outcome(self) -> Outcome {
        match self {
            Unreadable::NotAQuery => Outcome::Ignored,
            Unreadable::Operation(..) => Outcome::NotImplemented,
            Unreadable::Format(..) => Outcome::FormatError,
        }
    }
}

/// Reads a message.
pub(super) fn read(bytes: &[u8]) -> Result<Query<'_>, Unreadable> {
    let message = Message::from_slice(bytes).map_err(|_| Unreadable::NotAQuery)?;
    let header = message.header();
    if header.qr() {
        return Err(Unreadable::NotAQuery);
    }
    let counts = message.header_counts();
    let before = u32::from(counts.ancount()) + u32::from(counts.nscount());
    let sections = Sections { questions: counts.qdcount(), before, additional: counts.arcount() };
    let edns = || sections.edns(bytes);
    if header.opcode() != Opcode::QUERY {
        return Err(Unreadable::Operation(header, edns()));
    }
    if counts.qdcount() != 1 {
        return Err(Unreadable::Format(header, edns()));
    }
    sections.read(header, bytes).map_err(|_| Unreadable::Format(header, edns()))
}

/// How many questions and records there are said to be; bytes bound them, because each takes five or eleven at least.
#[derive(Clone, Copy)]
struct Sections {
    questions: u16,
    before: u32,
    additional: u16,
}

impl Sections {
    fn read(self, header: Header, bytes: &[u8]) -> Result<Query<'_>, ParseError> {
        let mut parser = Parser::from_ref(bytes);
        parser.advance(HEADER_BYTES)?;
        // Before this name there is nothing a compression pointer could mean, so it is read as one that has none.
        let name = Name::parse(&mut parser)?;
        let question = Question::new(name, Rtype::parse(&mut parser)?, Class::parse(&mut parser)?);
        for _ in 0..self.before {
            ParsedRecord::skip(&mut parser)?;
        }
        let mut edns = None;
        for _ in 0..self.additional {
            let record = ParsedRecord::parse(&mut parser)?;
            if record.rtype() != Rtype::OPT {
                continue;
            }
            // RFC 6891 section 6.1.1: at most one. Section 6.1.2: its name is the root.
            if edns.is_some() || !record.owner().is_root() {
                return Err(ParseError::form_error("misplaced OPT"));
            }
            edns = Some(Edns::of(&record)?);
        }
        if parser.remaining() > 0 {
            return Err(ParseError::form_error("bytes behind the message"));
        }
        Ok(Query { header, question, edns })
    }

    /// What a message that is no query one can read says of its sender, as far as it can be read: its first OPT.
    fn edns(self, bytes: &[u8]) -> Option<Edns> {
        let mut parser = Parser::from_ref(bytes);
        parser.advance(HEADER_BYTES).ok()?;
        for _ in 0..self.questions {
            Question::<ParsedName<&[u8]>>::parse(&mut parser).ok()?;
        }
        for _ in 0..self.before {
            ParsedRecord::skip(&mut parser).ok()?;
        }
        (0..self.additional).map_while(|_| ParsedRecord::parse(&mut parser).ok()).find(is_opt).map(|opt| Edns::fixed(&opt))
    }
}

/// RFC 6891 section 6.1.2: an OPT's name is the root.
fn is_opt(record: &ParsedRecord<'_, [u8]>) -> bool {
    record.rtype() == Rtype::OPT && record.owner().is_root()
}

impl Edns {
    /// What every OPT says, whatever its options.
    fn fixed(record: &ParsedRecord<'_, [u8]>) -> Self {
        // The TTL of an OPT: extended rcode, version, flags, of which the first is DO (RFC 6891 section 6.1.3).
        let [_, version, flags, _] = record.ttl().as_secs().to_be_bytes();
        Self { udp_bytes: record.class().to_int(), dnssec_ok: flags & 0x80 != 0, version, subnet: None }
    }

    fn of(record: &ParsedRecord<'_, [u8]>) -> Result<Self, ParseError> {
        let edns = Self::fixed(record);
        if edns.version != 0 {
            // What options look like in another version is not known.
            return Ok(edns);
        }
        let options = record.to_record::<Opt<_>>()?.ok_or(ParseError::ShortInput)?.into_data();
        let mut subnet = None;
        for option in options.iter::<UnknownOptData<_>>() {
            let option = option?;
            if option.code() == OptionCode::CLIENT_SUBNET {
                let read = Subnet::read(option.as_slice()).filter(|_| subnet.is_none());
                subnet = Some(read.ok_or(ParseError::form_error("client subnet"))?);
            }
        }
        Ok(Self { subnet, ..edns })
    }
}

impl Query<'_> {
    /// The largest answer the client takes in a datagram, in bytes.
    pub(super) fn udp_answer_bytes(&self) -> usize {
        let told = self.edns.map_or(PLAIN_ANSWER_BYTES_MAX, |edns| usize::from(edns.udp_bytes));
        // RFC 6891 section 6.2.3: values below 512 count as 512.
        told.clamp(PLAIN_ANSWER_BYTES_MAX, UDP_ANSWER_BYTES_MAX)
    }

    /// The name as text, without a trailing dot. Whatever no host name has, dots inside a label first of all, is a `?`: no
    /// configured name holds one, so it stays a name of its zone that does not exist.
    pub(super) fn name<'b>(&self, text: &'b mut [u8; NAME_TEXT_BYTES]) -> &'b str {
        let mut length = 0;
        for label in self.question.qname().iter().take_while(|label| !label.is_root()) {
            length += write_label(label, &mut text[length..]);
        }
        let text = &text[..length.saturating_sub(1)];
        std::str::from_utf8(text).expect("ASCII was written")
    }
}

/// Writes a label and a dot; a name of 255 bytes on the wire has 254 of these.
fn write_label(label: &Label, text: &mut [u8]) -> usize {
    for (to, from) in text.iter_mut().zip(label.iter()) {
        *to = if from.is_ascii_alphanumeric() || matches!(from, b'-' | b'_') { from } else { b'?' };
    }
    text[label.len()] = b'.';
    label.len() + 1
}
