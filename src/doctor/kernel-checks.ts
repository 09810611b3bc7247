/** Kernel, VFIO, iommufd and IOMMU: whether this host's kernel can open and map devices at all. */
import type { Check, Layer } from './check.js'
import { fail, lack, ok, warn } from './check.js'
import type { NodeState, ScriptFacts } from './facts.js'
import type { Need } from './need.js'
import { listed } from '../units.js'
import type { KernelOption, Module } from './script.js'

/** First releases: mainline's include/uapi/linux/vfio.h and iommufd.h. */
const SINCE = {
  migration: [5, 18],
  precopy: [6, 2],
  cdev: [6, 6],
  iommuDirty: [6, 7],
} as const satisfies Record<string, readonly [number, number]>

export function kernelChecks(facts: ScriptFacts, need: Need): readonly Check[] {
  if (facts.system !== 'Linux') {
    return [fail('kernel', 'system', `it runs ${facts.system}`, 'devices move between Linux hosts')]
  }
  const named = `Linux ${facts.kernel} on ${facts.machine}`
  if (need.real === false) {
    return [
      ok('kernel', 'kernel', `${named}; every device here is simulated, so no kernel feature is needed`),
    ]
  }
  return [...versionChecks(facts, need, named), ...optionChecks(facts, need)]
}

function versionChecks({ kernel }: ScriptFacts, need: Need, named: string): readonly Check[] {
  const has = (since: readonly [number, number]): boolean => atLeast(kernel, since)
  if (!has(SINCE.migration)) {
    return lack(
      need.real ?? true,
      'kernel',
      'kernel-old',
      `${named} has no VFIO migration (version 2 of its protocol came with 5.18)`,
      'run a newer kernel: 6.2 for pre-copy and DMA logs, 6.7 for dirty bits of the IOMMU',
    )
  }
  const missing = [
    ...(has(SINCE.precopy) ? [] : ['pre-copy and DMA logs of devices (6.2)']),
    ...(has(SINCE.cdev) ? [] : ['device nodes for iommufd (6.6)']),
    ...(has(SINCE.iommuDirty) ? [] : ['dirty bits of the IOMMU (6.7)']),
  ]
  if (missing.length === 0) return [ok('kernel', 'kernel', named)]
  return [
    warn('kernel', 'kernel-old', `${named} lacks ${listed(missing)}`, 'run a newer kernel to have them'),
  ]
}

/** "6.12.9-amd64" against [6, 7]. */
export function atLeast(kernel: string, [major, minor]: readonly [number, number]): boolean {
  const found = /^(?<major>\d+)\.(?<minor>\d+)/u.exec(kernel)?.groups
  const [a, b] = [Number(found?.['major'] ?? 0), Number(found?.['minor'] ?? 0)]
  return a > major || (a === major && b >= minor)
}

interface Wanted {
  readonly option: KernelOption
  /** Tells when the kernel's configuration cannot be read; null: only the configuration does. */
  readonly module: Module | null
  readonly needed: boolean | null
  readonly without: string
}

function optionChecks(facts: ScriptFacts, need: Need): readonly Check[] {
  const wanted: readonly Wanted[] = [
    { option: 'VFIO', module: 'vfio', needed: need.real ?? true, without: 'no device can be opened' },
    {
      option: 'VFIO_PCI',
      module: 'vfio-pci',
      needed: need.functions,
      without: 'PCI functions cannot be bound to VFIO (drivers of their own build on it)',
    },
    {
      option: 'VFIO_IOMMU_TYPE1',
      module: 'vfio_iommu_type1',
      needed: need.type1,
      without: 'there is no type1 backend',
    },
    {
      option: 'VFIO_MDEV',
      module: 'mdev',
      needed: need.mdevs,
      without: 'there are no mdevs (the option comes with the drivers that make them)',
    },
    { option: 'IOMMUFD', module: 'iommufd', needed: need.iommufd, without: 'there is no iommufd backend' },
    {
      option: 'VFIO_DEVICE_CDEV',
      module: null,
      needed: need.iommufd,
      without: 'devices have no node that iommufd could open',
    },
  ]
  const there: string[] = []
  const idle: string[] = []
  const checks: Check[] = []
  for (const { module, needed, option, without } of wanted) {
    const seen = optionState(facts, option, module)
    if (seen === 'missing') {
      const remedy = `run a kernel built with CONFIG_${option}, or install the package with its modules`
      const code = `option-${option.toLowerCase().replaceAll('_', '-')}`
      checks.push(...lack(needed, 'kernel', code, `CONFIG_${option} is not set: ${without}`, remedy))
    } else if (seen !== 'unknown') there.push(option)
    // All but iommufd rest on it, and would only say the same again.
    if (option === 'VFIO' && seen === 'missing') return checks
    if (seen === 'not-loaded' && module !== null) idle.push(module)
  }
  const from = facts.configFile ?? 'modules; the kernel’s configuration cannot be read'
  if (there.length > 0) checks.unshift(ok('kernel', 'options', `${listed(there)} (${from})`))
  if (idle.length > 0) {
    const text = `${listed(idle)} ${idle.length > 1 ? 'are' : 'is'} not loaded`
    checks.push(warn('kernel', 'modules', text, `\`modprobe ${idle.join(' ')}\` as root`))
  }
  return checks
}

