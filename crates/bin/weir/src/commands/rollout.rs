//! Rollouts, after `weir upgrade` and `weir downgrade`: the network or a part of it becomes another version.

mod explain;
mod export;
mod features;
mod plan;
pub(super) mod show;
mod watch;

use crate::{
    api_client::{ApiClient, escape},
    cli::{Format, PlanArgs, PlanDownArgs, RolloutVerb, RolloutWait, StartArgs, Why},
    output,
};
use watch::Wish;
use weir_operator_api::{Problem, Reason, Rollout, RolloutStart, RolloutWord, paths};

/// A plan of an upgrade.
pub(super) async fn plan(api: &ApiClient, format: Format, arguments: PlanArgs) -> anyhow::Result<()> {
    plan::run(api, format, plan::up(arguments)).await
}

/// A plan of a downgrade.
pub(super) async fn plan_down(api: &ApiClient, format: Format, arguments: PlanDownArgs) -> anyhow::Result<()> {
    plan::run(api, format, plan::down(arguments)).await
}

/// Starts one.
pub(super) async fn start(api: &ApiClient, format: Format, StartArgs { plan, wait }: StartArgs) -> anyhow::Result<()> {
    let now: Rollout = api.post(paths::ROLLOUT, &RolloutStart { plan }).await?;
    follow(api, format, now, wait, Wish::Done).await
}

/// Has operators take the managers' steps of a downgrade at their command lines; said on a manager's box.
pub(super) async fn take_over(api: &ApiClient, format: Format, why: Why) -> anyhow::Result<()> {
    let now = say(api, "take-over", because(why)).await?;
    output::print(format, &now, show::begun)
}

pub(super) async fn run(api: &ApiClient, format: Format, verb: RolloutVerb) -> anyhow::Result<()> {
    match verb {
        RolloutVerb::Show { wait } => {
            let now: Rollout = api.get(paths::ROLLOUT).await?;
            if !wait.wait {
                return output::print(format, &now, show::in_full);
            }
            let wish = Wish::of(&now);
            follow(api, format, now, wait, wish).await
        }
        RolloutVerb::Pause { why, wait } => {
            let now = say(api, "pause", because(why)).await?;
            follow(api, format, now, wait, Wish::Paused).await
        }
        RolloutVerb::Abort { why, wait } => {
            let now = say(api, "abort", because(why)).await?;
            follow(api, format, now, wait, Wish::Aborted).await
        }
        RolloutVerb::Resume { wait } => go_on(api, format, "resume", wait).await,
        RolloutVerb::Revert { wait } => go_on(api, format, "revert", wait).await,
        RolloutVerb::Finalise { wait } => go_on(api, format, "finalise", wait).await,
        RolloutVerb::Hold { why } => {
            let now = say(api, "hold", because(why)).await?;
            output::print(format, &now, show::begun)
        }
        RolloutVerb::Restate { wait } => restate(api, format, wait).await,
        RolloutVerb::Export { file } => export::run(api, file.as_deref()).await,
        RolloutVerb::Features => features::run(api, format).await,
        RolloutVerb::Explain { device } => explain::run(api, format, &device).await,
        RolloutVerb::Excuse { device, why } => say_of(api, format, &device, "excuse", because(why)).await,
        RolloutVerb::Pin { device, why, for_ } => {
            let word = RolloutWord { for_seconds: for_.map(|time| time.as_secs()), ..because(why) };
            say_of(api, format, &device, "pin", word).await
        }
        RolloutVerb::Unpin { device } => say_of(api, format, &device, "unpin", RolloutWord::default()).await,
        RolloutVerb::Retry { device } => say_of(api, format, &device, "retry", RolloutWord::default()).await,
        RolloutVerb::Force { device, why } => say_of(api, format, &device, "force", because(why)).await,
    }
}

/// The rollout there is, or was last; nothing when there never was one.
pub(super) async fn last(api: &ApiClient) -> anyhow::Result<Option<Rollout>> {
    match api.get(paths::ROLLOUT).await {
        Ok(now) => Ok(Some(now)),
        Err(error) if error.downcast_ref::<Problem>().is_some_and(|problem| problem.reason == Reason::NoRollout) => Ok(None),
        Err(error) => Err(error),
    }
}

fn because(why: Why) -> RolloutWord {
    RolloutWord { why: Some(why.why), for_seconds: None }
}

async fn say(api: &ApiClient, verb: &str, word: RolloutWord) -> anyhow::Result<Rollout> {
    api.post(&format!("{}/{verb}", paths::ROLLOUT), &word).await
}

/// Says a word after which it goes on, to wherever it goes then.
async fn go_on(api: &ApiClient, format: Format, verb: &str, wait: RolloutWait) -> anyhow::Result<()> {
    let now = say(api, verb, RolloutWord::default()).await?;
    let wish = Wish::of(&now);
    follow(api, format, now, wait, wish).await
}

