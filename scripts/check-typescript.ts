/**
 * Types and lint of every TypeScript file, as `npm run typecheck` and `npm run lint` find them, from one program: the
 * compiler reads and checks everything once, and the lint rules that need types ask what it has found. Prints what is
 * wrong and ends with 1, or prints nothing.
 */
import { ESLint } from 'eslint'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'

const root = fileURLToPath(new URL('..', import.meta.url))
const program = programOf(`${root}/tsconfig.json`)

const wrong = [types(), await lint()].filter((text) => text !== '')
if (wrong.length > 0) {
  console.log(wrong.join('\n'))
  process.exitCode = 1
}

function programOf(config: string): ts.Program {
  const host: ts.ParseConfigFileHost = {
    ...ts.sys,
    onUnRecoverableConfigFileDiagnostic: (diagnostic) => {
      throw new Error(ts.flattenDiagnosticMessageText(diagnostic.messageText, '\n'))
    },
  }
  const parsed = ts.getParsedCommandLineOfConfigFile(config, { noEmit: true }, host)
  if (parsed === undefined || parsed.errors.length > 0) throw new Error(`${config} cannot be read`)
  return ts.createProgram({ rootNames: parsed.fileNames, options: parsed.options })
}

function types(): string {
  return ts.formatDiagnostics(ts.getPreEmitDiagnostics(program), {
    getCanonicalFileName: (name) => name,
    getCurrentDirectory: () => root,
    getNewLine: () => '\n',
  })
}

async function lint(): Promise<string> {
  const eslint = new ESLint({
    cwd: root,
    overrideConfig: {
      files: ['**/*.ts'],
      languageOptions: { parserOptions: { projectService: false, programs: [program] } },
    },
  })
  const results = await eslint.lintFiles(['.'])
  const bad = results.some(({ errorCount, warningCount }) => errorCount + warningCount > 0)
  return bad ? (await eslint.loadFormatter('stylish')).format(results) : ''
}
