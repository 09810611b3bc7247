/** The two sides of a run as a recovery works with them: how they are reached, and what was found there. */
import type { SideAddresses } from '../journal/event.js'
import type { Helper } from '../phases/phase.js'
import type { HelperClient } from '../link/client.js'
import type { HelperErrorBody, Role } from '../protocol/protocol.js'

/** A helper as the recovery needs it. */
export type Client = Pick<HelperClient, 'request' | 'bind' | 'close' | 'alive'>
/** One that can carry a run to its end. */
export type WholeClient = Client & Helper
export interface Found<F extends string = string> {
  readonly found: F
  /** Null when the side cannot be reached. */
  readonly client: Client | null
  readonly problems: readonly HelperErrorBody[]
  /** Its helper is in the run, before the stop: its devices run, and it has still to go back. */
  readonly beforeStop?: true
}

/** How both sides are reached: `attach` null when no helper answers at the socket, `open` starts a helper of its own. */
export interface Reach {
  attach(side: Role, address: SideAddresses['source'], socket: string): Promise<Found['client']>
  open(side: Role, address: SideAddresses['source']): Promise<Found['client']>
}
