//! `--wait`: stays with a rollout until it is over, paused or aborted.

use super::show;
use crate::{
    api_client::ApiClient,
    cli::Format,
    commands::{
        Interrupted,
        watch::{Away, Look, Measure, Moment, Wait},
    },
    output,
};
use anyhow::bail;
use std::time::Duration;
use weir_operator_api::{Rollout, paths};

/// How it is to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
    /// Everything in scope runs the target.
    Done,
    /// Everything is back.
    Reverted,
    /// It rests as things are.
    Aborted,
    /// Nothing new begins.
    Paused,
}

impl Wish {
    /// Where it goes by itself.
    pub(super) fn of(now: &Rollout) -> Self {
        if now.back || now.status == "reverted" { Self::Reverted } else { Self::Done }
    }

    /// The status that is wished for.
    fn status(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Reverted => "reverted",
            Self::Aborted => "aborted",
            Self::Paused => "paused",
        }
    }

    /// Whether the rollout of this plan has ended so.
    fn look(self, plan: &str, now: &Rollout) -> Look {
        if now.hash != plan {
            return Look::Never(format!("over; another one was started by {}", now.by));
        }
        match now.status.as_str() {
            status if status == self.status() => Look::Done,
            status @ ("paused" | "aborted") => {
                Look::Never(show::stopped(now).map_or_else(|| status.to_owned(), |why| format!("{status}: {why}")))
            }
            status if now.over => Look::Never(format!("{status}, not {}", self.status())),
            _ => Look::NotYet,
        }
    }
}

/// What is shown of it on the way.
fn moment(now: &Rollout) -> Moment {
    let (name, standing, held) = (show::name(now), show::standing(now), show::held(now));
    let word = now.waits.as_ref().map(|waits| waits.word.as_str()).or(now.paused.as_ref().map(|why| why.reason.as_str()));
    let typed = show::to_type(now).map(|typed| format!("; {typed}")).unwrap_or_default();
    let frozen = if now.frozen { "; the configuration is frozen" } else { "" };
    let percent = (u64::from(now.done) * 100).checked_div(u64::from(now.devices)).unwrap_or_default();
    Moment {
        words: format!("{name}: {standing}{held}{frozen}{typed}"),
        measure: Measure::Devices(u64::from(now.done), u64::from(now.devices)),
        about: format!("{standing} {percent} {}{frozen}{typed}", word.unwrap_or_default()),
        line: format!("{name}: {standing}, {} of {} devices{held}{frozen}{typed}", now.done, now.devices),
    }
}

/// Shows how it goes until it rests, or the patience is over.
pub(super) async fn to_the_end(
    api: &ApiClient,
    format: Format,
    now: Rollout,
    patience: Option<Duration>,
    wish: Wish,
) -> anyhow::Result<()> {
    let (name, plan) = (show::name(&now), now.hash.clone());
    let away = if now.managers.is_empty() { Away::Silent } else { Away::Switched };
    let wait = Wait { api, path: paths::ROLLOUT, patience, of: "the rollout", away };
    tokio::select! {
        rested = wait.until(now, moment, |now| wish.look(&plan, now) != Look::NotYet) => end(format, &rested?, &plan, wish),
        _ = tokio::signal::ctrl_c() => {
            Err(Interrupted(format!("{name}: no longer watched; it goes on: `weir upgrade status`, `weir upgrade pause --why TEXT`")).into())
        }
    }
}

