//! `arbitrary`, and with it libFuzzer: a case is made of all the bytes that are left.

use ::arbitrary::{Arbitrary, Result, Unstructured};

use crate::case::Case;

/// Takes all bytes that are left. Any bytes are a case (see [`Case::decode`]).
///
/// What a target of libFuzzer does with its bytes (`fuzz_target!(|case: Case| ...)`):
///
/// ```
#[doc = include_str!("copier.md")]
/// use arbitrary::{Arbitrary, Unstructured};
/// use blkproof::{Case, Options, Outcome, Runner};
///
/// /// Judges a case on an engine of yours; what fails ends the fuzzer, which keeps the input.
/// fn restores(case: &Case) {
///     let outcome = Runner::new(Options::default()).run(case.scenario(), &mut engine(), None);
///     assert!(!matches!(outcome, Outcome::Failed(_)), "{outcome:#?}\n{case:?}");
/// }
///
/// for bytes in [&[0, 3, 14, 15, 92, 65, 35][..], b"\x01disk d 1M raw\nwrite d 0 512 stamp\n"] {
///     restores(&Case::arbitrary(&mut Unstructured::new(bytes))?);
/// }
/// # Ok::<(), arbitrary::Error>(())
/// ```
impl<'a> Arbitrary<'a> for Case {
    fn arbitrary(bytes: &mut Unstructured<'a>) -> Result<Self> {
        let len = bytes.len();
        Ok(Self::decode(bytes.bytes(len)?))
    }

    fn arbitrary_take_rest(bytes: Unstructured<'a>) -> Result<Self> {
        Ok(Self::decode(bytes.take_rest()))
    }

    fn size_hint(_: usize) -> (usize, Option<usize>) {
        (0, None)
    }
}
