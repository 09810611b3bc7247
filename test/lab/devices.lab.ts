// `ferry devices` against what sysfs and debugfs say of the same devices, with and without root.
import { randomUUID } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { devices, expectExit, ferry, ferryEnv, found, type Json } from './ferry.js'
import type { Inventory } from '../../src/inventory/inventory.js'
import type { Guest } from './guest.js'
import {
  bindVfioPci,
  createMtty,
  findEdu,
  holdDevice,
  mdevPath,
  migrationState,
  pciPath,
  unbindVfioPci,
  vfioFacts,
} from './mtty.js'
import { PLAIN, shareGuest } from './shared-guest.js'
import { unprivileged } from './unprivileged.js'

const [small, large] = [randomUUID(), randomUUID()]
let guest: Guest
let edu: string

/** Every device VFIO could know of, by sysfs alone: mdevs, and functions whose driver is of the VFIO family. */
async function listedBySysfs(): Promise<readonly string[]> {
  const out = await guest.ok(
    'ls /sys/bus/mdev/devices; for d in /sys/bus/pci/devices/*; do [[ $(readlink $d/driver) == *vfio* ]] && basename $d; done; true',
  )
  return out.split('\n').filter(Boolean).sort()
}

shareGuest(PLAIN, async (shared) => {
  guest = shared
  await createMtty(guest, small, 'mtty-1')
  await createMtty(guest, large, 'mtty-2')
  edu = await findEdu(guest)
})

