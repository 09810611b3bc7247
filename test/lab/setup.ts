// What has to be there before a guest can boot: Debian packages and a kernel. Quick when both are.
import { access, constants, mkdir, readdir, rename, rm } from 'node:fs/promises'
import { createHash, randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { execa } from 'execa'

const here = path.dirname(fileURLToPath(import.meta.url))

/** Folders a guest boots from; all absolute. */
export interface Lab {
  readonly repo: string
  /** Holds bzImage, mdev.ko, mtty.ko, config, and tree/ for building modules. */
  readonly kernelDir: string
  readonly initramfs: string
}

export function labCacheDir(): string {
  const { FERRY_LAB_CACHE, XDG_CACHE_HOME } = process.env
  if (FERRY_LAB_CACHE) return path.resolve(FERRY_LAB_CACHE)
  return path.join(XDG_CACHE_HOME || path.join(homedir(), '.cache'), 'ferry/lab')
}

/** The scripts say on stderr what they do; that goes to ours as it comes. */
async function script(name: string, args: readonly string[] = []): Promise<string> {
  const result = await execa(path.join(here, name), args, {
    stdin: 'ignore',
    stderr: 'inherit',
    reject: false,
    env: { FERRY_LAB_CACHE: labCacheDir() },
  })
  if (result.failed)
    throw new Error(
      `the lab could not be prepared: ${name} ended with ${String(result.exitCode ?? result.signal)}`,
    )
  return result.stdout.trim()
}

/** Writable by name alone once it is whole, so that two labs may be prepared at the same time. */
async function buildInitramfs(): Promise<string> {
  const hash = createHash('sha256')
  for (const file of ['initramfs-init.sh', 'build-initramfs.sh'])
    hash.update(readFileSync(path.join(here, file)))
  const file = path.join(labCacheDir(), `initramfs-${hash.digest('hex').slice(0, 16)}.cpio`)
  try {
    await access(file, constants.R_OK)
  } catch {
    await mkdir(labCacheDir(), { recursive: true })
    const partial = `${file}.${randomUUID()}`
    try {
      await script('build-initramfs.sh', [partial])
      await rename(partial, file)
    } finally {
      await rm(partial, { force: true })
    }
  }
  return file
}

let modules: Promise<string> | undefined

/** Builds the lab's own modules if their sources have changed; the folder of their .ko files. */
export function prepareModules(): Promise<string> {
  modules ??= prepareLab().then(() => script('build-modules.sh'))
  return modules
}

let prepared: Promise<Lab> | undefined

/** Installs packages and builds the kernel if they are missing. Done once in a process. */
export function prepareLab(): Promise<Lab> {
  prepared ??= (async () => {
    await script('provision.sh')
    const kernelDir = await script('build-kernel.sh')
    const names = await readdir(kernelDir)
    for (const wanted of ['bzImage', 'mdev.ko', 'mtty.ko']) {
      if (!names.includes(wanted))
        throw new Error(`${kernelDir} has no ${wanted}; remove that folder and try again`)
    }
    return { repo: path.resolve(here, '../..'), kernelDir, initramfs: await buildInitramfs() }
  })()
  return prepared
}
