/** What a cell takes from the machine's own: memory by a cgroup, room by a file system. All of it is given back. */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, rmdirSync, rmSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'

/** A hierarchy of its own (version 1), or the one of all controllers. */
const FIRST = '/sys/fs/cgroup/memory'
const GROUPS = existsSync(FIRST) ? FIRST : '/sys/fs/cgroup'
const LIMIT = existsSync(FIRST) ? 'memory.limit_in_bytes' : 'memory.max'

/** The cgroup of a cell, by its folder. */
export function groupOf(folder: string): string {
  return join(GROUPS, `ferry-${basename(folder)}`)
}

/** Process $PID gets no page more: the kernel kills it at the next one. */
export function noMemory(group: string): string {
  return `mkdir -p ${group}; echo 4096 >${group}/${LIMIT}; echo $PID >${group}/cgroup.procs`
}

export function giveMemory(group: string): void {
  if (existsSync(group)) writeFileSync(join(group, LIMIT), existsSync(FIRST) ? '-1' : 'max')
}

/** Once its processes have ended. */
export function closeGroup(group: string): void {
  if (existsSync(group)) rmdirSync(group)
}

const FILL = 'fill'

/** A file system for a state folder, which can be filled. */
export function ownFileSystem(folder: string): void {
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const { status, stderr } = spawnSync('mount', [
    ...['-t', 'tmpfs', '-o', 'size=2m,mode=700', 'ferry-test', folder],
  ])
  if (status !== 0) throw new Error(`mount ${folder}: ${String(stderr)}`)
}

export function fill(folder: string): string {
  return `dd if=/dev/zero of=${join(folder, FILL)} bs=4096 2>/dev/null || true`
}

/** What is opened there from now on cannot be written. */
export function readOnly(folder: string): string {
  return `mkdir -p -m 700 ${folder}; mount --bind ${folder} ${folder}; mount -o remount,ro,bind ${folder}`
}

export function mendDisk(folder: string): void {
  rmOf(folder)
  // As often as it was made so.
  for (const { options, path } of mounts()) if (path === folder && options.includes('ro')) unmount(folder)
}

function rmOf(folder: string): void {
  const file = join(folder, FILL)
  if (existsSync(file)) rmSync(file)
}

/** Every mount below, the newest first. */
export function unmountAll(folder: string): void {
  for (const { path } of mounts().reverse()) if (path.startsWith(`${folder}/`)) unmount(path)
}

function unmount(path: string): void {
  // A process that has just ended may still have it.
  const { status, stderr } = spawnSync('umount', ['--lazy', path])
  if (status !== 0) throw new Error(`umount ${path}: ${String(stderr)}`)
}

function mounts(): { readonly path: string; readonly options: readonly string[] }[] {
  return readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .map((line) => line.split(' '))
    .map((words) => ({ path: words[4] ?? '', options: (words[5] ?? '').split(',') }))
}
