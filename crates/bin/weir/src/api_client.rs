//! A client of the manager's REST API, over TLS with an API token or over the box-local socket.

use crate::cli::Target;
use crate::commands::Misconfigured;
use crate::up::network::NetworkFile;
use anyhow::{Context, bail};
use reqwest::Method;
use serde::{Serialize, de::DeserializeOwned};
use std::{path::Path, time::Duration};
use weir_operator_api::{Listing, Problem, paths};

/// Patience for an answer: longer than the manager's own patience with a device it asks.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);

/// The client.
pub(crate) struct ApiClient {
    http: reqwest::Client,
    base: String,
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
            let manager = &network.manager;
            let (Some(url), Some(ca), Some(token)) = (&manager.url, &manager.ca, &manager.token) else {
                bail!("{} names no manager URL, CA and token", NetworkFile::path(dir).display());
            };
            let ca = std::fs::read_to_string(ca).with_context(|| format!("read the network's CA from {}", ca.display()))?;
            return Self::over_tls(url, &ca, token);
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
        let base = url.trim_end_matches('/').to_owned();
        Ok(Self { http, shown: base.clone(), base, token: Some(token.to_owned()) })
    }

    /// Over the box-local socket of the manager whose data directory this is.
    pub(crate) fn local(data: &Path) -> anyhow::Result<Self> {
        let socket = data.join(paths::LOCAL_SOCKET);
        let http = builder().unix_socket(socket.clone()).build().context("make a local client")?;
        Ok(Self { http, base: "http://localhost".into(), shown: socket.display().to_string(), token: None })
    }

    async fn send(&self, method: Method, path: &str, body: Option<&impl Serialize>) -> anyhow::Result<reqwest::Response> {
        let mut request = self.http.request(method, format!("{}{path}", self.base));
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await.with_context(|| format!("ask the manager at {}", self.shown))?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        match response.json::<Problem>().await {
            Ok(problem) => Err(problem.into()),
            Err(_) => bail!("the manager at {} answered {status} without a reason", self.shown),
        }
    }

    /// GET.
    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        let response = self.send(Method::GET, path, None::<&()>).await?;
        response.json().await.with_context(|| format!("read the manager's answer to GET {path}"))
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

    /// PUT.
    pub(crate) async fn put<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> anyhow::Result<T> {
        let response = self.send(Method::PUT, path, Some(body)).await?;
        response.json().await.with_context(|| format!("read the manager's answer to PUT {path}"))
    }

    /// DELETE.
    pub(crate) async fn delete(&self, path: &str) -> anyhow::Result<()> {
        self.send(Method::DELETE, path, None::<&()>).await.map(|_| ())
    }
}

fn builder() -> reqwest::ClientBuilder {
    reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).timeout(ANSWER_TIMEOUT)
}

/// Percent-encodes one path segment or query value.
pub(crate) fn escape(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20")
}
