//! The listeners of a device: bound once, held for life, passed to every worker.

mod inherited;

pub(crate) use inherited::SOCKETS_VARIABLE;

use crate::{device_log::DeviceLog, failure, failure::Failure, watch::Watch};
use inherited::{Handed, Inherited};
use serde::{Deserialize, Serialize};
use std::{
    fs, io,
    os::fd::{AsFd, OwnedFd, RawFd},
    time::{Duration, Instant},
};
use weir_keeper_api::{LISTENERS_MAX, ListenerName, ListenerSpec, Message, Reason};
use weir_slots::{DataDirectory, DeviceFile, DiskError, durable_write};
use weir_sockets::{BindError, ControlError, ControlSocket, bind, close_over_exec, keep_over_exec};

/// How often a taken address is tried while it may still become free.
const RETRY_EVERY: Duration = Duration::from_millis(100);

/// The format of `boot/listeners.json`.
const RECORD_FORMAT: u32 = 1;

/// Where a listener was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// In `device.toml`.
    DeviceFile,
    /// By a worker, with BIND.
    Worker,
}

/// One listener and its sockets.
struct Bound {
    /// As it was asked for.
    asked: ListenerSpec,
    /// With the address it really has.
    listener: ListenerSpec,
    sockets: Vec<OwnedFd>,
    origin: Origin,
}

/// Every listener of the device.
pub(crate) struct Listeners {
    data: DataDirectory,
    list: Vec<Bound>,
}

/// A refusal for the worker.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) reason: Reason,
    pub(crate) detail: String,
}

impl Refusal {
    pub(crate) fn new(reason: Reason, detail: impl ToString) -> Self {
        Self { reason, detail: detail.to_string() }
    }
}

impl Listeners {
    /// Binds those of `device.toml` and those recorded later, or takes them over from the keeper this one was before. `None`
    /// when the keeper was told to stop meanwhile.
    ///
    /// A listener of `device.toml` that cannot be bound is a failure, after `patience` when its address is taken. A
    /// recorded one is only logged: the worker, which alone knows whether it still wants it, asks again.
    pub(crate) fn bind(
        data: &DataDirectory,
        device: &DeviceFile,
        patience: Duration,
        watch: &mut Watch,
        log: &DeviceLog,
    ) -> Result<Option<Self>, Failure> {
        let deadline = weir_clock::monotonic() + patience;
        let mut listeners = Self { data: data.clone(), list: Vec::new() };
        let mut inherited = Inherited::take(log);
        for asked in &device.listeners {
            if let Some(bound) = inherited.of(asked) {
                listeners.keep(asked, bound, Origin::DeviceFile);
                continue;
            }
            match bind_by(asked, deadline, watch, log)? {
                Some(bound) => listeners.keep(asked, bound, Origin::DeviceFile),
                None => return Ok(None),
            }
        }
        for asked in recorded(data, log) {
            let known = listeners.find(&asked.name).is_some() || listeners.list.len() == LISTENERS_MAX;
            if let Some(bound) = inherited.of(&asked).filter(|_| !known) {
                listeners.keep(&asked, bound, Origin::Worker);
                continue;
            }
            match (known, bind(&asked)) {
                (true, _) => log.warn("recorded listener dropped", &[("listener", asked.to_string().into())]),
                (false, Ok(bound)) => listeners.keep(&asked, bound, Origin::Worker),
                (false, Err(error)) => log.error("recorded listener not bound", &[("error", failure::chain(&error).into())]),
            }
        }
        Ok(Some(listeners))
    }

    fn keep(&mut self, asked: &ListenerSpec, (listener, sockets): (ListenerSpec, Vec<OwnedFd>), origin: Origin) {
        self.list.push(Bound { asked: asked.clone(), listener, sockets, origin });
    }

    fn find(&self, name: &ListenerName) -> Option<&Bound> {
        self.list.iter().find(|bound| bound.asked.name == *name)
    }

