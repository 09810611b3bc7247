import fc from 'fast-check'
import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { FerryError } from '../../src/errors.js'
import { EXIT } from '../../src/exit-codes.js'
import { parseProfile } from '../../src/profile/parse.js'

const folder = new URL('../../profiles/', import.meta.url)
const shipped = readdirSync(folder)
  .filter((name) => name.endsWith('.yaml'))
  .map((name) => readFileSync(new URL(name, folder), 'utf8'))

/** Pieces that mean something to YAML, to the schema or to the interpolation. */
const piece = fc.oneof(
  fc.constantFrom(
    ...[
      '&a ',
      '*a',
      '*vgpu',
      '<<: *nic',
      '!tag ',
      '- ',
      '? ',
      ': ',
      '{',
      '}',
      '[',
      ']',
      '"',
      "'",
      '|\n',
      '>-\n',
      '\t',
      '\n',
      '\n---\n',
    ],
    ...[
      '# ',
      '%YAML 1.1\n',
      '${',
      '${X}',
      '${X:-',
      '$$',
      '}',
      '~',
      'null',
      '.inf',
      '.nan',
      '-0',
      '1e999',
      '0x',
      '__proto__: 1',
    ],
    ...[
      'constructor: 1',
      'toString',
      '18446744073709551616',
      '-1',
      '4KiB',
      '0xffffffffffffffff',
      '\u0000',
      '\u001b[2J',
      '\ufeff',
      '漢字',
      '🚢',
    ],
    // Words of the profile itself, where they may or may not belong.
    ...[
      'holder',
      'before-cutover',
      'post-stop',
      'true',
      'ssh://ops@[2001:db8::7]:22',
      '{ exec: [a] }',
      '{ name: drain, at: pre-resume, command: [a], inBlackout: true }',
      '[{ name: drain, at: post-commit, command: [a] }]',
      'by-hand',
      'local',
      '30m',
    ],
  ),
  fc.string(),
)

type Mutation = (text: string) => string
const place = (text: string, at: number): number => Math.floor(at * text.length)
const share = fc.double({ min: 0, max: 1, noNaN: true })
const mutation: fc.Arbitrary<Mutation> = fc.oneof(
  fc.tuple(share, piece).map<Mutation>(([at, what]) => (text) => {
    return text.slice(0, place(text, at)) + what + text.slice(place(text, at))
  }),
  fc.tuple(share, fc.nat(40)).map<Mutation>(([at, length]) => (text) => {
    return text.slice(0, place(text, at)) + text.slice(place(text, at) + length)
  }),
  // A line elsewhere: wrong nesting, duplicates, keys of another mapping.
  fc.tuple(share, share).map<Mutation>(([from, to]) => (text) => {
    const lines = text.split('\n')
    const [line = ''] = lines.splice(place(text, from) % lines.length, 1)
    lines.splice(place(text, to) % (lines.length + 1), 0, line)
    return lines.join('\n')
  }),
  // A value replaced.
  fc.tuple(fc.nat(60), piece).map<Mutation>(([nth, what]) => (text) => {
    let count = 0
    return text.replaceAll(/(?<=: ?)[^\s,{}[\]]+/gu, (value) => (count++ === nth ? what : value))
  }),
)

const setting = fc.tuple(
  fc.constantFrom(
    'name',
    'devices.0',
    'devices.nic.source.sim.seed',
    'memory',
    'a.b.c',
    '',
    'source.host',
    'devices.0.destination',
    'source.from',
    'destination.then',
    'destination.interface',
    'transport.maxStreams',
    'transport.insecure',
    'migration.hold',
    'hooks',
    'hooks.0.at',
    'hooks.drain.command',
    'handOut.uid',
    'releaseSource',
  ),
  piece,
)

describe('mutated profiles', () => {
  it('are accepted, or refused with places, and never crash', () => {
    let accepted = 0
    let refused = 0
    fc.assert(
      fc.property(
        fc.constantFrom(...shipped),
        fc.array(mutation, { minLength: 1, maxLength: 4 }),
        fc.array(setting, { maxLength: 2 }),
        (text, mutations, sets) => {
          const mutated = mutations.reduce((now, mutate) => mutate(now), text)
          const overrides = sets.map(([key, value]) => `${key}=${value}`)
          try {
            parseProfile(mutated, { file: 'vm.yaml', env: {}, sets: overrides })
            accepted++
          } catch (error) {
            refused++
            expect(error).toBeInstanceOf(FerryError)
            const { exit, diagnostics, detail } = error as FerryError
            expect(exit).toBe(EXIT.usage)
            expect(diagnostics.length).toBeGreaterThan(0)
            expect(detail).not.toMatch(/[\u0000-\u0008\u000b-\u001f]/u)
            for (const found of diagnostics) checkPlace(found, found.file === '--set' ? undefined : mutated)
          }
        },
      ),
      { numRuns: 1500 },
    )
    // A generator that only ever breaks, or never does, would test nothing.
    expect(accepted).toBeGreaterThan(20)
    expect(refused).toBeGreaterThan(100)
  })
})

function checkPlace(found: FerryError['diagnostics'][number], text: string | undefined): void {
  expect(found.message).not.toBe('')
  expect(found.line).toBeGreaterThan(0)
  expect(found.endColumn).toBeGreaterThan(found.column)
  if (text === undefined) return
  const lines = text.split('\n')
  expect(found.line).toBeLessThanOrEqual(lines.length)
  expect(found.column).toBeLessThanOrEqual((lines[found.line - 1]?.length ?? 0) + 1)
}

describe('any text', () => {
  it('never crashes the parser', () => {
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 40 }), (pieces) => {
        const text = pieces.join('')
        expect(() => parseProfile(text, { file: 'vm.yaml', env: {} })).toThrow(FerryError)
      }),
      { numRuns: 500 },
    )
  })
})
