//! Starting, falling silent and starting again, without any manager.

use super::*;
use crate::agent::tests::{agent, configuration};
use std::path::Path;
use weir_keeper_api::Message;
use weir_slots::{BootRecord, DataDirectory, FileSystem, SlotRef, boot, digest_of_bytes};
use weir_sockets::{ControlSocket, WorkerControl};

/// Nothing here takes longer than scheduling delays.
const DEADLINE: Duration = Duration::from_secs(20);

/// A link whose keeper is the end that is returned.
fn link() -> (KeeperLink, ControlSocket) {
    let (keeper, end) = ControlSocket::pair().expect("pair");
    keeper.tell(&Message::BindDone { listeners: 0 }, &[]).expect("told");
    let (control, _) = WorkerControl::connect(end).expect("connected");
    let (_, news) = mpsc::channel(KEEPER_NEWS_MAX);
    (KeeperLink { sender: control.sender(), news }, keeper)
}

fn with_record(data: &Path) {
    let data = DataDirectory::new(data);
    std::fs::create_dir(data.boot()).expect("boot");
    let slot = SlotRef::of("1.0.0-b1", digest_of_bytes(b"slot"));
    boot::write(&mut FileSystem, &data, &BootRecord::first(slot)).expect("record");
}

async fn driven(agent: &Agent) {
    let mut headline = agent.shared.update.headline();
    let known = headline.wait_for(crate::update::Headline::is_known);
    tokio::time::timeout(DEADLINE, known).await.expect("a driver").expect("the agent lives");
}

#[tokio::test]
async fn it_drives_once_it_serves_and_not_while_it_is_parked() {
    let data = tempfile::tempdir().expect("dir");
    with_record(data.path());
    let agent = agent(data.path(), &[]);
    assert!(agent.shared.update.report(None).is_none());
    let (first, _keeper) = link();
    agent.start(first);
    driven(&agent).await;
    let report = agent.shared.update.report(None).expect("driven");
    assert_eq!(report.slots.active, "1.0.0-b1");
    agent.park().await;
    assert!(*agent.shared.parked.borrow() && agent.life.driver.is_empty() && agent.life.serving.is_empty());
    assert_eq!(agent.life.lifelines.lock().expect("lock").len(), 1, "lifelines stay until the others have taken their place");
    let (second, _keeper) = link();
    agent.unpark(second).await;
    driven(&agent).await;
    agent.end().await;
    assert!(agent.life.driver.is_empty() && agent.life.serving.is_empty() && agent.life.lifelines.lock().expect("lock").is_empty());
}

#[tokio::test]
async fn an_unparked_worker_runs_what_is_on_disk_under_a_higher_boot_number() {
    let data = tempfile::tempdir().expect("dir");
    let old = agent(data.path(), &[]);
    old.shared.take(configuration(7));
    old.park().await;
    let new = agent(data.path(), &[]);
    new.shared.take(configuration(9));
    let (link, _keeper) = link();
    old.unpark(link).await;
    assert_eq!(old.configuration().map(|c| c.stamp.generation), Some(9));
    assert!(old.shared.boot() > new.shared.boot(), "routers believe the higher number");
    old.end().await;
}

#[tokio::test]
async fn a_worker_that_cannot_take_up_what_is_on_disk_serves_with_what_it_has() {
    let data = tempfile::tempdir().expect("dir");
    let old = agent(data.path(), &[9]);
    old.shared.take(configuration(7));
    old.park().await;
    agent(data.path(), &[]).shared.take(configuration(9));
    let (first, _keeper) = link();
    old.unpark(first).await;
    assert_eq!(old.configuration().map(|c| c.stamp.generation), Some(7));
    let rejected = old.shared.rejected.lock().expect("lock").clone().expect("told");
    assert_eq!(rejected.stamp.generation, 9);
    assert!(!*old.shared.parked.borrow() && !old.life.driver.is_empty(), "it speaks");
    old.park().await;
    std::fs::write(data.path().join("state/engine/configuration.json"), b"{torn").expect("damage");
    let (second, _keeper) = link();
    old.unpark(second).await;
    assert_eq!(old.configuration().map(|c| c.stamp.generation), Some(7));
    assert!(old.shared.conditions().iter().any(|c| c.text.contains("configuration.json")), "{:?}", old.shared.conditions());
    old.end().await;
}

#[tokio::test]
async fn what_the_worker_before_obeyed_meanwhile_is_taken_up_before_serving() {
    let data = tempfile::tempdir().expect("dir");
    let old = agent(data.path(), &[]);
    old.shared.take(configuration(7));
    let new = agent(data.path(), &[]);
    old.shared.take(configuration(8));
    new.take_up().await;
    assert_eq!(new.configuration().map(|c| c.stamp.generation), Some(8));
}

#[tokio::test]
async fn nobody_is_reached_where_no_manager_is() {
    let data = tempfile::tempdir().expect("dir");
    assert!(!agent(data.path(), &[]).reaches_manager().await);
}
