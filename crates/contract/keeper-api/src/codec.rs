//! Bytes to messages and back; every message has one spelling.

use crate::{
    MESSAGE_MAX_BYTES,
    listener::{COUNT_MAX, ListenerSpec},
    message::{Message, Parked, Switch, TEXT_MAX_BYTES, Text, VERB_MAX_CHARS, Verb},
};
use std::{fmt::Write as _, str::FromStr};

/// The bytes are not a message of version 1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Longer than [`MESSAGE_MAX_BYTES`].
    #[error("the message has {0} bytes, the limit is 4096")]
    TooLong(usize),
    /// A byte outside printable ASCII.
    #[error("byte {0} is not printable ASCII")]
    NotPrintable(usize),
    /// The verb is not one of version 1.
    #[error("unknown verb `{0}`")]
    UnknownVerb(String),
    /// A field without `=`, with an empty key, or a broken percent escape.
    #[error("{verb}: field {position} is not key=value with a percent-encoded value")]
    BrokenField {
        /// The verb.
        verb: Verb,
        /// Position after the verb, from 1.
        position: usize,
    },
    /// A field the verb needs is absent.
    #[error("{verb}: field `{key}` is missing")]
    Missing {
        /// The verb.
        verb: Verb,
        /// The field.
        key: &'static str,
    },
    /// A value outside what its field may hold.
    #[error("{verb}: the value of `{key}` is not allowed")]
    BadValue {
        /// The verb.
        verb: Verb,
        /// The field.
        key: &'static str,
    },
    /// A field repeated, out of order, not of this verb, or a value spelled in another way than the one.
    #[error("{verb}: not the canonical spelling")]
    NotCanonical {
        /// The verb.
        verb: Verb,
    },
}

impl DecodeError {
    /// The verb as far as it could be read, for the `ERR` that answers.
    pub fn verb(&self) -> &str {
        match self {
            DecodeError::TooLong(_) | DecodeError::NotPrintable(_) => "",
            DecodeError::UnknownVerb(verb) => verb,
            DecodeError::BrokenField { verb, .. }
            | DecodeError::Missing { verb, .. }
            | DecodeError::BadValue { verb, .. }
            | DecodeError::NotCanonical { verb } => verb.as_str(),
        }
    }
}

/// The bytes of a message, at most [`MESSAGE_MAX_BYTES`].
pub fn encode(message: &Message) -> Vec<u8> {
    let mut line = Line(message.verb().to_string());
    match message {
        Message::BindRequest(listener) => line.listener(listener, None),
        Message::BindPassed { listener, index } => line.listener(listener, Some(*index)),
        Message::BindDone { listeners } => {
            line.field("done", 1);
            line.field("listeners", listeners);
        }
        Message::Unbind { name } => line.field("name", name),
        Message::Ready { protocol, version } => {
            line.field("protocol", protocol);
            line.field("version", version);
        }
        Message::Drain { deadline_ms } => line.field("deadline_ms", deadline_ms),
        Message::Draining { active } => line.field("active", active),
        Message::Err { verb, reason, detail } => {
            line.field("verb", verb);
            line.field("reason", reason);
            line.field("detail", detail);
        }
        Message::Parked(parked) => {
            line.flag("contact", parked.contact);
            line.field("active", parked.active);
            line.field("sessions", parked.sessions);
            line.field("requests", parked.requests);
            line.field("client_bytes", parked.client_bytes);
        }
        Message::Slots { seq, parked } => {
            line.field("seq", seq);
            line.flag("parked", *parked);
        }
        Message::Switch(switch) => {
            line.field("version", &switch.version);
            line.field("manifest", &switch.manifest);
            line.field("term", switch.term);
            line.field("generation", switch.generation);
            line.field("ready_ms", switch.ready_ms);
            line.field("trial_ms", switch.trial_ms);
        }
        Message::Back { reason, burn } => {
            line.field("reason", reason);
            line.flag("burn", *burn);
        }
        Message::Retire { deadline_ms } => line.field("deadline_ms", deadline_ms),
        Message::Unburn { manifest } => line.field("manifest", manifest),
        Message::Accept | Message::Stop | Message::Park | Message::Unpark | Message::Commit | Message::Restart | Message::Exit => {}
    }
    line.0.into_bytes()
}

