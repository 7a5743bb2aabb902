//! The two managers of a network as their operator drives them: `weir cms` on each box, and waiting until the pair stands as it should.

use crate::{Api, Network, wait_for};
use anyhow::{Context, bail, ensure};
use serde_json::Value;
use std::{process::Output, time::Duration};

/// Patience for a pair to match: a restart with its longest back-off, a snapshot, and five times that.
pub const MATCH_DEADLINE: Duration = Duration::from_secs(60);
/// A planned promotion takes less than 10 s; asserted with five times that.
pub const PROMOTION_DEADLINE: Duration = Duration::from_secs(50);

/// One of the two boxes, by its place in `network.json`, whatever its role is by now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seat {
    /// The primary of a new network.
    Manager,
    /// Its standby.
    Standby,
}

impl Seat {
    /// Both.
    pub const ALL: [Seat; 2] = [Seat::Manager, Seat::Standby];

    /// The other one.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Seat::Manager => Seat::Standby,
            Seat::Standby => Seat::Manager,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Seat::Manager => "manager",
            Seat::Standby => "standby",
        }
    }
}

impl Network {
    /// Device name of a manager.
    pub fn seat(&self, seat: Seat) -> &str {
        let file = self.file();
        match seat {
            Seat::Manager => &file.manager.name,
            Seat::Standby => &file.standby.name,
        }
    }

    /// `weir cms ARGUMENTS` on one of the boxes, run to its end.
    pub async fn cms(&self, seat: Seat, arguments: &[&str]) -> anyhow::Result<Output> {
        self.weir(&[&["cms", "--box", seat.word()], arguments].concat()).await
    }

    /// The same with `--output json`: what it printed.
    pub async fn cms_json(&self, seat: Seat, arguments: &[&str]) -> anyhow::Result<Value> {
        self.weir_json(&[&["cms", "--box", seat.word()], arguments].concat()).await
    }

    /// The same of a verb that must be refused: what it said.
    pub async fn cms_refused(&self, seat: Seat, arguments: &[&str]) -> anyhow::Result<String> {
        let output = self.cms(seat, arguments).await?;
        ensure!(!output.status.success(), "weir cms {arguments:?} on {seat:?} is not refused: {output:?}");
        Ok(String::from_utf8_lossy(&output.stderr).into_owned())
    }

    /// `weir cms info`.
    pub async fn info(&self, seat: Seat) -> anyhow::Result<Value> {
        self.cms_json(seat, &["info"]).await
    }

    /// The API of a box, with the administrator's token, whatever the box's role is.
    pub fn api_of(&self, seat: Seat) -> anyhow::Result<Api> {
        let file = self.file();
        let ca = file.manager.ca.as_ref().context("a CA file")?;
        let url = match seat {
            Seat::Manager => &file.manager.url,
            Seat::Standby => &file.standby.url,
        };
        Api::at(url.as_ref().context("a URL")?, ca, file.manager.token.as_deref())
    }

    /// The box that is the primary.
    pub async fn primary(&self) -> anyhow::Result<Seat> {
        for seat in Seat::ALL {
            if self.info(seat).await.is_ok_and(|info| info["state"] == "primary") {
                return Ok(seat);
            }
        }
        bail!("neither box is the primary")
    }

    /// Waits until the pair matches with this box as its primary: both hold the same changes with the same digest. What the primary
    /// says of itself then.
    pub async fn matched(&self, primary: Seat) -> Value {
        wait_for(&format!("the pair matches, {primary:?} is the primary"), MATCH_DEADLINE, || async {
            let (one, other) = (self.info(primary).await?, self.info(primary.other()).await?);
            same(&one, &other)?;
            anyhow::Ok(one)
        })
        .await
    }

    /// Alarms about a reason, whatever they are about.
    pub async fn alarms(api: &Api, reason: &str) -> anyhow::Result<Vec<Value>> {
        Ok(api.list("/alarms").await?.into_iter().filter(|alarm| alarm["reason"] == reason).collect())
    }
}

/// Whether these are `cms info` of a primary and of a standby that has everything.
///
/// # Errors
/// What differs.
pub fn same(primary: &Value, standby: &Value) -> anyhow::Result<()> {
    ensure!(primary["state"] == "primary" && standby["state"] == "standby", "{primary}\n{standby}");
    ensure!(primary["pair"]["condition"] == "matched", "{primary}");
    for field in ["term", "generation", "rev", "digest"] {
        ensure!(primary[field] == standby[field], "{field} differs: {primary}\n{standby}");
    }
    ensure!(primary["digest"].as_str().is_some_and(|digest| !digest.is_empty()), "a digest: {primary}");
    Ok(())
}
