//! `weir up`: a whole network on this machine, with the same processes as anywhere else.

mod announce;
mod base;
mod bootstrap;
mod browser;
mod demo_origin;
mod directory;
mod keepers;
mod managers;
pub(crate) mod network;
mod plan;
mod ports;
pub(crate) mod progress;
mod release;
mod service;
mod software;

use crate::{
    api_client::ApiClient,
    cli::UpArgs,
    commands::{self, Misconfigured},
    open_files,
};
use anyhow::Context;
use base::{Base, Wanted};
use browser::Browser;
use demo_origin::DemoOrigin;
use directory::{Directory, Made};
use keepers::Keepers;
use network::{EngineEntry, ManagerEntry, NetworkFile, RouterEntry, ServiceEntry};
use plan::{Content, DOMAIN, Plan, Planned, SERVICE};
use progress::Progress;
use release::{Keys, OwnRelease};
use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};
use tokio::signal::unix::{Signal, SignalKind, signal};
use weir_model::{OriginUrl, Role, version};
use weir_net::http1::{Gate, Limits, serve};
use weir_slots::Installed;
use weir_telemetry::Tasks;

/// Patience for the manager to answer its local socket.
const MANAGER_PATIENCE: Duration = Duration::from_secs(30);
/// Patience for every device to be online and every router to send viewers on.
const SERVICE_PATIENCE: Duration = Duration::from_secs(60);
/// Most threads, and so sockets, of each engine and router: all of them share this machine.
const DATA_THREADS_MAX: u16 = 4;

/// Runs a network until SIGINT or SIGTERM.
pub(crate) fn run(arguments: &UpArgs) -> anyhow::Result<()> {
    let started = weir_clock::monotonic();
    // Every device inherits the limit; engines need a file descriptor per viewer.
    open_files::raise();
    let directory = Directory::open(&arguments.dir)?;
    let (made, base) = settle(&directory, arguments)?;
    let plan = Plan::new(made.base, made.engines);
    let browser = if arguments.no_browser { Browser::Leave } else { Browser::Open };
    commands::runtime()?.block_on(async { Arc::new(Up { directory, made, plan, browser, _base: base }).run(started).await })
}

/// What this network is: as it was made, or as the command line says now. A difference is refused by name.
fn settle(directory: &Directory, arguments: &UpArgs) -> anyhow::Result<(Made, Base)> {
    let wanted = arguments.base.as_deref().map(Wanted::parse).transpose()?;
    if let Some(origin) = &arguments.origin {
        let _: OriginUrl = origin.parse().map_err(|e| Misconfigured(format!("--origin {origin} {e}")))?;
    }
    let Some(made) = directory.made()? else {
        let base = Base::take(wanted.unwrap_or(Wanted::This(base::DEFAULT)))?;
        let engines = arguments.engines.unwrap_or(plan::ENGINES);
        let made = Made { version: version().into(), base: base.network, engines, origin: arguments.origin.clone() };
        directory.keep(&made)?;
        return Ok((made, base));
    };
    let differs = |what: &str, was: String| {
        Err(Misconfigured(format!(
            "the network in {} was made with {what} {was}; start it without {what}, or choose another --dir",
            directory.root().display()
        ))
        .into())
    };
    match wanted {
        Some(Wanted::This(network)) if network != made.base => return differs("--base", made.base.to_string()),
        _ => {}
    }
    if arguments.engines.is_some_and(|n| n != made.engines) {
        return differs("--engines", made.engines.to_string());
    }
    if arguments.origin.is_some() && arguments.origin != made.origin {
        return differs("--origin", made.origin.unwrap_or_else(|| "of the demo".into()));
    }
    let base = Base::take(Wanted::This(made.base))?;
    Ok((made, base))
}

struct Up {
    directory: Directory,
    made: Made,
    plan: Plan,
    browser: Browser,
    _base: Base,
}

/// What every device is installed from.
struct Prepared {
    own: Arc<OwnRelease>,
    keys: Arc<Keys>,
}

