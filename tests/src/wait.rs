//! Waiting for a condition with a deadline: the only way a test waits.

use std::{future::Future, time::Duration};

/// How often a condition is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// Waits until `condition` holds.
///
/// # Panics
/// When it does not hold within `deadline`; the message names `what`.
pub async fn wait_until<F: Future<Output = bool>>(what: &str, deadline: Duration, mut condition: impl FnMut() -> F) {
    wait_for(what, deadline, || {
        let look = condition();
        async move { look.await.then_some(()).ok_or_else(|| "not yet".to_owned()) }
    })
    .await;
}

/// Waits until `look` has a value; an error says why there is none yet.
///
/// # Panics
/// When there is none within `deadline`; the message names `what` and the last reason.
pub async fn wait_for<T, E, F>(what: &str, deadline: Duration, mut look: impl FnMut() -> F) -> T
where
    E: std::fmt::Display,
    F: Future<Output = Result<T, E>>,
{
    let begin = weir_clock::monotonic();
    loop {
        match look().await {
            Ok(value) => return value,
            Err(why) => assert!(begin.elapsed() < deadline, "{what}: not within {} s: {why:#}", deadline.as_secs_f64()),
        }
        tokio::time::sleep(LOOK).await;
    }
}
