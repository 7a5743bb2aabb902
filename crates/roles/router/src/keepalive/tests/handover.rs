//! Two workers of one router on the same sockets: no engine is forgotten, and none is taken for dead.

use super::*;

/// Two workers on the same sockets and state; the first one serves.
struct Pair {
    old: Bench,
    new: Bench,
}

/// A worker on sockets and state it shares, which does not accept yet.
fn worker(udp: &net::UdpSocket, tcp: &net::TcpListener, dir: &std::sync::Arc<tempfile::TempDir>) -> Bench {
    let settings = crate::RouterSettings { name: "router-1".parse().expect("name"), state: dir.path().to_owned() };
    let router = Router::new(settings, &weir_telemetry::Metrics::new("1.0.0-b1", "router", "router-1"));
    router.apply(&sample::configuration()).expect("valid");
    let (gate, tasks) = (Gate::new(), Tasks::new());
    let (udp, tcp) = (udp.try_clone().expect("shared"), tcp.try_clone().expect("shared"));
    let address = tcp.local_addr().expect("address");
    run(&router, vec![udp], vec![tcp], &gate, &tasks).expect("sockets");
    Bench { router, gate, address, _tasks: tasks, dir: dir.clone() }
}

impl Pair {
    fn start() -> Self {
        let dir = std::sync::Arc::new(tempfile::tempdir().expect("dir"));
        let tcp = net::TcpListener::bind("127.0.0.1:0").expect("bind");
        let udp = net::UdpSocket::bind(tcp.local_addr().expect("address")).expect("the same port");
        let (old, new) = (worker(&udp, &tcp, &dir), worker(&udp, &tcp, &dir));
        old.gate.accept();
        Self { old, new }
    }
}

fn hand_over(from: &Bench, to: &Bench) {
    from.gate.stop();
    from.router.hand_over();
    to.router.take_over();
    to.gate.accept();
}

#[tokio::test]
async fn a_hand_over_forgets_nobody_and_buries_nobody() {
    let Pair { old, new } = Pair::start();
    let mut lifeline = old.open("east-1", 1, 1).await;
    old.heard(Heard::Lifeline, 1).await;
    for sequence in 1..20 {
        old.send(&signed("east-2", 1, sequence)).await;
    }
    old.heard(Heard::Accepted, 19).await;
    assert_eq!(new.router.shared.metrics.times_heard(Heard::Accepted), 0, "the other one reads nothing");
    assert_eq!((old.router.engines_live(), new.router.engines_live()), (2, 0));
    hand_over(&old, &new);
    assert_eq!(new.router.engines_live(), 2, "from its first answer on");
    closed(&mut lifeline).await;
    let _again = new.open("east-1", 1, 2).await;
    new.heard(Heard::Lifeline, 1).await;
    new.send(&signed("east-2", 1, 20)).await;
    new.heard(Heard::Accepted, 1).await;
    for bench in [&old, &new] {
        assert_eq!(bench.router.shared.metrics.times_heard(Heard::LifelineLost), 0);
    }
    hand_over(&new, &old);
    assert_eq!(old.router.engines_live(), 2, "and back");
    old.send(&signed("east-2", 1, 20)).await;
    old.heard(Heard::Replayed, 1).await;
    old.send(&signed("east-2", 1, 21)).await;
    old.heard(Heard::Accepted, 20).await;
}

#[tokio::test]
async fn what_comes_between_two_workers_waits_for_the_next() {
    let Pair { old, new } = Pair::start();
    old.gate.stop();
    old.router.hand_over();
    let mut stream = TcpStream::connect(new.address).await.expect("it waits in the queue");
    new.send(&signed("east-2", 1, 1)).await;
    new.router.take_over();
    new.gate.accept();
    new.heard(Heard::Accepted, 1).await;
    let mut nonce = [0; NONCE_BYTES];
    tokio::time::timeout(DEADLINE, stream.read_exact(&mut nonce)).await.expect("in time").expect("a nonce");
    write_frame(&mut stream, &signed_for(Channel::Lifeline(nonce), "east-1", 1, 1)).await;
    new.heard(Heard::Lifeline, 1).await;
    assert_eq!(new.router.engines_live(), 2);
    assert_eq!(old.router.shared.metrics.times_heard(Heard::Accepted), 0);
}
