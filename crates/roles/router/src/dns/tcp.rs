//! DNS over TCP (RFC 7766): several queries on one connection, answered in order; nobody holds one for long.

use super::{
    Transport, respond,
    seats::{GivenUp, Most, Seat, Seats},
};
use crate::{Router, keepalive::SOCKET_RETRY};
use socket2::SockRef;
use std::{io, net::SocketAddr, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    time::timeout,
};
use weir_net::http1::{Gate, Guest, Phase};
use weir_telemetry::Tasks;

/// Connections at once, and those of one client: resolvers keep few, and clients that were told to come back (TC) one.
const SEATS: Most = Most { all: 512, block: 32 };
/// How long a connection may be silent between two queries; of the order RFC 7766 section 6.2.3 suggests.
const IDLE_TIME: Duration = Duration::from_secs(10);
/// How long a query may take to arrive once it has begun.
const QUERY_TIME: Duration = Duration::from_secs(2);
/// How long a client may take to read its answers.
const WRITE_TIME: Duration = Duration::from_secs(2);
/// Longest query, in bytes; with every option in use one is a quarter of it.
const QUERY_BYTES_MAX: usize = 4096;
/// Queries of one connection: enough for any resolver, and whoever asks for more may connect again.
const QUERIES_MAX: u32 = 1_000;
/// Bytes of answers after which they are sent although further queries have arrived.
const ANSWERS_BYTES: usize = 16 * 1024;
/// Answers the kernel holds for a client that does not read them, in bytes: with [`WRITE_TIME`] it bounds what one costs.
const SEND_BUFFER_BYTES: usize = 64 * 1024;
/// How long a stop waits for a query that was on its way: a client that sends one into a closed connection must ask again.
const LAST_QUERY_TIME: Duration = Duration::from_millis(100);

/// How a connection ended; the `result` of `router_dns_connections_total`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// By the client.
    Closed,
    /// Nothing was asked for a while.
    Idle,
    /// A query did not arrive in time.
    SlowQuery,
    /// The answers were not read in time.
    SlowReader,
    /// A query is longer than [`QUERY_BYTES_MAX`].
    Oversized,
    /// What came is not a query.
    NotAQuery,
    /// It had [`QUERIES_MAX`] queries.
    Spent,
    /// The worker stops.
    Stopped,
    /// It idled longest when there were too many.
    Displaced,
    /// There are too many, and none idles; closed at accept.
    TooMany,
}

impl End {
    pub(crate) const ALL: [End; 10] = [
        End::Closed,
        End::Idle,
        End::SlowQuery,
        End::SlowReader,
        End::Oversized,
        End::NotAQuery,
        End::Spent,
        End::Stopped,
        End::Displaced,
        End::TooMany,
    ];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            End::Closed => "closed",
            End::Idle => "idle",
            End::SlowQuery => "slow_query",
            End::SlowReader => "slow_reader",
            End::Oversized => "oversized",
            End::NotAQuery => "not_a_query",
            End::Spent => "spent",
            End::Stopped => "stopped",
            End::Displaced => "displaced",
            End::TooMany => "too_many",
        }
    }
}

/// Listens on every socket for as long as `tasks` lives and `gate` keeps its sockets.
pub(super) fn listen(router: &Router, listeners: Vec<std::net::TcpListener>, gate: &Gate, tasks: &Tasks) -> io::Result<()> {
    let seats = Seats::new(SEATS);
    for listener in listeners {
        listener.set_nonblocking(true)?;
        let listener = TcpListener::from_std(listener)?;
        let server = Server { router: router.clone(), gate: gate.clone(), tasks: tasks.clone(), seats: seats.clone() };
        tasks.spawn("dns over tcp", server.accept(listener));
    }
    Ok(())
}

/// What the connections of one listener share.
#[derive(Clone)]
struct Server {
    router: Router,
    gate: Gate,
    tasks: Tasks,
    seats: Seats,
}

impl Server {
    async fn accept(self, listener: TcpListener) {
        while self.gate.accepts().await {
            tokio::select! {
                biased;
                () = self.gate.reached(Phase::Stop) => {}
                accepted = listener.accept() => self.accepted(accepted).await,
            }
        }
    }

