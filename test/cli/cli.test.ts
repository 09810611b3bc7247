import { readdirSync } from 'node:fs'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { EXIT_CODES } from '../../src/exit-codes.js'
import { ferry, ferryJson } from '../support/ferry.js'
import { ferryHere } from '../support/in-process.js'
import { ROOT } from '../support/paths.js'

const commands = readdirSync(join(ROOT, 'commands')).map((name) => name.replace('.ts', ''))

describe('help', () => {
  it('lists every command and every exit code', async () => {
    const { stdout, exit } = await ferryHere(['--help'])
    expect(exit).toBe(0)
    for (const command of commands) expect(stdout).toMatch(new RegExp(`^  ${command} +\\S`, 'mu'))
    for (const { exit: code, meaning } of Object.values(EXIT_CODES))
      expect(stdout).toContain(`${code}  ${meaning}`)
  })

  it.each(commands)('of %s has examples, exit codes and the global flags', async (command) => {
    const { stdout, exit } = await ferryHere([command, '--help'])
    expect(exit).toBe(0)
    expect(stdout).toMatch(new RegExp(`EXAMPLES\n[\\s\\S]*\\$ ferry ${command}\\b`, 'u'))
    expect(stdout).toMatch(/EXIT CODES\n {2}0 {2}done/u)
    for (const flag of ['--json', '--log-level', '--log-file', '--helper', '--state-dir'])
      expect(stdout).toContain(flag)
  })

  it('is what a process prints', async () => {
    const asked = ['validate', '--help']
    expect(await ferry(asked)).toEqual(await ferryHere(asked))
  })

  it('comes for `ferry help COMMAND` as well', async () => {
    expect(await ferry(['help', 'validate'])).toEqual(await ferryHere(['validate', '--help']))
  })

  it('comes for -h, of ferry and of a command', async () => {
    const [root, rootH] = await Promise.all([ferry(['--help']), ferry(['-h'])])
    const [one, oneH] = await Promise.all([ferry(['plan', '--help']), ferry(['plan', '-h'])])
    expect([rootH, oneH]).toEqual([root, one])
  })

  it('has no colour in a pipe', async () => {
    const { stdout } = await ferry(['validate', '--help'])
    expect(stdout).not.toContain('\u001b')
  })
})

describe('the version', () => {
  it('comes for --version and for `ferry version`', async () => {
    const [flag, word] = await Promise.all([ferry(['--version']), ferry(['version'])])
    expect(flag).toMatchObject({ exit: 0, stdout: expect.stringMatching(/^vfio-ferry\/\d/u) as unknown })
    expect(word).toEqual(flag)
  })
})

describe('an unknown command', () => {
  it('gets a suggestion, on stderr, and exit 2', async () => {
    const { stdout, stderr, exit } = await ferry(['vlaidate', 'x.yaml'])
    expect(exit).toBe(2)
    expect(stdout).toBe('')
    expect(stderr).toContain('error[usage/unknown-command]: there is no command `vlaidate`')
    expect(stderr).toContain('did you mean `ferry validate`?')
  })

  it('gets the same under --help', async () => {
    const { stderr, exit } = await ferry(['vlaidate', '--help'])
    expect(exit).toBe(2)
    expect(stderr).toContain('did you mean `ferry validate`?')
  })

  it('gets an envelope under --json', async () => {
    expect(await ferryJson(['nonsense'])).toMatchObject({
      command: 'nonsense',
      status: 'error',
      exit: 2,
      result: null,
      error: { code: 'usage/unknown-command' },
      stderr: '',
    })
  })
})

describe('bad usage', () => {
  it.each([
    ['an unknown flag', ['validate', 'x.yaml', '--nope'], 'usage/unknown-flag'],
    ['a missing argument', ['validate'], 'usage/arguments'],
    ['one argument too many', ['validate', 'a', 'b'], 'usage/arguments'],
    ['a flag value that is not among the options', ['validate', 'x', '--log-level', 'loud'], 'usage/invalid'],
    ['a time without a unit', ['await', 'last', '--condition', 'held', '--timeout', '3'], 'usage/time'],
    ['a time that has passed', ['cutover', 'last', '--at', '2001-01-01T00:00:00Z'], 'usage/time'],
    ['a rate that is none', ['plan', 'x', '--bandwidth', 'fast'], 'usage/rate'],
    ['a hold at no known point', ['migrate', 'x', '--hold-at', 'noon'], 'usage/invalid'],
  ])('%s: exit 2, also under --json', async (_what, args, code) => {
    const [plain, json] = await Promise.all([ferry(args), ferryJson(args)])
    expect(plain).toMatchObject({ exit: 2, stdout: '' })
    expect(plain.stderr).toContain(`error[${code}]: `)
    expect(json).toMatchObject({ status: 'error', exit: 2, error: { code }, stderr: '' })
  })
})

it('a point behind --hold is understood as one for --hold-at', async () => {
  const { error, exit } = await ferryJson(['migrate', 'x.yaml', '--hold', 'before-cutover'])
  expect([exit, error?.code]).toEqual([2, 'usage/arguments'])
  expect(error?.suggestions[0]).toContain('--hold-at before-cutover')
})

describe('the diagnostic log', () => {
  it('is written where it is asked for, and says what ran', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'ferry-log-'))
    try {
      const file = join(folder, 'ferry.log')
      const { exit, stderr } = await ferry(['validate', 'nowhere.yaml', '--log-file', file])
      expect(exit).toBe(2)
      expect(stderr).toContain('profile/unreadable')
      const lines = (await readFile(file, 'utf8')).trim().split('\n')
      const records = lines.map((line) => JSON.parse(line) as Record<string, unknown>)
      expect(records).toMatchObject([
        { msg: 'start', command: 'validate' },
        { code: 'profile/unreadable', exit: 2 },
      ])
    } finally {
      await rm(folder, { recursive: true })
    }
  })

  it('goes to stderr without a file, never to stdout', async () => {
    const { stdout, stderr } = await ferry([
      'validate',
      'profiles/quickstart.yaml',
      '--log-level',
      'info',
      '--json',
    ])
    expect(JSON.parse(stdout)).toMatchObject({ status: 'ok' })
    expect(JSON.parse(stderr)).toMatchObject({ msg: 'start' })
  })

  it('is off otherwise', async () => {
    expect((await ferry(['validate', 'profiles/quickstart.yaml'])).stderr).toBe('')
  })

  it('that cannot be written is bad usage', async () => {
    const { exit, stderr } = await ferry([
      'validate',
      'profiles/quickstart.yaml',
      '--log-file',
      '/nowhere/x.log',
    ])
    expect(exit).toBe(2)
    expect(stderr).toContain('error[usage/log-file]')
    expect(stderr).toContain('ENOENT')
  })
})
