//! The scenarios of the repository.

use std::path::Path;

use blkproof::corpus;

#[test]
fn every_scenario_is_canonical() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../corpora");
    let files = corpus::files(&folder).unwrap();
    assert!(files.len() >= 13, "the seed is missing");
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        match corpus::load(&file) {
            Ok(document) => assert_eq!(document.print(), text, "{}", file.display()),
            Err(corpus::CorpusError::Broken { rendered, .. }) => panic!("{rendered}"),
            Err(error) => panic!("{error}"),
        }
    }
}