    /// What is bound, for the log.
    pub(crate) fn shown(&self) -> Vec<String> {
        self.list.iter().map(|bound| bound.listener.to_string()).collect()
    }

    /// Keeps every socket open for the program this process turns into: what [`Inherited::take`] reads there.
    pub(crate) fn hand_on(&self) -> io::Result<String> {
        let hand = |bound: &Bound| -> io::Result<Handed> {
            let numbers = bound.sockets.iter().map(keep_over_exec).collect::<io::Result<Vec<RawFd>>>()?;
            Ok(Handed { asked: RecordedListener::of(&bound.asked), address: bound.listener.address, numbers })
        };
        let handed = self.list.iter().map(hand).collect::<io::Result<Vec<Handed>>>()?;
        Ok(serde_json::to_string(&handed).expect("a list of listeners is JSON"))
    }

    /// This process stays what it is: no other program gets the sockets.
    pub(crate) fn keep_for_itself(&self) -> io::Result<()> {
        self.list.iter().flat_map(|bound| &bound.sockets).try_for_each(close_over_exec)
    }

    /// Passes every listener to a worker.
    pub(crate) fn pass_all(&self, control: &ControlSocket) -> Result<(), ControlError> {
        for bound in &self.list {
            pass(bound, control)?;
        }
        done(self.list.len(), control)
    }

    /// Passes one listener to a worker.
    pub(crate) fn pass_one(&self, name: &ListenerName, control: &ControlSocket) -> Result<(), ControlError> {
        let bound = self.find(name).expect("a listener is passed right after it was found or bound");
        pass(bound, control)?;
        done(1, control)
    }

    /// Binds a listener a worker asks for and records it. Asking for what is bound already is not an error.
    pub(crate) fn add(&mut self, asked: &ListenerSpec) -> Result<(), Refusal> {
        match self.find(&asked.name) {
            Some(bound) if bound.asked == *asked || bound.listener == *asked => return Ok(()),
            Some(bound) => return Err(Refusal::new(Reason::NameTaken, format!("the name is that of {}", bound.listener))),
            None if self.list.len() >= LISTENERS_MAX => {
                return Err(Refusal::new(Reason::TooManyListeners, format!("a device has at most {LISTENERS_MAX} listeners")));
            }
            None => {}
        }
        let bound = bind(asked).map_err(|error| Refusal::new(reason(&error), failure::chain(&error)))?;
        self.keep(asked, bound, Origin::Worker);
        self.record().inspect_err(|_| {
            self.list.pop();
        })
    }

    /// Closes a listener a worker gives back and forgets it.
    pub(crate) fn remove(&mut self, name: &ListenerName) -> Result<(), Refusal> {
        let Some(at) = self.list.iter().position(|bound| bound.asked.name == *name) else {
            return Err(Refusal::new(Reason::NameUnknown, "no listener has this name"));
        };
        if self.list[at].origin == Origin::DeviceFile {
            return Err(Refusal::new(Reason::InDeviceFile, "remove the listener from device.toml and start the keeper again"));
        }
        let bound = self.list.remove(at);
        self.record().inspect_err(|_| self.list.insert(at, bound))
    }

    fn record(&self) -> Result<(), Refusal> {
        let later = self.list.iter().filter(|bound| bound.origin == Origin::Worker);
        let listeners = later.map(|bound| RecordedListener::of(&bound.asked)).collect();
        let bytes = serde_json::to_vec_pretty(&Record { format: RECORD_FORMAT, listeners }).expect("a list of listeners is JSON");
        let written = self.make_boot().and_then(|()| durable_write(&self.data.later_listeners(), &bytes));
        written.map_err(|error| Refusal::new(Reason::SystemError, failure::chain(&error)))
    }

    fn make_boot(&self) -> Result<(), DiskError> {
        let dir = self.data.boot();
        fs::create_dir_all(&dir).map_err(|source| DiskError { action: "make", path: dir, source })
    }
}

