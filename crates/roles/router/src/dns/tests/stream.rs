//! Over TCP, through real sockets.

use super::{sockets::DEADLINE, *};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

struct Server {
    bench: Bench,
    address: SocketAddr,
    gate: Gate,
    _tasks: Tasks,
}

async fn start() -> Server {
    let bench = Bench::start();
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    let address = listener.local_addr().expect("bound");
    let (gate, tasks) = (Gate::new(), Tasks::new());
    run(&bench.router, Vec::new(), vec![listener], &gate, &tasks).expect("started");
    gate.accept();
    Server { bench, address, gate, _tasks: tasks }
}

impl Server {
    async fn connect(&self) -> TcpStream {
        timeout(DEADLINE, TcpStream::connect(self.address)).await.expect("in time").expect("connected")
    }

    async fn ended(&self, end: End, times: u64) {
        let wait = async {
            while self.bench.router.shared.metrics.dns.times_ended(end) != times {
                tokio::time::sleep(std::time::Duration::from_millis(2)).await;
            }
        };
        timeout(DEADLINE, wait).await.unwrap_or_else(|_| panic!("not in time: {}", end.as_str()));
    }
}

async fn read(stream: &mut TcpStream) -> Vec<u8> {
    let read = async {
        let length = stream.read_u16().await.expect("a length");
        let mut answer = vec![0; usize::from(length)];
        stream.read_exact(&mut answer).await.expect("an answer");
        answer
    };
    timeout(DEADLINE, read).await.expect("in time")
}

async fn closed(stream: &mut TcpStream) {
    let end = timeout(DEADLINE, stream.read(&mut [0; 1])).await.expect("in time");
    assert!(matches!(end, Ok(0) | Err(_)), "an end, not {end:?}");
}

#[tokio::test]
async fn what_does_not_fit_a_datagram_is_had_over_tcp() {
    let server = start().await;
    server.bench.router.apply(&network::many_routers()).expect("valid");
    let ask = Ask::new("demo.weir.test", "NS");
    assert_eq!(asked(&server.bench, &ask).code, "NOERROR aa tc");
    let mut stream = server.connect().await;
    stream.write_all(&ask.framed()).await.expect("written");
    let shown = Shown::of(&read(&mut stream).await, &ask);
    assert_eq!((shown.code.as_str(), shown.answer.len()), ("NOERROR aa", 13));
}

#[tokio::test]
async fn queries_sent_together_are_answered_in_order() {
    let server = start().await;
    let mut stream = server.connect().await;
    let asks = ["demo.weir.test", "www.demo.weir.test", "example.com", "east-1.se.demo.weir.test"].map(|name| Ask::new(name, "A"));
    let together = asks.iter().map(Ask::framed).collect::<Vec<_>>().concat();
    // Cut inside a query, so that one answer must not wait for the rest of the next question.
    let (first, rest) = together.split_at(asks[0].framed().len() + 9);
    stream.write_all(first).await.expect("written");
    assert_eq!(Shown::of(&read(&mut stream).await, &asks[0]).code, "NOERROR aa");
    stream.write_all(rest).await.expect("written");
    for (ask, code) in asks[1..].iter().zip(["NXDOMAIN aa", "REFUSED", "NOERROR aa"]) {
        assert_eq!(Shown::of(&read(&mut stream).await, ask).code, code);
    }
    drop(stream);
    server.ended(End::Closed, 1).await;
    assert_eq!(server.bench.router.shared.metrics.dns.times_answered(Transport::Tcp, Outcome::Answered), 2);
}

#[tokio::test]
async fn what_is_not_a_query_ends_the_connection_and_takes_no_answer_with_it() {
    let server = start().await;
    let ask = Ask::new("demo.weir.test", "A");
    for (junk, end) in [(&[0, 3, 1, 2, 3][..], End::NotAQuery), (&[0, 0], End::NotAQuery), (&[0xff, 0xff, 1], End::Oversized)] {
        let before = server.bench.router.shared.metrics.dns.times_ended(end);
        let mut stream = server.connect().await;
        stream.write_all(&[&ask.framed(), junk].concat()).await.expect("written");
        assert_eq!(Shown::of(&read(&mut stream).await, &ask).code, "NOERROR aa");
        closed(&mut stream).await;
        server.ended(end, before + 1).await;
    }
    let mut stream = server.connect().await;
    stream.write_all(&Ask::new("demo.weir.test", "A").framed()[..5]).await.expect("written");
    server.ended(End::SlowQuery, 1).await;
    closed(&mut stream).await;
}

