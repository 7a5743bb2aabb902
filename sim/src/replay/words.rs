//! What a person reads of a step.

use weir_rollout::plan::{Command, Lane, Plan, State, record::Said};

/// What a rollout is to do.
pub(super) fn design(plan: &Plan) -> String {
    let policy = &plan.design.policy;
    let rungs: Vec<String> = plan.design.rungs.iter().map(ToString::to_string).collect();
    format!("{}, {} by {}, {}, {} devices", rungs.join(" to "), policy.direction, policy.driver, policy.scope, plan.lanes.len())
}

/// Who said what.
pub(super) fn said(said: &Said) -> String {
    let (verb, of) = match &said.command {
        Command::Start { .. } => ("start", None),
        Command::Pause { .. } => ("pause", None),
        Command::Resume => ("resume", None),
        Command::Abort { .. } => ("abort", None),
        Command::Revert => ("revert", None),
        Command::Excuse { device } => ("excuse", Some(device)),
        Command::Pin { device, .. } => ("pin", Some(device)),
        Command::Unpin { device } => ("unpin", Some(device)),
        Command::Retry { device } => ("retry", Some(device)),
        Command::Force { device } => ("force", Some(device)),
        Command::Restate => ("restate", None),
        Command::Hold { .. } => ("hold", None),
        Command::Finalise => ("finalise", None),
        Command::TakeOver => ("take-over", None),
    };
    let of = of.map(|device| format!(" {device}")).unwrap_or_default();
    let why = match &said.command {
        Command::Pause { why } | Command::Abort { why } | Command::Hold { why } => Some(why),
        Command::Pin { pin, .. } => Some(&pin.why),
        _ => said.why.as_ref(),
    };
    let why = why.map(|why| format!(" ({why})")).unwrap_or_default();
    format!("{}: {verb}{of}{why}", said.by)
}

/// What a step changed.
pub(super) fn changes(parent: &Plan, next: &Plan) -> Vec<String> {
    let mut changes = Vec::new();
    if let State::Paused { reason } = &next.state
        && parent.state != next.state
    {
        changes.push(format!("paused: {reason}"));
    }
    if next.course.back != parent.course.back {
        changes.push("it turns".to_owned());
    }
    if next.course.hop != parent.course.hop {
        changes.push(format!("hop {}", next.course.hop));
    }
    let waves = parent.waves.iter().zip(&next.waves).enumerate().filter(|(_, (was, is))| was != is);
    changes.extend(waves.map(|(wave, (_, is))| format!("wave {wave} {}", is.as_str())));
    let stamp = |lane: &Lane| lane.word.map(|word| word.stamp);
    let lanes = || next.lanes.iter().enumerate().map(|(position, lane)| (parent.lanes.get(position), lane));
    let count = |what: &str, is: &dyn Fn(Option<&Lane>, &Lane) -> bool| {
        let count = lanes().filter(|(was, lane)| is(*was, lane)).count();
        (count > 0).then(|| format!("{count} {what}"))
    };
    let cancelled = |lane: &Lane| lane.word.is_some_and(|word| word.cancelled);
    let counted = [
        count("joined", &|was, _| was.is_none()),
        count("told", &|was, lane| lane.word.is_some() && was.and_then(stamp) != stamp(lane)),
        count("let go", &|was, lane| lane.is_let_go() && !was.is_some_and(Lane::is_let_go)),
        count("called back", &|was, lane| cancelled(lane) && !was.is_some_and(cancelled)),
        count("arrived", &|was, lane| was.is_some_and(|was| was.was != lane.was)),
        count("going back", &|was, lane| lane.back && !was.is_some_and(|was| was.back)),
    ];
    changes.extend(counted.into_iter().flatten());
    changes
}

/// A time of day in UTC, to the second.
pub(super) fn time(at_ms: u64) -> String {
    let (days, seconds) = (at_ms / 86_400_000, at_ms / 1_000 % 86_400);
    let (year, month, day) = date(days);
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60)
}

/// Days since 1970 as a date, counted in eras of 400 years that begin with March
/// (<https://howardhinnant.github.io/date_algorithms.html#civil_from_days>).
fn date(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, of_year - (153 * shifted + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use super::time;

    #[test]
    fn a_time_is_its_date() {
        assert_eq!(time(0), "1970-01-01 00:00:00");
        assert_eq!(time(951_827_696_000), "2000-02-29 12:34:56");
        assert_eq!(time(1_800_000_000_000), "2027-01-15 08:00:00");
    }
}