describe('ferry devices', () => {
  it('leaves a function without a VFIO driver to --all, and says what it lacks', async () => {
    const plain = await devices(guest)
    expect(plain.devices.map(({ id }) => id).sort()).toEqual([small, large].sort())
    const all = await devices(guest, ['--all'])
    const functions = (await guest.ok('ls /sys/bus/pci/devices')).split('\n').sort()
    expect(
      all.devices
        .filter(({ kind }) => kind === 'function')
        .map(({ id }) => id)
        .sort(),
    ).toEqual(functions)
    const card = all.find(edu)
    expect(card).toMatchObject({
      kind: 'function',
      driver: null,
      migratable: false,
      migration: null,
      cdev: null,
      vendor: await guest.ok(`cat ${pciPath(edu)}/vendor`),
      device: await guest.ok(`cat ${pciPath(edu)}/device`),
      probe: { done: false, skipped: 'not-bound' },
    })
    expect(card.reasons.map(({ code, layer }) => `${layer} ${code}`)).toEqual(['driver not-bound'])
  })

  it('shows mdevs and functions as sysfs and debugfs do', async () => {
    await bindVfioPci(guest, edu)
    const seen = await devices(guest)
    expect(seen.unseen).toEqual([])
    expect(seen.host).toMatchObject({
      hostname: await guest.ok('hostname'),
      kernel: await guest.ok('uname -r'),
      uid: 0,
      pageSize: Number(await guest.ok('getconf PAGE_SIZE')),
      type1: true,
      iommufd: true,
      iommuPresent: true,
      noiommuEnabled: false,
    })
    expect(seen.devices.map(({ id }) => id).sort()).toEqual(await listedBySysfs())

    for (const [uuid, type, bytes] of [
      [small, 'mtty-1', '60'],
      [large, 'mtty-2', '96'],
    ] as const) {
      const facts = await vfioFacts(guest, mdevPath(uuid))
      expect(facts.groupName).toBe('vfio-noiommu')
      expect(seen.find(uuid)).toMatchObject({
        kind: 'mdev',
        simulated: false,
        migratable: true,
        reasons: [],
        driver: facts.driver,
        mdevType: type,
        mdevParent: 'mtty',
        // Named vfio-noiommu by the kernel, and still no noiommu group.
        group: {
          id: String(facts.group),
          node: `/dev/vfio/${facts.group}`,
          type: facts.groupType,
          iommu: 'emulated',
          viable: true,
          members: [{ id: uuid, driver: facts.driver, blocksGroup: false }],
        },
        cdev: { name: facts.cdev, node: `/dev/vfio/devices/${facts.cdev}` },
        migration: {
          supported: true,
          flags: ['stop-copy', 'p2p', 'pre-copy'],
          state: await migrationState(guest, uuid),
          stateBytes: bytes,
        },
      })
      expect(trackers(seen, uuid)).toEqual({ pinned: true, device: true, iommu: false, all: true })
    }

    const facts = await vfioFacts(guest, pciPath(edu))
    const card = seen.find(edu)
    expect(card).toMatchObject({
      kind: 'function',
      migratable: false,
      driver: facts.driver,
      mdevType: null,
      group: {
        id: String(facts.group),
        type: facts.groupType,
        iommu: 'physical',
        viable: true,
        members: [{ id: edu, driver: 'vfio-pci', blocksGroup: false }],
      },
      cdev: { name: facts.cdev, node: `/dev/vfio/devices/${facts.cdev}` },
      migration: { supported: false, flags: [] },
      probe: { done: true },
    })
    expect(card.reasons.map(({ code, layer }) => `${layer} ${code}`)).toEqual(['migration generic-driver'])
    expect(trackers(seen, edu)).toEqual({ pinned: false, device: false, iommu: false, all: true })
    // What it says of migration, the kernel says by what it does not have.
    expect(await guest.ok(`test -e /sys/kernel/debug/vfio/${edu}/migration || echo none`)).toBe('none')
  })

  it('prints a row a device and every reason for people', async () => {
    const text = await guest.ok(['ferry', 'devices'], { env: ferryEnv() })
    const row = (id: string): string => text.split('\n').find((line) => line.includes(`${id} `)) ?? ''
    const [mdev, card] = [await vfioFacts(guest, mdevPath(large)), await vfioFacts(guest, pciPath(edu))]
    expect(row(large).split(/ {2,}/u)).toEqual([
      ...['yes', 'mdev', large, 'mtty', String(mdev.group), 'emulated', 'yes', 'type1,iommufd'],
      ...['stop-copy,p2p,pre-copy', 'pinned,device', '96 B'],
    ])
    expect(row(small)).toMatch(/ 60 B$/u)
    expect(
      row(edu)
        .split(/ {2,}/u)
        .map((cell) => cell.trim()),
    ).toEqual([
      ...['no', 'function', edu, 'vfio-pci', String(card.group), 'physical', 'yes', 'type1,iommufd'],
      ...['-', '-', '-'],
    ])
    expect(text).toContain('[generic-driver]')
  })

  it('asks a device in use through its user, and disturbs neither', async () => {
    for (const iommufd of [false, true]) {
      const holder = await holdDevice(guest, mdevPath(large), { iommufd })
      try {
        const device = (await devices(guest)).find(large)
        expect(device).toMatchObject({
          migratable: true,
          migration: { supported: true, state: 'RUNNING', stateBytes: '96' },
          probe: { done: true, heldBy: holder.pid, via: iommufd ? 'cdev' : 'group' },
        })
        expect(await guest.ok(`kill -0 ${String(holder.pid)} && echo alive`)).toBe('alive')
      } finally {
        await holder.release()
      }
    }
  })

  it('reads sysfs without root, and says what it could not see', async () => {
    const program = await unprivileged(guest)
    const run = await ferry<Json<Inventory>>(guest, ['devices'], {}, { program })
    expectExit(run, 0)
    const rooted = await devices(guest)
    expect(run.result.host.uid).toBe(65534)
    expect(run.result.devices.map(({ id }) => id)).toEqual(rooted.devices.map(({ id }) => id))
    for (const uuid of [small, large]) {
      const [here, there] = [found(run.result, uuid), rooted.find(uuid)]
      expect(here).toMatchObject({
        kind: there.kind,
        driver: there.driver,
        group: there.group,
        cdev: there.cdev,
        mdevType: there.mdevType,
        migratable: null,
        migration: null,
        probe: { done: false, skipped: 'no-permission' },
      })
      expect(here.reasons.map(({ code }) => code)).toEqual(['no-permission'])
    }
    // That plain vfio-pci migrates nothing needs no asking.
    expect(found(run.result, edu)).toMatchObject({ migratable: false, reasons: [{ code: 'generic-driver' }] })
    expect(run.result.unseen.join('\n')).toMatch(/not root/u)
    expect(run.result.unseen.join('\n')).toMatch(/\/dev\/iommu cannot be opened/u)
  })

  it('shows a function again as unbound after it was unbound', async () => {
    await unbindVfioPci(guest, edu)
    const seen = await devices(guest, ['--device', edu])
    expect(seen.devices).toHaveLength(1)
    expect(seen.find(edu)).toMatchObject({ driver: null, reasons: [{ code: 'not-bound' }] })
  })
})

it('leaves the kernel content', () => {
  expect(guest.kernelComplaints()).toEqual([])
})

function trackers(inventory: Json<Inventory>, id: string): Record<string, boolean | null> {
  return Object.fromEntries(found(inventory, id).trackers.map(({ available, kind }) => [kind, available]))
}
