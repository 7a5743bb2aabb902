//! The routers' DNS as resolvers see it: kdig, dnspython, and a client of our own; what is not answered, and what is survived.

use anyhow::{Context, ensure};
use serde_json::{Value, json};
use std::{
    io::Write,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};
use tokio::net::UdpSocket;
use weir_tests::{
    Api, Network, Part, client,
    dns::{self, Data, Question, code, kind},
    network::output,
    prerequisite, process, wait_for,
};

/// TTL of every answer, with the timers of a rehearsal.
const TTL_SECONDS: u32 = 2;
/// An offloaded engine is not answered after 2 s; a dead one not after 3.5 s, with the timers of a rehearsal 0.875 s. Asserted
/// with five times that.
const OFFLOADED_DEADLINE: Duration = Duration::from_secs(10);
const DEAD_DEADLINE: Duration = Duration::from_millis(4375);
/// Patience for a device to be in service again.
const STATUS_DEADLINE: Duration = Duration::from_secs(30);
/// Malformed datagrams sent, and where their making starts.
const MALFORMED: u32 = 4000;
const SEED: u64 = 0x5eed_0003;
/// A name server on the open network never answers with more than this (RFC 9715 section 3.1).
const DATAGRAM_BYTES_MAX: usize = 1232;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn resolvers_get_what_the_routers_know_and_nothing_else() -> anyhow::Result<()> {
    let network = Network::builder().engines(6).start().await?;
    kdig(&network).await?;
    cased(&network).await?;
    dnspython(&network).await?;
    scopes(&network).await?;
    pipelined(&network).await?;
    malformed(&network).await?;
    not_answered(&network).await
}

fn domain(network: &Network) -> &str {
    &network.file().services[0].domain
}

/// Addresses of a location's engines.
fn engines_of(network: &Network, location: &str) -> Vec<IpAddr> {
    let engines = network.file().engines.iter().filter(|engine| engine.location.as_deref() == Some(location));
    engines.map(|engine| engine.http.expect("engines listen on HTTP").ip()).collect()
}

/// The same letters with every other one in capitals.
fn mixed(name: &str) -> String {
    name.chars().enumerate().map(|(n, c)| if n % 2 == 0 { c.to_ascii_uppercase() } else { c }).collect()
}

/// A question comes back in the case it was asked in, which resolvers use as a secret; the answer is the same.
async fn cased(network: &Network) -> anyhow::Result<()> {
    let plain = Question::new(domain(network), kind::A);
    for server in network.name_servers() {
        let name = mixed(domain(network));
        let asked = Question::new(&name, kind::A);
        for answer in [asked.ask_udp(server, client::EAST).await?, asked.ask_tcp(server, client::EAST).await?] {
            ensure!(answer.question == name && answer.authoritative, "{answer:?}");
            assert_eq!(answer.addresses(), plain.ask(server, client::EAST).await?.addresses());
        }
    }
    Ok(())
}

