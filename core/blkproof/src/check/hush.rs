//! Panics that are findings: they say nothing by themselves, and the report says where they were.
//!
//! A campaign that shrinks a panic meets it hundreds of times. What the usual hook prints each time
//! would bury the report, so it is kept from printing while a subject is judged, and only its place
//! is noted. A replay has it print, with the backtrace that the environment asks for.

use core::cell::{Cell, RefCell};
use std::panic;
use std::sync::Once;

use crate::outcome::{Finding, Outcome};

std::thread_local! {
    /// Whether panics of this thread are findings, of which nobody needs to hear.
    static QUIET: Cell<bool> = const { Cell::new(false) };
    /// Where the first panic was since a subject was asked last.
    static PLACE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Does something in which panics are findings; if it is to be `quiet`, they say nothing.
pub(super) fn during<T>(quiet: bool, judge: impl FnOnce() -> T) -> T {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let say = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let place = info.location().map(ToString::to_string);
            PLACE.with_borrow_mut(|noted| {
                if noted.is_none() {
                    *noted = place;
                }
            });
            if !QUIET.get() {
                say(info);
            }
        }));
    });
    PLACE.set(None);
    QUIET.set(quiet);
    let result = judge();
    QUIET.set(false);
    result
}

/// Adds to a panic that was found where it was.
pub(super) fn placed(mut outcome: Outcome) -> Outcome {
    let Outcome::Failed(failure) = &mut outcome else {
        return outcome;
    };
    let mut panics = failure.findings.iter_mut();
    let message = panics.find_map(|finding| match finding {
        Finding::Panic { message } => Some(message),
        _ => None,
    });
    if let (Some(message), Some(place)) = (message, PLACE.take()) {
        *message = format!("{message} ({place})");
    }
    outcome
}
