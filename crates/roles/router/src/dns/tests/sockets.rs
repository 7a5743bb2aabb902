//! Over UDP, through real sockets.

use super::*;
use std::time::Duration;

/// Nothing here takes longer than a scheduling delay.
pub(super) const DEADLINE: Duration = Duration::from_secs(10);

#[tokio::test]
async fn datagrams_are_answered_once_the_gate_opens_and_counted() {
    let dir = tempfile::tempdir().expect("dir");
    let metrics = weir_telemetry::Metrics::new("1.0.0-b1", "router", "router-1");
    let settings = crate::RouterSettings { name: "router-1".parse().expect("name"), state: dir.path().to_owned() };
    let router = Router::new(settings, &metrics);
    router.apply(&network::configuration()).expect("valid");
    let socket = UdpSocket::bind("127.0.0.1:0").expect("bind");
    let server = socket.local_addr().expect("bound");
    let (gate, tasks) = (Gate::new(), Tasks::new());
    let _threads = run(&router, vec![socket], Vec::new(), &gate, &tasks).expect("started");
    let client = UdpSocket::bind("127.0.0.1:0").expect("bind");
    client.set_read_timeout(Some(DEADLINE)).expect("timeout");
    let ask = Ask::new("router-1.sr.demo.weir.test", "A").edns(1232);
    client.send_to(&ask.bytes(), server).expect("sent");
    client.send_to(b"not a query", server).expect("sent");
    gate.accept();
    let mut buffer = [0; 1500];
    let length = client.recv(&mut buffer).expect("an answer");
    let shown = Shown::of(&buffer[..length], &ask);
    assert_eq!(shown.answer, ["router-1.sr.demo.weir.test. 2 IN A 127.0.7.9"]);
    let counted = || metrics.text();
    let begun = weir_clock::monotonic();
    while !counted().contains("router_dns_datagrams_total 2") {
        assert!(begun.elapsed() < DEADLINE, "{}", counted());
        std::thread::yield_now();
    }
    for line in [
        "router_dns_queries_total{transport=\"udp\",result=\"answered\"} 1",
        "router_dns_queries_total{transport=\"udp\",result=\"ignored\"} 1",
        "router_dns_queries_total{transport=\"tcp\",result=\"no_live_engine\"} 0",
        "router_dns_connections_total{result=\"too_many\"} 0",
        "router_dns_datagrams_lost_total{reason=\"oversized\"} 0",
        "router_dns_truncated_total 0",
    ] {
        assert!(counted().contains(line), "{line} in {}", counted());
    }
}

/// A worker of the router on sockets it shares, with its gate.
fn worker(udp: &UdpSocket, tcp: &TcpListener, tasks: &Tasks) -> (Gate, weir_net::udp::Threads) {
    let dir = tempfile::tempdir().expect("dir");
    let settings = crate::RouterSettings { name: "router-1".parse().expect("name"), state: dir.path().to_owned() };
    let router = Router::new(settings, &weir_telemetry::Metrics::new("1.0.0-b1", "router", "router-1"));
    router.apply(&network::configuration()).expect("valid");
    let gate = Gate::new();
    let (udp, tcp) = (udp.try_clone().expect("shared"), tcp.try_clone().expect("shared"));
    let threads = run(&router, vec![udp], vec![tcp], &gate, tasks).expect("started");
    (gate, threads)
}

/// Asks one question after the other over both transports until `ended`; how many were answered. Panics on one that is not.
fn ask_all_the_time(udp: SocketAddr, tcp: SocketAddr, ended: &std::sync::atomic::AtomicBool) -> usize {
    let client = UdpSocket::bind("127.0.0.1:0").expect("bind");
    client.set_read_timeout(Some(DEADLINE)).expect("timeout");
    let ask = Ask::new("router-1.sr.demo.weir.test", "A").edns(1232);
    let mut answered = 0;
    while !ended.load(std::sync::atomic::Ordering::Relaxed) {
        let mut buffer = [0; 1500];
        client.send_to(&ask.bytes(), udp).expect("sent");
        let length = client.recv(&mut buffer).expect("an answer over UDP");
        assert_eq!(Shown::of(&buffer[..length], &ask).code, "NOERROR aa");
        let mut stream = std::net::TcpStream::connect(tcp).expect("a connection");
        stream.set_read_timeout(Some(DEADLINE)).expect("timeout");
        let query = ask.bytes();
        let framed = [&u16::try_from(query.len()).expect("short").to_be_bytes()[..], &query].concat();
        io::Write::write_all(&mut stream, &framed).expect("asked");
        let mut length = [0; 2];
        io::Read::read_exact(&mut stream, &mut length).expect("an answer over TCP");
        answered += 2;
    }
    answered
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_query_is_lost_between_two_workers() {
    let (udp, tcp) = (UdpSocket::bind("127.0.0.1:0").expect("bind"), TcpListener::bind("127.0.0.1:0").expect("bind"));
    let addresses = (udp.local_addr().expect("bound"), tcp.local_addr().expect("bound"));
    let tasks = Tasks::new();
    let workers = [worker(&udp, &tcp, &tasks), worker(&udp, &tcp, &tasks)];
    workers[0].0.accept();
    let ended = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let client = tokio::task::spawn_blocking({
        let ended = ended.clone();
        move || ask_all_the_time(addresses.0, addresses.1, &ended)
    });
    let counts = [workers[0].1.counts(), workers[1].1.counts()];
    for turn in 0..4 {
        let (from, to) = (turn % 2, (turn + 1) % 2);
        let (begun, sent) = (weir_clock::monotonic(), counts[from].read().sent);
        while counts[from].read().sent < sent + 50 && begun.elapsed() < DEADLINE && !client.is_finished() {
            tokio::task::yield_now().await;
        }
        workers[from].0.stop();
        workers[to].0.accept();
    }
    ended.store(true, std::sync::atomic::Ordering::Relaxed);
    let answered = client.await.expect("every query is answered");
    assert!(answered >= 400, "{answered} answers; each of the workers had its turns");
    tokio::task::spawn_blocking(move || drop(workers)).await.expect("the threads end");
}
