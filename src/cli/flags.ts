/** Arguments and flags that several commands have, and the kinds of value a flag may take. */
import { Args, Flags } from '@oclif/core'
import type { FerryError } from '../errors.js'

export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error'] as const
export type LogLevel = (typeof LOG_LEVELS)[number]

export const PROFILE_ARG = Args.string({ required: true, description: 'migration profile, - for stdin' })

const RUN = 'run id, a unique beginning of one, `last`, or the path of its journal'
export const RUN_ARG = Args.string({ required: true, description: RUN })
export const RUN_OR_LAST_ARG = Args.string({ default: 'last', description: RUN })
export const OPTIONAL_RUN_ARG = Args.string({ description: RUN })

const SET_SUMMARY = 'lay a value over the profile; repeatable'
/** `with`: the flag that names the profile, where no argument does. */
export const setFlag = (options: { readonly with?: string } = {}) =>
  Flags.string({
    multiple: true,
    multipleNonGreedy: true,
    helpValue: 'KEY.PATH=VALUE',
    summary: options.with === undefined ? SET_SUMMARY : `with --${options.with}: ${SET_SUMMARY}`,
  })

/** oclif writes into the message of what a flag's parser throws, so the error travels inside this one. */
export class BadValue extends Error {
  readonly problem: FerryError
  constructor(problem: FerryError) {
    super(problem.message, { cause: problem })
    this.problem = problem
  }
}

async function reading<T>(read: () => Promise<T>): Promise<T> {
  try {
    return await read()
  } catch (error) {
    const { FerryError } = await import('../errors.js')
    throw error instanceof FerryError ? new BadValue(error) : error
  }
}

/** A time such as 300ms or 10m, in whole milliseconds. */
export const timeFlag = Flags.custom<number>({
  parse: (text, _context, { name }) =>
    reading(async () => (await import('../run/overrides.js')).readMs(`--${name}`, text)),
})

/** A rate such as 25Gbit/s, in bytes per second. */
export const rateFlag = Flags.custom<bigint>({
  helpValue: 'RATE',
  parse: (text, _context, { name }) =>
    reading(async () => (await import('../run/overrides.js')).readRate(`--${name}`, text)),
})

/** A moment to come: 02:30, or a date and time; milliseconds since the epoch. */
export const momentFlag = Flags.custom<number>({
  helpValue: 'TIME',
  parse: (text) => reading(async () => (await import('../control/moment.js')).readMoment(text, Date.now())),
})
