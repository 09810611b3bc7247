import { describe, expect, it } from 'vitest'
import type { Check } from '../../src/doctor/check.js'
import { confinementChecks } from '../../src/doctor/confinement-checks.js'
import type { ScriptFacts } from '../../src/doctor/facts.js'
import { atLeast, iommuChecks, kernelChecks, vfioChecks } from '../../src/doctor/kernel-checks.js'
import { needOf, UNSAID, type Need } from '../../src/doctor/need.js'
import { roomChecks, rootChecks, stateChecks } from '../../src/doctor/room-checks.js'
import { examinedHosts } from '../../src/doctor/examined-host.js'
import type { HelloReply } from '../../src/protocol/protocol.js'
import { loadProfile } from '../../src/profile/load.js'
import { GIB, HELLO, SOUND } from './facts.js'

const FUNCTIONS: Need = { ...UNSAID, real: true, functions: true, mdevs: false, pinnedBytes: 8n * GIB }
const MDEVS: Need = { ...UNSAID, real: true, functions: false, mdevs: true }
const SIMULATED: Need = {
  ...UNSAID,
  real: false,
  functions: false,
  mdevs: false,
  type1: false,
  iommufd: false,
}

function all(facts: ScriptFacts, need: Need, hello: HelloReply = HELLO): readonly Check[] {
  return [
    ...rootChecks(facts, hello, need),
    ...confinementChecks(hello.confinement),
    ...kernelChecks(facts, need),
    ...vfioChecks(facts, need),
    ...iommuChecks(facts, need),
    ...roomChecks(facts, hello, need),
    ...stateChecks(facts, '/var/lib/ferry', hello.uid),
  ]
}
const troubles = (checks: readonly Check[]): string[] =>
  checks
    .filter(({ level }) => level !== 'ok')
    .map(({ code, level }) => `${level} ${code.replace('doctor/', '')}`)

describe('a host that lacks nothing', () => {
  it.each([
    ['nothing in particular', UNSAID],
    ['functions', FUNCTIONS],
    ['mdevs', MDEVS],
    ['simulated devices', SIMULATED],
  ])('has no troubles when %s is wanted', (_, need) => {
    expect(troubles(all(SOUND, need))).toEqual([])
  })
})

