//! Digests in hexadecimal.

/// Returns two digits a byte.
pub(super) fn print(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Reads what [`print`] wrote of 32 bytes.
pub(super) fn parse(text: &str) -> Option<[u8; 32]> {
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
