import { Flags } from '@oclif/core'
import { BaseCommand } from '../src/cli/base-command.js'
import { EXIT } from '../src/exit-codes.js'
import type { Inventory } from '../src/inventory/inventory.js'

export default class Devices extends BaseCommand<typeof Devices> {
  static override summary = 'list the VFIO devices of a host, and what each can and cannot do'
  static override description = [
    [
      'For every VFIO device: kind, driver, IOMMU group (its kind, whether it is viable), cdev, migration flags,',
      'trackers and the size of its state now; and for each device that cannot migrate, every reason with its code and what would',
      'lift it.',
    ].join(' '),
    [
      'sysfs is read without root. Flags, trackers and state size are asked of the device itself, which takes root: a',
      'device not in use is opened for a moment (vfio-pci resets a function then; --no-probe leaves it alone), a',
      'device in use never. The output names what could not be read.',
    ].join(' '),
  ].join('\n\n')
  static override examples = [
    { description: 'what this host has', command: '<%= config.bin %> <%= command.id %>' },
    {
      description: 'PCI functions not bound to VFIO, too, with the driver they need',
      command: '<%= config.bin %> <%= command.id %> --all',
    },
    {
      description: 'everything known of one device',
      command: '<%= config.bin %> <%= command.id %> --device 0000:3b:00.2',
    },
    { description: 'of another host', command: '<%= config.bin %> <%= command.id %> --host root@node-b' },
    {
      description: 'for a script: ids of what can migrate',
      command:
        "<%= config.bin %> <%= command.id %> --json | jq -r '.result.devices[] | select(.migratable) | .id'",
    },
  ]
  static override exitCodes = [EXIT.done, EXIT.error, EXIT.usage, EXIT.sidesDisagree]
  static override flags = {
    all: Flags.boolean({ summary: 'PCI functions not bound to a VFIO driver, too' }),
    device: Flags.string({
      summary: 'only this device, with everything known of it',
      helpValue: 'BDF|UUID',
    }),
    host: Flags.string({
      summary: 'host to look at: "local", or what ssh takes',
      helpValue: '[USER@]HOST|ssh://…',
      default: 'local',
    }),
    probe: Flags.boolean({
      summary: 'open devices that are not in use to ask for flags, trackers and state size',
      default: true,
      allowNo: true,
    }),
  }

  async run(): Promise<Inventory> {
    const { openHelper } = await import('../src/link/open.js')
    const { collectInventory } = await import('../src/inventory/collect.js')
    const { all, device, host, probe } = this.flags
    const client = await openHelper(
      { host, helper: null, become: null, stateDir: null },
      {
        side: 'source',
        helper: this.flags.helper,
        root: this.config.root,
        onStderr: (line) => this.logger.info({ host }, line),
      },
    )
    let inventory: Inventory
    try {
      inventory = await collectInventory(client, { all: all || device !== undefined, probe })
    } finally {
      await client.close()
    }
    if (device !== undefined) {
      const { onlyDevice } = await import('../src/inventory/find.js')
      inventory = onlyDevice(inventory, device)
    }
    const { devicesText } = await import('../src/ui/devices-text.js')
    this.log(
      devicesText(inventory, {
        all,
        long: device !== undefined,
        ...(process.stdout.isTTY && { width: process.stdout.columns }),
      }),
    )
    return inventory
  }
}
