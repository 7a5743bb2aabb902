//! What an agent does with configurations, without any manager.

use super::*;
use std::path::Path;
use weir_model::configuration::DeviceConfiguration;
use weir_net::identity::{Authority, Subject};

fn name() -> DeviceName {
    "east-1".parse().expect("name")
}

fn identity() -> Identity {
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
        explain: None,
        routers: None,
    }
}

/// An agent whose role refuses the generations in `refused`.
pub(crate) fn agent(data: &Path, refused: &'static [u64]) -> Agent {
    agent_with(data, hooks(refused))
}

pub(crate) fn agent_with(data: &Path, hooks: Hooks) -> Agent {
    let settings = AgentSettings {
        device: name(),
        role: Role::Engine,
        state: state(data),
        identity: identity(),
        listeners: Listeners::default(),
        log: data.join("device.log"),
        worker_crashes: 0,
        last_exit: None,
    };
    Agent::open(settings, hooks).expect("open")
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
    let again = agent(data.path(), &[]);
    assert_eq!(running(&again), None);
    again.shared.take(configuration(7));
    assert_eq!((running(&again), kept(data.path())), (Some(7), Some(7)));
}
