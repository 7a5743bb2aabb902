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
