//! How far a stream was processed. In a file it survives the process: what came after the checkpoint is delivered
//! again, so delivery is at least once.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

/// The place of one consumer in one stream.
#[derive(Debug, Clone)]
pub struct Checkpoint {
    path: Option<PathBuf>,
    position: Arc<Mutex<Option<Position>>>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Position {
    pub(super) stream_arn: String,
    pub(super) shard: String,
    pub(super) sequence_number: String,
}

impl Checkpoint {
    /// A checkpoint that ends with the process. Clones share it: a source started with a clone goes on from there.
    #[must_use]
    pub fn memory() -> Self {
        Self { path: None, position: Arc::default() }
    }

    /// A checkpoint in a file, which need not exist yet.
    ///
    /// # Errors
    ///
    /// The file cannot be read or is not a checkpoint.
    pub fn file(path: impl AsRef<Path>) -> anyhow::Result<Self> {
        let path = path.as_ref();
        let position = match std::fs::read(path) {
            Ok(bytes) => Some(
                serde_json::from_slice(&bytes).with_context(|| format!("{} is not a checkpoint", path.display()))?,
            ),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
        };
        Ok(Self { path: Some(path.to_owned()), position: Arc::new(Mutex::new(position)) })
    }

    /// The sequence number of the last record that is done with, if any is.
    #[must_use]
    pub fn sequence_number(&self) -> Option<String> {
        self.get().map(|position| position.sequence_number)
    }

    pub(super) fn get(&self) -> Option<Position> {
        self.position.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Moves the checkpoint; a file is replaced whole or not at all.
    pub(super) fn set(&self, position: Position) -> io::Result<()> {
        if let Some(path) = &self.path {
            let replacement = path.with_extension("new");
            std::fs::write(&replacement, serde_json::to_vec(&position)?)?;
            std::fs::rename(&replacement, path)?;
        }
        *self.position.lock().unwrap_or_else(PoisonError::into_inner) = Some(position);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_in_a_file_is_found_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rollup.checkpoint");
        assert_eq!(Checkpoint::file(&path).unwrap().sequence_number(), None);
        let position =
            |number: &str| Position { stream_arn: "arn".into(), shard: "s".into(), sequence_number: number.into() };
        let checkpoint = Checkpoint::file(&path).unwrap();
        checkpoint.set(position("1")).unwrap();
        checkpoint.set(position("2")).unwrap();
        assert_eq!(Checkpoint::file(&path).unwrap().get(), Some(position("2")));
    }
}
