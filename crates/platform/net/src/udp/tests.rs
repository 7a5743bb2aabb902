//! Real sockets: what is asked is answered, in every phase of the gate.

use super::*;
use std::{collections::BTreeSet, time::Instant};

/// Nothing here takes longer than a scheduling delay.
const DEADLINE: Duration = Duration::from_secs(10);

fn bind(address: &str) -> (UdpSocket, SocketAddr) {
    let socket = UdpSocket::bind(address).expect("bind");
    let address = socket.local_addr().expect("bound");
    (socket, address)
}

fn client(address: &str) -> UdpSocket {
    let (socket, _) = bind(address);
    socket.set_read_timeout(Some(DEADLINE)).expect("timeout");
    socket
}

/// Answers with the datagram reversed; says nothing to "quiet" and panics at "panic".
fn reverse(datagram: &[u8], _: SocketAddr, answer: &mut Vec<u8>) {
    assert_ne!(datagram, b"panic", "asked to");
    if datagram != b"quiet" {
        answer.extend(datagram.iter().rev());
    }
}

fn start(address: &str) -> (Threads, Gate, SocketAddr) {
    let (socket, address) = bind(address);
    let gate = Gate::new();
    let threads = serve("test", vec![socket], &gate, &reverse).expect("started");
    (threads, gate, address)
}

fn ask(client: &UdpSocket, server: SocketAddr, text: &str) -> String {
    client.send_to(text.as_bytes(), server).expect("sent");
    let mut buffer = [0; 9000];
    let (length, from) = client.recv_from(&mut buffer).expect("an answer");
    assert_eq!(from, server, "from the address asked");
    String::from_utf8(buffer[..length].to_vec()).expect("text")
}

fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let begun = weir_clock::monotonic();
    while !condition() {
        assert!(begun.elapsed() < DEADLINE, "not in time: {what}");
        std::thread::yield_now();
    }
}

#[test]
fn both_families_are_answered_from_the_address_asked() {
    for host in ["127.0.0.1:0", "[::1]:0"] {
        let (threads, gate, server) = start(host);
        assert_eq!(threads.len(), 1);
        gate.accept();
        let client = client(host);
        for text in ["abc", "de", &"long ".repeat(200)] {
            assert_eq!(ask(&client, server, text), text.chars().rev().collect::<String>());
        }
    }
}

#[test]
fn a_burst_is_taken_in_batches_and_every_one_answered() {
    let (threads, gate, server) = start("127.0.0.1:0");
    let client = client("127.0.0.1:0");
    let texts: BTreeSet<String> = (100..220).map(|number| number.to_string()).collect();
    // The gate holds, so the burst waits in the socket and is there as a whole when it opens.
    for text in &texts {
        client.send_to(text.as_bytes(), server).expect("sent");
    }
    gate.accept();
    let mut answers = BTreeSet::new();
    let mut buffer = [0; 16];
    while answers.len() < texts.len() {
        let length = client.recv(&mut buffer).expect("an answer");
        answers.insert(buffer[..length].iter().rev().map(|byte| char::from(*byte)).collect::<String>());
    }
    assert_eq!(answers, texts);
    let counts = threads.counts();
    until("counted", || counts.read().sent == 120);
    let traffic = counts.read();
    assert_eq!((traffic.received, traffic.unsent, traffic.batches), (120, 0, 2));
}

#[test]
fn silence_panics_and_giants_cost_nobody_else_anything() {
    let (threads, gate, server) = start("127.0.0.1:0");
    gate.accept();
    let client = client("127.0.0.1:0");
    for text in ["quiet", "panic", &"x".repeat(DATAGRAM_BYTES_MAX + 1)] {
        client.send_to(text.as_bytes(), server).expect("sent");
    }
    assert_eq!(ask(&client, server, "ab"), "ba", "the first answer is that of the last question");
    assert_eq!(ask(&client, server, &"y".repeat(DATAGRAM_BYTES_MAX)), "y".repeat(DATAGRAM_BYTES_MAX));
    let counts = threads.counts();
    until("counted", || counts.read().sent == 2);
    let traffic = counts.read();
    assert_eq!((traffic.received, traffic.panics, traffic.oversized, traffic.unsent), (5, 1, 1, 0));
}

#[test]
fn a_stopped_reader_leaves_datagrams_to_the_other_and_resumes() {
    let (socket, server) = bind("127.0.0.1:0");
    let other = socket.try_clone().expect("the same socket, as another worker has it");
    let (old, new) = (Gate::new(), Gate::new());
    let old_threads = serve("old", vec![socket], &old, &reverse).expect("started");
    let new_threads = serve("new", vec![other], &new, &reverse).expect("started");
    let client = client("127.0.0.1:0");
    old.accept();
    assert_eq!(ask(&client, server, "ab"), "ba");
    until("counted", || old_threads.counts().read().received == 1);
    assert_eq!(new_threads.counts().read().received, 0);
    old.stop();
    // What comes while nobody reads is not lost.
    let until_stopped = weir_clock::monotonic();
    until("the old reader has seen the stop", || until_stopped.elapsed() > RECEIVE_WAIT * 2);
    client.send_to(b"cd", server).expect("sent");
    new.accept();
    let mut buffer = [0; 2];
    client.recv(&mut buffer).expect("an answer");
    assert_eq!(&buffer, b"dc");
    until("counted", || new_threads.counts().read().received == 1);
    new.close();
    old.accept();
    drop(new_threads);
    assert_eq!(ask(&client, server, "ef"), "fe");
    until("counted", || old_threads.counts().read().received == 2);
}

#[test]
fn threads_end_soon() {
    let took = |begun: Instant| assert!(begun.elapsed() < RECEIVE_WAIT * 10, "took {:?}", begun.elapsed());
    let (threads, gate, _) = start("127.0.0.1:0");
    gate.accept();
    let begun = weir_clock::monotonic();
    drop(threads);
    took(begun);
    let (threads, gate, _) = start("127.0.0.1:0");
    gate.accept();
    let begun = weir_clock::monotonic();
    gate.close();
    until("ended", || threads.handles.iter().all(JoinHandle::is_finished));
    took(begun);
}