impl Up {
    async fn run(self: &Arc<Self>, started: std::time::Instant) -> anyhow::Result<()> {
        let mut stop = Stop::listen()?;
        let progress = Progress::new();
        self.directory.forget_network()?;
        let prepared = tokio::select! {
            prepared = self.prepare(&progress) => prepared.map(Some),
            () = stop.asked() => Ok(None),
        };
        let Some(prepared) = prepared? else { return progress.finish("stopped before anything was started") };
        let tasks = Tasks::new();
        let mut keepers = Keepers::new(prepared.own.program.clone());
        let begin = tokio::select! {
            begun = self.begin(&prepared, &mut keepers, &tasks, &progress) => begun.map(Some),
            () = stop.asked() => Ok(None),
        };
        let outcome = match begin {
            Ok(Some(network)) => {
                let primary = self.primary_now(&network).await;
                progress.finish(&announce::text(
                    &network,
                    primary,
                    &self.plan,
                    self.directory.root(),
                    started.elapsed(),
                    self.content(),
                ))?;
                if self.browser == Browser::Open {
                    browser::open(primary.url.as_deref(), &tasks);
                }
                tokio::select! {
                    () = watch(&mut keepers) => {}
                    () = stop.asked() => {}
                }
                Ok(())
            }
            Ok(None) => progress.finish("stopped before the network was in service"),
            Err(error) => Err(error),
        };
        self.directory.forget_network()?;
        eprintln!("weir: stopping every device (once more to end them at once)");
        tokio::select! {
            orderly = keepers.stop() => if !orderly {
                eprintln!("weir: some keepers were ended by force");
            },
            // Their lifelines close with this process.
            () = stop.asked() => {}
        }
        tasks.cancel();
        outcome
    }

    /// Free addresses, release keys, data directories and slots of every device.
    async fn prepare(self: &Arc<Self>, progress: &Progress) -> anyhow::Result<Prepared> {
        progress.step("preparing data directories");
        ports::free(&self.plan, self.directory.root(), self.content()).await?;
        let up = self.clone();
        let (prepared, replaced) = tokio::task::spawn_blocking(move || up.install()).await.context("prepare data directories")??;
        if replaced {
            progress.note(&format!("development build replaced: version {} is the same, its digest is another", version()));
        }
        Ok(prepared)
    }

    /// Blocks on the disk. Also returns whether it replaced another build.
    fn install(&self) -> anyhow::Result<(Prepared, bool)> {
        let keys = Keys::open(self.directory.root())?;
        let own = OwnRelease::prepare(&self.directory.images())?;
        let mut replaced = false;
        let cores = std::thread::available_parallelism().map_or(1, |cores| u16::try_from(cores.get()).unwrap_or(u16::MAX));
        let threads = cores.min(DATA_THREADS_MAX);
        for device in &self.plan.devices {
            let installed = self.directory.prepare(&device.name, device.role, &device.device_file(threads), &own.image)?;
            replaced |= matches!(installed, Installed::Replaced { .. });
            keys.pin(&self.data(&device.name))?;
        }
        Ok((Prepared { own: Arc::new(own), keys: Arc::new(keys) }, replaced))
    }

    fn content(&self) -> Content {
        if self.made.origin.is_none() { Content::Demo } else { Content::Origin }
    }

    fn data(&self, device: &str) -> std::path::PathBuf {
        self.directory.device(device)
    }

    /// Starts everything; returns once all is in service.
    async fn begin(&self, prepared: &Prepared, keepers: &mut Keepers, tasks: &Tasks, progress: &Progress) -> anyhow::Result<NetworkFile> {
        let origin = match &self.made.origin {
            Some(origin) => origin.clone(),
            None => start_demo_origin(self.plan.demo_origin(), tasks)?,
        };
        progress.step("starting the manager");
        let primary = self.start_managers(keepers).await?;
        let data = self.data(&primary.name);
        let local = ApiClient::local(&data)?;
        let ca = std::fs::read_to_string(data.join("state/manager/ca.pem")).context("read the network's CA")?;
        std::fs::write(self.directory.ca(), &ca).context("write ca.pem")?;
        managers::keep_phrase(&self.directory, &local).await?;
        let token = bootstrap::admin_token(&self.directory, &local).await?;
        let url = format!("https://{}", primary.listeners.https.expect("the primary has an API listener"));
        let api = ApiClient::over_tls(&url, &ca, &token)?;
        let (own, keys) = (prepared.own.clone(), prepared.keys.clone());
        let software = software::offer(&api, keys, own, self.made.base, self.directory.root());
        tokio::try_join!(software, self.bring_into_service(&api, primary, keepers, progress, &origin))?;
        let network = self.network_file(&token, origin, prepared.keys.path());
        network.write(self.directory.root())?;
        Ok(network)
    }

    /// Starts every manager that is part of the network already, and finds which of them is the primary.
    async fn start_managers(&self, keepers: &mut Keepers) -> anyhow::Result<&Planned> {
        let mut started = Vec::new();
        for device in self.plan.of(Role::Manager) {
            if device.name == self.plan.first().name || bootstrap::is_enrolled(&self.directory, device)? {
                keepers.start(&device.name, &self.data(&device.name));
                started.push((device, ApiClient::local(&self.data(&device.name))?));
            }
        }
        service::wait("finding the primary", MANAGER_PATIENCE, &mut keepers.ended, || managers::primary(&started)).await
    }

