import { describe, expect, it } from 'vitest'
import { EXIT } from '../../../src/exit-codes.js'
import { PROFILE_CODES } from '../../../src/profile/findings/codes.js'
import { BAD_INPUT } from '../bad-input.js'
import { changed, diagnose, marked, parse, refusal, SIM, VALID } from '../samples.js'

describe('bad input', () => {
  it('starts from a sample that is good', () => {
    expect(parse(VALID).devices).toHaveLength(1)
  })

  it.each(BAD_INPUT)('$what', ({ text, env, sets, findings }) => {
    const error = refusal(text, env, sets)
    expect(error.exit).toBe(EXIT.usage)
    expect(error.diagnostics.map((found) => [found.code, marked(text, found, sets?.[0])])).toEqual(findings)
    for (const { code } of error.diagnostics) expect(error.detail).toContain(`error[${code}]`)
  })

  it('is covered for every code in the table, but those of reading the file', () => {
    const tested = new Set(BAD_INPUT.flatMap(({ findings }) => findings.map(([code]) => code)))
    const untested = Object.keys(PROFILE_CODES).filter((code) => !tested.has(code as never))
    // test/profile/load.test.ts has these.
    expect(untested).toEqual(['profile/unreadable', 'profile/too-large', 'profile/encoding'])
  })
})

describe('all at once', () => {
  it('reports shape, meaning and variables together, in the order of the file', () => {
    const text = `version: 1
name: \${NAME}
sauce: {}
memory:
  - { name: a, iova: 0, size: 8KiB }
  - { name: b, iova: 4KiB, size: 8KiB }
devices:
  - name: d
    source: { mdev: nope }
    destination: { mdev: 6f3c9a52-0d5e-4d0b-9a3f-2b8c1e7d4a10 }
  - name: d
    source: { function: 0000:41:00.2 }
    destination: { function: 0000:41:00.2 }
transport: { streams: 3, maxStreams: 2 }
`
    expect(diagnose(text).map(({ line, code }) => [line, code])).toEqual([
      [2, 'profile/unset-variable'],
      [3, 'profile/unknown-key'],
      [6, 'profile/region-overlap'],
      [9, 'profile/uuid'],
      [13, 'profile/device-twice'],
      [14, 'profile/streams'],
    ])
  })

  it('checks each readable part though another is broken', () => {
    const text = changed('size: 512MiB', 'size: 0', changed('host: local }', 'hots: local }'))
    expect(diagnose(text).map(({ code }) => code)).toEqual(['profile/unknown-key', 'profile/region-empty'])
  })

  it('tells the cause, not its echoes: a missing variable is no bad UUID as well', () => {
    const text = changed('6f3c9a52-0d5e-4d0b-9a3f-2b8c1e7d4a10', "'${U}'")
    expect(diagnose(text).map(({ code }) => code)).toEqual(['profile/unset-variable'])
  })

  it('reports a finding once though an anchor serves both sides', () => {
    const sim = SIM.replace('iova: 0', 'iova: 1TiB')
    const text = changed('{ mdev: 6f3c9a52-0d5e-4d0b-9a3f-2b8c1e7d4a10 }', `{ sim: &s ${sim} }`)
    const both = changed('{ mdev: b1d7e0c4-58f2-4c1d-8e66-93a5f0427c38 }', '{ sim: *s }', text)
    expect(diagnose(both).map(({ code }) => code)).toEqual(['profile/sim-window'])
  })
})

describe('help', () => {
  it.each([
    ['trakcer: auto', 'did you mean `tracker`?'],
    ['backend: typ1', 'did you mean `type1`?'],
    ['zzz: 1', 'known here: name, source, destination, backend, tracker, container'],
  ])('%s: %s', (line, help) => {
    expect(diagnose(`${VALID}    ${line}\n`)[0]?.help).toBe(help)
  })

  it.each([
    ['transport: { maxStream: 2 }', 'did you mean `maxStreams`?'],
    ['migration: { holdTimout: 30m }', 'did you mean `holdTimeout`?'],
    ['hooks: [{ name: a, at: post-comit, command: [a] }]', 'did you mean `post-commit`?'],
    ['hooks: [{ name: a, at: pre-pin, comand: [a] }]', 'did you mean `command`?'],
    ['handOut: { socket: /run/s, user: 7 }', 'known here: socket, uid'],
    ['releaseSource: by_hand', 'did you mean `by-hand`?'],
  ])('%s: %s', (line, help) => {
    expect(diagnose(`${VALID}${line}\n`).map((found) => found.help)).toContain(help)
  })

  it.each([
    ['then: hodl', 'did you mean `hold`?'],
    ['then: { exce: [vmm] }', 'did you mean `exec`?'],
    ['interfce: eth1', 'did you mean `interface`?'],
    ['become: sudoo', 'did you mean `sudo`?'],
  ])('%s of the destination: %s', (key, help) => {
    expect(diagnose(changed('listen: 127.0.0.1:0', key)).map((found) => found.help)).toContain(help)
  })

  it('says what a missing key is for', () => {
    const [found] = diagnose(changed(', size: 512MiB', ''))
    expect(found).toMatchObject({ message: 'memory[0] needs `size`', help: 'whole 4 KiB pages' })
  })

  it('spells a decimal size right', () => {
    expect(diagnose(changed('512MiB', '512MB'))[0]?.message).toContain('did you mean 512MiB?')
  })

  it('names the other region of an overlap', () => {
    const [found] = diagnose(changed('devices:', '  - { name: b, iova: 4KiB, size: 4KiB }\ndevices:'))
    expect(found?.help).toBe('`ram` is 0x0..0x20000000')
  })

  it('knows the trap of ${…} inside { }', () => {
    expect(diagnose(changed('6f3c9a52-0d5e-4d0b-9a3f-2b8c1e7d4a10', '${U}'))[0]?.help).toBe(
      'inside { }, put a value with ${…} in quotes',
    )
  })
})