function optionState(
  facts: ScriptFacts,
  option: KernelOption,
  module: Module | null,
): 'there' | 'not-loaded' | 'missing' | 'unknown' {
  const set = facts.options.get(option)
  const state = module === null ? undefined : facts.modules.get(module)
  if (state === 'loaded' || state === 'builtin' || set === 'y') return 'there'
  if (state === 'loadable') return 'not-loaded'
  // Set as a module whose file is not there: a kernel without its modules package.
  if (set === 'm' && module === null) return 'there'
  if (facts.configFile === null && module === null) return 'unknown'
  return 'missing'
}

export function vfioChecks(facts: ScriptFacts, need: Need): readonly Check[] {
  if (need.real === false) return []
  const type1 = facts.container.state === 'usable'
  const iommufd = facts.iommufd.state === 'usable'
  // One of the two ways is enough, unless the profile names one.
  const either = type1 || iommufd ? null : (need.real ?? true)
  return [
    ...nodeChecks('vfio', '/dev/vfio/vfio', 'type1', facts.container, need.type1 === true || either),
    ...nodeChecks('iommufd', '/dev/iommu', 'iommufd', facts.iommufd, need.iommufd === true || either),
    deviceCount(facts),
  ]
}

function nodeChecks(
  layer: Layer,
  path: string,
  backend: string,
  node: NodeState,
  needed: boolean | null,
): readonly Check[] {
  if (node.state === 'closed') {
    return lack(
      needed,
      layer,
      `${layer}-closed`,
      `${path} is closed to this user (${node.mode})`,
      'run the helper as root (`become: sudo`, or ssh to root), or give the user the node by a udev rule',
    )
  }
  if (node.state === 'usable') {
    return [ok(layer, `${layer}-node`, `${path} can be opened (backend ${backend})`)]
  }
  const module = backend === 'type1' ? 'vfio' : 'iommufd'
  return lack(
    needed,
    layer,
    `${layer}-node`,
    `${path} does not exist: no backend ${backend}`,
    `load the module (\`modprobe ${module}\`), or run a kernel that has it`,
  )
}

function deviceCount({ cdevs, devices, groups, mdevs }: ScriptFacts): Check {
  const known = Math.max(devices, groups)
  if (known === 0) {
    return warn(
      'vfio',
      'devices',
      'no device is bound to a VFIO driver',
      '`ferry devices --all` lists the functions that could be, and what each needs',
    )
  }
  return ok(
    'vfio',
    'devices',
    `VFIO devices: ${known}, of them mdevs ${mdevs}, with a node for iommufd ${cdevs}`,
  )
}

export function iommuChecks({ iommuGroups, iommus }: ScriptFacts, need: Need): readonly Check[] {
  if (need.real === false) return []
  if (iommus > 0) return [ok('iommu', 'iommu', `IOMMUs in use: ${iommus}, with ${iommuGroups} groups`)]
  return lack(
    need.functions,
    'iommu',
    'iommu',
    'no IOMMU is in use: PCI functions cannot be moved (mdevs need none)',
    'turn VT-d, AMD-Vi or SMMU on in the firmware, and in the kernel (intel_iommu=on, iommu.passthrough=0)',
  )
}
