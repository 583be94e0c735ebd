//! Scenario files below the paths of the arguments.

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::Error;

/// What scenario files end in.
const EXTENSION: &str = "blk";

/// Returns the scenario files that `path` stands for: itself, or those below it in order.
pub(crate) fn scenarios(path: &Path) -> Result<Vec<PathBuf>, Error> {
    let metadata = fs::metadata(path).map_err(Error::unreadable(path))?;
    if !metadata.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut found = Vec::new();
    below(path, &mut found)?;
    if found.is_empty() {
        return Err(Error::NoScenarios(path.to_owned()));
    }
    found.sort();
    Ok(found)
}

/// Folders behind symbolic links are left alone: they could lead in circles.
fn below(folder: &Path, found: &mut Vec<PathBuf>) -> Result<(), Error> {
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).map_err(Error::unreadable(&folder))? {
            let entry = entry.map_err(Error::unreadable(&folder))?;
            let kind = entry.file_type().map_err(Error::unreadable(&folder))?;
            let path = entry.path();
            if kind.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|found| found == EXTENSION) {
                found.push(path);
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::scenarios;
    use crate::error::Error;

    fn names(folder: &Path, path: &str) -> Vec<String> {
        let found = scenarios(&folder.join(path)).unwrap();
        let below = found.iter().map(|file| file.strip_prefix(folder).unwrap());
        below.map(|file| file.display().to_string()).collect()
    }

    #[test]
    fn folders_are_searched_in_order_and_files_taken_as_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        fs::create_dir_all(folder.join("a/deep")).unwrap();
        for file in ["b.blk", "a/z.blk", "a/deep/y.blk", "a/notes.txt"] {
            fs::write(folder.join(file), "").unwrap();
        }
        assert_eq!(names(folder, ""), ["a/deep/y.blk", "a/z.blk", "b.blk"]);
        assert_eq!(names(folder, "a/notes.txt"), ["a/notes.txt"]);
    }

    #[cfg(unix)]
    #[test]
    fn links_in_circles_end() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        fs::write(folder.join("a.blk"), "").unwrap();
        std::os::unix::fs::symlink(folder, folder.join("again")).unwrap();
        assert_eq!(names(folder, ""), ["a.blk"]);
    }

    #[test]
    fn an_empty_folder_and_a_missing_path_are_errors() {
        let folder = tempfile::tempdir().unwrap();
        let empty = scenarios(folder.path());
        assert!(matches!(empty, Err(Error::NoScenarios(_))), "{empty:?}");
        let missing = scenarios(&folder.path().join("missing"));
        assert!(
            matches!(missing, Err(Error::Unreadable { .. })),
            "{missing:?}"
        );
    }
}
