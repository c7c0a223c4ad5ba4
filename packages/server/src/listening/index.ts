/** What another program of this project needs to serve WebSocket clients as a shard does: with its limits, tokens, TLS and guards. */
export { closeAll } from "../lifecycle/drain.ts";
export { limitByFiles } from "../lifecycle/limit-by-files.ts";
export { LiveConfig } from "../lifecycle/live-config.ts";
export { ShardHeartbeat } from "../lifecycle/shard-heartbeat.ts";
export { type AdmittedClient, noAddressSlot } from "../limits/admission.ts";
export { type Admitted, ConnectionCheck } from "../limits/connection-check.ts";
export { type CountedUser, UserLimit } from "../limits/user-limit.ts";
export { ShardRevocations } from "../sessions/centrifuge/tokens/shard-revocations.ts";
export type { TokenId } from "../sessions/centrifuge/tokens/token-id.ts";
export { revokedReply } from "../sessions/raw/revoked-reply.ts";
export type { Connecting, PendingConnect, Session, SessionFactory, TransportLimits } from "../sessions/session.ts";
export { Sent, type TopicTransport } from "../transports/transport.ts";
export type { UpgradeRequest } from "../transports/upgrade-request.ts";
export { Listener } from "../transports/websocket/listener.ts";
export { ClientTokens } from "./client-tokens.ts";
