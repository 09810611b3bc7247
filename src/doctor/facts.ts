import { FerryError } from '../errors.js'
import { EXIT } from '../exit-codes.js'
import { KERNEL_OPTIONS, MODULES, type KernelOption, type Module } from './script.js'

export type ModuleState = 'loaded' | 'builtin' | 'loadable' | 'absent'
/** A device node: absent, usable by the user the script ran as, or closed to it (with mode and owner). */
export type NodeState =
  { readonly state: 'absent' | 'usable' } | { readonly state: 'closed'; readonly mode: string }

/** What the script said of a host; sizes in bytes. */
export interface ScriptFacts {
  readonly uid: number
  readonly user: string
  readonly hostname: string
  readonly system: string
  readonly machine: string
  readonly kernel: string
  /** Effective capabilities (capability.h numbers the bits); null when /proc did not say. */
  readonly capabilities: bigint | null
  /** Where the kernel's configuration was read; null: nowhere. */
  readonly configFile: string | null
  /** Options that are set; meaningful with a configFile only. */
  readonly options: ReadonlyMap<KernelOption, 'y' | 'm'>
  readonly modules: ReadonlyMap<Module, ModuleState>
  readonly container: NodeState
  readonly iommufd: NodeState
  readonly groups: number
  readonly cdevs: number
  readonly devices: number
  readonly mdevs: number
  readonly iommus: number
  readonly iommuGroups: number
  /** Null: unlimited. */
  readonly memlockBytes: bigint | null
  readonly memoryBytes: bigint
  readonly memoryAvailableBytes: bigint
  readonly hugePages: readonly { readonly pageBytes: bigint; readonly free: bigint; readonly total: bigint }[]
  /** Null: the script was not told of a state folder. */
  readonly state: null | {
    /** The folder itself, or the nearest one above it that exists. */
    readonly above: string
    readonly writable: boolean
    readonly mode: string
    readonly owner: number
    readonly freeBytes: bigint | null
  }
  /** Operational state of the interface asked about: "up", "absent", …; null: none was. */
  readonly interface: string | null
}

const MARK = 'ferry-doctor'

/**
 * Reads the script's output. Lines without its mark (login scripts print things) are passed over; whatever bears it must
 * be whole and known.
 *
 * @throws FerryError `doctor/facts` that names the line.
 */
export function readFacts(stdout: string): ScriptFacts {
  const one = new Map<string, string>()
  const many: [string, string][] = []
  for (const line of stdout.split('\n')) {
    const [mark, key, value, ...rest] = line.split('\t')
    if (mark !== MARK) continue
    if (key === undefined || value === undefined || rest.length > 0)
      throw unreadableFactsError(`a line is incomplete: ${line}`)
    if (key === 'option' || key === 'module' || key === 'huge-pages') many.push([key, value])
    else if (one.has(key)) throw unreadableFactsError(`${key} is given twice`)
    else one.set(key, value)
  }
  if (!one.has('begin') || !one.has('end')) throw unreadableFactsError('the output is incomplete')
  const text = (key: string): string => {
    const value = one.get(key)
    if (value === undefined) throw unreadableFactsError(`${key} is missing`)
    return value
  }
  const whole = (key: string): bigint => wholeOf(key, text(key))
  const number = (key: string): number => Number(whole(key))
  const all = (key: string): string[] => many.filter(([name]) => name === key).map(([, value]) => value)
  const caps = text('caps')
  const memlock = text('memlock')
  return {
    uid: number('uid'),
    user: text('user'),
    hostname: text('hostname'),
    system: text('system'),
    machine: text('machine'),
    kernel: text('kernel'),
    capabilities: /^[\da-f]{1,16}$/u.test(caps) ? BigInt(`0x${caps}`) : null,
    configFile: text('config-file') === '' ? null : text('config-file'),
    options: new Map(all('option').map(readOption)),
    modules: new Map(all('module').map(readModule)),
    container: readNode('vfio-container', text('vfio-container')),
    iommufd: readNode('iommufd-node', text('iommufd-node')),
    groups: number('vfio-groups'),
    cdevs: number('vfio-cdevs'),
    devices: number('vfio-devices'),
    mdevs: number('mdevs'),
    iommus: number('iommus'),
    iommuGroups: number('iommu-groups'),
    memlockBytes: memlock === 'unlimited' ? null : wholeOf('memlock', memlock) * 1024n,
    memoryBytes: whole('MemTotal') * 1024n,
    memoryAvailableBytes: whole('MemAvailable') * 1024n,
    hugePages: all('huge-pages').map(readPool),
    state: one.has('state-above') ? readState(text, one.get('state-free') ?? '') : null,
    interface: one.get('interface') ?? null,
  }
}

function readState(text: (key: string) => string, free: string): NonNullable<ScriptFacts['state']> {
  const [mode = '', owner = ''] = text('state-mode').split(' ')
  const use = text('state-use')
  if (use !== 'writable' && use !== 'closed') throw unreadableFactsError(`state-use is ${use}`)
  return {
    above: text('state-above'),
    writable: use === 'writable',
    mode,
    owner: Number(wholeOf('state-mode', owner)),
    freeBytes: /^\d+$/u.test(free) ? BigInt(free) * 1024n : null,
  }
}

function readOption(text: string): [KernelOption, 'y' | 'm'] {
  const [name = '', value] = text.split('=')
  const option = KERNEL_OPTIONS.find((known) => known === name)
  if (option === undefined || (value !== 'y' && value !== 'm'))
    throw unreadableFactsError(`unknown option ${text}`)
  return [option, value]
}

const MODULE_STATES: readonly ModuleState[] = ['loaded', 'builtin', 'loadable', 'absent']
function readModule(text: string): [Module, ModuleState] {
  const [name, said] = text.split(' ')
  const module = MODULES.find((known) => known === name)
  const state = MODULE_STATES.find((known) => known === said)
  if (module === undefined || state === undefined) throw unreadableFactsError(`unknown module ${text}`)
  return [module, state]
}

function readNode(key: string, text: string): NodeState {
  if (text === 'absent' || text === 'usable') return { state: text }
  if (!text.startsWith('closed')) throw unreadableFactsError(`${key} is ${text}`)
  return { state: 'closed', mode: text.slice('closed '.length) }
}

function readPool(text: string): ScriptFacts['hugePages'][number] {
  const [size = '', free = '', total = ''] = text.split(' ')
  const pageBytes = wholeOf('huge-pages', size) * 1024n
  return { pageBytes, free: wholeOf('huge-pages', free), total: wholeOf('huge-pages', total) }
}

function wholeOf(key: string, text: string): bigint {
  if (!/^\d+$/u.test(text)) throw unreadableFactsError(`${key} is ${JSON.stringify(text)}, not a number`)
  return BigInt(text)
}

function unreadableFactsError(message: string): FerryError {
  return new FerryError({
    code: 'doctor/facts',
    exit: EXIT.error,
    message: `the host could not be read: ${message}`,
    suggestions: ['look for what a login script of that user prints or ends, with `ssh HOST sh -c true`'],
  })
}
