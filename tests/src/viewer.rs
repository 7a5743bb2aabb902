//! A viewer: fetches URLs, follows redirects, resolves names as it would anywhere, and says who answered.

use crate::{
    client::{Answer, Ask, Client},
    resolver::Resolver,
};
use std::{
    io::{Error, ErrorKind, Result},
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

/// Redirects followed for one request, as browsers do within reason.
const REDIRECTS_MAX: u32 = 5;

/// A viewer at one address.
#[derive(Debug, Clone)]
pub struct Viewer {
    client: Client,
    names: Option<Arc<Resolver>>,
}

/// What came, and from where.
#[derive(Debug, Clone)]
pub struct Fetched {
    /// The URL that was answered in the end.
    pub url: String,
    /// Who answered in the end.
    pub from: SocketAddr,
    /// The answer.
    pub answer: Answer,
}

fn bad(text: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidData, text.into())
}

/// Authority and target of an `http` URL.
pub fn parts(url: &str) -> Result<(&str, &str)> {
    let rest = url.strip_prefix("http://").ok_or_else(|| bad(format!("{url} is not http")))?;
    let slash = rest.find('/').ok_or_else(|| bad(format!("{url} has no path")))?;
    Ok(rest.split_at(slash))
}

impl Viewer {
    /// One that has to do with addresses only.
    pub fn new(client: Client) -> Self {
        Self { client, names: None }
    }

    /// One that resolves names.
    pub fn resolving(client: Client, names: Arc<Resolver>) -> Self {
        Self { client, names: Some(names) }
    }

    /// GET of `url` with these fields; redirects are followed.
    pub async fn fetch(&self, url: &str, fields: &[(&str, String)]) -> Result<Fetched> {
        let mut url = url.to_owned();
        for _ in 0..=REDIRECTS_MAX {
            let (authority, target) = parts(&url)?;
            let from = self.address(authority).await?;
            let mut ask = Ask::get(target).host(authority);
            for (name, value) in fields {
                ask = ask.field(name, value);
            }
            let answer = self.client.ask(from, &ask).await.map_err(|e| Error::new(e.kind(), format!("{url} at {from}: {e}")))?;
            if !matches!(answer.status(), 302 | 307) {
                return Ok(Fetched { url, from, answer });
            }
            url = answer.head.field("Location").ok_or_else(|| bad(format!("{url}: a redirect without Location")))?;
        }
        Err(bad(format!("too many redirects, the last to {url}")))
    }

    async fn address(&self, authority: &str) -> Result<SocketAddr> {
        if let Ok(address) = authority.parse() {
            return Ok(address);
        }
        let (host, port) = authority.rsplit_once(':').unwrap_or((authority, "80"));
        let port = port.parse().map_err(|_| bad(format!("{authority} has no port")))?;
        let ip = match host.parse::<IpAddr>() {
            Ok(ip) => ip,
            Err(_) => self.names.as_ref().ok_or_else(|| bad(format!("{host}: this viewer resolves no names")))?.resolve(host).await?,
        };
        Ok(SocketAddr::new(ip, port))
    }
}
