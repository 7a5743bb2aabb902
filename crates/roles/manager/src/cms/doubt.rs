//! A primary that has reason to doubt that it still is one takes no writes until another manager has answered, or an operator has
//! decided. Nothing of it is on disk: what only a device says fences nobody.

use super::Cms;
use crate::{app::App, backup::restore::term_above, change::Caller};
use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};
use tokio::sync::watch;
use weir_model::DeviceName;
use weir_operator_api::{Problem, Reason, RoleChange};

/// Somebody named a term above ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Word {
    pub(crate) by: DeviceName,
    pub(crate) term: u64,
}

/// Why no writes are taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Doubt {
    /// It named a higher term, and no other manager answers.
    Named(Word),
    /// Another manager says that it is the primary in our term.
    SameTerm(Word),
}

impl Doubt {
    fn word(&self) -> &Word {
        match self {
            Doubt::Named(word) | Doubt::SameTerm(word) => word,
        }
    }

    fn text(&self) -> String {
        match self {
            Doubt::Named(Word { by, term }) => {
                format!(
                    "{by} names term {term} and this manager has a lower one; no other manager answers, and no writes are taken until one does"
                )
            }
            Doubt::SameTerm(Word { by, term }) => {
                format!("{by} is the primary of term {term} as well: neither takes writes until an operator has decided")
            }
        }
    }

    fn next(&self) -> [String; 2] {
        match self {
            Doubt::Named(Word { by, .. }) => [
                "bring the other manager back, or restore the network between the two".to_owned(),
                format!("or, when nobody else is the primary: `weir cms role primary` on this box, and look at what {by} is"),
            ],
            Doubt::SameTerm(Word { by, .. }) => [
                "`weir cms role primary` on the box whose configuration is to stay; the other one becomes its standby".to_owned(),
                format!("what {by} or this box has alone is kept there: `weir cms unreplicated`"),
            ],
        }
    }
}

/// What a box doubts, over its lives.
#[derive(Default)]
pub(crate) struct Doubts {
    standing: Mutex<Option<Doubt>>,
    /// An operator decides: what is heard meanwhile is about the term before.
    deciding: AtomicBool,
    /// The highest word that nobody has answered yet.
    word: watch::Sender<Option<Word>>,
    /// Whose word an operator has overruled; at most as many as there are devices on record.
    overruled: Mutex<BTreeSet<DeviceName>>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Doubts {
    /// A life as primary begins, with what was found before it.
    pub(super) fn begin(&self, standing: Option<Doubt>) {
        self.word.send_replace(None);
        *locked(&self.standing) = standing;
    }

    /// Takes a word in: it is a reason to ask the other managers, and no more.
    pub(crate) fn named(&self, by: &DeviceName, term: u64) {
        if locked(&self.overruled).contains(by) {
            return;
        }
        self.word.send_if_modified(|known| {
            let higher = known.as_ref().is_none_or(|known| term > known.term);
            if higher {
                tracing::warn!(%by, term, "it names a term above this manager's; the other managers are asked");
                *known = Some(Word { by: by.clone(), term });
            }
            higher
        });
    }

    /// Whoever named a higher term names none any more.
    pub(crate) fn takes_back(&self, by: &DeviceName) {
        self.word.send_if_modified(|known| {
            if known.as_ref().is_some_and(|known| known.by == *by) {
                *known = None;
            }
            false
        });
        let mut standing = locked(&self.standing);
        if matches!(&*standing, Some(Doubt::Named(word)) if word.by == *by) {
            tracing::info!(%by, "it obeys no higher term any more; writes are taken again");
            *standing = None;
        }
    }

    /// Told of words.
    pub(super) fn words(&self) -> watch::Receiver<Option<Word>> {
        self.word.subscribe()
    }

    /// The word nobody has answered.
    pub(super) fn unanswered(&self) -> Option<Word> {
        self.word.borrow().clone()
    }

    /// The other managers were asked: this is left of it.
    pub(super) fn answered(&self, doubt: Option<Doubt>) {
        let mut standing = locked(&self.standing);
        if self.deciding.load(Ordering::Relaxed) {
            return;
        }
        if !matches!(doubt, Some(Doubt::Named(_))) {
            self.word.send_if_modified(|word| {
                *word = None;
                false
            });
        }
        if *standing != doubt {
            match &doubt {
                Some(doubt) => tracing::error!(why = doubt.text(), "writes are refused"),
                None => tracing::warn!("another manager has answered; writes are taken again"),
            }
            *standing = doubt;
        }
    }

    /// Whether there is one.
    pub(super) fn stands(&self) -> bool {
        locked(&self.standing).is_some()
    }

    /// Why no writes are taken and what to do, in words; `None` when they are.
    pub(super) fn told(&self) -> Option<(String, [String; 2])> {
        locked(&self.standing).as_ref().map(|doubt| (doubt.text(), doubt.next()))
    }

    /// Refuses a write while there is a doubt.
    ///
    /// # Errors
    /// [`Reason::Unavailable`] with what to do.
    pub(crate) fn writable(&self) -> Result<(), Problem> {
        match &*locked(&self.standing) {
            None => Ok(()),
            Some(doubt) => Err(Problem::new(Reason::Unavailable, doubt.text()).next_step(doubt.next().join("; "))),
        }
    }

    /// An operator decides: the doubt is gone, and whose word it was is heard no more while this worker lives. All of that is taken
    /// back when the decision is not written.
    fn overrule(&self) -> Option<Overruled<'_>> {
        let mut standing = locked(&self.standing);
        let word = standing.as_ref().map(|doubt| doubt.word().clone()).or_else(|| self.unanswered())?;
        self.deciding.store(true, Ordering::Relaxed);
        let doubt = standing.take();
        drop(standing);
        let silenced = !matches!(doubt, Some(Doubt::SameTerm(_))) && locked(&self.overruled).insert(word.by.clone());
        Some(Overruled { unanswered: self.word.send_replace(None), doubts: self, doubt, word, silenced, written: false })
    }
}

