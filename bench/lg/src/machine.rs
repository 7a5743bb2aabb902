//! What the machine did meanwhile: busy share of the first two cores, and the processor time and memory of a process tree.

use std::collections::HashMap;
use std::fs;

/// Clock ticks per second that /proc counts in (USER_HZ).
const TICKS: f64 = 100.0;
/// Fields of a core's line in /proc/stat that are time spent idle.
const IDLE: [usize; 2] = [3, 4];
/// Fields of a core's line that are counted; guest time is inside user time.
const FIELDS: usize = 8;

/// Counters at one moment.
pub struct Moment {
    cores: Vec<Vec<u64>>,
    server_seconds: f64,
    own_seconds: f64,
}

/// Shares of a core in per cent between two moments.
pub struct Shares {
    /// Busy share of the server's and the client's core.
    pub busy: [f64; 2],
    /// Busy share of those cores that neither the server nor this program used.
    pub foreign: [f64; 2],
    /// What the server's processes used.
    pub server: f64,
}

impl Moment {
    pub fn now(server: Option<u32>) -> Self {
        let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
        let cores = stat.lines().filter(|line| line.starts_with("cpu") && !line.starts_with("cpu "));
        let fields = |line: &str| line.split_whitespace().skip(1).take(FIELDS).filter_map(|field| field.parse().ok()).collect();
        Self {
            cores: cores.map(fields).collect(),
            server_seconds: server.map_or(0.0, processor_seconds),
            own_seconds: processor_seconds(std::process::id()),
        }
    }

    pub fn since(&self, start: &Self, seconds: f64) -> Shares {
        let share = |used: f64| 100.0 * used / seconds;
        let (server, own) = (share(self.server_seconds - start.server_seconds), share(self.own_seconds - start.own_seconds));
        let busy = [0, 1].map(|core| self.busy(start, core));
        Shares { busy, foreign: [(busy[0] - server).max(0.0), (busy[1] - own).max(0.0)], server }
    }

    fn busy(&self, start: &Self, core: usize) -> f64 {
        let (Some(end), Some(start)) = (self.cores.get(core), start.cores.get(core)) else { return 0.0 };
        let spent: Vec<f64> = end.iter().zip(start).map(|(end, start)| end.saturating_sub(*start) as f64).collect();
        let all: f64 = spent.iter().sum();
        let idle: f64 = IDLE.iter().filter_map(|&field| spent.get(field)).sum();
        if all > 0.0 { 100.0 * (all - idle) / all } else { 0.0 }
    }
}

/// Proportional memory of a process and its children, in KiB.
pub fn memory_kib(root: u32) -> u64 {
    let pss = |process: u32| {
        let rollup = fs::read_to_string(format!("/proc/{process}/smaps_rollup")).ok()?;
        rollup.lines().find_map(|line| line.strip_prefix("Pss:")?.split_whitespace().next()?.parse::<u64>().ok())
    };
    tree(root).into_iter().filter_map(pss).sum()
}

fn processor_seconds(root: u32) -> f64 {
    let ticks = |process: u32| {
        let fields = fields(process)?;
        Some(fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?)
    };
    tree(root).into_iter().filter_map(ticks).sum::<u64>() as f64 / TICKS
}

/// Fields of /proc/PID/stat after the name, which may hold spaces.
fn fields(process: u32) -> Option<Vec<String>> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(')')?;
    Some(rest.split_whitespace().map(str::to_owned).collect())
}

fn tree(root: u32) -> Vec<u32> {
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    for process in entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok()) {
        if let Some(parent) = fields(process).and_then(|fields| fields.get(1)?.parse().ok()) {
            children.entry(parent).or_default().push(process);
        }
    }
    let mut all = vec![root];
    let mut at = 0;
    while let Some(process) = all.get(at) {
        let below = children.remove(process).unwrap_or_default();
        all.extend(below);
        at += 1;
    }
    all
}
