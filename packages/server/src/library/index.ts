/** shardcast as a library: a server in the application's process. `import { createServer } from "shardcast"`. */
export { type Config, defaultConfig } from "@shardcast/config";
export type { ScaleEvent, UserTarget } from "@shardcast/control";
export type { Log } from "@shardcast/telemetry";
export { type Position, type PublishAccepted, type PublishRefused, type PublishResult, RecordKind } from "@shardcast/wire";
export type { MessageContext, MessageHandler, Middleware, Next } from "../delivery/incoming/middleware.ts";
export type { Rebalance, RebalanceOptions } from "../nodes/rebalance.ts";
export {
	type Caller,
	type ClientMessage,
	type ClientMessageHandler,
	type RpcCall,
	RpcError,
	type RpcHandler,
} from "../sessions/centrifuge/client-handlers.ts";
export type { Connection } from "./connections.ts";
export type { Control } from "./control.ts";
export type { DebugProbe } from "./debug-probes.ts";
export type { Message } from "./message.ts";
export type { MetricSample, MetricSink } from "./metric-sink.ts";
export { type LoggingOptions, logging } from "./middleware-logging.ts";
export { type RecoveryOptions, recovery } from "./middleware-recovery.ts";
export { reloadableKeys } from "./reload.ts";
export {
	createServer,
	type PublishTarget,
	type SelectNodeOptions,
	type Server,
	type ServerEvents,
	type ServerOptions,
	type Session,
} from "./server.ts";
export type { BlockOptions, RefreshOptions, SubscribeOptions, Users } from "./users.ts";
