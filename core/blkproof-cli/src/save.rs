//! Files that are there whole or not at all.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// Writes a file through a temporary one beside it: after a crash, the old file or the new one is
/// there, never half of one. The folder must be there.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = beside(path);
    let written = write(&temporary, path, bytes).and_then(|()| fs::rename(&temporary, path));
    let written = written.and_then(|()| sync_folder(path));
    if written.is_err() {
        // The first error is the one to report, whether or not this one works.
        let _ = fs::remove_file(&temporary);
    }
    written
}

fn write(temporary: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(temporary)?;
    if let Ok(old) = fs::metadata(path) {
        file.set_permissions(old.permissions())?;
    }
    file.write_all(bytes)?;
    file.sync_all()
}

/// Has the names in a file's folder outlive a loss of power, where folders can be synced.
fn sync_folder(path: &Path) -> io::Result<()> {
    if cfg!(unix) {
        let folder = path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
    }
    Ok(())
}

/// Removes what was left of files that somebody was killed over, where their names are such that
/// nobody else writes them now.
pub(crate) fn clean(folder: &Path, is_ours: impl Fn(&str) -> bool) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_str().and_then(|name| name.strip_prefix('.'));
        let name = name.and_then(|name| name.strip_suffix(".tmp")?.rsplit_once('.'));
        if name.is_some_and(|(name, _)| is_ours(name)) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// The name of a temporary file that no other process takes.
fn beside(path: &Path) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".{}.tmp", std::process::id()));
    path.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{clean, replace};

    #[test]
    fn a_file_is_replaced_and_nothing_is_left_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("case.blk");
        for text in ["first", "second and longer"] {
            replace(&path, text.as_bytes()).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn only_temporary_files_of_these_names_are_removed() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str| fs::write(folder.path().join(name), "").unwrap();
        let stays = [
            ".other.blk.7.tmp",
            "case.blk",
            ".case.blk",
            "case.7.tmp",
            ".tmp",
        ];
        stays.into_iter().for_each(write);
        [".case.blk.7.tmp", ".case.2.blk.123456.tmp"]
            .into_iter()
            .for_each(write);
        clean(folder.path(), |name| name.starts_with("case")).unwrap();
        let left = fs::read_dir(folder.path()).unwrap();
        let left = left.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut left: Vec<String> = left.collect();
        left.sort();
        let mut stays = stays;
        stays.sort_unstable();
        assert_eq!(left, stays);
    }

    #[test]
    fn what_cannot_be_written_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let taken = folder.path().join("taken");
        fs::create_dir(&taken).unwrap();
        assert!(replace(&taken, b"x").is_err());
        assert!(replace(&folder.path().join("missing/case.blk"), b"x").is_err());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
