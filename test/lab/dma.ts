// The lab's devices that do DMA (modules/): loading, binding, programming them, and their debugfs.
// modules/ferry_lab.h says what registers and files mean.
import { randomUUID } from 'node:crypto'
import type { Guest } from './guest.js'
import { mdevPath, pciPath } from './mtty.js'
import { prepareModules } from './setup.js'

/**
 * `mdev` and `logged-mdev` pin pages, the latter with a DMA log; `edu` has a log, behind VT-d; `dirty` is behind an
 * IOMMU with dirty bits; `both` is, and has a log as well.
 */
export type DmaKind = 'mdev' | 'logged-mdev' | 'edu' | 'dirty' | 'both'
export type Pattern = 'uniform' | 'hot' | 'sequential'
export type PinMode = 'pin-keep' | 'rw' | 'pin-each'

export interface DmaDevice {
  readonly kind: DmaKind
  /** UUID or BDF: also its folder in debugfs. */
  readonly id: string
  readonly sysfsPath: string
}

export interface Program {
  /** Which 256 bytes of each page are its own, 0 to 15. */
  readonly slot: number
  readonly seed: number
  readonly window: bigint
  readonly bytes: bigint
  readonly pattern: Pattern
  /** Bytes a second, each write counting as a page; 0: as fast as it goes. */
  readonly rate: number
  readonly mode?: PinMode
  /** Bytes of filler in the state stream. */
  readonly state?: number
  /** Writes after which it rests. */
  readonly limit?: number
}

const debugfs = '/sys/kernel/debug/ferry'
/** Built by run-tests.ts; see helper/examples/. */
const regsProgram = 'helper/target/release/examples/dma-regs'
export const checkProgram = 'helper/target/release/examples/dma-check'

/** Extra functions for a guest whose tests need `edus` of them. The address mask reaches as far as VT-d does. */
export const eduDevices = (count: number): readonly string[] =>
  Array.from({ length: count }, () => 'edu,dma_mask=0x7fffffffff')

/** `dirty` and `both`: how many functions of these kinds there are to be. */
export async function loadModules(guest: Guest, dirty: number, both: number): Promise<void> {
  const folder = await prepareModules()
  const logged = ((1 << both) - 1) << dirty
  await guest.ok(
    [
      ...['ferry_lab', 'ferry_mdev', 'ferry_edu'].map((name) => `insmod ${folder}/${name}.ko`),
      `insmod ${folder}/ferry_dirty.ko functions=${String(dirty + both)} logged=${String(logged)}`,
    ].join(' && '),
  )
}

export async function createMdevs(
  guest: Guest,
  kind: 'mdev' | 'logged-mdev',
  count: number,
): Promise<readonly DmaDevice[]> {
  const ids = Array.from({ length: count }, () => randomUUID())
  const type = kind === 'mdev' ? 'plain' : 'logged'
  const create = `/sys/class/mdev_bus/ferry_mdev/mdev_supported_types/ferry_mdev-${type}/create`
  await guest.ok(`for id in ${ids.join(' ')}; do echo $id > ${create} || exit 1; done`)
  return ids.map((id) => ({ kind, id, sysfsPath: mdevPath(id) }))
}

/** PCI vendor and device, and the driver. */
const FUNCTIONS = {
  edu: { ids: '0x1234:0x11e8', driver: 'ferry_edu' },
  dirty: { ids: '0x1234:0xf00d', driver: 'ferry_dirty' },
  both: { ids: '0x1234:0xf00e', driver: 'ferry_dirty' },
} as const

/** Binds every function of a kind to its driver, in order of address. */
export async function bindFunctions(
  guest: Guest,
  kind: keyof typeof FUNCTIONS,
): Promise<readonly DmaDevice[]> {
  const { driver, ids } = FUNCTIONS[kind]
  // Shell built-ins alone: a process costs the guest dearly.
  const found = await guest.ok(
    [
      'for d in /sys/bus/pci/devices/*; do',
      'read vendor < $d/vendor; read device < $d/device;',
      `[ $vendor:$device = ${ids} ] || continue;`,
      `if [ ! -e $d/driver ]; then echo ${driver} > $d/driver_override;`,
      'echo ${d##*/} > /sys/bus/pci/drivers_probe; fi;',
      `[ $d/driver -ef /sys/bus/pci/drivers/${driver} ] || exit 1;`,
      'echo ${d##*/}; done',
    ].join(' '),
  )
  return found
    .split('\n')
    .filter(Boolean)
    .sort()
    .map((id) => ({ kind, id, sysfsPath: pciPath(id) }))
}

/** One call of `dma-regs` on one device. */
export type ProgramCall = readonly string[]

export function setProgram(device: DmaDevice, program: Program, on = true): ProgramCall {
  const { bytes, limit, mode, pattern, rate, seed, slot, state = 0, window } = program
  return call(device, {
    ...{ slot, seed, window, bytes, pattern, rate, mode, state },
    ...{ position: 0, limit: limit ?? '0xffffffffffffffff', control: on ? 1 : 0 },
  })
}

/** What a device moved to in an earlier test would still write when it is opened. */
export const clearProgram = (device: DmaDevice): ProgramCall =>
  call(device, { bytes: 0, position: 0, control: 0 })

function call(
  device: DmaDevice,
  values: Readonly<Record<string, string | number | bigint | undefined>>,
): ProgramCall {
  const set = Object.entries(values).filter(([, value]) => value !== undefined)
  return [device.sysfsPath, 'set', ...set.map(([name, value]) => `${name}=${String(value)}`)]
}

/** Programs devices that no one has open. They write as soon as somebody opens and maps them. */
export async function applyPrograms(guest: Guest, calls: readonly ProgramCall[]): Promise<void> {
  await guest.ok([regsProgram, ...calls.flatMap((each, index) => (index === 0 ? each : ['--', ...each]))])
}

export async function registers(guest: Guest, device: DmaDevice): Promise<Readonly<Record<string, string>>> {
  const text = await guest.ok([regsProgram, device.sysfsPath, 'get'])
  return JSON.parse(text) as Readonly<Record<string, string>>
}

export const knob = (device: DmaDevice, file: string): string => `${debugfs}/${device.id}/${file}`

/** One or more debugfs files of one device, at one round trip. */
export async function setKnobs(
  guest: Guest,
  device: DmaDevice,
  values: Readonly<Record<string, string | number | bigint>>,
): Promise<void> {
  await guest.ok(
    Object.entries(values)
      .map(([file, value]) => `echo ${String(value)} > ${knob(device, file)}`)
      .join(' && '),
  )
}

export async function readKnob(guest: Guest, device: DmaDevice, file: string): Promise<string> {
  return guest.ok(['cat', knob(device, file)])
}

/** Writes done: the sequence of the last one. */
export async function position(guest: Guest, device: DmaDevice): Promise<number> {
  return Number(await readKnob(guest, device, 'position'))
}

export interface Arc {
  readonly sequence: number
  readonly device: string
  readonly from: string
  readonly to: string
}

/** Arcs of several devices in the order they were taken. */
export async function transitions(guest: Guest, devices: readonly DmaDevice[]): Promise<readonly Arc[]> {
  const text = await guest.ok(
    devices.map((device) => `sed 's/^/${device.id} /' ${knob(device, 'transitions')}`).join(' && '),
  )
  return text
    .split('\n')
    .filter(Boolean)
    .map((line) => {
      const [device = '', sequence = '', from = '', to = ''] = line.split(' ')
      return { sequence: Number(sequence), device, from, to }
    })
    .sort((a, b) => a.sequence - b.sequence)
}
