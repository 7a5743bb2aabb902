//! What an agent does with configurations, without any manager.

use super::*;
use std::path::Path;
use weir_model::{
    OffloadEpoch,
    configuration::{Confirmed, DeviceConfiguration},
};
use weir_net::identity::{Authority, Subject};

fn name() -> DeviceName {
    "east-1".parse().expect("name")
}

pub(crate) fn identity() -> Identity {
    let authority = Authority::create("test", weir_clock::wall()).expect("ca");
    let subject = Subject { device: name().to_string(), role: "engine".into() };
    let pair = authority.issue(&subject, &[], weir_clock::wall()).expect("certificate");
    Identity {
        device: name(),
        role: Role::Engine,
        certificate: pair.certificate_pem,
        key: pair.key_pem,
        ca: authority.certificate_pem().to_owned(),
        manager: "127.0.0.1:1".parse().expect("address"),
        manager_name: "manager-1".parse().expect("name"),
        manager_api: None,
    }
}

pub(crate) fn configuration(generation: u64) -> DeviceConfiguration {
    DeviceConfiguration {
        stamp: Stamp { term: 1, generation },
        device: name(),
        role: Role::Engine,
        location: None,
        managers: Vec::new(),
        profile: Profile::rehearsal(),
        level: None,
        must_understand: Vec::new(),
        confirmed: Confirmed::default(),
        engine_addresses: Vec::new(),
        keepalive_keys: Vec::new(),
        locations: Vec::new(),
        engines: Vec::new(),
        routers: Vec::new(),
        services: Vec::new(),
        zones: Vec::new(),
    }
}

/// A role that refuses the generations in `refused`.
pub(crate) fn hooks(refused: &'static [u64]) -> Hooks {
    Hooks {
        apply: Box::new(|c| if refused.contains(&c.stamp.generation) { Err("no such origin".into()) } else { Ok(()) }),
        load: Box::new(Load::default),
        conditions: Box::new(Vec::new),
        drain: Box::new(|| None),
        served: Box::new(Figures::default),
        make_space: Box::new(|_| 0),
        explain: None,
        routers: None,
        hold: None,
        answers: None,
        #[cfg(feature = "synthetic-next")]
        detailed_responses: None,
    }
}

/// An agent whose role refuses the generations in `refused`.
pub(crate) fn agent(data: &Path, refused: &'static [u64]) -> Agent {
    agent_with(data, hooks(refused))
}

pub(crate) fn agent_with(data: &Path, hooks: Hooks) -> Agent {
    Agent::open(settings(data), hooks).expect("open")
}

pub(crate) fn settings(data: &Path) -> AgentSettings {
    AgentSettings {
        device: name(),
        role: Role::Engine,
        data: DataDirectory::new(data),
        state: state(data),
        identity: identity(),
        listeners: Listeners::default(),
        log: data.join("device.log"),
        worker_crashes: 0,
        last_exit: None,
        keeper_version: None,
        keeper_current: true,
    }
}

fn state(data: &Path) -> DeviceState {
    DeviceState::open(data, name(), Role::Engine).expect("state")
}

fn kept(data: &Path) -> Option<u64> {
    state(data).configuration().expect("readable").map(|c| c.stamp.generation)
}

fn running(agent: &Agent) -> Option<u64> {
    agent.configuration().map(|c| c.stamp.generation)
}

#[test]
fn the_last_good_configuration_runs_without_a_manager() {
    let data = tempfile::tempdir().expect("dir");
    assert_eq!(running(&agent(data.path(), &[])), None);
    agent(data.path(), &[]).shared.take(configuration(7));
    assert_eq!(running(&agent(data.path(), &[])), Some(7));
}

