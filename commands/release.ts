import { Flags } from '@oclif/core'
import { BaseCommand } from '../src/cli/base-command.js'
import { EXIT } from '../src/exit-codes.js'
import { OPTIONAL_RUN_ARG, setFlag } from '../src/cli/flags.js'
import type { SavedJournal } from '../src/journal/read.js'
import type { Role } from '../src/protocol/protocol.js'
import type { Reach } from '../src/recovery/sides.js'
import { prose } from '../src/cli/help-text.js'

export default class Release extends BaseCommand<typeof Release> {
  static override summary = 'close the devices of a migrated source, or of a holder'
  static override description = prose`After a commit with \`releaseSource: by-hand\` the source keeps its devices stopped and its memory as it was, until this
command closes them. A run that did not end done is refused: the source may have the only copy.

A run that needs a person and cannot be recovered, because the destination committed and could not start a device,
keeps its devices on both sides for that person to look at; --give-up closes them. With --dead it does so although the host
of one side is gone for good, when \`ferry recover\` cannot finish the run without it; it says what is not known then, and
asks for a token. \`ferry recover\` looks for that side again, and closes what it still has.

With --hold it closes a holder instead: its devices and memory are closed there. Memory
in a file stays in that file; device state and other memory are lost.`
  static override exitCodes = [EXIT.done, EXIT.error, EXIT.usage]

  static override examples = [
    { description: 'the source of the last run', command: '<%= config.bin %> <%= command.id %> last' },
    { description: 'a holder', command: '<%= config.bin %> <%= command.id %> --hold node.yaml' },
  ]

  static override args = {
    run: OPTIONAL_RUN_ARG,
  }

  static override flags = {
    hold: Flags.string({ summary: 'the holder of this profile', helpValue: 'PROFILE' }),
    'give-up': Flags.boolean({
      summary: 'close both sides of a run that did not end done; its workload is lost',
      exclusive: ['hold'],
    }),
    dead: Flags.option({
      options: ['source', 'destination'] as const,
      summary: 'with --give-up: the host of this side is gone for good',
      dependsOn: ['give-up'],
    })(),
    token: Flags.string({
      summary: 'with --dead: the token of the run as it is found, which is printed without it',
      helpValue: 'TOKEN',
      dependsOn: ['dead'],
    }),
    side: Flags.option({
      options: ['source', 'destination'] as const,
      summary: 'with --hold: the side of the profile whose holder to close (default: source)',
      dependsOn: ['hold'],
    })(),
    set: setFlag({ with: 'hold' }),
  }

  async run(): Promise<object> {
    const { usageError } = await import('../src/errors.js')
    const { makeReach, releaseHeld } = await import('../src/recovery/reach.js')
    const options = { stateDir: this.stateDir, helper: this.flags.helper, root: this.config.root }
    const { hold } = this.flags
    if ((hold === undefined) === (this.args.run === undefined)) {
      throw usageError('run', 'give a run, or --hold PROFILE', '`ferry list` shows the runs')
    }
    if (hold !== undefined) {
      const released = await releaseHeld(hold, this.flags.set ?? [], options, this.flags.side ?? 'source')
      this.log(`released ${released.workload}: ${released.devices.join(', ')} closed`)
      return released
    }
    const { findJournal, readWhatIsLeft } = await import('../src/journal/read.js')
    const { releaseRun } = await import('../src/recovery/release.js')
    const saved = readWhatIsLeft(findJournal(this.stateDir, this.args.run ?? 'last'))
    const { dead } = this.flags
    if (dead !== undefined) return this.giveUpWithout(dead, saved, makeReach(options))
    const released = await releaseRun(saved, this.stateDir, makeReach(options), this.flags['give-up'])
    this.log(
      released.released
        ? `released the source of run ${released.run}: ${released.devices.join(', ')} closed`
        : `the source of run ${released.run} holds nothing any more`,
    )
    return released
  }

  private async giveUpWithout(dead: Role, saved: SavedJournal, reach: Reach): Promise<object> {
    const [{ giveUpWithout }, { confirmBy }] = await Promise.all([
      import('../src/recovery/give-up.js'),
      import('../src/recovery/confirm.js'),
    ])
    const given = await giveUpWithout({
      ...{ saved, reach, dead, stateDir: this.stateDir, version: this.config.version },
      confirm: confirmBy(this.flags.token, !this.jsonEnabled()),
    })
    const living = dead === 'source' ? 'destination' : 'source'
    const had = given.released ? `${given.devices.join(', ')} closed there` : 'it held nothing any more'
    this.log(`gave up run ${given.run} on the ${living}: ${had}`)
    this.warn(
      `the ${dead} was declared dead: ${given.unknown}. When its host is back, \`ferry recover ${given.run}\` closes what it has`,
    )
    return given
  }
}
