//! What was measured, and of whom.

use anyhow::Context;
use serde::Serialize;
use std::{collections::BTreeMap, io::Write, path::Path, time::Duration};

/// Clock ticks of `/proc/<id>/stat` in a second: `USER_HZ`, which is 100 on every Linux.
const TICKS_PER_SECOND: f64 = 100.0;

/// 50th and 99th percentile and the most, milliseconds.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Percentiles {
    count: usize,
    p50: f64,
    p99: f64,
    max: f64,
}

pub(crate) fn percentiles(mut times: Vec<Duration>) -> Percentiles {
    times.sort();
    let at = |percent: usize| times.get((times.len() * percent).div_ceil(100).saturating_sub(1)).map_or(0.0, |t| t.as_secs_f64() * 1e3);
    Percentiles { count: times.len(), p50: at(50), p99: at(99), max: at(100) }
}

/// The manager's process.
pub(crate) struct Worker(u32);

impl Worker {
    pub(crate) fn of(id: u32) -> Self {
        Self(id)
    }

    /// Seconds of processor time so far.
    pub(crate) fn cpu(&self) -> anyhow::Result<f64> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.0)).context("the manager runs")?;
        // The name may hold blanks; user and system time are the 12th and 13th field after it.
        let (_, fields) = stat.rsplit_once(')').context("a stat line")?;
        let ticks: f64 = fields.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<f64>().ok()).sum();
        Ok(ticks / TICKS_PER_SECOND)
    }

    /// Its share of one core since `cpu`, in percent.
    pub(crate) fn share_since(&self, cpu: f64, passed: Duration) -> anyhow::Result<f64> {
        Ok((self.cpu()? - cpu) / passed.as_secs_f64() * 100.0)
    }

    /// Memory it holds, MiB.
    pub(crate) fn rss_mib(&self) -> anyhow::Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.0)).context("the manager runs")?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("a VmRSS line")?;
        let kib: u64 = line.split_whitespace().next().context("a figure")?.parse()?;
        Ok(kib / 1024)
    }
}

/// The outcome of a run.
#[derive(Debug, Serialize)]
pub(crate) struct Figures {
    pub(crate) devices: usize,
    /// Whether documents name the devices.
    pub(crate) listed: bool,
    pub(crate) services: usize,
    pub(crate) enrolment_s: f64,
    /// Of one core, while nothing changes.
    pub(crate) quiet_cpu_percent: f64,
    /// Of one core, while changes are made.
    pub(crate) changing_cpu_percent: f64,
    pub(crate) rss_mib: u64,
    /// Of one answer to a poll.
    pub(crate) document_bytes: usize,
    /// From a write to a device that holds it, the write's own answer included.
    pub(crate) change_ms: Percentiles,
    /// From a report to its answer.
    pub(crate) report_ms: Percentiles,
    /// From the time an empty poll was to be answered until it was.
    pub(crate) poll_late_ms: Percentiles,
    pub(crate) failures: BTreeMap<String, u64>,
}

impl Figures {
    /// Prints them, and adds them to the file.
    pub(crate) fn say(&self, out: Option<&Path>) -> anyhow::Result<()> {
        let line = serde_json::to_string(self)?;
        println!("{line}");
        if let Some(out) = out {
            let mut file =
                std::fs::File::options().create(true).append(true).open(out).with_context(|| format!("open {}", out.display()))?;
            writeln!(file, "{line}")?;
        }
        let of = |what: &Percentiles| format!("p50 {:.1} ms, p99 {:.1} ms, most {:.1} ms ({})", what.p50, what.p99, what.max, what.count);
        println!(
            "manager: {:.1} % of a core quiet, {:.1} % while changing, {} MiB",
            self.quiet_cpu_percent, self.changing_cpu_percent, self.rss_mib
        );
        println!("a change is at a device: {}; document {} bytes", of(&self.change_ms), self.document_bytes);
        println!("report: {}", of(&self.report_ms));
        println!("empty poll, late by: {}", of(&self.poll_late_ms));
        println!("failures: {:?}", self.failures);
        Ok(())
    }
}
