/** The commands as the manifest has them, read from their sources. */
import { readdirSync } from 'node:fs'
import { BaseCommand } from '../../src/cli/base-command.js'
import type { Manifest, ManifestCommand } from '../../src/cli/manifest.js'

interface CommandClass {
  readonly summary?: string
  readonly description?: string
  readonly args?: Readonly<Record<string, object>>
  readonly flags?: Readonly<Record<string, object>>
  readonly examples?: ManifestCommand['examples']
}

export async function surface(): Promise<Manifest> {
  const names = readdirSync('commands').map((file) => file.replace('.ts', ''))
  const commands = await Promise.all(
    names.sort().map(async (id) => {
      const { default: command } = (await import(`../../commands/${id}.ts`)) as { default: CommandClass }
      const { args, description, examples, flags, summary } = command
      const found = {
        id,
        ...(summary !== undefined && { summary }),
        ...(description !== undefined && { description }),
        ...(examples !== undefined && { examples }),
        args: named(args ?? {}),
        flags: named({ ...BaseCommand.baseFlags, ...flags }),
      }
      return [id, found as unknown as ManifestCommand] as const
    }),
  )
  return { commands: Object.fromEntries(commands) }
}

function named(parts: Readonly<Record<string, object>>): Record<string, object> {
  return Object.fromEntries(Object.entries(parts).map(([name, part]) => [name, { ...part, name }]))
}
