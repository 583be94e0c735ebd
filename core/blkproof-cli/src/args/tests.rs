use core::time::Duration;

use clap::{CommandFactory as _, Parser as _};

use super::{Cases, Cli, Command, Jobs, RunArgs, Seconds, Seed, profiles};

fn run_args(args: &[&str]) -> RunArgs {
    let args = ["blkproof", "run"].into_iter().chain(args.iter().copied());
    match Cli::try_parse_from(args).expect("good arguments").command {
        Some(Command::Run(args)) => args,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_arguments_are_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn seeds_are_decimal_or_hexadecimal() {
    assert_eq!("124".parse(), Ok(Seed(124)));
    assert_eq!("0x7C".parse(), Ok(Seed(124)));
    assert_eq!("0xffffffffffffffff".parse(), Ok(Seed(u64::MAX)));
    for bad in [
        "",
        "0x",
        "-1",
        "+1",
        "0x+1",
        "7c",
        "1.0",
        "0x10000000000000000",
    ] {
        assert!(bad.parse::<Seed>().is_err(), "{bad}");
    }
}

#[test]
fn seconds_may_have_a_fraction() {
    assert_eq!("0.25".parse(), Ok(Seconds(Duration::from_millis(250))));
    assert_eq!("60".parse(), Ok(Seconds(Duration::from_secs(60))));
    for bad in ["", "0", "-1", "nan", "inf", "1e9", "10s"] {
        assert!(bad.parse::<Seconds>().is_err(), "{bad}");
    }
}

#[test]
fn numbers_of_cases_and_threads_are_at_least_one() {
    assert_eq!("1".parse(), Ok(Cases(1)));
    assert_eq!("4096".parse(), Ok(Jobs(4096)));
    for bad in ["", "0", "-1", "1.5", "many"] {
        assert!(bad.parse::<Cases>().is_err(), "{bad}");
        assert!(bad.parse::<Jobs>().is_err(), "{bad}");
    }
    assert!("4097".parse::<Jobs>().is_err());
}

#[test]
fn no_verb_means_the_defaults_of_run() {
    let Command::Run(default) = Command::default() else {
        panic!("the default verb is run");
    };
    let parsed = run_args(&[]);
    assert_eq!(default.seed, parsed.seed);
    assert_eq!(
        (default.cases, default.seconds),
        (parsed.cases, parsed.seconds)
    );
    assert_eq!(default.out(), parsed.out());
    assert_eq!(profiles(&default.profile), profiles(&parsed.profile));
}

#[test]
fn profiles_take_turns_in_the_order_given() {
    let names = |args: &RunArgs| -> Vec<_> {
        let profiles = profiles(&args.profile);
        profiles
            .iter()
            .map(|profile| profile.name.to_string())
            .collect()
    };
    let args = run_args(&["--profile", "large", "--profile", "small"]);
    assert_eq!(names(&args), ["large", "small"]);
    assert!(names(&run_args(&[])).contains(&"faults".to_owned()));
}
