import { readdirSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { PHASES, rollback } from '../../src/phases/index.js'
import { reachable } from '../../src/phases/pin.js'

describe('phases', () => {
  it('stand in the order of the design, one file each', () => {
    const names = PHASES.map(({ name }) => name)
    expect(names).toEqual(['pin', 'dirty-log', 'pre-copy', 'cutover', 'commit'])
    const files = readdirSync(new URL('../../src/phases/', import.meta.url))
    for (const name of [...names, rollback.name]) expect(files).toContain(`${name}.ts`)
  })
})

describe('where the source connects to', () => {
  const at = (address: string, host: string) => reachable({ address, port: 1 }, { host, helper: null })

  it('is where the destination listens, or its host when it listens everywhere', () => {
    expect(at('192.0.2.7', 'ops@node-b')).toBe('192.0.2.7')
    expect(at('0.0.0.0', 'ops@node-b')).toBe('node-b')
    expect(at('::', 'node-b')).toBe('node-b')
    expect(at('0.0.0.0', 'local')).toBe('127.0.0.1')
    expect(at('::', 'local')).toBe('::1')
  })
})
