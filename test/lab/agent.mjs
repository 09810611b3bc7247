// Runs commands in the guest for the host, over a virtio console port named org.ferry.agent: one JSON object
// a line, both ways. Nothing to install, so it is plain JavaScript.
//
//   host:  {id, op: 'start', argv | shell, env?, cwd?, stdin?, timeoutMs?, maxOutput?, stream?}
//          {id, op: 'write', target, data?, end?}   {id, op: 'signal', target, signal, group?}
//   guest: {event: 'ready'}   {id, event: 'started', pid}   {id, event: 'done'}   {id, event: 'error', message}
//          {id, event: 'output', fd, data}   {id, event: 'exit', exit, signal, stdout, stderr, ...}
//
// Bytes (stdin, data, stdout, stderr) are base64. Any number of commands may run at once.
import { spawn } from 'node:child_process'
import fs from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'

const PORT_NAME = 'org.ferry.agent'
const DEFAULT_MAX_OUTPUT = 8 * 1024 * 1024
/** How long a grandchild may keep an exited command's output open. */
const DRAIN_MS = 500

const running = new Map()

async function openPort() {
  for (let attempt = 0; attempt < 200; attempt++) {
    for (const port of fs.readdirSync('/sys/class/virtio-ports')) {
      const name = fs.readFileSync(`/sys/class/virtio-ports/${port}/name`, 'utf8').trim()
      if (name === PORT_NAME) return fs.openSync(`/dev/${port}`, 'r+')
    }
    await delay(50)
  }
  throw new Error(`no virtio port named ${PORT_NAME}`)
}

function writer(fd) {
  let queue = Promise.resolve()
  const writeAll = async (bytes) => {
    for (let at = 0; at < bytes.length;) {
      at += await new Promise((resolve, reject) =>
        fs.write(fd, bytes, at, bytes.length - at, null, (error, n) => (error ? reject(error) : resolve(n))),
      )
    }
  }
  return (message) => {
    queue = queue.then(() => writeAll(Buffer.from(JSON.stringify(message) + '\n')))
    queue.catch(() => process.kill(process.pid, 'SIGKILL'))
  }
}

/** Keeps the first `limit` bytes of a stream, and counts the rest. */
function collect(stream, limit, onChunk) {
  const kept = { chunks: [], size: 0, dropped: 0 }
  stream.on('data', (chunk) => {
    onChunk?.(chunk)
    const part = chunk.subarray(0, Math.max(0, limit - kept.size))
    if (part.length > 0) kept.chunks.push(part)
    kept.size += part.length
    kept.dropped += chunk.length - part.length
  })
  stream.on('error', () => {})
  return kept
}

function start(request, send) {
  const { id } = request
  const [file, ...args] = request.shell === undefined ? request.argv : ['/bin/bash', '-c', request.shell]
  const child = spawn(file, args, {
    cwd: request.cwd,
    env: { ...process.env, ...request.env },
    // A group of its own, so that a time limit ends what the command started, too.
    detached: true,
  })
  const limit = request.stream ? 0 : (request.maxOutput ?? DEFAULT_MAX_OUTPUT)
  const forward = (fd) =>
    request.stream ? (chunk) => send({ id, event: 'output', fd, data: chunk.toString('base64') }) : undefined
  const stdout = collect(child.stdout, limit, forward(1))
  const stderr = collect(child.stderr, limit, forward(2))
  const state = { child, timedOut: false }
  let timer
  let finished = false

  child.on('error', (error) => {
    if (child.pid === undefined) send({ id, event: 'error', message: `${file}: ${error.message}` })
  })
  child.on('spawn', () => {
    running.set(id, state)
    send({ id, event: 'started', pid: child.pid })
    if (request.timeoutMs) {
      timer = setTimeout(() => {
        state.timedOut = true
        kill(-child.pid, 'SIGKILL')
      }, request.timeoutMs)
    }
  })
  const finish = () => {
    if (finished || child.pid === undefined) return
    finished = true
    clearTimeout(timer)
    child.stdout.destroy()
    child.stderr.destroy()
    running.delete(id)
    send({
      id,
      event: 'exit',
      exit: child.exitCode,
      signal: child.signalCode,
      timedOut: state.timedOut,
      stdout: Buffer.concat(stdout.chunks).toString('base64'),
      stderr: Buffer.concat(stderr.chunks).toString('base64'),
      truncated: !request.stream && stdout.dropped + stderr.dropped > 0,
    })
  }
  child.on('close', finish)
  child.on('exit', () => setTimeout(finish, DRAIN_MS))

  child.stdin.on('error', () => {})
  if (request.stdin !== undefined) child.stdin.write(Buffer.from(request.stdin, 'base64'))
  if (!request.keepStdin) child.stdin.end()
}

function kill(pid, signal) {
  try {
    process.kill(pid, signal)
    return true
  } catch {
    return false
  }
}

function handle(request, send) {
  const { id, op } = request
  const target = running.get(request.target)?.child
  if (op === 'start') return start(request, send)
  if (op === 'signal') {
    const hit = target !== undefined && kill(request.group ? -target.pid : target.pid, request.signal)
    return send({ id, event: 'done', hit })
  }
  if (op === 'write') {
    if (request.data !== undefined) target?.stdin.write(Buffer.from(request.data, 'base64'))
    if (request.end) target?.stdin.end()
    return send({ id, event: 'done', hit: target !== undefined })
  }
  send({ id, event: 'error', message: `unknown op ${op}` })
}

async function serve(fd) {
  const send = writer(fd)
  const buffer = Buffer.alloc(64 * 1024)
  const read = () =>
    new Promise((resolve, reject) =>
      fs.read(fd, buffer, 0, buffer.length, null, (error, n) => (error ? reject(error) : resolve(n))),
    )
  send({ event: 'ready' })
  let pending = Buffer.alloc(0)
  // Reading nothing means that the host has hung up. It owns this guest: end with it.
  for (let n; (n = await read()) > 0;) {
    pending = Buffer.concat([pending, buffer.subarray(0, n)])
    for (let end; (end = pending.indexOf(10)) >= 0;) {
      const line = pending.subarray(0, end).toString('utf8')
      pending = pending.subarray(end + 1)
      const request = JSON.parse(line)
      try {
        handle(request, send)
      } catch (error) {
        send({ id: request.id, event: 'error', message: String(error.message ?? error) })
      }
    }
  }
}

await serve(await openPort())
// A write that no host reads blocks a thread for ever, and an orderly exit would wait for that thread.
process.kill(process.pid, 'SIGKILL')
