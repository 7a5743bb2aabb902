//! What a standby does not get: a place beside another one, and what its operator consented to where that decides nothing.

use super::{ByHand, alarms, can_write, info};
use crate::harness::{Running, until};
use hyper::Method;
use rusqlite::Connection;
use weir_device_api::{PairHello, PairPoll, Verdict, pair::Overwrite, paths};

#[tokio::test]
async fn only_the_standby_that_follows_takes_snapshots_and_takes_over() {
    let running = Running::start().await;
    running.two_locations().await;
    let mut standby = ByHand::enrol(&running, "manager-2").await;
    let other = ByHand::enrol(&running, "manager-3").await;
    standby.follow(&running).await;
    standby.poll(&running).await;
    assert_eq!(other.send(&running, other.says()).await.refusal().0, "cms_state");
    assert_eq!(other.ask_yield(&running, 2, false).await.refusal().0, "cms_state");
    assert_eq!(other.device.call(&running, Method::GET, paths::PAIR_SNAPSHOT, None).await.refusal().0, "cms_state");
    assert!(can_write(&running, "west").await);
}

#[tokio::test]
async fn of_two_that_poll_at_once_one_is_the_standby() {
    let running = Running::start().await;
    running.two_locations().await;
    let [one, other] = [ByHand::enrol(&running, "manager-2").await, ByHand::enrol(&running, "manager-3").await];
    let (first, second) = tokio::join!(one.send(&running, one.says()), other.send(&running, other.says()));
    let mut statuses = [first.status, second.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409]);
}

#[tokio::test]
async fn consent_to_take_what_the_primary_has_counts_only_where_it_decides_something() {
    let running = Running::start().await;
    running.two_locations().await;
    let mut standby = ByHand::enrol(&running, "manager-2").await;
    let file = running.dir.path().join("state/manager/config.db");
    let changed = Connection::open(&file).expect("opens").execute("UPDATE location SET name = 'x' WHERE name = 'east'", []);
    assert_eq!(changed.expect("changed"), 1);
    let running = running.restart().await;
    until("the alarm stands", || async { alarms(&running).await.contains(&"CHANGESETS_BROKEN".to_owned()) }).await;
    standby.follow(&running).await;
    let before = standby.poll(&running).await.hello;
    let PairHello { name, term, rev, .. } = before.clone();
    let given = Overwrite { name, term, rev };
    let says = |given: &Overwrite| PairPoll { overwrite: Some(given.clone()), ..standby.says() };
    // Another version takes nothing, and consent that is another primary's or of another time is none: no row is accepted either.
    let mut other = says(&given);
    other.hello.version = "9.9.9-b1".into();
    assert!(matches!(standby.polls(&running, other).await.verdict, Verdict::VersionMismatch { .. }));
    for not_ours in [
        Overwrite { name: "manager-3".parse().expect("name"), ..given.clone() },
        Overwrite { term: term + 1, ..given.clone() },
        Overwrite { rev: rev + 1, ..given.clone() },
    ] {
        assert_eq!(standby.polls(&running, says(&not_ours)).await.verdict, Verdict::Matched);
    }
    assert_eq!(info(&running).await["rev"], rev);
    let answer = standby.polls(&running, says(&given)).await;
    assert!(matches!(answer.verdict, Verdict::Resync { .. }), "{answer:?}");
    assert_eq!(answer.hello.rev, rev + 1, "the rows count as they are, and the log says so");
    assert_ne!(answer.hello.digest, before.digest);
}
