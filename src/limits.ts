/** Figures that several folders go by. */

/** sun_path of unix(7) holds 108 bytes with the NUL that ends it. */
export const SOCKET_PATH_BYTES = 107
/** A host that is gone is noticed within this time, where no profile says another. */
export const DEFAULT_KEEPALIVE_MS = 6000
