//! Late voices are ignored: every request of a run carries the run's id and an epoch, and a run's phase only moves
//! forward. A driver that was stopped and wakes up late finds a newer epoch, or a phase that is past, and is refused.

use crate::error::{HelperError, Result};
use crate::message::Phase;
use crate::session::late::{old_epoch, other_run};

/// Which phases admit a request, and which one it leads to.
struct Rule {
    op: &'static str,
    from: Phase,
    to: Phase,
    reaches: Option<Phase>,
}

const fn rule(op: &'static str, from: Phase, to: Phase, reaches: Option<Phase>) -> Rule {
    Rule { op, from, to, reaches }
}

/// `cutover` and `receive` end in one of several states; which one is the machines' business, so the guard only notes
/// that the cutover is behind. Whether a rollback may still undo, and a run that is behind may `finish`, `stay` or
/// `exec`, is the machines' business too.
const RULES: &[Rule] = &[
    rule("claim", Phase::Idle, Phase::Idle, Some(Phase::Claimed)),
    rule("memory", Phase::Claimed, Phase::SetUp, Some(Phase::SetUp)),
    rule("container", Phase::Claimed, Phase::SetUp, Some(Phase::SetUp)),
    rule("device", Phase::Claimed, Phase::SetUp, Some(Phase::SetUp)),
    rule("map", Phase::SetUp, Phase::SetUp, Some(Phase::SetUp)),
    rule("track", Phase::SetUp, Phase::Tracking, Some(Phase::Tracking)),
    rule("dirty", Phase::Tracking, Phase::Tracking, None),
    rule("listen", Phase::Claimed, Phase::Tracking, None),
    rule("connect", Phase::Claimed, Phase::Tracking, None),
    rule("receive", Phase::SetUp, Phase::Cutover, Some(Phase::Cutover)),
    rule("precopy", Phase::Tracking, Phase::PreCopy, Some(Phase::PreCopy)),
    rule("cutover", Phase::Tracking, Phase::PreCopy, Some(Phase::Cutover)),
    rule("finish", Phase::Cutover, Phase::Cutover, None),
    rule("exec", Phase::Cutover, Phase::Cutover, None),
    rule("stay", Phase::SetUp, Phase::RolledBack, None),
    rule("rollback", Phase::Claimed, Phase::RolledBack, Some(Phase::RolledBack)),
    rule("check", Phase::SetUp, Phase::RolledBack, None),
    rule("untrack", Phase::SetUp, Phase::RolledBack, None),
    rule("unmap", Phase::Claimed, Phase::RolledBack, None),
];

/// Of one helper.
#[derive(Debug, Default)]
pub struct Guard {
    run: Option<String>,
    /// The newest epoch heard; kept past `release`, so that a voice of the released run stays late.
    epoch: u64,
    phase: Option<Phase>,
}

impl Guard {
    pub fn new() -> Self {
        Self::default()
    }

    fn phase(&self) -> Phase {
        self.phase.unwrap_or(Phase::Idle)
    }

    /// Whether a request may be carried out. Notes the run and a newer epoch. Requests the rules do not know
    /// (`inventory`, `record`, `route`, unknown ones) belong to no run and pass.
    ///
    /// # Errors
    /// `protocol/no-run`, `protocol/other-run`, `protocol/old-epoch`, `protocol/phase`.
    pub fn admit(&mut self, op: &str, run: Option<&str>, epoch: Option<u64>) -> Result<()> {
        let rule = RULES.iter().find(|rule| rule.op == op);
        if rule.is_none() && op != "release" {
            return Ok(());
        }
        let (Some(run), Some(epoch)) = (run.filter(|run| !run.is_empty()), epoch) else {
            return Err(HelperError::new("protocol/no-run", format!("`{op}` must carry a run id and an epoch")));
        };
        let other = self.run.as_deref().filter(|known| *known != run);
        if let Some(known) = other {
            if self.phase() != Phase::Idle {
                return Err(other_run(op, run, known));
            }
        } else if self.run.is_some() && epoch < self.epoch {
            return Err(old_epoch(op, run, epoch, self.epoch));
        }
        if let Some(rule) = rule {
            let phase = self.phase();
            if phase < rule.from || phase > rule.to {
                let when = if phase < rule.from { "not that far" } else { "past that" };
                return Err(HelperError::new(
                    "protocol/phase",
                    format!("`{op}` belongs to {}, and run {run} is {when} ({})", name(rule.from), name(phase)),
                ));
            }
        }
        self.run = Some(run.to_owned());
        self.epoch = epoch;
        Ok(())
    }

