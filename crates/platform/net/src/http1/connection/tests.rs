//! The loop over a pipe in memory, whose reads and writes happen exactly when a test says so.

use super::*;
use crate::http1::{Body, Request};
use std::net::IpAddr;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
    sync::Semaphore,
    task::yield_now,
};

/// Longer than anything here takes on a busy machine.
const DEADLINE: Duration = Duration::from_secs(20);

impl Transport for DuplexStream {
    fn reset_on_close(&self) {}

    fn has_unread(&self) -> bool {
        false
    }
}

/// Answers with `body`, each answer for one permit.
#[derive(Clone)]
struct Answers {
    body: Bytes,
    permits: Arc<Semaphore>,
}

impl Service for Answers {
    async fn respond(&self, _: &Request<'_>, _: &mut ResponseHead<'_>) -> Body {
        self.permits.acquire().await.expect("never closed").forget();
        Body::bytes(self.body.clone())
    }
}

struct Bench {
    connection: Connection<Answers, DuplexStream>,
    client: DuplexStream,
    permits: Arc<Semaphore>,
}

/// A connection whose pipe holds `pipe_bytes`, answered with `body`.
fn bench(limits: Limits, pipe_bytes: usize, body: impl Into<Bytes>) -> Bench {
    let (stream, client) = duplex(pipe_bytes);
    let permits = Arc::new(Semaphore::new(0));
    let service = Answers { body: body.into(), permits: permits.clone() };
    let gate = Gate::new();
    gate.accept();
    let lane = gate.add_lane();
    let peer = SocketAddr::from(([127, 0, 0, 1], 9));
    let admission = gate.admit(&lane, IpAddr::from([127, 0, 0, 1]), 0).expect("no limit");
    let listener = Arc::new(Listener { service, limits, gate, lane });
    Bench { connection: Connection::new(listener, stream, peer, peer, admission), client, permits }
}

/// Reads one answer whose body is `ok`.
async fn read_ok(client: &mut DuplexStream) {
    let mut received = Vec::new();
    while !received.ends_with(b"\r\n\r\nok") {
        assert!(client.read_buf(&mut received).await.expect("readable") > 0, "closed early");
    }
}

/// The most a read buffer may come to: a head, as much received behind it, and the room for a body's next bytes.
fn buffer_bytes_max(limits: &Limits) -> usize {
    2 * limits.header_bytes + 16 * 1024
}

#[tokio::test]
async fn bodies_that_arrive_with_the_next_request_do_not_grow_the_buffer() {
    let limits = Limits::default();
    let Bench { mut connection, mut client, permits } = bench(limits.clone(), 64 * 1024, "ok");
    let head = format!("POST / HTTP/1.1\r\nHost: a\r\nX: {}\r\nContent-Length: 100\r\n\r\n", "x".repeat(8 * 1024));
    let last = format!("{}{}", "y".repeat(100), &head[..1]);
    let talk = async move {
        client.write_all(&head.as_bytes()[..1]).await.expect("written");
        for _ in 0..300 {
            client.write_all(&head.as_bytes()[1..]).await.expect("written");
            // The loop reads the head before the body is there.
            yield_now().await;
            client.write_all(last.as_bytes()).await.expect("written");
            permits.add_permits(1);
            read_ok(&mut client).await;
        }
    };
    tokio::time::timeout(DEADLINE, async { tokio::join!(biased; connection.exchanges(), talk) }).await.expect("in time");
    assert!(connection.inbox.buffer_bytes() <= buffer_bytes_max(&limits), "{} bytes", connection.inbox.buffer_bytes());
}

#[tokio::test]
async fn requests_that_arrive_while_one_is_answered_do_not_grow_the_buffer() {
    let limits = Limits::default();
    let Bench { mut connection, mut client, permits } = bench(limits.clone(), 64 * 1024, "ok");
    let request = format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "x".repeat(1000));
    let talk = async move {
        client.write_all(request.repeat(3).as_bytes()).await.expect("written");
        for _ in 0..300 {
            client.write_all(request.as_bytes()).await.expect("written");
            yield_now().await;
            permits.add_permits(1);
            read_ok(&mut client).await;
        }
        // The requests still under way are answered to nobody.
        permits.add_permits(3);
    };
    tokio::time::timeout(DEADLINE, async { tokio::join!(biased; connection.exchanges(), talk) }).await.expect("in time");
    assert!(connection.inbox.buffer_bytes() <= buffer_bytes_max(&limits), "{} bytes", connection.inbox.buffer_bytes());
}

/// Reads `bytes` every `pause` until the end of the stream; how many there were.
async fn read_slowly(client: &mut DuplexStream, bytes: usize, pause: Duration) -> usize {
    let mut buffer = vec![0; bytes];
    let mut total = 0;
    loop {
        tokio::time::sleep(pause).await;
        match client.read(&mut buffer).await.expect("readable") {
            0 => return total,
            count => total += count,
        }
    }
}

#[tokio::test]
async fn a_client_that_reads_a_byte_now_and_then_is_reset() {
    let limits = Limits { write_stall: Duration::from_millis(300), ..Limits::default() };
    let Bench { mut connection, mut client, permits } = bench(limits, 1024, vec![b'x'; 1024 * 1024]);
    permits.add_permits(1);
    client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.expect("written");
    let end = tokio::select! {
        end = connection.exchanges() => end,
        total = read_slowly(&mut client, 1, Duration::from_millis(20)) => panic!("served {total} bytes"),
        () = tokio::time::sleep(DEADLINE) => panic!("still served"),
    };
    assert!(matches!(end, End::Reset));
}

#[tokio::test]
async fn a_client_slow_but_faster_than_the_least_rate_is_served_to_the_end() {
    let limits = Limits { write_stall: Duration::from_millis(500), send_bytes_min: 1024, requests_per_connection: 1, ..Limits::default() };
    let Bench { mut connection, mut client, permits } = bench(limits, 1024, vec![b'x'; 64 * 1024]);
    permits.add_permits(1);
    client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.expect("written");
    let serve = async {
        let end = connection.exchanges().await;
        drop(connection);
        end
    };
    let read = read_slowly(&mut client, 512, Duration::from_millis(10));
    let (end, bytes) = tokio::time::timeout(DEADLINE, async { tokio::join!(serve, read) }).await.expect("in time");
    assert!(matches!(end, End::Linger) && bytes > 64 * 1024, "{bytes}");
}
