//! Viewers of every kind around a change of the network, and what they noticed: the oracle of updates.
//!
//! Each viewer runs until [`Audience::leave`], counts its requests, and compares what comes with what it knows: status, length and
//! hash. A failed request is noted and repeated, so that one failure is one entry.

use crate::{
    Api, Origin,
    client::{self, Ask, Client},
    dns::{Question, code, kind},
    network::Network,
    origin::{Asked, Reply, Replying},
    player::{self, Live},
    playlist::{Playlist, resolve},
    sha256, viewer, wait_for,
};
use anyhow::{Context, ensure};
use reqwest::Method;
use serde_json::json;
use std::{
    collections::BTreeMap,
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{sleep_until, timeout},
};

/// Pause before a failed request is sent again.
const RETRY: Duration = Duration::from_millis(100);
/// Between two segments of a recording.
const RECORDING_PACE: Duration = Duration::from_millis(150);
/// Between two ranges of the film.
const RANGE_PACE: Duration = Duration::from_millis(100);
/// Bytes of a range.
const RANGE_BYTES: usize = 1024 * 1024;
/// Bytes of the film: several times what the sockets of one connection hold, so that most of it is still to be sent when a slow reader
/// has begun.
const FILM_BYTES: usize = 24 * 1024 * 1024;
/// A slow reader takes what one read brings, at most 64 KiB, then rests: the film takes it some 15 s.
const SLOW_REST: Duration = Duration::from_millis(35);
/// Shortest time a slow reader must have spent on one film at least once: longer than a hand-over.
const SLOW_LEAST: Duration = Duration::from_secs(5);
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
/// Patience for players to have begun, and for everybody to leave.
const PLAY_DEADLINE: Duration = Duration::from_secs(30);
const LEAVE_DEADLINE: Duration = Duration::from_secs(60);
/// The delivery service of the film.
const FILM_DOMAIN: &str = "film.weir.test";
/// Patience for a new delivery service to be in service everywhere.
const SERVICE_DEADLINE: Duration = Duration::from_secs(30);

/// What one viewer, or all of them, did and noticed.
#[derive(Debug, Clone, Default)]
pub struct Noticed {
    /// Requests answered as they should be.
    pub requests: u64,
    /// Questions to name servers answered as they should be.
    pub questions: u64,
    /// What was not: who, what was asked and what came.
    pub failed: Vec<String>,
    /// Times a live picture stood still.
    pub stalls: Vec<String>,
    /// The longest time one slow reader was at one answer.
    pub slowest: Duration,
}

impl Noticed {
    fn add(&mut self, other: Self) {
        self.requests += other.requests;
        self.questions += other.questions;
        self.failed.extend(other.failed);
        self.stalls.extend(other.stalls);
        self.slowest = self.slowest.max(other.slowest);
    }

    /// Nothing failed and nothing stood still.
    ///
    /// # Errors
    /// What did.
    pub fn nothing(&self) -> anyhow::Result<()> {
        eprintln!("{} requests, {} questions", self.requests, self.questions);
        ensure!(self.failed.is_empty(), "{} of {} failed: {:#?}", self.failed.len(), self.requests, self.failed);
        ensure!(self.stalls.is_empty(), "{:#?}", self.stalls);
        ensure!(self.requests > 0 && self.questions > 0, "nobody watched");
        ensure!(self.slowest >= SLOW_LEAST, "no answer was under way for long: {:?}", self.slowest);
        Ok(())
    }
}

/// What everybody knows beforehand.
struct Known {
    routers: Vec<SocketAddr>,
    name_servers: Vec<SocketAddr>,
    domain: String,
    /// Playlist of the recording, as any address takes it.
    recording: String,
    /// Its segments, by name.
    segments: BTreeMap<String, String>,
    /// The film, as any address takes it, and its bytes.
    film: String,
    bytes: Vec<u8>,
}

impl Known {
    async fn learn(network: &Network, film: &Origin, bytes: Vec<u8>) -> anyhow::Result<Self> {
        let (routers, domain) = (network.routers(), network.file().services[0].domain.clone());
        let recording = network.target("/vod/index.m3u8");
        let segments = player::recording(Client::east(), routers[0], &recording).await?;
        let api = Api::new(network.file())?;
        let service = json!({ "name": "film", "domain": FILM_DOMAIN, "origin": film.url() });
        let made = api.send(Method::POST, "/delivery-services", Some(&service.to_string())).await?;
        // Another audience of this network has made it, with an origin that is gone.
        if made.status == 409 {
            let changed = api.send(Method::PUT, "/delivery-services/film", Some(&service.to_string())).await?;
            ensure!((200..300).contains(&changed.status), "{changed:?}");
        } else {
            ensure!((200..300).contains(&made.status), "{made:?}");
        }
        let film = format!("/{FILM_DOMAIN}/{}.bin", &sha256(&bytes)[..12]);
        for client in [Client::east(), Client::west()] {
            for router in &routers {
                wait_for("the film is in service", SERVICE_DEADLINE, || async {
                    let (_, _, answer) = client.follow(*router, &Ask::get(&film)).await?;
                    ensure!(answer.status() == 200 && answer.body == bytes, "{}", answer.status());
                    anyhow::Ok(())
                })
                .await;
            }
        }
        Ok(Self { routers, name_servers: network.name_servers(), domain, recording, segments, film, bytes })
    }
}

/// Bytes that are no others'.
fn film() -> Vec<u8> {
    let seed = weir_clock::monotonic_ms();
    (0..FILM_BYTES / 32).flat_map(|n| sha256(&(seed + n as u64).to_le_bytes()).into_bytes().into_iter().take(32)).collect()
}

