// ferry as somebody who is no one: no root, no capability, no group.
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Guest } from './guest.js'

export const NOBODY = 65534
const repo = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..')
const place = '/run/ferry-lab/unprivileged'

/**
 * The words that run `ferry` so. The checkout and Node may lie where others cannot look (below /root, say), so both
 * are bound to a place they can. `limits` are words for prlimit, such as `--memlock=65536`.
 */
export async function unprivileged(guest: Guest, limits: readonly string[] = []): Promise<readonly string[]> {
  const node = process.execPath
  await guest.ok(
    [
      `[ -d ${place} ] && exit`,
      `mkdir -p ${place}/repo ${place}/state && touch ${place}/node`,
      `mount --bind ${quoted(repo)} ${place}/repo && mount --bind ${quoted(node)} ${place}/node`,
      `chown ${NOBODY}:${NOBODY} ${place}/state && chmod 700 ${place}/state`,
    ].join('\n'),
  )
  const identity = ['--reuid', String(NOBODY), '--regid', String(NOBODY), '--clear-groups']
  return [
    ...['env', `--chdir=${place}/repo`, `HOME=${place}/state`],
    ...(limits.length > 0 ? ['prlimit', ...limits] : []),
    ...['setpriv', ...identity, '--inh-caps=-all', '--bounding-set=-all'],
    ...[`${place}/node`, `${place}/repo/dist/src/cli/cli.js`],
  ]
}

/** Gives the user of `unprivileged` the group node of a device. */
export async function giveGroup(guest: Guest, sysfsPath: string): Promise<void> {
  await guest.ok(`chown ${NOBODY} "/dev/vfio/$(basename "$(readlink ${sysfsPath}/iommu_group)")"`)
}

const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`