/// What kdig is asked, words its answer must show, and words it must not.
type Asked = (Vec<String>, Vec<String>, Vec<&'static str>);

fn asked(network: &Network) -> Vec<Asked> {
    let domain = domain(network).to_owned();
    let strings = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let east = network.engine("east-1").ip().to_string();
    let soa = format!("{domain}.            {TTL_SECONDS} IN SOA").split_whitespace().collect::<Vec<_>>().join(" ");
    let engine = format!("east-1.se.{domain}");
    let row = |query: &[&str], shows: Vec<String>, hides: &[&'static str]| (strings(query), shows, hides.to_vec());
    let ok = |more: &[&str]| [strings(&["status: NOERROR", "qr aa"]), strings(more)].concat();
    let negative = |status: &str| strings(&[status, "qr aa", "AUTHORITY SECTION", &soa]);
    vec![
        row(&[&domain, "A"], ok(&["ANSWER SECTION"]), &["AUTHORITY SECTION"]),
        row(&[&domain, "A", "+tcp"], ok(&["ANSWER SECTION", "TCP"]), &[]),
        row(&[&domain, "AAAA"], negative("NOERROR"), &["ANSWER SECTION"]),
        row(&[&domain, "MX"], negative("NOERROR"), &["ANSWER SECTION"]),
        row(&[&domain, "SOA"], ok(&[&soa]), &[]),
        row(&[&domain, "NS"], ok(&[&format!("NS router-1.sr.{domain}."), &format!("NS router-2.sr.{domain}."), "ADDITIONAL SECTION"]), &[]),
        row(&[&engine, "A"], ok(&[&format!("{engine}. {TTL_SECONDS} IN A {east}")]), &[]),
        row(&[&format!("router-2.sr.{domain}"), "A"], ok(&["ANSWER SECTION"]), &[]),
        row(&[&format!("se.{domain}"), "A"], negative("NOERROR"), &["ANSWER SECTION"]),
        row(&[&format!("nobody.se.{domain}"), "A"], ok(&["ANSWER SECTION"]), &[]),
        row(&[&format!("absent.{domain}"), "A"], negative("NXDOMAIN"), &["ANSWER SECTION"]),
        row(&["www.example.org", "A"], strings(&["REFUSED"]), &["ANSWER SECTION", "AUTHORITY SECTION", "qr aa"]),
        row(&[&domain, "-c", "CH", "-t", "TXT"], strings(&["REFUSED"]), &["ANSWER SECTION"]),
        row(&[&domain, "ANY", "+notcp"], ok(&["HINFO", "RFC8482"]), &[]),
        row(&[&domain, "A", "+edns=1"], strings(&["BADVERS"]), &["ANSWER SECTION"]),
        row(&[&domain, "A", "+subnet=127.128.0.0/24"], ok(&["ANSWER SECTION", "CLIENT-SUBNET: 127.128.0.0/24/24"]), &[]),
        row(&[&domain, "A", "+bufsize=512"], ok(&["ANSWER SECTION"]), &[" tc"]),
    ]
}

async fn kdig(network: &Network) -> anyhow::Result<()> {
    let Some(kdig) = prerequisite::program("kdig", "kdig", "knot-dnsutils") else { return Ok(()) };
    for server in network.name_servers() {
        for (query, shows, hides) in asked(network) {
            let mut command = Command::new(&kdig);
            command.arg(format!("@{}", server.ip())).args(["-p", &server.port().to_string(), "+timeout=3", "+retry=0"]).args(&query);
            let done = output(command).await?;
            let said = String::from_utf8_lossy(&done.stdout).split_whitespace().collect::<Vec<_>>().join(" ");
            for word in shows {
                let word = word.split_whitespace().collect::<Vec<_>>().join(" ");
                assert!(said.contains(&word), "kdig {query:?} at {server} does not show {word:?}: {said}");
            }
            for word in hides {
                assert!(!said.contains(word), "kdig {query:?} at {server} shows {word:?}: {said}");
            }
        }
    }
    Ok(())
}

/// Asks by dnspython, whose parser takes nothing that is not right to the last byte; one answer for each question.
async fn by_dnspython(python: &Path, server: SocketAddr, questions: &[Value]) -> anyhow::Result<Vec<Value>> {
    let mut command = Command::new(python);
    command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tools/dns_client.py")).args([server.ip().to_string(), server.port().to_string()]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
    let lines: String = questions.iter().map(|question| format!("{question}\n")).collect();
    let done = tokio::task::spawn_blocking(move || -> anyhow::Result<std::process::Output> {
        let mut child = process::without_proxies(&mut command).spawn().context("start dnspython")?;
        child.stdin.take().context("standard input")?.write_all(lines.as_bytes())?;
        Ok(child.wait_with_output()?)
    });
    let said = String::from_utf8(done.await??.stdout)?;
    said.lines().map(|line| serde_json::from_str(line).with_context(|| line.to_owned())).collect()
}

async fn dnspython(network: &Network) -> anyhow::Result<()> {
    let Some(python) = prerequisite::tool("dnspython", "python/bin/python") else { return Ok(()) };
    let domain = domain(network);
    let questions = [
        json!({ "name": domain, "type": "A" }),
        json!({ "name": domain, "type": "A", "tcp": true }),
        json!({ "name": domain, "type": "A", "subnet": "127.128.7.0/24" }),
        json!({ "name": domain, "type": "AAAA", "subnet": "127.128.7.0/24" }),
        json!({ "name": domain, "type": "A", "edns": 1 }),
        json!({ "name": format!("east-2.se.{domain}"), "type": "A", "edns": 0, "payload": 4096 }),
        json!({ "name": format!("absent.{domain}"), "type": "A" }),
        json!({ "name": "example.org", "type": "A" }),
        json!({ "name": domain, "type": "SOA", "opcode": "NOTIFY" }),
        json!({ "name": domain, "type": "NS" }),
    ];
    for server in network.name_servers() {
        let answers = by_dnspython(&python, server, &questions).await?;
        let [plain, tcp, west, nodata, version, engine, absent, outside, notify, ns] = &answers[..] else {
            anyhow::bail!("{} answers to {} questions", answers.len(), questions.len())
        };
        let addresses = |answer: &Value| -> Vec<IpAddr> {
            let data = answer["answer"].as_array().into_iter().flatten().flat_map(|r| r["data"].as_array().cloned().unwrap_or_default());
            data.filter_map(|text| text.as_str()?.parse().ok()).collect()
        };
        for (answer, location) in [(plain, "east"), (tcp, "east"), (west, "west")] {
            let engines = engines_of(network, location);
            let answered = addresses(answer);
            ensure!(!answered.is_empty() && answered.iter().all(|address| engines.contains(address)), "{location}: {answer}");
            ensure!(answer["answer"][0]["ttl"] == TTL_SECONDS, "{answer}");
            ensure!(answer["flags"].as_array().is_some_and(|f| f.contains(&json!("AA")) && !f.contains(&json!("RA"))), "{answer}");
        }
        assert_eq!((&plain["edns"], &plain["ecs"]), (&json!(-1), &json!([])), "EDNS is not volunteered: {plain}");
        assert_eq!(west["ecs"], json!([{ "address": "127.128.7.0", "source": 24, "scope": 24 }]), "{west}");
        assert_eq!((&nodata["rcode"], &nodata["answer"], &nodata["authority"][0]["type"]), (&json!("NOERROR"), &json!([]), &json!("SOA")));
        assert_eq!((&version["rcode"], &version["edns"], &version["answer"]), (&json!("BADVERS"), &json!(0), &json!([])), "{version}");
        assert_eq!(addresses(engine), [network.engine("east-2").ip()], "{engine}");
        assert_eq!((&engine["edns"], &engine["payload"]), (&json!(0), &json!(DATAGRAM_BYTES_MAX)), "{engine}");
        assert_eq!((&absent["rcode"], &absent["authority"][0]["type"]), (&json!("NXDOMAIN"), &json!("SOA")), "{absent}");
        let nothing = [&outside["answer"], &outside["authority"], &outside["additional"]];
        assert!(outside["rcode"] == "REFUSED" && nothing.iter().all(|section| **section == json!([])), "{outside}");
        assert_eq!(notify["rcode"], "NOTIMP", "{notify}");
        assert_eq!(ns["additional"].as_array().map(Vec::len), Some(2), "glue for both routers: {ns}");
    }
    Ok(())
}

/// Whoever is inside the scope that came with an answer gets that answer (RFC 7871 section 7.3.1).
async fn scopes(network: &Network) -> anyhow::Result<()> {
    let server = network.name_servers()[0];
    let clients = [(127, 0, 9), (127, 127, 255), (127, 128, 0), (127, 128, 200), (127, 200, 1), (127, 255, 255)];
    for (a, b, c) in clients {
        for prefix in [32, 24, 20] {
            let network_of = Ipv4Addr::new(a, b, c & if prefix == 20 { 0xf0 } else { 0xff }, if prefix == 32 { 77 } else { 0 });
            let ask = |address: Ipv4Addr| async move {
                Question::new(domain(network), kind::A).of(address.into(), prefix).ask(server, client::EAST).await
            };
            let first = ask(network_of).await?;
            let (source, scope) = first.subnet.with_context(|| format!("a client subnet comes back: {first:?}"))?;
            ensure!(source == prefix && scope <= 32, "{first:?}");
            let location = if b >= 128 { "west" } else { "east" };
            ensure!(first.addresses().iter().all(|a| engines_of(network, location).contains(a)), "{location}: {first:?}");
            for low in [1, 78, 200, 255] {
                let other = u32::from(network_of) ^ (low & u32::MAX.checked_shr(scope.into()).unwrap_or(0));
                let other = Ipv4Addr::from(other & u32::MAX.checked_shl((32 - prefix).into()).unwrap_or(0));
                assert_eq!(ask(other).await?.addresses(), first.addresses(), "{network_of}/{prefix} and {other}, scope {scope}");
            }
        }
    }
    Ok(())
}

/// Several questions on one connection, sent before the first answer is read; another one that says nothing bothers nobody.
async fn pipelined(network: &Network) -> anyhow::Result<()> {
    let server = network.name_servers()[0];
    let _silent = dns::connect(server, client::EAST).await?;
    let mut stream = dns::connect(server, client::EAST).await?;
    let names = ["east-1", "east-2", "west-1"].map(|engine| format!("{engine}.se.{}", domain(network)));
    for (id, name) in (100..).zip(&names) {
        dns::send_framed(&mut stream, &Question::new(name, kind::A).encode(id)).await?;
    }
    let mut answered = Vec::new();
    for _ in &names {
        let message = dns::read_framed(&mut stream).await?;
        let id = u16::from_be_bytes([message[0], message[1]]);
        let answer = dns::read(&message, id)?;
        answered.push((id, answer.question.clone(), answer.addresses().len()));
    }
    answered.sort();
    let expected: Vec<_> = (100..).zip(names).map(|(id, name)| (id, name, 1)).collect();
    assert_eq!(answered, expected);
    Ok(())
}

/// Numbers that are the same in every run (xorshift64).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % limit as u64).expect("below a usize")
    }

    fn byte(&mut self) -> u8 {
        u8::try_from(self.below(256)).expect("below 256")
    }

    /// Random bytes, or a query that was damaged: bytes changed, cut short, made longer, pointers put in.
    fn datagram(&mut self, domain: &str) -> Vec<u8> {
        if self.below(4) == 0 {
            return (0..self.below(600)).map(|_| self.byte()).collect();
        }
        let subnet = Ipv4Addr::new(self.byte(), self.byte(), self.byte(), 0);
        let prefix = u8::try_from(self.below(33)).expect("at most 32");
        let mut query = Question::new(domain, kind::A).of(subnet.into(), prefix).encode(7);
        for _ in 0..=self.below(6) {
            let at = self.below(query.len());
            match self.below(4) {
                0 => query.truncate(at.max(1)),
                1 => query.insert(at, self.byte()),
                2 => query[at] = 0xc0,
                _ => query[at] = self.byte(),
            }
        }
        query
    }
}

