//! What routers hear from an engine: a signed datagram every period, and a lifeline whose end says that the worker is gone.

use crate::agent::Shared;
use std::{
    collections::HashMap,
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
};
use weir_device_api::keepalive::{EngineState, Keepalive};
use weir_telemetry::Tasks;

/// Patience for a lifeline's connection.
const LIFELINE_CONNECT: Duration = Duration::from_secs(1);
/// Times the goodbye is sent to each router: datagrams may be lost.
const GOODBYES: usize = 3;

/// Rises with each keepalive and lifeline of this worker; the boot number orders workers.
static SEQUENCE: AtomicU64 = AtomicU64::new(0);

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
        let Some(datagram) = datagram(shared) else { return };
        for router in &configuration.routers {
            if let Err(error) = send(&datagram, router.keepalive).await {
                tracing::debug!(router = %router.name, %error, "keepalive not sent");
            }
        }
    }
}

async fn send(datagram: &[u8], to: SocketAddr) -> std::io::Result<()> {
    let any: IpAddr = if to.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    UdpSocket::bind((any, 0)).await?.send_to(datagram, to).await.map(|_| ())
}

/// The next keepalive, signed with the newest key; `None` before the first configuration.
fn datagram(shared: &Shared) -> Option<Vec<u8>> {
    let configuration = shared.running.borrow().clone()?;
    let load = (shared.hooks.load)();
    let keepalive = Keepalive {
        engine: shared.settings.device.clone(),
        state: *shared.engine_state.borrow(),
        boot: shared.boot,
        sequence: SEQUENCE.fetch_add(1, Ordering::Relaxed) + 1,
        stamp: configuration.stamp,
        sessions: load.sessions,
        active_requests: load.active_requests,
        load_permille: 0,
    };
    keepalive.encode(configuration.keepalive_keys.first()?)
}

/// Holds one lifeline to each router of the configuration in force.
pub(crate) async fn hold_lifelines(shared: Arc<Shared>) {
    let mut running = shared.running.subscribe();
    let mut lifelines: HashMap<SocketAddr, Tasks> = HashMap::new();
    loop {
        let routers: Vec<SocketAddr> = running.borrow_and_update().iter().flat_map(|c| c.routers.iter().map(|r| r.keepalive)).collect();
        lifelines.retain(|address, _| routers.contains(address));
        for address in routers {
            lifelines.entry(address).or_insert_with(|| {
                let owner = Tasks::new();
                owner.spawn("lifeline", hold(shared.clone(), address));
                owner
            });
        }
        if running.changed().await.is_err() {
            return;
        }
    }
}

async fn hold(shared: Arc<Shared>, router: SocketAddr) {
    loop {
        if let Err(error) = hold_once(&shared, router).await {
            tracing::debug!(%router, %error, "lifeline ended");
        }
        tokio::time::sleep(Duration::from_millis(shared.profile().keepalive_ms)).await;
    }
}

/// Connects, says who it is, and holds on until the router closes.
async fn hold_once(shared: &Shared, router: SocketAddr) -> std::io::Result<()> {
    let mut stream = tokio::time::timeout(LIFELINE_CONNECT, TcpStream::connect(router)).await??;
    let Some(datagram) = datagram(shared) else { return Ok(()) };
    let length = u16::try_from(datagram.len()).expect("a keepalive is shorter than 64 KiB");
    stream.write_all(&[&length.to_be_bytes()[..], &datagram].concat()).await?;
    let mut end = [0u8; 1];
    stream.read(&mut end).await.map(|_| ())
}
