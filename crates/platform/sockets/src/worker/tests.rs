//! The worker's half against a keeper played by the test.

use super::*;
use crate::bind::bind;
use std::os::fd::BorrowedFd;
use weir_keeper_api::encode;

const PATIENCE: Option<Duration> = Some(Duration::from_secs(5));

fn listener(name: &str, proto: Proto, count: u16) -> (ListenerSpec, Vec<OwnedFd>) {
    let address = "127.0.0.1:0".parse().expect("address");
    bind(&ListenerSpec { name: name.parse().expect("name"), proto, address, count }).expect("bind")
}

fn pass(keeper: &ControlSocket, listener: &ListenerSpec, sockets: &[OwnedFd]) {
    for (index, socket) in (0..).zip(sockets) {
        keeper.tell(&Message::BindPassed { listener: listener.clone(), index }, &[socket.as_fd()]).expect("pass");
    }
}

fn heard(keeper: &ControlSocket) -> Message {
    decode(&keeper.recv(PATIENCE).expect("an answer").bytes).expect("a message")
}

/// A worker that has adopted nothing.
fn started() -> (ControlSocket, WorkerControl) {
    let (keeper, end) = ControlSocket::pair().expect("pair");
    keeper.tell(&Message::BindDone { listeners: 0 }, &[]).expect("done");
    (keeper, WorkerControl::connect(end).expect("connect").0)
}

#[test]
fn listeners_are_adopted_whole() {
    let (keeper, end) = ControlSocket::pair().expect("pair");
    let (http, http_sockets) = listener("http", Proto::Tcp, 2);
    let (dns, dns_sockets) = listener("dns", Proto::Udp, 1);
    pass(&keeper, &http, &http_sockets);
    pass(&keeper, &dns, &dns_sockets);
    keeper.tell(&Message::BindDone { listeners: 2 }, &[]).expect("done");
    let (mut control, adopted) = WorkerControl::connect(end).expect("connect");
    assert_eq!(adopted.iter().map(|a| a.listener.clone()).collect::<Vec<_>>(), [http.clone(), dns]);
    let AdoptedSockets::Tcp(streams) = &adopted[0].sockets else { panic!("streams") };
    assert!(streams.iter().all(|s| s.local_addr().expect("address") == http.address));
    assert_eq!(streams.len(), 2);

    let (later, later_sockets) = listener("later", Proto::Tcp, 2);
    control.sender().bind(&later).expect("ask");
    assert_eq!(heard(&keeper), Message::BindRequest(later.clone()));
    pass(&keeper, &later, &later_sockets);
    keeper.tell(&Message::BindDone { listeners: 1 }, &[]).expect("done");
    let Some(Event::Bound(bound)) = control.next(PATIENCE).expect("event") else { panic!("bound") };
    assert_eq!(bound.listener, later);
}

#[test]
fn a_broken_series_of_listeners_is_refused() {
    let (http, sockets) = listener("http", Proto::Tcp, 2);
    let passed = |index| encode(&Message::BindPassed { listener: http.clone(), index });
    let done = |listeners| encode(&Message::BindDone { listeners });
    let with = |bytes| (bytes, true);
    let without = |bytes| (bytes, false);
    let series = [
        vec![with(passed(1))],
        vec![without(passed(0))],
        vec![with(passed(0)), without(done(1))],
        vec![without(done(1))],
        vec![without(b"ACCEPT".to_vec())],
        vec![without(b"HELLO".to_vec())],
    ];
    for steps in series {
        let (keeper, end) = ControlSocket::pair().expect("pair");
        for (bytes, socket) in &steps {
            let beside: Vec<BorrowedFd<'_>> = if *socket { vec![sockets[0].as_fd()] } else { vec![] };
            keeper.send(bytes, &beside).expect("send");
        }
        drop(keeper);
        let error = WorkerControl::connect(end).expect_err("a broken series");
        assert!(!matches!(error, ControlError::Closed | ControlError::Io(_)), "{steps:?}: {error}");
    }
}

#[test]
fn what_the_keeper_says_becomes_events() {
    let (keeper, mut control) = started();
    control.sender().ready("1.0.0-b1").expect("ready");
    assert_eq!(heard(&keeper), Message::Ready { protocol: PROTOCOL, version: Text::new("1.0.0-b1") });
    for message in [Message::Accept, Message::Stop, Message::Drain { deadline_ms: 1500 }, Message::Exit] {
        keeper.tell(&message, &[]).expect("tell");
    }
    let mut next = || control.next(PATIENCE).expect("event").expect("in time");
    assert!(matches!(next(), Event::Accept));
    assert!(matches!(next(), Event::Stop));
    assert!(matches!(next(), Event::Drain { deadline } if deadline == Duration::from_millis(1500)));
    keeper.tell(&Message::Park, &[]).expect("park");
    keeper.tell(&Message::Unpark, &[]).expect("unpark");
    keeper.tell(&Message::Slots { seq: 7, parked: true }, &[]).expect("slots");
    assert!(matches!(next(), Event::Exit));
    assert!(matches!(next(), Event::Park));
    assert!(matches!(next(), Event::Unpark));
    assert!(matches!(next(), Event::Slots { seq: 7, parked: true }));
    drop(keeper);
    assert!(matches!(next(), Event::Closed));
}

#[test]
fn what_cannot_be_carried_out_is_answered() {
    let (keeper, mut control) = started();
    let cases: [(&[u8], &str, Reason); 4] = [
        (b"SWITCH version=1", "SWITCH", Reason::Malformed),
        (b"SING loud=1", "SING", Reason::UnknownVerb),
        (b"DRAIN deadline_ms=soon", "DRAIN", Reason::Malformed),
        (b"READY protocol=1 version=1", "READY", Reason::OutOfOrder),
    ];
    for (bytes, expected_verb, expected_reason) in cases {
        keeper.send(bytes, &[]).expect("send");
        assert!(control.next(Some(Duration::from_millis(1))).expect("nothing to follow").is_none());
        let Message::Err { verb, reason, .. } = heard(&keeper) else { panic!("an ERR") };
        assert_eq!((verb.as_str(), reason), (expected_verb, expected_reason));
    }
    keeper.send(b"ERR verb=STOP reason=no%20such detail=x", &[]).expect("send");
    assert!(control.next(Some(Duration::from_millis(1))).expect("nothing to follow").is_none());
    assert!(matches!(keeper.recv(Some(Duration::from_millis(20))), Err(ControlError::TimedOut(_))), "an ERR is never answered");
}

#[test]
fn standard_input_that_is_no_control_socket_is_refused() {
    let (end, _other) = rustix::pipe::pipe().expect("pipe");
    assert!(matches!(WorkerControl::connect(end), Err(ControlError::Io(_))));
}
