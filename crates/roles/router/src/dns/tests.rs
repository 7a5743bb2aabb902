//! Queries as a resolver sends them, answers as another implementation's client would read them.

mod ask;
mod network;
mod sockets;
mod stream;

use super::*;
use ask::{Ask, Shown, subnet};
use network::Bench;
use proptest::prelude::*;
use weir_device_api::keepalive::EngineState;

const NEGATIVE: &str = "demo.weir.test. 2 IN SOA router-1.sr.demo.weir.test. hostmaster.demo.weir.test. 5 3600 600 1209600 2";

/// Asks, and shows the code and flags, and each section's records.
fn asked(bench: &Bench, ask: &Ask) -> Shown {
    let answer = bench.answer(&ask.bytes(), Transport::Udp);
    assert!(answer.len() <= ask.answer_bytes_max(), "{} bytes", answer.len());
    Shown::of(&answer, ask)
}

#[test]
fn what_a_zone_has() {
    let bench = Bench::start();
    for (name, rtype, code, answers, authority) in [
        ("demo.weir.test", "A", "NOERROR aa", &["A 127.0.7.22", "A 127.0.7.23"][..], ""),
        ("demo.weir.test", "AAAA", "NOERROR aa", &["AAAA 2001:db8::24"], ""),
        ("demo.weir.test", "SOA", "NOERROR aa", &["SOA router-1.sr.demo.weir.test. hostmaster.demo.weir.test. 5 3600 600 1209600 2"], ""),
        ("demo.weir.test", "TXT", "NOERROR aa", &[], NEGATIVE),
        ("demo.weir.test", "DS", "NOERROR aa", &[], NEGATIVE),
        ("demo.weir.test", "ANY", "NOERROR aa", &["HINFO \"RFC8482\" \"\""], ""),
        ("demo.weir.test", "AXFR", "REFUSED", &[], ""),
        ("east-1.se.demo.weir.test", "A", "NOERROR aa", &["A 127.0.7.22"], ""),
        ("east-1.se.demo.weir.test", "AAAA", "NOERROR aa", &[], NEGATIVE),
        ("east-1.se.demo.weir.test", "NS", "NOERROR aa", &[], NEGATIVE),
        ("east-3.se.demo.weir.test", "AAAA", "NOERROR aa", &["AAAA 2001:db8::24"], ""),
        ("router-1.sr.demo.weir.test", "A", "NOERROR aa", &["A 127.0.7.9"], ""),
        ("router-2.sr.demo.weir.test", "AAAA", "NOERROR aa", &["AAAA 2001:db8::10"], ""),
        ("router-2.sr.demo.weir.test", "A", "NOERROR aa", &[], NEGATIVE),
        ("router-3.sr.demo.weir.test", "A", "NOERROR aa", &["A 127.0.7.11"], ""),
        ("se.demo.weir.test", "A", "NOERROR aa", &[], NEGATIVE),
        ("sr.demo.weir.test", "ANY", "NOERROR aa", &[], NEGATIVE),
        ("gone-7.se.demo.weir.test", "AAAA", "NOERROR aa", &["AAAA 2001:db8::24"], ""),
        ("gone-7.se.demo.weir.test", "TXT", "NOERROR aa", &[], NEGATIVE),
        ("_gone.se.demo.weir.test", "A", "NXDOMAIN aa", &[], NEGATIVE),
        ("router-9.sr.demo.weir.test", "A", "NXDOMAIN aa", &[], NEGATIVE),
        ("www.demo.weir.test", "A", "NXDOMAIN aa", &[], NEGATIVE),
        ("x.east-1.se.demo.weir.test", "A", "NXDOMAIN aa", &[], NEGATIVE),
        ("_acme-challenge.demo.weir.test", "TXT", "NXDOMAIN aa", &[], NEGATIVE),
        ("weir.test", "A", "REFUSED", &[], ""),
        ("example.com", "A", "REFUSED", &[], ""),
        (".", "NS", "REFUSED", &[], ""),
    ] {
        let shown = asked(&bench, &Ask::new(name, rtype));
        assert_eq!(shown.code, code, "{name} {rtype}");
        let expected: Vec<String> = answers.iter().map(|data| format!("{name}. 2 IN {data}")).collect();
        let mut records = shown.answer.clone();
        records.sort();
        assert_eq!(records, expected, "{name} {rtype}");
        assert_eq!(shown.authority.join("; "), authority, "{name} {rtype}");
        assert_eq!(shown.additional, Vec::<String>::new(), "{name} {rtype}");
    }
}

