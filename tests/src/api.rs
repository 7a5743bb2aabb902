//! The manager's REST API as a program of the operator's uses it.

use crate::contract::NetworkFile;
use anyhow::Context;
use reqwest::Method;
use serde_json::Value;
use std::{path::Path, time::Duration};

/// Patience for an answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// A client of the API.
pub struct Api {
    http: reqwest::Client,
    base: String,
    token: Option<String>,
}

/// An answer.
#[derive(Debug, Clone)]
pub struct Reply {
    /// Status code.
    pub status: u16,
    /// Media type, without parameters.
    pub media_type: String,
    /// Body; null when it is not JSON.
    pub json: Value,
    /// What `Weir-Replicated` says: whether the standby has it too. `None`: nothing.
    pub replicated: Option<bool>,
}

/// Installs the TLS provider of this process.
pub fn install_provider() {
    // A second test in the same process finds it installed.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}

impl Api {
    /// As the administrator of this network.
    pub fn new(network: &NetworkFile) -> anyhow::Result<Self> {
        let manager = &network.manager;
        let (url, ca) = (manager.url.as_ref().context("a URL")?, manager.ca.as_ref().context("a CA file")?);
        Self::at(url, ca, manager.token.as_deref())
    }

    /// Of the manager at this URL.
    pub fn at(url: &str, ca: &Path, token: Option<&str>) -> anyhow::Result<Self> {
        install_provider();
        let ca = std::fs::read(ca).context("read the CA")?;
        let ca = reqwest::Certificate::from_pem(&ca).context("the CA is PEM")?;
        let http = reqwest::Client::builder().tls_certs_only([ca]).no_proxy().timeout(PATIENCE).build().context("make a client")?;
        Ok(Self { http, base: url.to_owned(), token: token.map(str::to_owned) })
    }

    /// With another token, or none.
    #[must_use]
    pub fn with_token(self, token: Option<&str>) -> Self {
        Self { token: token.map(str::to_owned), ..self }
    }

    /// Sends `body` as it is, as JSON.
    pub async fn send(&self, method: Method, path: &str, body: Option<&str>) -> anyhow::Result<Reply> {
        let mut request = self.http.request(method, format!("{}/api/v1{path}", self.base));
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.header("Content-Type", "application/json").body(body.to_owned());
        }
        let response = request.send().await.with_context(|| format!("ask for {path}"))?;
        let status = response.status().as_u16();
        let media_type = response.headers().get("content-type").and_then(|t| t.to_str().ok()).unwrap_or_default();
        let media_type = media_type.split(';').next().unwrap_or_default().to_owned();
        let replicated = response.headers().get("weir-replicated").map(|said| said == "true");
        let body = response.bytes().await.with_context(|| format!("read the answer to {path}"))?;
        Ok(Reply { status, media_type, json: serde_json::from_slice(&body).unwrap_or(Value::Null), replicated })
    }

    /// GET of something that exists.
    pub async fn get(&self, path: &str) -> anyhow::Result<Value> {
        let reply = self.send(Method::GET, path, None).await?;
        anyhow::ensure!(reply.status == 200, "GET {path}: {reply:?}");
        Ok(reply.json)
    }

    /// The items of a list.
    pub async fn list(&self, path: &str) -> anyhow::Result<Vec<Value>> {
        let listing = self.get(path).await?;
        Ok(listing["items"].as_array().with_context(|| format!("{path} is a list: {listing}"))?.clone())
    }
}
