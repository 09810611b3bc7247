import { execa } from 'execa'
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { HELPER_CRATE, release } from '../../scripts/cargo.js'
import { allows } from './licences.js'

interface Crate {
  readonly name: string
  readonly version: string
  readonly license: string | null
  readonly source: string | null
}

const REGISTRY = /^registry\+https:\/\/github\.com\/rust-lang\/crates\.io-index$/u
const read = (name: string): string => readFileSync(`${HELPER_CRATE}/${name}`, 'utf8')

/** The strings of a list in helper/deny.toml. */
function listed(name: string): string[] {
  const found = new RegExp(`^${name} = \\[(?<items>[^\\]]*)\\]`, 'mu').exec(read('deny.toml'))
  return [...(found?.groups?.['items'] ?? '').matchAll(/"(?<item>[^"]+)"/gu)].map(
    ({ groups }) => groups?.['item'] ?? '',
  )
}

/** What `cargo deny check licenses bans sources` holds, for machines that do not have it. */
describe('the crates of the helper', () => {
  it.each(['Cargo.lock', 'fuzz/Cargo.lock'])('come from one registry, with a checksum: %s', (file) => {
    const crates = read(file).split('[[package]]').slice(1)
    const of = (crate: string, field: string): string | undefined =>
      new RegExp(`^${field} = "(?<value>[^"]+)"`, 'mu').exec(crate)?.groups?.['value']
    expect(crates.length).toBeGreaterThan(50)
    // Without a source: this workspace's own.
    const own = crates.filter((crate) => of(crate, 'source') === undefined)
    expect(own.filter((crate) => !of(crate, 'name')?.startsWith('ferry-'))).toEqual([])
    const others = crates.filter((crate) => !own.includes(crate))
    expect(others.filter((crate) => !REGISTRY.test(of(crate, 'source') ?? ''))).toEqual([])
    expect(others.filter((crate) => !/^[\da-f]{64}$/u.test(of(crate, 'checksum') ?? ''))).toEqual([])
    const banned = listed('deny')
    expect(banned).toContain('openssl-sys')
    expect(crates.map((crate) => of(crate, 'name')).filter((name) => banned.includes(name ?? ''))).toEqual([])
  })

  it('have licences of the list alone', async () => {
    const { args } = await release()
    const platform = ['--filter-platform', args.at(-1) ?? '']
    const metadata = ['metadata', '--locked', '--format-version', '1', ...platform]
    const { stdout } = await execa('cargo', metadata, { cwd: HELPER_CRATE })
    const { packages } = JSON.parse(stdout) as { packages: readonly Crate[] }
    const allowed = new Set(listed('allow'))
    expect(packages.length).toBeGreaterThan(50)
    const wrong = packages.filter(({ license }) => !allows(license ?? '', allowed))
    expect(wrong.map(({ license, name, version }) => `${name} ${version}: ${license}`)).toEqual([])
  })
})