    /// Notes that an admitted request succeeded.
    pub fn done(&mut self, op: &str) {
        if matches!(op, "release" | "stay") {
            self.over();
        } else if let Some(reached) = RULES.iter().find(|rule| rule.op == op).and_then(|rule| rule.reaches) {
            self.phase = Some(self.phase().max(reached));
        }
    }
}

impl Guard {
    /// The run is over, and another may be claimed. The newest epoch is kept.
    pub fn over(&mut self) {
        self.phase = None;
    }
}

fn name(phase: Phase) -> &'static str {
    match phase {
        Phase::Idle => "idle",
        Phase::Claimed => "claimed",
        Phase::SetUp => "set-up",
        Phase::Tracking => "tracking",
        Phase::PreCopy => "pre-copy",
        Phase::Cutover => "cutover",
        Phase::Committed => "committed",
        Phase::Running => "running",
        Phase::Discarded => "discarded",
        Phase::RolledBack => "rolled-back",
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn through(guard: &mut Guard, op: &str, epoch: u64) -> Result<()> {
        guard.admit(op, Some("r1"), Some(epoch))?;
        guard.done(op);
        Ok(())
    }

    fn code(result: Result<()>) -> &'static str {
        result.err().map_or("admitted", |error| error.code)
    }

    #[test]
    fn a_whole_run_of_each_side_is_admitted() {
        let set_up = ["claim", "memory", "container", "device", "map", "track"];
        for rest in [
            &["connect", "dirty", "precopy", "precopy", "cutover", "check", "untrack", "unmap"][..],
            &["listen", "receive", "check"],
            &["listen", "receive", "finish", "check", "exec"],
            &["untrack", "stay"],
        ] {
            let mut guard = Guard::new();
            for op in set_up.iter().chain(rest) {
                assert_eq!(code(through(&mut guard, op, 1)), "admitted", "{op}");
            }
            assert_eq!(code(through(&mut guard, "release", 1)), "admitted");
            assert_eq!(code(guard.admit("claim", Some("r2"), Some(1))), "admitted");
        }
    }

    #[test]
    fn what_follows_a_commit_needs_a_cutover_behind_it() {
        let mut guard = Guard::new();
        for op in ["claim", "memory", "map"] {
            through(&mut guard, op, 1).expect("admitted");
        }
        assert_eq!(code(guard.admit("exec", Some("r1"), Some(1))), "protocol/phase");
        assert_eq!(code(guard.admit("finish", Some("r1"), Some(1))), "protocol/phase");
        through(&mut guard, "receive", 1).expect("admitted");
        for op in ["finish", "exec", "finish"] {
            assert_eq!(code(through(&mut guard, op, 2)), "admitted", "{op}");
        }
        through(&mut guard, "rollback", 2).expect("the machines decide");
        assert_eq!(code(guard.admit("finish", Some("r1"), Some(2))), "protocol/phase");
        through(&mut guard, "stay", 2).expect("admitted");
        assert_eq!(code(guard.admit("claim", Some("r2"), Some(1))), "admitted", "the run is over");
    }

    #[test]
    fn older_epochs_other_runs_and_earlier_phases_are_refused() {
        let mut guard = Guard::new();
        assert_eq!(code(guard.admit("claim", None, Some(1))), "protocol/no-run");
        assert_eq!(code(through(&mut guard, "cutover", 1)), "protocol/phase");
        for op in ["claim", "memory", "track", "precopy"] {
            assert_eq!(code(through(&mut guard, op, 3)), "admitted");
        }
        assert_eq!(code(through(&mut guard, "cutover", 2)), "protocol/old-epoch");
        assert_eq!(code(guard.admit("cutover", Some("r2"), Some(9))), "protocol/other-run");
        assert_eq!(code(through(&mut guard, "map", 3)), "protocol/phase");
        assert_eq!(code(through(&mut guard, "cutover", 4)), "admitted");
        assert_eq!(code(through(&mut guard, "cutover", 4)), "protocol/phase");
        assert_eq!(code(through(&mut guard, "rollback", 3)), "protocol/old-epoch");
        assert_eq!(code(through(&mut guard, "release", 4)), "admitted");
        assert_eq!(code(through(&mut guard, "claim", 3)), "protocol/old-epoch");
    }

    proptest! {
        #[test]
        fn phase_and_epoch_never_go_back(calls in prop::collection::vec((0usize..RULES.len(), 0u64..4), 0..60)) {
            let mut guard = Guard::new();
            let (mut phase, mut epoch) = (Phase::Idle, 0);
            for (index, asked) in calls {
                if through(&mut guard, RULES[index].op, asked).is_ok() {
                    prop_assert!(asked >= epoch);
                    epoch = asked;
                }
                // `stay` alone ends the run, as `release` does.
                prop_assert!(guard.phase() >= phase || guard.phase() == Phase::Idle);
                phase = guard.phase();
            }
        }
    }
}
