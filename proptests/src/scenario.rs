//! Inputs that are scenarios: choices for the generator, or literal plans.

use std::sync::OnceLock;

use blkproof::Case;
use blkproof::generate::Profile;
use blkproof_engine::{Bug, Bugs};

use crate::judge;

/// Judges the case that the bytes are, of the profile that they choose.
///
/// # Panics
///
/// Where something does not hold.
pub fn scenario(bytes: &[u8]) -> bool {
    judge::prove(Case::from_fuzzer(bytes, None).scenario())
}

/// Judges the case that the bytes are, of the profile `transactions`.
///
/// # Panics
///
/// Where something does not hold.
pub fn transaction(bytes: &[u8]) -> bool {
    judge::prove(Case::from_fuzzer(bytes, Some(transaction_profile())).scenario())
}

/// Judges the case that the bytes are, of a profile that is mostly bitmap commands.
///
/// # Panics
///
/// Where something does not hold.
pub fn bitmap(bytes: &[u8]) -> bool {
    judge::prove(Case::from_fuzzer(bytes, Some(bitmap_profile())).scenario())
}

/// Does what [`scenario`] does with an engine that has a bug: a fuzzer that does not find it finds
/// nothing.
///
/// # Panics
///
/// Where something does not hold, as it must before long.
pub fn canary(bytes: &[u8]) -> bool {
    let case = Case::from_fuzzer(bytes, None);
    judge::prove_with(*canary_bugs(), case.scenario())
}

/// The bug of the canary, or another one that the environment names: that is how the targets are
/// measured by how soon they find which bug.
fn canary_bugs() -> &'static Bugs {
    static BUGS: OnceLock<Bugs> = OnceLock::new();
    BUGS.get_or_init(|| {
        let Some(name) = std::env::var_os("BLKPROOF_CANARY") else {
            return Bug::OverwriteIsClean.into();
        };
        let named = name.to_str().and_then(Bug::from_name);
        let named = named.unwrap_or_else(|| panic!("BLKPROOF_CANARY={name:?} names no bug"));
        named.into()
    })
}

/// The profile of [`transaction`].
pub fn transaction_profile() -> &'static Profile {
    static PROFILE: OnceLock<Profile> = OnceLock::new();
    PROFILE.get_or_init(|| Profile::named("transactions").expect("it is built in"))
}

/// The profile of [`bitmap`].
pub fn bitmap_profile() -> &'static Profile {
    static PROFILE: OnceLock<Profile> = OnceLock::new();
    PROFILE.get_or_init(|| {
        Profile::parse("bitmaps", include_str!("../profiles/bitmaps.toml"))
            .expect("the profile is right")
    })
}
