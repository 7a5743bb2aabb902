//! A client of the manager's REST API, over TLS with an API token or over the box-local socket.

mod file_body;

use crate::cli::{ConfirmArg, Target};
use crate::commands::Misconfigured;
use crate::up::network::NetworkFile;
use anyhow::{Context, bail};
use file_body::FileBody;
use reqwest::{Method, StatusCode, header};
use serde::{Serialize, de::DeserializeOwned};
use std::{path::Path, time::Duration};
use weir_operator_api::{Listing, Problem, paths};

/// Patience for an answer: longer than the manager's own patience with a device it asks.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);

/// Said of a write that the standby does not have yet.
const ALONE: &str = "the primary acknowledged this alone: the standby does not have it yet (see `weir cms info`)";

/// Longest wait for the next piece of a download.
const PIECE_TIMEOUT: Duration = Duration::from_secs(30);

/// Slowest mean rate of a transfer that is waited for, in bytes per second.
const SLOWEST: u64 = 16 * 1024;

/// The client.
pub(crate) struct ApiClient {
    http: reqwest::Client,
    base: String,
    /// The other manager of the pair, which is asked when this one is not the primary or cannot be reached.
    other: Option<String>,
    /// The manager as messages name it.
    shown: String,
    token: Option<String>,
}

impl ApiClient {
    /// For the network the command line names.
    pub(crate) fn for_target(target: &Target) -> anyhow::Result<Self> {
        if let Some(data) = &target.local {
            return Self::local(data);
        }
        if let Some(dir) = &target.network {
            let network = NetworkFile::read(dir)?;
            let (manager, other) = (&network.manager, network.standby.url.as_deref());
            let (Some(url), Some(ca), Some(token)) = (&manager.url, &manager.ca, &manager.token) else {
                bail!("{} names no manager URL, CA and token", NetworkFile::path(dir).display());
            };
            let ca = std::fs::read_to_string(ca).with_context(|| format!("read the network's CA from {}", ca.display()))?;
            return Ok(Self { other: other.map(base_of), ..Self::over_tls(url, &ca, token)? });
        }
        let (Some(url), Some(ca), Some(token)) = (&target.manager, &target.ca, &target.token) else {
            return Err(Misconfigured(
                "which network? give --network DIR (of `weir up`), --local DIR (the manager of this box), or --manager URL, --ca FILE and --token TOKEN"
                    .into(),
            )
            .into());
        };
        let ca = std::fs::read_to_string(ca).with_context(|| format!("read the network's CA from {}", ca.display()))?;
        Self::over_tls(url, &ca, token)
    }

    /// Over TLS, trusting this CA only.
    pub(crate) fn over_tls(url: &str, ca_pem: &str, token: &str) -> anyhow::Result<Self> {
        let tls = weir_net::tls::client_config(ca_pem, None)?;
        let http = builder().tls_backend_preconfigured(tls).build().context("make an HTTPS client")?;
        let base = base_of(url);
        Ok(Self { http, shown: base.clone(), base, other: None, token: Some(token.to_owned()) })
    }

    /// Over the box-local socket of the manager whose data directory this is.
    pub(crate) fn local(data: &Path) -> anyhow::Result<Self> {
        let socket = data.join(paths::LOCAL_SOCKET);
        let http = builder().unix_socket(socket.clone()).build().context("make a local client")?;
        Ok(Self { http, base: "http://localhost".into(), other: None, shown: socket.display().to_string(), token: None })
    }

    fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.base));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    async fn send(&self, method: Method, path: &str, body: Option<&impl Serialize>) -> anyhow::Result<reqwest::Response> {
        let mut request = self.request(method, path);
        if let Some(body) = body {
            request = request.json(body);
        }
        self.answer(request).await
    }

    async fn answer(&self, request: reqwest::RequestBuilder) -> anyhow::Result<reqwest::Response> {
        let again = if self.other.is_some() { request.try_clone() } else { None };
        let response = match (request.send().await, again) {
            (Ok(response), Some(again)) if response.status() == StatusCode::MISDIRECTED_REQUEST => self.ask_other(again).await?,
            (Err(error), Some(again)) if error.is_connect() => self.ask_other(again).await?,
            (sent, _) => sent.with_context(|| format!("ask the manager at {}", self.shown))?,
        };
        if response.status().is_success() {
            if response.headers().get(paths::REPLICATED).is_some_and(|value| value == "false") {
                eprintln!("weir: {ALONE}");
            }
            return Ok(response);
        }
        let status = response.status();
        match response.json::<Problem>().await {
            Ok(problem) => Err(problem.into()),
            Err(_) => bail!("the manager at {} answered {status} without a reason", self.shown),
        }
    }

    /// Sends a request to the other manager instead: the pair has changed its roles since network.json was written.
    async fn ask_other(&self, request: reqwest::RequestBuilder) -> anyhow::Result<reqwest::Response> {
        let other = self.other.as_deref().context("the pair has another manager")?;
        let mut request = request.build().context("make the request again")?;
        let rest = request.url()[url::Position::BeforePath..].to_owned();
        *request.url_mut() = format!("{other}{rest}").parse().with_context(|| format!("the other manager's URL {other}"))?;
        self.http.execute(request).await.with_context(|| format!("ask the managers at {} and {other}", self.shown))
    }

    /// GET.
    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        let response = self.send(Method::GET, path, None::<&()>).await?;
        response.json().await.with_context(|| format!("read the manager's answer to GET {path}"))
    }

    /// GET of an answer that the manager keeps back for up to so long.
    pub(crate) async fn get_kept_back<T: DeserializeOwned>(&self, path: &str, kept_back: Duration) -> anyhow::Result<T> {
        let request = self.request(Method::GET, path).timeout(ANSWER_TIMEOUT + kept_back);
        self.answer(request).await?.json().await.with_context(|| format!("read the manager's answer to GET {path}"))
    }

    /// Every item of a list, page by page.
    pub(crate) async fn list<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<Vec<T>> {
        let mut items = Vec::new();
        let mut after: Option<String> = None;
        loop {
            let page: Listing<T> = match &after {
                None => self.get(path).await?,
                Some(after) => self.get(&format!("{path}{}after={}", if path.contains('?') { '&' } else { '?' }, escape(after))).await?,
            };
            items.extend(page.items);
            match page.next {
                Some(next) => after = Some(next),
                None => return Ok(items),
            }
        }
    }

    /// POST.
    pub(crate) async fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> anyhow::Result<T> {
        let response = self.send(Method::POST, path, Some(body)).await?;
        response.json().await.with_context(|| format!("read the manager's answer to POST {path}"))
    }

    /// POST whose answer may take so long.
    pub(crate) async fn post_kept_back<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
        kept_back: Duration,
    ) -> anyhow::Result<T> {
        let request = self.request(Method::POST, path).json(body).timeout(ANSWER_TIMEOUT + kept_back);
        self.answer(request).await?.json().await.with_context(|| format!("read the manager's answer to POST {path}"))
    }

    /// POST of a file's bytes, read while they are sent; the answer may take so long after them.
    pub(crate) async fn post_file<T: DeserializeOwned>(&self, path: &str, file: &Path, kept_back: Duration) -> anyhow::Result<T> {
        let body = FileBody::open(file, |_| ()).await?;
        let length = body.length();
        let request = self
            .request(Method::POST, path)
            .timeout(ANSWER_TIMEOUT + kept_back + Duration::from_secs(length / SLOWEST))
            .header(header::CONTENT_TYPE, "application/octet-stream")
            .header(header::CONTENT_LENGTH, length)
            .body(reqwest::Body::wrap(body));
        self.answer(request).await?.json().await.with_context(|| format!("read the manager's answer to POST {path}"))
    }

    /// GET of a file of about `bytes` bytes, which go to `to` as they come. No piece is waited for longer than [`PIECE_TIMEOUT`].
    pub(crate) async fn download(&self, path: &str, bytes: u64, to: &mut impl std::io::Write) -> anyhow::Result<()> {
        let request = self.request(Method::GET, path).timeout(ANSWER_TIMEOUT + Duration::from_secs(bytes / SLOWEST));
        let mut response = self.answer(request).await?;
        loop {
            let piece = tokio::time::timeout(PIECE_TIMEOUT, response.chunk()).await;
            let piece = piece.with_context(|| {
                format!("nothing more of GET {path} came for {} s; ask again, or at the manager's own box", PIECE_TIMEOUT.as_secs())
            })?;
            match piece.with_context(|| format!("read the manager's answer to GET {path}"))? {
                Some(piece) => to.write_all(&piece).context("write the file")?,
                None => return Ok(()),
            }
        }
    }

    /// PUT.
    pub(crate) async fn put<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> anyhow::Result<T> {
        let response = self.send(Method::PUT, path, Some(body)).await?;
        response.json().await.with_context(|| format!("read the manager's answer to PUT {path}"))
    }

    /// PUT of a file's bytes, read while they are sent; `watch` is told how many went so far.
    pub(crate) async fn upload<T: DeserializeOwned>(
        &self,
        path: &str,
        file: &Path,
        watch: impl Fn(u64) + Send + Sync + Unpin + 'static,
    ) -> anyhow::Result<T> {
        let body = FileBody::open(file, watch).await?;
        let length = body.length();
        let request = self
            .request(Method::PUT, path)
            .timeout(ANSWER_TIMEOUT + Duration::from_secs(length / SLOWEST))
            .header(header::CONTENT_TYPE, "application/octet-stream")
            .header(header::CONTENT_LENGTH, length)
            .body(reqwest::Body::wrap(body));
        self.answer(request).await?.json().await.with_context(|| format!("read the manager's answer to PUT {path}"))
    }

    /// DELETE.
    pub(crate) async fn delete(&self, path: &str) -> anyhow::Result<()> {
        self.send(Method::DELETE, path, None::<&()>).await.map(|_| ())
    }
}

