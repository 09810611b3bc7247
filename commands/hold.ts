import { Flags } from '@oclif/core'
import { BaseCommand } from '../src/cli/base-command.js'
import type { HelperEnd } from '../src/host/connection.js'
import { PROFILE_ARG, setFlag } from '../src/cli/flags.js'
import { prose } from '../src/cli/help-text.js'

export default class Hold extends BaseCommand<typeof Hold> {
  static override summary = 'open a workload’s devices and memory, and keep them open'
  static override description = prose`A device lives as long as a process has its descriptor open. This opens the devices and the memory of a profile's source
in a helper that stays, maps and pins them, and comes back. A migration whose profile says \`source: {from: holder}\`
takes the workload from there, whichever ferry starts it; \`ferry release --hold PROFILE\` closes it.

A profile with \`handOut\` lets one user ask for duplicates of the descriptors (devices, containers or iommufd, memory)
over a unix socket; profiles/examples/take-descriptors.c is such a client.`

  static override examples = [
    { description: 'hold a workload', command: '<%= config.bin %> <%= command.id %> node.yaml' },
    {
      description: 'as a service of systemd',
      command:
        '<%= config.bin %> <%= command.id %> /etc/ferry/node.yaml --systemd > /etc/systemd/system/ferry-node.service',
    },
  ]

  static override args = {
    profile: PROFILE_ARG,
  }

  static override flags = {
    foreground: Flags.boolean({
      summary: 'wait until the holder ends; SIGTERM and Ctrl-C release it',
      exclusive: ['systemd'],
    }),
    systemd: Flags.boolean({ summary: 'print a unit for systemd and do nothing' }),
    set: setFlag(),
  }

  async run(): Promise<object> {
    const [{ loadProfile }, { holdWorkload, holderLostError, systemdUnit }] = await Promise.all([
      import('../src/profile/load.js'),
      import('../src/run/hold-workload.js'),
    ])
    const profile = await loadProfile(this.args.profile, { sets: this.flags.set ?? [] })
    if (this.flags.systemd) {
      const { resolve } = await import('node:path')
      const path = this.args.profile === '-' ? '-' : resolve(this.args.profile)
      const { helper, set = [], 'state-dir': stateDir } = this.flags
      // What makes it another workload here would make it another one there.
      const given = [
        ...set.flatMap((value) => ['--set', value]),
        ...(helper === undefined ? [] : ['--helper', resolve(helper)]),
        ...(stateDir === undefined ? [] : ['--state-dir', resolve(stateDir)]),
      ]
      const ferry = [process.execPath, resolve(process.argv[1] ?? 'ferry')]
      const unit = systemdUnit({ name: profile.name, path }, ferry, given)
      this.log(unit.trimEnd())
      return { unit }
    }
    const held = await holdWorkload({
      profile,
      stateDir: this.stateDir,
      helper: this.flags.helper,
      root: this.config.root,
      onStderr: (side, line) => this.logger.info({ side }, line),
      onStep: (text) => {
        if (!this.jsonEnabled()) process.stderr.write(`${text}\n`)
      },
    })
    const { devices, gone, handOut, pid, socket, workload } = held
    const names = devices.map(({ device, state }) => `${device} (${state})`).join(', ')
    this.log(`holding ${workload}: ${names}, in process ${pid}`)
    this.log(
      `  migrate it with \`source: {from: holder}\`; close it with \`ferry release --hold ${this.args.profile}\``,
    )
    if (handOut !== null) this.log(`  descriptors for uid ${handOut.uid} at ${handOut.socket}`)
    if (this.flags.foreground) {
      const lost = holderLostError(workload, await this.stay(gone))
      if (lost !== null) throw lost
    }
    return { workload, socket, pid, devices, handOut }
  }

  /** The holder may also be released by somebody else, or move its workload away. */
  private async stay(gone: Promise<HelperEnd>): Promise<HelperEnd> {
    const { onSignals } = await import('../src/run/signals.js')
    const { releaseHeld } = await import('../src/recovery/reach.js')
    const profile = this.args.profile
    const restore = onSignals(
      () => {
        void releaseHeld(profile, this.flags.set ?? [], {
          stateDir: this.stateDir,
          helper: this.flags.helper,
          root: this.config.root,
        }).catch((error: unknown) => this.warn(error instanceof Error ? error : String(error)))
      },
      () => undefined,
    )
    // The holder is not a child that node waits for: something must keep this process alive.
    const alive = setInterval(() => undefined, 60_000)
    const end = await gone
    clearInterval(alive)
    restore()
    return end
  }
}
