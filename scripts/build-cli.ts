/**
 * Builds the CLI: dist/ferry.cjs, one bundle by esbuild, with its bytecode; oclif.manifest.json, with which `ferry --help`
 * sets up no command; and from it the man page. Types are checked by `npm run typecheck` and not here.
 */
import { build, type Metafile, type Plugin } from 'esbuild'
import { chmod, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { requireTools } from './prerequisites.js'
import { writeCodeCache } from './write-code-cache.js'
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

/** What both files are built with. */
const SHARED = {
  absWorkingDir: root,
  bundle: true,
  platform: 'node',
  target: 'node20.19',
  minifyWhitespace: true,
  minifySyntax: true,
  sourcemap: true,
  sourcesContent: false,
  logLevel: 'warning',
} as const

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
  await writeCodeCache(root)
} catch (error) {
  // esbuild has printed its own errors.
  if (!(error instanceof Error && 'errors' in error)) throw error
  process.exitCode = 1
} finally {
  await rm(fresh, { recursive: true, force: true })
  await rm(stale, { recursive: true, force: true })
}

/**
 * ferry.cjs is all of ferry; a part of it is set up when it is asked for. It is CommonJS, because Node takes
 * bytecode only for scripts, and oclif, execa's dependencies and yaml are that anyway. cli.js loads it.
 */
async function bundle(outdir: string): Promise<Metafile> {
  const commands = (await readdir(`${root}commands`)).filter((name) => name.endsWith('.ts'))
  const getters = commands.map(
    (file) => `get '${file.slice(0, -3)}'() { return require('./commands/${file}').default },`,
  )
  const [{ metafile }] = await Promise.all([
    build({
      ...SHARED,
      stdin: {
        contents: `module.exports = {
          get start() { return require('./src/cli/start.ts').start },
          get Help() { return require('./src/cli/help.ts').default },
          commands: { ${getters.join('\n')} },
        }`,
        resolveDir: root,
        loader: 'ts',
      },
      outfile: `${outdir}/ferry.cjs`,
      format: 'cjs',
      supported: { 'dynamic-import': false },
      legalComments: 'eof',
      metafile: true,
      plugins: [withoutLocales, withoutUnused],
      // oclif asks for the first three only to run TypeScript sources. pino starts workers from files of its own.
      external: ['typescript', 'tsx', 'ts-node', 'pino'],
      define: { 'import.meta.url': 'ferryUrl' },
      banner: { js: "const ferryUrl = require('node:url').pathToFileURL(__filename).href;" },
    }),
    build({
      ...SHARED,
      entryPoints: ['src/cli/cli.ts'],
      outfile: `${outdir}/src/cli/cli.js`,
      format: 'esm',
      external: ['./start.js'],
    }),
  ])
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
