//! What routers hear from an engine: a signed datagram every period, and a lifeline whose end says that the worker is gone.
//! On the lifeline a router says which offload of this engine it obeys.

use crate::agent::{Shared, own_entry};
use std::{
    collections::HashMap,
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, UdpSocket},
    sync::OnceCell,
};
use weir_device_api::keepalive::{Audience, Channel, EngineState, Keepalive, NONCE_BYTES, Nonce, OBEYED_BYTES, Obeyed};
use weir_model::{
    DeviceConfiguration, DeviceName,
    configuration::{KeepaliveKey, RouterEntry},
};
use weir_net::silence;
use weir_telemetry::Tasks;

/// Patience for a lifeline to be connected and for the router's nonce.
const LIFELINE_CONNECT: Duration = Duration::from_secs(1);
/// Times the goodbye is sent to each router: datagrams may be lost.
const GOODBYES: usize = 3;
/// First wait before a lifeline that ended is opened again; each further one is twice as long.
const RETRY_MIN: Duration = Duration::from_millis(250);
/// Longest wait.
const RETRY_MAX: Duration = Duration::from_secs(5);
/// A lifeline held this long was taken by its router, so the next wait is the first one again.
const HELD_MIN: Duration = Duration::from_secs(1);

/// What an agent's keepalives have in common: one rising number, and one socket per address family.
#[derive(Default)]
pub(crate) struct Voice {
    /// Of the last keepalive or lifeline of this worker; the boot number orders workers.
    sequence: AtomicU64,
    ipv4: OnceCell<UdpSocket>,
    ipv6: OnceCell<UdpSocket>,
}

impl Voice {
    fn next_sequence(&self) -> u64 {
        self.sequence.fetch_add(1, Ordering::Relaxed) + 1
    }

    async fn send(&self, datagram: &[u8], to: SocketAddr) -> io::Result<()> {
        let (socket, any): (_, IpAddr) = match to {
            SocketAddr::V4(_) => (&self.ipv4, Ipv4Addr::UNSPECIFIED.into()),
            SocketAddr::V6(_) => (&self.ipv6, Ipv6Addr::UNSPECIFIED.into()),
        };
        let socket = socket.get_or_try_init(|| UdpSocket::bind((any, 0))).await?;
        socket.send_to(datagram, to).await.map(|_| ())
    }
}

/// Sends a keepalive to every router each period, for as long as the task lives.
pub(crate) async fn run(shared: Arc<Shared>) {
    let mut running = shared.running.subscribe();
    loop {
        send_now(&shared).await;
        let period = Duration::from_millis(shared.profile().keepalive_ms);
        // An error means that the agent is gone, and this task with it.
        let _ = tokio::time::timeout(period, running.changed()).await;
    }
}

/// One keepalive to every router; the goodbye several times.
pub(crate) async fn send_now(shared: &Shared) {
    let Some(configuration) = shared.running.borrow().clone() else { return };
    let times = if *shared.engine_state.borrow() == EngineState::Leaving { GOODBYES } else { 1 };
    for _ in 0..times {
        let keepalive = next_keepalive(shared, &configuration);
        for router in &configuration.routers {
            let Some(datagram) = sign(&keepalive, &configuration, &router.name, Channel::Datagram) else { return };
            if let Err(error) = shared.voice.send(&datagram, router.keepalive).await {
                tracing::debug!(router = %router.name, %error, "keepalive not sent");
            }
        }
    }
}

/// What the engine says of itself now.
fn next_keepalive(shared: &Shared, configuration: &DeviceConfiguration) -> Keepalive {
    let load = (shared.hooks.load)();
    Keepalive {
        engine: shared.settings.device.clone(),
        state: state(shared, configuration),
        boot: shared.boot(),
        sequence: shared.voice.next_sequence(),
        stamp: configuration.stamp,
        sessions: load.sessions,
        active_requests: load.active_requests,
        load_permille: 0,
        share_permille: shared.share_permille(),
    }
}

/// Who is about to stop says so, offloaded or not.
fn state(shared: &Shared, configuration: &DeviceConfiguration) -> EngineState {
    let is_offloaded = own_entry(configuration).is_some_and(|entry| entry.offload.is_some());
    match *shared.engine_state.borrow() {
        EngineState::Leaving => EngineState::Leaving,
        EngineState::Serving | EngineState::Offloading if is_offloaded => EngineState::Offloading,
        EngineState::Serving | EngineState::Offloading => EngineState::Serving,
    }
}

/// Signs for one router with the newest key; `None` without a usable one.
fn sign(keepalive: &Keepalive, configuration: &DeviceConfiguration, router: &DeviceName, channel: Channel) -> Option<Vec<u8>> {
    keepalive.encode(configuration.keepalive_keys.first()?, &Audience { router, channel })
}

