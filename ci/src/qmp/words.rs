//! Splitting a line into words the way a shell does, without anything else a shell does.

/// Splits at blanks; `'...'` and `"..."` group, a backslash in double quotes takes the next
/// character as it is. The error is the column, counted from 1, of a quote that never closes.
pub(super) fn split(line: &str) -> Result<Vec<String>, usize> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = line.chars().enumerate();
    while let Some((column, c)) = chars.next() {
        match c {
            c if c.is_whitespace() => words.extend(word.take()),
            '\'' | '"' => {
                let quoted = word.get_or_insert_default();
                take_quoted(c, &mut chars, quoted).ok_or(column + 1)?;
            }
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    Ok(words)
}

/// Appends what stands before the closing quote; `None` when there is none.
fn take_quoted(
    quote: char,
    chars: &mut impl Iterator<Item = (usize, char)>,
    word: &mut String,
) -> Option<()> {
    loop {
        match chars.next()?.1 {
            c if c == quote => return Some(()),
            '\\' if quote == '"' => word.push(chars.next()?.1),
            c => word.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn quotes_group_and_vanish() {
        let words = split(r#"guest src "write -P 1 0 4k" 'a "b"' x"y z" """#).unwrap();
        assert_eq!(
            words,
            ["guest", "src", "write -P 1 0 4k", "a \"b\"", "xy z", ""]
        );
    }

    #[test]
    fn a_backslash_escapes_in_double_quotes_only() {
        assert_eq!(
            split(r#""a\"b" 'c\d' e\f"#).unwrap(),
            ["a\"b", "c\\d", "e\\f"]
        );
    }

    #[test]
    fn an_open_quote_is_found_where_it_starts() {
        assert_eq!(split("one 'two"), Err(5));
        assert_eq!(split("\"ends in a backslash\\"), Err(1));
    }
}
