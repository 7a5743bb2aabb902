//! What each kind of viewer does until everybody leaves.

use super::{Known, Noticed, Stopped};
use crate::{
    client::{Ask, Client},
    dns::{Question, code, kind},
    playlist::{Playlist, resolve},
    resolver::Resolver,
    sha256,
    viewer::{self, Viewer},
};
use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::time::{sleep_until, timeout};

/// Pause before a failed request is sent again.
const RETRY: Duration = Duration::from_millis(100);
/// Between two segments of a recording.
const RECORDING_PACE: Duration = Duration::from_millis(150);
/// Between two ranges of the film.
const RANGE_PACE: Duration = Duration::from_millis(100);
/// Bytes of a range.
const RANGE_BYTES: usize = 1024 * 1024;
/// A slow reader takes what one read brings, at most 64 KiB, then rests: the film takes it some 15 s.
const SLOW_REST: Duration = Duration::from_millis(35);
/// Between two requests on a kept connection.
const KEPT_PACE: Duration = Duration::from_millis(30);
/// Redirects followed for one film.
const REDIRECTS_MAX: usize = 4;
/// How long somebody pauses, longer than a session lasts.
const PAUSE: Duration = Duration::from_secs(7);
/// Between two questions to a name server.
const QUESTION_PACE: Duration = Duration::from_millis(20);
/// Between two new connections of a visitor.
const VISIT_PACE: Duration = Duration::from_millis(10);
/// Patience for one request of a visitor: an answer that takes longer is one that did not come.
const VISIT_PATIENCE: Duration = Duration::from_secs(3);
/// Between two requests of somebody who resolves names.
const NAME_PACE: Duration = Duration::from_millis(100);
/// Bytes of a range that one of the crowd asks for, and between the first bytes of two of them: a prime, so that every part is asked for.
const CROWD_BYTES: usize = 1024;
const CROWD_STRIDE: usize = 1_000_003;
/// Requests of the crowd after which a router is asked again.
const CROWD_TURN: usize = 200;

/// Also when the audience is dropped, because a test has failed: its threads would keep the program running.
fn is_over(stopped: &Stopped) -> bool {
    *stopped.borrow() || stopped.has_changed().is_err()
}

async fn rest(stopped: &mut Stopped, pause: Duration) {
    // Ends early when everybody leaves.
    let _ = timeout(pause, stopped.wait_for(|stop| *stop)).await;
}

/// Asks until the answer is right; every wrong one is noted.
async fn insist(
    noticed: &mut Noticed,
    stopped: &Stopped,
    who: &str,
    mut ask: impl AsyncFnMut() -> Result<(SocketAddr, Vec<u8>), String>,
) -> Option<(SocketAddr, Vec<u8>)> {
    while !is_over(stopped) {
        match ask().await {
            Ok(right) => {
                noticed.requests += 1;
                return Some(right);
            }
            Err(wrong) => noticed.failed.push(format!("{who}: {wrong}")),
        }
        sleep_until((weir_clock::monotonic() + RETRY).into()).await;
    }
    None
}

fn said(result: io::Result<(SocketAddr, String, crate::Answer)>, what: &str) -> Result<(SocketAddr, String, crate::Answer), String> {
    result.map_err(|error| format!("{what}: {error}"))
}

/// Plays the recording again and again, by way of a router each time.
pub(super) async fn recordings(client: Client, known: Arc<Known>, mut stopped: Stopped) -> Noticed {
    let mut noticed = Noticed::default();
    for turn in 0.. {
        if is_over(&stopped) {
            break;
        }
        let router = known.routers[turn % known.routers.len()];
        let mut place = String::new();
        let begun = insist(&mut noticed, &stopped, "recording", async || {
            let (engine, target, answer) =
                said(client.follow(router, &Ask::get(&known.recording)).await, &format!("playlist by {router}"))?;
            if answer.status() != 200 {
                return Err(format!("playlist from {engine}: {}", answer.status()));
            }
            place = target;
            Ok((engine, answer.body))
        });
        let Some((engine, playlist)) = begun.await else { break };
        let Ok(playlist) = Playlist::parse(&String::from_utf8_lossy(&playlist)) else {
            noticed.failed.push(format!("recording: no playlist from {engine}"));
            continue;
        };
        for segment in playlist.segments {
            let target = resolve(&place, &segment.uri);
            let taken = insist(&mut noticed, &stopped, "recording", async || {
                let (from, _, answer) = said(client.follow(engine, &Ask::get(&target)).await, &format!("{target} at {engine}"))?;
                let right = answer.status() == 200 && known.segments.get(&segment.uri) == Some(&sha256(&answer.body));
                if right {
                    Ok((from, answer.body))
                } else {
                    Err(format!("{target} from {from}: {}, {} bytes", answer.status(), answer.body.len()))
                }
            });
            if taken.await.is_none() {
                break;
            }
            rest(&mut stopped, RECORDING_PACE).await;
        }
    }
    noticed
}