    async fn accepted(&self, accepted: io::Result<(TcpStream, SocketAddr)>) {
        match accepted {
            Ok((stream, client)) => match self.seats.take(client.ip()) {
                Some(seat) => self.tasks.spawn("dns connection", self.clone().hold(stream, client, seat, self.gate.guest())),
                None => self.router.shared.metrics.dns.ended(End::TooMany),
            },
            Err(error) => {
                tracing::debug!(%error, "dns connection not accepted");
                tokio::time::sleep(SOCKET_RETRY).await;
            }
        }
    }

    /// Serves a connection; the drain of this worker waits for it.
    async fn hold(self, stream: TcpStream, client: SocketAddr, seat: Seat, _guest: Guest) {
        let end = self.serve(stream, client, &seat).await;
        self.router.shared.metrics.dns.ended(end);
    }

    async fn serve(&self, mut stream: TcpStream, client: SocketAddr, seat: &Seat) -> End {
        if let Err(error) = SockRef::from(&stream).set_send_buffer_size(SEND_BUFFER_BYTES) {
            tracing::debug!(%error, "send buffer of a dns connection not bounded");
        }
        let (reader, mut writer) = stream.split();
        let mut reader = BufReader::new(reader);
        let (mut query, mut answers) = (Vec::new(), Vec::new());
        for left in (0..QUERIES_MAX).rev() {
            if let Err(end) = self.next(&mut reader, &mut query, seat).await {
                return end;
            }
            let is_query = self.answer(&query, client, &mut answers);
            // Answers to queries that came together go together; no answer waits for a query that has not come.
            let more = is_query && left > 0 && answers.len() < ANSWERS_BYTES && holds_query(reader.buffer());
            if !more {
                match timeout(WRITE_TIME, writer.write_all(&answers)).await {
                    Ok(Ok(())) => answers.clear(),
                    Ok(Err(_)) => return End::Closed,
                    Err(_) => return End::SlowReader,
                }
                seat.idle();
            }
            if !is_query {
                return End::NotAQuery;
            }
        }
        End::Spent
    }

    /// Reads the next query; it replaces the last one.
    async fn next(&self, reader: &mut (impl AsyncRead + Unpin), query: &mut Vec<u8>, seat: &Seat) -> Result<(), End> {
        let mut first = [0; 1];
        tokio::select! {
            // Queries that have arrived are answered, whatever the gate says.
            biased;
            begun = timeout(IDLE_TIME, reader.read_exact(&mut first)) => begun.map_err(|_| End::Idle)?.map_err(|_| End::Closed)?,
            () = seat.given_up() => return Err(End::Displaced),
            () = self.stopped() => return Err(End::Stopped),
        };
        seat.busy().map_err(|GivenUp| End::Displaced)?;
        let rest = async {
            let length = usize::from(u16::from_be_bytes([first[0], reader.read_u8().await.map_err(|_| End::Closed)?]));
            if length > QUERY_BYTES_MAX {
                return Err(End::Oversized);
            }
            query.resize(length, 0);
            reader.read_exact(query).await.map_err(|_| End::Closed)
        };
        timeout(QUERY_TIME, rest).await.unwrap_or(Err(End::SlowQuery)).map(|_| ())
    }

    /// Waits until the gate is stopped, and for what was on its way then.
    async fn stopped(&self) {
        self.gate.reached(Phase::Stop).await;
        tokio::time::sleep(LAST_QUERY_TIME).await;
    }

    /// Appends the answer with its length before it; false when there is none.
    fn answer(&self, query: &[u8], client: SocketAddr, answers: &mut Vec<u8>) -> bool {
        let mut answer = Vec::new();
        respond(&self.router, query, client, Transport::Tcp, &mut answer);
        let length = u16::try_from(answer.len()).expect("an answer is at most what its length can say");
        if length == 0 {
            return false;
        }
        answers.extend_from_slice(&length.to_be_bytes());
        answers.extend_from_slice(&answer);
        true
    }
}

/// Whether a whole query, and none that is too long, begins what has been received.
fn holds_query(received: &[u8]) -> bool {
    let Some((length, rest)) = received.split_first_chunk() else { return false };
    let length = usize::from(u16::from_be_bytes(*length));
    length <= QUERY_BYTES_MAX && rest.len() >= length
}
