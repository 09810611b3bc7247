/** `ferry --help` from the built manifest. */
import { readFileSync } from 'node:fs'
import { arch, platform } from 'node:os'
import { wantsColour } from '../terminal.js'
import { readManifest } from './manifest.js'
import { rootHelp } from './root-help.js'

const WIDTH = 80
const LEAST_WIDTH = 40

export function printRootHelp(root: string): void {
  const { description, name, version } = JSON.parse(readFileSync(`${root}package.json`, 'utf8')) as {
    readonly description: string
    readonly name: string
    readonly version: string
  }
  const { columns, isTTY } = process.stdout
  const text = rootHelp({
    description,
    version: `${name}/${version} ${platform()}-${arch()} node-${process.version}`,
    commands: Object.values(readManifest(root).commands).filter(({ hidden }) => !hidden),
    width: isTTY ? Math.max(columns || WIDTH, LEAST_WIDTH) : WIDTH,
    colour: wantsColour(process.stdout),
  })
  process.stdout.write(text)
}
