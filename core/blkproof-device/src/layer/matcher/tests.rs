use super::*;

const READS: IoTypes = IoTypes::ALL_BUT_BLOCK_STATUS;

fn read(start: u64, len: u64) -> Request {
    Request::new(IoType::Read, ByteRange::new(start, len))
}

fn all(matcher: &Matcher, request: &Request) -> Vec<usize> {
    let mut from = 0;
    let next = || {
        let (rule, behind) = matcher.next(from, request)?;
        from = behind;
        Some(rule)
    };
    core::iter::from_fn(next).collect()
}

/// Returns the bytes around a request that no rule lies in, if none matches it.
fn calm(matcher: &Matcher, request: &Request) -> Option<(u64, u64)> {
    let mut calm = Span::EVERYWHERE;
    let met = matcher.meets(request.kind, request.range, &mut calm);
    (!met).then_some((calm.start, calm.end))
}

/// 64 rules, each on the first page of another mebibyte.
fn pages() -> Matcher {
    let mut matcher = Matcher::default();
    for rule in 0..64 {
        let range = ByteRange::new((rule as u64) << 20, 4096);
        matcher.add(rule, READS, Some(range));
    }
    matcher.arm_all();
    matcher
}

#[test]
fn rules_are_found_in_the_order_of_installation() {
    let mut matcher = Matcher::default();
    for rule in 0..150 {
        // The later the rule, the earlier its range; every tenth looks at everything.
        let start = (150 - rule as u64) * 512;
        let range = (rule % 10 != 0).then(|| ByteRange::new(start, 1024));
        matcher.add(rule, IoTypes::only(IoType::Read), range);
    }
    matcher.arm_all();
    matcher.remove(20);
    let request = read(100 * 512, 1024);
    let expected = [
        0, 10, 30, 40, 49, 50, 51, 60, 70, 80, 90, 100, 110, 120, 130, 140,
    ];
    assert_eq!(all(&matcher, &request), expected);
    let flush = Request::new(IoType::Flush, ByteRange::default());
    assert_eq!(calm(&matcher, &flush), Some((0, u64::MAX)));
}

#[test]
fn only_what_is_armed_matches() {
    let mut matcher = pages();
    assert_eq!(matcher.arm_only(|rule| rule == 2), Some(true));
    assert_eq!(matcher.arm_only(|rule| rule == 2), Some(false));
    assert_eq!(matcher.arm_only(|_| false), None);
    assert_eq!(all(&matcher, &read(0, u64::MAX)), [2]);
    let status = Request::new(IoType::BlockStatus, ByteRange::new(0, u64::MAX));
    assert_eq!(calm(&matcher, &status), Some((0, u64::MAX)));
}

#[test]
fn what_meets_no_rule_lies_in_a_calm_that_reaches_to_the_next_ones() {
    let matcher = pages();
    assert_eq!(matcher.blocks[0].starts.len(), 128);
    assert_eq!(calm(&matcher, &read(4096, 512)), Some((4096, 1 << 20)));
    assert_eq!(
        calm(&matcher, &read(4096, (1 << 20) - 4096)),
        Some((4096, 1 << 20))
    );
    assert_eq!(calm(&matcher, &read(4096, 1 << 20)), None);
    assert_eq!(calm(&matcher, &read(4095, 1)), None);
    assert_eq!(
        calm(&matcher, &read(1 << 40, 1)),
        Some(((63 << 20) + 4096, u64::MAX))
    );
    assert_eq!(calm(&matcher, &read(100, 0)), Some((100, 100)));
    assert!(!Span::NOWHERE.holds(ByteRange::default()));
}

#[test]
fn rules_that_are_gone_leave_nothing_behind() {
    let mut matcher = Matcher::default();
    for rule in 0..6400 {
        matcher.add(rule, READS, Some(ByteRange::new(rule as u64, 1)));
        matcher.arm_all();
        if rule > 0 {
            matcher.remove(rule - 1);
        }
    }
    assert_eq!(matcher.blocks.len(), 1);
    assert_eq!(all(&matcher, &read(0, u64::MAX)), [6399]);
}