async fn malformed(network: &Network) -> anyhow::Result<()> {
    let router = &network.file().routers[0].name;
    let (server, worker) = (network.name_servers()[0], network.id(router, Part::Worker));
    let socket = UdpSocket::bind("127.0.0.1:0").await?;
    socket.connect(server).await?;
    let mut random = Random(SEED);
    let (mut answers, mut answer) = (0, vec![0; usize::from(u16::MAX)]);
    for _ in 0..MALFORMED {
        socket.send(&random.datagram(domain(network))).await?;
        while let Ok(count) = socket.try_recv(&mut answer) {
            answers += 1;
            ensure!((12..=DATAGRAM_BYTES_MAX).contains(&count), "an answer of {count} bytes");
            ensure!(answer[2] & 0x80 != 0, "an answer says that it is one");
        }
    }
    let mut stream = dns::connect(server, client::EAST).await?;
    for size in [0, 1, 11, 12, 600] {
        let garbage: Vec<u8> = (0..size).map(|_| random.byte()).collect();
        // The server may close whenever it has read enough of this.
        if dns::send_framed(&mut stream, &garbage).await.is_err() {
            break;
        }
    }
    eprintln!("{answers} answers to {MALFORMED} malformed datagrams, seed {SEED:#x}");
    ensure!(answers > 0, "what can be read is answered");
    let answer = Question::new(domain(network), kind::A).ask(server, client::EAST).await?;
    ensure!(!answer.addresses().is_empty(), "{answer:?}");
    assert_eq!(network.id(router, Part::Worker), worker, "the router has crashed");
    let alarms = Api::new(network.file())?.list("/alarms").await?;
    ensure!(!alarms.iter().any(|alarm| alarm["reason"] == "WORKER_CRASHED"), "{alarms:?}");
    Ok(())
}

