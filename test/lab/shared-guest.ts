// Guests that files of tests take in turn, so that a boot serves many of them. A file finds the guest as if it had just
// been booted. One whose tests failed, or whose kernel complained, is not passed on: the next file boots another.
import { afterAll, afterEach, beforeAll } from 'vitest'
import { bootDmaGuest, NEUTRAL, type DmaGuest } from './dma-devices.js'
import { applyPrograms, clearProgram, knob } from './dma.js'
import { Guest } from './guest.js'

export interface GuestKind<T> {
  readonly name: string
  boot(): Promise<T>
  guest(booted: T): Guest
  /** Undoes what a file of tests did; throws if it cannot. */
  reset(booted: T): Promise<void>
}

/** As long as the tests of every file that shares it may take. */
const wallClockMs = 90 * 60_000

/** No program and no file of an earlier test: their memory, what Ferry wrote down, what it claimed. */
async function clean(guest: Guest): Promise<void> {
  await guest.ok(
    [
      'shopt -s nullglob dotglob',
      // Nothing that passed leaves one running; one that hangs would be found in the next file.
      '! pgrep -x ferry-helper >&2',
      'rm -rf /dev/shm/* /dev/hugepages/* /run/ferry "$HOME"/* /run/ferry-lab/unprivileged/state/*',
    ].join('\n'),
    { timeoutMs: 30_000 },
  )
}

/** Two edu functions without a driver, no mdev. */
export const PLAIN: GuestKind<Guest> = {
  name: 'plain',
  boot: () => Guest.boot({ devices: ['edu'], wallClockMs }),
  guest: (guest) => guest,
  async reset(guest) {
    await clean(guest)
    await guest.ok(
      [
        'shopt -s nullglob',
        'for mdev in /sys/bus/mdev/devices/*; do echo 1 > $mdev/remove || exit; done',
        'for bound in /sys/bus/pci/drivers/vfio-pci/0000:*; do',
        '  path=$(readlink -f $bound); echo ${path##*/} > $bound/driver/unbind; echo > $path/driver_override',
        'done',
      ].join('\n'),
      { timeoutMs: 30_000 },
    )
  },
}

/** Four pairs of each DMA device, without programs and faults. */
export const DMA: GuestKind<DmaGuest> = {
  name: 'dma',
  boot: () => bootDmaGuest(4, { wallClockMs }),
  guest: ({ guest }) => guest,
  async reset({ devices, guest }) {
    await clean(guest)
    const all = Object.values(devices).flat()
    await guest.ok(
      all
        .flatMap((device) =>
          Object.entries(NEUTRAL).map(
            ([file, value]) => `echo ${String(value)} > ${knob(device, file)} || exit`,
          ),
        )
        .join('\n'),
    )
    await applyPrograms(
      guest,
      all.map((device) => clearProgram(device)),
    )
  },
}

/** Of this worker, which runs one file after the other. */
let held: { readonly name: string; readonly booted: unknown; readonly guest: Guest } | undefined

// The last guest has no next file to shut it down. vitest ends its workers by SIGTERM.
process.once('SIGTERM', () => process.exit(143))
process.once('exit', () => held?.guest.abandon())

async function take<T>(kind: GuestKind<T>): Promise<T> {
  if (held?.name === kind.name) {
    const booted = held.booted as T
    try {
      await kind.reset(booted)
      return booted
    } catch (error) {
      process.stderr.write(`lab: the guest cannot be used again: ${(error as Error).message}\n`)
    }
  }
  await drop()
  const booted = await kind.boot()
  held = { name: kind.name, booted, guest: kind.guest(booted) }
  return booted
}

async function drop(): Promise<void> {
  const guest = held?.guest
  held = undefined
  await guest?.shutdown()
}

/**
 * At the top of a file: its guest, before its tests. What else they need beforehand belongs into `prepare`, so that a
 * guest in which that failed is not used again.
 */
export function shareGuest<T>(kind: GuestKind<T>, prepare: (booted: T) => void | Promise<void>): void {
  let usable = false
  beforeAll(async () => {
    await prepare(await take(kind))
    usable = true
  })
  afterEach(({ task }) => {
    if (task.result?.state === 'fail') usable = false
  })
  afterAll(async () => {
    if (!usable || (held?.guest.kernelComplaints().length ?? 0) > 0) await drop()
  })
}
