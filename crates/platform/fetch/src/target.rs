//! One URL that is asked: what it may look like, and where a redirect from it may lead.

use crate::Failure;
use http::{HeaderValue, header::LOCATION, response};
use std::net::IpAddr;
use url::{Host, Url};
use weir_model::FetchReason;

/// Longest URL, typed or redirected to, in bytes: what common servers and proxies take.
const URL_BYTES_MAX: usize = 4096;

/// An http or https URL with a host and without credentials.
pub(crate) struct Target {
    url: Url,
}

/// Whom to connect to.
pub(crate) enum Peer<'a> {
    /// A name to resolve.
    Name(&'a str),
    /// An address.
    Address(IpAddr),
}

impl Target {
    /// Reads what an operator typed.
    pub(crate) fn parse(text: &str) -> Result<Self, Failure> {
        let bad = |detail: &str| Failure::new(FetchReason::BadUrl, detail);
        if text.len() > URL_BYTES_MAX {
            return Err(Failure::new(FetchReason::BadUrl, format!("the URL is longer than {URL_BYTES_MAX} bytes")));
        }
        let url = Url::parse(text).map_err(|error| Failure::new(FetchReason::BadUrl, format!("not a URL: {error}")))?;
        check_scheme(&url)?;
        if has_credentials(&url) {
            return Err(bad("the URL holds a user name or a password; put them into their own fields"));
        }
        Self::of(url).ok_or_else(|| bad("the URL names no host and port"))
    }

    /// Where the answer `head` of this URL leads.
    pub(crate) fn redirect(&self, head: &response::Parts) -> Result<Self, Failure> {
        let refused = |what: &str| {
            let detail = format!("{} answered {} {what}", self.shown(), head.status.as_u16());
            Failure::new(FetchReason::RedirectRefused, detail)
        };
        let mut locations = head.headers.get_all(LOCATION).iter();
        let location = match (locations.next(), locations.next()) {
            (None, _) => return Err(refused("without a Location")),
            (Some(_), Some(_)) => return Err(refused("with more than one Location")),
            (Some(location), None) => location,
        };
        let url = self.join(location).ok_or_else(|| refused("with a Location that is no URL"))?;
        check_scheme(&url)
            .map_err(|failure| Failure { detail: format!("a redirect of {}: {}", self.shown(), failure.detail), ..failure })?;
        if has_credentials(&url) {
            return Err(refused("with a user name or a password in its Location"));
        }
        if self.is_tls() && url.scheme() != "https" {
            return Err(refused("with a Location that leaves https"));
        }
        Self::of(url).ok_or_else(|| refused("with a Location that names no host and port"))
    }

    fn join(&self, location: &HeaderValue) -> Option<Url> {
        let text = location.to_str().ok().filter(|text| text.len() <= URL_BYTES_MAX)?;
        self.url.join(text).ok()
    }

    fn of(mut url: Url) -> Option<Self> {
        url.set_fragment(None);
        let has_host = url.host_str().is_some_and(|host| !host.is_empty());
        let has_port = url.port_or_known_default().is_some_and(|port| port != 0);
        (has_host && has_port).then_some(Self { url })
    }

    pub(crate) fn is_tls(&self) -> bool {
        self.url.scheme() == "https"
    }

    /// Whether a secret of `other` is this one's too: scheme, host and port are the same (RFC 6454 section 5).
    pub(crate) fn is_same_origin(&self, other: &Self) -> bool {
        self.url.origin() == other.url.origin()
    }

    pub(crate) fn peer(&self) -> Peer<'_> {
        match self.url.host().expect("checked by `of`") {
            Host::Domain(name) => Peer::Name(name),
            Host::Ipv4(address) => Peer::Address(IpAddr::V4(address)),
            Host::Ipv6(address) => Peer::Address(IpAddr::V6(address)),
        }
    }

    pub(crate) fn port(&self) -> u16 {
        self.url.port_or_known_default().expect("checked by `of`")
    }

    /// The host, and the port unless it is the scheme's: the value of `Host` (RFC 9110 section 7.2).
    pub(crate) fn authority(&self) -> &str {
        &self.url[url::Position::BeforeHost..url::Position::AfterPort]
    }

    /// What the request line names (RFC 9112 section 3.2.1).
    pub(crate) fn path_and_query(&self) -> &str {
        &self.url[url::Position::BeforePath..url::Position::AfterQuery]
    }

    /// The URL as it may be shown: a query may hold a signature, which is as good as a password.
    pub(crate) fn shown(&self) -> String {
        shown_url(&self.url)
    }
}

fn shown_url(url: &Url) -> String {
    let query = if url.query().is_some() { "?..." } else { "" };
    format!("{}{query}", &url[..url::Position::AfterPath])
}

/// `url` as it may be shown: `scheme://host/path`, and `?...` for a query, which may hold a signature, which is as good as a password.
/// Without user name, password and fragment. Of what is no URL, that which stands where the path would end.
pub fn shown(url: &str) -> String {
    if let Ok(mut url) = Url::parse(url) {
        // Both fail for a URL without a host alone, which has neither.
        let _ = (url.set_username(""), url.set_password(None));
        return shown_url(&url);
    }
    let (head, query) = match url.split('#').next().unwrap_or_default().split_once('?') {
        Some((head, _)) => (head, "?..."),
        None => (url.split('#').next().unwrap_or_default(), ""),
    };
    let head = head.rsplit_once('@').map_or(head, |(_, rest)| rest);
    format!("{head}{query}")
}

fn check_scheme(url: &Url) -> Result<(), Failure> {
    match url.scheme() {
        "http" | "https" => Ok(()),
        other => Err(Failure::new(FetchReason::SchemeNotAllowed, format!("{other} is neither http nor https"))),
    }
}

fn has_credentials(url: &Url) -> bool {
    !url.username().is_empty() || url.password().is_some()
}

#[cfg(test)]
mod tests;
