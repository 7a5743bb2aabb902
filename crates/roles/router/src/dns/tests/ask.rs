//! Queries by hand, byte for byte, and answers read with the `domain` crate.

use domain::{
    base::{Message, iana::Rtype, opt::UnknownOptData},
    rdata::AllRecordData,
};

/// A query in the making.
#[derive(Clone)]
pub(super) struct Ask {
    name: Vec<u8>,
    rtype: u16,
    edns: Option<(u16, u8, Vec<u8>)>,
    dnssec_ok: bool,
}

pub(super) const ID: [u8; 2] = [0xab, 0xcd];

/// A client-subnet option's data.
pub(super) fn subnet(family: u8, source: u8, address: &[u8]) -> Vec<u8> {
    [&[0, family, source, 0], address].concat()
}

impl Ask {
    pub(super) fn new(name: &str, rtype: &str) -> Self {
        let labels: Vec<&[u8]> = name.split('.').filter(|label| !label.is_empty()).map(str::as_bytes).collect();
        Self { rtype: rtype.parse::<Rtype>().expect(rtype).to_int(), ..Self::labels(&labels) }
    }

    pub(super) fn labels(labels: &[&[u8]]) -> Self {
        let mut name: Vec<u8> = labels.iter().flat_map(|label| [&[label.len() as u8], *label].concat()).collect();
        name.push(0);
        Self { name, rtype: 1, edns: None, dnssec_ok: false }
    }

    pub(super) fn rtype(mut self, rtype: u16) -> Self {
        self.rtype = rtype;
        self
    }

    pub(super) fn edns(mut self, udp_bytes: u16) -> Self {
        self.edns = Some((udp_bytes, 0, Vec::new()));
        self
    }

    pub(super) fn version(mut self, version: u8) -> Self {
        self.edns.as_mut().expect("EDNS first").1 = version;
        self
    }

    pub(super) fn dnssec_ok(mut self) -> Self {
        self.dnssec_ok = true;
        self
    }

    pub(super) fn option(mut self, code: u16, data: &[u8]) -> Self {
        let options = &mut self.edns.as_mut().expect("EDNS first").2;
        options.extend_from_slice(&code.to_be_bytes());
        options.extend_from_slice(&(data.len() as u16).to_be_bytes());
        options.extend_from_slice(data);
        self
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut bytes = [&ID[..], &[1, 0, 0, 1, 0, 0, 0, 0, 0, u8::from(self.edns.is_some())], &self.name].concat();
        bytes.extend_from_slice(&self.rtype.to_be_bytes());
        bytes.extend_from_slice(&[0, 1]);
        if let Some((udp_bytes, version, options)) = &self.edns {
            bytes.extend_from_slice(&[0, 0, 41]);
            bytes.extend_from_slice(&udp_bytes.to_be_bytes());
            bytes.extend_from_slice(&[0, *version, if self.dnssec_ok { 0x80 } else { 0 }, 0]);
            bytes.extend_from_slice(&(options.len() as u16).to_be_bytes());
            bytes.extend_from_slice(options);
        }
        bytes
    }

    /// The largest datagram it takes, as far as this server goes.
    pub(super) fn answer_bytes_max(&self) -> usize {
        self.edns.as_ref().map_or(512, |(udp_bytes, ..)| usize::from(*udp_bytes).clamp(512, 1232))
    }

    /// With its length before it, as on a connection.
    pub(super) fn framed(&self) -> Vec<u8> {
        let bytes = self.bytes();
        [&(bytes.len() as u16).to_be_bytes()[..], &bytes].concat()
    }
}

/// An answer for people.
#[derive(Debug, Default)]
pub(super) struct Shown {
    /// The code, and `aa` and `tc` where they are set.
    pub(super) code: String,
    pub(super) answer: Vec<String>,
    pub(super) authority: Vec<String>,
    /// Without the OPT.
    pub(super) additional: Vec<String>,
    /// Size and version, and `do` where it is set.
    pub(super) opt: Option<String>,
    /// Family, source and scope prefix lengths, address.
    pub(super) subnet: String,
    /// Code and text.
    pub(super) error: String,
}

impl Shown {
    /// Reads an answer to `ask`, whose id and, where there is one, question it has.
    pub(super) fn of(answer: &[u8], ask: &Ask) -> Self {
        let message = Message::from_slice(answer).expect("an answer");
        assert_eq!(answer[..2], ID, "the id");
        assert!(message.header().qr() && !message.header().ra());
        if message.header_counts().qdcount() == 1 {
            assert_eq!(answer[12..12 + ask.name.len()], ask.name, "the question as it was spelled");
        }
        let mut shown = parse(answer);
        let header = message.header();
        shown.code = message.opt_rcode().to_string();
        for (is_set, word) in [(header.aa(), " aa"), (header.tc(), " tc")] {
            if is_set {
                shown.code.push_str(word);
            }
        }
        shown
    }
}

/// Reads every record of an answer; it panics on one that cannot be read.
pub(super) fn parse(answer: &[u8]) -> Shown {
    let message = Message::from_slice(answer).expect("an answer");
    let mut shown = Shown::default();
    for question in message.question() {
        question.expect("a question");
    }
    let (_, answers, authority, additional) = message.sections().expect("sections");
    for (section, records) in [(answers, &mut shown.answer), (authority, &mut shown.authority), (additional, &mut shown.additional)] {
        for record in section {
            let record = record.expect("a record");
            if record.rtype() != Rtype::OPT {
                let record = record.to_any_record::<AllRecordData<_, _>>().expect("data");
                records.push(record.to_string().replace('\t', " "));
            }
        }
    }
    if let Some(opt) = message.opt() {
        let dnssec_ok = if opt.dnssec_ok() { " do" } else { "" };
        shown.opt = Some(format!("{} v{}{dnssec_ok}", opt.udp_payload_size(), opt.version()));
        for option in opt.opt().iter::<UnknownOptData<_>>() {
            let option = option.expect("an option");
            let data = option.as_slice();
            match option.code().to_int() {
                8 => {
                    let address: Vec<String> = data[4..].iter().map(u8::to_string).collect();
                    shown.subnet = format!("{}/{}/{} {}", data[1], data[2], data[3], address.join("."));
                }
                15 => shown.error = format!("{} {}", data[1], String::from_utf8_lossy(&data[2..])),
                other => panic!("option {other}"),
            }
        }
    }
    shown
}

/// Bytes of the uncompressed name something begins with.
pub(super) fn name_bytes(bytes: &[u8]) -> usize {
    let mut at = 0;
    while bytes[at] != 0 {
        at += 1 + usize::from(bytes[at]);
    }
    at + 1
}
