//! Devices whose line does not work with the primary's: no viewer is placed on them, and they come back one line at a time.

use super::seen::Seen;
use weir_model::{Lineage, Skew, Version};

/// Why a device is quarantined; `None`: it is not, or what it runs is not known.
pub(super) fn why(seen: &Seen<'_>, lineage: &Lineage) -> Option<String> {
    let version = &seen.heard.filter(|_| seen.is_heard())?.report.hello.version;
    judged(version.parse().ok()?, Version::current(), lineage)
}

fn judged(running: Version, primary: Version, lineage: &Lineage) -> Option<String> {
    if lineage.skew(running.line, primary.line) != Skew::Quarantined {
        return None;
    }
    let way = lineage.next_towards(running.line, primary.line);
    let way = way.map_or_else(|| "no released lines lead there".to_owned(), |line| format!("bring it to line {line} first"));
    Some(format!("it runs {running}, which does not work with the primary's {primary}: {way}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_than_one_line_away_is_too_far_either_way() {
        let mut lineage = Lineage::default();
        for line in ["1.0", "1.1", "1.2", "2.0"] {
            lineage.release(line.parse().expect("line"), None).expect("released");
        }
        let judged = |running: &str, primary: &str| judged(running.parse().expect("version"), primary.parse().expect("version"), &lineage);
        for (running, primary) in [("1.0.0-b1", "1.0.9-b2"), ("1.0.0-b1", "1.1.0-b1"), ("1.2.0-b1", "1.1.0-b1"), ("1.0.0-b1", "2.0.0-b1")] {
            assert_eq!(judged(running, primary), None, "{running} {primary}");
        }
        for (running, primary) in [("1.0.0-b1", "1.2.0-b1"), ("1.2.0-b1", "1.0.0-b1")] {
            let why = judged(running, primary).expect("too far");
            assert!(why.contains(running) && why.contains(primary) && why.ends_with("bring it to line 1.1 first"), "{why}");
        }
        assert!(judged("1.0.0-b1", "3.0.0-b1").expect("too far").ends_with("no released lines lead there"));
    }
}
