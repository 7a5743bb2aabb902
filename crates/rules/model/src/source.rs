//! Which addresses software may be fetched from, and why a fetch fails.

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::{fmt, net::IpAddr};

/// Most networks in the list.
pub const ALLOW_MAX: usize = 64;

/// Networks that software may be fetched from although they are not public: the setting `software_sources.allow`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SourceAllow(pub Vec<IpNet>);

impl SourceAllow {
    /// Whether a connection to `address` may be made: it is public, or inside an allowed network.
    pub fn admits(&self, address: IpAddr) -> bool {
        let plain = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address) || network.contains(&plain)) || is_public(address)
    }
}

fn is_public(_address: IpAddr) -> bool {
    false
}

/// Why software could not be fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FetchReason {
    /// Not a URL.
    BadUrl,
    /// Neither http nor https.
    SchemeNotAllowed,
    /// The name has no address, or its resolver did not answer in time.
    Unresolvable,
    /// An address that is not public and not allowed.
    PrivateTarget,
    /// No connection.
    ConnectFailed,
    /// The server's certificate, or no TLS at all.
    TlsFailed,
    /// Nothing came for too long, or the whole took too long.
    Timeout,
    /// It came too slowly to be worth waiting for.
    TooSlow,
    /// The server wants other credentials (401, 403, 407).
    Unauthorized,
    /// The server has no such file (404, 410).
    FileNotFound,
    /// Any other status that is no success.
    HttpStatus,
    /// More redirects than are followed.
    TooManyRedirects,
    /// A redirect without a usable Location, or from https to http.
    RedirectRefused,
    /// Larger than an archive may be.
    FileTooLarge,
    /// Another length than the one that was stated.
    FileSizeDiffers,
    /// It ended early.
    CutShort,
    /// What came is not HTTP.
    BadResponse,
}

impl FetchReason {
    /// All of them.
    pub const ALL: [Self; 17] = [
        Self::BadUrl,
        Self::SchemeNotAllowed,
        Self::Unresolvable,
        Self::PrivateTarget,
        Self::ConnectFailed,
        Self::TlsFailed,
        Self::Timeout,
        Self::TooSlow,
        Self::Unauthorized,
        Self::FileNotFound,
        Self::HttpStatus,
        Self::TooManyRedirects,
        Self::RedirectRefused,
        Self::FileTooLarge,
        Self::FileSizeDiffers,
        Self::CutShort,
        Self::BadResponse,
    ];

    /// The word on pages and in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BadUrl => "bad_url",
            Self::SchemeNotAllowed => "scheme_not_allowed",
            Self::Unresolvable => "unresolvable",
            Self::PrivateTarget => "private_target",
            Self::ConnectFailed => "connect_failed",
            Self::TlsFailed => "tls_failed",
            Self::Timeout => "timeout",
            Self::TooSlow => "too_slow",
            Self::Unauthorized => "unauthorized",
            Self::FileNotFound => "file_not_found",
            Self::HttpStatus => "http_status",
            Self::TooManyRedirects => "too_many_redirects",
            Self::RedirectRefused => "redirect_refused",
            Self::FileTooLarge => "file_too_large",
            Self::FileSizeDiffers => "file_size_differs",
            Self::CutShort => "cut_short",
            Self::BadResponse => "bad_response",
        }
    }
}

impl fmt::Display for FetchReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