/// The message these bytes spell.
///
/// # Errors
/// [`DecodeError`] when they are not the canonical spelling of one; nothing is guessed.
pub fn decode(bytes: &[u8]) -> Result<Message, DecodeError> {
    if bytes.len() > MESSAGE_MAX_BYTES {
        return Err(DecodeError::TooLong(bytes.len()));
    }
    if let Some(at) = bytes.iter().position(|b| !(b' '..=b'~').contains(b)) {
        return Err(DecodeError::NotPrintable(at));
    }
    let text = std::str::from_utf8(bytes).expect("printable ASCII is UTF-8");
    let (word, rest) = text.split_once(' ').map_or((text, None), |(word, rest)| (word, Some(rest)));
    let verb = Verb::from_str(word).map_err(|()| DecodeError::UnknownVerb(word.chars().take(VERB_MAX_CHARS).collect()))?;
    let fields = Fields::read(verb, rest)?;
    let message = fields.message()?;
    // Order, repetition, stray fields and odd spellings all show as a difference from our own spelling.
    if encode(&message) == bytes { Ok(message) } else { Err(DecodeError::NotCanonical { verb }) }
}

/// A message being spelled.
struct Line(String);

impl Line {
    fn field(&mut self, key: &str, value: impl ToString) {
        self.0.push(' ');
        self.0.push_str(key);
        self.0.push('=');
        for byte in value.to_string().bytes() {
            if plain(byte) {
                self.0.push(char::from(byte));
            } else {
                write!(self.0, "%{byte:02X}").expect("writing to a String cannot fail");
            }
        }
    }

    fn flag(&mut self, key: &str, value: bool) {
        self.field(key, u8::from(value));
    }

    fn listener(&mut self, listener: &ListenerSpec, index: Option<u16>) {
        self.field("name", &listener.name);
        self.field("proto", listener.proto);
        self.field("address", listener.address);
        if let Some(index) = index {
            self.field("index", index);
        }
        self.field("count", listener.count);
    }
}

/// Bytes that stand for themselves in a value.
fn plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~:/[],".contains(&byte)
}

/// The fields of one message, decoded.
struct Fields<'a> {
    verb: Verb,
    list: Vec<(&'a str, String)>,
}

impl<'a> Fields<'a> {
    fn read(verb: Verb, rest: Option<&'a str>) -> Result<Self, DecodeError> {
        let mut list = Vec::new();
        for (at, field) in rest.map(|rest| rest.split(' ')).into_iter().flatten().enumerate() {
            let broken = DecodeError::BrokenField { verb, position: at + 1 };
            let (key, value) = field.split_once('=').filter(|(key, _)| !key.is_empty()).ok_or(broken.clone())?;
            list.push((key, unescape(value).ok_or(broken)?));
        }
        Ok(Self { verb, list })
    }

    fn has(&self, key: &str) -> bool {
        self.list.iter().any(|(k, _)| *k == key)
    }

    fn text(&self, key: &'static str) -> Result<&str, DecodeError> {
        let found = self.list.iter().find(|(k, _)| *k == key);
        found.map(|(_, value)| value.as_str()).ok_or(DecodeError::Missing { verb: self.verb, key })
    }

    fn value<T: FromStr>(&self, key: &'static str) -> Result<T, DecodeError> {
        self.text(key)?.parse().map_err(|_| DecodeError::BadValue { verb: self.verb, key })
    }

    fn free(&self, key: &'static str) -> Result<Text, DecodeError> {
        let text = self.text(key)?;
        if text.len() > TEXT_MAX_BYTES { Err(DecodeError::BadValue { verb: self.verb, key }) } else { Ok(Text::new(text)) }
    }

