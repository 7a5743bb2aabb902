//! Writes an answer: header, question as it was spelled, records, EDNS; cut down to what fits.

use super::{
    Outcome, UDP_ANSWER_BYTES_MAX,
    query::{Edns, Query, Unreadable},
    verdict::{Records, Verdict},
};
use domain::{
    base::{
        Header, MessageBuilder, Ttl,
        charstr::CharStr,
        iana::{Class, ExtendedErrorCode, OptRcode, OptionCode},
        message_builder::{AdditionalBuilder, AnswerBuilder, OptBuilder, PushError, RecordSectionBuilder, StaticCompressor},
        name::ToName,
    },
    dep::octseq::OctetsBuilder,
    rdata::{A, Aaaa, Hinfo, Ns},
};
use std::{convert::Infallible, net::IpAddr};

/// Bytes of an OPT record without options: root, type, class, TTL, length.
const OPT_BYTES: usize = 11;
/// Bytes of an option's code and length.
const OPTION_BYTES: usize = 4;
/// What the HINFO of a minimal answer says, in place of a processor (RFC 8482 section 4.2).
const MINIMAL: &[u8] = b"RFC8482";

/// Writing to a `Vec` does not fail.
const INFALLIBLE: &str = "memory takes what is written to it";

/// Whether all of an answer was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fit {
    /// It was, but for addresses nobody asked for.
    Whole,
    /// Only the question: the client asks again over TCP.
    Truncated,
}

type Target<'a> = StaticCompressor<&'a mut Vec<u8>>;

/// The code of an outcome, and whether the zone's authority speaks (AA).
fn code(outcome: Outcome) -> (OptRcode, bool) {
    match outcome {
        Outcome::Answered | Outcome::NoData => (OptRcode::NOERROR, true),
        Outcome::NoName => (OptRcode::NXDOMAIN, true),
        Outcome::Refused => (OptRcode::REFUSED, false),
        // Another router may know better, so the client is to ask it, and what a resolver has in its cache stands meanwhile.
        Outcome::Unplaced(_) | Outcome::NoConfiguration => (OptRcode::SERVFAIL, false),
        Outcome::FormatError | Outcome::Ignored => (OptRcode::FORMERR, false),
        Outcome::NotImplemented => (OptRcode::NOTIMP, false),
        Outcome::BadVersion => (OptRcode::BADVERS, false),
    }
}

/// The extended error of an outcome (RFC 8914), and its text.
fn extended_error(outcome: Outcome) -> Option<(ExtendedErrorCode, &'static str)> {
    match outcome {
        Outcome::Unplaced(_) => Some((ExtendedErrorCode::OTHER, outcome.as_str())),
        Outcome::NoConfiguration => Some((ExtendedErrorCode::NOT_READY, outcome.as_str())),
        _ => None,
    }
}

/// Answers a message that cannot be read with a header, and an OPT where one is due; or not at all.
pub(super) fn write_unreadable(unreadable: Unreadable, out: &mut Vec<u8>) {
    let (header, edns) = match unreadable {
        Unreadable::NotAQuery => return,
        Unreadable::Operation(header, edns) | Unreadable::Format(header, edns) => (header, edns),
    };
    let outcome = unreadable.outcome();
    let mut additional = begin(header, outcome, out).additional();
    if let Some(edns) = &edns {
        additional.opt(|opt| options(opt, edns, outcome, 0)).expect(INFALLIBLE);
    }
}

/// Answers a query within `limit` bytes, which is at least 512.
pub(super) fn write(query: &Query<'_>, verdict: &Verdict<'_>, limit: usize, out: &mut Vec<u8>) -> Fit {
    let reserved = query.edns.map_or(0, |edns| opt_bytes(&edns, verdict.outcome));
    let mut builder = begin(query.header, verdict.outcome, out);
    // The builder's limit is one byte more than it lets be written.
    builder.set_push_limit(limit - reserved + 1);
    let mut question = builder.question();
    question.push(&query.question).expect("a question and an OPT are within 512 bytes");
    let (mut additional, fit) = match records(query, verdict, question.answer()) {
        Ok(additional) => (additional, Fit::Whole),
        Err(_) => {
            let mut question = begin(query.header, verdict.outcome, out).question();
            question.header_mut().set_tc(true);
            question.push(&query.question).expect(INFALLIBLE);
            (question.additional(), Fit::Truncated)
        }
    };
    additional.clear_push_limit();
    if let Some(edns) = &query.edns {
        additional.opt(|opt| options(opt, edns, verdict.outcome, verdict.scope)).expect(INFALLIBLE);
    }
    fit
}