#[test]
fn name_servers_are_the_routers_in_service() {
    let bench = Bench::start();
    let shown = asked(&bench, &Ask::new("demo.weir.test", "NS"));
    assert_eq!(shown.answer, ["router-1", "router-2"].map(|router| format!("demo.weir.test. 2 IN NS {router}.sr.demo.weir.test.")));
    assert_eq!(shown.additional, ["router-1.sr.demo.weir.test. 2 IN A 127.0.7.9", "router-2.sr.demo.weir.test. 2 IN AAAA 2001:db8::10"]);
    let mut configuration = network::configuration();
    configuration.stamp.generation = (1 << 32) + 7;
    for router in &mut configuration.routers {
        router.offloaded = true;
    }
    bench.router.apply(&configuration).expect("valid");
    let shown = asked(&bench, &Ask::new("demo.weir.test", "NS"));
    assert_eq!(shown.answer.len(), 3, "a zone has name servers: {shown:?}");
    let serial = asked(&bench, &Ask::new("demo.weir.test", "SOA")).answer.join("");
    assert!(serial.contains(" 7 3600 "), "the generation's lower half: {serial}");
}

#[test]
fn many_name_servers_fit_or_are_cut() {
    let bench = Bench::start();
    bench.router.apply(&network::many_routers()).expect("valid");
    let whole = asked(&bench, &Ask::new("demo.weir.test", "NS").edns(4096));
    assert_eq!(whole.answer.len(), 13);
    assert_eq!(whole.additional.len(), 13);
    let cut = asked(&bench, &Ask::new("demo.weir.test", "NS"));
    assert_eq!((cut.code.as_str(), cut.answer.len()), ("NOERROR aa tc", 0));
    // At every size the answer is within it, and whole but for addresses, or the question alone.
    let mut servers = std::collections::BTreeSet::new();
    for bytes in 512..=1300 {
        let shown = asked(&bench, &Ask::new("demo.weir.test", "NS").edns(bytes));
        assert_eq!(shown.code.ends_with(" tc"), shown.answer.is_empty(), "{bytes}: {shown:?}");
        servers.insert((shown.answer.len(), shown.additional.len()));
    }
    assert!(servers.contains(&(0, 0)) && servers.contains(&(13, 0)) && servers.contains(&(13, 7)), "{servers:?}");
    let ask = Ask::new("demo.weir.test", "NS");
    let over_tcp = Shown::of(&bench.answer(&ask.bytes(), Transport::Tcp), &ask);
    assert_eq!((over_tcp.code.as_str(), over_tcp.answer.len(), over_tcp.additional.len()), ("NOERROR aa", 13, 13));
}

#[test]
fn the_spelling_of_the_question_is_that_of_the_answer() {
    let bench = Bench::start();
    for (name, owner) in [("dEmO.WeIr.tEsT", "dEmO.WeIr.tEsT."), ("EAST-1.se.DEMO.weir.test", "EAST-1.se.DEMO.weir.test.")] {
        let shown = asked(&bench, &Ask::new(name, "A"));
        assert_eq!(shown.code, "NOERROR aa", "{name}");
        assert!(shown.answer.iter().all(|record| record.starts_with(owner)), "{name}: {shown:?}");
    }
    let negative = asked(&bench, &Ask::new("Www.Demo.Weir.Test", "A"));
    assert!(negative.authority[0].starts_with("Demo.Weir.Test. "), "compressed to the question: {negative:?}");
}

