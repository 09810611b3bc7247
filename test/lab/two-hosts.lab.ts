// Two hosts in the guest: network namespaces with an sshd each, a link that delays and loses, and the lab's devices,
// half of them on either side.
import path from 'node:path'
import { afterAll, afterEach, describe, expect, it } from 'vitest'
import { LOAD, pair, type DmaGuest } from './dma-devices.js'
import { position } from './dma.js'
import { ferry, expectExit, type FerryRun, type RunResult } from './ferry.js'
import { fileURLToPath } from 'node:url'
import { DMA, shareGuest } from './shared-guest.js'
import { check, expectMoved, MIB, stage, unstage, writeReturn, type Workload } from './workload.js'

const REPO = fileURLToPath(new URL('../..', import.meta.url))
const HOSTS = path.join(REPO, 'test/two-hosts/hosts.sh')
const DIR = '/tmp/hosts'
const ENV = { FERRY_SSH: `${DIR}/ssh`, FERRY_STATE_DIR: `${DIR}/control`, XDG_RUNTIME_DIR: `${DIR}/run` }
const ADDRESS = { a: '10.77.3.1', b: '10.77.3.2' } as const
type Host = 'a' | 'b'

/** Where this checkout's helper is; `ferry doctor` has one copied. */
const helper = path.join(REPO, 'helper/target/release/ferry-helper')
const host = (side: Host): object => ({
  host: `ssh://root@node-${side}`,
  stateDir: `${DIR}/${side}/state`,
  helper,
})
const listening = (side: Host): object => ({ ...host(side), listen: `${ADDRESS[side]}:0` })
const memory = [{ name: 'ram', iova: 0n, bytes: 16n * MIB }]
/** Emulated processors are slow to answer; a link is not dead for that. */
const transport = { streams: 2, keepalive: '20s' }

