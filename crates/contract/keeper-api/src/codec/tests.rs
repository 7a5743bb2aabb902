//! Golden lines of version 1, what is refused, and the round trip.

use super::*;
use crate::{listener::Proto, message::Reason};
use proptest::prelude::*;

fn spec(name: &str, proto: Proto, address: &str, count: u16) -> ListenerSpec {
    ListenerSpec { name: name.parse().expect("name"), proto, address: address.parse().expect("address"), count }
}

const DIGEST: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

/// Every verb and shape of version 1. These bytes are frozen when line 1.0 is cut.
fn golden() -> Vec<(&'static str, Message)> {
    let http = spec("http", Proto::Tcp, "127.77.0.11:8080", 2);
    vec![
        ("BIND name=http proto=tcp address=127.77.0.11:8080 count=2", Message::BindRequest(http.clone())),
        ("BIND name=http proto=tcp address=127.77.0.11:8080 index=1 count=2", Message::BindPassed { listener: http, index: 1 }),
        (
            "BIND name=dns proto=udp address=[::1]:5353 index=0 count=1",
            Message::BindPassed { listener: spec("dns", Proto::Udp, "[::1]:5353", 1), index: 0 },
        ),
        ("BIND done=1 listeners=3", Message::BindDone { listeners: 3 }),
        ("UNBIND name=http", Message::Unbind { name: "http".parse().expect("name") }),
        ("READY protocol=1 version=1.0.0-b1", Message::Ready { protocol: 1, version: Text::new("1.0.0-b1") }),
        ("ACCEPT", Message::Accept),
        ("STOP", Message::Stop),
        ("DRAIN deadline_ms=10000", Message::Drain { deadline_ms: 10_000 }),
        ("DRAIN active=12", Message::Draining { active: 12 }),
        ("PARK", Message::Park),
        ("UNPARK", Message::Unpark),
        (
            "PARKED contact=1 active=2 sessions=1 requests=1234 client_bytes=99",
            Message::Parked(Parked { contact: true, active: 2, sessions: 1, requests: 1234, client_bytes: 99 }),
        ),
        ("SLOTS seq=7 parked=1", Message::Slots { seq: 7, parked: true }),
        (
            "SWITCH version=1.1.0-b1 manifest=00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff term=1 generation=9 ready_ms=60000 trial_ms=900000",
            Message::Switch(Switch {
                version: Text::new("1.1.0-b1"),
                manifest: Text::new(DIGEST),
                term: 1,
                generation: 9,
                ready_ms: 60_000,
                trial_ms: 900_000,
            }),
        ),
        ("BACK reason=own_errors burn=1", Message::Back { reason: Text::new("own_errors"), burn: true }),
        ("COMMIT", Message::Commit),
        ("RETIRE deadline_ms=10000", Message::Retire { deadline_ms: 10_000 }),
        (
            "UNBURN manifest=00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff",
            Message::Unburn { manifest: Text::new(DIGEST) },
        ),
        ("RESTART", Message::Restart),
        ("EXIT", Message::Exit),
        (
            "ERR verb=PARK reason=not_built detail=parking%20is%20not%20built%3B%20stop%20the%20worker%20instead",
            Message::refusal(Verb::Park, Reason::NotBuilt, "parking is not built; stop the worker instead"),
        ),
        ("ERR verb= reason=malformed detail=50%25%20%C3%A9", Message::refusal("", Reason::Malformed, "50% é")),
    ]
}

#[test]
fn golden_lines() {
    for (line, message) in golden() {
        assert_eq!(String::from_utf8(encode(&message)).expect("ASCII"), line);
        assert_eq!(decode(line.as_bytes()).expect(line), message);
    }
}

#[test]
fn every_verb_has_a_golden_line() {
    for verb in Verb::ALL {
        assert!(golden().iter().any(|(_, message)| message.verb() == *verb), "{verb}");
    }
}