fn base_of(url: &str) -> String {
    url.trim_end_matches('/').to_owned()
}

fn builder() -> reqwest::ClientBuilder {
    reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).timeout(ANSWER_TIMEOUT)
}

/// A path with the word that confirms what is written there, if one was given.
pub(crate) fn confirmed(path: &str, word: &ConfirmArg) -> String {
    match &word.confirm {
        None => path.to_owned(),
        Some(hash) => format!("{path}?confirm={}", escape(hash)),
    }
}

/// Percent-encodes one path segment or query value.
pub(crate) fn escape(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20")
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    };
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::{UnixListener, UnixStream},
    };
    use weir_operator_api::Reason;

    /// A manager's data directory whose socket is listened on by nobody yet.
    pub(crate) fn place() -> (tempfile::TempDir, UnixListener) {
        weir_net::tls::install_provider();
        let data = tempfile::tempdir().unwrap();
        let socket = data.path().join(paths::LOCAL_SOCKET);
        std::fs::create_dir_all(socket.parent().unwrap()).unwrap();
        let listener = UnixListener::bind(socket).unwrap();
        (data, listener)
    }

    pub(crate) async fn read_head(stream: &mut UnixStream) -> String {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        String::from_utf8(head).unwrap().to_ascii_lowercase()
    }

    pub(crate) async fn answer(stream: &mut UnixStream, status: &str, body: &impl Serialize) {
        let body = serde_json::to_string(body).unwrap();
        let head = format!("HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n", body.len());
        stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
    }

    fn file(data: &Path, length: usize) -> std::path::PathBuf {
        let path = data.join("archive.weir");
        std::fs::write(&path, vec![7; length]).unwrap();
        path
    }

    #[tokio::test]
    async fn an_upload_arrives_whole_with_its_length_and_is_counted() {
        const LENGTH: usize = 3_000_000;
        let (data, listener) = place();
        let file = file(data.path(), LENGTH);
        let counted = Arc::new(AtomicU64::new(0));
        let count = counted.clone();
        let api = ApiClient::local(data.path()).unwrap();
        let server = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let head = read_head(&mut stream).await;
            assert!(head.starts_with("put /somewhere http/1.1\r\n"), "{head}");
            assert!(head.contains("\r\ncontent-length: 3000000\r\n") && !head.contains("transfer-encoding"), "{head}");
            assert!(head.contains("\r\ncontent-type: application/octet-stream\r\n"), "{head}");
            let mut body = vec![0; LENGTH];
            stream.read_exact(&mut body).await.unwrap();
            assert!(body.iter().all(|b| *b == 7));
            answer(&mut stream, "200 OK", &41).await;
        };
        let upload = api.upload::<u32>("/somewhere", &file, move |sent| count.store(sent, Ordering::Relaxed));
        let (answered, ()) = tokio::join!(upload, server);
        assert_eq!(answered.unwrap(), 41);
        assert_eq!(counted.load(Ordering::Relaxed), LENGTH as u64);
    }

    #[tokio::test]
    async fn a_refusal_in_the_middle_of_an_upload_is_heard() {
        let (data, listener) = place();
        let file = file(data.path(), 64 << 20);
        let api = ApiClient::local(data.path()).unwrap();
        let server = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            read_head(&mut stream).await;
            answer(&mut stream, "409 Conflict", &Problem::new(Reason::SoftwareState, "software file 3 is ready")).await;
            // Whoever closes with bytes unread may destroy the answer on its way (RFC 9112 section 9.6).
            let mut rest = vec![0; 1 << 20];
            while stream.read(&mut rest).await.is_ok_and(|got| got > 0) {}
        };
        let client = async {
            let answered = api.upload::<u32>("/somewhere", &file, |_| ()).await;
            drop(api);
            answered
        };
        let (answered, ()) = tokio::join!(client, server);
        let error = answered.unwrap_err();
        let problem = error.downcast_ref::<Problem>().unwrap_or_else(|| panic!("{error:#}"));
        assert_eq!(problem.reason, Reason::SoftwareState);
    }
}
