// What tests do to devices in the guest: mtty mdevs (the kernel's sample serial card, which migrates), and the
// edu PCI device bound to vfio-pci (which does not).
import type { Guest, RunResult } from './guest.js'

export type MttyType = 'mtty-1' | 'mtty-2'

/** What sysfs says about a device that VFIO holds. */
export interface VfioFacts {
  readonly sysfsPath: string
  readonly driver: string
  readonly group: number
  /** Of the group: `DMA-FQ`, `identity`, or `unknown` for an mdev's. */
  readonly groupType: string
  /** Empty if the group has none. */
  readonly groupName: string
  /** Such as `vfio0`, for /dev/vfio/devices/vfio0. */
  readonly cdev: string
}

/** Registers of one UART; each byte range as `mtty-regs` documents it. */
export interface MttyPort {
  readonly scr?: number
  readonly mcr?: number
  readonly lcr?: number
  readonly ier?: number
  /** Setting one leaves DLAB set, and only then can it be read back. */
  readonly divisor?: number | null
  /** Hex, at most 15 bytes. */
  readonly fifo?: string
}

export interface MttyPortState extends Required<MttyPort> {
  readonly lsr: number
}

export interface RegsOptions {
  /** Opens by cdev and iommufd instead of by group and container. */
  readonly iommufd?: boolean
}

const types = '/sys/class/mdev_bus/mtty/mdev_supported_types'
/** Built by run-tests.ts; see helper/examples/mtty-regs.rs. */
const regsProgram = 'helper/target/release/examples/mtty-regs'

export const mdevPath = (uuid: string): string => `/sys/bus/mdev/devices/${uuid}`
export const pciPath = (bdf: string): string => `/sys/bus/pci/devices/${bdf}`

export async function createMtty(guest: Guest, uuid: string, type: MttyType = 'mtty-2'): Promise<string> {
  await guest.ok(`echo ${uuid} > ${types}/${type}/create`)
  return mdevPath(uuid)
}

/** Waits for the process that has the device open. */
export async function removeMtty(guest: Guest, uuid: string): Promise<void> {
  await guest.ok(`echo 1 > ${mdevPath(uuid)}/remove`, { timeoutMs: 20_000 })
}

export async function listMttys(guest: Guest): Promise<readonly string[]> {
  return (await guest.ok('ls /sys/bus/mdev/devices')).split('\n').filter(Boolean)
}

/** The kernel's own word on a device's migration state: a witness that no program under test can bend. */
export function migrationState(guest: Guest, device: string): Promise<string> {
  return guest.ok(['cat', `/sys/kernel/debug/vfio/${device}/migration/state`])
}

export async function findEdu(guest: Guest): Promise<string> {
  const found = await guest.ok(
    'for d in /sys/bus/pci/devices/*; do [ "$(cat $d/vendor):$(cat $d/device)" = 0x1234:0x11e8 ] && basename $d; done; true',
  )
  const [bdf] = found.split('\n')
  if (!bdf) throw new Error('the guest has no edu device')
  return bdf
}

export async function bindVfioPci(guest: Guest, bdf: string): Promise<void> {
  const dev = pciPath(bdf)
  await guest.ok(
    [
      `if [ -e ${dev}/driver ]; then echo ${bdf} > ${dev}/driver/unbind; fi`,
      `echo vfio-pci > ${dev}/driver_override`,
      `echo ${bdf} > /sys/bus/pci/drivers_probe`,
      `[ "$(basename "$(readlink ${dev}/driver)")" = vfio-pci ]`,
    ].join(' && '),
  )
}

export async function unbindVfioPci(guest: Guest, bdf: string): Promise<void> {
  const dev = pciPath(bdf)
  await guest.ok(`echo ${bdf} > ${dev}/driver/unbind && echo > ${dev}/driver_override`)
}

export async function vfioFacts(guest: Guest, sysfsPath: string): Promise<VfioFacts> {
  const out = await guest.ok(
    [
      `cd ${sysfsPath}`,
      'basename "$(readlink driver)"',
      'basename "$(readlink iommu_group)"',
      'cat iommu_group/type',
      'cat iommu_group/name 2>/dev/null || echo',
      'ls vfio-dev',
    ].join('; '),
  )
  const [driver = '', group = '', groupType = '', groupName = '', cdev = ''] = out.split('\n')
  return { sysfsPath, driver, group: Number(group), groupType, groupName, cdev }
}

