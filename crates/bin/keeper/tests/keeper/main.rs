//! The keeper as a process, with a fake worker, over real sockets.

mod committed;
mod device;
mod handover;
mod succession;

use device::{Device, free_address};
use std::{fs, net::TcpListener};

#[test]
fn a_worker_is_started_accepts_and_drains_on_sigterm() {
    let device = Device::new();
    let mut keeper = device.start(&["--drain-ms", "3000"]);
    let answer = device.answer();
    assert_eq!((answer.crashes, answer.last_exit.as_str()), (0, "none"));
    assert_eq!(device.pid("worker.pid"), Some(answer.pid));
    assert_eq!(device.pid("keeper.pid"), Some(keeper.id()));
    keeper.signal("TERM");
    assert_eq!(keeper.exit_code(), Some(0));
    assert_eq!(device.read("drained"), "3000");
    assert_eq!((device.pid("worker.pid"), device.pid("keeper.pid")), (None, None));
    assert!(!device::alive(answer.pid));
}

#[test]
fn a_connection_queued_while_no_worker_runs_is_served_by_the_next() {
    let device = Device::new();
    let _keeper = device.start(&[]);
    let first = device.answer();
    device::kill(first.pid, "STOP");
    let queued = device.connect();
    device::kill(first.pid, "KILL");
    let second = device::answer_of(queued);
    assert_ne!(second.pid, first.pid);
    assert_eq!((second.crashes, second.last_exit.as_str()), (1, "signal 9"));
}

#[test]
fn crashes_are_waited_out_longer_each_time_and_counted() {
    let device = Device::new();
    let _keeper = device.start(&[]);
    for crashes in 0..4 {
        let answer = device.answer();
        assert_eq!(answer.crashes, crashes);
        device.write("crash", "");
        device.wait_log("worker starts again", crashes as usize + 1);
    }
    assert_eq!(device.answer().last_exit, "code 7");
    let waits: Vec<u64> = device.log("worker starts again").iter().map(|line| line["wait_ms"].as_u64().expect("wait")).collect();
    assert_eq!(waits, [100, 200, 400, 800]);
}

#[test]
fn a_worker_that_is_never_ready_is_killed_and_counted() {
    let device = Device::new();
    device.write("behaviour", "never-ready");
    let _keeper = device.start(&["--ready-ms", "200"]);
    device.wait_log("worker starts again", 1);
    assert_eq!(device.log("worker killed")[0]["reason"], "not_ready");
    device.write("behaviour", "");
    let answer = device.answer();
    assert!(answer.crashes >= 1);
    assert_eq!(answer.last_exit, "signal 9");
}

#[test]
fn a_misconfigured_worker_is_not_started_in_haste() {
    let device = Device::new();
    device.write("behaviour", "misconfigured");
    let mut keeper = device.start(&[]);
    device.wait_log("worker starts again", 1);
    assert_eq!(device.log("worker starts again")[0]["wait_ms"], 5000);
    keeper.signal("TERM");
    assert_eq!(keeper.exit_code(), Some(0), "a keeper that waits stops at once");
}

#[test]
fn a_worker_that_does_not_drain_is_killed_and_a_second_signal_hurries() {
    let device = Device::new();
    device.write("behaviour", "never-drains");
    let mut keeper = device.start(&["--drain-ms", "100"]);
    let pid = device.answer().pid;
    keeper.signal("INT");
    assert_eq!(keeper.exit_code(), Some(0));
    assert_eq!(device.log("worker killed")[0]["reason"], "stop_overdue");
    assert!(!device::alive(pid));

    let mut keeper = device.start(&["--drain-ms", "60000"]);
    device.answer();
    keeper.signal("TERM");
    device.wait_log("worker drains", 2);
    keeper.signal("TERM");
    assert_eq!(keeper.exit_code(), Some(0));
    assert_eq!(device.log("worker killed")[1]["reason"], "second_signal");
}

#[test]
fn a_closed_lifeline_stops_worker_and_keeper() {
    let device = Device::new();
    let mut keeper = device.start(&["--lifeline"]);
    let pid = device.answer().pid;
    keeper.close_lifeline();
    assert_eq!(keeper.exit_code(), Some(0));
    assert_eq!(device.read("drained"), "2000");
    assert!(!device::alive(pid));
}

