//! One simulated device: a connection, a report every so often, a poll that is always there.

use crate::seen::Seen;
use anyhow::{Context, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{
    Request, Response,
    body::Incoming,
    client::conn::http2::SendRequest,
    header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::{Value, json};
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    net::TcpStream,
    sync::{Semaphore, watch},
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval_at, timeout},
};
use tokio_rustls::{TlsConnector, rustls};

/// Between two reports: `report_ms` of profile `standard`.
const REPORT_PERIOD: Duration = Duration::from_secs(5);
/// How long a poll may wait: `poll_ms` of profile `standard`.
const POLL_WAIT: Duration = Duration::from_secs(30);
/// Patience for an answer beyond what was asked to wait.
const PATIENCE: Duration = Duration::from_secs(60);
/// Longest wait before a lost connection is made again.
const RECONNECT_MOST: Duration = Duration::from_secs(2);

/// A device that has enrolled.
pub(crate) struct Device {
    /// Its place in the plan.
    pub(crate) index: usize,
    pub(crate) name: String,
    pub(crate) listeners: Value,
    pub(crate) tls: Arc<rustls::ClientConfig>,
}

/// (term, generation).
pub(crate) type Stamp = (u64, u64);

/// HELLO of a device at this stamp.
pub(crate) fn hello(name: &str, (term, generation): Stamp) -> Value {
    json!({
        "protocol": { "min": 1, "max": 1 },
        "version": env!("CARGO_PKG_VERSION"),
        "device": name,
        "role": "engine",
        "stamp": { "term": term, "generation": generation },
    })
}

/// What a poll brought.
struct Polled {
    stamp: Option<Stamp>,
    update: Option<u64>,
    bytes: usize,
}

impl Device {
    /// Lives until it is stopped.
    pub(crate) async fn live(self, manager: SocketAddr, seen: Arc<Seen>, connecting: Arc<Semaphore>, stopped: watch::Receiver<bool>) {
        let device = Arc::new(self);
        let mut over = stopped.clone();
        let (stamps, stamp) = watch::channel((0, 0));
        while !*over.borrow() {
            let connected = {
                let _place = connecting.acquire().await.expect("the semaphore stays open");
                device.connect(manager).await
            };
            match connected {
                Ok((sender, mut connection)) => tokio::select! {
                    error = device.poll(sender.clone(), &seen, &stamps) => seen.failed("poll", &error),
                    error = device.report(sender, &seen, stamp.clone()) => seen.failed("report", &error),
                    _ = connection.join_next() => seen.failed("connection", &anyhow::anyhow!("ended")),
                    _ = over.wait_for(|stop| *stop) => return,
                },
                Err(error) => seen.failed("connect", &error),
            }
            let rest = RECONNECT_MOST * u32::try_from(device.index % 100).expect("below 100") / 100;
            // Stopping is looked for above.
            let _ = timeout(rest, over.wait_for(|stop| *stop)).await;
        }
    }