/// Holds one lifeline to each router of the configuration in force, until the worker is parked; then those that are open.
pub(crate) async fn hold_lifelines(shared: Arc<Shared>) {
    let mut running = shared.running.subscribe();
    let mut lifelines: HashMap<(DeviceName, SocketAddr), Tasks> = HashMap::new();
    loop {
        let routers: Vec<RouterEntry> = running.borrow_and_update().iter().flat_map(|c| c.routers.iter().cloned()).collect();
        lifelines.retain(|(name, address), _| routers.iter().any(|router| router.name == *name && router.keepalive == *address));
        for router in routers {
            lifelines.entry((router.name.clone(), router.keepalive)).or_insert_with(|| {
                let owner = Tasks::new();
                owner.spawn("lifeline", hold(shared.clone(), router));
                owner
            });
        }
        if running.changed().await.is_err() {
            return;
        }
    }
}

async fn hold(shared: Arc<Shared>, router: RouterEntry) {
    let mut retry = Retry::default();
    // A parked worker keeps what is open, until the lifeline of the one that serves takes its place, and opens none.
    while !*shared.parked.borrow() {
        match open(&shared, &router).await {
            Ok(mut lifeline) => {
                let opened = weir_clock::monotonic();
                let open = shared.contacts.open(router.name.clone(), lifeline.sequence);
                // However it ends, it is opened again.
                let end = lifeline.listen(&router.name, |obeyed| open.obeyed(obeyed.stamp)).await;
                drop(open);
                if opened.elapsed() >= HELD_MIN {
                    retry = Retry::default();
                }
                tracing::debug!(router = %router.name, %end, "lifeline ended");
            }
            Err(error) => tracing::debug!(router = %router.name, %error, "lifeline not opened"),
        }
        tokio::time::sleep(retry.wait(random())).await;
    }
}

/// An open lifeline, with what its opening frame was made of: a router's words are made of the same.
struct Lifeline {
    stream: TcpStream,
    nonce: Nonce,
    key: KeepaliveKey,
    sequence: u64,
}

impl Lifeline {
    /// Hears what the router says until the connection ends, or it says what was not made for this lifeline. Returns why.
    async fn listen(&mut self, router: &DeviceName, mut hear: impl FnMut(Obeyed)) -> io::Error {
        let audience = Audience { router, channel: Channel::Lifeline(self.nonce) };
        let mut message = [0; OBEYED_BYTES];
        loop {
            if let Err(error) = self.stream.read_exact(&mut message).await {
                return error;
            }
            match Obeyed::decode(&message, &self.key, &audience) {
                Ok(obeyed) => hear(obeyed),
                Err(error) => {
                    tracing::warn!(%router, %error, "lifeline ended: what came on it is not its router's");
                    return io::Error::new(io::ErrorKind::InvalidData, error);
                }
            }
        }
    }
}

/// Connects and says who it is in a frame made for the router's nonce.
async fn open(shared: &Shared, router: &RouterEntry) -> io::Result<Lifeline> {
    let connect = async {
        let mut stream = TcpStream::connect(router.keepalive).await?;
        silence::end_when_silent(&stream)?;
        let mut nonce = [0; NONCE_BYTES];
        stream.read_exact(&mut nonce).await?;
        io::Result::Ok((stream, nonce))
    };
    let (mut stream, nonce) = tokio::time::timeout(LIFELINE_CONNECT, connect).await??;
    let no_key = || io::Error::other("no key to sign with");
    let configuration = shared.running.borrow().clone().ok_or_else(no_key)?;
    let key = configuration.keepalive_keys.first().cloned().ok_or_else(no_key)?;
    let keepalive = next_keepalive(shared, &configuration);
    let frame = sign(&keepalive, &configuration, &router.name, Channel::Lifeline(nonce)).ok_or_else(no_key)?;
    let length = u16::try_from(frame.len()).expect("a keepalive is shorter than 64 KiB");
    stream.write_all(&[&length.to_be_bytes()[..], &frame].concat()).await?;
    Ok(Lifeline { stream, nonce, key, sequence: keepalive.sequence })
}

/// Waits between attempts: twice as long each time, and never the same for two engines, so that those a router lost
/// together do not come back together.
struct Retry {
    longest: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self { longest: RETRY_MIN }
    }
}

impl Retry {
    /// The next wait: from half of the longest to all of it, as `random` says.
    fn wait(&mut self, random: u8) -> Duration {
        let half = self.longest / 2;
        self.longest = (self.longest * 2).min(RETRY_MAX);
        half + half * u32::from(random) / u32::from(u8::MAX)
    }
}

fn random() -> u8 {
    let mut byte = [0];
    aws_lc_rs::rand::fill(&mut byte).expect("the system gives random bytes");
    byte[0]
}

#[cfg(test)]
mod tests;