describe('two hosts with real devices', () => {
  let lab: DmaGuest
  const netem = async (settings: string): Promise<void> => {
    for (const side of ['a', 'b']) {
      await lab.guest.ok(`ip netns exec h-${side} tc qdisc replace dev data root netem ${settings}`)
    }
  }
  const onControl = <R>(args: readonly string[]): Promise<FerryRun<R>> =>
    ferry<R>(lab.guest, args, ENV, {
      program: ['ip', 'netns', 'exec', 'h-c', 'ferry'],
      timeoutMs: 180_000,
    })
  const helpers = async (side: Host): Promise<number> =>
    Number(
      await lab.guest.ok(
        `for p in $(ip netns pids h-${side}); do tr '\\0' ' ' </proc/$p/cmdline; echo; done | grep -c 'ferry-helper --serve' || true`,
      ),
    )

  shareGuest(DMA, async (shared) => {
    lab = shared
    await lab.guest.ok(`mkdir -p ${DIR}/run && chmod 700 ${DIR}/run && ${HOSTS} up h ${DIR}`)
  })
  afterEach(async () => {
    for (const side of ['a', 'b']) {
      await lab.guest.run(`ip netns exec h-${side} tc qdisc del dev data root`)
      // What a failed test left held.
      await lab.guest.run(`pkill -KILL -x ferry-helper; true`)
    }
  })
  afterAll(async () => {
    await lab.guest.run(`${HOSTS} down h ${DIR}`)
    expect(lab.guest.kernelComplaints()).toEqual([])
  })

  const part = (kind: 'mdev' | 'logged-mdev' | 'edu' | 'dirty', name: string, slot: number, at: bigint) => ({
    ...{ name, ...pair(lab, kind) },
    program: { ...LOAD, slot, seed: slot + 1, window: at, bytes: 4n * MIB },
  })

  it('ferry doctor finds both ready', async () => {
    const run = await onControl<{ hosts?: unknown }>(['doctor', 'ssh://root@node-a', 'ssh://root@node-b'])
    expectExit(run, 0)
    expect(JSON.stringify(run.result)).toMatch(/"iommu/u)
  })

  it('an mdev, a function with a log and one with dirty bits move under load, over a slow link that loses', async () => {
    const workload: Workload = {
      ...{
        name: 'far',
        memory,
        transport,
        source: host('a'),
        destination: { ...listening('b'), then: 'close' },
      },
      parts: [
        part('mdev', 'pinned', 0, 2n * MIB),
        part('edu', 'edu', 1, 6n * MIB),
        part('dirty', 'dirty', 2, 10n * MIB),
      ],
    }
    const profile = await stage(lab.guest, workload)
    await netem('delay 15ms 3ms loss 1% rate 200mbit')
    const run = await onControl<RunResult>(['migrate', profile])
    await expectMoved(lab.guest, workload, run)
    // Two crossings of a link of 15 ms each way.
    const { roundTripUs } = run.result.report as unknown as { roundTripUs?: number }
    if (roundTripUs !== undefined) expect(roundTripUs).toBeGreaterThan(20_000)
    expect([await helpers('a'), await helpers('b')]).toEqual([0, 0])
    await unstage(lab.guest, workload)
  })

  it('goes from A to B and back three times between two holders', async () => {
    const workload: Workload = {
      ...{ name: 'round', memory, transport },
      source: { ...host('a'), from: 'holder' },
      destination: { ...listening('b'), then: 'hold' },
      parts: [part('logged-mdev', 'mdev', 0, 2n * MIB), part('dirty', 'dirty', 1, 8n * MIB)],
    }
    const there = await stage(lab.guest, workload)
    const back = await writeReturn(lab.guest, workload, {
      source: { ...host('b'), from: 'holder' },
      destination: { ...listening('a'), then: 'hold' },
    })
    const free = ['--set', 'releaseSource=on-commit']
    expectExit(await onControl(['hold', there]), 0)
    for (const profile of [there, back, there, back, there, back]) {
      expectExit(await onControl<RunResult>(['migrate', profile, ...free]), 0)
    }
    expect([await helpers('a'), await helpers('b')]).toEqual([1, 0])
    // Closed while it runs, a device keeps its program and its memory what it wrote.
    expectExit(await onControl(['release', '--hold', there]), 0)
    expect(await check(lab.guest, workload, 'source')).toMatchObject({ lostPages: 0, lost: [] })
    for (const { from, name, to } of workload.parts) {
      expect([name, (await position(lab.guest, from)) > 0, await position(lab.guest, to)]).toEqual([
        name,
        true,
        0,
      ])
    }
    await unstage(lab.guest, workload)
  })

  it.each(['type1', 'iommufd'] as const)(
    'hands out descriptors of %s that work, and starts a workload with them',
    async (backend) => {
      const kind = backend === 'type1' ? 'mdev' : 'logged-mdev'
      const said = `/tmp/said-${backend}`
      const script = `(echo "$$LISTEN_PID $$$$ $$LISTEN_FDNAMES"; ls -l /proc/$$$$/fd) > ${said}.part; mv ${said}.part ${said}`
      const workload: Workload = {
        ...{ name: `out-${backend}`, memory, transport },
        source: { ...host('a'), from: 'holder' },
        destination: { ...listening('b'), then: { exec: ['/bin/sh', '-c', script] } },
        parts: [{ ...part(kind, 'mdev', 0, 2n * MIB), backend }],
      }
      const profile = await stage(lab.guest, workload)
      const socket = `${DIR}/out/${backend}.sock`
      const given = ['--set', `handOut.socket=${socket}`, '--set', 'handOut.uid=4321']
      await lab.guest.ok(`mkdir -p ${DIR}/out && chmod 755 ${DIR} ${DIR}/out`)
      expectExit(await onControl(['hold', profile, ...given]), 0)
      const take = `${DIR}/out/take-descriptors`
      await lab.guest.ok(`cc -O2 -o ${take} ${REPO}/profiles/examples/take-descriptors.c`)
      const as = (uid: number) =>
        lab.guest.run(
          `setpriv --reuid=${String(uid)} --regid=${String(uid)} --clear-groups ${take} ${socket}`,
        )
      const taken = await as(4321)
      expect([taken.exit, taken.stderr]).toEqual([0, ''])
      expect(taken.stdout).toMatch(
        /device-mdev \(device\)\n\s+region 0: \d+ bytes, register 0x0: 0x[\da-f]{8}/u,
      )
      expect(taken.stdout).toMatch(
        /memory-ram \(memory\)\n\s+16777216 bytes at IOVA 0x0, first bytes [\da-f]{32}/u,
      )
      expect(taken.stdout).toMatch(
        backend === 'type1' ? /container-\S+ \(container\)/u : /iommufd-\S+ \(iommufd\)/u,
      )
      expect((await as(4322)).exit).not.toBe(0)
      expectExit(
        await onControl<RunResult>(['migrate', profile, ...given, '--set', 'releaseSource=on-commit']),
        0,
      )
      const [first = '', ...links] = (
        await lab.guest.ok(`for i in $(seq 100); do [ -e ${said} ] && break; sleep 0.1; done; cat ${said}`)
      ).split('\n')
      const [listenPid, pid, names] = first.split(' ')
      expect(listenPid).toBe(pid)
      expect(names).toContain('device-mdev')
      expect(names).toContain('memory-ram')
      expect(links.join('\n')).toContain('vfio')
      expect([await helpers('a'), await helpers('b')]).toEqual([0, 0])
      await unstage(lab.guest, workload)
    },
  )
})
