/** What operators, scripts and hooks did to a run: a line each, and as a part of the report. */
import type { Interventions } from '../report/interventions.js'
import type { Event } from '../journal/event.js'
import { momentText } from './status-text.js'
import { table } from './table.js'
import { duration } from '../units.js'

type SteeringEvent = Extract<Event, { type: 'hold' | 'cutover-asked' | 'hook' | 'set' | 'recover-start' }>

export function steeringLine(body: SteeringEvent): string {
  switch (body.type) {
    case 'hold': {
      if (body.state === 'released') return `hold ${body.point}: continued`
      if (body.state === 'timed-out') return `hold ${body.point}: timed out`
      const until = body.untilMs === undefined ? '' : `, times out at ${momentText(body.untilMs)}`
      return `HELD ${body.point}${until}: \`ferry cutover\` continues it`
    }
    case 'cutover-asked':
      return `cutover ${askedText(body)}`
    case 'hook': {
      const where = `hook ${body.hook} at ${body.at} on ${body.on}`
      if (body.error === undefined) return `${where}: ok after ${duration(body.elapsedUs)}`
      return `${where}: failed after ${duration(body.elapsedUs)}: [${body.error.code}] ${body.error.message}`
    }
    case 'set':
      return `set ${body.key} to ${body.value}`
    case 'recover-start':
      return body.goesOn === true ? 'taken up by `ferry recover`: it goes on' : 'continued by `ferry recover`'
  }
}

function askedText(
  asked: Pick<Interventions['cutovers'][number], 'state' | 'atMs' | 'forecastUs' | 'limitUs'>,
): string {
  const at = asked.atMs === undefined ? '' : ` for ${momentText(asked.atMs)}`
  const forecast =
    asked.forecastUs === undefined || asked.limitUs === undefined
      ? ''
      : `: blackout about ${duration(asked.forecastUs)}, limit ${duration(asked.limitUs)}`
  return {
    scheduled: `scheduled${at}`,
    waiting: `asked for, waiting until the forecast fits${forecast}`,
    accepted: `asked for${at}: continued${forecast}`,
    refused: `asked for${at}: refused${forecast}`,
    missed: `asked for${at}: missed, because no ferry drove the run then`,
  }[asked.state]
}

/** Null for a run that went by itself. */
export function interventionsText(
  { cutovers, holds, hooks, sets }: Interventions,
  options: { readonly width?: number },
): string | null {
  const lines = [
    ...holds.map(({ atUs, heldUs, point, state }) => ({
      atUs,
      text: `held ${point} for ${duration(heldUs)}: ${
        { released: 'continued', 'timed-out': 'timed out', ended: 'the run ended' }[state]
      }`,
    })),
    ...cutovers.map((asked) => ({ atUs: asked.atUs, text: `cutover ${askedText(asked)}` })),
    ...sets.map(({ atUs, key, value }) => ({ atUs, text: `set ${key} to ${value}` })),
  ].toSorted((a, b) => a.atUs - b.atUs)
  const parts: string[] = []
  if (lines.length > 0) {
    const columns = [{ title: 'AFTER', align: 'right' }, { title: 'CHANGE DURING THE RUN' }] as const
    parts.push(
      table(
        columns,
        lines.map(({ atUs, text }) => [duration(atUs), text]),
        options,
      ),
    )
  }
  if (hooks.length > 0) parts.push(hooksText(hooks, options))
  return parts.length === 0 ? null : parts.join('\n\n')
}

function hooksText(hooks: Interventions['hooks'], options: { readonly width?: number }): string {
  const columns = [
    { title: 'HOOK' },
    { title: 'AT' },
    { title: 'ON' },
    { title: 'TIME', align: 'right' },
    { title: 'RESULT' },
  ] as const
  const rows = hooks.map(({ at, elapsedUs, error, hook, inBlackout, on }) => [
    hook,
    `${at}${inBlackout ? ' (blackout)' : ''}`,
    on,
    duration(elapsedUs),
    error === null ? 'ok' : `[${error.code}] ${error.message}`,
  ])
  return table(columns, rows, options)
}
