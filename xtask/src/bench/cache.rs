//! Files: how much they take, and getting them out of the page cache.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};

use crate::process;

/// What files and directories take on the disk, as `du` counts.
pub(super) fn bytes_below(directory: &Path) -> Result<u64> {
    let mut bytes = fs::metadata(directory)?.blocks() * 512;
    for file in files_below(directory)? {
        bytes += fs::metadata(&file)?.blocks() * 512;
    }
    Ok(bytes)
}

/// Makes the next reader of these files read the disk.
pub(super) fn evict(directory: &Path) -> Result<()> {
    process::run(&mut Command::new("sync"))?;
    for file in files_below(directory)? {
        // Reads nothing and advises the kernel that nothing of the file is needed (`posix_fadvise`).
        let input = format!("if={}", file.display());
        let status = Command::new("dd")
            .args([&input, "iflag=nocache", "count=0", "status=none"])
            .stderr(Stdio::null())
            .status()
            .context("cannot run dd, which empties the page cache")?;
        if !status.success() {
            bail!("dd cannot empty the page cache of {}", file.display());
        }
    }
    Ok(())
}

fn files_below(directory: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut open = vec![directory.to_path_buf()];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(&directory)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                open.push(entry.path());
            } else if entry.file_type()?.is_file() {
                files.push(entry.path());
            }
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::Scratch;

    #[test]
    fn nested_files_count() {
        let scratch = Scratch::new("cache").unwrap();
        fs::create_dir(scratch.path().join("below")).unwrap();
        fs::write(scratch.path().join("below/file"), vec![1; 100_000]).unwrap();
        assert!(bytes_below(scratch.path()).unwrap() >= 100_000);
        assert_eq!(files_below(scratch.path()).unwrap().len(), 1);
    }
}
