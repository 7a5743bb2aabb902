//! Whether one device may run a version while the rest of the network stays as it is.
//!
//! Routers and engines are never older than the primary, every two devices are at most one line apart, and a device takes one
//! line at a time. Managers are another matter: they are updated as a pair.

use weir_model::{DeviceName, Line, Lineage, Role, Skew, Version};

/// A device that was heard of, and what it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Member<'a> {
    /// Which.
    pub name: &'a DeviceName,
    /// What it is.
    pub role: Role,
    /// What it runs.
    pub version: Version,
}

/// Which rule of the order a version breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OrderReason {
    /// Managers go as a pair.
    PairUpdate,
    /// It is older than the primary.
    BelowPrimary,
    /// It is more than one line from what the device runs.
    LinesBetween,
    /// It is more than one line from what the device runs, and no released lines lead there.
    NoPath,
    /// It is more than one line from what another device runs.
    TooFarApart,
}

impl OrderReason {
    /// Every reason.
    pub const ALL: [Self; 5] = [Self::PairUpdate, Self::BelowPrimary, Self::LinesBetween, Self::NoPath, Self::TooFarApart];
}

/// A version that a device may not run now.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct OrderRefused {
    /// Which rule.
    pub reason: OrderReason,
    /// What exactly, one sentence.
    pub text: String,
    /// What the operator does next, one sentence.
    pub next: String,
}

fn refused(reason: OrderReason, text: String, next: String) -> Result<(), OrderRefused> {
    Err(OrderRefused { reason, text, next })
}

/// Whether a device of `role` that runs `running` (absent: never heard of) may run `target`. `network` holds the other devices
/// that were heard of, `primary` is the version of the primary manager. A device that is quarantined, more than one line from the
/// primary, serves nobody: it comes back one line at a time, and nobody waits for it.
///
/// # Errors
/// The first rule it breaks.
pub fn may_run(
    role: Role,
    target: Version,
    running: Option<Version>,
    network: &[Member<'_>],
    primary: Version,
    lineage: &Lineage,
) -> Result<(), OrderRefused> {
    if role == Role::Manager {
        let next = "update engines and routers; managers come after them, as a pair".to_owned();
        return refused(OrderReason::PairUpdate, "it is a manager, and managers are updated as a pair".to_owned(), next);
    }
    let is_quarantined = |version: Version| lineage.skew(version.line, primary.line) == Skew::Quarantined;
    if let Some(running) = running.filter(|running| is_quarantined(*running)) {
        return if lineage.next_towards(running.line, primary.line) == Some(target.line) {
            Ok(())
        } else {
            lines_between(running, primary, lineage)
        };
    }
    if target < primary {
        let text = format!("{target} is older than the primary manager, which runs {primary}");
        let next = format!("assign {primary} or a later version; managers go back first");
        return refused(OrderReason::BelowPrimary, text, next);
    }
    if let Some(running) = running.filter(|running| lineage.step(running.line, target.line).is_none()) {
        return lines_between(running, target, lineage);
    }
    let apart = |member: &&Member<'_>| !lineage.compat(target, member.version) && !is_quarantined(member.version);
    match network.iter().find(apart) {
        None => Ok(()),
        Some(Member { name, role, version }) => {
            let text = format!("{role} {name} runs {version}, which is more than one line from {target}");
            let next = match lineage.path(version.line, target.line).as_deref() {
                Some([_, first, ..]) => format!("bring {name} to line {first} first"),
                _ => format!("bring {name} within one line of {target} first"),
            };
            refused(OrderReason::TooFarApart, text, next)
        }
    }
}

fn lines_between(running: Version, target: Version, lineage: &Lineage) -> Result<(), OrderRefused> {
    let path = lineage.path(running.line, target.line).filter(|path| path.len() > 2);
    let Some(path) = path else {
        let text = format!("no released lines lead from {running} to {target}, one step at a time");
        let next = "ask the publisher for the lines between".to_owned();
        return refused(OrderReason::NoPath, text, next);
    };
    let lines: Vec<String> = path.iter().map(Line::to_string).collect();
    let text = format!("it runs {running}, and {target} is {} lines on: {}", path.len() - 1, lines.join(", "));
    refused(OrderReason::LinesBetween, text, format!("assign a version of line {} first", path[1]))
}

#[cfg(test)]
mod tests;
