//! QEMU's own test of incremental backups, against the same test as judged scenarios, in one run.
//!
//! `BLKPROOF_IOTESTS=DIR cargo bench -p proptests --bench iotest_124`, where DIR is
//! `tests/qemu-iotests` of QEMU's source and `qemu-system-x86_64` and the other tools are of that
//! version. `apt-get source --download-only qemu` brings the source where there is a `deb-src`
//! entry; only the `.orig.tar.xz` is needed, and of that `tests/qemu-iotests` and `python`. Without
//! the variable it says so and measures nothing.
//!
//! The whole test, all of its methods, takes turns with all scenarios of `corpora/seed`. It fails
//! where these, judged, are not a thousand times as fast. Builds of QEMU that lack the accelerator
//! `qtest`, as Debian's do, are given `tcg` for it: the machine of that test never runs a guest.

#![expect(clippy::print_stdout, reason = "it prints what it measured")]

use std::env;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use blkproof::spec::Scenario;
use blkproof::spec::step::{Action, Check};
use blkproof::{Options, Outcome, Runner, corpus};
use blkproof_engine::{Engine, ImageInspector};

/// The variable that names the folder of QEMU's tests.
const VARIABLE: &str = "BLKPROOF_IOTESTS";

/// How often both take turns.
const TURNS: usize = 3;

/// How often a scenario is judged in its turn.
const JUDGED: u32 = 50;

/// How long the test may take before it counts as hanging.
const PATIENCE: Duration = Duration::from_secs(300);

/// How many times as long as the scenarios the test has to take.
const TARGET: f64 = 1000.0;

/// Stands in for QEMU where it has no accelerator `qtest`.
const WRAPPER: &str = "#!/bin/sh\n\
    for word; do\n\
    \x20   shift\n\
    \x20   [ \"$word\" = qtest ] && word=tcg\n\
    \x20   set -- \"$@\" \"$word\"\n\
    done\n\
    exec qemu-system-x86_64 \"$@\"\n";

fn main() -> ExitCode {
    let Some(folder) = env::var_os(VARIABLE).map(PathBuf::from) else {
        println!(
            "skipped: {VARIABLE} does not name the folder tests/qemu-iotests of QEMU's source"
        );
        return ExitCode::SUCCESS;
    };
    match measure(&folder) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            println!("error: {}: {error}", folder.display());
            ExitCode::FAILURE
        }
    }
}

/// Measures both, prints what they took, and tells whether the ratio is as it should be.
fn measure(folder: &Path) -> io::Result<bool> {
    let scratch = tempfile::tempdir()?;
    let wrapper = scratch.path().join("qemu");
    fs::write(&wrapper, WRAPPER)?;
    fs::set_permissions(&wrapper, fs::Permissions::from_mode(0o755))?;
    let test = fs::read_to_string(folder.join("124"))?;
    let methods = test.matches("def test_").count();
    let seed = seed();
    let mut theirs = Vec::new();
    let mut ours = vec![Vec::new(); seed.len()];
    for turn in 1..=TURNS {
        let took = run_theirs(folder, &wrapper, scratch.path())?;
        println!("turn {turn}: iotest 124 took {:.2} s", took.as_secs_f64());
        theirs.push(took);
        for ((_, scenario), times) in seed.iter().zip(&mut ours) {
            times.push(run_ours(scenario));
        }
    }
    let theirs = median(theirs);
    let ours: Vec<_> = ours.into_iter().map(median).collect();
    for ((name, _), took) in seed.iter().zip(&ours) {
        println!("{:>8.0} us  {name}", took * 1e6);
    }
    let one = seed
        .iter()
        .position(|(name, _)| name == "incremental_simple");
    let one = ours[one.expect("the seed has it")];
    let a_method = theirs / methods as f64;
    let (whole, simple) = (theirs / ours.iter().sum::<f64>(), a_method / one);
    println!(
        "QEMU's {methods} methods take {:.0} ms each",
        a_method * 1e3
    );
    println!("one takes {simple:.0} times as long as incremental_simple");
    println!("all take {whole:.0} times as long as all scenarios ({TARGET:.0} wanted)");
    Ok(whole >= TARGET)
}

/// Returns the scenarios of the seed by name, less the digests of whole disks, which QEMU's test
/// has not and which would take nearly all of the time.
fn seed() -> Vec<(String, Scenario)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../corpora/seed");
    let files = corpus::files(&folder).expect("the seed corpus is in the repository");
    let load = |file: &PathBuf| {
        let mut scenario = corpus::load(file).expect("the seed is right").scenario;
        let digest = |action: &Action| matches!(action, Action::Check(Check::Digest { .. }));
        scenario.steps.retain(|step| !digest(&step.action));
        let name = file.file_stem().expect("a scenario has a name");
        (name.to_string_lossy().into_owned(), scenario)
    };
    files.iter().map(load).collect()
}

/// Runs the whole test once; an error if it does not pass.
fn run_theirs(folder: &Path, qemu: &Path, scratch: &Path) -> io::Result<Duration> {
    let start = Instant::now();
    let log = fs::File::create(scratch.join("log"))?;
    let mut child = Command::new("./check")
        .args(["-qcow2", "124"])
        .current_dir(folder)
        .env("QEMU_PROG", qemu)
        .env("QEMU_IMG_PROG", found("qemu-img")?)
        .env("QEMU_IO_PROG", found("qemu-io")?)
        .env("QEMU_NBD_PROG", found("qemu-nbd")?)
        .env("QSD_PROG", found("qemu-storage-daemon")?)
        .env("TEST_DIR", scratch.join("images"))
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()?;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if start.elapsed() > PATIENCE {
            child.kill()?;
            child.wait()?;
            return Err(io::Error::other("iotest 124 hangs"));
        }
        thread::sleep(Duration::from_millis(2));
    };
    let took = start.elapsed();
    let said = fs::read_to_string(scratch.join("log"))?;
    if !status.success() || !said.contains("Passed all 1 iotests") {
        return Err(io::Error::other(format!(
            "iotest 124 did not pass:\n{said}"
        )));
    }
    Ok(took)
}

/// Returns where a program is, since the test wants whole paths.
fn found(program: &str) -> io::Result<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let mut places = env::split_paths(&path).map(|folder| folder.join(program));
    let missing = || io::Error::new(io::ErrorKind::NotFound, format!("{program} is not on PATH"));
    places.find(|place| place.is_file()).ok_or_else(missing)
}

/// Judges a scenario many times, and returns how long once takes.
fn run_ours(scenario: &Scenario) -> Duration {
    let mut runner = Runner::new(Options::default());
    let mut engine = Engine::new();
    let start = Instant::now();
    for _ in 0..JUDGED {
        let outcome = runner.run(scenario, &mut engine, Some(&mut ImageInspector));
        assert!(matches!(outcome, Outcome::Held(_)), "{outcome:?}");
    }
    start.elapsed() / JUDGED
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    times[times.len() / 2].as_secs_f64()
}