    fn flag(&self, key: &'static str) -> Result<bool, DecodeError> {
        match self.text(key)? {
            "0" => Ok(false),
            "1" => Ok(true),
            _ => Err(DecodeError::BadValue { verb: self.verb, key }),
        }
    }

    /// A SHA-256 in lower-case hexadecimal digits.
    fn digest(&self, key: &'static str) -> Result<Text, DecodeError> {
        let text = self.free(key)?;
        let digits = text.as_str().bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        if digits && text.as_str().len() == 64 { Ok(text) } else { Err(DecodeError::BadValue { verb: self.verb, key }) }
    }

    fn parked(&self) -> Result<Parked, DecodeError> {
        Ok(Parked {
            contact: self.flag("contact")?,
            active: self.value("active")?,
            sessions: self.value("sessions")?,
            requests: self.value("requests")?,
            client_bytes: self.value("client_bytes")?,
        })
    }

    fn switch(&self) -> Result<Switch, DecodeError> {
        Ok(Switch {
            version: self.free("version")?,
            manifest: self.digest("manifest")?,
            term: self.value("term")?,
            generation: self.value("generation")?,
            ready_ms: self.value("ready_ms")?,
            trial_ms: self.value("trial_ms")?,
        })
    }

    fn listener(&self) -> Result<ListenerSpec, DecodeError> {
        let listener = ListenerSpec {
            name: self.value("name")?,
            proto: self.value("proto")?,
            address: self.value("address")?,
            count: self.value("count")?,
        };
        if (1..=COUNT_MAX).contains(&listener.count) { Ok(listener) } else { Err(DecodeError::BadValue { verb: self.verb, key: "count" }) }
    }

    fn bind(&self) -> Result<Message, DecodeError> {
        if self.has("done") {
            return Ok(Message::BindDone { listeners: self.value("listeners")? });
        }
        let listener = self.listener()?;
        if !self.has("index") {
            return Ok(Message::BindRequest(listener));
        }
        let index: u16 = self.value("index")?;
        if index < listener.count {
            Ok(Message::BindPassed { listener, index })
        } else {
            Err(DecodeError::BadValue { verb: self.verb, key: "index" })
        }
    }

    fn message(&self) -> Result<Message, DecodeError> {
        Ok(match self.verb {
            Verb::Bind => self.bind()?,
            Verb::Unbind => Message::Unbind { name: self.value("name")? },
            Verb::Ready => Message::Ready { protocol: self.value("protocol")?, version: self.free("version")? },
            Verb::Accept => Message::Accept,
            Verb::Stop => Message::Stop,
            Verb::Drain if self.has("active") => Message::Draining { active: self.value("active")? },
            Verb::Drain => Message::Drain { deadline_ms: self.value("deadline_ms")? },
            Verb::Park => Message::Park,
            Verb::Unpark => Message::Unpark,
            Verb::Parked => Message::Parked(self.parked()?),
            Verb::Slots => Message::Slots { seq: self.value("seq")?, parked: self.flag("parked")? },
            Verb::Switch => Message::Switch(self.switch()?),
            Verb::Back => Message::Back { reason: self.free("reason")?, burn: self.flag("burn")? },
            Verb::Commit => Message::Commit,
            Verb::Retire => Message::Retire { deadline_ms: self.value("deadline_ms")? },
            Verb::Unburn => Message::Unburn { manifest: self.digest("manifest")? },
            Verb::Restart => Message::Restart,
            Verb::Exit => Message::Exit,
            Verb::Err => Message::Err { verb: self.free("verb")?, reason: self.value("reason")?, detail: self.free("detail")? },
        })
    }
}

/// Undoes percent encoding; `None` for a broken escape or bytes that are not UTF-8.
fn unescape(value: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        if byte != b'%' {
            bytes.push(byte);
            rest = tail;
            continue;
        }
        let pair = tail.get(..2).filter(|pair| pair.iter().all(u8::is_ascii_hexdigit))?;
        let pair = std::str::from_utf8(pair).expect("hexadecimal digits are UTF-8");
        bytes.push(u8::from_str_radix(pair, 16).ok()?);
        rest = &tail[2..];
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests;