/// A doubt that an operator decides, until the decision is written or has failed.
struct Overruled<'d> {
    doubts: &'d Doubts,
    doubt: Option<Doubt>,
    unanswered: Option<Word>,
    /// The term to be above, and who named it.
    word: Word,
    /// Its word was heard before.
    silenced: bool,
    written: bool,
}

impl Overruled<'_> {
    /// The decision is written: the doubt is over.
    fn written(mut self) {
        self.written = true;
    }
}

impl Drop for Overruled<'_> {
    fn drop(&mut self) {
        let mut standing = locked(&self.doubts.standing);
        self.doubts.deciding.store(false, Ordering::Relaxed);
        if self.written {
            return;
        }
        if self.silenced {
            locked(&self.doubts.overruled).remove(&self.word.by);
        }
        *standing = standing.take().or_else(|| self.doubt.take());
        let unanswered = self.unanswered.take();
        self.doubts.word.send_if_modified(|word| {
            let puts_back = word.is_none() && unanswered.is_some();
            if puts_back {
                *word = unanswered;
            }
            puts_back
        });
    }
}

/// `role primary` on the primary: with a doubt, it takes a term above the one that was named, and writes again.
///
/// # Errors
/// There is nothing to decide; the write.
pub(super) async fn decide(cms: &Arc<Cms>, app: &Arc<App>, caller: Caller, began_ms: u64) -> Result<RoleChange, Problem> {
    let already = || Problem::new(Reason::CmsState, "this box is the primary already");
    let _turn = cms.turn().await?;
    // Dropped on an error, it puts the doubt back: nobody has decided then.
    let overruled = cms.doubts.overrule().ok_or_else(already)?;
    let term = term_above([Some(overruled.word.term), Some(app.network().stamp.term)], true)?;
    let (name, by) = (cms.name().clone(), caller.actor.to_string());
    let primary = name.clone();
    app.change(caller, move |change| Ok(change.take_over(&name, term)?)).await?;
    overruled.written();
    let body = serde_json::json!({ "primary": primary, "kind": "decided", "lost": 0, "by": by });
    cms.record(term, "promoted", body).await;
    let took_ms = weir_clock::monotonic_ms().saturating_sub(began_ms);
    tracing::warn!(term, by, "an operator has decided: this box is the primary");
    Ok(RoleChange { primary, term, kind: "decided".to_owned(), lost: 0, took_ms })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> DeviceName {
        text.parse().expect("name")
    }

    /// An operator has decided: the term that was named.
    fn decided(doubts: &Doubts) -> Option<u64> {
        let overruled = doubts.overrule()?;
        let term = overruled.word.term;
        overruled.written();
        Some(term)
    }

    #[test]
    fn a_word_is_a_reason_to_ask_and_only_an_answer_or_an_operator_ends_a_doubt() {
        let doubts = Doubts::default();
        doubts.named(&name("core-1"), 7);
        doubts.named(&name("core-2"), 6);
        let word = doubts.unanswered().expect("a word");
        assert_eq!((word.by.as_str(), word.term), ("core-1", 7), "the highest");
        assert!(doubts.writable().is_ok(), "nobody was asked yet");
        doubts.answered(Some(Doubt::Named(word.clone())));
        let refused = doubts.writable().expect_err("a doubt");
        assert!(refused.detail.contains("core-1") && refused.next.contains("weir cms role primary"), "{refused:?}");
        doubts.answered(None);
        assert!(doubts.writable().is_ok() && doubts.unanswered().is_none());
        // Named again, and taken back by whoever named it; by nobody else.
        doubts.named(&name("core-1"), 7);
        doubts.answered(Some(Doubt::Named(word.clone())));
        doubts.takes_back(&name("core-2"));
        assert!(doubts.stands());
        doubts.takes_back(&name("core-1"));
        assert!(!doubts.stands() && doubts.unanswered().is_none());
        // An operator decides: the same device is not heard again, another one is.
        doubts.named(&name("core-1"), 7);
        doubts.answered(Some(Doubt::Named(word)));
        assert_eq!(decided(&doubts), Some(7));
        doubts.named(&name("core-1"), 9);
        assert!(doubts.writable().is_ok() && doubts.unanswered().is_none());
        doubts.named(&name("core-2"), 9);
        assert_eq!(doubts.unanswered().map(|word| word.term), Some(9));
        assert_eq!(decided(&doubts), Some(9), "before anybody was asked too");
        assert_eq!(decided(&doubts), None);
    }

    #[test]
    fn a_decision_that_is_not_written_leaves_the_doubt_and_one_under_way_is_not_disturbed() {
        let doubts = Doubts::default();
        let word = Word { by: name("core-1"), term: 7 };
        doubts.named(&name("core-1"), 7);
        doubts.answered(Some(Doubt::Named(word.clone())));
        drop(doubts.overrule().expect("a doubt"));
        assert!(doubts.writable().is_err() && doubts.unanswered() == Some(word));
        doubts.named(&name("core-1"), 8);
        assert_eq!(doubts.unanswered().map(|word| word.term), Some(8), "its word is heard as before");
        let same = Doubt::SameTerm(Word { by: name("manager-2"), term: 3 });
        doubts.answered(Some(same.clone()));
        let overruled = doubts.overrule().expect("a doubt");
        // Asked before the decision, answered before it is written.
        doubts.answered(Some(same.clone()));
        assert!(doubts.writable().is_ok());
        overruled.written();
        assert!(doubts.writable().is_ok());
        doubts.answered(Some(same));
        assert!(doubts.writable().is_err(), "of the term that was decided");
    }

    #[test]
    fn two_primaries_of_one_term_name_each_other_and_the_way_out() {
        let doubts = Doubts::default();
        let other = Word { by: name("manager-2"), term: 3 };
        doubts.begin(Some(Doubt::SameTerm(other)));
        doubts.takes_back(&name("manager-2"));
        let (why, next) = doubts.told().expect("a doubt");
        assert!(why.contains("manager-2") && next[0].contains("weir cms role primary"), "{why} {next:?}");
        assert_eq!(decided(&doubts), Some(3));
        doubts.named(&name("manager-2"), 4);
        assert!(doubts.unanswered().is_some(), "a manager is heard all the same");
    }
}
