import type { Finding } from '../../finding.js'
import type { ProfileCode } from './codes.js'
import type { Span } from './source-text.js'

/** Keys and indexes from the root of the profile. */
export type Path = readonly (string | number)[]

/** Something wrong with a profile: a place, a stable code, what is wrong there, what would be right. */
export interface ProfileFinding extends Finding {
  readonly code: ProfileCode
  /** Where, by key; `span` overrules it where there is no key to point at. */
  readonly path: Path
  readonly at?: 'key' | 'value'
  readonly span?: Span
  /** Stands beside the caret. */
  readonly label?: string
  readonly remedy?: string
}

/** "devices[0].source.mdev", or "the profile" for the root. */
export function pathText(path: Path): string {
  if (path.length === 0) return 'the profile'
  return path
    .map((step, index) => (typeof step === 'number' ? `[${step}]` : index === 0 ? step : `.${step}`))
    .join('')
}