/// Viewers at work.
pub struct Audience {
    live: Vec<Live>,
    others: JoinSet<Noticed>,
    stop: watch::Sender<bool>,
    _film: Origin,
}

/// The film, whole or in part, to whoever fetches it.
fn sent(film: Arc<[u8]>, asked: Asked, mut reply: Reply) -> Replying {
    Box::pin(async move {
        if asked.target.ends_with(".bin") {
            reply.whole(&film, "Cache-Control: max-age=3600\r\nETag: \"film\"\r\n").await
        } else {
            reply.not_found().await
        }
    })
}

/// How a viewer knows that it is to leave.
type Stopped = watch::Receiver<bool>;

impl Audience {
    /// Two live players for each zone, and one each of: recordings, ranges, a slow reader, somebody who pauses, visitors who open a
    /// connection for each request, somebody who keeps connections, and resolvers at every name server. Everybody has begun when this returns.
    pub async fn gather(network: &Network) -> anyhow::Result<Self> {
        let bytes = film();
        let body: Arc<[u8]> = bytes.as_slice().into();
        let origin = Origin::start(move |asked, reply| sent(body.clone(), asked, reply)).await?;
        let known = Arc::new(Known::learn(network, &origin, bytes).await?);
        let (stop, stopped) = watch::channel(false);
        let live_target = network.target("/live/index.m3u8");
        let mut live = Vec::new();
        for client in
            [Client::east(), Client::west(), Client::at(IpAddr::from([127, 0, 0, 77])), Client::at(IpAddr::from([127, 130, 0, 77]))]
        {
            live.push(Live::start(client, network.routers(), live_target.clone()));
        }
        let mut audience = Self { live, others: JoinSet::new(), stop, _film: origin };
        for client in [Client::east(), Client::west()] {
            audience.begin(client, &known, &stopped);
        }
        for source in [client::EAST, client::WEST] {
            audience.seat(source, &known, &stopped, async |source, known, stopped| kept(source, known, stopped).await);
        }
        for server in known.name_servers.clone() {
            audience.seat(server, &known, &stopped, async |server, known, stopped| resolvers(server, known, stopped).await);
        }
        for live in &mut audience.live {
            live.playing(PLAY_DEADLINE).await?;
        }
        Ok(audience)
    }

    fn begin(&mut self, client: Client, known: &Arc<Known>, stopped: &Stopped) {
        self.seat(client, known, stopped, async |client, known, stopped| recordings(client, known, stopped).await);
        self.seat(client, known, stopped, async |client, known, stopped| ranges(client, known, stopped).await);
        self.seat(client, known, stopped, async |client, known, stopped| slow(client, known, stopped).await);
        self.seat(client, known, stopped, async |client, known, stopped| pausing(client, known, stopped).await);
        self.seat(client, known, stopped, async |client, known, stopped| visitors(client, known, stopped).await);
    }

    /// Gives a viewer a thread of its own: what it does between two awaits holds nobody up.
    fn seat<W: Send + 'static>(
        &mut self,
        who: W,
        known: &Arc<Known>,
        stopped: &Stopped,
        watch: impl AsyncFnOnce(W, Arc<Known>, Stopped) -> Noticed + Send + 'static,
    ) {
        let (known, stopped) = (known.clone(), stopped.clone());
        self.others.spawn_blocking(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(watch(who, known, stopped))
        });
    }

    /// The engine that serves the first live player.
    pub fn engine(&self) -> anyhow::Result<SocketAddr> {
        Ok(self.live[0].last().context("it plays")?.engine)
    }

    /// Lets everybody watch on until each live player has got another segment: what was done just before has been seen.
    pub async fn watch_on(&mut self) -> anyhow::Result<()> {
        for live in &mut self.live {
            live.next_segment(PLAY_DEADLINE).await?;
        }
        Ok(())
    }

    /// Everybody leaves; what they noticed.
    pub async fn leave(self) -> anyhow::Result<Noticed> {
        self.stop.send_replace(true);
        let mut noticed = Noticed::default();
        for (n, live) in self.live.into_iter().enumerate() {
            let report = live.stop().await?;
            noticed.requests += report.served.len() as u64;
            noticed.failed.extend(report.failed.iter().map(|failed| format!("live {n}: {}", failed.what)));
            noticed.stalls.extend(report.stalls.iter().map(|stall| format!("live {n} stood still for {stall:?}")));
            let sequences: Vec<u64> = report.served.iter().map(|served| served.sequence).collect();
            if sequences.windows(2).any(|pair| pair[1] != pair[0] + 1) {
                noticed.failed.push(format!("live {n}: segments are missing: {sequences:?}"));
            }
        }
        for other in timeout(LEAVE_DEADLINE, self.others.join_all()).await.context("everybody leaves")? {
            noticed.add(other);
        }
        Ok(noticed)
    }
}

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
async fn recordings(client: Client, known: Arc<Known>, mut stopped: Stopped) -> Noticed {
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
async fn ranges(client: Client, known: Arc<Known>, mut stopped: Stopped) -> Noticed {
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
async fn slow(client: Client, known: Arc<Known>, mut stopped: Stopped) -> Noticed {
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
async fn kept(source: IpAddr, known: Arc<Known>, mut stopped: Stopped) -> Noticed {
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
async fn pausing(client: Client, known: Arc<Known>, mut stopped: Stopped) -> Noticed {
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
async fn visitors(client: Client, known: Arc<Known>, mut stopped: Stopped) -> Noticed {
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
async fn resolvers(server: SocketAddr, known: Arc<Known>, mut stopped: Stopped) -> Noticed {
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
