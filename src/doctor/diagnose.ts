/** All hosts at once, and what only two of them together can tell. */
import type { Profile } from '../profile/profile.js'
import { LAYERS, ok, warn, type Check, type Diagnosis, type HostReport } from './check.js'
import { dataChecks } from './data-checks.js'
import { CLOCK_US, examine, type Examined, type ExamineOptions } from './examine.js'
import { unfinishedCheck } from './room-checks.js'
import { duration } from '../units.js'
import type { ExaminedHost } from './examined-host.js'

/**
 * @param profile whose two sides the hosts are; null: hosts that have nothing to do with each other.
 * @param unfinished runs of this ferry that were left behind; null: not looked for.
 */
export async function diagnose(
  hosts: readonly ExaminedHost[],
  profile: Profile | null,
  options: ExamineOptions,
  unfinished: readonly string[] | null = null,
): Promise<Diagnosis> {
  const examined = await Promise.all(hosts.map((subject) => examine(subject, options)))
  try {
    const source = examined.find(({ subject }) => subject.sides.includes('source'))
    const destination = examined.find(({ subject }) => subject.sides.includes('destination'))
    const together =
      profile === null || source === undefined || destination === undefined || source === destination
        ? []
        : await pairChecks(profile, source, destination)
    const left = unfinished === null ? [] : [unfinishedCheck(unfinished)]
    const hosts = examined.map(({ report, subject }) =>
      withChecks(report, [
        ...(report === destination?.report ? together : []),
        ...(subject.spec.host === 'local' ? left : []),
      ]),
    )
    return { hosts, sound: !hosts.some(({ checks }) => checks.some(({ level }) => level === 'fail')) }
  } finally {
    await Promise.all(examined.flatMap(({ client }) => (client === null ? [] : [client.close()])))
  }
}

function withChecks(report: HostReport, more: readonly Check[]): HostReport {
  const checks = [...report.checks, ...more]
  return { ...report, checks: checks.sort((a, b) => LAYERS.indexOf(a.layer) - LAYERS.indexOf(b.layer)) }
}

/** Shown with the destination, which is where the source has to come. */
async function pairChecks(
  profile: Profile,
  source: Examined,
  destination: Examined,
): Promise<readonly Check[]> {
  return [
    ...buildCheck(source, destination),
    ...clockCheck(source, destination),
    ...(await dataChecks(profile, source, destination)),
  ]
}

function buildCheck(source: Examined, destination: Examined): readonly Check[] {
  const builds = [source, destination].map(({ client }) => client?.helloReply.build)
  if (builds.includes(undefined) || builds[0] === builds[1]) return []
  return [
    warn(
      'helper',
      'build-differs',
      'the two sides’ helpers are different builds that speak one protocol',
      'leave `helper:` out on both sides, and ferry brings its own to both',
    ),
  ]
}

function clockCheck(source: Examined, destination: Examined): readonly Check[] {
  const [a, b] = [source.clock, destination.clock]
  if (a === null || b === null) return []
  const apartUs = Math.abs(a.aheadUs - b.aheadUs)
  const doubtUs = (a.roundTripUs + b.roundTripUs) / 2
  const found = `the clocks of source and destination are ${duration(apartUs)} apart, give or take ${duration(doubtUs)}`
  if (apartUs - doubtUs <= CLOCK_US) return [ok('clock', 'clocks', found)]
  return [warn('clock', 'clocks', found, 'set both by NTP: times in their records will not agree')]
}
