import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { openHelper } from '../../src/link/open.js'
import { explainSsh, sshArguments } from '../../src/link/ssh.js'
import { FAKE_HELPER, temporaryFolder } from './fake.js'

/** A stand-in for ssh: its own arguments end at `--`, then come host and command, which a shell runs. */
function fakeSsh(body: string): void {
  const path = join(temporaryFolder(), 'ssh')
  writeFileSync(path, `#!/bin/sh\nwhile [ "$1" != -- ]; do shift; done\nshift 2\n${body}\n`, { mode: 0o755 })
  process.env['FERRY_SSH'] = path
}
afterEach(() => {
  delete process.env['FERRY_SSH']
})

describe('sshArguments', () => {
  it('never asks and opens no terminal', () => {
    const args = sshArguments('ops@node-b', 'ferry-helper')
    expect(args[0]).toBe('-T')
    expect(args).toContain('BatchMode=yes')
    expect(args.slice(args.indexOf('--'))).toEqual(['--', 'ops@node-b', 'ferry-helper', '--serve'])
  })

  it('quotes the path for the remote shell', () => {
    expect(sshArguments('b', "/opt/it's here/helper")).toContain(`'/opt/it'\\''s here/helper'`)
  })
})

describe('explainSsh', () => {
  it.each([
    ['Host key verification failed.', 'host key'],
    ['ops@node-b: Permission denied (publickey).', 'not let in'],
    ['ssh: Could not resolve hostname node-b: Name or service not known', 'does not resolve'],
    ['ssh: connect to host node-b port 22: Connection refused', 'nothing answers'],
    ['ssh: connect to host node-b port 22: Connection timed out', 'cannot be reached'],
    ['Timeout, server node-b not responding.', 'broke'],
    ['something new', 'ssh failed'],
  ])('names %s', (stderr, named) => {
    expect(explainSsh('node-b', 'ferry-helper', 255, [stderr])).toMatchObject({
      code: 'link/ssh',
      message: expect.stringContaining(named),
    })
  })

  it('tells a missing helper from a failed connection, and leaves the helper’s own status alone', () => {
    expect(explainSsh('node-b', '/opt/h', 127, [])).toMatchObject({ code: 'helper/missing' })
    expect(explainSsh('node-b', '/opt/h', 1, [])).toBeNull()
  })
})

describe('a helper over ssh', () => {
  it('is greeted as a local one is', async () => {
    fakeSsh('exec sh -c "$*"')
    const client = await openHelper({ host: 'ops@node-b', helper: FAKE_HELPER }, { side: 'destination' })
    expect(client.label).toContain('node-b')
    expect(await client.close()).toMatchObject({ exitCode: 0 })
  })

  it('whose connection fails says why, with ssh’s own words', async () => {
    fakeSsh('echo "ops@node-b: Permission denied (publickey)." >&2; exit 255')
    await expect(
      openHelper({ host: 'ops@node-b', helper: null }, { side: 'destination' }),
    ).rejects.toMatchObject({
      code: 'link/ssh',
      message: expect.stringContaining('Permission denied (publickey)'),
    })
  })

  it('that is not there is named with the remedy', async () => {
    fakeSsh('exec sh -c "$*"')
    await expect(
      openHelper({ host: 'node-b', helper: '/nonexistent/ferry-helper' }, { side: 'destination' }),
    ).rejects.toMatchObject({ code: 'helper/missing' })
  })
})
