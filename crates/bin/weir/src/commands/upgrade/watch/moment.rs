//! What is shown of a device while it is updated: bytes, sessions left, or the words of its stage.

use crate::commands::{
    upgrade::show,
    watch::{Measure, Moment},
};
use weir_operator_api::DeviceUpdate;

/// How it stands now; `most` are the most sessions seen while it is drained.
pub(super) fn moment(now: &DeviceUpdate, most: &mut u32) -> Moment {
    let waits = now.waiting.as_ref().map(|why| why.reason.as_str()).unwrap_or_default();
    Moment {
        words: format!("{}: {}", now.device, show::now(now)),
        measure: measure(now, most),
        about: format!("{} {waits}", now.stage),
        line: line(now),
    }
}

fn measure(now: &DeviceUpdate, most: &mut u32) -> Measure {
    if let Some(fetch) = now.fetch.as_ref().filter(|fetch| now.stage == "fetching" && fetch.total > 0) {
        return Measure::Bytes(fetch.done.min(fetch.total), fetch.total);
    }
    if !matches!(now.stage.as_str(), "offload_requested" | "draining") {
        *most = 0;
        return Measure::Words;
    }
    *most = now.sessions.max(*most);
    if *most == 0 { Measure::Words } else { Measure::Sessions(u64::from(*most - now.sessions), u64::from(*most)) }
}

/// How it stands in one line.
fn line(now: &DeviceUpdate) -> String {
    let waits = now.waiting.as_ref().map(|why| format!("; waiting: {} ({})", why.detail.trim_end_matches('.'), why.reason));
    format!("{}: {}{}", now.device, now.stage.replace('_', " "), waits.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::upgrade::show::tests::{reason, update};
    use weir_operator_api::UpdateFetch;

    #[test]
    fn bytes_while_it_fetches_and_sessions_while_it_is_drained() {
        let mut most = 0;
        let mut now = update("fetching");
        assert_eq!(measure(&now, &mut most), Measure::Words, "nobody knows how long it is");
        now.fetch = Some(UpdateFetch { done: 30, total: 20, from: None });
        assert_eq!(measure(&now, &mut most), Measure::Bytes(20, 20));
        now.stage = "draining".into();
        assert_eq!(measure(&now, &mut most), Measure::Words, "nobody watches");
        for (sessions, expected) in [(3, Measure::Sessions(0, 3)), (5, Measure::Sessions(0, 5)), (1, Measure::Sessions(4, 5))] {
            now.sessions = sessions;
            assert_eq!(measure(&now, &mut most), expected);
        }
        now.stage = "switching".into();
        assert_eq!((measure(&now, &mut most), most), (Measure::Words, 0));
    }

    #[test]
    fn without_a_terminal_a_line_stands_for_a_stage() {
        let mut now = update("offload_requested");
        let before = moment(&now, &mut 0);
        assert_eq!(before.line, "east-1: offload requested");
        now.waiting = Some(reason("guard"));
        let waits = moment(&now, &mut 0);
        assert_eq!(waits.line, "east-1: offload requested; waiting: what exactly (guard)");
        assert_ne!(before.about, waits.about);
        now.for_ms += 1;
        assert_eq!(moment(&now, &mut 0).about, waits.about);
    }
}
