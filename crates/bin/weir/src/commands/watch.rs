//! `--wait`: looks at something that moves, and shows how it goes, until there is nothing more to wait for.

mod bar;

pub(super) use bar::{Measure, Moment};

use crate::api_client::ApiClient;
use anyhow::bail;
use bar::Bar;
use serde::de::DeserializeOwned;
use std::time::Duration;
use weir_operator_api::{Problem, Reason};

/// How often a wait looks.
const LOOK: Duration = Duration::from_millis(500);
/// A manager that does not answer is asked again for this long before the wait is given up.
const SILENCE_MAX: Duration = Duration::from_secs(60);
/// The same where managers are switched, which at their command lines takes the operators' time.
const SWITCHED_MAX: Duration = Duration::from_secs(3600);

/// What a look says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// It is as wished.
    Done,
    NotYet,
    /// It will not be, and why.
    Never(String),
}

/// Why a manager may have no answer meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Away {
    /// It starts again: nobody listens.
    Silent,
    /// Both managers are switched: nobody listens, or who does is not the primary, is disabled, or hands over.
    Switched,
}

impl Away {
    /// Whether what was answered, if anything was, is why the question is asked again.
    fn excuses(self, error: &anyhow::Error, silent: Duration) -> bool {
        match (error.downcast_ref::<Problem>(), self) {
            (None, Self::Silent) => silent <= SILENCE_MAX,
            (None, Self::Switched) => silent <= SWITCHED_MAX,
            // A refusal is an answer.
            (Some(_), Self::Silent) => false,
            (Some(problem), Self::Switched) => {
                let is_away =
                    matches!(problem.reason, Reason::NotPrimary | Reason::CmsDisabled | Reason::HandingOver | Reason::Unavailable);
                is_away && silent <= SWITCHED_MAX
            }
        }
    }
}

/// A wait for what is at a path of the API.
pub(super) struct Wait<'a> {
    pub(super) api: &'a ApiClient,
    pub(super) path: &'a str,
    /// The wait is given up after so long; absent: it is not.
    pub(super) patience: Option<Duration>,
    /// What goes on although nobody waits for it: `the update`.
    pub(super) of: &'static str,
    pub(super) away: Away,
}

impl Wait<'_> {
    /// What is there once it `rests`; a `moment` of it is shown after each look.
    pub(super) async fn until<T: DeserializeOwned>(
        &self,
        mut now: T,
        mut moment: impl FnMut(&T) -> Moment,
        rests: impl Fn(&T) -> bool,
    ) -> anyhow::Result<T> {
        let mut bar = Bar::new();
        let mut looks = tokio::time::interval(LOOK);
        let end = self.patience.map(|patience| weir_clock::monotonic() + patience);
        let mut heard = weir_clock::monotonic();
        looks.tick().await;
        loop {
            let shown = moment(&now);
            bar.show(&shown);
            if rests(&now) {
                return Ok(now);
            }
            if end.is_some_and(|end| weir_clock::monotonic() >= end) {
                bail!("{}; the wait is over, {} goes on", shown.words, self.of);
            }
            looks.tick().await;
            match self.api.get(self.path).await {
                Ok(seen) => (now, heard) = (seen, weir_clock::monotonic()),
                Err(error) if self.away.excuses(&error, weir_clock::monotonic().saturating_duration_since(heard)) => bar.silence(&error),
                Err(error) => return Err(error),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api_client::tests::{answer, place, read_head};

    fn moment(count: &u32) -> Moment {
        Moment { words: format!("it is {count}"), measure: Measure::Words, about: count.to_string(), line: count.to_string() }
    }

    /// A manager that answers one request with this.
    async fn answers(listener: &tokio::net::UnixListener, status: &str, body: &impl serde::Serialize) {
        let (mut stream, _) = listener.accept().await.unwrap();
        read_head(&mut stream).await;
        answer(&mut stream, status, body).await;
    }

    #[tokio::test]
    async fn a_manager_that_starts_again_is_asked_again() {
        let (data, listener) = place();
        let api = ApiClient::local(data.path()).unwrap();
        let wait = Wait { api: &api, path: "/somewhere", patience: None, of: "it", away: Away::Silent };
        let manager = async {
            answers(&listener, "200 OK", &2).await;
            drop(listener.accept().await.unwrap());
            answers(&listener, "200 OK", &3).await;
        };
        let (rested, ()) = tokio::join!(wait.until(1, moment, |count| *count == 3), manager);
        assert_eq!(rested.unwrap(), 3);
    }

    #[tokio::test]
    async fn a_refusal_ends_a_wait() {
        let (data, listener) = place();
        let api = ApiClient::local(data.path()).unwrap();
        let wait = Wait { api: &api, path: "/somewhere", patience: None, of: "it", away: Away::Silent };
        let problem = Problem::new(Reason::NoRollout, "there was none");
        let (rested, ()) = tokio::join!(wait.until(1, moment, |_| false), answers(&listener, "404 Not Found", &problem));
        assert_eq!(rested.unwrap_err().downcast_ref::<Problem>().map(|problem| problem.reason), Some(Reason::NoRollout));
    }

    #[test]
    fn managers_that_are_switched_may_be_away_for_longer_and_answer_that_they_are() {
        let refusal = |reason| anyhow::Error::from(Problem::new(reason, "so it is"));
        let nobody = || anyhow::anyhow!("nobody listens");
        for (away, error, silent_s, excused) in [
            (Away::Silent, nobody(), 60, true),
            (Away::Silent, nobody(), 61, false),
            (Away::Silent, refusal(Reason::CmsDisabled), 0, false),
            (Away::Switched, nobody(), 3600, true),
            (Away::Switched, nobody(), 3601, false),
            (Away::Switched, refusal(Reason::CmsDisabled), 3600, true),
            (Away::Switched, refusal(Reason::CmsDisabled), 3601, false),
            (Away::Switched, refusal(Reason::NotPrimary), 0, true),
            (Away::Switched, refusal(Reason::HandingOver), 0, true),
            (Away::Switched, refusal(Reason::Unavailable), 0, true),
            (Away::Switched, refusal(Reason::NoRollout), 0, false),
            (Away::Switched, refusal(Reason::Forbidden), 0, false),
        ] {
            assert_eq!(away.excuses(&error, Duration::from_secs(silent_s)), excused, "{away:?} {silent_s} {error}");
        }
    }

    #[tokio::test]
    async fn patience_ends_and_what_was_waited_for_goes_on() {
        let (data, _listener) = place();
        let api = ApiClient::local(data.path()).unwrap();
        let wait = Wait { api: &api, path: "/somewhere", patience: Some(Duration::ZERO), of: "the rollout", away: Away::Silent };
        let error = wait.until(1, moment, |_| false).await.unwrap_err();
        assert_eq!(error.to_string(), "it is 1; the wait is over, the rollout goes on");
    }
}
