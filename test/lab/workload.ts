// A workload of the lab's DMA devices: its memory as files, so that it can be looked at when Ferry has gone, its
// programs, its profile, and the checker that holds the one against the other.
import { writeFile } from 'node:fs/promises'
import path from 'node:path'
import { expect } from 'vitest'
import { stringify } from 'yaml'
import {
  applyPrograms,
  checkProgram,
  clearProgram,
  position,
  setKnobs,
  setProgram,
  type DmaDevice,
  type Program,
} from './dma.js'
import { ended, expectExit, ferry, startFerry, type FerryRun, type RunResult } from './ferry.js'
import type { Guest, GuestProcess } from './guest.js'

export const MIB = 1024n * 1024n

export interface LabRegion {
  readonly name: string
  readonly iova: bigint
  readonly bytes: bigint
  /** 2 MiB pages of hugetlbfs instead of tmpfs. */
  readonly huge?: boolean
}

/** One device of the workload, on both sides. */
export interface Part {
  readonly name: string
  readonly from: DmaDevice
  readonly to: DmaDevice
  readonly program: Program
  readonly backend?: 'type1' | 'iommufd'
  readonly tracker?: 'pinned' | 'device' | 'iommu' | 'all'
  readonly container?: string
}

export interface Workload {
  readonly name: string
  readonly memory: readonly LabRegion[]
  readonly parts: readonly Part[]
  /** Keys of the profile, as they are. */
  readonly source?: object
  readonly destination?: object
  readonly transport?: object
  readonly trackers?: object
  readonly migration?: object
}

export interface Lost {
  readonly iova: string
  readonly device: string
  readonly expected: string
  readonly found: string
  readonly mismatch: string
}
export interface CheckReport {
  readonly pages: number
  readonly writes: number
  readonly lostPages: number
  readonly lost: readonly Lost[]
}

/** What every byte no device has written must be. */
const INITIAL = { seed: 11, zero: '25%' }

const filePath = (workload: Workload, region: LabRegion, side: Side): string =>
  `${region.huge === true ? '/dev/hugepages' : '/dev/shm'}/${workload.name}-${side}-${region.name}`

type Side = 'source' | 'destination'

/** The same workload on its way back: what was its destination is its source. */
export async function writeReturn(
  guest: Guest,
  workload: Workload,
  sides: Pick<Workload, 'source' | 'destination'>,
) {
  const there = profileOf(workload) as {
    readonly memory: readonly {
      readonly backing: { readonly source: object; readonly destination: object }
    }[]
    readonly devices: readonly { readonly source: object; readonly destination: object }[]
  }
  const turned = <T extends { readonly source: object; readonly destination: object }>(both: T): T => ({
    ...both,
    source: both.destination,
    destination: both.source,
  })
  const back = {
    ...there,
    ...sides,
    memory: there.memory.map((region) => ({ ...region, backing: turned(region.backing) })),
    devices: there.devices.map(turned),
  }
  const file = `${workload.name}-back.yaml`
  await writeFile(path.join(guest.resultsDir, file), stringify(back))
  return `/results/${file}`
}

function profileOf(workload: Workload): object {
  const ref = (device: DmaDevice): object =>
    device.kind === 'mdev' || device.kind === 'logged-mdev' ? { mdev: device.id } : { function: device.id }
  return {
    version: 1,
    name: workload.name,
    source: { host: 'local', ...workload.source },
    // No one is there to take the devices over, and the next test wants them.
    destination: { host: 'local', listen: '127.0.0.1:0', then: 'close', ...workload.destination },
    ...(workload.transport !== undefined && { transport: workload.transport }),
    memory: workload.memory.map((region) => ({
      name: region.name,
      iova: `0x${region.iova.toString(16)}`,
      size: `0x${region.bytes.toString(16)}`,
      backing: {
        source: { file: filePath(workload, region, 'source') },
        destination: { file: filePath(workload, region, 'destination') },
      },
      fill: INITIAL,
    })),
    devices: workload.parts.map(({ backend, container, from, name, to, tracker }) => ({
      name,
      source: ref(from),
      destination: ref(to),
      ...(backend !== undefined && { backend }),
      ...(tracker !== undefined && { tracker }),
      ...(container !== undefined && { container }),
    })),
    ...(workload.trackers !== undefined && { trackers: workload.trackers }),
    // Emulated processors: everything takes ten times as long and more.
    migration: { downtimeLimit: '20s', precopy: { rounds: 8, time: '60s' }, ...workload.migration },
  }
}

