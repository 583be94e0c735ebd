//! Files that are there whole or not at all.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use blkproof_device::{BlockDevice, Durability, FileDisk, IoResult, StatusKind};
use blkproof_spec::{ByteRange, Offset};

/// Writes a file through a temporary one beside it: after a crash, the old file or the new one is
/// there, never half of one. The folder must be there.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    replace_by(path, |file| file.write_all(bytes))
}

/// The same, of a file that `fill` writes. What it fails with is handed on.
pub(crate) fn replace_by(
    path: &Path,
    fill: impl FnOnce(&mut File) -> io::Result<()>,
) -> io::Result<()> {
    let temporary = beside(path);
    let written = write(&temporary, path, fill).and_then(|()| fs::rename(&temporary, path));
    let written = written.and_then(|()| sync_folder(path));
    if written.is_err() {
        // The first error is the one to report, whether or not this one works.
        let _ = fs::remove_file(&temporary);
    }
    written
}

/// Sees whether a file can be written: does all that [`replace`] does but to replace it.
pub(crate) fn probe(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if path.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    let temporary = beside(path);
    let written = write(&temporary, path, |file| file.write_all(bytes));
    let removed = fs::remove_file(&temporary);
    written.and(removed)
}

/// Writes a file that is what a device holds, with holes where that has some.
pub(crate) fn image(path: &Path, device: &mut dyn BlockDevice) -> io::Result<()> {
    replace_by(path, |file| {
        let mut disk = FileDisk::new(file.try_clone()?);
        copy(device, &mut disk).map_err(|error| io::Error::other(error.to_string()))
    })
}

/// Makes a device hold what another one does. It holds nothing before.
pub(crate) fn copy(from: &mut dyn BlockDevice, to: &mut dyn BlockDevice) -> IoResult<()> {
    let size = from.size();
    to.set_size(size)?;
    let mut buf = vec![0; 1 << 16];
    let mut at = 0;
    while at < size.0 {
        let status = from.block_status(ByteRange::between(at, size.0))?;
        let run = usize::try_from(status.len.0).unwrap_or(usize::MAX);
        if status.kind == StatusKind::Data {
            let len = run.min(buf.len());
            from.read_at(Offset(at), &mut buf[..len])?;
            to.write_at(Offset(at), &buf[..len], Durability::Later)?;
            at += len as u64;
        } else {
            at += status.len.0;
        }
    }
    Ok(())
}

fn write(
    temporary: &Path,
    path: &Path,
    fill: impl FnOnce(&mut File) -> io::Result<()>,
) -> io::Result<()> {
    let mut options = File::options();
    options.read(true).write(true).create(true).truncate(true);
    let mut file = options.open(temporary)?;
    if let Ok(old) = fs::metadata(path) {
        file.set_permissions(old.permissions())?;
    }
    fill(&mut file)?;
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

    use super::{clean, probe, replace};

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
    fn what_is_probed_stays_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let (there, new) = (folder.path().join("a.blk"), folder.path().join("b.blk"));
        fs::write(&there, "precious").unwrap();
        for path in [&there, &new] {
            probe(path, b"xyz").unwrap();
        }
        assert_eq!(fs::read_to_string(&there).unwrap(), "precious");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        assert!(probe(folder.path(), b"x").is_err());
        assert!(probe(&folder.path().join("missing/c.blk"), b"x").is_err());
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
