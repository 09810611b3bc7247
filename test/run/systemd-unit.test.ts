import { describe, expect, it } from 'vitest'
import { systemdUnit } from '../../src/run/hold-workload.js'

const ferry = ['/usr/bin/node', '/opt/ferry/cli.js']
const execStart = (unit: string) => unit.split('\n').find((line) => line.startsWith('ExecStart='))

describe('the unit of a holder', () => {
  it('holds by the same profile, values and folders, in words as systemd reads them', () => {
    const flags = ['--set', 'source.host=a b', '--set', 'name=50%$x"y', '--state-dir', '/srv/ferry']
    expect(execStart(systemdUnit({ name: 'w', path: '/etc/w.yaml' }, ferry, flags))).toBe(
      String.raw`ExecStart=/usr/bin/node /opt/ferry/cli.js hold /etc/w.yaml --foreground --set "source.host=a b" ` +
        String.raw`--set "name=50%%$$x\"y" --state-dir /srv/ferry`,
    )
  })

  it('needs a file', () => {
    expect(() => systemdUnit({ name: 'w', path: '-' }, ferry)).toThrow(
      expect.objectContaining({ code: 'hold/profile' }),
    )
  })
})
