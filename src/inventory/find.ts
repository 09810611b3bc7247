import { didYouMean } from '../did-you-mean.js'
import { FerryError } from '../errors.js'
import { EXIT } from '../exit-codes.js'
import type { Inventory } from './inventory.js'

/** The inventory cut down to one device; a FerryError (exit 1) with the nearest id when the host has no such device. */
export function onlyDevice(inventory: Inventory, id: string): Inventory {
  const devices = inventory.devices.filter((device) => device.id.toLowerCase() === id.toLowerCase())
  if (devices.length > 0) return { ...inventory, devices }
  const near = didYouMean(
    id,
    inventory.devices.map((device) => device.id),
  )
  throw new FerryError({
    code: 'devices/no-such-device',
    exit: EXIT.error,
    message: `${inventory.host.hostname} has no mdev and no PCI function ${id}`,
    device: id,
    suggestions: [
      near === undefined ? '`ferry devices --all` lists what there is' : `did you mean ${near}?`,
      'an mdev is named by its UUID, a PCI function as 0000:3b:00.2',
    ],
  })
}
