import type { ConnectionClaims } from "../centrifuge/tokens/connection-token.ts";

/** Who a client of the raw endpoint is, according to its token. */
export type RawIdentity = Pick<ConnectionClaims, "user" | "info" | "expiresAt" | "subscriptions" | "token">;
