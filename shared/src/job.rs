//! Work of minutes: between its steps it asks whoever started it whether to go on. The rows of jobs are in `store`.

use std::future::Future;

use crate::store::StoreError;

/// Whether to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Yes.
    On,
    /// No: the work is not needed any more, or somebody else does it.
    Stop,
}

/// Hears how far some work is, and says whether to go on. `()` hears nothing and always says yes.
pub trait Watch<P: Sync>: Send {
    /// The work is as far as `progress` says.
    ///
    /// # Errors
    /// [`StoreError`]; the work stops and can be repeated.
    fn look(&mut self, progress: &P) -> impl Future<Output = Result<Step, StoreError>> + Send;
}

impl<P: Sync> Watch<P> for () {
    async fn look(&mut self, _: &P) -> Result<Step, StoreError> {
        Ok(Step::On)
    }
}
