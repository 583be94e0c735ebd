use super::*;

/// Joins numbers and names to the data of an option.
fn data(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

#[test]
fn a_choice_asks_for_each_known_kind_once() {
    let kinds = [0, 3, 0, 3, 0, 1, 9, 9];
    let bytes = data(&[&[0, 0, 0, 2], b"d0", &[0, 4], &kinds]);
    let read = choice(&bytes).unwrap();
    assert_eq!((read.name, read.wanted), (&b"d0"[..], vec![3, 1]));
}

#[test]
fn choices_whose_lengths_lie_are_invalid() {
    for bytes in [
        data(&[]),
        data(&[&[0, 0, 0, 3], b"d0", &[0, 0]]),
        data(&[&[0xff; 4], b"d0", &[0, 0]]),
        data(&[&[0, 0, 0, 2], b"d0", &[0, 1]]),
        data(&[&[0, 0, 0, 2], b"d0", &[0, 1], &[0, 3, 0]]),
        data(&[&[0, 0, 0, 2], b"d0", &[0, 0], &[0, 3]]),
    ] {
        assert_eq!(choice(&bytes), None, "{bytes:?}");
    }
}

#[test]
fn queries_are_names_with_a_namespace() {
    let bytes = data(&[&[0; 4], &[0, 0, 0, 1], &[0, 0, 0, 5], b"base:"]);
    let read = queries(&bytes).unwrap();
    assert_eq!((read.name, read.queries), (&b""[..], vec!["base:"]));
    for wrong in [
        data(&[&[0; 4], &[0xff; 4], &[0, 0, 0, 5], b"base:"]),
        data(&[&[0; 4], &[0, 0, 0, 1], &[0, 0, 0, 4], b"base"]),
        data(&[&[0; 4], &[0, 0, 0, 1], &[0, 0, 0, 2], &[0xff, b':']]),
        data(&[&[0; 4], &[0, 0, 0, 0], b"x"]),
        data(&[&[0, 0, 0x10, 1], &[b'x'; 4097], &[0; 4]]),
    ] {
        assert_eq!(queries(&wrong), None);
    }
}
