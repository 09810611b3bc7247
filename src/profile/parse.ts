/** Text -> Profile: syntax, overrides, variables, shape, meaning; all findings of the first step that has any. */
import { FerryError } from '../errors.js'
import { EXIT } from '../exit-codes.js'
import { checkMeaning } from './checks/checks.js'
import { locate, readDocument, toValue } from './text/document.js'
import type { ProfileFinding } from './findings/finding.js'
import { interpolate, type Environment } from './text/interpolate.js'
import { issuesToFindings } from './schema/issues.js'
import { applyOverrides } from './text/override.js'
import type { Profile } from './profile.js'
import { renderFindings, toDiagnostic, type PlacedFinding } from './findings/render.js'
import { resolveProfile } from './resolve.js'
import { profileSchema } from './schema/schema.js'

export interface ParseOptions {
  /** Name shown in findings. */
  readonly file: string
  readonly env: Environment
  /** `key.path=value`, laid over the text in order. */
  readonly sets?: readonly string[]
}

/** Throws a FerryError with exit 2 that carries every finding, sorted by place. */
export function parseProfile(text: string, { file, env, sets = [] }: ParseOptions): Profile {
  const source = { file: file === '-' ? '<stdin>' : file, text }
  const { doc, findings } = readDocument(source)
  if (doc === undefined) throw profileError(file, findings.map(placed))
  const place = (finding: ProfileFinding): PlacedFinding => ({
    ...finding,
    span: finding.span ?? locate(doc, finding.path, finding.at),
  })
  // A duplicate key leaves a readable document; any other syntax error makes what follows guesswork.
  const broken = findings.some(({ code }) => code !== 'profile/duplicate-key')
  if (broken) throw profileError(file, findings.map(place))
  if (doc.document.contents === null) {
    const span = { source, start: 0, end: 1 }
    const empty: ProfileFinding = {
      code: 'profile/empty',
      path: [],
      span,
      found: 'there is nothing in this profile',
    }
    throw profileError(file, [placed(empty)])
  }

  const overridden = applyOverrides(doc, sets)
  const unset = interpolate(doc, env)
  const { value: raw, findings: conversion } = toValue(doc)
  const early = [...findings, ...overridden, ...unset, ...conversion]
  if (conversion.length > 0) throw profileError(file, early.map(place))

  const result = profileSchema.safeParse(raw)
  const shape = result.success ? [] : issuesToFindings(result.error.issues, raw)
  const all = [...early, ...shape, ...checkMeaning(raw)]
  if (all.length > 0 || !result.success) {
    throw profileError(file, withoutEchoes(all.map(place), unset.map(place)))
  }
  return resolveProfile(result.data, file)
}

/**
 * Only causes are worth telling: a value with a missing variable is wrong in other ways too, and a mapping with an
 * unknown key lacks the key that was meant.
 */
function withoutEchoes(all: readonly PlacedFinding[], unset: readonly PlacedFinding[]): PlacedFinding[] {
  const unsetCodes: readonly string[] = ['profile/unset-variable', 'profile/variable-syntax']
  const unknown = new Set(
    all
      .filter(({ code }) => code === 'profile/unknown-key')
      .map(({ path }) => JSON.stringify(path.slice(0, -1))),
  )
  return all.filter(({ span, code, path }) => {
    if (unsetCodes.includes(code)) return true
    if (code === 'profile/exactly-one' && unknown.has(JSON.stringify(path))) return false
    return !unset.some(
      (cause) =>
        cause.span.source === span.source && cause.span.start >= span.start && cause.span.end <= span.end,
    )
  })
}

function placed(finding: ProfileFinding): PlacedFinding {
  return { ...finding, span: finding.span ?? { source: { file: '', text: '' }, start: 0, end: 1 } }
}

/** One error for all findings, each once, in the order of the file and then of the `--set`s. */
export function profileError(file: string, findings: readonly PlacedFinding[]): FerryError {
  const once = new Map(
    findings.map((finding) => {
      const { span, code, found: message } = finding
      return [`${span.source.file}\0${span.source.text.length}\0${span.start}\0${code}\0${message}`, finding]
    }),
  )
  const sorted = [...once.values()].sort((a, b) => {
    const order = (a.span.source.order ?? 0) - (b.span.source.order ?? 0)
    return order === 0 ? a.span.start - b.span.start : order
  })
  return new FerryError({
    code: 'profile/invalid',
    exit: EXIT.usage,
    message: `${file === '-' ? 'the profile on stdin' : file} has ${sorted.length} problem${sorted.length === 1 ? '' : 's'}`,
    diagnostics: sorted.map(toDiagnostic),
    detail: renderFindings(sorted),
  })
}
