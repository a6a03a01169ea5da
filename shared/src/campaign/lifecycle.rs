//! What can be done to a campaign in which state.

use serde::{Deserialize, Serialize};

/// Where a campaign stands: `draft → scheduled → running ⇄ paused → completed | cancelled | failed`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Created, not started.
    Draft,
    /// Started; waits for its time.
    Scheduled,
    /// Messages leave.
    Running,
    /// Stopped for now, by the operator or by an error that concerns all messages.
    Paused,
    /// Every recipient is settled.
    Completed,
    /// Stopped for good by the operator.
    Cancelled,
    /// Stopped for good by us.
    Failed,
}

/// What an operator can ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Run it, now or at its time.
    Start,
    /// Stop for now.
    Pause,
    /// Go on after a pause.
    Resume,
    /// Stop for good.
    Cancel,
}

impl Action {
    /// The verb in the API's path.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Cancel => "cancel",
        }
    }

    /// The states in which it is allowed.
    #[must_use]
    pub const fn allowed_in(self) -> &'static [Status] {
        match self {
            Self::Start => &[Status::Draft],
            Self::Pause => &[Status::Running, Status::Scheduled],
            Self::Resume => &[Status::Paused],
            Self::Cancel => &[Status::Draft, Status::Scheduled, Status::Running, Status::Paused],
        }
    }
}

impl Status {
    /// The state's name in the API.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Scheduled => "scheduled",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Completed => "completed",
            Self::Cancelled => "cancelled",
            Self::Failed => "failed",
        }
    }

    /// Whether nothing more will happen.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Completed | Self::Cancelled | Self::Failed)
    }

    /// The state after the action, or `None` when it is not allowed now. `due` tells whether its time has come.
    #[must_use]
    pub fn after(self, action: Action, due: bool) -> Option<Self> {
        if !action.allowed_in().contains(&self) {
            return None;
        }
        Some(match action {
            Action::Start | Action::Resume if due => Self::Running,
            Action::Start | Action::Resume => Self::Scheduled,
            Action::Pause => Self::Paused,
            Action::Cancel => Self::Cancelled,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_named_ways_exist() {
        assert_eq!(Status::Draft.after(Action::Start, true), Some(Status::Running));
        assert_eq!(Status::Draft.after(Action::Start, false), Some(Status::Scheduled));
        assert_eq!(Status::Running.after(Action::Start, true), None);
        assert_eq!(Status::Running.after(Action::Pause, true), Some(Status::Paused));
        assert_eq!(Status::Paused.after(Action::Resume, true), Some(Status::Running));
        assert_eq!(Status::Draft.after(Action::Pause, true), None);
        for done in [Status::Completed, Status::Cancelled, Status::Failed] {
            for action in [Action::Start, Action::Pause, Action::Resume, Action::Cancel] {
                assert_eq!(done.after(action, true), None, "{done:?} {action:?}");
            }
        }
    }
}
