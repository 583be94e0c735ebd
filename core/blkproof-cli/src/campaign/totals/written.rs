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

    pub(in super::super) fn serialize<S: Serializer>(
        digest: &[u8; 32],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&blkproof::sha256_hex(digest))
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<[u8; 32], D::Error> {
        let text = String::deserialize(deserializer)?;
        parse(&text).ok_or_else(|| D::Error::custom("expected a digest of 64 hexadecimal digits"))
    }

    fn parse(text: &str) -> Option<[u8; 32]> {
        let digits = text.chars().map(|c| c.to_digit(16));
        let digits: Option<Vec<u32>> = digits.collect();
        let bytes: Option<Vec<u8>> = digits?
            .chunks(2)
            .map(|pair| match pair {
                [high, low] => u8::try_from(high * 16 + low).ok(),
                _ => None,
            })
            .collect();
        bytes?.try_into().ok()
    }
}