#[test]
fn a_killed_keeper_is_noticed_by_its_worker_and_the_next_binds_again() {
    let device = Device::new();
    let mut keeper = device.start(&[]);
    let pid = device.answer().pid;
    keeper.signal("KILL");
    assert_eq!(keeper.exit_code(), None);
    device.wait("the worker notices", || device.exists("closed"));
    device.wait("the worker ends", || !device::alive(pid));
    let _again = device.start(&[]);
    assert_ne!(device.answer().pid, pid);
}

#[test]
fn a_second_keeper_is_refused_and_names_the_first() {
    let device = Device::new();
    let first = device.start(&[]);
    device.answer();
    let mut second = device.start(&[]);
    assert_eq!(second.exit_code(), Some(78));
    assert!(second.stderr().contains(&format!("process {}", first.id())), "{}", second.stderr());
    assert_eq!(device.pid("keeper.pid"), Some(first.id()), "the first keeps its files");
}

#[test]
fn a_taken_address_names_its_holder() {
    let device = Device::new();
    let held = TcpListener::bind(device.address).expect("hold");
    let mut keeper = device.start(&["--bind-retry-ms", "300"]);
    assert_eq!(keeper.exit_code(), Some(78));
    let stderr = keeper.stderr();
    assert!(stderr.contains("in use") && stderr.contains(&format!("process {}", std::process::id())), "{stderr}");
    drop(held);
    let _keeper = device.start(&[]);
    device.answer();
}

#[test]
fn an_address_that_becomes_free_in_time_is_taken() {
    let device = Device::new();
    let held = TcpListener::bind(device.address).expect("hold");
    let _keeper = device.start(&[]);
    device.wait_log("listener waits for its address", 1);
    drop(held);
    device.answer();
}

#[test]
fn a_keeper_that_waits_for_an_address_stops_when_told() {
    let device = Device::new();
    let _held = TcpListener::bind(device.address).expect("hold");
    let mut keeper = device.start(&[]);
    device.wait_log("listener waits for its address", 1);
    keeper.signal("TERM");
    assert_eq!(keeper.exit_code(), Some(0));
}

#[test]
fn a_changed_slot_is_not_started() {
    let device = Device::new();
    device.damage_program();
    let mut keeper = device.start(&[]);
    assert_eq!(keeper.exit_code(), Some(78));
    assert!(keeper.stderr().contains("install the release again"), "{}", keeper.stderr());
    assert!(device.log("worker started").is_empty());
}

#[test]
fn a_listener_asked_for_is_passed_recorded_and_bound_first_after_a_restart() {
    let device = Device::new();
    let later = free_address();
    device.write("behaviour", "asks");
    device.write("ask", &later.to_string());
    let mut keeper = device.start(&[]);
    device.answer();
    let pid = device::answer_of(device.connect_to(later)).pid;
    keeper.signal("TERM");
    assert_eq!(keeper.exit_code(), Some(0));
    device.write("behaviour", "");
    let _keeper = device.start(&[]);
    let answer = device::answer_of(device.connect_to(later));
    assert_ne!(answer.pid, pid);
}

#[test]
fn a_listener_that_cannot_be_bound_is_refused_to_the_worker() {
    let device = Device::new();
    let held = TcpListener::bind(free_address()).expect("hold");
    device.write("behaviour", "asks");
    device.write("ask", &held.local_addr().expect("address").to_string());
    let _keeper = device.start(&[]);
    device.wait("the refusal", || device.read("refused").contains("process"));
    let refused = device.read("refused");
    assert!(refused.starts_with("BIND address_in_use") && refused.contains(&std::process::id().to_string()), "{refused}");
}

#[test]
fn what_is_wrong_with_the_start_is_told() {
    let cases: [(&[&str], i32, &str); 3] = [
        (&[], 64, "--data"),
        (&["--data", "/nonexistent/d"], 78, "/nonexistent/d/device.toml"),
        (&["--data", "d", "--loud"], 64, "--loud"),
    ];
    for (arguments, code, named) in cases {
        let mut keeper = device::Keeper::start(arguments);
        assert_eq!(keeper.exit_code(), Some(code), "{arguments:?}");
        assert!(keeper.stderr().contains(named), "{}", keeper.stderr());
    }
    let device = Device::new();
    fs::write(device.path("device.toml"), "name = \"d\"\nrole = \"cache\"\n").expect("device.toml");
    let mut keeper = device.start(&[]);
    assert_eq!(keeper.exit_code(), Some(78));
    assert!(keeper.stderr().contains("device.toml:2: `role`"), "{}", keeper.stderr());
}
