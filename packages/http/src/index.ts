export { isLoopback, isLoopbackName, mayUseConsole, secretMatches } from "./access.ts";
export { GrowingBytes } from "./growing-bytes.ts";
export { type MayPublish, mayPublish, whoPublishes } from "./may-publish.ts";
export { type AllowedOrigins, allowedOrigins, hostName, isOwnPage, originAllowed } from "./origin.ts";
export { shuttingDown } from "./shutting-down.ts";
