//! What goes wrong: drawn from the seed before the start, so that a run can be repeated without some of it.

use crate::random::Random;
use std::fmt;

/// One fault, at a time after the start. Devices are positions; durations are milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// When it comes, milliseconds after the start.
    pub at_ms: u64,
    /// How long it lasts, where it lasts.
    pub for_ms: u64,
    /// What.
    pub kind: FaultKind,
}

/// What goes wrong, or what an operator does without regard for the rollout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// A device loses power.
    Crash(u32),
    /// A device's worker crashes.
    WorkerCrash(u32),
    /// A device and the manager do not hear each other.
    Cut(u32),
    /// A location and the manager do not hear each other.
    CutSite(u32),
    /// A device's disk is full.
    DiskFull(u32),
    /// A device's next way back fails: it needs hands.
    BackFails(u32),
    /// A device loses the journal of its update.
    Forgets(u32),
    /// Somebody installs the target by hand.
    ByHand(u32),
    /// An operator offloads a device.
    Offload(u32),
    /// The primary ends, before or after it wrote its last plan.
    ManagerCrash {
        /// What it wanted last was not done.
        before_acting: bool,
    },
    /// The standby is not heard.
    StandbyCut,
    /// The primary is lost and the standby promoted.
    Promotion,
    /// The next switch of a manager falls back.
    SwitchFails,
    /// The next backup is not proven.
    BackupFails,
    /// The manager's wall clock jumps by so many milliseconds.
    Clock(i64),
    /// An operator pauses the rollout.
    Pause,
    /// An operator aborts it, and takes it up again later.
    Abort,
    /// An operator turns it.
    Revert,
    /// An operator takes the managers' steps of a downgrade over.
    TakeOver,
}

/// What is wrong with the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Defect {
    /// Nothing.
    None,
    /// Its worker is never ready, or fails its self-test.
    NeverReady,
    /// It crashes under viewers.
    CrashesUnderLoad,
    /// It answers with errors of its own.
    OwnErrors,
    /// It crashes some time after it is done.
    CrashesLate,
    /// It is slower than its neighbours.
    Slow,
}

impl Defect {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::None, Self::NeverReady, Self::CrashesUnderLoad, Self::OwnErrors, Self::CrashesLate, Self::Slow];

    /// The word of the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::NeverReady => "never-ready",
            Self::CrashesUnderLoad => "crashes-under-load",
            Self::OwnErrors => "own-errors",
            Self::CrashesLate => "crashes-late",
            Self::Slow => "slow",
        }
    }
}

impl fmt::Display for Defect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

const MINUTE_MS: u64 = 60_000;

/// Draws `count` faults over `span_ms`, in order of time.
pub(crate) fn draw(random: &mut Random, count: usize, devices: u32, sites: u32, span_ms: u64) -> Vec<Fault> {
    let mut faults: Vec<Fault> = (0..count).map(|_| one(random, devices, sites, span_ms)).collect();
    faults.sort_by_key(|fault| fault.at_ms);
    faults
}

fn one(random: &mut Random, devices: u32, sites: u32, span_ms: u64) -> Fault {
    let below = |random: &mut Random, limit: u32| u32::try_from(random.below(u64::from(limit))).expect("below a u32");
    let device = below(random, devices);
    let kind = match random.below(100) {
        0..22 => FaultKind::Crash(device),
        22..28 => FaultKind::WorkerCrash(device),
        28..42 => FaultKind::Cut(device),
        42..46 => FaultKind::CutSite(below(random, sites)),
        46..52 => FaultKind::DiskFull(device),
        52..55 => FaultKind::BackFails(device),
        55..59 => FaultKind::Forgets(device),
        59..61 => FaultKind::ByHand(device),
        61..67 => FaultKind::Offload(device),
        67..76 => FaultKind::ManagerCrash { before_acting: random.permille(500) },
        76..81 => FaultKind::StandbyCut,
        81..84 => FaultKind::Promotion,
        84..87 => FaultKind::SwitchFails,
        87..89 => FaultKind::BackupFails,
        89..94 => FaultKind::Clock(jump(random)),
        94..96 => FaultKind::Pause,
        96..98 => FaultKind::Abort,
        98 => FaultKind::Revert,
        _ => FaultKind::TakeOver,
    };
    Fault { at_ms: random.below(span_ms), for_ms: random.between(1, 40) * MINUTE_MS, kind }
}

/// Up to a day forward or an hour back.
fn jump(random: &mut Random) -> i64 {
    let ms = i64::try_from(random.between(1, 1_440) * MINUTE_MS).expect("a day fits");
    if random.permille(500) { ms } else { -(ms / 24) }
}