    async fn connect(&self, manager: SocketAddr) -> anyhow::Result<(SendRequest<Full<Bytes>>, JoinSet<()>)> {
        let stream = TcpStream::connect(manager).await?;
        stream.set_nodelay(true)?;
        let name = rustls::pki_types::ServerName::IpAddress(manager.ip().into());
        let stream = TlsConnector::from(Arc::clone(&self.tls)).connect(name, stream).await?;
        let (sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
        let mut task = JoinSet::new();
        // How it ends is told by the requests on it.
        task.spawn(async move { drop(connection.await) });
        Ok((sender, task))
    }

    /// Polls until that fails.
    async fn poll(&self, mut sender: SendRequest<Full<Bytes>>, seen: &Seen, stamps: &watch::Sender<Stamp>) -> anyhow::Error {
        let mut update = 0;
        loop {
            let (term, generation) = *stamps.borrow();
            let wait = POLL_WAIT.as_millis();
            let path = format!("/device/v1/configuration?term={term}&generation={generation}&update={update}&wait_ms={wait}");
            let begin = weir_clock::monotonic();
            let polled = match ask(&mut sender, "GET", &path, Bytes::new(), POLL_WAIT + PATIENCE).await {
                Ok(answer) => read(answer).await,
                Err(error) => Err(error),
            };
            match polled {
                Ok(polled) => {
                    update = polled.update.unwrap_or(update);
                    match polled.stamp {
                        Some(stamp) => {
                            seen.document(self.index, stamp.1, polled.bytes);
                            stamps.send_replace(stamp);
                        }
                        None if polled.update.is_none() => seen.polled(begin.elapsed().saturating_sub(POLL_WAIT)),
                        None => {}
                    }
                }
                Err(error) => return error,
            }
        }
    }

    /// Reports until that fails: every period, and at once when there is another document.
    async fn report(&self, mut sender: SendRequest<Full<Bytes>>, seen: &Seen, mut stamp: watch::Receiver<Stamp>) -> anyhow::Error {
        let begin = weir_clock::monotonic();
        // Devices have not all started in the same moment.
        let phase = REPORT_PERIOD * u32::try_from(self.index % 1_000).expect("below 1,000") / 1_000;
        let mut period = interval_at(Instant::from_std(weir_clock::monotonic()) + phase, REPORT_PERIOD);
        period.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = period.tick() => {}
                changed = stamp.changed() => if let Err(error) = changed { return error.into() },
            }
            let body = self.body(*stamp.borrow_and_update(), begin.elapsed());
            let asked = weir_clock::monotonic();
            match ask(&mut sender, "POST", "/device/v1/report", body, PATIENCE).await {
                Ok(answer) => {
                    if let Err(error) = answer.into_body().collect().await {
                        return error.into();
                    }
                    seen.reported(asked.elapsed());
                }
                Err(error) => return error,
            }
        }
    }

    fn body(&self, stamp: Stamp, uptime: Duration) -> Bytes {
        let report = json!({
            "hello": hello(&self.name, stamp),
            "boot": 1,
            "clock_ms": weir_clock::wall_ms(),
            "uptime_ms": u64::try_from(uptime.as_millis()).unwrap_or(u64::MAX),
            "worker_crashes": 0,
            "listeners": self.listeners,
            "load": {
                "requests": uptime.as_secs() * 100, "active_requests": 3, "sessions": 20, "client_bytes": uptime.as_secs() * 1_000_000,
                "origin_bytes": uptime.as_secs() * 10_000, "store_bytes": 1_000_000_000_u64,
            },
            "share_permille": 1000,
        });
        report.to_string().into()
    }
}

async fn ask(
    sender: &mut SendRequest<Full<Bytes>>,
    method: &str,
    path: &str,
    body: Bytes,
    patience: Duration,
) -> anyhow::Result<Response<Incoming>> {
    sender.ready().await?;
    let uri = format!("https://manager{path}");
    let request = Request::builder().method(method).uri(uri).header(CONTENT_TYPE, "application/json").header(ACCEPT_ENCODING, "zstd");
    let request = request.body(Full::new(body))?;
    let answer = timeout(patience, sender.send_request(request)).await.context("no answer in time")??;
    ensure!(answer.status().is_success(), "status {}", answer.status());
    Ok(answer)
}

/// Reads an answer to a poll to its end, and of a document in zstd frames the first and the last alone: the stamp is in the one, the
/// word on updates in the other, and what is between is work of the device's, not of the manager's.
async fn read(answer: Response<Incoming>) -> anyhow::Result<Polled> {
    let is_coded = answer.headers().contains_key(CONTENT_ENCODING);
    let content = answer.into_body().collect().await?.to_bytes();
    let frames = if is_coded { frames(&content)? } else { vec![content.to_vec()] };
    let (head, tail) = (String::from_utf8_lossy(&frames[0]), String::from_utf8_lossy(&frames[frames.len() - 1]));
    let stamp = (!head.starts_with("{\"configuration\":null"))
        .then(|| anyhow::Ok((number(&head, "term")?, number(&head, "generation")?)))
        .transpose()?;
    let update = tail.rfind("\"update\":{").map(|at| number(&tail[at..], "revision")).transpose()?;
    Ok(Polled { stamp, update, bytes: content.len() })
}

/// The first and the last of the frames that follow each other, decoded.
fn frames(content: &[u8]) -> anyhow::Result<Vec<Vec<u8>>> {
    let (mut first, mut last, mut at) = (None, content, content);
    while !at.is_empty() {
        let length = zstd::zstd_safe::find_frame_compressed_size(at).map_err(|_| anyhow::anyhow!("a zstd frame"))?;
        (last, at) = at.split_at(length);
        first = first.or(Some(last));
    }
    [first.context("an empty answer")?, last].into_iter().map(|frame| Ok(zstd::stream::decode_all(frame)?)).collect()
}

/// The first number of this name in a JSON text.
fn number(json: &str, name: &str) -> anyhow::Result<u64> {
    let quoted = format!("\"{name}\":");
    let at = json.find(&quoted).with_context(|| format!("{name} in {json}"))? + quoted.len();
    let digits = json[at..].split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default();
    digits.parse().with_context(|| format!("{name} is a number in {json}"))
}
