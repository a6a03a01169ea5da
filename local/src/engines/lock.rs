//! One process at a time in a data folder. The lock belongs to the open file, so the system releases it however the
//! process ends; the file itself stays behind and means nothing.

use std::{
    fs::{File, OpenOptions, TryLockError},
    path::Path,
};

use anyhow::Context as _;

/// Held for as long as this process uses the folder.
#[derive(Debug)]
pub(super) struct DirectoryLock {
    _file: File,
}

impl DirectoryLock {
    /// Takes the folder for this process.
    pub(super) fn acquire(directory: &Path) -> anyhow::Result<Self> {
        let path = directory.join("lock");
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .with_context(|| format!("cannot open {}", path.display()))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => anyhow::bail!(
                "the data folder {} is in use by another running process; stop that one or choose another folder",
                directory.display()
            ),
            Err(TryLockError::Error(error)) => {
                Err(error).with_context(|| format!("cannot lock the data folder {}", directory.display()))
            }
        }
    }
}
