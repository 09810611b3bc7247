import type { HostSpec } from '../profile/profile.js'
import { HelperClient, type ClientOptions } from './client.js'
import { checkTrusted, findHelper, spawnHelper } from './spawn.js'
import { sshHelper } from './ssh.js'

export interface OpenOptions extends ClientOptions {
  /** --helper or $FERRY_HELPER: counts for this host only, and before the profile's. */
  readonly helper?: string | undefined
  readonly root?: string
  /** What the helper writes on its stderr, line by line. */
  readonly onStderr?: (line: string) => void
}

/** How long a helper may take to greet us, ssh's connecting included. */
const HELLO_TIMEOUT_MS = 20_000

/** Starts the helper of a host and greets it. Whatever goes wrong is a FerryError and leaves no process behind. */
export async function openHelper(host: HostSpec, options: OpenOptions): Promise<HelperClient> {
  const connection =
    host.host === 'local'
      ? spawnHelper(
          await trustedHelper(options.helper ?? host.helper ?? undefined, options.root),
          options.onStderr,
        )
      : sshHelper(host.host, host.helper ?? 'ferry-helper', options.onStderr)
  const client = new HelperClient(connection, options)
  try {
    await client.hello({ timeoutMs: HELLO_TIMEOUT_MS })
    return client
  } catch (error) {
    connection.kill('SIGTERM')
    await client.close()
    throw error
  }
}

async function trustedHelper(explicit: string | undefined, root: string | undefined): Promise<string> {
  const path = await findHelper({ explicit, ...(root !== undefined && { root }) })
  await checkTrusted(path)
  return path
}
