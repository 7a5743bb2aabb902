//! TLS, with the system's trusted certificates. Those are named by `SSL_CERT_FILE`, so each test runs itself again with a file of its own.

use crate::{
    run::Run,
    server::{Server, ok, redirect, request, send, wait_for_the_end},
};
use rcgen::{CertifiedKey, KeyPair};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::{net::TcpStream, path::Path, process::Command, sync::Arc, time::Duration};
use weir_fetch::Credentials;
use weir_model::{FetchReason, SoftwareCheck};
use weir_net::tls::{ClientAuth, server_config};

const CHILD: &str = "WEIR_FETCH_TEST_CERTIFICATE";

fn certificate(names: &[&str]) -> (String, String) {
    let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
    let CertifiedKey { cert, signing_key } = rcgen::generate_simple_self_signed(names).expect("a certificate");
    (cert.pem(), KeyPair::serialize_pem(&signing_key))
}

/// Runs `test` in a process that trusts a certificate, which it is given with its key.
fn with_trust<F: Future<Output = ()>>(name: &str, names: &[&str], test: impl FnOnce(Arc<ServerConfig>) -> F) {
    if let Some(directory) = std::env::var_os(CHILD) {
        let read = |name| std::fs::read_to_string(Path::new(&directory).join(name)).expect("a file");
        let config = server_config(&read("certificate.pem"), &read("key.pem"), ClientAuth::None, &[]).expect("a configuration");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        return runtime.block_on(test(config));
    }
    let directory = tempfile::tempdir().expect("a directory");
    let (certificate, key) = certificate(names);
    let file = directory.path().join("certificate.pem");
    std::fs::write(&file, certificate).expect("written");
    std::fs::write(directory.path().join("key.pem"), key).expect("written");
    let mut child = Command::new(std::env::current_exe().expect("this program"));
    child.args(["--exact", name]).env("SSL_CERT_FILE", file).env_remove("SSL_CERT_DIR").env(CHILD, directory.path());
    let output = child.output().expect("it runs");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}{}", String::from_utf8_lossy(&output.stderr));
}

fn url(server: &Server, path: &str) -> String {
    format!("https://{}{path}", server.address)
}

/// Serves `answer` over TLS and says goodbye properly.
fn serve(config: Arc<ServerConfig>, answer: Vec<u8>) -> Server {
    Server::raw(move |stream| {
        let mut stream = secured(&config, stream);
        if !request(&mut stream).is_empty() {
            send(&mut stream, &answer);
            stream.conn.send_close_notify();
            send(&mut stream, b"");
        }
    })
}

fn secured(config: &Arc<ServerConfig>, stream: TcpStream) -> StreamOwned<ServerConnection, TcpStream> {
    StreamOwned::new(ServerConnection::new(Arc::clone(config)).expect("a connection"), stream)
}

#[test]
fn a_trusted_server_is_asked() {
    with_trust("https::a_trusted_server_is_asked", &["127.0.0.1"], async |config| {
        let server = serve(config, ok(b"abc"));
        let ran = Run::of(url(&server, "/")).go().await;
        assert_eq!(ran.bytes, b"abc", "{:?}", ran.result);
        assert_eq!(ran.found(SoftwareCheck::Connect), Some(format!("{}, TLS 1.3", server.address).as_str()));
    });
}

#[test]
fn an_unknown_certificate_is_refused() {
    with_trust("https::an_unknown_certificate_is_refused", &["127.0.0.1"], async |_| {
        let (certificate, key) = certificate(&["127.0.0.1"]);
        let other = server_config(&certificate, &key, ClientAuth::None, &[]).expect("a configuration");
        let server = serve(other, ok(b"abc"));
        let detail = Run::of(url(&server, "/")).fails(SoftwareCheck::Connect, FetchReason::TlsFailed).await;
        assert!(detail.contains("certificate"), "{detail}");
    });
}

#[test]
fn a_certificate_of_another_name_is_refused() {
    with_trust("https::a_certificate_of_another_name_is_refused", &["files.example"], async |config| {
        let server = serve(config, ok(b"abc"));
        let detail = Run::of(url(&server, "/")).fails(SoftwareCheck::Connect, FetchReason::TlsFailed).await;
        assert!(detail.contains("certificate"), "{detail}");
    });
}

#[test]
fn https_is_not_left() {
    with_trust("https::https_is_not_left", &["127.0.0.1"], async |config| {
        let plain = Server::fixed(ok(b"abc"));
        let server = serve(config, redirect(302, &plain.url("/")));
        Run::of(url(&server, "/")).fails(SoftwareCheck::Redirects, FetchReason::RedirectRefused).await;
        assert!(plain.requests().is_empty());
    });
}

#[test]
fn https_is_another_origin() {
    with_trust("https::https_is_another_origin", &["127.0.0.1"], async |config| {
        let (told, heads) = std::sync::mpsc::sync_channel(1);
        let server = Server::raw(move |stream| {
            let mut stream = secured(&config, stream);
            told.send(request(&mut stream)).expect("a test that waits");
            send(&mut stream, &ok(b"abc"));
        });
        let first = Server::fixed(redirect(301, &url(&server, "/")));
        let credentials = Credentials::Basic { username: "ann".to_owned(), password: "hunter2".to_owned().into() };
        let ran = Run { credentials, ..Run::of(first.url("/")) }.go().await;
        assert_eq!(ran.bytes, b"abc", "{:?}", ran.result);
        let head = heads.recv_timeout(Duration::from_secs(10)).expect("a request");
        assert!(head.starts_with("GET / ") && !head.to_lowercase().contains("authorization"), "{head}");
    });
}

#[test]
fn an_end_without_goodbye_is_an_attack() {
    with_trust("https::an_end_without_goodbye_is_an_attack", &["127.0.0.1"], async |config| {
        let server = Server::raw(move |stream| {
            let mut stream = secured(&config, stream);
            request(&mut stream);
            send(&mut stream, b"HTTP/1.1 200 OK\r\n\r\nabc");
        });
        Run::of(url(&server, "/")).fails(SoftwareCheck::Download, FetchReason::CutShort).await;
    });
}

#[test]
fn no_tls_at_all() {
    with_trust("https::no_tls_at_all", &["127.0.0.1"], async |_| {
        let server = Server::raw(|mut stream| send(&mut stream, &ok(b"abc")));
        let detail = Run::of(url(&server, "/")).fails(SoftwareCheck::Connect, FetchReason::TlsFailed).await;
        assert!(detail.contains("does not speak TLS"), "{detail}");
        let server = Server::raw(drop);
        Run::of(url(&server, "/")).fails(SoftwareCheck::Connect, FetchReason::TlsFailed).await;
        let server = Server::raw(|mut stream| wait_for_the_end(&mut stream));
        let mut run = Run::of(url(&server, "/"));
        run.limits.connect = Duration::from_millis(300);
        run.fails(SoftwareCheck::Connect, FetchReason::Timeout).await;
    });
}
