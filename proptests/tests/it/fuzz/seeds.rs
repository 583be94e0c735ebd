//! What fuzzers begin with: `corpora/fuzz`, a folder for each target, made from the scenarios of
//! the repository and by the driver. `BLKPROOF_UPDATE_SEEDS=1 cargo test -p proptests seeds` makes
//! the folders anew.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use blkproof::device::{BlockDevice, Durability, MemDisk, Pool, ini};
use blkproof::spec::step::{Action, Expect};
use blkproof::spec::{ByteRange, DiscardMode, Length, Offset, Scenario};
use blkproof::{Case, corpus, text};
use blkproof_qcow2::{CreateOptions, OpenOptions, Qcow2};
use proptests::Target;

/// The inputs of a target by name.
pub(super) fn of(target: Target) -> Vec<(String, Vec<u8>)> {
    match target {
        Target::Scenario => {
            let mut all = plans(&["seed", "golden"], |_| true);
            all.extend(plans(&["regressions"], is_cut));
            all
        }
        Target::Transaction => plans(&["seed", "golden"], has_transaction),
        Target::Bitmap => plans(&["seed", "golden"], has_bitmap_commands),
        Target::ScenarioText => scenarios(&["golden"])
            .into_iter()
            .map(|(name, scenario)| (name, text::print(&scenario).into_bytes()))
            .collect(),
        Target::BlkdebugConfig => configurations(),
        Target::Qcow2Image => images(),
        Target::Nbd => conversations(),
        // It has to find its bug without help.
        _ => Vec::new(),
    }
}

fn corpora() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../corpora")
}

fn scenarios(folders: &[&str]) -> Vec<(String, Scenario)> {
    let folders = folders.iter().map(|folder| corpora().join(folder));
    let files = folders.flat_map(|folder| corpus::files(&folder).expect("a folder of scenarios"));
    let named = files.map(|file| {
        let name = file.file_stem().and_then(|name| name.to_str());
        let document = corpus::load(&file).expect("the corpora are in order");
        (name.expect("a name in UTF-8").to_owned(), document.scenario)
    });
    named.collect()
}

fn plans(folders: &[&str], wanted: impl Fn(&Scenario) -> bool) -> Vec<(String, Vec<u8>)> {
    let scenarios = scenarios(folders).into_iter();
    scenarios
        .filter(|(_, scenario)| wanted(scenario))
        .map(|(name, scenario)| (name, Case::encode(&scenario)))
        .collect()
}

fn has_transaction(scenario: &Scenario) -> bool {
    let mut steps = scenario.steps.iter();
    steps.any(|step| matches!(step.action, Action::Transaction { .. }))
}

/// Tells whether the power goes, or the process dies, in the midst of a step.
fn is_cut(scenario: &Scenario) -> bool {
    let mut steps = scenario.steps.iter();
    steps.any(|step| step.expect == Expect::Cut)
}

fn has_bitmap_commands(scenario: &Scenario) -> bool {
    let steps = scenario.steps.iter();
    steps
        .filter(|step| matches!(step.action, Action::Bitmap(_)))
        .count()
        > 1
}

/// What clients of the NBD server send: negotiations of every kind, and requests of every kind.
fn conversations() -> Vec<(String, Vec<u8>)> {
    let query = b"\0\0\0\0\0\0\0\x01\0\0\0\x05qemu:";
    let negotiation = [
        b"\0\0\0\x03".to_vec(),
        option(5, b""),
        option(3, b""),
        option(8, b""),
        option(9, &[0; 8]),
        option(9, query),
        option(6, b"\0\0\0\x05disk0\0\x03\0\x01\0\x02\0\x03"),
        option(10, b"\0\0\0\0\0\0\0\x01\0\0\0\x0fbase:allocation"),
        option(7, b"\0\0\0\x05disk1\0\0"),
        option(7, b"\0\0\0\x05disk0\0\x01\0\x03"),
        request(7, 0, 0, 65536, b""),
    ];
    let old = [
        b"\0\0\0\x01".to_vec(),
        option(1, b"disk0"),
        request(1, 0, 10, 4, b"data"),
        request(0, 0, 0, 4096, b""),
        request(2, 0, 0, 0, b""),
    ];
    let parts: [(&str, bool, Vec<u8>); 3] = [
        ("negotiation", false, negotiation.concat()),
        ("old", false, old.concat()),
        ("requests", true, requests()),
    ];
    let named = parts.iter().map(|(name, negotiated, bytes)| {
        let input = proptests::nbd_input(*negotiated, bytes);
        ((*name).to_owned(), input)
    });
    named.collect()
}

