/** A holder as a service: systemd itself reads the unit, starts it, stops it, and sees how it ended. */
import { execa } from 'execa'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { EXIT } from '../../src/exit-codes.js'
import { gone, Scene } from '../support/scene.js'
import { until } from '../support/until.js'
import { device, workload } from '../support/workload.js'

const SYSTEMD = '/lib/systemd/systemd'
const UNIT = 'ferry-node.service'

class NoSystemd extends Error {}

/** An instance for one user, which runs wherever cgroups can be written; it only starts where systemd has booted. */
class Manager {
  readonly scene = new Scene()
  private readonly env = {
    PATH: process.env['PATH'],
    HOME: this.scene.folder,
    XDG_RUNTIME_DIR: join(this.scene.folder, 'r'),
    XDG_CONFIG_HOME: join(this.scene.folder, 'config'),
  }
  private child:
    (Promise<unknown> & { readonly pid?: number; kill(signal: NodeJS.Signals): boolean }) | undefined

  async start(unit: string): Promise<void> {
    mkdirSync(this.env.XDG_RUNTIME_DIR, { mode: 0o700 })
    const units = join(this.env.XDG_CONFIG_HOME, 'systemd', 'user')
    mkdirSync(units, { recursive: true })
    writeFileSync(join(units, UNIT), unit)
    const booted = 'mount -t tmpfs none /run && mkdir -p /run/systemd/system && exec "$@"'
    const words = ['--mount', 'sh', '-c', booted, 'sh', SYSTEMD, '--user', '--log-target=console']
    const child = execa('unshare', words, { env: this.env, extendEnv: false, reject: false, all: true })
    this.child = child
    let ended = ''
    void child.then(({ all }) => (ended = all === '' ? 'without a word' : String(all)))
    await until('a manager of services', () => {
      if (ended !== '') throw new NoSystemd(`systemd ended: ${ended}`)
      return existsSync(join(this.env.XDG_RUNTIME_DIR, 'systemd', 'private'))
    })
  }

  async ctl(...args: string[]) {
    const inside = ['--mount', '--target', String(this.child?.pid), 'systemctl', '--user', ...args]
    return execa('nsenter', inside, { env: this.env, extendEnv: false, reject: false })
  }

  async property(name: string): Promise<string> {
    return (await this.ctl('show', UNIT, '--value', '-p', name)).stdout
  }

  async stop(): Promise<void> {
    this.child?.kill('SIGTERM')
    await this.child
  }
}

const here = process.getuid?.() === 0 && existsSync(SYSTEMD)
describe.runIf(here)('a holder as a service', { timeout: 60_000 }, () => {
  const manager = new Manager()
  const { scene } = manager
  const profile = scene.profile(workload([device('nic')], { name: 'node' }))
  const holder = () => scene.helperPid('source')
  let noSystemd: string | null = null

  beforeAll(async () => {
    const { exit, stderr, stdout } = await scene.ferry([
      'hold',
      profile,
      '--systemd',
      '--state-dir',
      scene.stateDir,
    ]).ended
    expect(exit, stderr).toBe(EXIT.done)
    try {
      await manager.start(stdout)
    } catch (error) {
      if (!(error instanceof NoSystemd)) throw error
      // Without cgroups that can be written there is no systemd: the tests say so instead of passing.
      noSystemd = String(error)
    }
  })
  beforeEach((context) => context.skip(noSystemd !== null, noSystemd ?? ''))
  afterAll(() => manager.stop())

  const started = async () => {
    const { exitCode, stderr } = await manager.ctl('start', UNIT)
    expect(exitCode, stderr).toBe(0)
    await until('a holder', () => existsSync(join(scene.stateDir, 'holders', 'node.sock')))
    expect(await manager.property('ActiveState')).toBe('active')
    return holder()
  }

  it('holds when it is started, and closes in order when it is stopped', async () => {
    const pid = await started()
    expect((await manager.ctl('stop', UNIT)).exitCode).toBe(0)
    await gone(pid)
    expect(await manager.property('Result')).toBe('success')
    expect(await manager.property('ExecMainStatus')).toBe('0')
  })

  it('has ended well once its workload is released', async () => {
    await started()
    const released = await scene.ferry(['release', '--hold', profile]).ended
    expect(released.exit, released.stderr).toBe(EXIT.done)
    await until('the end of the service', async () => (await manager.property('ActiveState')) === 'inactive')
    expect(await manager.property('Result')).toBe('success')
  })

  it('has failed when its holder was killed', async () => {
    process.kill(await started(), 'SIGKILL')
    await until('the end of the service', async () => (await manager.property('ActiveState')) === 'failed')
    expect(await manager.property('ExecMainStatus')).toBe(String(EXIT.error))
  })
})
