import { Config, Plugin, settings } from '@oclif/core'
import { readFileSync } from 'node:fs'
import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import { BaseCommand, type Envelope } from '../../src/cli/base-command.js'
import { FerryError } from '../../src/errors.js'
import { EXIT, type ExitCode } from '../../src/exit-codes.js'
import { ROOT as root } from '../support/paths.js'

let act: (command: Sample) => Promise<object> | object
class Sample extends BaseCommand<typeof Sample> {
  static override id = 'sample:run'
  async run(): Promise<object> {
    return act(this)
  }
  /** As a command does once it has begun to change hosts. */
  underWay(): void {
    this.unexpectedExit = EXIT.unknown
  }
  get folder(): string {
    return this.stateDir
  }
}

let config: Config
beforeAll(async () => {
  settings.enableAutoTranspile = false
  const pjson = JSON.parse(readFileSync(`${root}package.json`, 'utf8'))
  // No commands but ours: the real ones are TypeScript, which this process cannot load by itself.
  pjson.oclif = { bin: 'ferry', dirname: 'ferry' }
  const plugin = new Plugin({ ignoreManifest: true, isRoot: true, pjson, root } as never)
  await plugin.load()
  config = await Config.load({ pjson, root, plugins: new Map([[plugin.name, plugin]]) as never })
})
afterEach(() => {
  vi.restoreAllMocks()
  vi.unstubAllEnvs()
})

interface Outcome {
  readonly stdout: string
  readonly stderr: string
  readonly thrown: unknown
  readonly exitCode: unknown
}

/** Runs Sample within this process, catching what it prints and the exit code it sets. */
async function run(argv: string[], body: typeof act): Promise<Outcome> {
  act = body
  const printed = { stdout: '', stderr: '' }
  for (const name of ['stdout', 'stderr'] as const) {
    vi.spyOn(process[name], 'write').mockImplementation((chunk) => {
      printed[name] += String(chunk)
      return true
    })
  }
  const before = process.exitCode
  process.exitCode = undefined
  let thrown: unknown
  try {
    await Sample.run(argv, config)
  } catch (error) {
    thrown = error
  }
  const exitCode = process.exitCode
  process.exitCode = before
  vi.restoreAllMocks()
  return { ...printed, thrown, exitCode }
}

const envelope = ({ stdout }: Outcome): Envelope => JSON.parse(stdout) as Envelope

describe('the envelope', () => {
  it('carries the result, with bytes as decimal strings, and the warnings', async () => {
    const outcome = await run(['--json'], (command) => {
      command.warn('memlock is small')
      command.log('for people')
      return { bytes: 2n ** 63n, list: [1n], nested: { none: null } }
    })
    expect(envelope(outcome)).toEqual({
      command: 'sample run',
      status: 'ok',
      exit: 0,
      result: { bytes: '9223372036854775808', list: ['1'], nested: { none: null } },
      warnings: ['memlock is small'],
    })
    expect(outcome).toMatchObject({ stderr: '', exitCode: undefined, thrown: undefined })
  })

  it('carries an error whole: code, device, errno, suggestions, reasons, and what was found until then', async () => {
    const outcome = await run(['--json'], (command) => {
      command.warn('first')
      throw new FerryError({
        code: 'plan/blocked',
        exit: EXIT.blocked,
        message: 'two blockers',
        device: 'vgpu',
        side: 'destination',
        errno: 16,
        errnoName: 'EBUSY',
        operation: 'open',
        suggestions: ['stop it'],
        reasons: [{ code: 'group/not-viable', found: 'a', remedy: 'b', device: 'vgpu' }],
        result: { plan: { bytes: 1n } },
      })
    })
    expect(envelope(outcome)).toEqual({
      command: 'sample run',
      status: 'error',
      exit: 3,
      result: { plan: { bytes: '1' } },
      warnings: ['first'],
      error: {
        code: 'plan/blocked',
        message: 'two blockers',
        side: 'destination',
        device: 'vgpu',
        operation: 'open',
        errno: 16,
        errnoName: 'EBUSY',
        suggestions: ['stop it'],
        reasons: [{ code: 'group/not-viable', found: 'a', remedy: 'b', device: 'vgpu' }],
      },
    })
    expect(outcome).toMatchObject({ stderr: '', exitCode: 3, thrown: undefined })
  })

  it.each(Object.values(EXIT))('sets the exit code %i', async (exit: ExitCode) => {
    const outcome = await run(['--json'], () => {
      throw new FerryError({ code: 'run/busy', exit, message: 'm' })
    })
    expect(outcome.exitCode).toBe(exit)
    expect(envelope(outcome).exit).toBe(exit)
  })

  it('keeps the exit code of bad usage at 2, where oclif would make it 1', async () => {
    const outcome = await run(['--json', '--nope'], () => ({}))
    expect(outcome.exitCode).toBe(2)
    expect(envelope(outcome)).toMatchObject({ exit: 2, error: { code: 'usage/unknown-flag' } })
  })

  it('reports a bug as one', async () => {
    const outcome = await run(['--json'], () => {
      throw new TypeError('x is not a function')
    })
    expect(envelope(outcome)).toMatchObject({
      exit: 1,
      error: { code: 'internal/bug', message: 'TypeError: x is not a function' },
    })
  })

  it('gives a bug exit 9 once hosts have begun to change', async () => {
    const outcome = await run(['--json'], (command) => {
      command.underWay()
      throw new TypeError('x')
    })
    expect(outcome.exitCode).toBe(EXIT.unknown)
  })
})

describe('without --json', () => {
  it('prints results on stdout and warnings on stderr', async () => {
    const outcome = await run([], (command) => {
      command.warn(new Error('careful'))
      command.log('result')
      return {}
    })
    expect(outcome).toMatchObject({ stdout: 'result\n', stderr: 'warning: careful\n', thrown: undefined })
  })

  it('throws the error for the entry to print', async () => {
    const error = new FerryError({ code: 'run/busy', exit: EXIT.rolledBack, message: 'm' })
    const outcome = await run([], () => {
      throw error
    })
    expect(outcome.thrown).toBe(error)
    expect(outcome.stdout).toBe('')
  })
})

describe('the state folder', () => {
  const folder = async (argv: string[]): Promise<unknown> => {
    const { stdout } = await run([...argv, '--json'], (command) => ({ folder: command.folder }))
    return (JSON.parse(stdout) as { result: { folder: string } }).result.folder
  }

  it('is the flag, else FERRY_STATE_DIR, else XDG_STATE_HOME, else under the home folder', async () => {
    vi.stubEnv('HOME', '/home/op')
    vi.stubEnv('XDG_STATE_HOME', '')
    vi.stubEnv('FERRY_STATE_DIR', undefined)
    expect(await folder([])).toBe('/home/op/.local/state/ferry')
    vi.stubEnv('XDG_STATE_HOME', '/var/op')
    expect(await folder([])).toBe('/var/op/ferry')
    vi.stubEnv('FERRY_STATE_DIR', '/srv/ferry')
    expect(await folder([])).toBe('/srv/ferry')
    expect(await folder(['--state-dir', '/tmp/s'])).toBe('/tmp/s')
  })
})