fn end(format: Format, now: &Rollout, plan: &str, wish: Wish) -> anyhow::Result<()> {
    let Look::Never(why) = wish.look(plan, now) else { return output::print(format, now, show::ended) };
    if format == Format::Json {
        output::print(format, now, show::ended)?;
    }
    bail!("{}: {why}", show::name(now))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::rollout::show::tests::{console, note, reason, rollout};

    fn at(status: &str, over: bool) -> Rollout {
        Rollout { over, ..rollout(status) }
    }

    fn look(wish: Wish, now: &Rollout) -> Look {
        wish.look(&rollout("running").hash, now)
    }

    fn never(why: &str) -> Look {
        Look::Never(why.to_owned())
    }

    #[test]
    fn a_wait_goes_on_while_the_rollout_does() {
        for status in ["running", "soaking", "finalising", "reverting", "aborting", "a word of a later version"] {
            for wish in [Wish::Done, Wish::Reverted, Wish::Aborted, Wish::Paused] {
                assert_eq!(look(wish, &at(status, false)), Look::NotYet, "{status} {wish:?}");
            }
        }
    }

    #[test]
    fn it_ends_well_as_it_was_asked_for_only() {
        for (wish, status) in [(Wish::Done, "done"), (Wish::Reverted, "reverted"), (Wish::Aborted, "aborted"), (Wish::Paused, "paused")] {
            for is in ["done", "reverted", "aborted", "paused"] {
                let over = matches!(is, "done" | "reverted");
                assert_eq!(look(wish, &at(is, over)) == Look::Done, is == status, "{wish:?} {is}");
                assert_ne!(look(wish, &at(is, over)), Look::NotYet, "{wish:?} {is}");
            }
        }
    }

    #[test]
    fn a_bad_end_says_why_and_what_to_do() {
        let paused = Rollout { paused: Some(reason("wave_failed")), ..at("paused", false) };
        assert_eq!(look(Wish::Done, &paused), never("paused: what exactly (wave_failed); do this"));
        let aborted = Rollout { aborted: Some("lunch".into()), ..at("aborted", false) };
        assert_eq!(look(Wish::Reverted, &aborted), never("aborted: lunch; `weir upgrade resume` goes on, `weir upgrade revert` goes back"));
        assert_eq!(look(Wish::Done, &at("reverted", true)), never("reverted, not done"));
        assert_eq!(look(Wish::Paused, &at("done", true)), never("done, not paused"));
        assert_eq!(look(Wish::Done, &at("a word of a later version", true)), never("a word of a later version, not done"));
    }

    #[test]
    fn another_rollout_ends_a_wait() {
        let another = Rollout { hash: "ff".repeat(32), ..at("done", true) };
        assert_eq!(look(Wish::Done, &another), never("over; another one was started by user:admin"));
    }

    #[test]
    fn it_goes_on_or_back() {
        for (status, back, wish) in [
            ("running", false, Wish::Done),
            ("paused", false, Wish::Done),
            ("done", false, Wish::Done),
            ("reverting", true, Wish::Reverted),
            ("paused", true, Wish::Reverted),
            ("reverted", false, Wish::Reverted),
        ] {
            assert_eq!(Wish::of(&Rollout { back, ..rollout(status) }), wish, "{status} {back}");
        }
    }

    #[test]
    fn without_a_terminal_a_line_stands_for_a_step() {
        let mut now = rollout("running");
        let before = moment(&now);
        assert_eq!(before.measure, Measure::Devices(1, 3));
        assert_eq!(before.line, "upgrade of location east: running, engines, 1 of 3 devices");
        now.waits = Some(note("baking", "wave 0 is watched for another 30 s"));
        let waits = moment(&now);
        assert_eq!(waits.words, "upgrade of location east: running, engines; waits: wave 0 is watched for another 30 s (baking)");
        assert_ne!(waits.about, before.about);
        now.waits = Some(note("baking", "wave 0 is watched for another 29 s"));
        assert_eq!(moment(&now).about, waits.about, "no line for each second");
        now.done = 2;
        assert_ne!(moment(&now).about, waits.about);
        now.devices = 0;
        assert_eq!(moment(&now).measure, Measure::Devices(2, 0));
    }

    #[test]
    fn each_step_at_a_console_is_a_line() {
        let waits = |command: &str| Rollout { console: Some(console(command, None)), frozen: true, ..rollout("running") };
        let first = moment(&waits("weir cms database downgrade"));
        let words = "; the configuration is frozen; type on the primary: weir cms database downgrade";
        assert!(first.line.ends_with(words) && first.words.ends_with(words), "{}", first.line);
        assert_ne!(first.about, moment(&waits("weir cms enable")).about);
    }

    #[test]
    fn a_bad_end_is_an_error_and_a_good_one_is_not() {
        let plan = rollout("running").hash;
        assert!(end(Format::Table, &at("done", true), &plan, Wish::Done).is_ok());
        let error = end(Format::Table, &at("reverted", true), &plan, Wish::Done).unwrap_err();
        assert_eq!(error.to_string(), "upgrade of location east: reverted, not done");
    }
}
