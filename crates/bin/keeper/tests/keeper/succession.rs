//! A keeper in the place of another: RESTART.

use crate::device::{self, Device, FIRST, Keeper, datagram_answer};
use serde_json::Value;
use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
};

const NEXT: &str = "1.1.0-b1";
const KEEPER: &str = env!("CARGO_BIN_EXE_weir-keeper");

/// A device whose active slot is the next version's, with this keeper in it, and that serves.
fn with_keeper_in_slot(keeper: &Path) -> (Device, Keeper) {
    let device = Device::new();
    let next = device.stage_with(NEXT, &[("weir-keeper", keeper)]);
    let record = device.record();
    let record = record.begin_trial(next.clone(), 1, 1, 1).and_then(|trial| trial.commit(&next)).expect("committed");
    device.write_record(&record);
    let keeper = device.start(&["--drain-ms", "3000"]);
    device.wait_serves(NEXT);
    (device, keeper)
}

/// A keeper of other bytes that does the same: what follows the last section of a program is not loaded.
fn other_keeper(dir: &Path) -> PathBuf {
    let path = dir.join("other-keeper");
    let mut bytes = fs::read(KEEPER).expect("keeper");
    bytes.extend_from_slice(b"another build");
    fs::write(&path, bytes).expect("write");
    path
}

#[test]
fn the_keeper_of_the_slot_takes_the_place_of_the_one_that_runs() {
    let dir = tempfile::tempdir().expect("dir");
    let (device, mut keeper) = with_keeper_in_slot(&other_keeper(dir.path()));
    assert_eq!(device.heard(NEXT)[0], device::own_keeper(0));
    let before = device.answer().pid;
    device.say("restart");
    device.wait_log("keeper started", 2);
    let after = device.wait_serves(NEXT);
    assert_ne!(before, after);
    assert_eq!(device.pid("keeper.pid"), Some(keeper.id()), "the process is the same");
    device.wait_heard(NEXT, "keeper 1.1.0-b1 1", 1);
    assert_eq!(device.log("keeper started")[1]["keeper_version"], NEXT);
    device.wait("the mark is removed", || !device.data().keeper_mark().exists());
    device.wait("it drained as on a signal", || device.read("drained") == "3000");
    keeper.signal("TERM");
    assert_eq!(keeper.exit_code(), Some(0), "arguments and signals are those of before");
    assert_eq!(device.read("drained"), "3000");
}

#[test]
fn no_connection_is_refused_while_one_keeper_takes_the_place_of_another() {
    let dir = tempfile::tempdir().expect("dir");
    let (device, _keeper) = with_keeper_in_slot(&other_keeper(dir.path()));
    let before = device.answer().pid;
    let (begun, done) = (AtomicUsize::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let client = || {
            let mut pids = BTreeSet::from([device.answer().pid]);
            begun.fetch_add(1, Ordering::Relaxed);
            while !done.load(Ordering::Relaxed) {
                pids.insert(device.answer().pid);
            }
            pids.insert(device.answer().pid);
            pids
        };
        let clients = [scope.spawn(client), scope.spawn(client)];
        device.wait("both clients were answered", || begun.load(Ordering::Relaxed) == 2);
        // A datagram that waits meanwhile is answered too.
        device.say("restart");
        device.wait_log("keeper gives way", 1);
        let datagram = device.ask_by_datagram();
        let after = device.wait_serves(NEXT);
        assert_eq!(datagram_answer(&datagram).pid, after);
        done.store(true, Ordering::Relaxed);
        for client in clients {
            let pids = client.join().expect("every connection is answered");
            assert!(pids.contains(&before) && pids.contains(&after), "{pids:?}");
        }
    });
    assert_eq!(device.log("socket of the keeper before not taken"), Vec::<Value>::new());
}

#[test]
fn a_program_that_is_no_keeper_is_tried_once() {
    let dir = tempfile::tempdir().expect("dir");
    let broken = dir.path().join("broken");
    fs::write(&broken, "#!/nonexistent/interpreter\n").expect("write");
    fs::set_permissions(&broken, fs::Permissions::from_mode(0o755)).expect("mode");
    let (device, _keeper) = with_keeper_in_slot(&broken);
    let before = device.answer().pid;
    device.say("restart");
    device.wait_log("keeper does not give way", 1);
    let after = device.wait_serves(NEXT);
    assert_ne!(after, before, "the keeper that runs goes on");
    device.say("restart");
    device.wait_heard(NEXT, "refused RESTART slot_refused", 1);
    assert_eq!(device.answer().pid, after, "its worker is not ended for it again");
    assert!(!device.data().keeper_mark().exists(), "it was not started");
}

#[test]
fn a_keeper_that_is_stopped_before_it_gives_way_leaves_no_mark() {
    let dir = tempfile::tempdir().expect("dir");
    let (device, mut keeper) = with_keeper_in_slot(&other_keeper(dir.path()));
    device.write(&format!("behaviour-{NEXT}"), "never-drains");
    device::kill(device.answer().pid, "KILL");
    device.wait_log("worker started", 2);
    device.wait_serves(NEXT);
    device.say("restart");
    device.wait_log("keeper stops", 1);
    assert!(!device.data().keeper_mark().exists(), "it was not started");
    keeper.signal("TERM");
    assert_eq!(keeper.exit_code(), Some(0));
    assert!(!device.data().keeper_mark().exists());
}

#[test]
fn a_keeper_that_never_had_a_worker_ready_is_not_run_again() {
    let dir = tempfile::tempdir().expect("dir");
    let broken = dir.path().join("broken");
    fs::copy("/bin/false", &broken).expect("a program that ends at once");
    let (device, mut keeper) = with_keeper_in_slot(&broken);
    let worker = device.answer().pid;
    device.say("restart");
    assert_eq!(keeper.exit_code(), Some(1));
    assert!(!device::alive(worker));
    assert!(device.data().keeper_mark().exists());
    // Whoever keeps the device running starts the keeper it knows.
    let _keeper = device.start(&[]);
    device.wait_serves(NEXT);
    device.say("restart");
    device.wait_heard(NEXT, "refused RESTART slot_refused", 1);
    assert!(device.data().keeper_mark().exists(), "the mark of another is left alone");
}

#[test]
fn a_slot_without_a_keeper_has_no_other() {
    let device = Device::new();
    let _keeper = device.start(&[]);
    device.answer();
    assert_eq!(device.heard(FIRST)[0], device::own_keeper(1));
    device.say("restart");
    device.wait_heard(FIRST, "refused RESTART slot_refused", 1);
}
