export { type ConsoleRules, consoleToken, isLoopback, isLoopbackName, mayUseConsole, secretMatches } from "./access.ts";
export { type ClusterRoutesParts, clusterRoutes } from "./cluster-routes.ts";
export { consoleRoutes } from "./console/console-routes.ts";
export { type ErrorCode, httpErrors } from "./errors.ts";
export { GrowingBytes } from "./growing-bytes.ts";
export { type MayPublish, mayPublish, newlyOpen, openAccess, openToClients, whoPublishes } from "./may-publish.ts";
export { describedMethods, openApiDocument, openApiRoute } from "./openapi/document.ts";
export { fieldsOf, type Schema } from "./openapi/schema.ts";
export { type AllowedOrigins, allowedOrigins, hostName, isCrossSite, isSameOrigin, originAllowed } from "./origin.ts";
export { type ProxyHeader, proxyHeader, proxyHeaderBytesMax, readProxyHeader } from "./proxy-header.ts";
export { queryProblem } from "./query.ts";
export {
	headerPairs,
	isBodiless,
	json,
	jsonLine,
	jsonType,
	originRefused,
	type RefusalOptions,
	type Reply,
	refusal,
	replyBytes,
	statusLine,
} from "./reply.ts";
export type { ForwardedAddress, HttpRequest } from "./request.ts";
export type { AnswerRoute, BodyHandler, BodyRoute, Route, StreamRoute } from "./route.ts";
export { BodyNeeded, type BodyProblem, noStore, type RouteResult, Router, type RouterRules, StreamNeeded } from "./router.ts";
export { type ReplyStream, type StreamStart, streamPaths } from "./stream.ts";
export { plainAddress, TrustedProxies } from "./trusted-proxies.ts";
