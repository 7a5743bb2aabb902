//! A worker for the keeper's tests: answers every connection with who it is, and misbehaves as `<data>/behaviour` says.

use std::{
    collections::BTreeSet,
    env, fs,
    io::Write,
    net::TcpListener,
    path::{Path, PathBuf},
    process::exit,
    time::Duration,
};
use weir_keeper_api::{ListenerSpec, Proto};
use weir_sockets::{AdoptedSockets, ControlSender, Event, WorkerControl};

/// How often the fake looks at its listeners and at the control socket in turn.
const TURN: Duration = Duration::from_millis(5);

fn main() {
    let data = PathBuf::from(env::args().nth(3).expect("worker --data DIR"));
    let behaviour = fs::read_to_string(data.join("behaviour")).unwrap_or_default();
    let behaviour: BTreeSet<&str> = behaviour.split_whitespace().collect();
    if behaviour.contains("misconfigured") {
        exit(78);
    }
    let (mut control, adopted) = WorkerControl::from_stdin().expect("control socket");
    let mut listeners: Vec<TcpListener> = adopted.into_iter().flat_map(|a| streams(a.sockets)).collect();
    if behaviour.contains("never-ready") {
        while !matches!(control.next(None), Ok(Some(Event::Closed | Event::Exit))) {}
        exit(0);
    }
    let sender = control.sender();
    sender.ready("1.0.0-b1").expect("ready");
    if behaviour.contains("asks") {
        ask(&data, &sender);
    }
    let mut accepting = false;
    loop {
        match control.next(Some(TURN)).expect("control socket") {
            Some(Event::Accept) => accepting = true,
            Some(Event::Stop) => accepting = false,
            Some(Event::Drain { .. }) if behaviour.contains("never-drains") => sender.draining(1).expect("draining"),
            Some(Event::Drain { deadline }) => {
                note(&data, "drained", &deadline.as_millis().to_string());
                sender.draining(0).expect("draining");
                exit(0);
            }
            Some(Event::Exit) => exit(0),
            Some(Event::Closed) => {
                note(&data, "closed", "the keeper is gone");
                exit(0);
            }
            Some(Event::Bound(bound)) => listeners.extend(streams(bound.sockets)),
            Some(Event::Refused { verb, reason, detail }) => note(&data, "refused", &format!("{verb} {reason} {detail}")),
            Some(Event::Unbound(_) | Event::Park | Event::Unpark | Event::Parked(_) | Event::Slots { .. }) | None => {}
        }
        if accepting {
            serve(&listeners, &data);
        }
    }
}

fn streams(sockets: AdoptedSockets) -> Vec<TcpListener> {
    match sockets {
        AdoptedSockets::Tcp(listeners) => listeners,
        AdoptedSockets::Udp(_) => Vec::new(),
    }
}

/// Asks for the listener `<data>/ask` names.
fn ask(data: &Path, sender: &ControlSender) {
    let address = fs::read_to_string(data.join("ask")).expect("ask").trim().parse().expect("an address");
    let listener = ListenerSpec { name: "later".parse().expect("name"), proto: Proto::Tcp, address, count: 1 };
    sender.bind(&listener).expect("ask");
}

fn serve(listeners: &[TcpListener], data: &Path) {
    for listener in listeners {
        if data.join("crash").exists() {
            fs::remove_file(data.join("crash")).expect("crash once");
            exit(7);
        }
        if let Ok((mut connection, _)) = listener.accept() {
            let crashes = env::var("WEIR_WORKER_CRASHES").unwrap_or_default();
            let last = env::var("WEIR_LAST_EXIT").unwrap_or_else(|_| "none".to_owned());
            connection.write_all(format!("{} {crashes} {last}\n", std::process::id()).as_bytes()).expect("answer");
        }
    }
}

fn note(data: &Path, name: &str, text: &str) {
    fs::write(data.join(name), text).expect("note");
}