#[test]
fn what_is_no_query_for_these_zones() {
    let bench = Bench::start();
    let ask = Ask::new("demo.weir.test", "A");
    let plain = ask.bytes();
    let edited = |edit: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = plain.clone();
        edit(&mut bytes);
        bytes
    };
    let opt = [0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0];
    let with_opt = ask.clone().edns(1232).bytes();
    let edited_opt = |edit: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = with_opt.clone();
        edit(&mut bytes);
        bytes
    };
    let with_additional = |records: &[&[u8]]| {
        edited(&|bytes| {
            bytes[11] = records.len() as u8;
            bytes.extend(records.concat());
        })
    };
    let broken_option = [&opt[..10], &[4, 0, 8, 0, 9]].concat();
    // Those behind which an OPT can be read are answered with one.
    for (what, bytes, expected) in [
        ("notify with EDNS", edited_opt(&|bytes| bytes[2] |= 4 << 3), "NOTIMP +"),
        ("no question, with EDNS", edited_opt(&|bytes| drop((bytes[5] = 0, bytes.drain(12..32)))), "FORMERR +"),
        ("bytes behind an OPT", edited_opt(&|bytes| bytes.push(0)), "FORMERR +"),
        ("a compressed question, with EDNS", edited_opt(&|bytes| drop(bytes.splice(27..28, [0xc0, 12]))), "FORMERR"),
        ("notify", edited(&|bytes| bytes[2] |= 4 << 3), "NOTIMP"),
        ("update", edited(&|bytes| bytes[2] |= 5 << 3), "NOTIMP"),
        ("opcode 15", edited(&|bytes| bytes[2] |= 15 << 3), "NOTIMP"),
        ("no question", edited(&|bytes| bytes[5] = 0), "FORMERR"),
        ("two questions", edited(&|bytes| bytes[5] = 2), "FORMERR"),
        ("65,535 questions", edited(&|bytes| bytes[4..6].fill(255)), "FORMERR"),
        ("a question cut short", edited(&|bytes| bytes.truncate(bytes.len() - 1)), "FORMERR"),
        ("bytes behind", edited(&|bytes| bytes.push(0)), "FORMERR"),
        ("a header alone", edited(&|bytes| bytes.truncate(12)), "FORMERR"),
        ("a record that is not there", edited(&|bytes| bytes[7] = 1), "FORMERR"),
        ("a name that points to itself", edited(&|bytes| bytes[12..14].copy_from_slice(&[0xc0, 12])), "FORMERR"),
        ("a name that points into the header", edited(&|bytes| bytes[12..14].copy_from_slice(&[0xc0, 4])), "FORMERR"),
        ("a label of a type that is gone", edited(&|bytes| bytes[12] = 0x41), "FORMERR"),
        ("two OPT", with_additional(&[&opt, &opt]), "FORMERR +"),
        ("an OPT of a name", with_additional(&[&[&[0xc0, 12], &opt[1..]].concat()]), "FORMERR"),
        ("an OPT cut short", with_additional(&[&opt[..9]]), "FORMERR"),
        ("an option longer than its OPT", with_additional(&[&broken_option]), "FORMERR +"),
        ("a record whose name loops", with_additional(&[&[0xc0, 32, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0]]), "FORMERR"),
        ("chaos", edited(&|bytes| *bytes.last_mut().expect("class") = 3), "REFUSED"),
        ("any class", edited(&|bytes| *bytes.last_mut().expect("class") = 255), "REFUSED"),
    ] {
        let shown = Shown::of(&bench.answer(&bytes, Transport::Udp), &ask);
        let opt = shown.opt.map_or("", |opt| if opt == "1232 v0" { " +" } else { " ?" });
        assert_eq!(format!("{}{opt}", shown.code), expected, "{what}");
    }
    for (what, bytes) in [("nothing", Vec::new()), ("eleven bytes", plain[..11].to_vec()), ("an answer", edited(&|bytes| bytes[2] |= 0x80))]
    {
        assert_eq!(bench.answer(&bytes, Transport::Udp), Vec::<u8>::new(), "{what}");
    }
    assert_eq!(bench.router.shared.metrics.dns.times_answered(Transport::Udp, Outcome::Ignored), 3);
}

