import type { InventoryParams, InventoryReply } from '../protocol/protocol.js'
import { buildInventory } from './eligibility.js'
import type { Inventory } from './inventory.js'

/** The one request collecting needs; src/link's helper client has it. */
export interface InventorySource {
  request(op: 'inventory', params: InventoryParams): Promise<InventoryReply>
}

/** Asks one helper what its host has and judges every device. Errors are the helper's own, unchanged. */
export async function collectInventory(
  helper: InventorySource,
  options: Partial<InventoryParams> = {},
): Promise<Inventory> {
  const reply = await helper.request('inventory', {
    all: options.all ?? true,
    probe: options.probe ?? true,
    ...(options.only !== undefined && { only: options.only }),
    sim: options.sim ?? [],
  })
  return buildInventory(reply)
}
