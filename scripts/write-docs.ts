/** Writes the generated pages of docs/ (`npm run docs`). */
import { mkdir, writeFile } from 'node:fs/promises'
import { FAMILIES } from '../src/codes/catalogue.js'
import { codesPage } from '../src/codes/text.js'

const folder = new URL('../docs/', import.meta.url)
await mkdir(folder, { recursive: true })
await writeFile(new URL('codes.md', folder), codesPage(FAMILIES))