    /// The entry of the manager that is the primary at this moment.
    async fn primary_now<'n>(&self, network: &'n NetworkFile) -> &'n ManagerEntry {
        let standby = ApiClient::local(&network.standby.dir);
        let is_primary = match &standby {
            Ok(local) => managers::is_primary(local).await.unwrap_or(false),
            Err(_) => false,
        };
        if is_primary { &network.standby } else { &network.manager }
    }

    /// Configures the network, enrols its devices and waits until viewers are served.
    async fn bring_into_service(
        &self,
        api: &ApiClient,
        primary: &Planned,
        keepers: &mut Keepers,
        progress: &Progress,
        origin: &str,
    ) -> anyhow::Result<()> {
        progress.step("configuring locations, coverage zones and the delivery service");
        bootstrap::configure(api, origin).await?;
        progress.step("enrolling devices");
        let enrolled = bootstrap::enrol(&self.directory, api, &self.plan, primary).await?;
        for device in &self.plan.devices {
            // Managers that were part of the network already run.
            if device.role != Role::Manager || enrolled.contains(&device.name) {
                keepers.start(&device.name, &self.data(&device.name));
            }
        }
        progress.step("waiting for every device to be online");
        service::wait("bringing every device online", SERVICE_PATIENCE, &mut keepers.ended, || service::all_online(api, &self.plan))
            .await?;
        progress.step("waiting for routers to send viewers on");
        for router in self.plan.of(Role::Router) {
            let address = router.listeners.http.expect("routers have an HTTP listener");
            let admin = router.listeners.admin.expect("every device has one");
            service::wait("hearing every engine", SERVICE_PATIENCE, &mut keepers.ended, || service::hears(api, admin)).await?;
            service::wait("routing the first viewer", SERVICE_PATIENCE, &mut keepers.ended, || service::answers(address)).await?;
        }
        Ok(())
    }

    fn network_file(&self, token: &str, origin: String, release_keys: &Path) -> NetworkFile {
        let managers: Vec<ManagerEntry> = self
            .plan
            .of(Role::Manager)
            .map(|d| ManagerEntry {
                name: d.name.clone(),
                url: d.listeners.https.map(|a| format!("https://{a}")),
                ca: Some(self.directory.ca()),
                // It is the other one's too: tokens are part of what is replicated.
                token: (d.name == self.plan.first().name).then(|| token.to_owned()),
                one_time_password: bootstrap::one_time_password(&self.data(&d.name)),
                device: d.listeners.device,
                admin: d.listeners.admin,
                dir: self.data(&d.name),
            })
            .collect();
        let [manager, standby] = managers.try_into().expect("the plan has two managers");
        let path = if self.content() == Content::Demo { "vod/index.m3u8" } else { "" };
        NetworkFile {
            version: version().into(),
            manager,
            standby,
            routers: self
                .plan
                .of(Role::Router)
                .map(|d| RouterEntry {
                    name: d.name.clone(),
                    dns: d.listeners.dns,
                    http: d.listeners.http,
                    https: d.listeners.https,
                    admin: d.listeners.admin,
                    dir: self.data(&d.name),
                })
                .collect(),
            engines: self
                .plan
                .of(Role::Engine)
                .map(|d| EngineEntry {
                    name: d.name.clone(),
                    location: d.location.into(),
                    http: d.listeners.http,
                    https: d.listeners.https,
                    admin: d.listeners.admin,
                    dir: self.data(&d.name),
                })
                .collect(),
            services: vec![ServiceEntry { name: SERVICE.into(), domain: DOMAIN.into(), origin, sample: format!("/{DOMAIN}/{path}") }],
            release_keys: Some(release_keys.to_owned()),
        }
    }
}

/// SIGINT and SIGTERM.
struct Stop {
    interrupt: Signal,
    terminate: Signal,
}

impl Stop {
    fn listen() -> anyhow::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt()).context("listen for SIGINT")?,
            terminate: signal(SignalKind::terminate()).context("listen for SIGTERM")?,
        })
    }

    /// Waits for the next of either.
    async fn asked(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// Says what becomes of keepers that end by themselves; they are restarted.
async fn watch(keepers: &mut Keepers) {
    while let Some(end) = keepers.ended.recv().await {
        eprintln!("weir: the keeper of {} {}; starting it again", end.device, end.how);
    }
}

/// Serves the demo origin from this process; returns its URL.
fn start_demo_origin(address: SocketAddr, tasks: &Tasks) -> anyhow::Result<String> {
    let listener = std::net::TcpListener::bind(address).map_err(|error| {
        Misconfigured(format!("the demo origin cannot listen on {address}: {error}; free the port, or choose another --base"))
    })?;
    listener.set_nonblocking(true).context("set the demo origin's socket up")?;
    let gate = Gate::new();
    gate.accept();
    tasks.spawn("demo origin", async move {
        if let Err(error) = serve(listener, DemoOrigin::new(), Limits::without_bodies(), gate).await {
            eprintln!("weir: the demo origin ended: {error}");
        }
    });
    Ok(format!("http://{address}"))
}
