//! The replay of the corpora, summed up by folder.

use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::exit::Exit;
use crate::replay;
use crate::ui::Ui;

/// A folder of the corpora, and how its scenarios ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Folder {
    pub(crate) name: String,
    pub(crate) met: u64,
    pub(crate) all: u64,
}

/// Replays every scenario below `corpora`; tells only of those that do not end as they state.
pub(super) fn replay(corpora: &Path, ui: &mut Ui) -> Result<(Vec<Folder>, Exit), Error> {
    let mut folders: Vec<Folder> = Vec::new();
    let paths: [PathBuf; 1] = [corpora.to_owned()];
    let worst = replay::all(&paths, &[], ui, |replayed, ui| {
        let name = folder_name(corpora, &replayed.file.path);
        let met = replayed.is_met();
        // Files come in the order of their paths: those of one folder after each other.
        if folders.last().is_none_or(|folder| folder.name != name) {
            folders.push(Folder {
                name,
                met: 0,
                all: 0,
            });
        }
        if let Some(folder) = folders.last_mut() {
            folder.all += 1;
            folder.met += u64::from(met);
        }
        if met { Ok(()) } else { replayed.say_unmet(ui) }
    })?;
    Ok((folders, worst))
}

/// The first folder below `corpora` on the way to a file; `.` for the files right there.
fn folder_name(corpora: &Path, file: &Path) -> String {
    let below = file.strip_prefix(corpora).unwrap_or(file);
    let mut parts = below.components();
    match (parts.next(), parts.next()) {
        (Some(folder), Some(_)) => folder.as_os_str().to_string_lossy().into_owned(),
        _ => ".".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::folder_name;

    #[test]
    fn files_count_for_the_topmost_folder() {
        let name = |file| folder_name(Path::new("corpora"), Path::new(file));
        assert_eq!(name("corpora/seed/a.blk"), "seed");
        assert_eq!(name("corpora/bugs/deep/a.blk"), "bugs");
        assert_eq!(name("corpora/a.blk"), ".");
    }
}
