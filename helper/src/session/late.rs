//! Refusals of requests that come late: for another run, or from an owner that another has followed.

use crate::error::HelperError;

pub fn other_run(op: &str, run: &str, served: &str) -> HelperError {
    HelperError::new("protocol/other-run", format!("this helper serves run {served}, `{op}` is for run {run}"))
        .suggest(format!("release run {served} first, or start another helper"))
}

pub fn old_epoch(op: &str, run: &str, epoch: u64, newest: u64) -> HelperError {
    HelperError::new(
        "protocol/old-epoch",
        format!("`{op}` comes from epoch {epoch} of run {run}, which epoch {newest} has taken over"),
    )
    .suggest("another ferry drives this run now: leave it to that one")
}