#[tokio::test]
async fn when_an_address_has_all_its_seats_the_longest_idle_connection_makes_room() {
    let server = start().await;
    let ask = Ask::new("demo.weir.test", "A").framed();
    let mut held = Vec::new();
    for _ in 0..32 {
        let mut stream = server.connect().await;
        stream.write_all(&ask).await.expect("written");
        read(&mut stream).await;
        held.push(stream);
    }
    // The first is asked again, so the second has idled longest.
    held[0].write_all(&ask).await.expect("written");
    read(&mut held[0]).await;
    let mut another = server.connect().await;
    another.write_all(&ask).await.expect("written");
    assert!(!read(&mut another).await.is_empty());
    closed(&mut held[1]).await;
    server.ended(End::Displaced, 1).await;
    held[0].write_all(&ask).await.expect("written");
    assert!(!read(&mut held[0]).await.is_empty());
}

#[tokio::test]
async fn one_address_does_not_take_all_seats() {
    let server = start().await;
    let ask = Ask::new("demo.weir.test", "A").framed();
    let mut held = Vec::new();
    for _ in 0..32 {
        let mut stream = server.connect().await;
        // A query that has begun does not give way: behind the first one, so that its answer says that it was seen.
        stream.write_all(&[&ask, &ask[..5]].concat()).await.expect("written");
        read(&mut stream).await;
        held.push(stream);
    }
    closed(&mut server.connect().await).await;
    server.ended(End::TooMany, 1).await;
    let socket = tokio::net::TcpSocket::new_v4().expect("socket");
    socket.bind("127.0.0.77:0".parse().expect("address")).expect("a loopback address");
    let mut other = socket.connect(server.address).await.expect("connected");
    other.write_all(&ask).await.expect("written");
    assert!(!read(&mut other).await.is_empty());
}

#[tokio::test]
async fn a_drain_waits_for_a_query_that_has_begun_and_its_answer() {
    let server = start().await;
    let ask = Ask::new("demo.weir.test", "A");
    let (mut stream, mut idle) = (server.connect().await, server.connect().await);
    for stream in [&mut stream, &mut idle] {
        stream.write_all(&ask.framed()).await.expect("written");
        read(stream).await;
    }
    let (begun, rest) = (ask.framed(), ask.framed().split_off(9));
    stream.write_all(&begun[..9]).await.expect("written");
    server.gate.stop();
    closed(&mut idle).await;
    server.ended(End::Stopped, 1).await;
    let early = timeout(std::time::Duration::from_millis(200), server.gate.drained()).await;
    assert!(early.is_err(), "an answer is owed");
    stream.write_all(&rest).await.expect("written");
    assert_eq!(Shown::of(&read(&mut stream).await, &ask).code, "NOERROR aa");
    closed(&mut stream).await;
    timeout(DEADLINE, server.gate.drained()).await.expect("nothing is open");
}

#[tokio::test]
async fn a_stop_ends_idle_connections_and_accepting_resumes() {
    let server = start().await;
    let ask = Ask::new("demo.weir.test", "A");
    let mut idle = server.connect().await;
    idle.write_all(&ask.framed()).await.expect("written");
    read(&mut idle).await;
    server.gate.stop();
    closed(&mut idle).await;
    server.ended(End::Stopped, 1).await;
    let mut waiting = server.connect().await;
    waiting.write_all(&ask.framed()).await.expect("written");
    server.gate.accept();
    assert_eq!(Shown::of(&read(&mut waiting).await, &ask).code, "NOERROR aa", "it waited in the socket");
    server.gate.close();
    closed(&mut waiting).await;
}

#[tokio::test]
async fn whoever_reads_nothing_is_cut() {
    let server = start().await;
    server.bench.router.apply(&network::many_routers()).expect("valid");
    let ask = Ask::new("demo.weir.test", "NS").framed();
    let socket = tokio::net::TcpSocket::new_v4().expect("socket");
    socket.set_recv_buffer_size(2048).expect("a small buffer");
    let mut stream = socket.connect(server.address).await.expect("connected");
    let (_, mut writing) = stream.split();
    let write = async {
        // It ends when the server does not take any more.
        while writing.write_all(&ask).await.is_ok() {}
        std::future::pending().await
    };
    tokio::select! {
        () = write => {}
        () = server.ended(End::SlowReader, 1) => {}
    }
}
