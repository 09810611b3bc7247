import { afterEach, describe, expect, it, vi } from 'vitest'
import { errorBody, errorText } from '../../src/cli/error-text.js'
import { wantsColour } from '../../src/terminal.js'
import { FerryError, fromSystemError, toFerryError } from '../../src/errors.js'
import { EXIT, EXIT_CODES } from '../../src/exit-codes.js'
import { OUTCOME_EXIT } from '../../src/run/outcome.js'
import { fromHelperError } from '../../src/link/helper-error.js'

afterEach(() => vi.unstubAllEnvs())

describe('exit codes', () => {
  it('are 0 to 9, each once, each with a meaning', () => {
    const codes = Object.values(EXIT_CODES)
    expect(codes.map(({ exit }) => exit)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    expect(new Set(codes.map(({ meaning }) => meaning)).size).toBe(10)
  })

  it('of run outcomes are different but for those that changed nothing', () => {
    const exits = Object.values(OUTCOME_EXIT)
    expect(new Set(exits).size).toBe(exits.length)
    expect(OUTCOME_EXIT.done).toBe(0)
  })
})

describe('a helper’s error', () => {
  const error = fromHelperError(
    {
      code: 'device/transition',
      message: 'VFIO_DEVICE_FEATURE: Invalid argument',
      device: 'vgpu',
      operation: 'SET STOP_COPY',
      errno: 22,
      errnoName: 'EINVAL',
      meaning: 'no such arc',
      state: 'RUNNING',
      suggestion: 'look at dmesg',
    },
    { exit: EXIT.rolledBack, side: 'source' },
  )

  it('keeps every part', () => {
    expect(errorBody(error)).toEqual({
      code: 'device/transition',
      message: 'VFIO_DEVICE_FEATURE: Invalid argument (no such arc); the device is RUNNING',
      side: 'source',
      device: 'vgpu',
      operation: 'SET STOP_COPY',
      errno: 22,
      errnoName: 'EINVAL',
      suggestions: ['look at dmesg'],
      reasons: [],
    })
    expect(error.exit).toBe(5)
  })

  it('reads well without colour', () => {
    expect(errorText(error)).toBe(
      [
        'error[device/transition]: source: vgpu: VFIO_DEVICE_FEATURE: Invalid argument (no such arc); the device is RUNNING [EINVAL]',
        '  = help: look at dmesg',
      ].join('\n'),
    )
  })

  it('may be bare', () => {
    const bare = fromHelperError({ code: 'run/busy', message: 'm' })
    expect(errorText(bare)).toBe('error[run/busy]: m')
    expect(bare.exit).toBe(EXIT.error)
  })
})

describe('other errors', () => {
  it('of the system keep their errno, positive', () => {
    const system = Object.assign(new Error('ENOENT: no such file'), { errno: -2, code: 'ENOENT' })
    const error = fromSystemError(system, { code: 'run/busy', exit: EXIT.error, message: 'gone' })
    expect(error).toMatchObject({ errno: 2, errnoName: 'ENOENT', cause: system })
  })

  it('that we threw stay as they are', () => {
    const own = new FerryError({ code: 'run/busy', exit: EXIT.blocked, message: 'm' })
    expect(toFerryError(own, EXIT.unknown)).toBe(own)
  })

  it.each([['text'], [undefined], [null], [42], [new RangeError('deep')]])(
    '%s becomes a bug report',
    (thrown) => {
      const error = toFerryError(thrown)
      expect(error).toMatchObject({ code: 'internal/bug', exit: EXIT.error })
      expect(errorText(error)).toMatch(/^error\[internal\/bug\]: [\s\S]*please report[\s\S]*\n {4}at /u)
    },
  )
})

describe('reasons', () => {
  it('are listed all at once, each with what would lift it', () => {
    const error = new FerryError({
      code: 'plan/blocked',
      exit: EXIT.blocked,
      message: '2 blockers',
      reasons: [
        {
          code: 'group/not-viable',
          side: 'source',
          device: 'nic',
          found: '0000:41:00.3 has a host driver',
          remedy: 'unbind it',
        },
        { code: 'host/memlock', side: 'destination', device: null, found: '64 KiB', remedy: '' },
      ],
    })
    expect(errorText(error)).toBe(
      [
        'error[plan/blocked]: 2 blockers',
        '  - [group/not-viable] source nic: 0000:41:00.3 has a host driver',
        '      unbind it',
        '  - [host/memlock] destination: 64 KiB',
      ].join('\n'),
    )
  })
})

describe('colour', () => {
  const stream = (isTTY: boolean): NodeJS.WriteStream => ({ isTTY }) as NodeJS.WriteStream

  it('is for terminals that did not ask to be spared', () => {
    vi.stubEnv('NO_COLOR', undefined)
    vi.stubEnv('TERM', 'xterm')
    expect(wantsColour(stream(true))).toBe(true)
    expect(wantsColour(stream(false))).toBe(false)
    vi.stubEnv('TERM', 'dumb')
    expect(wantsColour(stream(true))).toBe(false)
    vi.stubEnv('TERM', 'xterm')
    vi.stubEnv('NO_COLOR', '1')
    expect(wantsColour(stream(true))).toBe(false)
  })

  it('adds nothing but escape sequences', () => {
    const error = new FerryError({ code: 'run/busy', exit: EXIT.error, message: 'm', suggestions: ['s'] })
    // styleText of newer Nodes asks the stream; force it, as the text is what counts here.
    vi.stubEnv('FORCE_COLOR', '1')
    expect(errorText(error, true).replaceAll(/\u001b\[\d+m/gu, '')).toBe(errorText(error))
    expect(errorText(error, true)).toContain('\u001b[')
  })
})

describe('flags that do not go together', () => {
  it.each([
    [
      'The following error occurred:\n  --a=1 cannot also be provided when using --b',
      '--a=1 cannot also be provided when using --b',
    ],
    ['The following errors occurred:\n  --a one\n  --b two', '--a one; --b two'],
  ])('are named, and nothing besides: %j', (said, message) => {
    const thrown = Object.assign(new Error(`${said}\nSee more help with --help`), { oclif: { exit: 2 } })
    expect(toFerryError(thrown)).toMatchObject({ code: 'usage/invalid', exit: EXIT.usage, message })
  })
})