/// Takes a file by ranges, again and again, from the engine it was sent to; a redirect is followed for the request it was given to.
pub(super) async fn ranges(client: Client, known: Arc<Known>, mut stopped: Stopped) -> Noticed {
    let mut noticed = Noticed::default();
    let length = known.bytes.len();
    for turn in 0.. {
        if is_over(&stopped) {
            break;
        }
        let router = known.routers[turn % known.routers.len()];
        let mut address = router;
        for from in (0..length).step_by(RANGE_BYTES) {
            let to = (from + RANGE_BYTES).min(length) - 1;
            let taken = insist(&mut noticed, &stopped, "ranges", async || {
                let ask = Ask::get(&known.film).field("Range", format!("bytes={from}-{to}"));
                let (engine, _, answer) = said(client.follow(address, &ask).await, &format!("bytes {from}-{to} at {address}"))?;
                let range = answer.head.field("Content-Range");
                let right = answer.status() == 206
                    && range.as_deref() == Some(format!("bytes {from}-{to}/{length}").as_str())
                    && answer.body == known.bytes[from..=to];
                if right {
                    Ok((engine, answer.body))
                } else {
                    Err(format!("bytes {from}-{to} from {engine}: {} {range:?}", answer.status()))
                }
            });
            match taken.await {
                Some((engine, _)) => address = engine,
                None => break,
            }
            rest(&mut stopped, RANGE_PACE).await;
        }
    }
    noticed
}

/// Reads the film on one connection, slowly.
pub(super) async fn slow(client: Client, known: Arc<Known>, mut stopped: Stopped) -> Noticed {
    let mut noticed = Noticed::default();
    while !is_over(&stopped) {
        let begun = weir_clock::monotonic();
        match read_slowly(client, &known, &mut stopped).await {
            Ok(()) => noticed.requests += 1,
            Err(wrong) => noticed.failed.push(format!("slow reader: {wrong}")),
        }
        noticed.slowest = noticed.slowest.max(begun.elapsed());
        rest(&mut stopped, SLOW_REST).await;
    }
    noticed
}

async fn read_slowly(client: Client, known: &Known, stopped: &mut Stopped) -> Result<(), String> {
    let (mut address, mut target) = (known.routers[0], known.film.clone());
    for _ in 0..REDIRECTS_MAX {
        let opened = client.open(address, &Ask::get(&target)).await;
        let mut reading = opened.map_err(|error| format!("open {target} at {address}: {error}"))?;
        if matches!(reading.head.status, 302 | 307) {
            let url = reading.head.field("Location").ok_or_else(|| format!("{address}: a redirect without Location"))?;
            let (authority, rest) = viewer::parts(&url).map_err(|error| error.to_string())?;
            (address, target) = (authority.parse().map_err(|_| format!("{address} leads to {url}"))?, rest.to_owned());
            continue;
        }
        if reading.head.status != 200 {
            return Err(format!("{target} from {address}: {}", reading.head.status));
        }
        let mut bytes = Vec::with_capacity(known.bytes.len());
        while let Some(some) = reading.some().await.map_err(|error| format!("{} bytes from {address}: {error}", bytes.len()))? {
            bytes.extend_from_slice(&some);
            // The rest is read at once when everybody leaves.
            rest(stopped, SLOW_REST).await;
        }
        return if bytes == known.bytes { Ok(()) } else { Err(format!("{} other bytes from {address}", bytes.len())) };
    }
    Err("too many redirects".to_owned())
}