/// Binds a listener, trying again until `deadline` while its address is taken. `None` when told to stop meanwhile.
fn bind_by(
    asked: &ListenerSpec,
    deadline: Instant,
    watch: &mut Watch,
    log: &DeviceLog,
) -> Result<Option<(ListenerSpec, Vec<OwnedFd>)>, Failure> {
    let mut waiting = false;
    loop {
        match bind(asked) {
            Ok(bound) => return Ok(Some(bound)),
            Err(error @ BindError::InUse { .. }) if weir_clock::monotonic() < deadline => {
                if !std::mem::replace(&mut waiting, true) {
                    log.warn("listener waits for its address", &[("error", failure::chain(&error).into())]);
                }
                if told_to_stop(watch, weir_clock::monotonic() + RETRY_EVERY)? {
                    return Ok(None);
                }
            }
            Err(error) => return Err(error.into()),
        }
    }
}

fn told_to_stop(watch: &mut Watch, until: Instant) -> Result<bool, Failure> {
    loop {
        let news = watch.wait(&[], Some(until))?;
        if news.signal || news.lifeline {
            return Ok(true);
        }
        if weir_clock::monotonic() >= until {
            return Ok(false);
        }
    }
}

fn pass(bound: &Bound, control: &ControlSocket) -> Result<(), ControlError> {
    for (index, socket) in (0..).zip(&bound.sockets) {
        control.tell(&Message::BindPassed { listener: bound.listener.clone(), index }, &[socket.as_fd()])?;
    }
    Ok(())
}

fn done(listeners: usize, control: &ControlSocket) -> Result<(), ControlError> {
    let listeners = u16::try_from(listeners).expect("LISTENERS_MAX fits 16 bits");
    control.tell(&Message::BindDone { listeners }, &[])
}

fn reason(error: &BindError) -> Reason {
    match error {
        BindError::InUse { .. } => Reason::AddressInUse,
        BindError::Permission { .. } => Reason::PermissionDenied,
        BindError::NotAvailable { .. } => Reason::AddressNotAvailable,
        BindError::Io { .. } => Reason::SystemError,
    }
}

/// `boot/listeners.json`.
#[derive(Serialize, Deserialize)]
struct Record {
    format: u32,
    listeners: Vec<RecordedListener>,
}

#[derive(Debug, Serialize, Deserialize)]
struct RecordedListener {
    name: String,
    proto: String,
    address: String,
    count: u16,
}

impl RecordedListener {
    fn of(listener: &ListenerSpec) -> Self {
        let ListenerSpec { name, proto, address, count } = listener;
        Self { name: name.to_string(), proto: proto.to_string(), address: address.to_string(), count: *count }
    }

    fn meaning(&self) -> Option<ListenerSpec> {
        let (name, proto) = (self.name.parse().ok()?, self.proto.parse().ok()?);
        Some(ListenerSpec { name, proto, address: self.address.parse().ok()?, count: self.count })
            .filter(|listener| (1..=weir_keeper_api::COUNT_MAX).contains(&listener.count))
    }
}

/// The recorded listeners; a record that cannot be read is logged and counts as none, because the worker asks again.
fn recorded(data: &DataDirectory, log: &DeviceLog) -> Vec<ListenerSpec> {
    let unusable = |problem: String| {
        log.error("record of later listeners not usable", &[("error", problem.into())]);
        Vec::new()
    };
    let bytes = match fs::read(data.later_listeners()) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Vec::new(),
        Err(error) => return unusable(error.to_string()),
    };
    match serde_json::from_slice::<Record>(&bytes) {
        Ok(record) if record.format == RECORD_FORMAT => match record.listeners.iter().map(RecordedListener::meaning).collect() {
            Some(listeners) => listeners,
            None => unusable("a listener in it is not one".to_owned()),
        },
        Ok(record) => unusable(format!("format {} is not known to this build", record.format)),
        Err(error) => unusable(error.to_string()),
    }
}
