//! `network.json`: where everything of a running network is. A contract with tools and tests: extend, never break.

use anyhow::Context;
use serde::{Deserialize, Serialize};
use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

/// The file.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct NetworkFile {
    /// Version of the network.
    pub(crate) version: String,
    /// The primary.
    pub(crate) manager: ManagerEntry,
    /// The standby.
    pub(crate) standby: ManagerEntry,
    /// Routers.
    pub(crate) routers: Vec<RouterEntry>,
    /// Engines.
    pub(crate) engines: Vec<EngineEntry>,
    /// Delivery services.
    pub(crate) services: Vec<ServiceEntry>,
    /// The release directory whose keys sign what this network installs; null in a network of a build without one.
    pub(crate) release_keys: Option<PathBuf>,
}

/// A manager. What is null does not exist (yet).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ManagerEntry {
    /// Device name.
    pub(crate) name: String,
    /// Base URL of its API.
    pub(crate) url: Option<String>,
    /// PEM file of the network's CA.
    pub(crate) ca: Option<PathBuf>,
    /// An administrator's API token.
    pub(crate) token: Option<String>,
    /// The pages' one-time password of user `admin`; null once it is changed, and on the standby.
    #[serde(default)]
    pub(crate) one_time_password: Option<String>,
    /// Its mutual-TLS device API.
    pub(crate) device: Option<SocketAddr>,
    /// Metrics and health.
    pub(crate) admin: Option<SocketAddr>,
    /// Its data directory.
    pub(crate) dir: PathBuf,
}

/// A router.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct RouterEntry {
    /// Device name.
    pub(crate) name: String,
    /// DNS.
    pub(crate) dns: Option<SocketAddr>,
    /// HTTP.
    pub(crate) http: Option<SocketAddr>,
    /// HTTPS.
    pub(crate) https: Option<SocketAddr>,
    /// Metrics and health.
    pub(crate) admin: Option<SocketAddr>,
    /// Its data directory.
    pub(crate) dir: PathBuf,
}

/// An engine.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct EngineEntry {
    /// Device name.
    pub(crate) name: String,
    /// Where it is.
    pub(crate) location: String,
    /// HTTP.
    pub(crate) http: Option<SocketAddr>,
    /// HTTPS.
    pub(crate) https: Option<SocketAddr>,
    /// Metrics and health.
    pub(crate) admin: Option<SocketAddr>,
    /// Its data directory.
    pub(crate) dir: PathBuf,
}

/// A delivery service.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ServiceEntry {
    /// Its name.
    pub(crate) name: String,
    /// The domain viewers ask for.
    pub(crate) domain: String,
    /// Its origin.
    pub(crate) origin: String,
    /// `/<domain>/<path>`: what to append to a router's or engine's address.
    pub(crate) sample: String,
}

impl NetworkFile {
    /// Where it is in a network's directory.
    pub(crate) fn path(dir: &Path) -> PathBuf {
        dir.join("network.json")
    }

    /// Reads it.
    pub(crate) fn read(dir: &Path) -> anyhow::Result<Self> {
        let path = Self::path(dir);
        let text = std::fs::read_to_string(&path).with_context(|| {
            format!("no running network in {} (no network.json); start one: weir up --dir {}", dir.display(), dir.display())
        })?;
        serde_json::from_str(&text).with_context(|| format!("{} is not a network.json of this line", path.display()))
    }

    /// Writes it, for its owner's eyes only: it holds a token.
    pub(crate) fn write(&self, dir: &Path) -> anyhow::Result<()> {
        Ok(weir_slots::durable_write_private(&Self::path(dir), &serde_json::to_vec_pretty(self)?)?)
    }
}
