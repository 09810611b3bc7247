import { readdirSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { PHASES, rollback } from '../../src/phases/index.js'

describe('phases', () => {
  it('stand in the order of the design, one file each', () => {
    const names = PHASES.map(({ name }) => name)
    expect(names).toEqual(['pin', 'dirty-log', 'pre-copy', 'cutover', 'commit'])
    const files = readdirSync(new URL('../../src/phases/', import.meta.url))
    for (const name of [...names, rollback.name]) expect(files).toContain(`${name}.ts`)
  })
})
