//! Every reason is explained.

use super::*;
use std::collections::BTreeSet;

/// Every reason a device may give. The match keeps it whole: a new one does not compile until it is listed.
pub(in crate::updates) fn all_reasons() -> Vec<UpdateReason> {
    use UpdateReason::*;
    let listed = [
        Cancelled,
        Superseded,
        FetchFailed,
        ImageRefused,
        NoSpace,
        Burned,
        DrainTimeout,
        NeverReady,
        SelfTestFailed,
        Crashed,
        OwnErrors,
        NoContact,
        Unproven,
    ];
    for reason in listed {
        match reason {
            Cancelled | Superseded | FetchFailed | ImageRefused | NoSpace | Burned | DrainTimeout | NeverReady | SelfTestFailed
            | Crashed | OwnErrors | NoContact | Unproven => {}
        }
    }
    listed.to_vec()
}

fn is_a_sentence(text: &str) -> bool {
    !text.is_empty() && !text.ends_with('.') && text.chars().next().is_some_and(char::is_lowercase)
}

#[test]
fn every_reason_says_what_it_means_and_what_to_do() {
    for reason in all_reasons() {
        let shown = shown(reason, "");
        assert_eq!(shown.reason, reason.as_str());
        assert!(is_a_sentence(&shown.detail) && is_a_sentence(&shown.next), "{shown:?}");
        assert_eq!(super::shown(reason, "its own words").detail, "its own words");
        assert!(!reason.burns() || !shown.next.starts_with("assign"), "{shown:?}: a burned image is not assigned again at once");
    }
}

#[test]
fn every_wait_says_what_to_do() {
    let words: BTreeSet<_> = WaitReason::ALL.iter().map(|reason| reason.as_str()).collect();
    assert_eq!(words.len(), WaitReason::ALL.len(), "one word each");
    for reason in WaitReason::ALL {
        let shown = Waiting::new(reason, "why").shown();
        assert!(is_a_sentence(&shown.next), "{shown:?}");
    }
}
