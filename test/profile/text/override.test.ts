import { describe, expect, it } from 'vitest'
import { changed, diagnose, parse, SIM, VALID } from '../samples.js'

describe('--set', () => {
  it('beats the file, later beats earlier', () => {
    expect(parse(VALID, {}, ['name=a', 'name=b']).name).toBe('b')
  })

  it('makes mappings that are not there', () => {
    const profile = parse(VALID, {}, ['migration.precopy.rounds=5', 'migration.verify=full'])
    expect(profile.migration).toMatchObject({ verify: 'full', precopy: { maxRounds: 5, maxTimeMs: 60_000 } })
  })

  it('finds items by index and by name', () => {
    expect(parse(VALID, {}, ['devices.0.tracker=all']).devices[0]?.tracker).toBe('all')
    expect(parse(VALID, {}, ['devices.vgpu.tracker=all']).devices[0]?.tracker).toBe('all')
    expect(parse(VALID, {}, ['memory.ram.size=1GiB']).memory[0]?.bytes).toBe(1024n ** 3n)
  })

  it('reads values as YAML: mappings, lists, numbers, nothing', () => {
    const sets = [
      'memory.ram.fill={seed: 3, zero: 10%}',
      'devices.vgpu.container=null',
      'memory.ram.iova=0x1000',
    ]
    const profile = parse(VALID, {}, sets)
    expect(profile.memory[0]).toMatchObject({ iova: 4096n, fill: { seed: 3, zeroPercent: 10 } })
  })

  it('keeps everything behind the first =', () => {
    const found = diagnose(VALID, {}, ['name=a=b'])
    expect(found).toMatchObject([{ code: 'profile/name', file: '--set', line: 1, column: 6, endColumn: 9 }])
  })

  it('replaces a value whose variable is not set', () => {
    expect(parse(changed('name: vm', 'name: ${NO}'), {}, ['name=given']).name).toBe('given')
  })

  it('does not expand variables again: the shell has', () => {
    expect(diagnose(VALID, { A: 'x' }, ['name=${A}']).map(({ code }) => code)).toEqual(['profile/name'])
  })

  it('points at the key of a --set that does not exist', () => {
    const found = diagnose(VALID, {}, ['migration.downtimelimit=1s'])
    expect(found).toMatchObject([
      {
        code: 'profile/unknown-key',
        file: '--set',
        column: 11,
        endColumn: 24,
        help: 'did you mean `downtimeLimit`?',
      },
    ])
  })

  it('reports problems of the file first, then those of each --set in order', () => {
    const found = diagnose(changed('name: vm', 'name: -'), {}, ['zzz=1', 'version=3'])
    expect(found.map(({ code }) => code)).toEqual(['profile/syntax'])
    const after = diagnose(changed('name: vm', 'name: /'), {}, ['zzz=1', 'version=3'])
    expect(after.map(({ code, file }) => [file, code])).toEqual([
      ['vm.yaml', 'profile/name'],
      ['--set', 'profile/unknown-key'],
      ['--set', 'profile/version'],
    ])
  })

  it.each([['a: [1'], ['*nope'], ['"open']])('refuses the value %s with its place', (value) => {
    const [found] = diagnose(VALID, {}, [`name=${value}`])
    expect(found).toMatchObject({ file: '--set', line: 1 })
    expect(found?.column).toBeGreaterThan('name='.length)
  })

  describe('with anchors', () => {
    const source = changed('{ mdev: 6f3c9a52-0d5e-4d0b-9a3f-2b8c1e7d4a10 }', `{ sim: &s ${SIM} }`)
    const text = changed('{ mdev: b1d7e0c4-58f2-4c1d-8e66-93a5f0427c38 }', '{ sim: *s }', source)
    const seeds = (sets: string[]): unknown[] => {
      const [device] = parse(text, {}, sets).devices
      return [device?.source, device?.destination].map((ref) =>
        ref?.kind === 'sim' ? ref.sim.seed : undefined,
      )
    }

    it('changes one place, not what shares its anchor', () => {
      expect(seeds([])).toEqual([1, 1])
      expect(seeds(['devices.vgpu.source.sim.seed=5'])).toEqual([5, 1])
      expect(seeds(['devices.vgpu.destination.sim.seed=5'])).toEqual([1, 5])
    })
  })
})
