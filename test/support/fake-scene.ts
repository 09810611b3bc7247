/** `ferry` as a process, with fake helpers on both sides. */
import { mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fakeHelper, type FakeAction } from './fake-helper.js'
import { temporaryFolder } from './temporary-folder.js'
import { startFerry, type Ferry, type FerryOptions } from './ferry.js'
import { QUICKSTART } from './paths.js'

export type Replies = Readonly<Record<string, readonly FakeAction[]>>
export interface Scene {
  readonly stateDir: string
  /** Requests of both helpers, in order: `source claim`. */
  requests(): readonly string[]
  /** Starts `ferry COMMAND quickstart.yaml …` with the scene's helpers. */
  start(command: string, ...flags: string[]): Ferry
  /** The same with a profile on stdin; `argv` holds the `-`. */
  startFrom(profile: string, command: string, ...argv: string[]): Ferry
  /** `start` with other variables in its environment. */
  startIn(env: Readonly<Record<string, string>>, command: string): Ferry
  /** The process that carries out a run in the background. */
  pidOf(run: string): number
  /** The run's socket, as long as its runtime folder is there. */
  socketOf(run: string): string
  /** Starts `ferry` with the scene's state folder and nothing else. */
  ferry(...argv: string[]): Ferry
  runs(): readonly string[]
}

type LaunchOptions = Pick<FerryOptions, 'env' | 'inputFile'>
function launch(stateDir: string, argv: readonly string[], { env, ...options }: LaunchOptions = {}): Ferry {
  return startFerry(argv, {
    ...options,
    env: {
      FERRY_STATE_DIR: stateDir,
      FERRY_HELPER: undefined,
      // The sockets of runs.
      XDG_RUNTIME_DIR: stateDir,
      LC_ALL: 'C.UTF-8',
      NO_COLOR: '1',
      ...env,
    },
  })
}

export interface Script {
  readonly source?: Replies
  readonly destination?: Replies
  /** Microseconds of blackout the source expects after each round of a held pre-copy. */
  readonly forecasts?: readonly number[]
}

export function scene({ forecasts, ...replies }: Script = {}): Scene {
  const folder = temporaryFolder()
  const link = join(folder, 'link')
  const log = join(folder, 'log')
  const stateDir = join(folder, 'state')
  mkdirSync(link)
  const helpers = (['source', 'destination'] as const).map((side) => [
    `--set`,
    `${side}.helper=${fakeHelper(folder, side, {
      log,
      link,
      replies: replies[side] ?? {},
      ...(forecasts !== undefined && { forecasts }),
    })}`,
  ])
  const ferry = (...argv: string[]): Ferry => launch(stateDir, argv)
  return {
    stateDir,
    requests: () => readFileSync(log, 'utf8').trim().split('\n'),
    start: (command, ...flags) => ferry(command, QUICKSTART, ...flags, ...helpers.flat()),
    startFrom: (profile, command, ...argv) =>
      launch(stateDir, [command, ...argv, ...helpers.flat()], { inputFile: profile }),
    startIn: (env, command) => launch(stateDir, [command, QUICKSTART, ...helpers.flat()], { env }),
    socketOf: (run) => join(stateDir, 'ferry', 'runs', `${run}.sock`),
    pidOf: (run) => {
      const found = readdirSync('/proc').find((pid) => {
        if (!/^\d+$/u.test(pid)) return false
        try {
          return readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0').includes(`FERRY_DETACHED=${run}`)
        } catch {
          return false
        }
      })
      if (found === undefined) throw new Error(`no one carries out run ${run}`)
      return Number(found)
    },
    ferry,
    runs: () => readdirSync(join(stateDir, 'runs')),
  }
}

/** A process, as far as one listens to it. */
interface Speaking extends PromiseLike<unknown> {
  readonly stderr: { on(event: 'data', listener: (chunk: Buffer) => void): unknown }
}

/** Resolves when the process has written a line that matches on stderr. */
export function said(running: Speaking, pattern: RegExp): Promise<void> {
  return new Promise((resolve, reject) => {
    let text = ''
    running.stderr.on('data', (chunk: Buffer) => {
      text += chunk.toString()
      if (pattern.test(text)) resolve()
    })
    void running.then(() => reject(new Error(`ferry ended without saying ${String(pattern)}:\n${text}`)))
  })
}
