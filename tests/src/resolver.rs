//! A viewer's resolver: asks the network's routers directly, and keeps what it was told for as long as it may.

use crate::dns::{Data, Question, code, kind};
use std::{
    collections::BTreeMap,
    io::{Error, Result},
    net::{IpAddr, SocketAddr},
    sync::Mutex,
    time::{Duration, Instant},
};

/// A resolver at one address.
#[derive(Debug)]
pub struct Resolver {
    routers: Vec<SocketAddr>,
    source: IpAddr,
    kept: Mutex<BTreeMap<String, (IpAddr, Instant)>>,
}

impl Resolver {
    /// Asks these routers in turn, from `source`.
    pub fn new(routers: Vec<SocketAddr>, source: IpAddr) -> Self {
        Self { routers, source, kept: Mutex::default() }
    }

    /// The first address of `name`.
    pub async fn resolve(&self, name: &str) -> Result<IpAddr> {
        let now = weir_clock::monotonic();
        let kept = self.kept.lock().expect("nobody panics").get(name).copied();
        if let Some((address, _)) = kept.filter(|(_, until)| *until > now) {
            return Ok(address);
        }
        let mut last = Error::other("no router to ask");
        for router in &self.routers {
            match Question::new(name, kind::A).ask(*router, self.source).await {
                Ok(answer) if answer.code == code::NOERROR => {
                    let first = answer.answers.iter().find_map(|r| if let Data::Address(a) = r.data { Some((a, r.ttl)) } else { None });
                    let Some((address, ttl)) = first else { return Err(Error::other(format!("{name} has no address"))) };
                    let until = now + Duration::from_secs(ttl.into());
                    self.kept.lock().expect("nobody panics").insert(name.to_owned(), (address, until));
                    return Ok(address);
                }
                Ok(answer) => last = Error::other(format!("{name}: code {} from {router}", answer.code)),
                Err(error) => last = Error::other(format!("{error:#}")),
            }
        }
        Err(last)
    }
}