#[test]
fn refused() {
    let canonical = |verb| DecodeError::NotCanonical { verb };
    let cases = [
        ("", DecodeError::UnknownVerb(String::new())),
        ("HELLO a=b", DecodeError::UnknownVerb("HELLO".into())),
        ("stop", DecodeError::UnknownVerb("stop".into())),
        (" STOP", DecodeError::UnknownVerb(String::new())),
        ("STOP\n", DecodeError::NotPrintable(4)),
        ("STOP ", DecodeError::BrokenField { verb: Verb::Stop, position: 1 }),
        ("STOP now", DecodeError::BrokenField { verb: Verb::Stop, position: 1 }),
        ("STOP =1", DecodeError::BrokenField { verb: Verb::Stop, position: 1 }),
        ("STOP now=1", canonical(Verb::Stop)),
        ("DRAIN", DecodeError::Missing { verb: Verb::Drain, key: "deadline_ms" }),
        ("DRAIN deadline_ms=-1", DecodeError::BadValue { verb: Verb::Drain, key: "deadline_ms" }),
        ("DRAIN deadline_ms=01", canonical(Verb::Drain)),
        ("DRAIN deadline_ms=+1", canonical(Verb::Drain)),
        ("DRAIN deadline_ms=1 deadline_ms=1", canonical(Verb::Drain)),
        ("DRAIN deadline_ms=1 active=1", canonical(Verb::Drain)),
        ("DRAIN deadline_ms=99999999999999999999", DecodeError::BadValue { verb: Verb::Drain, key: "deadline_ms" }),
        ("UNBIND name=Http", DecodeError::BadValue { verb: Verb::Unbind, key: "name" }),
        ("UNBIND name=ht%74p", canonical(Verb::Unbind)),
        ("UNBIND name=%", DecodeError::BrokenField { verb: Verb::Unbind, position: 1 }),
        ("UNBIND name=%zz", DecodeError::BrokenField { verb: Verb::Unbind, position: 1 }),
        ("UNBIND name=%+1", DecodeError::BrokenField { verb: Verb::Unbind, position: 1 }),
        ("UNBIND name=%FF", DecodeError::BrokenField { verb: Verb::Unbind, position: 1 }),
        ("BIND done=2 listeners=1", canonical(Verb::Bind)),
        ("BIND name=a proto=sctp address=1.2.3.4:5 count=1", DecodeError::BadValue { verb: Verb::Bind, key: "proto" }),
        ("BIND name=a proto=tcp address=host:5 count=1", DecodeError::BadValue { verb: Verb::Bind, key: "address" }),
        ("BIND name=a proto=tcp address=1.2.3.4:5 count=0", DecodeError::BadValue { verb: Verb::Bind, key: "count" }),
        ("BIND name=a proto=tcp address=1.2.3.4:5 count=65", DecodeError::BadValue { verb: Verb::Bind, key: "count" }),
        ("BIND name=a proto=tcp address=1.2.3.4:5 index=2 count=2", DecodeError::BadValue { verb: Verb::Bind, key: "index" }),
        ("BIND proto=tcp name=a address=1.2.3.4:5 count=1", canonical(Verb::Bind)),
        ("BIND name=a  proto=tcp address=1.2.3.4:5 count=1", DecodeError::BrokenField { verb: Verb::Bind, position: 2 }),
        ("SLOTS seq=1 parked=2", DecodeError::BadValue { verb: Verb::Slots, key: "parked" }),
        ("UNBURN manifest=0011", DecodeError::BadValue { verb: Verb::Unburn, key: "manifest" }),
        ("COMMIT now=1", canonical(Verb::Commit)),
        ("ERR verb=STOP reason=because detail=x", DecodeError::BadValue { verb: Verb::Err, key: "reason" }),
    ];
    for (line, error) in cases {
        assert_eq!(decode(line.as_bytes()), Err(error), "{line:?}");
    }
    assert_eq!(decode(&vec![b'A'; MESSAGE_MAX_BYTES + 1]), Err(DecodeError::TooLong(MESSAGE_MAX_BYTES + 1)));
}

fn any_spec() -> impl Strategy<Value = ListenerSpec> {
    let name = "[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?".prop_map(|name| name.parse().expect("generated names are names"));
    let proto = prop_oneof![Just(Proto::Tcp), Just(Proto::Udp)];
    // Without a scope or flow label: those are no part of a listener's address here.
    let address = (any::<std::net::IpAddr>(), any::<u16>()).prop_map(std::net::SocketAddr::from);
    (name, proto, address, 1..=COUNT_MAX).prop_map(|(name, proto, address, count)| ListenerSpec { name, proto, address, count })
}

fn any_message() -> impl Strategy<Value = Message> {
    prop_oneof![
        any_spec().prop_map(Message::BindRequest),
        (any_spec(), any::<u16>()).prop_map(|(listener, n)| Message::BindPassed { index: n % listener.count, listener }),
        any::<u16>().prop_map(|listeners| Message::BindDone { listeners }),
        any_spec().prop_map(|spec| Message::Unbind { name: spec.name }),
        (any::<u32>(), ".{0,1200}").prop_map(|(protocol, version)| Message::Ready { protocol, version: Text::new(version) }),
        any::<u64>().prop_map(|deadline_ms| Message::Drain { deadline_ms }),
        any::<u64>().prop_map(|active| Message::Draining { active }),
        (any::<bool>(), any::<u64>(), any::<u64>(), any::<u64>(), any::<u64>()).prop_map(
            |(contact, active, sessions, requests, client_bytes)| {
                Message::Parked(Parked { contact, active, sessions, requests, client_bytes })
            }
        ),
        (any::<u64>(), any::<bool>()).prop_map(|(seq, parked)| Message::Slots { seq, parked }),
        (".{0,40}", "[0-9a-f]{64}", any::<[u64; 4]>()).prop_map(|(version, manifest, [term, generation, ready_ms, trial_ms])| {
            let (version, manifest) = (Text::new(version), Text::new(manifest));
            Message::Switch(Switch { version, manifest, term, generation, ready_ms, trial_ms })
        }),
        (".{0,40}", any::<bool>()).prop_map(|(reason, burn)| Message::Back { reason: Text::new(reason), burn }),
        any::<u64>().prop_map(|deadline_ms| Message::Retire { deadline_ms }),
        "[0-9a-f]{64}".prop_map(|manifest| Message::Unburn { manifest: Text::new(manifest) }),
        (prop::sample::select(Verb::ALL), prop::sample::select(Reason::ALL), ".{0,1200}")
            .prop_map(|(verb, reason, detail)| Message::refusal(verb, reason, detail)),
    ]
}

proptest! {
    #[test]
    fn what_is_written_is_read(message in any_message()) {
        let bytes = encode(&message);
        prop_assert!(bytes.len() <= MESSAGE_MAX_BYTES);
        prop_assert_eq!(decode(&bytes).expect("own spelling"), message);
    }

    #[test]
    fn what_is_read_has_one_spelling(line in "(BIND|UNBIND|READY|DRAIN|ERR|STOP|SLOTS|BACK|RETIRE|PARKED)( (name|proto|address|index|count|done|listeners|active|deadline_ms|protocol|version|reason|verb|detail)=[ -~]{0,12}){0,5}") {
        if let Ok(message) = decode(line.as_bytes()) {
            prop_assert_eq!(encode(&message), line.into_bytes());
        }
    }

    #[test]
    fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = decode(&bytes);
    }
}
