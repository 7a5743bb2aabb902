//! What a browser does with the pages: cookies kept, forms filled in, redirects seen.

use crate::harness::{Running, until};
use http_body_util::{BodyExt, Full};
use hyper::{
    HeaderMap, Method, Request,
    body::{Bytes, Incoming},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls_pki_types::ServerName;
use std::{collections::BTreeMap, fs, net::SocketAddr, sync::Arc};
use tokio::net::TcpStream;
use weir_net::tls::client_config;
use weir_telemetry::Tasks;

/// A password the rules allow.
pub(crate) const PASSWORD: &str = "correct horse battery";

/// An answer as a browser sees it.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|v| v.to_str().expect("text")).unwrap_or_default()
    }

    /// Where it redirects to.
    pub(crate) fn location(&self) -> &str {
        assert_eq!(self.status, 303, "{}", self.text);
        self.header("location")
    }

    /// The page, which must have this status.
    pub(crate) fn page(&self, status: u16) -> &str {
        assert_eq!(self.status, status, "{} {}", self.header("location"), self.text);
        assert_eq!(self.header("content-type"), "text/html; charset=utf-8");
        &self.text
    }

    /// The value of the first hidden field of this name.
    pub(crate) fn hidden(&self, name: &str) -> String {
        let at = self.text.split(&format!("name=\"{name}\" value=\"")).nth(1).unwrap_or_else(|| panic!("no field {name}: {}", self.text));
        at.split('"').next().expect("a value").to_owned()
    }
}

/// A browser with its cookies.
#[derive(Clone)]
pub(crate) struct Browser {
    pub(crate) address: SocketAddr,
    ca: String,
    pub(crate) cookies: BTreeMap<String, String>,
    /// Local address it connects from.
    pub(crate) from: &'static str,
}

/// An answer whose body is still to be read.
pub(crate) struct Open {
    pub(crate) status: u16,
    pub(crate) body: Incoming,
    _tasks: Tasks,
}

impl Browser {
    pub(crate) fn new(running: &Running) -> Self {
        Self { address: running.api, ca: running.manager.ca_pem(), cookies: BTreeMap::new(), from: "127.0.0.1" }
    }

    /// A browser that has signed in and chosen [`PASSWORD`].
    pub(crate) async fn signed_in(running: &Running) -> Self {
        let mut browser = Self::new(running);
        let first = browser.sign_in("admin", &one_time_password(running)).await;
        assert_eq!(first.location(), "/");
        let page = browser.get("/password").await;
        let changed = browser.submit("/password", &page, &[("new", PASSWORD), ("again", PASSWORD)]).await;
        assert_eq!(changed.location(), "/");
        browser
    }

    /// Opens the sign-in page and sends its form.
    pub(crate) async fn sign_in(&mut self, user: &str, password: &str) -> Seen {
        let page = self.get("/login").await;
        self.submit("/login", &page, &[("user", user), ("password", password)]).await
    }

    pub(crate) async fn get(&mut self, path: &str) -> Seen {
        self.send(self.request(Method::GET, path, &[], String::new())).await
    }

    /// Sends a form with the hidden token of the page it is on.
    pub(crate) async fn submit(&mut self, path: &str, page: &Seen, fields: &[(&str, &str)]) -> Seen {
        let csrf = page.hidden("csrf");
        let mut all = vec![("csrf", csrf.as_str())];
        all.extend(fields);
        self.post(path, &all, &[]).await
    }

    /// Sends a form as a page of this origin would, with these headers besides or instead.
    pub(crate) async fn post(&mut self, path: &str, fields: &[(&str, &str)], headers: &[(&str, &str)]) -> Seen {
        let origin = format!("https://{}", self.address);
        let mut all =
            vec![("content-type", "application/x-www-form-urlencoded"), ("origin", origin.as_str()), ("sec-fetch-site", "same-origin")];
        all.retain(|(name, _)| !headers.iter().any(|(other, _)| other == name));
        all.extend(headers.iter().filter(|(_, value)| !value.is_empty()));
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        self.send(self.request(Method::POST, path, &all, body)).await
    }

    pub(crate) fn request(&self, method: Method, path: &str, headers: &[(&str, &str)], body: String) -> Request<Full<Bytes>> {
        let mut request = Request::builder().method(method).uri(format!("https://{}{path}", self.address));
        let cookies: Vec<_> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        if !cookies.is_empty() {
            request = request.header("cookie", cookies.join("; "));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(Full::from(body)).expect("request")
    }

    /// One request on a connection of its own; cookies of the answer are kept.
    pub(crate) async fn send(&mut self, request: Request<Full<Bytes>>) -> Seen {
        let (parts, open) = self.open(request).await;
        let text = String::from_utf8(open.body.collect().await.expect("a body").to_bytes().to_vec()).expect("text");
        Seen { status: parts.status.as_u16(), headers: parts.headers, text }
    }

    /// Like [`Browser::send`], with the body left to be read.
    pub(crate) async fn open(&mut self, request: Request<Full<Bytes>>) -> (hyper::http::response::Parts, Open) {
        let mut tls = client_config(&self.ca, None).expect("client");
        tls.alpn_protocols = vec![b"h2".to_vec()];
        let socket = tokio::net::TcpSocket::new_v4().expect("socket");
        socket.bind(SocketAddr::new(self.from.parse().expect("address"), 0)).expect("bound");
        let stream: TcpStream = socket.connect(self.address).await.expect("connected");
        let connector = tokio_rustls::TlsConnector::from(Arc::new(tls));
        let stream = connector.connect(ServerName::from(self.address.ip()), stream).await.expect("handshake");
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.expect("HTTP/2");
        let tasks = Tasks::new();
        tasks.spawn("browser", async { drop(connection.await) });
        let (parts, body) = sender.send_request(request).await.expect("an answer").into_parts();
        for set in parts.headers.get_all("set-cookie") {
            let text = set.to_str().expect("text");
            let (name, value) = text.split(';').next().and_then(|c| c.split_once('=')).expect("a cookie");
            assert!(text.ends_with("; HttpOnly; SameSite=Strict; Secure; Path=/") || text.contains("Max-Age=0"), "{text}");
            if value.is_empty() {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        let status = parts.status.as_u16();
        (parts, Open { status, body, _tasks: tasks })
    }
}

/// What the manager wrote for the first sign-in.
pub(crate) fn one_time_password(running: &Running) -> String {
    fs::read_to_string(running.dir.path().join("state/manager/one-time-password")).expect("the file").trim().to_owned()
}

/// Waits until the audit has rows of this verb, and returns what they say of it.
pub(crate) async fn audited(running: &Running, verb: &str) -> Vec<serde_json::Value> {
    let rows = || async {
        let audit = running.get("/api/v1/audit?limit=10000").await;
        audit["items"].as_array().expect("items").iter().filter(|row| row["verb"] == verb).cloned().collect::<Vec<_>>()
    };
    until(verb, || async { !rows().await.is_empty() }).await;
    rows().await
}
