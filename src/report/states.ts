import type { DeviceReply, DeviceState, Role, RollbackReply } from '../protocol/protocol.js'
import type { EventRecord } from '../journal/event.js'

/** The last state each side told of a device: by an event, or in the reply to `device`, `rollback` or `status`. */
export function lastStates(
  records: readonly EventRecord[],
): (side: Role, device: string) => DeviceState | null {
  const states = new Map<string, DeviceState>()
  const intents = new Map<number, { readonly side: Role; readonly op: string; readonly params: unknown }>()
  for (const { body } of records) {
    if (body.type === 'intent') intents.set(body.step, body)
    if (body.type === 'helper' && body.event.event === 'device-state') {
      states.set(`${body.side} ${body.event.device}`, body.event.to)
    }
    if (body.type !== 'outcome' || !body.ok) continue
    const intent = intents.get(body.step)
    if (intent?.op === 'device') {
      const { device } = intent.params as { device: string }
      states.set(`${intent.side} ${device}`, (body.reply as DeviceReply).state)
    }
    if (intent?.op === 'rollback' || intent?.op === 'status') {
      for (const { device, state } of (body.reply as RollbackReply).devices) {
        states.set(`${intent.side} ${device}`, state)
      }
    }
  }
  return (side, device) => states.get(`${side} ${device}`) ?? null
}
