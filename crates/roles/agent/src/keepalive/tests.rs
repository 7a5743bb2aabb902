//! An engine's agent and what two routers hear of it, through real sockets.

use super::*;
use crate::agent::tests::{agent, configuration};
use std::net::{TcpListener, UdpSocket as Receiver};
use weir_model::configuration::KeepaliveKey;

/// Nothing here takes longer than a scheduling delay and a retry.
const DEADLINE: Duration = Duration::from_secs(20);

fn key() -> KeepaliveKey {
    KeepaliveKey { id: 1, secret: format!("{:064x}", 7) }
}

/// A router's sockets.
struct Ears {
    name: DeviceName,
    udp: UdpSocket,
    tcp: tokio::net::TcpListener,
}

impl Ears {
    fn open(name: &str) -> Self {
        let tcp = TcpListener::bind("127.0.0.1:0").expect("bind");
        let udp = Receiver::bind(tcp.local_addr().expect("bound")).expect("the same port");
        tcp.set_nonblocking(true).expect("set");
        udp.set_nonblocking(true).expect("set");
        let (udp, tcp) = (UdpSocket::from_std(udp).expect("taken"), tokio::net::TcpListener::from_std(tcp).expect("taken"));
        Self { name: name.parse().expect("name"), udp, tcp }
    }

    fn entry(&self) -> RouterEntry {
        RouterEntry { name: self.name.clone(), keepalive: self.tcp.local_addr().expect("bound"), http: None, dns: None, offloaded: false }
    }

    fn read(&self, bytes: &[u8], channel: Channel) -> Keepalive {
        Keepalive::decode(bytes, &[key()], &Audience { router: &self.name, channel }).expect("made for this router")
    }

    /// The next datagram and the port it came from.
    async fn datagram(&self) -> (Keepalive, u16) {
        let mut buffer = [0; 2048];
        let received = tokio::time::timeout(DEADLINE, self.udp.recv_from(&mut buffer)).await.expect("in time");
        let (length, from) = received.expect("received");
        (self.read(&buffer[..length], Channel::Datagram), from.port())
    }

    /// Accepts the next lifeline and reads its frame.
    async fn lifeline(&self, nonce: [u8; NONCE_BYTES]) -> (Keepalive, TcpStream) {
        let accept = async {
            let (mut stream, _) = self.tcp.accept().await.expect("accepted");
            stream.write_all(&nonce).await.expect("written");
            let mut frame = vec![0; usize::from(stream.read_u16().await.expect("a length"))];
            stream.read_exact(&mut frame).await.expect("a frame");
            (self.read(&frame, Channel::Lifeline(nonce)), stream)
        };
        tokio::time::timeout(DEADLINE, accept).await.expect("in time")
    }
}

#[tokio::test]
async fn each_router_hears_keepalives_made_for_it_with_rising_numbers_from_one_port() {
    let data = tempfile::tempdir().expect("dir");
    let (one, two) = (Ears::open("router-1"), Ears::open("router-2"));
    let agent = agent(data.path(), &[]);
    let routers = vec![one.entry(), two.entry()];
    agent.shared.take(DeviceConfiguration { routers, keepalive_keys: vec![key()], ..configuration(7) });
    let mut heard = Vec::new();
    for _ in 0..3 {
        send_now(&agent.shared).await;
        heard.push((one.datagram().await, two.datagram().await));
    }
    let port = heard[0].0.1;
    for (((one, one_port), (two, two_port)), sequence) in heard.into_iter().zip(1..) {
        assert_eq!((one.sequence, one_port), (sequence, port), "a worker counts for itself and keeps its port");
        assert_eq!((two, two_port), (one, port));
    }
}

#[tokio::test]
async fn a_lifeline_answers_the_routers_nonce_and_is_opened_again() {
    let data = tempfile::tempdir().expect("dir");
    let router = Ears::open("router-1");
    let agent = agent(data.path(), &[]);
    agent.shared.take(DeviceConfiguration { routers: vec![router.entry()], keepalive_keys: vec![key()], ..configuration(7) });
    let tasks = Tasks::new();
    tasks.spawn("lifelines", hold_lifelines(agent.shared.clone()));
    let (first, stream) = router.lifeline([1; NONCE_BYTES]).await;
    drop(stream);
    let (second, mut stream) = router.lifeline([2; NONCE_BYTES]).await;
    assert_eq!((first.engine.as_str(), first.boot), (second.engine.as_str(), second.boot));
    assert!(second.sequence > first.sequence);
    tasks.cancel();
    let end = tokio::time::timeout(DEADLINE, stream.read(&mut [0; 1])).await.expect("in time");
    assert_eq!(end.expect("an orderly end"), 0, "the lifeline ends with its owner");
}

#[test]
fn waits_double_up_to_the_longest_and_differ() {
    let waits = |random: u8| {
        let mut retry = Retry::default();
        [(); 7].map(|()| retry.wait(random).as_millis())
    };
    assert_eq!(waits(u8::MAX), [250, 500, 1000, 2000, 4000, 5000, 5000]);
    assert_eq!(waits(0), [125, 250, 500, 1000, 2000, 2500, 2500]);
    assert!((126..250).contains(&waits(99)[0]));
}