#[test]
fn what_is_not_newer_or_not_ours_changes_nothing() {
    let data = tempfile::tempdir().expect("dir");
    let agent = agent(data.path(), &[]);
    agent.shared.take(configuration(7));
    agent.shared.take(configuration(6));
    agent.shared.take(DeviceConfiguration { profile: Profile::standard(), ..configuration(7) });
    agent.shared.take(DeviceConfiguration { device: "west-1".parse().expect("name"), ..configuration(8) });
    agent.shared.take(DeviceConfiguration { role: Role::Router, ..configuration(8) });
    assert_eq!((running(&agent), kept(data.path())), (Some(7), Some(7)));
    assert_eq!(agent.configuration().expect("runs").profile, Profile::rehearsal());
}

#[test]
fn a_refused_configuration_is_told_and_the_last_good_one_stays() {
    let data = tempfile::tempdir().expect("dir");
    let agent = agent(data.path(), &[8]);
    agent.shared.take(configuration(7));
    agent.shared.take(configuration(8));
    assert_eq!((running(&agent), kept(data.path())), (Some(7), Some(7)));
    let rejected = agent.shared.rejected.lock().expect("lock").clone().expect("told");
    assert_eq!((rejected.stamp.generation, rejected.reason.as_str()), (8, "no such origin"));
    agent.shared.take(configuration(9));
    assert_eq!((running(&agent), kept(data.path())), (Some(9), Some(9)));
    assert_eq!(*agent.shared.rejected.lock().expect("lock"), None);
}

#[test]
fn a_configuration_that_must_be_understood_and_is_not_stays_out_also_when_another_line_kept_it() {
    let data = tempfile::tempdir().expect("dir");
    let first = agent(data.path(), &[]);
    first.shared.take(configuration(7));
    let demanding = DeviceConfiguration { must_understand: vec!["allowed_clients".into()], ..configuration(8) };
    first.shared.take(demanding.clone());
    assert_eq!((running(&first), kept(data.path())), (Some(7), Some(7)));
    let rejected = first.shared.rejected.lock().expect("lock").clone().expect("told");
    assert_eq!(rejected.stamp.generation, 8);
    assert!(rejected.reason.starts_with("field allowed_clients must be understood, and "), "{}", rejected.reason);
    state(data.path()).keep_configuration(&demanding).expect("kept");
    first.shared.take_up();
    assert_eq!(running(&first), Some(7), "the worker of a later line kept it");
    first.shared.take(configuration(9));
    assert_eq!((running(&first), first.shared.rejected.lock().expect("lock").clone()), (Some(9), None));
}

#[test]
fn a_configuration_that_cannot_be_kept_runs_and_is_told() {
    let data = tempfile::tempdir().expect("dir");
    let agent = agent(data.path(), &[]);
    // A directory in the file's place fails the write for every user, root included.
    std::fs::create_dir(data.path().join("state/engine/configuration.json")).expect("make");
    agent.shared.take(configuration(7));
    assert_eq!(running(&agent), Some(7));
    assert_eq!(agent.shared.conditions().first().map(|c| c.reason), Some(AlarmReason::DiskFull));
}

#[test]
fn a_damaged_file_costs_only_itself() {
    let data = tempfile::tempdir().expect("dir");
    agent(data.path(), &[]).shared.take(configuration(7));
    std::fs::write(data.path().join("state/engine/configuration.json"), b"{torn").expect("damage");
    assert_eq!(running(&agent(data.path(), &[])), Some(7), "this line has a copy of its own");
    std::fs::write(state(data.path()).line_path(), b"{torn").expect("damage");
    let again = agent(data.path(), &[]);
    assert_eq!(running(&again), None);
    again.shared.take(configuration(7));
    assert_eq!((running(&again), kept(data.path())), (Some(7), Some(7)));
}

#[test]
fn what_another_line_kept_and_this_one_refuses_is_left_for_its_own() {
    let data = tempfile::tempdir().expect("dir");
    agent(data.path(), &[]).shared.take(configuration(7));
    let other = serde_json::to_vec(&configuration(9)).expect("json");
    std::fs::write(data.path().join("state/engine/configuration.json"), other).expect("as another line does");
    let again = agent(data.path(), &[9]);
    assert_eq!(running(&again), Some(7));
    let rejected = again.shared.rejected.lock().expect("lock").clone().expect("told");
    assert_eq!(rejected.stamp.generation, 9);
}