/// Restates; a paused rollout does not go on by that, so that nobody waits for it.
async fn restate(api: &ApiClient, format: Format, wait: RolloutWait) -> anyhow::Result<()> {
    let now = say(api, "restate", RolloutWord::default()).await?;
    if wait.wait && now.status == "paused" {
        return output::print(format, &now, show::still_paused);
    }
    let wish = Wish::of(&now);
    follow(api, format, now, wait, wish).await
}

/// Says a word about one device.
async fn say_of(api: &ApiClient, format: Format, device: &str, verb: &str, word: RolloutWord) -> anyhow::Result<()> {
    let now: Rollout = api.post(&format!("{}/devices/{}/{verb}", paths::ROLLOUT, escape(device)), &word).await?;
    output::print(format, &now, |now| show::of_device(now, device))
}

/// After a word to the rollout: shows how it stands, or stays until it rests.
async fn follow(api: &ApiClient, format: Format, now: Rollout, wait: RolloutWait, wish: Wish) -> anyhow::Result<()> {
    if wait.wait {
        return watch::to_the_end(api, format, now, wait.wait_for, wish).await;
    }
    output::print(format, &now, show::begun)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        api_client::tests::{answer, place, read_head},
        cli::{Cli, Command, UpgradeVerb},
    };
    use clap::Parser;
    use tokio::io::AsyncReadExt;

    /// What a command sends: method and path, and the body.
    async fn sent(line: &str) -> (String, String) {
        sent_to(line, "running").await
    }

    /// The same to a rollout of this status.
    async fn sent_to(line: &str, status: &str) -> (String, String) {
        let (data, listener) = place();
        let api = ApiClient::local(data.path()).unwrap();
        let typed = Cli::try_parse_from(["weir", "upgrade"].into_iter().chain(line.split_whitespace())).unwrap();
        let server = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let head = read_head(&mut stream).await;
            let length = head.split("content-length: ").nth(1).and_then(|rest| rest.split("\r\n").next()).unwrap();
            let mut body = vec![0; length.parse().unwrap()];
            stream.read_exact(&mut body).await.unwrap();
            answer(&mut stream, "200 OK", &show::tests::rollout(status)).await;
            (head.split(" http/").next().unwrap().to_owned(), String::from_utf8(body).unwrap())
        };
        let command = async {
            match typed.command {
                Command::Upgrade { verb: UpgradeVerb::Start(arguments) } => start(&api, Format::Table, arguments).await,
                Command::Upgrade { verb: UpgradeVerb::Rollout(verb) } => run(&api, Format::Table, verb).await,
                _ => panic!("{line}: no verb of a rollout"),
            }
        };
        let (ended, sent) = tokio::join!(command, server);
        ended.unwrap();
        sent
    }

    #[tokio::test]
    async fn each_verb_is_a_word_of_the_api() {
        for (line, path, body) in [
            ("start --plan 0123456789AB", "", r#"{"plan":"0123456789ab"}"#),
            ("pause --why lunch", "/pause", r#"{"why":"lunch"}"#),
            ("resume", "/resume", "{}"),
            ("abort --why lunch", "/abort", r#"{"why":"lunch"}"#),
            ("revert", "/revert", "{}"),
            ("restate", "/restate", "{}"),
            ("hold --why lunch", "/hold", r#"{"why":"lunch"}"#),
            ("finalise", "/finalise", "{}"),
            ("excuse east-1 --why burnt", "/devices/east-1/excuse", r#"{"why":"burnt"}"#),
            ("pin east-1 --why event", "/devices/east-1/pin", r#"{"why":"event"}"#),
            ("pin east-1 --why event --for 2h", "/devices/east-1/pin", r#"{"why":"event","for_seconds":7200}"#),
            ("unpin east/1", "/devices/east%2f1/unpin", "{}"),
            ("retry east-1", "/devices/east-1/retry", "{}"),
            ("force east-1 --why late", "/devices/east-1/force", r#"{"why":"late"}"#),
        ] {
            assert_eq!(sent(line).await, (format!("post /api/v1/rollout{path}"), body.to_owned()), "{line}");
        }
    }

    #[tokio::test]
    async fn nobody_waits_for_what_is_paused_after_it_is_restated() {
        assert_eq!(sent_to("restate --wait", "paused").await.0, "post /api/v1/rollout/restate", "and it is no failure");
    }

    #[tokio::test]
    async fn a_network_without_a_rollout_is_no_error() {
        for (reason, expected) in [(Reason::NoRollout, true), (Reason::Forbidden, false)] {
            let (data, listener) = place();
            let api = ApiClient::local(data.path()).unwrap();
            let server = async {
                let (mut stream, _) = listener.accept().await.unwrap();
                read_head(&mut stream).await;
                answer(&mut stream, &reason.status().to_string(), &Problem::new(reason, "so it is")).await;
            };
            let (answered, ()) = tokio::join!(last(&api), server);
            assert_eq!(matches!(answered, Ok(None)), expected, "{reason:?}");
        }
    }
}
