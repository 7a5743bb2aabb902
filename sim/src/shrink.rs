//! A failing run with as few faults as still fail: each is left out in turn.

use crate::{
    fault::Fault,
    world::{Outcome, Setup, run},
};

/// Leaves faults out one by one, again and again, as long as something is still broken.
pub fn shrink(setup: &Setup, faults: Vec<Fault>) -> (Vec<Fault>, Outcome) {
    let (mut kept, mut outcome) = (faults.clone(), run(setup, &faults));
    loop {
        let before = kept.len();
        let mut position = kept.len();
        while position > 0 {
            position -= 1;
            let mut fewer = kept.clone();
            fewer.remove(position);
            let found = run(setup, &fewer);
            if !found.broken.is_empty() {
                (kept, outcome) = (fewer, found);
            }
        }
        if kept.len() == before {
            return (kept, outcome);
        }
    }
}
