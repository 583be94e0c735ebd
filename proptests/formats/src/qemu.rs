//! Images that `qemu-img` makes.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use blkproof::format::{BASE, Maker, NewImage};
use tempfile::TempDir;

use crate::own::word;

/// Makes images with `qemu-img`, each kind of them once.
#[derive(Debug)]
pub struct QemuImg {
    folder: TempDir,
    made: Vec<(NewImage, Vec<u8>)>,
}

impl QemuImg {
    /// Returns a maker, if there is a `qemu-img`.
    #[must_use]
    pub fn find() -> Option<Self> {
        let found = Command::new("qemu-img").arg("--version").output();
        if !found.is_ok_and(|output| output.status.success()) {
            return None;
        }
        Some(Self {
            folder: TempDir::new().ok()?,
            made: Vec::new(),
        })
    }

    /// Has `qemu-img check` look at the file of an image, and returns what it complains about.
    ///
    /// # Errors
    ///
    /// Where it cannot be run.
    pub fn check(&self, file: &[u8]) -> Result<Vec<String>, String> {
        let path = self.path();
        fs::write(&path, file).map_err(|error| error.to_string())?;
        // Its base is not there, and not looked at.
        let file = format!(r#"{{"driver": "file", "filename": "{}"}}"#, path.display());
        let image = format!(r#"json:{{"driver": "qcow2", "backing": null, "file": {file}}}"#);
        let checked = Command::new("qemu-img").arg("check").arg(image).output();
        let checked = checked.map_err(|error| error.to_string())?;
        let text = String::from_utf8_lossy(&checked.stdout).into_owned();
        let text = text + &String::from_utf8_lossy(&checked.stderr);
        let is_complaint = |line: &&str| line.starts_with("ERROR") || line.contains("Could not");
        let complaints = text.lines().filter(is_complaint);
        Ok(complaints.map(str::to_owned).collect())
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("image.qcow2")
    }
}

impl Maker for QemuImg {
    fn make(&mut self, image: &NewImage) -> Result<Vec<u8>, String> {
        if let Some((_, made)) = self.made.iter().find(|(known, _)| known == image) {
            return Ok(made.clone());
        }
        let (size, cluster, bits) = (image.size, image.cluster, image.refcount_bits);
        let options = format!("cluster_size={cluster},refcount_bits={bits}");
        let path = self.path();
        let mut call = Command::new("qemu-img");
        call.args(["create", "-q", "-f", "qcow2", "-o", &options]);
        if let Some(format) = image.base {
            call.args(["-u", "-b", BASE, "-F", word(format)]);
        }
        call.arg(&path).arg(size.to_string());
        let output = call.output().map_err(|error| error.to_string())?;
        if !output.status.success() {
            let text = String::from_utf8_lossy(&output.stderr);
            return Err(format!("qemu-img: {}", text.trim()));
        }
        let made = fs::read(&path).map_err(|error| error.to_string())?;
        self.made.push((*image, made.clone()));
        Ok(made)
    }
}
