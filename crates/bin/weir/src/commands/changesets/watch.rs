//! `weir changesets watch`: a line for each changeset as soon as it is kept.

use super::{last, show};
use crate::{api_client::ApiClient, cli::Format, commands::Interrupted, output};
use anyhow::Context;
use std::{ops::ControlFlow, pin::pin, time::Duration};
use weir_operator_api::{Changeset, Listing, Problem, paths};

/// How long the manager keeps an answer back while there is nothing to tell.
const WATCH_TIME: Duration = Duration::from_secs(30);
/// Pause after an answer that told nothing, and after none.
const PAUSE: Duration = Duration::from_millis(500);
/// A manager that does not answer is asked again for this long before the watch is given up.
const SILENCE_MAX: Duration = Duration::from_secs(60);

pub(super) async fn run(api: &ApiClient, format: Format, after: Option<u64>) -> anyhow::Result<()> {
    let from = match after {
        Some(rev) => rev,
        None => last(api, 1).await?.last().map_or(0, |changeset| changeset.rev),
    };
    let mut seen = from;
    let followed = follow(api, from, |changeset| {
        let told = tell(format, changeset);
        seen = changeset.rev;
        told
    });
    let ended = tokio::select! {
        ended = pin!(followed) => Some(ended),
        _ = tokio::signal::ctrl_c() => None,
    };
    let on = format!("`weir changesets watch --after {seen}` goes on from here");
    match ended {
        Some(ended) => ended.context(on),
        None => Err(Interrupted(format!("no longer watched; {on}")).into()),
    }
}

/// Prints one; whoever read what is printed may have gone.
fn tell(format: Format, changeset: &Changeset) -> anyhow::Result<ControlFlow<()>> {
    match format {
        Format::Json => output::line_while_read(&serde_json::to_string(changeset)?),
        Format::Table => output::line_while_read(&show::line(changeset)),
    }
}

/// Tells of each changeset after `rev`, without end unless `tell` wants one.
async fn follow(api: &ApiClient, mut rev: u64, mut tell: impl FnMut(&Changeset) -> anyhow::Result<ControlFlow<()>>) -> anyhow::Result<()> {
    let mut heard = weir_clock::monotonic();
    loop {
        let answer = api.get_kept_back::<Listing<Changeset>>(&format!("{}?watch={rev}", paths::CHANGESETS), WATCH_TIME).await;
        let page = match answer {
            Ok(page) => page,
            // A refusal is an answer; silence may be a manager that starts again.
            Err(error) if error.is::<Problem>() || weir_clock::monotonic() > heard + SILENCE_MAX => return Err(error),
            Err(_) => {
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        heard = weir_clock::monotonic();
        for changeset in &page.items {
            if tell(changeset)?.is_break() {
                return Ok(());
            }
            rev = changeset.rev;
        }
        if page.items.is_empty() {
            // A manager that is stopping does not keep its answers back.
            tokio::time::sleep(PAUSE).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        api_client::tests::{answer, place, read_head},
        commands::changesets::show::tests::changeset,
    };
    use weir_operator_api::Reason;

    /// A manager that answers one request with this, on a connection of its own; returns what was asked.
    async fn answers(listener: &tokio::net::UnixListener, status: &str, body: &impl serde::Serialize) -> String {
        let (mut stream, _) = listener.accept().await.unwrap();
        let head = read_head(&mut stream).await;
        answer(&mut stream, status, body).await;
        head.split_whitespace().nth(1).unwrap_or_default().to_owned()
    }

    fn page(revs: &[u64]) -> Listing<Changeset> {
        Listing { items: revs.iter().map(|&rev| changeset(rev, &[])).collect(), next: None }
    }

    #[tokio::test]
    async fn each_is_told_once_over_silence_and_empty_answers() {
        let (data, listener) = place();
        let api = ApiClient::local(data.path()).unwrap();
        let mut told = Vec::new();
        let followed = follow(&api, 16, |changeset| {
            told.push(changeset.rev);
            Ok(if changeset.rev == 19 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        });
        let manager = async {
            let mut asked = vec![answers(&listener, "200 OK", &page(&[17, 18])).await];
            drop(listener.accept().await.unwrap());
            asked.push(answers(&listener, "200 OK", &page(&[])).await);
            asked.push(answers(&listener, "200 OK", &page(&[19, 20])).await);
            asked
        };
        let (ended, asked) = tokio::join!(followed, manager);
        ended.unwrap();
        assert_eq!(told, [17, 18, 19]);
        let watch = |rev: u64| format!("/api/v1/changesets?watch={rev}");
        assert_eq!(asked, [watch(16), watch(18), watch(18)]);
    }

    #[tokio::test]
    async fn a_refusal_ends_it() {
        let (data, listener) = place();
        let api = ApiClient::local(data.path()).unwrap();
        let problem = Problem::new(Reason::Unavailable, "the manager is stopping");
        let followed = follow(&api, 16, |_| Ok(ControlFlow::Continue(())));
        let (ended, _) = tokio::join!(followed, answers(&listener, "503 Service Unavailable", &problem));
        assert_eq!(ended.unwrap_err().downcast_ref::<Problem>().map(|problem| problem.reason), Some(Reason::Unavailable));
    }
}
