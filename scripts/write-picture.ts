/** Draws docs/live-view.svg: frames of the live view, replayed from the journal of a real run (docs/live-view.ndjson). */
import { fileURLToPath } from 'node:url'
import { readJournal } from '../src/journal/read.js'
import type { EventRecord } from '../src/journal/event.js'
import { liveLines } from '../src/ui/live.js'
import { advance, EMPTY_VIEW } from '../src/ui/view-state.js'

const JOURNAL = fileURLToPath(new URL('../docs/live-view.ndjson', import.meta.url))
const LOOK = { width: 84, utf8: true, colour: false }
const LINE = 18
const CHARACTER = 8.2
const MARGIN = 16
const INK = '#d7dce2'
const COLOURS: Readonly<Record<string, string>> = { '✘': '#ff7b72', '✔': '#56d364', HELD: '#e3b341' }

/** The moments shown: the hold, after its last whole round but one, and the hashing in the blackout. */
function moments(records: readonly EventRecord[]): readonly EventRecord[] {
  const held = records.filter(({ body }) => body.type === 'helper' && body.event.event === 'round-end').at(-2)
  const steps = records.filter(({ body }) => body.type === 'helper' && body.event.event === 'cutover')
  const verify = steps.find(
    ({ body }) => body.type === 'helper' && body.event.event === 'cutover' && body.event.step === 'verify',
  )
  return [held, verify].filter((record) => record !== undefined)
}

function frameAt(records: readonly EventRecord[], moment: EventRecord): readonly string[] {
  const before = records.slice(0, records.indexOf(moment) + 1)
  return liveLines(before.reduce(advance, EMPTY_VIEW), moment.atUs, LOOK)
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}

/** Node colours for a terminal only, so the marks that the live view colours are coloured here. */
function spans(line: string): string {
  return escaped(line).replaceAll(
    /[✔✘]|\bHELD\b/gu,
    (mark) => `<tspan fill="${COLOURS[mark] ?? INK}">${mark}</tspan>`,
  )
}

export function picture(): string {
  const { records } = readJournal(JOURNAL)
  const frames = moments(records).map((moment) => frameAt(records, moment))
  const lines = frames.flatMap((frame, index) => (index === 0 ? frame : ['', ...frame]))
  const width = Math.ceil(LOOK.width * CHARACTER + 2 * MARGIN)
  const height = lines.length * LINE + 2 * MARGIN
  const rows = lines.map((line, index) => {
    const y = MARGIN + index * LINE + 13
    return `    <text x="${MARGIN}" y="${y}">${spans(line)}</text>`
  })
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img">`,
    '  <title>The live view of a run: held before its cutover, and in its blackout</title>',
    `  <rect width="${width}" height="${height}" rx="8" fill="#161b22"/>`,
    `  <g fill="${INK}" font-family="ui-monospace, Menlo, Consolas, monospace" font-size="13.5" xml:space="preserve">`,
    ...rows,
    '  </g>',
    '</svg>',
    '',
  ].join('\n')
}
