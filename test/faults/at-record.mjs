/**
 * Loaded into a `ferry` under test (`node --import`): breaks something at the very moment a record of the journal is
 * written. What is to be broken, and at which record, is in FERRY_FAULTS_AT; see cell.ts.
 */
import processes, { spawnSync } from 'node:child_process'
import fs from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'

const { faults, sides } = JSON.parse(process.env.FERRY_FAULTS_AT)
const { writeSync } = fs
const { spawn } = processes
const { now } = Date
const pending = new Set(faults)
const steps = new Map()
const seen = new Map()
let journalFails

/** Programs that ferry started, as it started them: its ends of their pipes are wanted. */
const started = []
processes.spawn = (...words) => {
  const child = spawn(...words)
  started.push(child)
  return child
}

fs.writeSync = (fd, data, ...rest) => {
  const text = Buffer.isBuffer(data) ? data.toString() : String(data)
  if (!text.startsWith('{"seq":')) return writeSync(fd, data, ...rest)
  const key = keyOf(JSON.parse(text).body)
  const count = (seen.get(key) ?? 0) + 1
  seen.set(key, count)
  const due = [...pending].filter(({ at, nth = 1 }) => at === key && nth === count)
  for (const { does } of due) if (does.errno !== undefined) journalFails = does.errno
  if (journalFails !== undefined)
    throw Object.assign(new Error(`write: ${journalFails}`), { code: journalFails })
  const written = writeSync(fd, data, ...rest)
  for (const fault of due) {
    pending.delete(fault)
    act(fault.does)
  }
  return written
}
syncBuiltinESMExports()

/** The same words as `steps.ts`. */
function keyOf(body) {
  if (body.type === 'intent') {
    steps.set(body.step, `${body.side} ${body.op}`)
    return steps.get(body.step)
  }
  if (body.type === 'outcome') return `${steps.get(body.step)} answered`
  if (body.type === 'helper') {
    const { event, step, done, to } = body.event
    const more = [step, to, done === true ? 'ends' : done === false ? 'begins' : undefined]
    return [body.side, event, ...more].filter((word) => word !== undefined).join(' ')
  }
  if (body.type === 'phase-start') return `${body.phase} begins`
  if (body.type === 'phase-end') return `${body.phase} ends`
  return body.type
}

function act({ signal, who, stopMs, times = 1, limit, backMs, edit, run, ssh, stdin, command }) {
  if (signal !== undefined) {
    const pids = ssh === undefined ? [pidOf(who)] : sshOf(ssh)
    if (stopMs !== undefined) {
      const wake = ['-c', `sleep ${stopMs / 1000}; kill -CONT ${pids.join(' ')}`]
      spawn('sh', wake, { detached: true, stdio: 'ignore' }).unref()
    }
    for (let time = 0; time < times; time++) for (const pid of pids) process.kill(pid, signal)
  }
  if (stdin === 'ferry') fs.writeFileSync(`${sides.folder}/close-stdin`, '')
  else if (stdin !== undefined) linkOf(stdin)?.stdin.end()
  if (command !== undefined) {
    const env = { ...process.env, NODE_OPTIONS: '', PID: who === undefined ? '' : String(pidOf(who)) }
    must(spawnSync('sh', ['-ec', command], { env }))
  }
  if (limit !== undefined) must(spawnSync('prlimit', [`--pid=${pidOf(who)}`, limit]))
  if (backMs !== undefined) Date.now = () => now() - backMs
  if (edit !== undefined) fs.writeFileSync(edit, '{"version": 1, "name": "another"')
  if (run !== undefined) {
    const env = { ...process.env, FERRY_FAULTS_AT: undefined, NODE_OPTIONS: undefined }
    const { status } = spawnSync(process.execPath, [process.argv[1], ...run], { env, timeout: 60_000 })
    fs.writeFileSync(`${sides.folder}/second-exit`, String(status))
  }
}

function must({ status, stderr, error }) {
  if (status !== 0) fs.writeFileSync(`${sides.folder}/not-injected`, `${error ?? stderr}`)
}

/** Every ssh to a side's host that runs: the connection, and what goes through it. */
function sshOf(side) {
  const host = side === 'source' ? 'node-a' : 'node-b'
  return started
    .filter((child) => child.exitCode === null && child.signalCode === null)
    .filter(({ spawnargs }) => spawnargs.some((word) => word.endsWith(host)))
    .map(({ pid }) => pid)
}

/** What ferry talks to a helper through: the helper, or ssh. A holder is attached to, another helper is started. */
function linkOf(side) {
  const how = side === 'source' ? '--attach' : '--serve'
  return started.findLast(({ spawnargs }) => spawnargs.some((word) => word.includes(how)))
}

/** A helper wrote its pid into its lock; before that the destination's is the one child that is no holder. */
function pidOf(who) {
  if (who === 'ferry') return process.pid
  try {
    const pid = Number(fs.readFileSync(`${sides[who]}/locks/nic.lock`, 'utf8'))
    if (pid > 0) return pid
  } catch {
    // Not claimed yet.
  }
  const children = fs.readFileSync(`/proc/self/task/${process.pid}/children`, 'utf8').trim().split(' ')
  return Number(children.at(-1))
}