#[test]
fn odd_names_are_names_of_their_zone() {
    let bench = Bench::start();
    for labels in
        [&[&b"a.b"[..], b"demo", b"weir", b"test"][..], &[b"\0\xff", b"demo", b"weir", b"test"], &[&[b'x'; 63], b"demo", b"weir", b"test"]]
    {
        assert_eq!(asked(&bench, &Ask::labels(labels)).code, "NXDOMAIN aa", "{labels:?}");
    }
    // The dot is inside a label: it is not the service's domain.
    assert_eq!(asked(&bench, &Ask::labels(&[b"demo.weir", b"test"])).code, "REFUSED");
    let longest = [&[b'a'; 63][..], &[b'b'; 63], &[b'c'; 63], &[b'd'; 45], b"demo", b"weir", b"test"];
    assert_eq!(asked(&bench, &Ask::labels(&longest)).code, "NXDOMAIN aa");
}

#[test]
fn flags_are_those_of_an_authority() {
    let bench = Bench::start();
    let ask = Ask::new("demo.weir.test", "A");
    let mut bytes = ask.bytes();
    for (asked, answered) in [([0x01, 0x30], [0x85, 0x00]), ([0x00, 0x00], [0x84, 0x00]), ([0x06, 0x0f], [0x84, 0x00])] {
        bytes[2..4].copy_from_slice(&asked);
        let answer = bench.answer(&bytes, Transport::Udp);
        assert_eq!(answer[2..4], answered, "RD goes back, RA, Z, AD and CD are clear");
    }
}

#[test]
fn edns_is_answered_in_kind() {
    let bench = Bench::start();
    let plain = Ask::new("demo.weir.test", "A");
    assert_eq!(asked(&bench, &plain).opt, None);
    let shown = asked(&bench, &plain.clone().edns(4096));
    assert_eq!(shown.opt.as_deref(), Some("1232 v0"));
    let other_version = asked(&bench, &plain.clone().edns(4096).version(1));
    assert_eq!((other_version.code.as_str(), other_version.opt.as_deref()), ("BADVERS", Some("1232 v0")));
    let dnssec = asked(&bench, &plain.clone().edns(4096).dnssec_ok());
    assert_eq!((dnssec.code.as_str(), dnssec.opt.as_deref()), ("NOERROR aa", Some("1232 v0 do")), "RFC 3225 section 3");
    let unknown_option = asked(&bench, &plain.clone().edns(512).option(65_001, b"who knows"));
    assert_eq!((unknown_option.code.as_str(), unknown_option.opt.as_deref()), ("NOERROR aa", Some("1232 v0")));
    let refused = asked(&bench, &Ask::new("example.com", "A").edns(1232));
    assert_eq!((refused.code.as_str(), refused.opt.as_deref()), ("REFUSED", Some("1232 v0")));
}

