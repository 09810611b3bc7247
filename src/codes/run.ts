import type { Family } from './code.js'

export const RUN_FAMILY: Family = {
  name: 'run',
  title: 'Runs',
  where: '`ferry migrate` and the commands that steer a run: `await`, `cancel`, `cutover`, `set`, `status`',
  codes: {
    'run/cancelled': {
      meaning: 'The run was cancelled before it was committed.',
      cause: '`ferry cancel`, Ctrl-C or a signal ended it.',
      remedy: 'Nothing: the workload is running on the source.',
    },
    'run/rolled-back': {
      meaning: 'The run was undone before COMMIT.',
      cause: 'Ferry, or a helper that lost Ferry, rolled back after a failure.',
      remedy: '`ferry report RUN` shows what failed first.',
    },
    'run/detached': {
      meaning:
        'Ferry stopped waiting for the run; its helpers undo it, or let the destination run if it was committed.',
      cause: 'A second Ctrl-C or signal came while the first one was still cancelling the run.',
      remedy: '`ferry report RUN` shows how far it came, and `ferry recover RUN` finishes it.',
    },
    'run/unknown': {
      meaning: 'Whether the run was committed is not known.',
      cause: 'The cutover got no answer, and a side cannot be reached.',
      remedy: 'Start nothing by hand. Repair the way to both hosts and run `ferry recover RUN`.',
    },
    'run/done': {
      meaning: 'The run is done: the workload runs on the destination.',
      cause: 'The run was recovered, or had ended well before.',
      remedy: 'Nothing.',
    },
    'run/not-started': {
      meaning: 'The run ended before it touched a device.',
      cause: 'Something it needs was missing when it began.',
      remedy: '`ferry report RUN` shows what; then start it again.',
    },
    'run/needs-person': {
      meaning:
        'The run ended with a device that Ferry could not bring back, or a dropped run it could not record.',
      cause: 'A driver refused both the change of state and the reset, or a disk failed.',
      remedy: '`ferry report RUN` names it. Repair it, then run `ferry recover RUN`.',
    },
    'run/downtime-limit': {
      meaning: 'The run was undone because the blackout would have passed its limit.',
      cause: 'Too much was dirty, or a host or the network was slow.',
      remedy: 'Allow a longer blackout, or move when less is written.',
    },
    'run/sides-disagree': {
      meaning: 'The two sides do not belong to one run, or do not understand each other.',
      cause: 'Versions differ, or a side was set up for another run.',
      remedy: 'Install one release of Ferry on all hosts and start the run again.',
    },
    'run/busy': {
      meaning: 'Another ferry already drives, recovers or releases this run.',
      cause: 'Two commands were started for the same run.',
      remedy: '`ferry status RUN` shows it; try again when the other one has ended.',
    },
    'run/died': {
      meaning: 'The ferry that drove the run died, and no end of the run is recorded.',
      cause: 'It was killed, or its host failed.',
      remedy: '`ferry recover RUN` asks both sides and finishes the run.',
    },
    'run/unfinished': {
      meaning: 'Runs were left behind that somebody has to recover.',
      cause: 'Their ferry died, or they ended with a side unknown, in need of a person, or declared dead.',
      remedy: '`ferry list --unfinished` shows them; `ferry recover RUN` finishes each.',
    },
    'run/gone': {
      meaning: 'The ferry that drives the run stopped answering.',
      cause: 'It ended or was killed while the command waited for it.',
      remedy: '`ferry status RUN` reads how the run stands from its journal.',
    },
    'run/not-begun': {
      meaning: 'The journal holds no record yet.',
      cause: 'The run is just starting, or failed before its first record.',
      remedy: 'Try again in a moment; if nothing comes, start the run again.',
    },
    'run/out-of-reach': {
      meaning: 'A process drives the run but has no socket to ask.',
      cause: 'The socket was removed, or XDG_RUNTIME_DIR or the user is another one.',
      remedy: 'Use the environment of the run. `ferry status RUN` reads its journal meanwhile.',
    },
    'run/over': {
      meaning: 'The run has ended and can no longer be steered.',
      cause: 'It ended before the command reached it.',
      remedy: '`ferry report RUN` shows what happened.',
    },
    'await/ended': {
      meaning: 'The run ended without reaching the condition awaited.',
      cause: 'It failed, was cancelled, or passed the condition without stopping.',
      remedy: '`ferry report RUN` shows what happened.',
    },
    'await/timeout': {
      meaning: 'The run did not reach the condition in time.',
      cause: 'It takes longer than `--timeout`.',
      remedy: 'The run continues: see `ferry status RUN`, and wait again or cancel it.',
    },
    'cancel/too-late': {
      meaning: 'The run is committed and can no longer be cancelled.',
      cause: 'The destination runs the workload, or is about to.',
      remedy: '`ferry status RUN` shows how it stands. To move back, migrate in the other direction.',
    },
    'cancel/ended': {
      meaning: 'The run ended, but not as cancelled.',
      cause: 'It failed or finished before the request reached it.',
      remedy: '`ferry report RUN` shows what happened.',
    },
    'cutover/no-hold': {
      meaning: 'The run is not held and will not be.',
      cause: 'It was started without a hold.',
      remedy: 'Nothing is needed: it cuts over by itself. Use `--hold` next time.',
    },
    'cutover/not-held': {
      meaning: 'The run has not reached its hold point.',
      cause: 'It is still copying.',
      remedy: '`ferry await RUN --condition held` waits for it.',
    },
    'cutover/forecast': {
      meaning: 'The run stays held: the expected blackout is longer than the downtime limit.',
      cause: 'The devices write more than the link can carry in that time, or no round has ended.',
      remedy:
        'Wait for a quieter moment with `ferry cutover RUN --within 10m`, or raise the limit with `ferry set`.',
    },
    'cutover/past': {
      meaning: 'The moment given for the cutover has passed.',
      cause: 'The request arrived after that time.',
      remedy: 'Give a later time, or leave `--at` out.',
    },
    'cutover/too-late': {
      meaning: 'The run is no longer held.',
      cause: 'Another command continued it before, or it has ended.',
      remedy: '`ferry status RUN` shows how it stands.',
    },
    'cutover/replaced': {
      meaning: 'A later request took the place of this one.',
      cause: 'Another cutover was asked for meanwhile; the last one counts.',
      remedy: '`ferry status RUN` shows the request that counts.',
    },
    'cutover/dropped': {
      meaning: 'The run ended before the cutover asked for could begin.',
      cause: 'It was cancelled or it failed.',
      remedy: '`ferry status RUN` shows how it ended.',
    },
    'set/too-late': {
      meaning: 'The setting no longer has an effect on this run.',
      cause: 'The run is past the point where it counts, usually in its cutover.',
      remedy: 'Nothing can be changed now; `ferry status RUN` shows how it stands.',
    },
    'hold/timed-out': {
      meaning: 'The run was held for as long as allowed, and was cancelled.',
      cause: 'No cutover was asked for before `migration.holdTimeout` was over.',
      remedy: 'Start it again, and continue it in time or allow a longer hold.',
    },
    'hold/lost': {
      meaning: 'A holder ended without being asked to.',
      cause: 'Its process was killed or failed.',
      remedy: 'Its devices were closed with it: start it again with `ferry hold PROFILE`.',
    },
    'hold/profile': {
      meaning: 'A systemd unit needs a profile that is a file.',
      cause: 'The profile came from standard input.',
      remedy: 'Give the path of the profile instead of -.',
    },
    'limit/downtime': {
      meaning: 'The blackout would pass, or was passing, the downtime limit, so the run was undone.',
      cause: 'The devices write too fast, their state is large, or a hook or the link took too long.',
      remedy: 'Raise the limit or the bandwidth, or choose a quieter time.',
    },
    'limit/hold': {
      meaning: 'The hold ended by its time-out, and the cutover due then would pass the downtime limit.',
      cause: 'The forecast of the blackout was above the limit, or no round had ended.',
      remedy: 'Continue the run by hand at a quiet moment, or raise the downtime limit.',
    },
    'limit/not-converged': {
      meaning: 'The rounds of pre-copy did not come down to the downtime limit.',
      cause: 'The devices write faster than the link carries.',
      remedy:
        'Raise the downtime limit, the bandwidth, `--max-rounds` or `--max-time`, or let the devices write less.',
    },
    'hook/failed': {
      meaning: 'A hook ended with an error, and the run was undone where that was possible.',
      cause: 'The command of the hook failed or could not be run.',
      remedy: 'Run the command by hand on that host; its last lines are in the report.',
    },
    'hook/timed-out': {
      meaning: 'A hook did not end in the time it has.',
      cause: 'Its command waits for something, or its timeout is too short.',
      remedy: 'Run it by hand, or raise its `timeout` in the profile.',
    },
    'hook/killed': {
      meaning: 'A hook was ended together with its run.',
      cause: 'The run was cancelled or failed while the hook was running.',
      remedy: 'Nothing, unless the command left something half done.',
    },
    'detach/failed': {
      meaning: 'The ferry in the background ended before its run began.',
      cause: 'The plan, the journal or a helper failed; the last lines are shown.',
      remedy: 'Start it again without `--detach` to see the whole message.',
    },
    'detach/log': {
      meaning: 'The log of the ferry in the background cannot be created.',
      cause: 'The state folder is not writable.',
      remedy: 'Name a folder that you may write to with `--state-dir`.',
    },
    'verify/lost-pages': {
      meaning: 'Pages at the destination lack writes of a simulated device.',
      cause: 'A tracker missed a write, which is a fault in Ferry, the driver or the kernel.',
      remedy: 'Do not use the destination. The source still holds the right pages, stopped. Report it.',
    },
    'internal/bug': {
      meaning: 'Ferry failed in a way it does not expect.',
      cause: 'A fault in Ferry.',
      remedy: 'Report it with the stack trace. After a run had begun, use `ferry recover RUN`.',
    },
  },
}