async function regs(
  guest: Guest,
  sysfsPath: string,
  args: readonly string[],
  options: RegsOptions,
): Promise<string> {
  return guest.ok([regsProgram, ...(options.iommufd ? ['--iommufd'] : []), sysfsPath, ...args])
}

export async function setPort(
  guest: Guest,
  sysfsPath: string,
  port: number,
  values: MttyPort,
  options: RegsOptions = {},
): Promise<void> {
  const words = Object.entries(values).map(([name, value]) => `${name}=${String(value)}`)
  await regs(guest, sysfsPath, ['set', '--port', String(port), ...words], options)
}

/** Empties the FIFO and clears DLAB: what is read is read once. */
export async function takePort(
  guest: Guest,
  sysfsPath: string,
  port: number,
  options: RegsOptions = {},
): Promise<MttyPortState> {
  return JSON.parse(await regs(guest, sysfsPath, ['get', '--port', String(port)], options)) as MttyPortState
}

/** Only what can be read without changing the device; `fifo` and, with DLAB clear, `divisor` stay unknown. */
export async function peekPort(
  guest: Guest,
  sysfsPath: string,
  port: number,
  options: RegsOptions = {},
): Promise<Partial<MttyPortState>> {
  const out = await regs(guest, sysfsPath, ['get', '--peek', '--port', String(port)], options)
  return JSON.parse(out) as Partial<MttyPortState>
}

/** For tests that want the failure itself. */
export function tryRegs(guest: Guest, args: readonly string[]): Promise<RunResult> {
  return guest.run([regsProgram, ...args])
}

/** Has `sysfsPath` open until `release` is called. */
export async function holdDevice(
  guest: Guest,
  sysfsPath: string,
  options: RegsOptions = {},
): Promise<{ readonly pid: number; release(): Promise<void> }> {
  let held: () => void = () => {}
  const open = new Promise<void>((resolve) => (held = resolve))
  let output = ''
  const holder = await guest.start(
    [regsProgram, ...(options.iommufd ? ['--iommufd'] : []), sysfsPath, 'hold'],
    {
      keepStdin: true,
      onOutput: (_fd, data) => {
        output += data.toString('utf8')
        if (output.includes('held\n')) held()
      },
    },
  )
  const failed = holder.wait().then(() => {
    throw new Error(`mtty-regs hold: ${output}`)
  })
  failed.catch(() => {})
  await Promise.race([open, failed])
  return {
    pid: holder.pid,
    async release() {
      await holder.endInput()
      await holder.wait()
    },
  }
}

/** Distinct in every register and port, with DLAB set in both: only then does the divisor stay readable. */
export const PATTERN: readonly [Required<MttyPort>, Required<MttyPort>] = [
  { scr: 0x5a, mcr: 0x0b, ier: 0x05, lcr: 0x13, divisor: 0x1234, fifo: '000102ff' },
  { scr: 0xa5, mcr: 0x04, ier: 0x0a, lcr: 0x07, divisor: 0x00d0, fifo: '0f0e0d0c0b0a090807060504030201' },
]

export async function setPattern(guest: Guest, sysfsPath: string): Promise<void> {
  for (const [port, values] of PATTERN.entries()) await setPort(guest, sysfsPath, port, values)
}

/** Takes both ports; what `setPattern` put there comes back as `expectedPattern`. */
export async function takePattern(
  guest: Guest,
  sysfsPath: string,
  options: RegsOptions = {},
): Promise<readonly MttyPortState[]> {
  return [await takePort(guest, sysfsPath, 0, options), await takePort(guest, sysfsPath, 1, options)]
}

/** Setting a divisor leaves DLAB (0x80) set; LSR says that the FIFO has data. */
export const expectedPattern: readonly MttyPortState[] = PATTERN.map((port) => ({
  ...port,
  lcr: port.lcr | 0x80,
  lsr: 0x01,
}))