/// Keeps its connections, as browsers do: a request on one that the other end closed meanwhile is sent again by the client itself.
pub(super) async fn kept(source: IpAddr, known: Arc<Known>, mut stopped: Stopped) -> Noticed {
    let mut noticed = Noticed::default();
    let built = reqwest::Client::builder().no_proxy().http1_only().local_address(source).timeout(VISIT_PATIENCE).build();
    let client = built.expect("a client");
    for turn in 0.. {
        if is_over(&stopped) {
            break;
        }
        let url = format!("http://{}{}", known.routers[turn % known.routers.len()], known.recording);
        let asked = async { client.get(&url).send().await?.error_for_status()?.bytes().await };
        match asked.await {
            Ok(bytes) if bytes.starts_with(b"#EXTM3U") => noticed.requests += 1,
            Ok(bytes) => noticed.failed.push(format!("kept: {} other bytes by {url}", bytes.len())),
            Err(error) => noticed.failed.push(format!("kept: {url}: {error:?}")),
        }
        rest(&mut stopped, KEPT_PACE).await;
    }
    noticed
}

/// Takes a segment, pauses for longer than a session, and goes on at the same address.
pub(super) async fn pausing(client: Client, known: Arc<Known>, mut stopped: Stopped) -> Noticed {
    let mut noticed = Noticed::default();
    let mut address = known.routers[0];
    while !is_over(&stopped) {
        for (name, hash) in known.segments.iter().take(3) {
            let target = resolve(&known.recording, name);
            let taken = insist(&mut noticed, &stopped, "paused viewer", async || {
                let (from, _, answer) = said(client.follow(address, &Ask::get(&target)).await, &format!("{target} at {address}"))?;
                let right = answer.status() == 200 && *hash == sha256(&answer.body);
                if right { Ok((from, answer.body)) } else { Err(format!("{target} from {from}: {}", answer.status())) }
            });
            match taken.await {
                Some((engine, _)) => address = engine,
                None => return noticed,
            }
        }
        rest(&mut stopped, PAUSE).await;
    }
    noticed
}

/// Opens a connection for each request: the router, then the engine it names.
pub(super) async fn visitors(client: Client, known: Arc<Known>, mut stopped: Stopped) -> Noticed {
    let client = client.patience(VISIT_PATIENCE);
    let mut noticed = Noticed::default();
    for turn in 0.. {
        if is_over(&stopped) {
            break;
        }
        let router = known.routers[turn % known.routers.len()];
        let taken = insist(&mut noticed, &stopped, "visitor", async || {
            let (engine, _, answer) = said(client.follow(router, &Ask::get(&known.recording)).await, &format!("by {router}"))?;
            if answer.status() == 200 { Ok((engine, answer.body)) } else { Err(format!("from {engine}: {}", answer.status())) }
        });
        if taken.await.is_none() {
            break;
        }
        rest(&mut stopped, VISIT_PACE).await;
    }
    noticed
}

/// Asks one name server for the delivery service, over UDP and now and then over TCP.
pub(super) async fn resolvers(server: SocketAddr, known: Arc<Known>, mut stopped: Stopped) -> Noticed {
    const TCP_EVERY: u64 = 25;
    let mut noticed = Noticed::default();
    let source = IpAddr::from([127, 0, 0, 1]);
    for turn in 0u64.. {
        if is_over(&stopped) {
            break;
        }
        let question = Question::new(&known.domain, kind::A);
        let asked = if turn % TCP_EVERY == 0 { question.ask_tcp(server, source).await } else { question.ask_udp(server, source).await };
        match asked {
            Ok(answer) if answer.code == code::NOERROR && !answer.addresses().is_empty() => noticed.questions += 1,
            Ok(answer) => noticed.failed.push(format!("{server} answers {} with {:?}", answer.code, answer.addresses())),
            Err(error) => noticed.failed.push(format!("{server}: {error:#}")),
        }
        rest(&mut stopped, QUESTION_PACE).await;
    }
    noticed
}

