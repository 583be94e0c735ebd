//! Canonical form, with comments.

use blkproof::spec::StepNumber;
use blkproof::text::Document;

const MESSY: &str = "

# A header comment.
  blkproof   1   # the version
title   What  it  proves: # and all
expect pass
disk drive0 67108864 qcow2   cluster=65536 discard=unmap role=device
# Before the first step.


\tread drive0 0x200 1024
transaction grouped # both
bitmap add drive0 \"b0\"
# within
  bitmap clear drive0 \"b 0\"
end
flush drive0 expect=done # the end

";

const TIDY: &str = "# A header comment.
blkproof 1  # the version
title What  it  proves: # and all
expect pass
disk drive0 64M qcow2
# Before the first step.

read drive0 512 1k
transaction grouped  # both
  bitmap add drive0 b0
# within
  bitmap clear drive0 \"b 0\"
end
flush drive0  # the end
";

#[test]
fn comments_and_order_survive() {
    let document = Document::parse(MESSY.as_bytes()).expect("the text is fine");
    assert_eq!(document.print(), TIDY);
    let again = Document::parse(TIDY.as_bytes()).expect("the text is fine");
    assert_eq!(again.print(), TIDY);
    assert_eq!(again.scenario, document.scenario);
}

#[test]
fn steps_know_their_lines() {
    let document = Document::parse(MESSY.as_bytes()).expect("the text is fine");
    let lines: Vec<_> = (0..5)
        .map(|step| document.line_of(StepNumber(step)))
        .collect();
    assert_eq!(lines, [None, Some(11), Some(12), Some(17), None]);
}

#[test]
fn a_scenario_laid_out_knows_its_lines() {
    let document = Document::parse(TIDY.as_bytes()).expect("the text is fine");
    let document = Document::of(document.scenario);
    assert_eq!(document.line_of(StepNumber(1)), Some(4));
    assert_eq!(document.line_of(StepNumber(3)), Some(9));
}

#[test]
fn line_ends_of_other_systems_are_taken() {
    let text = TIDY.replace('\n', "\r\n");
    let document = Document::parse(text.as_bytes()).expect("the text is fine");
    assert_eq!(document.print(), TIDY);
}
