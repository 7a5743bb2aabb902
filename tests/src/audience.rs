//! Viewers of every kind around a change of the network, and what they noticed: the oracle of updates.
//!
//! Each viewer runs until [`Audience::leave`], counts its requests, and compares what comes with what it knows: status, length and
//! hash. A failed request is noted and repeated, so that one failure is one entry.

mod kinds;

use crate::{
    Api, Origin,
    client::{self, Ask, Client},
    network::Network,
    origin::{Asked, Reply, Replying},
    player::{self, Live},
    sha256, wait_for,
};
use anyhow::{Context, ensure};
use reqwest::Method;
use serde_json::json;
use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{sync::watch, task::JoinSet, time::timeout};

/// Bytes of the film: several times what the sockets of one connection hold, so that most of it is still to be sent when a slow reader
/// has begun.
const FILM_BYTES: usize = 24 * 1024 * 1024;
/// Shortest time a slow reader must have spent on one film at least once: longer than a hand-over.
const SLOW_LEAST: Duration = Duration::from_secs(5);
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
    /// Port of the engines, for those who resolve names.
    port: u16,
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
        let port = network.file().engines[0].http.context("HTTP")?.port();
        Ok(Self { routers, name_servers: network.name_servers(), domain, recording, segments, film, bytes, port })
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
    known: Arc<Known>,
    /// Requests of its crowd that were answered, so far.
    answered: Arc<AtomicU64>,
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
    /// connection for each request, somebody who keeps connections, an HTTP/1.0 client, somebody who resolves names and keeps what
    /// was answered, and resolvers at every name server. Everybody has begun when this returns.
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
        let mut audience = Self { live, others: JoinSet::new(), known: known.clone(), answered: Arc::default(), stop, _film: origin };
        for client in [Client::east(), Client::west()] {
            audience.begin(client, &known, &stopped);
        }
        for source in [client::EAST, client::WEST] {
            audience.seat(source, &known, &stopped, async |source, known, stopped| kinds::kept(source, known, stopped).await);
        }
        for server in known.name_servers.clone() {
            audience.seat(server, &known, &stopped, async |server, known, stopped| kinds::resolvers(server, known, stopped).await);
        }
        for live in &mut audience.live {
            live.playing(PLAY_DEADLINE).await?;
        }
        Ok(audience)
    }

    fn begin(&mut self, client: Client, known: &Arc<Known>, stopped: &Stopped) {
        self.seat(client, known, stopped, async |client, known, stopped| kinds::recordings(client, known, stopped).await);
        self.seat(client, known, stopped, async |client, known, stopped| kinds::ranges(client, known, stopped).await);
        self.seat(client, known, stopped, async |client, known, stopped| kinds::slow(client, known, stopped).await);
        self.seat(client, known, stopped, async |client, known, stopped| kinds::pausing(client, known, stopped).await);
        self.seat(client, known, stopped, async |client, known, stopped| kinds::visitors(client, known, stopped).await);
        self.seat(client, known, stopped, async |client, known, stopped| kinds::old(client, known, stopped).await);
        self.seat(client, known, stopped, async |client, known, stopped| kinds::by_name(client, known, stopped).await);
    }

    /// Adds a crowd: in each zone somebody who asks as fast as the answers come.
    pub fn crowd(&mut self) {
        let (known, stopped) = (self.known.clone(), self.stop.subscribe());
        for source in [client::EAST, client::WEST] {
            let who = (source, self.answered.clone());
            self.seat(who, &known, &stopped, async |(source, count), known, stopped| kinds::crowd(source, &count, known, stopped).await);
        }
    }

    /// Requests of the crowd that were answered as they should be, so far.
    pub fn answered(&self) -> u64 {
        self.answered.load(Ordering::Relaxed)
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
