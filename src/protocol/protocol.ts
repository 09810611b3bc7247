import type {
  HelloParams,
  HelloReply,
  InventoryParams,
  InventoryReply,
  RouteParams,
  RouteReply,
} from './facts.js'
import type {
  ClaimParams,
  ClaimReply,
  ContainerParams,
  DeviceParams,
  DeviceReply,
  DirtyReply,
  ExecParams,
  ExecReply,
  MapParams,
  MapReply,
  MemoryParams,
  MemoryReply,
  ReleaseParams,
  StayParams,
  TrackParams,
  TrackReply,
  UnmapParams,
} from './set-up-messages.js'
import type {
  CheckReply,
  ConnectParams,
  ConnectReply,
  ContinueParams,
  CutoverParams,
  CutoverReply,
  ListenParams,
  ListenReply,
  PrecopyParams,
  PrecopyReply,
  ReceiveReply,
  RecordParams,
  RecordReply,
  RollbackParams,
  RollbackReply,
  StatusReply,
  TuneParams,
} from './transfer-messages.js'

export type * from './words.js'
export type * from './facts.js'
export type * from './set-up-messages.js'
export type * from './transfer-messages.js'
export type * from './helper-event.js'

/**
 * The control protocol between `ferry` and `ferry-helper`: NDJSON over the helper's stdin and stdout.
 *
 *   request  {"id":7,"op":"map","run":"…","epoch":1,"params":{…}}
 *   reply    {"id":7,"ok":{…}}  or  {"id":7,"error":{code,message,…}}   (id null when the line was unreadable)
 *   event    {"event":"round",…}
 *
 * Its twin is helper/base/src/message/; test/protocol/protocol-samples.ndjson is parsed by both sides' tests.
 * Byte counts travel as decimal strings and IOVAs as "0x…" strings, because JSON numbers round above 2^53.
 * Durations are integers in microseconds, named …Us.
 */
export { OLDEST_PROTOCOL_VERSION, PROTOCOL_VERSION, needsNewer } from './versions.js'
/** Longest control line either side accepts, in bytes. */
export const MAX_LINE_BYTES = 1024 * 1024

type Empty = Readonly<Record<string, never>>

/** Every request: its parameters and its reply. */
export interface Requests {
  readonly hello: { params: HelloParams; reply: HelloReply }
  readonly inventory: { params: InventoryParams; reply: InventoryReply }
  readonly claim: { params: ClaimParams; reply: ClaimReply }
  readonly memory: { params: MemoryParams; reply: MemoryReply }
  readonly container: { params: ContainerParams; reply: Empty }
  readonly device: { params: DeviceParams; reply: DeviceReply }
  readonly map: { params: MapParams; reply: MapReply }
  readonly unmap: { params: UnmapParams; reply: Empty }
  readonly track: { params: TrackParams; reply: TrackReply }
  readonly dirty: { params: Empty; reply: DirtyReply }
  readonly untrack: { params: Empty; reply: Empty }
  readonly listen: { params: ListenParams; reply: ListenReply }
  readonly connect: { params: ConnectParams; reply: ConnectReply }
  readonly receive: { params: Empty; reply: ReceiveReply }
  readonly precopy: { params: PrecopyParams; reply: PrecopyReply }
  readonly cutover: { params: CutoverParams; reply: CutoverReply }
  readonly rollback: { params: RollbackParams; reply: RollbackReply }
  readonly check: { params: Empty; reply: CheckReply }
  readonly release: { params: ReleaseParams; reply: Empty }
  readonly status: { params: Empty; reply: StatusReply }
  readonly cancel: { params: Empty; reply: Empty }
  /** Says only that the owner is there. */
  readonly ping: { params: Empty; reply: Empty }
  readonly route: { params: RouteParams; reply: RouteReply }
  /** A listener of no run, open for ten seconds, for the peer's `probe`. Both are answered at any time. */
  readonly 'expect-probe': { params: ListenParams; reply: ListenReply }
  readonly probe: { params: ConnectParams; reply: ConnectReply }
  readonly tune: { params: TuneParams; reply: Empty }
  /** Ends the hold of `precopy`. Answered at once. */
  readonly proceed: { params: Empty; reply: Empty }
  /** This owner goes on with a run that another one began; refused once the run was asked to stop or to go back. */
  readonly 'take-up': { params: Empty; reply: Empty }
  readonly continue: { params: ContinueParams; reply: Empty }
  readonly stay: { params: StayParams; reply: Empty }
  readonly exec: { params: ExecParams; reply: ExecReply }
  /** A waiting destination: the owner has seen that the source recorded COMMIT and is gone. Everything runs here. */
  readonly finish: { params: Empty; reply: ReceiveReply }
  readonly record: { params: RecordParams; reply: RecordReply }
}
export type Op = keyof Requests