/// How long until no router names `engine` for any client of zone east.
async fn gone_from_answers(network: &Network, engine: IpAddr, begin: Instant, deadline: Duration) -> Duration {
    wait_for("the engine is not answered", deadline, || async {
        for server in network.name_servers() {
            for c in 0..8 {
                let question = Question::new(domain(network), kind::A).of(Ipv4Addr::new(127, 0, c, 0).into(), 24);
                let answer = question.ask(server, client::EAST).await?;
                ensure!(answer.code == code::NOERROR && !answer.addresses().is_empty(), "{answer:?}");
                ensure!(!answer.addresses().contains(&engine), "{server} still names it");
            }
        }
        anyhow::Ok(begin.elapsed())
    })
    .await
}

async fn not_answered(network: &Network) -> anyhow::Result<()> {
    let api = Api::new(network.file())?;
    let (engine, name) = (network.engine("east-1").ip(), format!("east-1.se.{}", domain(network)));
    let own = |server: SocketAddr| {
        let name = name.clone();
        async move { anyhow::Ok(Question::new(&name, kind::A).ask(server, client::EAST).await?.addresses()) }
    };
    let begin = weir_clock::monotonic();
    api.offload("east-1", "a test").await?;
    let took = gone_from_answers(network, engine, begin, OFFLOADED_DEADLINE).await;
    eprintln!("an offloaded engine is not answered after {:.2} s", took.as_secs_f64());
    for server in network.name_servers() {
        assert_eq!(own(server).await?, [engine], "its own name is itself while it is up");
    }
    api.unoffload("east-1", "a test").await?;
    api.wait_status("east-1", "online", STATUS_DEADLINE).await;
    wait_for("it is answered again", STATUS_DEADLINE, || async {
        let answer = Question::new(domain(network), kind::A).ask(network.name_servers()[0], client::EAST).await?;
        ensure!(answer.addresses().contains(&engine), "{answer:?}");
        anyhow::Ok(())
    })
    .await;
    let begin = weir_clock::monotonic();
    network.keep_down("east-1").await?;
    let took = gone_from_answers(network, engine, begin, DEAD_DEADLINE).await;
    eprintln!("a dead engine is not answered after {:.2} s", took.as_secs_f64());
    for server in network.name_servers() {
        assert_eq!(own(server).await?, [network.engine("east-2").ip()], "a peer of its location stands in");
    }
    let soa = Question::new(domain(network), kind::SOA).ask(network.name_servers()[0], client::EAST).await?;
    let serial = soa.answers.iter().find_map(|record| if let Data::Soa(_, serial, _) = record.data { Some(serial) } else { None });
    let generation = api.get("/status").await?["generation"].as_u64();
    assert_eq!(serial.map(u64::from), generation, "{soa:?}");
    Ok(())
}
