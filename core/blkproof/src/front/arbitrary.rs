//! `arbitrary`, and with it libFuzzer: a case is made of all the bytes that are left.

use ::arbitrary::{Arbitrary, Result, Unstructured};

use crate::case::Case;

/// Takes all bytes that are left. Any bytes are a case (see [`Case::decode`]).
///
/// ```
/// use arbitrary::{Arbitrary, Unstructured};
/// use blkproof::Case;
///
/// let bytes = [0, 3, 14, 15, 92, 65, 35];
/// let case = Case::arbitrary(&mut Unstructured::new(&bytes))?;
/// assert_eq!(case, Case::decode(&bytes));
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
