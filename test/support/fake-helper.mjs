#!/usr/bin/env node
/**
 * A test double of ferry-helper that speaks the control protocol on stdio and does what a script says: for the
 * error paths of the protocol, which a sound helper never takes. It moves nothing.
 *
 *   fake-helper.mjs --serve [--script FILE]
 *
 * FILE is JSON, all of it optional:
 *   log       file to which every request is appended, a line `side op` each
 *   requests  file to which every request is appended whole, as a line of JSON
 *   link      folder shared by the two sides of a run: the source leaves `committed` there, the destination's
 *             `receive` waits for it (or for a `rollback` on its own side)
 *   replies   {op: [action, …]}: what to do for the 1st, 2nd, … request of op; the last one repeats. Actions:
 *             {ok} or {error}         reply so, instead of the default reply
 *             {raw: "text"}           write this in place of a reply, with a newline
 *             {rawBytes: n}           write a line of n bytes in place of a reply
 *             {exit: n}               say last words on stderr, then exit
 *             {hold: true}            reply only once a `cancel` comes, with an error run/cancelled
 *             {silent: true}          never reply
 *             {delayMs}, {events: []} before any of them
 *   forecasts the blackout expected after each round of a held pre-copy, in microseconds; the last one repeats
 */
import { appendFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'

if (process.argv.includes('--version')) {
  process.stdout.write('ferry-helper 0.1.0 (protocol 3, fake)\n')
  process.exit(0)
}
const at = process.argv.indexOf('--script')
const script = at === -1 ? {} : JSON.parse(readFileSync(process.argv[at + 1], 'utf8'))
const counts = new Map()
const held = []
const devices = new Map()
let role = null
let phase = 'idle'
let session = { run: null, epoch: null }
let rolledBack = () => undefined
const discarded = new Promise((resolve) => {
  rolledBack = resolve
})

const write = (message) => process.stdout.write(`${JSON.stringify(message)}\n`)
const event = (body) => write(body)
const states = () => [...devices].map(([device, state]) => ({ device, state }))
const move = (to) => {
  for (const [device, from] of devices) {
    if (from === to) continue
    devices.set(device, to)
    event({ event: 'device-state', device, from, to, elapsedUs: 100, atUs: 1 })
  }
}

let workload = null
let proceed = () => undefined
let goOn = () => undefined
const FORECAST = {
  ...{ lowUs: 900, expectedUs: 1000, highUs: 1200 },
  parts: {
    ...{ fixedUs: 200, pagesUs: 300, stateUs: 300 },
    ...{ loadUs: 150, verifyUs: 0, roundTripUs: 50, hooksUs: 0 },
  },
}
const MEMORY = 64 * 1024 * 1024
const defaults = {
  hello: () => ({
    protocol: 3,
    version: '0.1.0',
    build: 'ef'.repeat(32),
    pid: process.pid,
    uid: 0,
    kernel: '6.12.0',
    clockUs: String(Date.now() * 1000),
    stateDir: '/var/lib/ferry',
    pageSize: 4096,
    memlockBytes: String(2 * MEMORY),
    memoryAvailableBytes: String(64 * MEMORY),
    fingerprint: 'ab'.repeat(32),
  }),
  inventory: ({ sim }) => ({
    host: {
      hostname: 'fake',
      kernel: '6.12.0',
      uid: 0,
      pageSize: 4096,
      memlockBytes: String(2 * MEMORY),
      memoryAvailableBytes: String(64 * MEMORY),
      type1: false,
      iommufd: false,
      iommuPresent: false,
      noiommuEnabled: false,
    },
    devices: sim.map(({ name, spec }) => ({
      id: name,
      kind: spec.model,
      simulated: true,
      sysfsPath: null,
      physicalFunction: null,
      virtualFunctions: 0,
      vendor: null,
      device: null,
      class: null,
      mdevType: null,
      mdevParent: null,
      driver: null,
      group: null,
      cdev: null,
      migration: { supported: true, flags: spec.flags, state: 'RUNNING', stateBytes: spec.stateBytes },
      trackers: spec.trackers.map((kind) => ({ kind, available: true })),
      probe: { done: true, via: 'sim' },
    })),
    unseen: [],
  }),
  claim: (params) => {
    role = params.role
    phase = 'claimed'
    return { held: false }
  },
  memory: () => ({ bytes: String(MEMORY), elapsedUs: 1000 }),
  container: () => ({}),
  device: ({ device, target }) => {
    devices.set(device, role === 'source' ? 'RUNNING' : 'RESUMING')
    phase = 'set-up'
    const spec = target.kind === 'sim' ? target.spec : { flags: ['stop-copy'], stateBytes: null }
    return { state: devices.get(device), flags: spec.flags, stateBytes: spec.stateBytes }
  },
  map: () => ({
    bytes: String(MEMORY),
    pages: MEMORY / 4096,
    maps: 1,
    elapsedUs: 2000,
    lockedBytes: String(MEMORY),
  }),
  unmap: () => ({}),
  track: ({ trackers }) => {
    phase = 'tracking'
    defaults.trackers = trackers.map(({ tracker }) => tracker)
    return {
      trackers: defaults.trackers.map((tracker) => ({ tracker, pageSize: 4096 })),
      bitmapBytes: '2048',
    }
  },
  dirty: () => ({
    elapsedUs: 50,
    trackers: (defaults.trackers ?? []).map((tracker) => ({ tracker, pages: 100, elapsedUs: 40 })),
    unionPages: 100,
    unionBytes: '409600',
  }),
  untrack: () => ({}),
  listen: ({ address }) => ({ address, port: 40123 }),
  connect: () => ({ roundTripUs: 80 }),
  receive: async () => {
    const committed = join(script.link ?? '/nonexistent', 'committed')
    for (;;) {
      if (existsSync(committed)) {
        move('RUNNING')
        phase = 'running'
        return { outcome: 'running', pages: MEMORY / 4096, bytes: String(MEMORY) }
      }
      if ((await Promise.race([discarded, sleep(5)])) === 'discarded') {
        return { outcome: 'discarded', reason: 'asked to', pages: 0, bytes: '0' }
      }
    }
  },
  precopy: async ({ downtimeLimitMs, hold }) => {
    phase = 'pre-copy'
    move('PRE_COPY')
    event({ event: 'round-start', round: 1, pages: MEMORY / 4096, bytes: String(MEMORY), trackers: [] })
    event({
      event: 'progress',
      round: 1,
      sentBytes: '1048576',
      roundBytes: String(MEMORY),
      bytesPerSecond: '1000',
    })
    event({
      event: 'round-end',
      round: 1,
      sentBytes: String(MEMORY),
      zeroPages: 0,
      elapsedUs: 30000,
      dirtyPages: 100,
      dirtyBytes: '409600',
      bytesPerSecond: '2236962133',
      estimatedBlackoutUs: 1000,
      forecast: FORECAST,
    })
    if (hold !== undefined && (await heldRounds()) === 'cancelled') {
      throw { code: 'run/cancelled', message: 'precopy was cancelled' }
    }
    return {
      reason: hold === undefined ? 'converged' : 'released',
      rounds: 1,
      bytes: String(MEMORY),
      remainingBytes: '409600',
      bytesPerSecond: '2236962133',
      estimatedBlackoutUs: Math.min(1000, downtimeLimitMs * 1000),
      forecast: FORECAST,
    }
  },
  cutover: async ({ pauses = [], verify }) => {
    for (const at of pauses) {
      event({ event: 'paused', at })
      const { abort } = await new Promise((resolve) => (goOn = resolve))
      if (abort !== undefined) {
        move('RUNNING')
        return { ...rolledBackReply(), cause: { code: 'hook/failed', message: abort.message } }
      }
    }
    move('STOP_COPY')
    phase = 'committed'
    if (script.link) writeFileSync(join(script.link, 'committed'), '')
    return {
      outcome: 'running',
      blackout: {
        quiesceUs: 100,
        lastPagesUs: 200,
        stateUs: 300,
        loadUs: 150,
        verifyUs: verify ? 5000 : 0,
        resumeUs: 50,
        totalUs: verify ? 5800 : 800,
      },
      lastPages: 100,
      lastBytes: '409600',
      devices: states().map(({ device, state }) => ({
        device,
        state,
        stateBytes: '65536',
        stateHash: 'cd'.repeat(32),
      })),
      verified: verify ? { pages: MEMORY / 4096, mismatches: [] } : null,
    }
  },
  rollback: () => {
    if (role === 'source') move('RUNNING')
    phase = role === 'source' ? 'rolled-back' : 'discarded'
    rolledBack('discarded')
    return { devices: states(), needsPerson: [] }
  },
  check: () => ({ pages: MEMORY / 4096, writes: '12345', lostPages: 0, lost: [] }),
  release: () => ({}),
  ping: () => ({}),
  route: () => ({ from: '127.0.0.1' }),
  tune: () => ({}),
  proceed: () => {
    proceed()
    return {}
  },
  continue: (params) => {
    goOn(params)
    return {}
  },
  stay: (params) => {
    workload = params.workload
    return {}
  },
  exec: () => ({ pid: process.pid, names: [...devices.keys()].map((device) => `device-${device}`) }),
  finish: () => {
    move('RUNNING')
    phase = 'running'
    return { outcome: 'running', pages: MEMORY / 4096, bytes: String(MEMORY) }
  },
  record: () => ({ record: 'none' }),
  status: () => ({ role, ...session, phase, devices: states(), residentBytes: '1048576', workload }),
  cancel: () => {
    proceed('cancelled')
    for (const resume of held.splice(0)) resume()
    return {}
  },
}

const blackout = { quiesceUs: 1, lastPagesUs: 0, stateUs: 0, loadUs: 0, verifyUs: 0, resumeUs: 1, totalUs: 2 }
const rolledBackReply = () => ({
  ...{ outcome: 'rolled-back', blackout, lastPages: 0, lastBytes: '0', devices: [], verified: null },
})

/** Round upon round until `proceed` or `cancel`. */
async function heldRounds() {
  let ended
  const end = new Promise((resolve) => {
    proceed = (how) => {
      ended = how ?? 'released'
      resolve()
    }
  })
  for (let round = 2; ended === undefined; round++) {
    const { forecasts = [1000] } = script
    const expectedUs = forecasts[Math.min(round - 2, forecasts.length - 1)]
    const forecast = { ...FORECAST, lowUs: expectedUs / 2, expectedUs, highUs: expectedUs * 2 }
    const sizes = { sentBytes: '409600', dirtyBytes: '409600', bytesPerSecond: '2236962133' }
    event({ event: 'round-start', round, pages: 100, bytes: '409600', trackers: [] })
    event({
      ...{ event: 'round-end', round, ...sizes, zeroPages: 0, elapsedUs: 900, dirtyPages: 100 },
      ...{ estimatedBlackoutUs: expectedUs, forecast },
    })
    await Promise.race([end, sleep(20)])
  }
  return ended
}

async function handle({ epoch, id, op, params, run }) {
  if (run !== undefined) session = { run, epoch }
  if (script.requests) appendFileSync(script.requests, `${JSON.stringify({ op, params })}\n`)
  if (script.log) appendFileSync(script.log, `${role ?? params?.role ?? '-'} ${op}\n`)
  const nth = counts.get(op) ?? 0
  counts.set(op, nth + 1)
  const actions = script.replies?.[op] ?? []
  const action = actions[Math.min(nth, actions.length - 1)] ?? {}
  for (const body of action.events ?? []) event(body)
  if (action.delayMs !== undefined) await sleep(action.delayMs)
  if (action.silent) return
  if (action.raw !== undefined) return process.stdout.write(`${action.raw}\n`)
  if (action.rawBytes !== undefined) return process.stdout.write(`${'x'.repeat(action.rawBytes)}\n`)
  if (action.exit !== undefined) {
    process.stderr.write('first words\nlast words\n')
    return process.stdout.write('', () => process.exit(action.exit))
  }
  if (action.hold) {
    await new Promise((resolve) => held.push(resolve))
    return write({ id, error: { code: 'run/cancelled', message: `${op} was cancelled` } })
  }
  if (action.error !== undefined) return write({ id, error: action.error })
  if (!(op in defaults))
    return write({ id, error: { code: 'request/unknown-op', message: `unknown request ${op}` } })
  try {
    write({ id, ok: action.ok ?? (await defaults[op](params)) })
  } catch (error) {
    write({ id, error })
  }
}

const input = createInterface({ input: process.stdin })
input.on('line', (line) => void handle(JSON.parse(line)))
// The owner is gone: what is not committed is undone, then the process ends.
input.on('close', () => {
  if (script.log) appendFileSync(script.log, `${role ?? '-'} eof\n`)
  process.exit(0)
})