#[test]
fn a_stamp_is_told_once_its_configuration_is_kept() {
    let data = tempfile::tempdir().expect("dir");
    let agent = agent(data.path(), &[]);
    let (mut running, last) = (agent.shared.running.subscribe(), 50);
    let told = std::thread::scope(|scope| {
        let listener = scope.spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().build().expect("runtime");
            let mut told = Vec::new();
            while told.last().is_none_or(|(stamp, _)| *stamp < last) {
                runtime.block_on(running.changed()).expect("the agent lives");
                let stamp = running.borrow_and_update().as_ref().map_or(0, |c| c.stamp.generation);
                told.push((stamp, kept(data.path()).unwrap_or(0)));
            }
            told
        });
        (1..=last).for_each(|generation| assert!(agent.shared.take(configuration(generation))));
        listener.join().expect("no panic")
    });
    assert!(told.iter().all(|(stamp, kept)| kept >= stamp), "stamp told, stamp on disk: {told:?}");
}

#[test]
fn an_engine_started_anew_goes_on_ramping_and_its_report_says_where_it_is() {
    let data = tempfile::tempdir().expect("dir");
    let entry = |offload| EngineEntry {
        name: name(),
        location: "east".parse().expect("name"),
        http: "127.0.0.1:8080".parse().expect("address"),
        weight: 100,
        offload,
        offload_since_ms: None,
    };
    let with = |generation, offload| {
        let profile = Profile { ramp_ms: 3_600_000, ..Profile::rehearsal() };
        DeviceConfiguration { engines: vec![entry(offload)], profile, ..configuration(generation) }
    };
    let share = |agent: &Agent| crate::report::compose(&agent.shared).share_permille.expect("an engine's");
    let first = agent(data.path(), &[]);
    first.shared.take(with(7, None));
    assert_eq!(share(&first), 1000);
    first.shared.take(with(8, Some(OffloadEpoch::Clients)));
    assert_eq!(share(&agent(data.path(), &[])), 1000, "offloaded");
    first.shared.take(with(9, None));
    assert!((100..200).contains(&share(&first)));
    let second = agent(data.path(), &[]);
    assert!((100..200).contains(&share(&second)), "{}", share(&second));
    let back_ms = weir_clock::wall_ms() - 1_800_000;
    std::fs::write(data.path().join("state/engine/returned.json"), back_ms.to_string()).expect("as if half an hour had passed");
    assert!((550..650).contains(&share(&agent(data.path(), &[]))));
    std::fs::write(data.path().join("state/engine/returned.json"), b"{torn").expect("damage");
    assert_eq!(share(&agent(data.path(), &[])), 1000);
}

/// A named pipe in the place of a file keeps whoever writes it waiting.
#[tokio::test]
async fn a_ramp_begins_at_once_and_is_kept_beside_the_runtime() {
    let data = tempfile::tempdir().expect("dir");
    let agent = agent(data.path(), &[]);
    let file = state(data.path()).dir().join("returned.json.new");
    rustix::fs::mknodat(rustix::fs::CWD, &file, rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU, 0).expect("a pipe");
    let (asked, hears) = std::sync::mpsc::sync_channel(1);
    let reader = std::thread::spawn(move || {
        hears.recv_timeout(Duration::from_secs(5)).ok();
        std::fs::File::options().read(true).write(true).open(file).expect("opened")
    });
    let mut begins = std::pin::pin!(agent.shared.begin_ramp());
    let is_pending = std::future::poll_fn(|context| std::task::Poll::Ready(begins.as_mut().poll(context).is_pending())).await;
    assert!(is_pending, "the runtime waits for no disk");
    assert!(agent.shared.share_permille() < 1000);
    asked.send(()).expect("heard");
    let _open = reader.join().expect("opened");
    begins.await;
}
