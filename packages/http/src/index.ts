export { type ConsoleRules, consoleToken, isLoopback, isLoopbackName, mayUseConsole, secretMatches } from "./access/access.ts";
export { type MayPublish, mayPublish, newlyOpen, newlyOpenPages, openAccess, openToClients, whoPublishes } from "./access/may-publish.ts";
export { type AllowedOrigins, allowedOrigins, hostName, isCrossSite, isSameOrigin, originAllowed } from "./access/origin.ts";
export { cookieIn, tokenIn } from "./access/raw-token.ts";
export { AdminAccess, type AdminRequestCounts, plainAdminWarning } from "./admin/admin-access.ts";
export {
	type AdminAnswer,
	type AdminCall,
	adminBodyBytesMax,
	adminPaths,
	adminRoutes,
	adminVersionHeader,
} from "./admin/admin-routes.ts";
export { clusterRoutes, stateRoutes } from "./cluster-routes.ts";
export { consoleRoutes, gatewayConsoleRoutes } from "./console/console-routes.ts";
export { GrowingBytes } from "./growing-bytes.ts";
export { describedMethods, openApiDocument, openApiRoute } from "./openapi/document.ts";
export { fieldsOf, type Schema } from "./openapi/schema.ts";
export { localProxyHeader, proxyHeader, proxyHeaderBytesMax, readProxyHeader } from "./proxy/proxy-header.ts";
export { plainAddress, TrustedProxies } from "./proxy/trusted-proxies.ts";
export { type ErrorCode, httpErrors } from "./routing/errors.ts";
export { dividedTarget, nodeRequest, sendNodeReply, withNodeBody } from "./routing/node-request.ts";
export { queryProblem } from "./routing/query.ts";
export {
	headerPairs,
	isBodiless,
	json,
	jsonLine,
	jsonType,
	originRefused,
	type Reply,
	refusal,
	replyBytes,
	statusLine,
} from "./routing/reply.ts";
export type { ForwardedAddress, HttpRequest } from "./routing/request.ts";
export type { AnswerRoute, BodyHandler, BodyRoute, Route, StreamRoute } from "./routing/route.ts";
export { BodyNeeded, type BodyProblem, noStore, Router, type RouterRules, StreamNeeded } from "./routing/router.ts";
export { type ReplyStream, type StreamPath, type StreamStart, streamPaths } from "./routing/stream.ts";
export { type WebSocketPath, webSocketPaths } from "./routing/web-sockets.ts";
export {
	type AssignedSession,
	type AssignRequest,
	type ClientRequest,
	canonicalAddress,
	NodeSelection,
	UnknownNode,
} from "./select-route.ts";
export type { FindSessions } from "./session-batches.ts";
