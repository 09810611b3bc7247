import type { SimSpec } from '../protocol/protocol.js'
import type { DeviceRef, Profile, Sim } from '../profile/profile.js'

/** A profile's simulated device as the helper wants it: byte counts as decimal strings, IOVAs as 0x strings. */
export function simSpec(sim: Sim): SimSpec {
  return {
    model: sim.model,
    flags: sim.flags,
    trackers: sim.trackers,
    stateBytes: sim.stateBytes.toString(),
    precopyBytes: sim.precopyBytes.toString(),
    ...(sim.stateBytesPerSecond === null ? {} : { stateBytesPerSecond: sim.stateBytesPerSecond.toString() }),
    seed: sim.seed,
    window: { iova: iovaText(sim.window.iova), bytes: sim.window.bytes.toString() },
    writeBytesPerSecond: sim.writeBytesPerSecond.toString(),
    pattern: sim.pattern,
    latencyUs: sim.latencyUs,
    faults: sim.faults,
  }
}

/** The simulated devices a profile declares on one side, by the name the inventory lists them under. */
export function simDevices(
  profile: Profile,
  side: 'source' | 'destination',
): readonly { readonly name: string; readonly spec: SimSpec }[] {
  return profile.devices.flatMap((device) => {
    const ref: DeviceRef = device[side]
    return ref.kind === 'sim' ? [{ name: device.name, spec: simSpec(ref.sim) }] : []
  })
}

/** An IOVA as the protocol spells it. */
export function iovaText(iova: bigint): string {
  return `0x${iova.toString(16)}`
}
