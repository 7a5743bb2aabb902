//! How far one device has come in a rollout.

use crate::update::Leave;
use serde::{Deserialize, Serialize};
use weir_model::{Stamp, Version};

/// What a device was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Word {
    /// The word's stamp: the device fences on it.
    pub stamp: Stamp,
    /// What it is to run.
    pub version: Version,
    /// How it leaves service.
    pub leave: Leave,
    /// It may switch.
    pub reload: bool,
    /// It was taken back.
    pub cancelled: bool,
}

/// Why a device is not waited for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Excuse {
    /// It is.
    #[default]
    None,
    /// An operator said that it is dead; holds until it is heard.
    Dead,
}

/// One device's lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lane {
    /// Its wave; absent: out of scope.
    pub wave: Option<u16>,
    /// What it ran when it was last where it was meant to be; absent: it was never heard.
    pub was: Option<Version>,
    /// What it ran before it was told of the present version; where a wave goes back to.
    pub before: Option<Version>,
    /// The last word.
    pub word: Option<Word>,
    /// Times it was told the present goal and let it go.
    pub attempts: u8,
    /// Its wave failed: it goes back.
    pub back: bool,
    /// Whether it is waited for.
    pub excuse: Excuse,
    /// An operator lets it switch although something still runs on it.
    pub force: bool,
    /// It left service in this hop, so its wave has something to bake.
    pub moved: bool,
}

impl Lane {
    /// Of a device that runs `version`.
    pub fn new(wave: Option<u16>, version: Option<Version>) -> Self {
        Self { wave, was: version, before: version, word: None, attempts: 0, back: false, excuse: Excuse::None, force: false, moved: false }
    }

    /// Whether its present word lets it switch.
    pub fn is_let_go(&self) -> bool {
        self.word.is_some_and(|word| word.reload && !word.cancelled)
    }
}
