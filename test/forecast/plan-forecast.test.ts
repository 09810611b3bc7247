import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { estimateTerms } from '../../src/forecast/estimate.js'
import { forecastBefore, planForecast } from '../../src/forecast/plan-forecast.js'
import type { Sample } from '../../src/forecast/sample.js'
import { basisText } from '../../src/ui/forecast-text.js'
import { plan as planFor } from '../plan/hosts.js'
import { MIB, profile, simDevice } from '../plan/profiles.js'
import { temporaryFolder } from '../support/temporary-folder.js'

const plan = planFor(profile([simDevice('vgpu', { latencyUs: { STOP_COPY: 700 } })]))
const sample = (misfits: Sample['misfits']) =>
  ({ run: 'r', misfits, estimate: { blackoutUs: 5000.4 } }) as Sample

describe('the blackout before the run', () => {
  it('is at least the transitions and what has to be sent, at the bandwidth taken', () => {
    const { floorBytes, stateBytes } = plan.forecast
    expect([floorBytes, stateBytes]).toEqual([4n * MIB, 8n * MIB])
    const forecast = planForecast(plan, estimateTerms(12n * MIB, null, 300), null)
    expect(forecast).toEqual({
      atLeastUs: 1_000_000 + 700,
      expectedUs: null,
      basis: { bandwidth: String(12n * MIB), assumed: false, sample: null },
    })
  })

  it('is expected from a dirty-log only when that fits the plan', () => {
    const terms = estimateTerms(null, null, 300)
    expect(planForecast(plan, terms, sample([]))).toMatchObject({ expectedUs: 5000, basis: { sample: 'r' } })
    const misfit = sample([{ what: 'devices', text: 'other devices' }])
    expect(planForecast(plan, terms, misfit)).toMatchObject({ expectedUs: null, basis: { sample: null } })
  })

  it('says what it rests on', () => {
    const text = (bandwidth: bigint | null, found: Sample | null) =>
      basisText(planForecast(plan, estimateTerms(null, bandwidth, 300), found))
    expect(text(null, null)).toBe('1.00 GiB/s assumed, no dirty-log')
    expect(text(10n * MIB, sample([]))).toBe('10.0 MiB/s by the profile, dirty-log r')
  })

  it('needs no folder of journals', () => {
    const stateDir = join(temporaryFolder(), 'none')
    expect(forecastBefore(plan, { stateDir, bandwidth: null, downtimeLimitMs: 300 }).expectedUs).toBeNull()
  })
})
