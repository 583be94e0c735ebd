//! The targets by name.

use crate::{
    bitmap, blkdebug_config, canary, nbd, qcow2_image, scenario, scenario_text, transaction,
};

/// A fuzz target.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Target {
    /// [`scenario`].
    Scenario,
    /// [`scenario_text`].
    ScenarioText,
    /// [`blkdebug_config`].
    BlkdebugConfig,
    /// [`qcow2_image`].
    Qcow2Image,
    /// [`nbd`].
    Nbd,
    /// [`bitmap`].
    Bitmap,
    /// [`transaction`].
    Transaction,
    /// [`canary`], which has to fail.
    Canary,
}

impl Target {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Scenario,
        Self::ScenarioText,
        Self::BlkdebugConfig,
        Self::Qcow2Image,
        Self::Nbd,
        Self::Bitmap,
        Self::Transaction,
        Self::Canary,
    ];

    /// Returns the name of the target and of its folders.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Scenario => "scenario",
            Self::ScenarioText => "scenario_text",
            Self::BlkdebugConfig => "blkdebug_config",
            Self::Qcow2Image => "qcow2_image",
            Self::Nbd => "nbd",
            Self::Bitmap => "bitmap",
            Self::Transaction => "transaction",
            Self::Canary => "canary",
        }
    }

    /// Runs an input; tells whether it is worth keeping.
    ///
    /// # Panics
    ///
    /// Where something does not hold.
    pub fn run(self, bytes: &[u8]) -> bool {
        match self {
            Self::Scenario => scenario(bytes),
            Self::ScenarioText => scenario_text(bytes),
            Self::BlkdebugConfig => blkdebug_config(bytes),
            Self::Qcow2Image => qcow2_image(bytes),
            Self::Nbd => nbd(bytes),
            Self::Bitmap => bitmap(bytes),
            Self::Transaction => transaction(bytes),
            Self::Canary => canary(bytes),
        }
    }
}
