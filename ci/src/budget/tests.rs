use std::time::Duration;

use super::{Budget, Measured, Verdict};

const TEXT: &str = "\
# Title

## one

| part | minutes | what |
| --- | ---: | --- |
| a | 1.5 | x |
| b | 2 | y |

## other

| part | percent |
| --- | ---: |
| c | 100 |
";

#[test]
fn a_table_is_what_stands_below_its_heading() {
    let one = Budget::parse(TEXT, "one").unwrap();
    assert_eq!(one.names().collect::<Vec<_>>(), ["a", "b"]);
    assert!((one.sum() - 3.5).abs() < 1e-9);
    assert_eq!(one.time("a").unwrap(), Duration::from_secs(90));
    assert!(one.of("c").is_err());
    let other = Budget::parse(TEXT, "other").unwrap();
    assert_eq!(other.names().collect::<Vec<_>>(), ["c"]);
    assert!(Budget::parse(TEXT, "missing").is_err());
}

#[test]
fn a_broken_row_is_an_error_that_shows_it() {
    for (row, said) in [
        ("| a | soon | x |", "soon"),
        ("| a | 0 | x |", "above 0"),
        ("| a | inf | x |", "above 0"),
        ("| a |", "expected | name | number |"),
        ("| a | 1 |\n| a | 2 |", "two rows"),
    ] {
        let text = format!("## one\n| part | minutes |\n| --- | --- |\n{row}\n");
        let error = format!("{:#}", Budget::parse(&text, "one").unwrap_err());
        assert!(error.contains(said), "{row}: {error}");
    }
}

#[test]
fn only_what_is_far_over_fails() {
    let minutes = |minutes: f64| Duration::from_secs_f64(minutes * 60.0);
    let of = |took, budget| Verdict::of(minutes(took), minutes(budget));
    assert_eq!(of(2.0, 2.0), Verdict::Within);
    assert_eq!(of(2.1, 2.0), Verdict::Over);
    assert_eq!(of(12.1, 4.0), Verdict::FarOver);
    // A few minutes are not worth a failure.
    assert_eq!(of(5.1, 0.2), Verdict::Over);
    assert_eq!(of(5.3, 0.2), Verdict::FarOver);
}

#[test]
fn the_table_sums_up() {
    let mut measured = Measured::default();
    let (minute, hour) = (Duration::from_secs(60), Duration::from_secs(3600));
    assert_eq!(measured.note("quick", minute, hour), Verdict::Within);
    assert_eq!(measured.note("slow", hour, minute), Verdict::FarOver);
    let table = measured.table();
    assert!(
        table.contains("  slow             60.00      1.0  far over\n"),
        "{table}"
    );
    assert!(
        table.contains("  together         61.00     61.0\n"),
        "{table}"
    );
}
