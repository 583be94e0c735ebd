//! How parts of the totals are written down.

/// What was reached, as the list of its numbers.
pub(super) mod coverage {
    use blkproof::coverage::Coverage;
    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

    pub(in super::super) fn serialize<S: Serializer>(
        coverage: &Option<Coverage>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        coverage
            .as_ref()
            .map(Coverage::numbers)
            .serialize(serializer)
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Coverage>, D::Error> {
        let numbers: Option<Vec<u64>> = Option::deserialize(deserializer)?;
        let Some(numbers) = numbers else {
            return Ok(None);
        };
        let coverage = Coverage::from_numbers(&numbers);
        coverage
            .map(Some)
            .ok_or_else(|| D::Error::custom("what was reached has another number of counts"))
    }
}

/// A digest, in hexadecimal.
pub(super) mod digest {
    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer, Serializer};

    use crate::campaign::hex;

    pub(in super::super) fn serialize<S: Serializer>(
        digest: &[u8; 32],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex::print(digest))
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<[u8; 32], D::Error> {
        let text = String::deserialize(deserializer)?;
        hex::parse(&text)
            .ok_or_else(|| D::Error::custom("expected a digest of 64 hexadecimal digits"))
    }
}