/// An option as a client of the NBD server sends it.
fn option(option: u32, data: &[u8]) -> Vec<u8> {
    let len = u32::try_from(data.len()).expect("little data");
    [
        b"IHAVEOPT",
        &option.to_be_bytes()[..],
        &len.to_be_bytes(),
        data,
    ]
    .concat()
}

/// A request as a client of the NBD server sends it.
fn request(command: u16, flags: u16, offset: u64, len: u32, data: &[u8]) -> Vec<u8> {
    let cookie = (u64::from(command) << 32) + offset;
    let mut bytes = b"\x25\x60\x95\x13".to_vec();
    bytes.extend(flags.to_be_bytes());
    bytes.extend(command.to_be_bytes());
    bytes.extend(cookie.to_be_bytes());
    bytes.extend(offset.to_be_bytes());
    bytes.extend(len.to_be_bytes());
    bytes.extend(data);
    bytes
}

/// Requests of every kind, good ones and others.
fn requests() -> Vec<u8> {
    let requests = [
        request(1, 1, 4090, 13, b"across a page"),
        request(0, 4, 4000, 200, b""),
        request(7, 0, 0, 65536, b""),
        request(6, 2, 0, 8192, b""),
        request(6, 16, 60000, 5536, b""),
        request(4, 1, 4096, 4096, b""),
        request(7, 8, 0, 65536, b""),
        request(3, 0, 0, 0, b""),
        request(5, 0, 0, 1, b""),
        request(8, 0, 70000, 0, b""),
        request(1, 0, 69999, 1, b"x"),
        request(8, 0, 5000, 0, b""),
        request(0, 0, 4999, 2, b""),
        request(7, 0, 0, 5000, b""),
    ];
    requests.concat()
}

/// The programs of the scenarios' faults, as far as a file can say them, and what only a file can
/// say.
fn configurations() -> Vec<(String, Vec<u8>)> {
    let written = "# comments, groups with ids, all bases and switches\n\
        [inject-error \"first\"]\nevent = \"read_aio\" # here too\nerrno = \"034\"\n\
        sector = \"-1\"\nonce = \"yes\"\nimmediately = \"off\"\nstate = \"0x2\"\n\n\
        [set-state]\nevent = \"flush_to_disk\"\nnew_state = \"2\"\nstate = \"1\"\n";
    let mut found = vec![("written-by-hand".to_owned(), written.into())];
    for (name, scenario) in scenarios(&["seed", "golden"]) {
        let steps = scenario.steps.iter().filter_map(|step| match &step.action {
            Action::Install(rule) => Some(&rule.rule),
            _ => None,
        });
        let rules = scenario
            .setup
            .rules
            .iter()
            .map(|rule| &rule.rule)
            .chain(steps);
        let rules: Vec<_> = rules
            .filter(|rule| ini::print(&[(*rule).clone()]).is_ok())
            .collect();
        let rules: Vec<_> = rules.into_iter().cloned().collect();
        if !rules.is_empty() {
            let text = ini::print(&rules).expect("each of them can be said");
            found.push((name, text.into_bytes()));
        }
    }
    found
}

const OPEN: OpenOptions = OpenOptions {
    discard: DiscardMode::Unmap,
    read_only: false,
    l2_cache: Length(1 << 20),
};