describe('what is missing', () => {
  const BARE: Partial<ScriptFacts> = {
    options: new Map(),
    modules: new Map(),
    container: { state: 'absent' },
    iommufd: { state: 'absent' },
    groups: 0,
    devices: 0,
    cdevs: 0,
    mdevs: 0,
    iommus: 0,
    iommuGroups: 0,
  }
  const CLOSED = { state: 'closed', mode: 'crw------- root:root' } as const
  const cases: readonly [string, Partial<ScriptFacts>, Need, readonly string[]][] = [
    [
      'no VFIO at all',
      BARE,
      UNSAID,
      ['fail option-vfio', 'fail vfio-node', 'fail iommufd-node', 'warn devices', 'warn iommu'],
    ],
    ['no VFIO, and none needed', BARE, SIMULATED, []],
    ['no IOMMU for functions', { iommus: 0 }, FUNCTIONS, ['fail iommu']],
    ['no IOMMU for mdevs', { iommus: 0 }, MDEVS, []],
    ['no IOMMU, no one said', { iommus: 0 }, UNSAID, ['warn iommu']],
    ['no type1, iommufd is enough', { container: { state: 'absent' } }, FUNCTIONS, ['warn vfio-node']],
    [
      'no type1, which is named',
      { container: { state: 'absent' } },
      { ...MDEVS, type1: true },
      ['fail vfio-node'],
    ],
    [
      'nodes closed to the user',
      { container: CLOSED, iommufd: CLOSED },
      MDEVS,
      ['fail vfio-closed', 'fail iommufd-closed'],
    ],
    [
      'modules that are not loaded',
      { modules: new Map([...SOUND.modules, ['vfio-pci', 'loadable']]) },
      FUNCTIONS,
      ['warn modules'],
    ],
    [
      'no vfio-pci for functions',
      {
        options: new Map([...SOUND.options].filter(([key]) => key !== 'VFIO_PCI')),
        modules: new Map([...SOUND.modules, ['vfio-pci', 'absent']]),
      },
      FUNCTIONS,
      ['fail option-vfio-pci'],
    ],
    ['no configuration to read', { configFile: null, options: new Map() }, FUNCTIONS, []],
    ['a kernel before migration', { kernel: '5.15.0-91-generic' }, MDEVS, ['fail kernel-old']],
    ['a kernel before iommufd', { kernel: '6.1.0-18-amd64' }, MDEVS, ['warn kernel-old']],
    ['another system', { system: 'FreeBSD' }, MDEVS, ['fail system']],
    ['capabilities, as in a container', { capabilities: 0n }, MDEVS, ['warn capabilities']],
    [
      'a state folder one may not write',
      { state: { ...SOUND.state!, writable: false } },
      MDEVS,
      ['fail state'],
    ],
    ['a state folder of another', { state: { ...SOUND.state!, owner: 1000 } }, MDEVS, ['fail state-open']],
    [
      'a state folder others write to',
      { state: { ...SOUND.state!, mode: 'drwxrwxr-x' } },
      MDEVS,
      ['fail state-open'],
    ],
    [
      'a folder above that others write to is none',
      { state: { ...SOUND.state!, above: '/var/lib', mode: 'drwxrwxrwt' } },
      MDEVS,
      [],
    ],
    ['a full disk', { state: { ...SOUND.state!, freeBytes: 1024n } }, MDEVS, ['fail disk-full']],
    ['memory', {}, { ...MDEVS, memoryBytes: 49n * GIB }, ['fail memory']],
    ['huge pages', {}, { ...MDEVS, hugePages: new Map([[2n * 1024n * 1024n, GIB]]) }, ['fail huge-pages']],
    [
      'huge pages of a size there are none of',
      {},
      { ...MDEVS, hugePages: new Map([[GIB, GIB]]) },
      ['fail huge-pages'],
    ],
  ]
  it.each(cases)('%s', (_, lacking, need, expected) => {
    expect(troubles(all({ ...SOUND, ...lacking }, need))).toEqual(expected)
  })

  it('locked memory is the helper’s own limit, judged by what is pinned', () => {
    const limited = { ...HELLO, memlockBytes: String(8n * 1024n * 1024n) }
    expect(troubles(all(SOUND, FUNCTIONS, limited))).toEqual(['fail memlock'])
    expect(troubles(all(SOUND, MDEVS, limited))).toEqual([])
    expect(troubles(all(SOUND, UNSAID, limited))).toEqual(['warn memlock'])
  })

  it('root is asked for where devices are opened', () => {
    const user = { ...HELLO, uid: 1000 }
    const owned = { ...SOUND, state: { ...SOUND.state!, owner: 1000 } }
    expect(troubles(all(owned, MDEVS, user))).toEqual(['warn not-root'])
    expect(troubles(all(owned, SIMULATED, user))).toEqual([])
  })

  it.each([
    ['no seccomp', { seccomp: false }, ['warn no-seccomp']],
    ['no Landlock', { landlock: 0 }, ['warn no-landlock']],
    ['neither', { seccomp: false, landlock: 0, capabilities: [] }, ['warn no-seccomp', 'warn no-landlock']],
  ])('a kernel with %s confines the helper less', (_, lacking, expected) => {
    const confinement = { ...HELLO.confinement!, ...lacking }
    const checks = all(SOUND, SIMULATED, { ...HELLO, confinement })
    expect(troubles(checks)).toEqual(expected)
    expect(checks.map(({ code }) => code)).toContain('doctor/confinement')
  })

  it('a helper that does not say what confines it is not taken for a confined one', () => {
    const { confinement: _, ...older } = HELLO
    expect(troubles(all(SOUND, SIMULATED, older))).toEqual(['warn confinement'])
  })

  it('huge pages are counted in pages, beside those that are taken', () => {
    const page = 2n * 1024n * 1024n
    const facts = { ...SOUND, hugePages: [{ pageBytes: page, free: 100n, total: 300n }] }
    const [found] = roomChecks(facts, HELLO, { ...MDEVS, hugePages: new Map([[page, 150n * page]]) }).filter(
      ({ layer }) => layer === 'huge-pages',
    )
    expect(found?.remedy).toContain('echo 350 > /sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages')
  })

  it('has a remedy wherever something is wrong, and none where nothing is', () => {
    for (const [, lacking, need] of cases) {
      for (const { level, remedy } of all({ ...SOUND, ...lacking }, need))
        expect(remedy === null).toBe(level === 'ok')
    }
  })
})

describe('atLeast', () => {
  it.each([
    ['6.12.0', [6, 7], true],
    ['6.7.0-rc1', [6, 7], true],
    ['6.6.99', [6, 7], false],
    ['7.0', [6, 7], true],
    ['5.18.1', [6, 2], false],
    ['odd', [5, 18], false],
  ] as const)('%s %j: %s', (kernel, since, expected) => {
    expect(atLeast(kernel, since)).toBe(expected)
  })
})

describe('what a profile needs', () => {
  it('of one host that is both sides: memory for both, and nothing of VFIO for simulated devices', async () => {
    const profile = await loadProfile('profiles/quickstart.yaml')
    const [subject, ...others] = examinedHosts(profile)
    expect(others).toEqual([])
    expect(subject?.sides).toEqual(['source', 'destination'])
    const total = profile.memory.reduce((sum, region) => sum + region.bytes, 0n)
    expect(subject?.need).toMatchObject({ real: false, memoryBytes: 2n * total, pinnedBytes: 0n })
    expect(
      needOf({ ...profile, source: { ...profile.source, from: 'holder' } }, ['source']).memoryBytes,
    ).toBe(0n)
  })
})
