import { describe, expect, it } from 'vitest'
import {
  explainHelper,
  explainSsh,
  explainSudo,
  isSshFailure,
  serverAlive,
  sshArguments,
} from '../../src/host/ssh.js'

const SHARED = { controlPath: '/run/user/1000/ferry-x/1', keepaliveMs: 6000 }

describe('sshArguments', () => {
  it('never asks, opens no terminal, and leaves keys and known_hosts to the operator', () => {
    const args = sshArguments('ssh://ops@node-b:2222', 'uname', { ...SHARED, master: true })
    expect(args[0]).toBe('-T')
    expect(args).toContain('BatchMode=yes')
    expect(args.slice(-3)).toEqual(['--', 'ssh://ops@node-b:2222', 'uname'])
    expect(args.join(' ')).not.toMatch(/StrictHostKey|KnownHosts|Identity|-F /u)
  })
  it.each([
    ['ssh://ops@[2001:db8::7]:2222', ['-p', '2222', '--', 'ops@2001:db8::7']],
    ['ssh://[2001:db8::7]', ['--', '2001:db8::7']],
    ['ops@[fe80::7%eth0]', ['--', 'ops@fe80::7%eth0']],
    ['ops@2001:db8::7', ['--', 'ops@2001:db8::7']],
  ])('gives ssh the IPv6 address of %s as it reads one', (host, expected) => {
    const args = sshArguments(host, 'uname', { ...SHARED, master: true })
    expect(args.slice(-expected.length - 1)).toEqual([...expected, 'uname'])
  })

  it('makes one connection, and takes part in it', () => {
    const [makes, takes] = [true, false].map((master) => sshArguments('b', 'true', { ...SHARED, master }))
    expect(makes).toContain('ControlMaster=yes')
    expect(takes).toContain('ControlMaster=no')
    for (const args of [makes, takes]) {
      expect(args).toContain(`ControlPath=${SHARED.controlPath}`)
      expect(args).toContain('ControlPersist=no')
      expect(args).toContain('ClearAllForwardings=yes')
    }
  })
})

describe('serverAlive', () => {
  it.each([500, 1999, 2000, 3000, 6000, 7500, 20_000, 60_000])(
    'notices a dead host within %d ms, but never below two seconds',
    (keepaliveMs) => {
      const { count, interval } = serverAlive(keepaliveMs)
      expect(Math.min(count, interval)).toBeGreaterThanOrEqual(1)
      expect(interval * (count + 1) * 1000).toBeLessThanOrEqual(Math.max(2000, keepaliveMs))
    },
  )
})

describe('explainSsh', () => {
  it.each([
    ['Host key verification failed.', 'host key'],
    ['ops@node-b: Permission denied (publickey).', 'login refused'],
    ['ssh: Could not resolve hostname node-b: Name or service not known', 'does not resolve'],
    ['ssh: connect to host node-b port 22: Connection refused', 'nothing answers'],
    ['ssh: connect to host node-b port 22: Connection timed out', 'cannot be reached'],
    ['ssh: connect to host node-b port 22: No route to host', 'cannot be reached'],
    ['Timeout, server node-b not responding.', 'broke'],
    ['Connection to 192.0.2.7 closed by remote host.', 'broke'],
    ['client_loop: send disconnect: Broken pipe', 'broke'],
    ['mux_client_request_session: read from master failed: Broken pipe', 'broke'],
    ['/home/ops/.ssh/config: line 3: Bad configuration option: hostnam', 'configuration'],
    ['something new', 'ssh failed'],
  ])('names %s', (stderr, named) => {
    const found = explainSsh('node-b', 255, [stderr])
    expect(found).toMatchObject({ code: 'link/ssh', message: expect.stringContaining(named) })
    expect(found?.suggestion).not.toContain('HOST')
  })

  it('leaves a command’s own status alone', () => {
    for (const status of [0, 1, 127, null]) expect(explainSsh('node-b', status, ['Broken pipe'])).toBeNull()
    expect(isSshFailure(['mux_client_hello_exchange: write packet: Broken pipe'])).toBe(true)
    expect(isSshFailure(['drain: no such service'])).toBe(false)
  })
})

describe('explainHelper', () => {
  const target = { host: 'node-b', helper: '/opt/ferry-helper' }
  it.each([
    ['a helper that is not there', target, 127, 'sh: 1: /opt/ferry-helper: not found', 'helper/missing'],
    ['one that may not run', target, 126, 'Permission denied', 'helper/missing'],
    ['an older C library', target, 1, "version `GLIBC_2.38' not found", 'helper/missing'],
    ['no one at the socket', { ...target, attach: '/s' }, 3, 'attach: /s: Connection refused', 'holder/none'],
    ['a password', { ...target, become: 'sudo' as const }, 1, 'sudo: a password is required', 'link/sudo'],
    ['a rule', { ...target, become: 'sudo' as const }, 1, 'Sorry, user ops is not allowed to', 'link/sudo'],
    ['no sudo', { ...target, become: 'sudo' as const }, 127, 'bash: sudo: command not found', 'link/sudo'],
  ])('knows %s', (_, what, status, stderr, code) => {
    expect(explainHelper(what, status, [stderr])).toMatchObject({ code })
  })

  it('leaves the helper’s own ends alone', () => {
    expect(explainHelper(target, 1, ['panicked'])).toBeNull()
    expect(explainHelper(target, 3, ['attach: /s'])).toBeNull()
    expect(explainHelper({ ...target, attach: '/s' }, 3, ['something else'])).toBeNull()
    expect(explainSudo('node-b', ['ferry-helper: cannot give up capabilities'])).toBeNull()
  })
})