/** Fresh memory, programmed devices, a profile. What an earlier run of the same name left is gone. */
export async function stage(
  guest: Guest,
  workload: Workload,
  options: { on?: boolean } = {},
): Promise<string> {
  const file = `${workload.name}.yaml`
  await writeFile(path.join(guest.resultsDir, file), stringify(profileOf(workload)))
  const make = workload.memory.flatMap((region) =>
    (['source', 'destination'] as const).map((side) => {
      const at = filePath(workload, region, side)
      return `rm -f ${at} && truncate -s ${String(region.bytes)} ${at}`
    }),
  )
  await guest.ok(make.join(' && '))
  const calls = workload.parts.flatMap((part) => [
    setProgram(part.from, part.program, options.on ?? true),
    clearProgram(part.to),
  ])
  await applyPrograms(guest, calls)
  return `/results/${file}`
}

export async function unstage(guest: Guest, workload: Workload): Promise<void> {
  const files = workload.memory.flatMap((region) => [
    filePath(workload, region, 'source'),
    filePath(workload, region, 'destination'),
  ])
  await guest.ok(['rm', '-f', ...files])
}

/** Holds a side's memory against what its devices say they have written. */
export async function check(guest: Guest, workload: Workload, side: Side): Promise<CheckReport> {
  const device = (part: Part): DmaDevice => (side === 'source' ? part.from : part.to)
  const positions = await Promise.all(workload.parts.map((part) => position(guest, device(part))))
  const input = {
    memory: workload.memory.map((region) => ({
      name: region.name,
      iova: String(region.iova),
      bytes: String(region.bytes),
      path: filePath(workload, region, side),
    })),
    devices: workload.parts.map(({ name, program: { bytes, pattern, seed, slot, window } }, index) => ({
      name,
      ...{ slot, seed: String(seed), window: String(window), bytes: String(bytes), pattern },
      position: String(positions[index]),
    })),
    initial: { seed: INITIAL.seed, zeroPercent: 25 },
  }
  const file = `${workload.name}-check.json`
  await writeFile(path.join(guest.resultsDir, file), JSON.stringify(input))
  const done = await guest.run(`${checkProgram} < /results/${file}`)
  // 1: something is lost, and the report says what.
  if (done.exit !== 0 && done.exit !== 1) throw new Error(`dma-check: ${done.stderr}${done.stdout}`)
  const report = JSON.parse(done.stdout) as CheckReport
  return { ...report, writes: Number(report.writes) }
}

/** Every device on the destination rests where it was stopped, so that memory can be held against that moment. */
export async function holdDestination(guest: Guest, workload: Workload, hold: boolean): Promise<void> {
  for (const { to } of workload.parts) await setKnobs(guest, to, { hold: hold ? 1 : 0 })
}

/** `ferry migrate` of a staged workload. */
export function migrate(
  guest: Guest,
  profile: string,
  args: readonly string[] = [],
): Promise<FerryRun<RunResult>> {
  return ferry<RunResult>(guest, ['migrate', profile, ...args])
}

/** Past COMMIT both helpers keep their devices for a person to look at; the next test wants them. */
export async function giveUp(guest: Guest, run: FerryRun<RunResult>): Promise<void> {
  expectExit(await ferry(guest, ['release', run.result.run, '--give-up']), 0)
}

export interface Started {
  readonly process: GuestProcess
  end(): Promise<FerryRun<RunResult>>
}

export async function start(guest: Guest, args: readonly string[]): Promise<Started> {
  const process = await startFerry(guest, args)
  return { process, end: () => ended<RunResult>(args, process) }
}

/** Moved, and every write of every device is there: the whole promise. */
export async function expectMoved(
  guest: Guest,
  workload: Workload,
  run: FerryRun<RunResult>,
): Promise<CheckReport> {
  expectExit(run, 0)
  expect(run.result.outcome).toBe('done')
  const report = await check(guest, workload, 'destination')
  expect(report).toMatchObject({ lostPages: 0, lost: [] })
  for (const part of workload.parts) {
    // The source gave its program away; a process that still had one could write with it.
    expect([part.name, await position(guest, part.from)]).toEqual([part.name, 0])
    expect([part.name, (await position(guest, part.to)) > 0]).toEqual([part.name, true])
  }
  return report
}

/** Not moved: the source's devices ran until they were closed, and their memory is what they wrote. */
export async function expectSourceWhole(guest: Guest, workload: Workload): Promise<CheckReport> {
  const report = await check(guest, workload, 'source')
  expect(report).toMatchObject({ lostPages: 0, lost: [] })
  for (const part of workload.parts) {
    // A close in any state but RUNNING clears the program, as a reset does.
    expect([part.name, (await position(guest, part.from)) > 0]).toEqual([part.name, true])
    expect([part.name, await position(guest, part.to)]).toEqual([part.name, 0])
  }
  return report
}