/// An HTTP/1.0 client: each answer has its length, and ends its connection.
pub(super) async fn old(client: Client, known: Arc<Known>, mut stopped: Stopped) -> Noticed {
    let mut noticed = Noticed::default();
    for (turn, (name, hash)) in known.segments.iter().cycle().enumerate() {
        if is_over(&stopped) {
            break;
        }
        let (router, target) = (known.routers[turn % known.routers.len()], resolve(&known.recording, name));
        let taken = insist(&mut noticed, &stopped, "HTTP/1.0", async || {
            let (from, _, answer) = said(client.follow(router, &Ask::get(&target).old()).await, &format!("{target} by {router}"))?;
            let right = answer.status() == 200
                && *hash == sha256(&answer.body)
                && answer.head.field("Transfer-Encoding").is_none()
                && answer.head.field("Content-Length") == Some(answer.body.len().to_string());
            if right {
                Ok((from, answer.body))
            } else {
                Err(format!("{target}, {} bytes, from {from}: {}", answer.body.len(), answer.status()))
            }
        });
        if taken.await.is_none() {
            break;
        }
        rest(&mut stopped, RECORDING_PACE).await;
    }
    noticed
}

/// Takes the recording from where the delivery service's name leads, and keeps an address for as long as it may.
pub(super) async fn by_name(client: Client, known: Arc<Known>, mut stopped: Stopped) -> Noticed {
    let mut noticed = Noticed::default();
    let viewer = Viewer::resolving(client, Arc::new(Resolver::new(known.name_servers.clone(), client.source())));
    let below = format!("/{}", known.domain);
    for (name, hash) in known.segments.iter().cycle() {
        if is_over(&stopped) {
            break;
        }
        let target = resolve(&known.recording, name);
        let url = format!("http://{}:{}{}", known.domain, known.port, target.strip_prefix(&below).unwrap_or(&target));
        let taken = insist(&mut noticed, &stopped, "by name", async || {
            let fetched = viewer.fetch(&url, &[]).await.map_err(|error| error.to_string())?;
            let right = fetched.answer.status() == 200 && *hash == sha256(&fetched.answer.body);
            if right {
                Ok((fetched.from, fetched.answer.body))
            } else {
                Err(format!("{} from {}: {}", fetched.url, fetched.from, fetched.answer.status()))
            }
        });
        if taken.await.is_none() {
            break;
        }
        rest(&mut stopped, NAME_PACE).await;
    }
    noticed
}

/// Asks an engine for parts of the film on kept connections as fast as they come, and a router now and then.
pub(super) async fn crowd(source: IpAddr, answered: &AtomicU64, known: Arc<Known>, stopped: Stopped) -> Noticed {
    let mut noticed = Noticed::default();
    let built = reqwest::Client::builder().no_proxy().http1_only().local_address(source).timeout(VISIT_PATIENCE).build();
    let client = built.expect("a client");
    let (length, mut engine) = (known.bytes.len(), known.routers[0]);
    for turn in 0usize.. {
        if is_over(&stopped) {
            break;
        }
        if turn % CROWD_TURN == 0 {
            engine = known.routers[turn / CROWD_TURN % known.routers.len()];
        }
        let from = turn.wrapping_mul(CROWD_STRIDE) % (length - CROWD_BYTES);
        let to = from + CROWD_BYTES - 1;
        let asked = insist(&mut noticed, &stopped, "crowd", async || {
            let url = format!("http://{engine}{}", known.film);
            let request = client.get(&url).header("Range", format!("bytes={from}-{to}"));
            let answer = request.send().await.map_err(|error| format!("{url}: {error:?}"))?;
            let by = answer.remote_addr().unwrap_or(engine);
            let (status, range) = (answer.status().as_u16(), answer.headers().get("content-range").cloned());
            let whole = range.as_ref().is_some_and(|range| range == format!("bytes {from}-{to}/{length}").as_str());
            let body = answer.bytes().await.map_err(|error| format!("{url} from {by}: {error:?}"))?;
            if status == 206 && whole && body == known.bytes[from..=to] {
                Ok((by, Vec::new()))
            } else {
                Err(format!("bytes {from}-{to} from {by}: {status} {range:?}, {} bytes", body.len()))
            }
        });
        let Some((by, _)) = asked.await else { break };
        engine = by;
        answered.fetch_add(1, Ordering::Relaxed);
    }
    noticed
}
