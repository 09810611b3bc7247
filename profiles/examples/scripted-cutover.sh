#!/bin/sh
# A whole cutover by a script: plan, start held, wait, look, cut over within a window, check, release; and the way back
# when any of it goes wrong. It works in a terminal, from cron and in a pipeline alike.
#
#   scripted-cutover.sh [PROFILE]
#
# Without a profile it takes profiles/scripted-cutover.yaml, which moves a simulated workload within this machine.
# Its exit code is ferry's: 0 done; 3 blocked by the plan; 4 cancelled; 5 failed and rolled back; 6 a device needs a
# person; 7 the blackout would not have fitted the downtime limit; 8 the two sides disagree; 9 nobody knows. 1 is an
# error before anything was changed, or the check at the end that did not pass.
#
#   FERRY       how ferry is called (ferry)
#   HOLD_WAIT   longest wait for the hold (10m)
#   WINDOW      how long the cutover may wait for a moment whose forecast fits (30s)
#   END_WAIT    longest wait for the end (10m)
#   CHECK       command that says whether the workload is well on the destination (true)
#   FERRY_DEMO  folder of the example's two state folders and its log (~/.ferry-demo)
set -eu

# Word splitting is wanted in both: they are commands with arguments.
ferry() {
  # shellcheck disable=SC2086
  ${FERRY:-command ferry} "$@"
}
works_there() {
  # shellcheck disable=SC2086
  ${CHECK:-true}
}
say() {
  printf '%s\n' "-- $*" >&2
}

profile=${1:-$(dirname "$0")/../scripted-cutover.yaml}
run=
stage=before

# However this script ends early, the run must not stay behind, held for ever. Before the commit `cancel` undoes
# everything: the source's devices run again and were seen to. After it nothing is undone any more, and a cancel would
# be refused.
leave() {
  status=$?
  trap - EXIT
  case $stage in
    before | over) ;;
    held)
      say "giving up: cancelling run $run"
      ferry cancel "$run" --wait || say "run $run did not end as it should: ferry status $run"
      ;;
    moving)
      say "run $run was let go and did not end well: ferry report $run, then ferry recover $run"
      ;;
    moved)
      say "run $run moved the workload, and the check did not pass. The source still has its devices, stopped, and"
      say "its memory as it was: ferry report $run, and ferry release $run only when nobody needs them any more"
      ;;
    checked)
      say "run $run moved the workload and all is well, but the source was not released: ferry release $run"
      ;;
  esac
  exit "$status"
}
trap leave EXIT
# A signal ends the script, and so takes the way above.
trap 'exit 130' INT
trap 'exit 143' TERM HUP

say "is the profile right, and what would happen?"
ferry validate "$profile"
# Asks both hosts and changes nothing. Blockers end the script here, with exit 3 and all of them on the screen.
ferry plan "$profile"

say "start it; it copies until it is held before the cutover"
# The run lives on without this script and without a terminal. What is printed is its id. If the hosts refuse it, this
# is where that is said.
run=$(ferry migrate "$profile" --detach)
stage=held
say "run $run; to look on: ferry status $run --watch, or ferry events $run --follow"

# If it ends instead of being held, await ends with the run's own exit code.
ferry await "$run" --condition held --timeout "${HOLD_WAIT:-10m}"

say "held: the devices run, rounds go on, and this is the forecast"
ferry status "$run"
# The place for what must be so before the cutover: a backup that has finished, a colleague who says yes, two o'clock
# (`ferry cutover --at 02:00`). The profile's hold timeout is what ends a wait that takes too long.

say "cut over, at a moment within ${WINDOW:-30s} whose forecast fits the downtime limit"
# Exit 7 when there was none: nothing was stopped, the run is still held, and leaving cancels it. Otherwise the hooks
# drain the traffic, and the devices move.
ferry cutover "$run" --within "${WINDOW:-30s}"
stage=moving
# The exit code is the run's: 0 only when the destination runs and what was to be verified was verified.
ferry await "$run" --condition ended --timeout "${END_WAIT:-10m}"
stage=moved

say "moved: forecast and blackout side by side, and what was verified"
ferry report "$run"

# Ferry has compared memory and device states. Whether the service answers is for you to say.
works_there || exit 1
stage=checked

say "all is well: the source lets go of its devices"
ferry release "$run"
stage=over
say "done. To close the example's destination as well:"
say "ferry release --hold $profile --side destination"
