//! `network.json` as other programs read it: the tests' own reading of the contract, not the code that writes it.

use serde::Deserialize;
use std::{net::SocketAddr, path::PathBuf};

/// The file.
#[derive(Debug, Clone, Deserialize)]
pub struct NetworkFile {
    /// Version of the network.
    pub version: String,
    /// The primary.
    pub manager: Manager,
    /// The standby.
    pub standby: Manager,
    /// Routers.
    pub routers: Vec<Device>,
    /// Engines.
    pub engines: Vec<Device>,
    /// Delivery services.
    pub services: Vec<Service>,
    /// The release directory whose root the network has pinned.
    #[serde(default)]
    pub release_keys: Option<PathBuf>,
}

/// A manager.
#[derive(Debug, Clone, Deserialize)]
pub struct Manager {
    /// Device name.
    pub name: String,
    /// Base URL of its API.
    pub url: Option<String>,
    /// PEM file of the network's CA.
    pub ca: Option<PathBuf>,
    /// An administrator's API token.
    pub token: Option<String>,
    /// First password of the pages' user `admin`, until it is changed.
    pub one_time_password: Option<String>,
    /// Its device API.
    pub device: Option<SocketAddr>,
    /// Metrics and health.
    pub admin: Option<SocketAddr>,
    /// Its data directory.
    pub dir: PathBuf,
}

/// A router or an engine.
#[derive(Debug, Clone, Deserialize)]
pub struct Device {
    /// Device name.
    pub name: String,
    /// Where it is; engines only.
    pub location: Option<String>,
    /// DNS; routers only.
    pub dns: Option<SocketAddr>,
    /// HTTP.
    pub http: Option<SocketAddr>,
    /// Metrics and health.
    pub admin: Option<SocketAddr>,
    /// Its data directory.
    pub dir: PathBuf,
}

/// A delivery service.
#[derive(Debug, Clone, Deserialize)]
pub struct Service {
    /// Its name.
    pub name: String,
    /// The domain viewers ask for.
    pub domain: String,
    /// Its origin.
    pub origin: String,
    /// What to append to a router's or engine's address.
    pub sample: String,
}
