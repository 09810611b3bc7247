import type { ProfileCode } from '../../src/profile/findings/codes.js'
import { BAD_HOOKS } from './bad-hooks.js'
import { BAD_HOSTS } from './bad-hosts.js'
import { BAD_TEXT } from './bad-text.js'
import { BAD_VALUES } from './bad-values.js'
import { BAD_WORKLOADS } from './bad-workloads.js'

export interface BadInput {
  readonly what: string
  readonly text: string
  readonly env?: Record<string, string>
  readonly sets?: readonly string[]
  /** All findings: code and the text under the caret, in order. */
  readonly findings: readonly (readonly [ProfileCode, string])[]
}

export const BAD_INPUT: readonly BadInput[] = [
  ...BAD_TEXT,
  ...BAD_VALUES,
  ...BAD_HOSTS,
  ...BAD_HOOKS,
  ...BAD_WORKLOADS,
]
