//! Changes of the network, and how soon each is everywhere.

use crate::{
    network::{Bench, service},
    plan::Plan,
    seen::Seen,
};
use anyhow::{Context, ensure};
use reqwest::Method;
use std::time::{Duration, Instant};
use tokio::time::sleep_until;
use weir_tests::wait_for;

/// Patience for a change to be everywhere.
const REACH_DEADLINE: Duration = Duration::from_secs(120);

/// Makes the changes one after the other, spread over the second half of the measurement; from each write's beginning, its answer
/// included, to each device that holds it.
pub(crate) async fn make(network: &Bench, seen: &Seen, plan: &Plan) -> anyhow::Result<Vec<Duration>> {
    let changes = u32::try_from(plan.changes)?;
    let step = Duration::from_secs(plan.seconds / 2).checked_div(changes).context("there are changes to be made")?;
    let mut all = Vec::new();
    for n in 0..plan.changes {
        let begin = weir_clock::monotonic();
        let (generation, answered) = write(network, n).await?;
        wait_for("the change is everywhere", REACH_DEADLINE, || async {
            let holding = seen.holding(generation);
            if holding == plan.count { Ok(()) } else { Err(format!("{holding} of {}", plan.count)) }
        })
        .await;
        let mut one: Vec<Duration> = seen.reached(generation).into_values().map(|at| at.saturating_duration_since(begin)).collect();
        ensure!(one.len() == plan.count, "every device's arrival is noted");
        one.sort();
        println!("change {n}: answered after {:?}, everywhere after {:?}", answered - begin, one[one.len() - 1]);
        all.extend(one);
        sleep_until((begin + step).into()).await;
    }
    Ok(all)
}

/// One write that is in every document; its generation, and when it was answered.
async fn write(network: &Bench, n: usize) -> anyhow::Result<(u64, Instant)> {
    let body = service(0, 100 + n).to_string();
    let reply = network.api.send(Method::PUT, "/delivery-services/service-0", Some(&body)).await?;
    let answered = weir_clock::monotonic();
    ensure!((200..300).contains(&reply.status), "{reply:?}");
    Ok((reply.json["revision"].as_u64().with_context(|| format!("a revision: {reply:?}"))?, answered))
}
