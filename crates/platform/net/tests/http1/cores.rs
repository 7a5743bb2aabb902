//! Data threads that do not get going, or end early.

use crate::server::{Client, DEADLINE, Probe};
use std::{
    fs::File,
    net::{Shutdown, TcpListener},
    os::fd::OwnedFd,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};
use weir_net::{
    cores::{self, Cores, EarlyEnd},
    http1::{Body, Gate, Limits, Phase, Request, ResponseHead, Service},
};

fn ended(cores: &Cores) -> EarlyEnd {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async { tokio::time::timeout(DEADLINE, cores.ended()).await.expect("told in time") })
}

fn listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").expect("a free port")
}

#[test]
fn a_socket_that_cannot_be_taken_over_is_told_at_once() {
    let file: OwnedFd = File::open("/dev/zero").expect("a file that is no socket").into();
    let gate = Gate::new();
    let probe = Probe::default();
    cores::spawn("test", vec![listener(), TcpListener::from(file)], &probe, &Limits::default(), &gate).expect_err("no socket");
    assert_eq!(gate.phase(), Phase::Closed);
}

#[test]
fn a_thread_whose_socket_fails_is_told_while_the_others_serve() {
    let (good, bad) = (listener(), listener());
    let address = good.local_addr().expect("bound");
    let handle = socket2::Socket::from(bad.try_clone().expect("a second handle"));
    let gate = Gate::new();
    gate.accept();
    let cores = cores::spawn("test", vec![good, bad], &Probe::default(), &Limits::default(), &gate).expect("threads start");
    handle.shutdown(Shutdown::Both).expect("shut down");
    let end = ended(&cores);
    assert!(matches!(&end, EarlyEnd::Failed { thread, .. } if thread == "test-1"), "{end}");
    let mut client = Client::connect(address);
    client.send("GET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.response().1, "hello");
    gate.close();
    assert_eq!(cores.join().expect_err("told again").to_string(), end.to_string());
}

/// Panics where no task catches it: when a connection is made.
struct Fragile(Arc<AtomicBool>);

impl Clone for Fragile {
    fn clone(&self) -> Self {
        assert!(!self.0.load(Ordering::SeqCst), "asked to panic");
        Self(self.0.clone())
    }
}

impl Service for Fragile {
    async fn respond(&self, _: &Request<'_>, _: &mut ResponseHead<'_>) -> Body {
        Body::Empty
    }
}

#[test]
fn a_thread_that_panics_is_told() {
    let socket = listener();
    let address = socket.local_addr().expect("bound");
    let (gate, armed) = (Gate::new(), Arc::new(AtomicBool::new(false)));
    let cores = cores::spawn("test", vec![socket], &Fragile(armed.clone()), &Limits::default(), &gate).expect("threads start");
    armed.store(true, Ordering::SeqCst);
    gate.accept();
    assert_eq!(Client::connect(address).until_gone().0, "");
    assert_eq!(ended(&cores).to_string(), "data thread test-0 panicked");
    cores.join().expect_err("told again");
}