/// Small images with some of everything, and guests in front of them.
fn images() -> Vec<(String, Vec<u8>)> {
    let guest: [u8; 21] = [
        5, 0, 0, 3, 9, 2, 0, 10, 20, 3, 0, 9, 8, 4, 0, 16, 7, 1, 0, 60, 255,
    ];
    let mut version_2 = image(512, false);
    version_2[7] = 2;
    let seed =
        |name: &str, requests: &[u8], image: &[u8]| (name.to_owned(), [requests, image].concat());
    vec![
        seed("clusters-of-512", &[0], &image(512, true)),
        seed("clusters-of-512-guest", &guest, &image(512, true)),
        seed("clusters-of-4k-guest", &guest, &image(4096, true)),
        seed("version-2-guest", &guest, &version_2),
        seed(
            "nothing-written-guest",
            &guest,
            &bytes(new_image(1 << 20, 512)),
        ),
    ]
}

fn new_image(size: u64, cluster: u64) -> Qcow2<MemDisk> {
    let file = MemDisk::new(&Pool::new(), Length(0));
    let options = CreateOptions {
        size: Length(size),
        cluster: Length(cluster),
        backing: None,
    };
    Qcow2::create(file, &options, &OPEN).expect("an image in memory is made")
}

fn image(cluster: u64, with_zeroes: bool) -> Vec<u8> {
    let mut image = new_image(40 * cluster, cluster);
    let data: Vec<u8> = (0..3 * cluster).map(|at| (at / 64 % 251) as u8).collect();
    image
        .write_at(Offset(cluster), &data, Durability::Later)
        .unwrap();
    let packed = vec![7; usize::try_from(cluster).unwrap()];
    image
        .write_compressed(Offset(7 * cluster), &packed)
        .unwrap();
    if with_zeroes {
        let zeroes = ByteRange::new(2 * cluster, cluster);
        image.write_zeroes(zeroes, false).unwrap();
        image
            .write_zeroes(ByteRange::new(9 * cluster, 2 * cluster), true)
            .unwrap();
    }
    bytes(image)
}

/// Returns the file of an image.
fn bytes(mut image: Qcow2<MemDisk>) -> Vec<u8> {
    image.flush().unwrap();
    let mut file = image.into_file();
    let mut bytes = vec![0; usize::try_from(file.size().0).unwrap()];
    file.read_at(Offset(0), &mut bytes).unwrap();
    bytes
}

/// Whoever adds a scenario need not add a seed. A seed that is there is what is made today.
#[test]
fn seeds_are_up_to_date() {
    let update = std::env::var_os("BLKPROOF_UPDATE_SEEDS").is_some();
    for target in Target::ALL {
        let folder = corpora().join("fuzz").join(target.name());
        let made: BTreeMap<String, Vec<u8>> = of(target).into_iter().collect();
        if update && !made.is_empty() {
            let _ = fs::remove_dir_all(&folder);
            fs::create_dir_all(&folder).unwrap();
            for (name, bytes) in &made {
                fs::write(folder.join(name), bytes).unwrap();
            }
        }
        let mut count = 0;
        for entry in fs::read_dir(&folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            let is_same = made.get(name) == Some(&fs::read(&path).unwrap());
            let hint = "BLKPROOF_UPDATE_SEEDS=1 cargo test -p proptests seeds";
            assert!(is_same, "{} is out of date: {hint}", path.display());
            count += 1;
        }
        assert!(
            2 * count >= made.len(),
            "{}: only {count} of {} seeds are there",
            folder.display(),
            made.len()
        );
    }
}

#[test]
fn every_seed_holds_and_is_worth_keeping() {
    for target in Target::ALL {
        for (name, bytes) in of(target) {
            assert!(target.run(&bytes), "{}: {name}", target.name());
        }
    }
}

/// The seeds must reach what they are for: an image that both refuse tests nothing.
#[test]
fn the_images_are_read() {
    for (name, bytes) in images() {
        let requests = usize::from(bytes[0]) * 4;
        let mut file = MemDisk::new(&Pool::new(), Length(0));
        file.write_at(Offset(0), &bytes[1 + requests..], Durability::Later)
            .unwrap();
        let report = blkproof_qcow2::inspect::inspect(&mut file, &Default::default()).unwrap();
        assert!(report.is_sound(), "{name}: {:?}", report.problems);
        assert!(Qcow2::open(file, &OPEN).is_ok(), "{name}");
    }
}
