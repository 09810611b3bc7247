import { EXIT_CODES, type ExitName } from '../exit-codes.js'
import { sentence, type Advice, type Family } from './code.js'

const ADVICE: Readonly<Record<ExitName, Advice>> = {
  done: {
    cause: 'The command did what it was asked to do, and checked it.',
    remedy: 'Nothing.',
  },
  error: {
    cause: 'Something failed before anything was changed, or the command only reads.',
    remedy: 'Read the error code on stderr (or `error.code` with --json) and explain that one.',
  },
  usage: {
    cause: 'A flag or an argument is wrong, or the profile has errors.',
    remedy: 'Correct what the message names; `ferry validate` shows all problems of a profile at once.',
  },
  blocked: {
    cause: 'The plan or the doctor found something that makes the run impossible. Nothing was started.',
    remedy: 'Work through the listed blockers; each says what lifts it. Then run `ferry plan` again.',
  },
  cancelled: {
    cause: '`ferry cancel` or a signal ended the run before it was committed.',
    remedy: 'Nothing: the workload is running on the source. Start the run again when it suits.',
  },
  rolledBack: {
    cause: 'The run failed before COMMIT, and Ferry undid what it had done.',
    remedy:
      'The workload is running on the source. `ferry report RUN` shows the cause; remove it and try again.',
  },
  needsPerson: {
    cause: 'A device did not come back to the state it must be in, or moved memory was found to be wrong.',
    remedy:
      'Start nothing yet. `ferry report RUN` names the device or the pages, and `ferry recover RUN` helps.',
  },
  downtimeLimit: {
    cause: 'The devices write faster than the link carries, or the limit is too small for their state.',
    remedy: 'Raise the downtime limit or the bandwidth, or try at a quieter time. The source is running.',
  },
  sidesDisagree: {
    cause: 'The helpers are of different releases, or the two sides report different outcomes or runs.',
    remedy:
      'Install one release on all hosts. If outcomes differ, start nothing before you have seen both sides.',
  },
  unknown: {
    cause:
      'Ferry lost its connection to a host, or was ended, at a moment when the run may have been committed.',
    remedy: 'Start nothing by hand. `ferry recover RUN` asks both sides and finishes the run safely.',
  },
}

/** Under its number: "6". */
export const EXIT_FAMILY: Family = {
  name: 'exit',
  title: 'Exit codes',
  where: 'the exit status of every `ferry` command, and `exit` in the --json envelope',
  codes: Object.fromEntries(
    Object.entries(EXIT_CODES).map(([name, { exit, meaning }]) => [
      String(exit),
      { meaning: sentence(meaning), ...ADVICE[name as ExitName] },
    ]),
  ),
}
