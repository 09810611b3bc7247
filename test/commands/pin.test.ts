import { describe, expect, it } from 'vitest'
import { scene } from '../support/fake-scene.js'

describe('ferry pin', () => {
  it('pins on the source alone, reports time, pages, rate and memlock, and unpins', async () => {
    const { requests, start } = scene()
    const { exitCode, stdout } = await start('pin')
    expect(exitCode).toBe(0)
    expect(stdout).toMatch(/CONTAINER +SIZE +PAGES +MAPS +TIME +RATE +LOCKED/u)
    expect(stdout).toContain('16 384')
    expect(stdout).toContain('locked memory: 128 MiB of the 128 MiB that RLIMIT_MEMLOCK allows (100 %)')
    expect(requests().some((line) => line.startsWith('destination'))).toBe(false)
    const tail = requests().slice(requests().indexOf('source unmap'))
    expect(tail).toEqual(['source unmap', 'source unmap', 'source status', 'source release', 'source eof'])
  })

  it('gives scripts the figures unrounded', async () => {
    const { stdout } = await scene().start('pin', '--json')
    const { result } = JSON.parse(stdout)
    expect(result.memlockBytes).toBe('134217728')
    expect(result.report.pins[0]).toMatchObject({ bytes: '67108864', pages: 16_384, elapsedUs: 2000 })
  })

  it('that does not get its memory puts everything back and says why', async () => {
    const error = {
      code: 'iommu/memlock',
      message: 'not allowed to lock that much',
      suggestion: 'raise memlock',
    }
    const { requests, start } = scene({ source: { map: [{}, { error }] } })
    const { exitCode, stderr } = await start('pin')
    expect(exitCode).toBe(5)
    expect(stderr).toContain('error[iommu/memlock]')
    expect(stderr).toContain('raise memlock')
    expect(requests().filter((line) => line === 'source unmap')).toHaveLength(1)
  })
})