#[test]
fn the_client_behind_a_resolver_decides() {
    let bench = Bench::start();
    for (client, option, answer, scope) in [
        // Zones of the sample: 127/8 is east, 127.128/9 in it west; the key is a /24.
        ("127.0.0.9", Some(subnet(1, 24, &[127, 200, 1])), "127.0.7.31", "1/24/24 127.200.1"),
        ("127.0.0.9", Some(subnet(1, 16, &[127, 200])), "127.0.7.31", "1/16/24 127.200"),
        ("127.0.0.9", Some(subnet(1, 0, &[])), "127.0.7.2", "1/0/0 "),
        ("127.200.0.9", Some(subnet(0, 0, &[])), "127.0.7.31", "0/0/0 "),
        ("127.200.0.9", None, "127.0.7.31", ""),
        ("::ffff:127.200.0.9", None, "127.0.7.31", ""),
    ] {
        let mut ask = Ask::new("demo.weir.test", "A").edns(1232);
        if let Some(option) = &option {
            ask = ask.option(8, option);
        }
        let answered = bench.answer_to(&ask.bytes(), client);
        let shown = Shown::of(&answered, &ask);
        assert!(shown.answer[0].contains(answer), "{client} {option:?}: {shown:?}");
        assert_eq!(shown.subnet, scope, "{client} {option:?}");
    }
    let elsewhere = Ask::new("demo.weir.test", "A").edns(1232).option(8, &subnet(1, 24, &[192, 0, 2]));
    let shown = asked(&bench, &elsewhere);
    assert_eq!((shown.code.as_str(), shown.subnet.as_str()), ("SERVFAIL", "1/24/24 192.0.2"));
    assert_eq!(shown.error, "0 no_coverage_zone");
    // What is the same for everybody says so.
    for (name, rtype) in [("demo.weir.test", "SOA"), ("www.demo.weir.test", "A"), ("east-1.se.demo.weir.test", "A"), ("example.com", "A")] {
        let ask = Ask::new(name, rtype).edns(1232).option(8, &subnet(1, 24, &[127, 0, 0]));
        assert_eq!(asked(&bench, &ask).subnet, "1/24/0 127.0.0", "{name}");
    }
}

#[test]
fn a_malformed_client_subnet_is_a_format_error() {
    let bench = Bench::start();
    let ask = Ask::new("demo.weir.test", "A").edns(1232);
    for option in [&subnet(1, 24, &[127, 0])[..], &subnet(3, 0, &[]), &subnet(1, 25, &[127, 0, 0, 1]), &[0, 1, 24, 1, 127, 0, 0], &[]] {
        let shown = asked(&bench, &ask.clone().option(8, option));
        assert_eq!((shown.code.as_str(), shown.opt.as_deref(), shown.subnet.as_str()), ("FORMERR", Some("1232 v0"), ""), "{option:?}");
    }
    let good = subnet(1, 8, &[127]);
    assert_eq!(asked(&bench, &ask.clone().option(8, &good).option(8, &good)).code, "FORMERR");
    assert_eq!(asked(&bench, &ask.version(1).option(8, &[])).code, "BADVERS", "another version's options are not read");
}

#[test]
fn an_offloaded_engine_is_not_given_out_and_its_own_name_still_leads_to_it() {
    let bench = Bench::start();
    bench.hear("east-1", EngineState::Offloading, 2, 6);
    let apex = asked(&bench, &Ask::new("demo.weir.test", "A"));
    assert_eq!(apex.answer, ["demo.weir.test. 2 IN A 127.0.7.23"], "one address is left");
    let own = asked(&bench, &Ask::new("east-1.se.demo.weir.test", "A"));
    assert_eq!(own.answer, ["east-1.se.demo.weir.test. 2 IN A 127.0.7.22"]);
    bench.hear("east-1", EngineState::Serving, 3, 7);
    assert_eq!(asked(&bench, &Ask::new("demo.weir.test", "A")).answer.len(), 2, "the return is learnt the same way");
}

#[test]
fn the_name_of_an_engine_that_is_gone_leads_to_a_live_peer() {
    let bench = Bench::start();
    bench.hear("east-1", EngineState::Leaving, 2, 5);
    let shown = asked(&bench, &Ask::new("east-1.se.demo.weir.test", "A"));
    assert_eq!(shown.answer, ["east-1.se.demo.weir.test. 2 IN A 127.0.7.23"]);
    bench.hear("east-2", EngineState::Leaving, 2, 5);
    let shown = asked(&bench, &Ask::new("east-1.se.demo.weir.test", "A"));
    assert_eq!(shown.answer, ["east-1.se.demo.weir.test. 2 IN A 127.0.7.31"], "then one elsewhere");
    for engine in ["east-3", "west-1"] {
        bench.hear(engine, EngineState::Leaving, 2, 5);
    }
    for name in ["east-1.se.demo.weir.test", "demo.weir.test"] {
        let shown = asked(&bench, &Ask::new(name, "A").edns(1232));
        assert_eq!((shown.code.as_str(), shown.error.as_str()), ("SERVFAIL", "0 no_live_engine"), "{name}");
    }
    assert_eq!(asked(&bench, &Ask::new("router-1.sr.demo.weir.test", "A")).answer.len(), 1, "the zone itself stands");
}

