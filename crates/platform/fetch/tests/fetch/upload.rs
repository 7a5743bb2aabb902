//! What is sent by PUT, and where it may go.

use crate::server::{Server, send, wait_for_the_end};
use std::io::{Read, Write};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;
use weir_fetch::{Credentials, Limits, PutError, Source, put};
use weir_model::{FetchReason, SourceAllow};

fn limits() -> Limits {
    Limits { total: Duration::from_secs(20), ..Limits::for_archives(1 << 20) }
}

fn file(bytes: &[u8]) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().expect("file");
    file.write_all(bytes).expect("written");
    file
}

fn loopback() -> SourceAllow {
    SourceAllow(vec!["127.0.0.0/8".parse().expect("network")])
}

fn source(url: String) -> Source {
    let value = "Bearer t0".to_owned().into();
    Source { url, credentials: Credentials::Header { name: "Authorization".into(), value } }
}

/// A server that takes `length` bytes of a body and answers with a status.
fn taking(length: usize, status: &'static str) -> (Server, Arc<Mutex<Vec<u8>>>) {
    let taken = Arc::new(Mutex::new(Vec::new()));
    let into = Arc::clone(&taken);
    let server = Server::http(move |_, stream| {
        let mut body = vec![0; length];
        stream.read_exact(&mut body).expect("a body");
        *into.lock().expect("whole") = body;
        send(stream, format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n").as_bytes());
    });
    (server, taken)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_sent_whole() {
    let bytes: Vec<u8> = (0..300_000_u32).map(|at| u8::try_from(at % 251).expect("small")).collect();
    let (server, taken) = taking(bytes.len(), "201 Created");
    put(&source(server.url("/backups/a.weirbackup")), &loopback(), &limits(), file(&bytes).path()).await.expect("taken");
    assert_eq!(*taken.lock().expect("whole"), bytes);
    let [request] = server.requests().try_into().expect("one request");
    let request = request.to_lowercase();
    assert!(request.starts_with("put /backups/a.weirbackup http/1.1\r\n"), "{request}");
    for line in ["authorization: bearer t0", "content-length: 300000"] {
        assert!(request.contains(&format!("\r\n{line}\r\n")), "{request}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_does_not_take_it_says_so() {
    let table = [
        ("403 Forbidden", FetchReason::Unauthorized),
        ("404 Not Found", FetchReason::FileNotFound),
        ("500 Fault", FetchReason::HttpStatus),
        ("307 Elsewhere\r\nLocation: /b", FetchReason::HttpStatus),
    ];
    for (status, expected) in table {
        let (server, _) = taking(3, status);
        let refused = put(&source(server.url("/a")), &loopback(), &limits(), file(b"abc").path()).await;
        let Err(PutError::Target { reason, detail }) = refused else { panic!("{status}: {refused:?}") };
        assert_eq!(reason, expected, "{detail}");
        assert!(!detail.contains("t0"), "{detail}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_tls_it_goes_to_allowed_networks_alone() {
    let (server, _) = taking(3, "200 OK");
    let refused = put(&source(server.url("/a")), &SourceAllow::default(), &limits(), file(b"abc").path()).await;
    assert!(matches!(refused, Err(PutError::Target { reason: FetchReason::PrivateTarget, .. })), "{refused:?}");
    let public = put(&source("http://192.0.2.1/a".into()), &SourceAllow::default(), &limits(), file(b"abc").path()).await;
    let Err(PutError::Target { detail, .. }) = public else { panic!("{public:?}") };
    assert!(!detail.contains("answered"), "{detail}");
    assert!(server.requests().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stands_still_is_given_up_long_before_all_the_time_is_over() {
    let limits = || Limits { idle: Duration::from_millis(300), slowest: u64::MAX, ..limits() };
    let stalled = |result: Result<(), PutError>| match result {
        Err(PutError::Target { reason: FetchReason::Timeout, detail }) => assert!(detail.contains("took nothing more"), "{detail}"),
        other => panic!("{other:?}"),
    };
    // It takes nothing: more than any buffer on the way holds.
    let (end, wait) = mpsc::sync_channel::<()>(0);
    let server = Server::http(move |_, _| {
        let _ended = wait.recv();
    });
    let large = file(b"");
    large.as_file().set_len(64 << 20).expect("sparse");
    stalled(put(&source(server.url("/a")), &loopback(), &limits(), large.path()).await);
    drop(end);
    // It takes everything and does not answer.
    let silent = Server::http(|_, stream| wait_for_the_end(stream));
    stalled(put(&source(silent.url("/a")), &loopback(), &limits(), file(b"abc").path()).await);
}
