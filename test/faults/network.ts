/** Two hosts with real sshds, between which cables are bad when a cell says so: `wire.c` carries their packets. */
import { execa } from 'execa'
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, constants, mkdirSync, openSync, readdirSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { DATA, TwoHosts } from '../two-hosts/hosts.js'
import type { Place } from './matrix.js'

const SOURCE = fileURLToPath(new URL('wire.c', import.meta.url))

/** Which cables: of ssh to either host, of the data, or all. */
export type Reach = 'control a' | 'control b' | 'data' | 'all'
export const BAD = [
  'cut',
  'half open',
  'one way there',
  'one way back',
  'loses 30 %',
  '2 s late',
  'nearly no bandwidth',
  'resets',
] as const
export type Bad = (typeof BAD)[number]

interface End {
  readonly host: 'a' | 'b' | 'c'
  readonly device: string
  readonly address: string
}
interface Cable {
  readonly name: string
  readonly ends: readonly [End, End]
}
const CABLES: Readonly<Record<'control a' | 'control b' | 'data', Cable>> = {
  'control a': cable('ca', ['c', 'toa', '10.77.1.1'], ['a', 'ctl', '10.77.1.2']),
  'control b': cable('cb', ['c', 'tob', '10.77.2.1'], ['b', 'ctl', '10.77.2.2']),
  data: cable('data', ['a', 'data', DATA.a], ['b', 'data', DATA.b]),
}
type Named = keyof typeof CABLES
const ALL = Object.keys(CABLES) as readonly Named[]

/** An outage that is no end of all connections lasts longer than the time-outs, then it is over. */
const BAD_MS = 6000
/** Loss in per cent, delay in milliseconds, bytes a second. */
const SETTINGS: Readonly<Partial<Record<Bad, string>>> = {
  'half open': 'both 100 0 0 0',
  'one way there': 'from 100 0 0 0',
  'one way back': 'to 100 0 0 0',
  'loses 30 %': `both 30 0 0 ${BAD_MS}`,
  '2 s late': `both 0 2000 0 ${BAD_MS}`,
  'nearly no bandwidth': `both 0 0 2000 ${BAD_MS}`,
}

function cable(
  name: string,
  ...ends: readonly [readonly ['a' | 'b' | 'c', string, string], readonly ['a' | 'b' | 'c', string, string]]
): Cable {
  const [first, second] = ends
  return { name, ends: [endOf(first), endOf(second)] }
}
function endOf([host, device, address]: readonly ['a' | 'b' | 'c', string, string]): End {
  return { host, device, address }
}

export class Network {
  private cells = 0
  private readonly hosts: TwoHosts
  private readonly wire: ChildProcess

  private constructor(hosts: TwoHosts, wire: ChildProcess) {
    this.hosts = hosts
    this.wire = wire
  }

  private static controlOf(hosts: TwoHosts): string {
    return join(hosts.folder, 'wire-control')
  }

  static async up(): Promise<Network> {
    const hosts = await TwoHosts.up()
    try {
      const program = join(hosts.folder, 'wire')
      await execa('cc', ['-O2', '-o', program, SOURCE])
      const space = (host: string) => `${hosts.name}-${host}`
      const cables = ALL.map((name) => CABLES[name])
      for (const {
        ends: [{ host, device }],
      } of cables)
        await execa('ip', ['-n', space(host), 'link', 'delete', device])
      const wire = spawn(
        program,
        [
          Network.controlOf(hosts),
          ...cables.map(({ ends, name }) =>
            [name, ...ends.flatMap(({ device, host }) => [space(host), device])].join(':'),
          ),
        ],
        { stdio: ['ignore', 'pipe', 'inherit'] },
      )
      await Promise.race([
        once(wire.stdout, 'data'),
        once(wire, 'exit').then(() => Promise.reject(new Error('wire ended'))),
      ])
      for (const { address, device, host } of cables.flatMap(({ ends }) => ends)) {
        await execa('ip', ['-n', space(host), 'address', 'add', `${address}/24`, 'dev', device])
        await execa('ip', ['-n', space(host), 'link', 'set', device, 'up'])
      }
      return new Network(hosts, wire)
    } catch (error) {
      await hosts.down()
      throw error
    }
  }

  async down(): Promise<void> {
    this.wire.kill('SIGKILL')
    await this.hosts.down()
  }

  sides() {
    return this.hosts.sides()
  }

  /** Where one cell has its files. */
  place(): Place {
    const { hosts } = this
    const folder = join(hosts.folder, `cell-${++this.cells}`)
    mkdirSync(folder, { mode: 0o700 })
    const stateDir = join(folder, 'control')
    return {
      folder,
      stateDir,
      ferry: (args, env) => hosts.ferry(args, { ...env, FERRY_STATE_DIR: stateDir }),
      profile: (workload) => {
        const path = join(folder, 'profile.yaml')
        writeFileSync(path, JSON.stringify(workload, null, 2))
        return path
      },
      runs: () => {
        try {
          return readdirSync(join(stateDir, 'runs'))
            .filter((name) => name.endsWith('.ndjson'))
            .sort()
        } catch {
          return []
        }
      },
    }
  }

  /** What a shell does for it. */
  command(reach: Reach, bad: Bad): string {
    const cables = (reach === 'all' ? ALL : [reach]).map((name) => CABLES[name])
    const space = (host: string) => `${this.hosts.name}-${host}`
    return cables
      .flatMap(({ ends, name }) => {
        if (bad === 'cut')
          return ends.map(({ device, host }) => `ip -n ${space(host)} link set ${device} down`)
        if (bad === 'resets') {
          const [{ host }, { address }] = ends
          return [`ip netns exec ${space(host)} ss --kill --tcp dst ${address} >/dev/null`]
        }
        return [`echo '${name} ${SETTINGS[bad] ?? ''}' >${Network.controlOf(this.hosts)}`]
      })
      .join('\n')
  }

  /** Every cable is good. */
  async mend(): Promise<void> {
    const settings = ALL.map((name) => `${CABLES[name].name} both 0 0 0 0\n`).join('')
    // Without a reader it would wait for one for ever, and with it every test of this process.
    const control = openSync(Network.controlOf(this.hosts), constants.O_WRONLY | constants.O_NONBLOCK)
    writeSync(control, settings)
    closeSync(control)
    for (const { device, host } of ALL.flatMap((name) => CABLES[name].ends))
      await execa('ip', ['-n', `${this.hosts.name}-${host}`, 'link', 'set', device, 'up'])
  }
}