#[test]
fn the_name_of_an_engine_that_was_taken_out_of_the_network_still_plays() {
    let bench = Bench::start();
    let mut configuration = network::configuration();
    configuration.stamp.generation += 1;
    configuration.engines.remove(0);
    configuration.services[0].engines.remove(0);
    bench.router.apply(&configuration).expect("valid");
    let shown = asked(&bench, &Ask::new("east-1.se.demo.weir.test", "A"));
    assert_eq!((shown.code.as_str(), &shown.answer[..]), ("NOERROR aa", &["east-1.se.demo.weir.test. 2 IN A 127.0.7.23".to_owned()][..]));
    for engine in ["east-2", "east-3", "west-1"] {
        bench.hear(engine, EngineState::Leaving, 2, 5);
    }
    assert_eq!(asked(&bench, &Ask::new("east-1.se.demo.weir.test", "A")).code, "SERVFAIL", "not NXDOMAIN, which is remembered");
}

#[test]
fn without_a_configuration_another_router_is_to_be_asked() {
    let (router, _dir) = crate::sample::router();
    let ask = Ask::new("demo.weir.test", "A").edns(1232);
    let mut answer = Vec::new();
    let outcome = respond(&router, &ask.bytes(), "127.0.0.1:5000".parse().expect("address"), Transport::Udp, &mut answer);
    let shown = Shown::of(&answer, &ask);
    assert_eq!((outcome, shown.code.as_str(), shown.error.as_str()), (Outcome::NoConfiguration, "SERVFAIL", "14 no_configuration"));
}

#[test]
fn words_differ() {
    let words: std::collections::BTreeSet<&str> = Outcome::ALL.iter().map(|outcome| outcome.as_str()).collect();
    assert_eq!(words.len(), Outcome::ALL.len());
    let words: std::collections::BTreeSet<&str> = End::ALL.iter().map(|end| end.as_str()).collect();
    assert_eq!(words.len(), End::ALL.len());
}

/// What holds for every answer, whatever was asked.
fn check(bench: &Bench, query: &[u8], transport: Transport) {
    let answer = bench.answer(query, transport);
    if answer.is_empty() {
        assert!(query.len() < 12 || query[2] & 0x80 != 0, "a query gets an answer");
        return;
    }
    ask::parse(&answer);
    assert_eq!(answer[..2], query[..2], "the id");
    assert_eq!(answer[2] & 0xf9, 0x80 | (query[2] & 0x79), "an answer, of the query's operation and RD");
    let limit = if transport == Transport::Udp { UDP_ANSWER_BYTES_MAX } else { usize::from(u16::MAX) };
    assert!(answer.len() <= limit, "{} bytes", answer.len());
    if answer[5] == 1 {
        let question = answer.len().min(query.len()).min(12 + ask::name_bytes(&answer[12..]) + 4);
        assert_eq!(answer[12..question], query[12..question], "the question as it was spelled");
    }
}

proptest! {
    #[test]
    fn noise(query in prop::collection::vec(any::<u8>(), 0..600)) {
        check(&Bench::start(), &query, Transport::Udp);
    }

    #[test]
    fn mutated_queries(
        name in prop::sample::select(vec!["demo.weir.test", "east-1.se.demo.weir.test", "se.demo.weir.test", "x.demo.weir.test", "example.com"]),
        rtype in any::<u16>(),
        size in any::<u16>(),
        option in prop::collection::vec(any::<u8>(), 0..24),
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        over_tcp: bool,
    ) {
        let mut query = Ask::new(name, "A").rtype(rtype).edns(size).option(8, &option).bytes();
        for (at, byte) in edits {
            *at.get_mut(&mut query) = byte;
        }
        check(&Bench::start(), &query, if over_tcp { Transport::Tcp } else { Transport::Udp });
    }
}
