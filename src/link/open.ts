import { FerryError } from '../errors.js'
import { EXIT } from '../exit-codes.js'
import type { HostSpec } from '../profile/profile.js'
import { HelperClient, type ClientOptions } from './client.js'
import { hostOf, type Host } from '../host/host.js'
import { installHelper } from './install.js'
import type { HelloReply } from '../protocol/protocol.js'
import { explainHelper } from '../host/ssh.js'
import { checkTrusted, findHelper } from './find-helper.js'

export interface OpenOptions extends ClientOptions {
  /** --helper or $FERRY_HELPER: run on this host before the profile's, copied to others in place of ferry's own. */
  readonly helper?: string | undefined
  readonly root?: string
  /** What the helper writes on its stderr, line by line. */
  readonly onStderr?: (line: string) => void
  /** Socket of a helper that runs already, on that host, instead of a new one. `holder/none` when no helper answers there. */
  readonly attach?: string
  /** On another host: a dead link is noticed within this time, in milliseconds, by both ends. */
  readonly keepaliveMs?: number
}

/** How long a helper may take to greet us once its host was reached. */
const HELLO_TIMEOUT_MS = 60_000

/**
 * Starts the helper of a host, or reaches one that runs, and greets it. Whatever goes wrong is a FerryError and leaves
 * no process behind.
 */
export async function openHelper(spec: HostSpec, options: OpenOptions): Promise<HelperClient> {
  try {
    return await open(spec, options)
  } catch (error) {
    // Those who reach a host do not know which side it is.
    throw error instanceof FerryError && error.side === undefined ? error.with({ side: options.side }) : error
  }
}

async function open(spec: HostSpec, options: OpenOptions): Promise<HelperClient> {
  const { attach, keepaliveMs, onStderr } = options
  const host = hostOf(spec, keepaliveMs === undefined ? {} : { keepaliveMs })
  const { build, path } = await helperOn(host, spec, options)
  const target = { host: host.label, helper: path, attach, become: spec.become }
  const connection = await host.start(
    [path, ...(attach === undefined ? ['--serve'] : ['--attach', attach])],
    {
      label: host.local ? 'ferry-helper on this host' : `ferry-helper on ${host.label} (ssh)`,
      become: spec.become,
      onStderr,
      explain: (status, stderr) => explainHelper(target, status, stderr),
    },
  )
  const client = new HelperClient(connection, options)
  try {
    const alive = host.local ? undefined : keepaliveMs
    const reply = await client.hello({
      timeoutMs: HELLO_TIMEOUT_MS,
      ...(alive !== undefined && { keepaliveMs: alive }),
    })
    // A helper that has stayed may be of an older build: what it speaks was checked.
    if (build !== null && attach === undefined && reply.build !== build)
      throw otherBuildError(client.label, build, reply.build)
    return client
  } catch (error) {
    connection.kill('SIGTERM')
    await client.close()
    throw error
  }
}

/** The program to run there, and its hash where we know what it must be. */
async function helperOn(
  host: Host,
  spec: HostSpec,
  { helper, root }: OpenOptions,
): Promise<{ readonly path: string; readonly build: string | null }> {
  const lookUp = (explicit: string | null | undefined) => ({
    explicit: explicit ?? undefined,
    ...(root !== undefined && { root }),
  })
  if (host.local) {
    const path = await findHelper(lookUp(helper ?? spec.helper))
    await checkTrusted(path)
    return { path, build: null }
  }
  if (spec.helper !== null) return { path: spec.helper, build: null }
  return installHelper(host, lookUp(helper))
}

function otherBuildError(label: string, expected: string, found: string): FerryError {
  return new FerryError({
    code: 'helper/build',
    exit: EXIT.sidesDisagree,
    message: `${label} says it is build ${found === '' ? '(unknown)' : found}, but ${expected} was copied there`,
    suggestions: [
      'another process writes to the cache folder of that user; look there, or name a helper with `helper:`',
    ],
  })
}

/**
 * The folder of records, sockets and holders on a side's host: the profile's, else --state-dir on this host, else the
 * helper's own choice there.
 */
export function stateDirOf(
  client: { readonly helloReply: Pick<HelloReply, 'stateDir'> },
  spec: Pick<HostSpec, 'host' | 'stateDir'>,
  own: string,
): string {
  return spec.stateDir ?? (spec.host === 'local' ? own : ownStateDir(client, spec.host))
}

/** The helper's choice; a user without a home has none, which is no matter where the profile names a folder. */
export function ownStateDir(
  client: { readonly helloReply: Pick<HelloReply, 'stateDir'> },
  host: string,
): string {
  const { stateDir } = client.helloReply
  if (stateDir !== '') return stateDir
  throw new FerryError({
    code: 'helper/no-home',
    exit: EXIT.error,
    message: `the user who logs in at ${host} has neither HOME nor XDG_STATE_HOME`,
    suggestions: ['set HOME for that user, or name a folder with `stateDir:`'],
  })
}
