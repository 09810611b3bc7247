// One QEMU machine with a VFIO kernel in it, as a value: boot, run commands, shut down. The machine belongs to
// this process: it ends with it, however it ends (execa kills QEMU on exit; after a SIGKILL the agent notices
// that its host has hung up and powers the guest off).
import { appendFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { mkdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { execa } from 'execa'
import { AgentClient } from './agent-client.js'
import type { GuestCommand, GuestProcess, RunOptions, RunResult, StartOptions } from './agent-client.js'
import { prepareLab, type Lab } from './setup.js'

export type { GuestCommand, GuestProcess, RunOptions, RunResult, StartOptions } from './agent-client.js'

export interface GuestOptions {
  readonly memoryMiB?: number
  readonly cpus?: number
  /** Pages of 2 MiB set aside for hugetlbfs. */
  readonly hugepages?: number
  /** Further `-device` values, such as `edu,addr=0x10`. One `edu` is always there. */
  readonly devices?: readonly string[]
  /** Further QEMU arguments, as they are. */
  readonly qemuArgs?: readonly string[]
  /** Further words for the kernel's command line. */
  readonly kernelArgs?: readonly string[]
  /** A host folder the guest may write, as /results. A temporary one unless said otherwise. */
  readonly resultsDir?: string
  readonly bootTimeoutMs?: number
  /** QEMU is killed after this long, whatever it does. */
  readonly wallClockMs?: number
}

const timesFile = process.env['FERRY_LAB_TIMES']
export function noteTime(what: string, began: number, text: string): void {
  if (timesFile === undefined) return
  const now = performance.now()
  appendFileSync(
    timesFile,
    JSON.stringify({ what, began: Math.round(began), ms: Math.round(now - began), text }) + '\n',
  )
}

const COMPLAINT =
  /\bBUG:|\bWARNING:|\bOops\b|Kernel panic|general protection fault|blocked for more than|\bUBSAN:/

/**
 * Everything the host or QEMU can do, but for what is slow when it is translated: byte-wise string instructions, which
 * the kernel would copy and clear pages with, STAC and CLAC around each access to user memory, a fifth level of pages.
 */
const CPU = process.env['FERRY_LAB_CPU'] ?? 'max,-erms,-fsrm,-smap,-la57'

/** QEMU's own translation unless told otherwise: a /dev/kvm that opens is not always one that works. */
const accelerator = (): string => process.env['FERRY_LAB_ACCEL'] ?? 'tcg,thread=multi'

/** Percent-encoded: the kernel's command line is split at spaces. */
function word(name: string, value: string): string {
  const safe = [...Buffer.from(value)].map((byte) => {
    const char = String.fromCharCode(byte)
    return /[\w/.@+-]/.test(char) ? char : `%${byte.toString(16).padStart(2, '0')}`
  })
  return `ferry.${name}=${safe.join('')}`
}

/** QEMU splits option values at commas; a doubled one stands for itself. */
const value = (text: string): string => text.replaceAll(',', ',,')

function qemuArguments(lab: Lab, dir: string, resultsDir: string, options: GuestOptions): string[] {
  const append = [
    // Level 5 lets the kernel's warnings through to the console, and no chatter.
    ...[
      'console=ttyS0',
      'loglevel=5',
      'panic=-1',
      'intel_iommu=on',
      'iommu=pt',
      // On a busy machine the emulated timer may be late enough for the kernel to panic over it at boot.
      'no_timer_check',
      ...(options.kernelArgs ?? []),
    ],
    word('init', path.join(lab.repo, 'test/lab/guest-init.sh')),
    word('repo', lab.repo),
    word('kernel', lab.kernelDir),
    word('node', process.execPath),
    word('hugepages', String(options.hugepages ?? 32)),
  ]
  return [
    ...['-M', 'q35,kernel-irqchip=split', '-accel', accelerator(), '-cpu', CPU],
    ...['-smp', String(options.cpus ?? 2), '-m', String(options.memoryMiB ?? 2048)],
    ...['-display', 'none', '-monitor', 'none', '-nodefaults', '-no-reboot'],
    ...[
      '-kernel',
      path.join(lab.kernelDir, 'bzImage'),
      '-initrd',
      lab.initramfs,
      '-append',
      append.join(' '),
    ],
    ...[
      '-chardev',
      `file,id=console,path=${value(path.join(dir, 'console.log'))}`,
      '-serial',
      'chardev:console',
    ],
    ...['-device', 'intel-iommu', '-device', 'edu'],
    ...['-fsdev', 'local,id=root,path=/,security_model=none,readonly=on,multidevs=remap'],
    ...['-device', 'virtio-9p-pci,fsdev=root,mount_tag=root'],
    ...['-fsdev', `local,id=results,path=${value(resultsDir)},security_model=none,multidevs=remap`],
    ...['-device', 'virtio-9p-pci,fsdev=results,mount_tag=results'],
    ...['-device', 'virtio-serial-pci'],
    ...['-chardev', `socket,id=agent,path=${value(path.join(dir, 'agent.sock'))},server=on,wait=off`],
    ...['-device', 'virtserialport,chardev=agent,name=org.ferry.agent'],
    ...(options.devices ?? []).flatMap((device) => ['-device', device]),
    ...(options.qemuArgs ?? []),
  ]
}

function startQemu(args: readonly string[], wallClockMs: number) {
  return execa('qemu-system-x86_64', args, {
    reject: false,
    stdin: 'ignore',
    stdout: 'ignore',
    timeout: wallClockMs,
    forceKillAfterDelay: 2000,
  })
}

export class Guest {
  readonly resultsDir: string
  readonly consoleLog: string
  /** From starting QEMU to the agent's first word. */
  readonly bootMs: number
  readonly #dir: string
  readonly #qemu: ReturnType<typeof startQemu>
  readonly #agent: AgentClient

  /** Boots; again, twice at most, when QEMU itself crashed on the way (an assertion of its TCG; see README.md). */
  static async boot(options: GuestOptions = {}): Promise<Guest> {
    for (let left = 2; ; left--) {
      try {
        return await Guest.#bootOnce(options)
      } catch (error) {
        if (left === 0 || !(error as Error).message.includes('QEMU ended (SIGABRT)')) throw error
        process.stderr.write(`lab: QEMU crashed while the guest booted; once more\n`)
      }
    }
  }

  static async #bootOnce(options: GuestOptions): Promise<Guest> {
    const lab = await prepareLab()
    const dir = mkdtempSync(path.join(tmpdir(), 'ferry-lab-'))
    const resultsDir = path.resolve(options.resultsDir ?? path.join(dir, 'results'))
    await mkdir(resultsDir, { recursive: true })
    const consoleLog = path.join(dir, 'console.log')

    const began = performance.now()
    const wallClockMs = options.wallClockMs ?? 15 * 60_000
    const bootMs = options.bootTimeoutMs ?? 120_000
    const qemu = startQemu(qemuArguments(lab, dir, resultsDir, options), wallClockMs)
    const abort = new AbortController()
    let ended: string | undefined
    void qemu.then((result) => {
      ended = result.timedOut
        ? `the guest passed its limit of ${String(wallClockMs / 1000)} s`
        : `QEMU ended (${String(result.exitCode ?? result.signal)}) ${result.stderr}`.trim()
      abort.abort(new Error(ended))
    })
    const timer = setTimeout(
      () => abort.abort(new Error(`no agent after ${String(bootMs / 1000)} s`)),
      bootMs,
    )
    try {
      const why = (): Error => failure(ended ?? 'the guest hung up', consoleLog)
      const agent = await AgentClient.connect(path.join(dir, 'agent.sock'), abort.signal, why)
      noteTime('boot', began, String(options.devices?.length))
      return new Guest({ dir, resultsDir, consoleLog, qemu, agent, bootMs: performance.now() - began })
    } catch (error) {
      qemu.kill('SIGKILL')
      await qemu
      const reason = abort.signal.aborted ? (abort.signal.reason as Error) : (error as Error)
      throw failure(`the guest did not boot: ${reason.message}`, consoleLog)
    } finally {
      clearTimeout(timer)
    }
  }

  private constructor(parts: {
    readonly dir: string
    readonly resultsDir: string
    readonly consoleLog: string
    readonly bootMs: number
    readonly qemu: ReturnType<typeof startQemu>
    readonly agent: AgentClient
  }) {
    this.#dir = parts.dir
    this.#qemu = parts.qemu
    this.#agent = parts.agent
    this.resultsDir = parts.resultsDir
    this.consoleLog = parts.consoleLog
    this.bootMs = parts.bootMs
  }

  /** Runs to the end; a command that fails is a result, not an error. */
  async run(command: GuestCommand, options?: RunOptions): Promise<RunResult> {
    const began = performance.now()
    const result = await (await this.#agent.start(command, options)).wait()
    noteTime('run', began, typeof command === 'string' ? command : command.join(' '))
    return result
  }

  /** Runs what must succeed, and gives its stdout without the last newline. */
  async ok(command: GuestCommand, options?: RunOptions): Promise<string> {
    const result = await this.run(command, options)
    if (result.exit === 0) return result.stdout.replace(/\n$/, '')
    const shown = typeof command === 'string' ? command : command.join(' ')
    const how = result.timedOut ? 'timed out' : `ended with ${String(result.exit ?? result.signal)}`
    throw new Error(`guest: ${shown}: ${how}\n${result.stderr}${result.stdout}`.trimEnd())
  }

  /** Starts a command and comes back at once. No time limit unless one is given. */
  start(command: GuestCommand, options: StartOptions = {}): Promise<GuestProcess> {
    return this.#agent.start(command, { timeoutMs: 0, ...options })
  }

  /** Lines of the guest's console that a healthy kernel does not print. */
  kernelComplaints(): readonly string[] {
    return complaints(this.consoleLog)
  }

  /** Powers the guest off. Its folder stays only if the kernel complained. */
  async shutdown(): Promise<void> {
    const began = performance.now()
    this.#agent.hangUp()
    const timer = setTimeout(() => this.#qemu.kill('SIGKILL'), 20_000)
    await this.#qemu
    clearTimeout(timer)
    noteTime('shutdown', began, '')
    if (this.kernelComplaints().length > 0) return
    await rm(this.#dir, { recursive: true, force: true })
  }

  /** The same for a process that is about to end and cannot wait. */
  abandon(): void {
    this.#qemu.kill('SIGKILL')
    if (this.kernelComplaints().length > 0) return
    rmSync(this.#dir, { recursive: true, force: true })
  }
}

function readConsole(file: string): readonly string[] {
  try {
    return readFileSync(file, 'utf8').replaceAll('\r', '').split('\n').filter(Boolean)
  } catch {
    return []
  }
}

const complaints = (file: string): readonly string[] =>
  readConsole(file).filter((line) => COMPLAINT.test(line))

function failure(what: string, consoleLog: string): Error {
  const seen = complaints(consoleLog)
  const shown =
    seen.length > 0
      ? ['the kernel complained:', ...seen]
      : ['its last lines:', ...readConsole(consoleLog).slice(-10)]
  return new Error([what, ...shown.map((line) => `  ${line}`), `console log: ${consoleLog}`].join('\n'))
}
