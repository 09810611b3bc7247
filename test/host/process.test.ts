import { ChildProcess } from 'node:child_process'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { startProcess } from '../../src/host/process.js'

describe('a program that cannot be started at all', () => {
  afterEach(() => vi.restoreAllMocks())

  it('is sent no signal: without a pid it would go to every process of our own group', async () => {
    const kill = vi.spyOn(ChildProcess.prototype, 'kill').mockReturnValue(true)
    // Longer than the kernel takes: there is no process.
    const connection = startProcess('/bin/true', ['a'.repeat(1 << 18)], 'it')
    connection.kill('SIGTERM')
    expect(kill).not.toHaveBeenCalled()
    expect((await connection.ended).exitCode).toBeNull()
  })
})
