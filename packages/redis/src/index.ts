export type { Argument, MessageListener } from "./connection.ts";
export { type Outcome, Redis, type SendOptions } from "./redis.ts";
export { RedisError, type RedisErrorKind } from "./redis-error.ts";
export type { RedisOptions } from "./redis-options.ts";
export { Script } from "./script.ts";
export type { ServerInfo } from "./server-info.ts";
