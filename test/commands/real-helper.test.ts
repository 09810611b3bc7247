/** The whole of ferry with the built ferry-helper on both sides: simulated devices, real memory, a real connection. */
import { execa } from 'execa'
import { existsSync, writeFileSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { beforeAll, describe, expect, it } from 'vitest'
import { candidates } from '../../src/link/spawn.js'
import { temporaryFolder } from '../link/fake.js'
import { said } from './ferry.js'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const [HELPER = ''] = candidates({ root: ROOT })

interface Shape {
  /** YAML of the fault list, on either side. */
  readonly source?: string
  readonly destination?: string
  /** YAML of the latencies, both sides. */
  readonly latency?: string
  readonly precopy?: string
  readonly writes?: string
  readonly listen?: string
  readonly bandwidth?: string
}

function profile(shape: Shape): string {
  const sim = (faults = '[]'): string =>
    `{ model: function, trackers: [device], state: 1MiB, precopy: 256KiB, window: { iova: 0x0, size: 16MiB }, ` +
    `writes: ${shape.writes ?? '16MiB/s'}, seed: 5, latency: ${shape.latency ?? '{}'}, faults: ${faults} }`
  const path = join(temporaryFolder(), 'small.yaml')
  const text = `version: 1
name: small
source: { host: local }
destination: { host: local, listen: '${shape.listen ?? '127.0.0.1:0'}' }
memory:
  - { name: ram, iova: 0x0, size: 32MiB, backing: memfd, fill: { seed: 3, zero: 25% } }
devices:
  - name: nic
    source: { sim: ${sim(shape.source)} }
    destination: { sim: ${sim(shape.destination)} }
migration:
  downtimeLimit: 5s
  precopy: ${shape.precopy ?? '{ rounds: 30, time: 20s }'}
  verify: full
  ${shape.bandwidth === undefined ? '' : `bandwidth: ${shape.bandwidth}`}
`
  writeFileSync(path, text)
  return path
}

function ferry(command: string, ...argv: string[]) {
  return execa(process.execPath, ['--import', 'tsx', join(ROOT, 'src', 'cli.ts'), command, ...argv], {
    cwd: ROOT,
    reject: false,
    env: { FERRY_STATE_DIR: join(temporaryFolder(), 'state'), FERRY_HELPER: HELPER, NO_COLOR: '1' },
  })
}
const migrate = (shape: Shape, ...flags: string[]) => ferry('migrate', profile(shape), ...flags)

beforeAll(() => {
  if (!existsSync(HELPER)) throw new Error(`${HELPER} is not built: run \`npm run build:helper\``)
})

describe('with the real helper', () => {
  it('a workload moves and is verified twice', async () => {
    const { exitCode, stdout } = await migrate({}, '--json')
    const { result } = JSON.parse(stdout)
    expect(exitCode).toBe(0)
    expect(result.report.verification).toMatchObject({
      full: { pages: 8192, mismatches: [] },
      writes: { pages: 8192, lostPages: 0 },
    })
    expect(Number(result.report.verification.writes.writes)).toBeGreaterThan(0)
    expect(result.report.devices).toMatchObject([
      { stateBytes: '1048576', states: { source: 'STOP_COPY', destination: 'RUNNING' } },
    ])
  })

  it.each([
    ['a transition that fails', { source: '[{ kind: transition, state: STOP_COPY, errno: EIO }]' }],
    // Its pre-copy never drains, so it takes all the time it is given.
    [
      'a state stream that ends early',
      { source: '[{ kind: short-stream, bytes: 4KiB }]', precopy: '{ rounds: 30, time: 2s }' },
    ],
    ['a tracker that fails', { source: '[{ kind: tracker-error, nth: 2 }]' }],
    [
      'a destination that does not load',
      { destination: '[{ kind: transition, state: STOP, errno: EINVAL }]' },
    ],
    ['a dirty page kept quiet about', { source: '[{ kind: drop-dirty-bit, nth: 2 }]' }],
  ])('%s rolls back, exit 5, source RUNNING', async (_, faults) => {
    const { exitCode, stdout } = await migrate(faults, '--json')
    const { error, result } = JSON.parse(stdout)
    expect({ exitCode, code: error?.code, outcome: result?.outcome }).toMatchObject({
      exitCode: 5,
      outcome: 'rolled-back',
    })
    expect(result.report.devices[0].states.source).toBe('RUNNING')
    expect(error.code).not.toMatch(/^(?:link|internal|protocol)\//u)
  })

  it('a device that cannot be brought back is named, exit 6', async () => {
    const faults =
      '[{ kind: transition, state: STOP_COPY, errno: EIO, enterError: true }, { kind: reset-fails }]'
    const { exitCode, stderr } = await migrate({ source: faults })
    expect(exitCode).toBe(6)
    expect(stderr).toContain('nic')
  })

  it('a port that is taken is named, and nothing moves', async () => {
    const server = createServer()
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    try {
      const { port } = server.address() as AddressInfo
      const { exitCode, stderr } = await migrate({ listen: `127.0.0.1:${port}` })
      expect(exitCode).toBe(5)
      expect(stderr).toContain('error[link/port-taken]')
    } finally {
      server.close()
    }
  })

  it('a writer faster than the link gives up before the cutover, exit 7', async () => {
    const shape = { writes: '512MiB/s', bandwidth: '16MiB/s', precopy: '{ rounds: 2, time: 20s }' }
    const { exitCode, stderr } = await migrate(shape, '--downtime-limit', '10ms')
    expect(exitCode).toBe(7)
    expect(stderr).toContain('limit/')
  })

  it('a blackout that would pass the limit is never had: exit 7 even when told to go ahead', async () => {
    const shape = { writes: '512MiB/s', bandwidth: '16MiB/s', precopy: '{ rounds: 2, time: 20s }' }
    const { exitCode, stdout } = await migrate(
      shape,
      '--downtime-limit',
      '10ms',
      '--on-not-converged',
      'go-ahead',
    )
    expect(exitCode).toBe(7)
    expect(stdout).toContain('the source runs, and was checked')
  })
})

describe('Ctrl-C with the real helper', () => {
  it.each([
    ['pin', /allocate and fill/u, {}],
    ['pre-copy', /send the memory/u, { bandwidth: '8MiB/s' }],
    ['cutover', /stop the devices/u, { latency: '{ STOP_COPY: 300ms }' }],
  ])('in %s ends 4 with the source RUNNING', async (_, pattern, shape) => {
    const running = migrate(shape, '--json')
    await said(running, pattern)
    running.kill('SIGINT')
    const { exitCode, stdout } = await running
    const { result } = JSON.parse(stdout)
    expect({ exitCode, outcome: result.outcome }).toEqual({ exitCode: 4, outcome: 'cancelled' })
    expect([null, 'RUNNING']).toContain(result.report.devices[0].states.source)
  })
})
