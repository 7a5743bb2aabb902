//! One request to a service under test, on a loopback socket nobody else knows.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use weir_net::http1::{Gate, Limits, Service, serve};
use weir_telemetry::Tasks;

/// Most bytes of an answer: what is asked for is small.
const ANSWER_BYTES_MAX: u64 = 256 * 1024;

/// A service on a port of its own, until it is dropped.
pub(super) struct Served {
    pub(super) address: SocketAddr,
    _tasks: Tasks,
}

impl Served {
    /// Serves it; nothing when this machine has no loopback address to test on, which is no defect of the build.
    pub(super) fn start(service: impl Service) -> Option<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
        let bound = listener.and_then(|listener| Ok((listener.local_addr()?, listener)));
        let (address, listener) = match bound {
            Ok(bound) => bound,
            Err(error) => {
                tracing::warn!(%error, "self-test without requests: no loopback socket");
                return None;
            }
        };
        let (gate, tasks) = (Gate::new(), Tasks::new());
        gate.accept();
        tasks.spawn("self-test", async move {
            if let Err(error) = serve(listener, service, Limits::default(), gate).await {
                tracing::warn!(%error, "self-test listener ended");
            }
        });
        Some(Self { address, _tasks: tasks })
    }
}

/// An answer, read to its end.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    head: String,
    pub(super) body: Vec<u8>,
}

impl Answer {
    /// A field's value, whatever the case of its name.
    pub(super) fn field(&self, name: &str) -> Option<&str> {
        self.head.lines().filter_map(|line| line.split_once(": ")).find(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, v)| v)
    }
}

/// Asks once, on a connection of its own.
///
/// # Errors
/// One sentence: no connection, or no answer that can be read.
pub(super) async fn ask(address: SocketAddr, line: &str, host: &str, fields: &str) -> Result<Answer, String> {
    let broken = |error: std::io::Error| format!("{line}: no answer: {error}");
    let mut stream = TcpStream::connect(address).await.map_err(broken)?;
    let request = format!("{line} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{fields}\r\n");
    stream.write_all(request.as_bytes()).await.map_err(broken)?;
    let mut bytes = Vec::new();
    stream.take(ANSWER_BYTES_MAX).read_to_end(&mut bytes).await.map_err(broken)?;
    read(&bytes).ok_or_else(|| format!("{line}: what came is no answer"))
}

fn read(bytes: &[u8]) -> Option<Answer> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&bytes[..end]).ok()?.to_owned();
    let status = head.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()?;
    Some(Answer { status, head, body: bytes[end + 4..].to_vec() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_whole_or_not_at_all() {
        let answer = read(b"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-1/9\r\n\r\nab").expect("an answer");
        assert_eq!((answer.status, answer.field("content-range"), answer.body.as_slice()), (206, Some("bytes 0-1/9"), &b"ab"[..]));
        for bytes in [&b"HTTP/1.1 200 OK\r\n"[..], b"HTTP/1.1 2\r\n\r\n", b"SIP/2.0 200 OK\r\n\r\n", b""] {
            assert!(read(bytes).is_none(), "{bytes:?}");
        }
    }
}
