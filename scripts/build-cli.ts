/**
 * Builds the CLI: dist/ as one bundle by esbuild, oclif.manifest.json, with which `ferry --help` loads no command file,
 * and from it the man page. Types are checked by `npm run typecheck` and not here.
 */
import { build, type Metafile, type Plugin } from 'esbuild'
import { chmod, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { requireTools } from './prerequisites.js'
import { writeMan } from './write-man.js'
import { writeManifest } from './write-manifest.js'

const root = fileURLToPath(new URL('..', import.meta.url))

/** zod's messages in fifty languages, a third of a megabyte to parse: ferry writes its own, and zod keeps English. */
const withoutLocales: Plugin = {
  name: 'without-locales',
  setup({ onLoad }) {
    onLoad({ filter: /\/zod\/v4\/locales\/index\.js$/ }, () => ({ contents: 'export {}' }))
  },
}

/**
 * Packages that oclif loads at each start and ferry never uses, with what stands in for them: a fifth of a start. All
 * that oclif finds by globs and rc files stands in the manifest and in package.json here, ferry checks Node's version
 * by itself, shows no spinners, and logs by pino.
 */
const UNUSED: Readonly<Record<string, string>> = {
  'cli-spinners': 'module.exports = {}',
  debug: 'module.exports = () => () => undefined',
  lilconfig: 'exports.lilconfig = () => ({ search: async () => null })',
  minimatch: 'exports.minimatch = () => false',
  semver: 'exports.satisfies = () => true',
  tinyglobby: "exports.glob = async () => { throw new Error('built commands are found by their manifest') }",
  'wsl-utils': 'exports.isWsl = false',
}

const withoutUnused: Plugin = {
  name: 'without-unused',
  setup({ onLoad, onResolve }) {
    onResolve({ filter: new RegExp(`^(?:${Object.keys(UNUSED).join('|')})$`) }, ({ path }) => ({
      path,
      namespace: 'unused',
    }))
    onLoad({ filter: /.*/, namespace: 'unused' }, ({ path }) => ({ contents: UNUSED[path] ?? '' }))
  },
}

await requireTools('node')
// Built beside and then put in place: a file left from an earlier build would still be found as a command, and a
// ferry that runs meanwhile must not find half a build.
const fresh = `${root}dist.${process.pid}`
const stale = `${fresh}.old`
try {
  const metafile = await bundle(fresh)
  await writeFile(join(fresh, 'THIRD-PARTY-LICENSES'), await licences(metafile))
  await rename(`${root}dist`, stale).catch(() => undefined)
  await rename(fresh, `${root}dist`)
  const { bin } = JSON.parse(await readFile(`${root}package.json`, 'utf8')) as { bin: { ferry: string } }
  await chmod(`${root}${bin.ferry}`, 0o755)
  await writeManifest(root)
  await writeMan(root)
} catch (error) {
  // esbuild has printed its own errors.
  if (!(error instanceof Error && 'errors' in error)) throw error
  process.exitCode = 1
} finally {
  await rm(fresh, { recursive: true, force: true })
  await rm(stale, { recursive: true, force: true })
}

/** Every command, the entry and the help are files of their own, as oclif loads them; what they share is in chunks. */
async function bundle(outdir: string): Promise<Metafile> {
  const commands = (await readdir(`${root}commands`)).filter((name) => name.endsWith('.ts'))
  const { metafile } = await build({
    absWorkingDir: root,
    entryPoints: ['src/cli/cli.ts', 'src/cli/help.ts', ...commands.map((name) => `commands/${name}`)],
    outbase: '.',
    outdir,
    chunkNames: 'chunks/[name]-[hash]',
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node20.19',
    minifyWhitespace: true,
    minifySyntax: true,
    sourcemap: true,
    sourcesContent: false,
    legalComments: 'eof',
    metafile: true,
    plugins: [withoutLocales, withoutUnused],
    logLevel: 'warning',
    // oclif asks for the first three only to run TypeScript sources. pino starts workers from files of its own.
    external: ['typescript', 'tsx', 'ts-node', 'pino'],
    // oclif, execa's dependencies and yaml are CommonJS.
    banner: {
      js: [
        "import { createRequire as ferryRequire } from 'node:module'",
        "import { fileURLToPath as ferryPath } from 'node:url'",
        'const require = ferryRequire(import.meta.url)',
        'const __filename = ferryPath(import.meta.url)',
        "const __dirname = ferryPath(new URL('.', import.meta.url))",
      ].join(';'),
    },
  })
  return metafile
}

/** The licences of the packages whose code is in the bundle. */
async function licences({ inputs }: Metafile): Promise<string> {
  const packages = new Set(
    Object.keys(inputs).flatMap(
      (path) => /^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+/u.exec(path)?.[0] ?? [],
    ),
  )
  const texts: string[] = []
  for (const folder of [...packages].sort()) {
    const {
      license = 'unknown',
      name,
      version,
    } = JSON.parse(await readFile(join(root, folder, 'package.json'), 'utf8')) as {
      license?: string
      name: string
      version: string
    }
    const file = (await readdir(join(root, folder))).find((entry) => /^licen[cs]e/iu.test(entry))
    const text = file === undefined ? '' : await readFile(join(root, folder, file), 'utf8')
    texts.push(`${name} ${version} (${license})\n\n${text.trim()}\n`)
  }
  return texts.join(`\n${'-'.repeat(80)}\n\n`)
}
