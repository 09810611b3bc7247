/** Path -> Profile. */
import { open } from 'node:fs/promises'
import type { ProfileCode } from './findings/codes.js'
import { FerryError, fromSystemError } from '../errors.js'
import { EXIT } from '../exit-codes.js'
import type { Environment } from './text/interpolate.js'
import { parseProfile } from './parse.js'
import type { Profile } from './profile.js'

/** A profile is a page or two; more is a mistake (a disk image, a log) and is refused before it is parsed. */
export const MAX_PROFILE_BYTES = 1024 * 1024

export interface LoadOptions {
  /** Variables for `${VAR}`; process.env unless given. */
  readonly env?: Environment
  /** `key.path=value`, laid over the file. */
  readonly sets?: readonly string[]
}

/** Reads and checks a profile; `-` is stdin. Throws a FerryError with exit 2 that carries every finding. */
export async function loadProfile(path: string, options: LoadOptions = {}): Promise<Profile> {
  const text = decode(path, await readLimited(path))
  return parseProfile(text, { file: path, env: options.env ?? process.env, sets: options.sets ?? [] })
}

/** At most one byte over the limit, so that no file, pipe or device can fill the memory. */
async function readLimited(path: string): Promise<Buffer> {
  const chunks: Buffer[] = []
  let bytes = 0
  try {
    for await (const chunk of path === '-' ? process.stdin : await openStream(path)) {
      chunks.push(chunk as Buffer)
      bytes += (chunk as Buffer).length
      if (bytes > MAX_PROFILE_BYTES) {
        throw unreadableProfileError(
          'profile/too-large',
          `${shownPath(path)} is larger than 1 MiB`,
          'a profile is a page or two of YAML; is this the right file?',
        )
      }
    }
  } catch (error) {
    if (error instanceof FerryError) throw error
    throw fromSystemError(error, {
      code: 'profile/unreadable',
      exit: EXIT.usage,
      message: `${shownPath(path)} cannot be read: ${(error as Error).message}`,
      suggestions: ['give the path of a profile you may read, or - for stdin'],
    })
  }
  return Buffer.concat(chunks)
}

async function openStream(path: string): Promise<AsyncIterable<unknown>> {
  return (await open(path, 'r')).createReadStream()
}

function decode(path: string, bytes: Buffer): string {
  try {
    // ignoreBOM keeps the mark, so that offsets in the text are those of the file.
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    throw unreadableProfileError(
      'profile/encoding',
      `${shownPath(path)} is not UTF-8 text`,
      'save it as UTF-8',
    )
  }
}

function unreadableProfileError(code: ProfileCode, message: string, suggestion: string): FerryError {
  return new FerryError({ code, exit: EXIT.usage, message, suggestions: [suggestion] })
}

function shownPath(path: string): string {
  return path === '-' ? 'the profile on stdin' : path
}