fn begin(asked: Header, outcome: Outcome, out: &mut Vec<u8>) -> MessageBuilder<Target<'_>> {
    let mut builder = MessageBuilder::from_target(StaticCompressor::new(out)).expect(INFALLIBLE);
    let header = builder.header_mut();
    let (code, authoritative) = code(outcome);
    header.set_id(asked.id());
    header.set_qr(true);
    header.set_opcode(asked.opcode());
    header.set_rd(asked.rd());
    header.set_aa(authoritative);
    header.set_rcode(code.rcode());
    builder
}

fn records<'a>(
    query: &Query<'_>,
    verdict: &Verdict<'_>,
    mut answer: AnswerBuilder<Target<'a>>,
) -> Result<AdditionalBuilder<Target<'a>>, PushError> {
    let (asked, ttl) = (query.question.qname(), verdict.ttl);
    match &verdict.records {
        Records::None => {}
        Records::Addresses(addresses) => {
            for address in addresses.iter().flatten() {
                push_address(&mut answer, asked, ttl, *address)?;
            }
        }
        Records::Authority(zone) => answer.push((asked, Class::IN, ttl, &zone.authority))?,
        Records::Minimal => {
            let text = |bytes| CharStr::from_octets(bytes).expect("a short text");
            answer.push((asked, Class::IN, ttl, Hinfo::new(text(MINIMAL), text(b""))))?;
        }
        Records::Nothing(zone) => {
            let mut authority = answer.authority();
            authority.push((&zone.apex, Class::IN, ttl, &zone.authority))?;
            return Ok(authority.additional());
        }
        Records::Servers(zone) => {
            for server in &zone.servers {
                answer.push((asked, Class::IN, ttl, Ns::new(&server.name)))?;
            }
            let mut additional = answer.additional();
            // What does not fit can be asked for: the servers' names are this zone's own.
            let _ = zone.servers.iter().try_for_each(|server| push_address(&mut additional, &server.name, ttl, server.address));
            return Ok(additional);
        }
    }
    Ok(answer.additional())
}

fn push_address<'a>(
    section: &mut impl RecordSectionBuilder<Target<'a>>,
    owner: impl ToName,
    ttl: Ttl,
    address: IpAddr,
) -> Result<(), PushError> {
    match address {
        IpAddr::V4(v4) => section.push((owner, Class::IN, ttl, A::new(v4))),
        IpAddr::V6(v6) => section.push((owner, Class::IN, ttl, Aaaa::new(v6))),
    }
}

/// How much room an answer's OPT takes.
fn opt_bytes(edns: &Edns, outcome: Outcome) -> usize {
    let subnet = edns.subnet.map_or(0, |subnet| OPTION_BYTES + usize::from(subnet.len()));
    let error = extended_error(outcome).map_or(0, |(_, text)| OPTION_BYTES + 2 + text.len());
    OPT_BYTES + subnet + error
}

fn options(opt: &mut OptBuilder<'_, Target<'_>>, edns: &Edns, outcome: Outcome, scope: u8) -> Result<(), Infallible> {
    opt.set_udp_payload_size(UDP_ANSWER_BYTES_MAX as u16);
    opt.set_rcode(code(outcome).0);
    opt.set_dnssec_ok(edns.dnssec_ok);
    if let Some(subnet) = &edns.subnet {
        let scope = if subnet.source() == 0 { 0 } else { scope };
        let option = subnet.answer(scope);
        let length = subnet.len();
        opt.push_raw_option(OptionCode::CLIENT_SUBNET, length, |out| out.append_slice(&option[..usize::from(length)]))?;
    }
    if let Some((code, text)) = extended_error(outcome) {
        let length = u16::try_from(2 + text.len()).expect("one of our own words");
        opt.push_raw_option(OptionCode::EXTENDED_ERROR, length, |out| {
            code.compose(out)?;
            out.append_slice(text.as_bytes())
        })?;
    }
    Ok(())
}
