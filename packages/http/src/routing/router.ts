import { allowHeader, optionsReply, withCors } from "../access/cross-origin.ts";
import { type AllowedOrigins, allowsAll, isCrossSite, originAllowed } from "../access/origin.ts";
import { queryProblem } from "./query.ts";
import { originRefused, type Reply, refusal } from "./reply.ts";
import type { HttpRequest } from "./request.ts";
import type { AnswerRoute, BodyHandler, BodyRoute, Route, StreamRoute } from "./route.ts";
import type { StreamStart } from "./stream.ts";

/** Why a body was not read to its end. */
export type BodyProblem = "too_large" | "too_slow" | "unavailable";

/** The next step for a request; a reply is complete. The other kinds occur only with such routes. */
type RouteResult<R extends Route = Route> =
	| Reply
	| Promise<Reply>
	| (R extends BodyRoute ? BodyNeeded : never)
	| (R extends StreamRoute ? StreamNeeded : never);

interface PathRoutes {
	readonly any: Route | undefined;
	readonly get: Route | undefined;
	readonly post: Route | undefined;
	readonly methods: readonly string[];
	readonly forPages: boolean;
	readonly withCredentials: boolean;
	readonly keepAlive: boolean;
}

/** Called for each request. */
export interface RouterRules {
	readonly allowedOrigins: AllowedOrigins;
}

/**
 * Finds the handler of a request. Answers 404, 405 with Allow, OPTIONS and CORS itself, for the balancer and the shards alike. It does not know
 * sockets: the caller reads the body or opens the stream, and sends the reply.
 *
 * A request costs one look-up. Only its handler allocates.
 */
export class Router<R extends Route = Route> {
	/** Longest body of all routes; 0 = no route takes a body. */
	readonly bodyBytesMax: number;
	readonly #paths = new Map<string, PathRoutes>();
	/** Where WebSockets are, for people; "" = nowhere. */
	readonly #webSockets: string;
	readonly #rules: RouterRules;

	/** @throws Error when two routes are for the same path and method. */
	constructor(routes: readonly R[], rules: RouterRules) {
		this.#rules = rules;
		this.bodyBytesMax = Math.max(0, ...routes.map((route) => (route.kind === "body" ? route.bodyBytesMax : 0)));
		this.#webSockets = [...new Set(routes.filter(({ method }) => method === undefined).map(({ path }) => path))].join(", ");
		for (const path of new Set(routes.map((route) => route.path))) {
			const here = routes.filter((route) => route.path === path);
			const get = only(here, "GET");
			const post = only(here, "POST");
			const any = only(here, undefined);
			this.#paths.set(path, {
				any,
				get,
				post,
				methods: [
					...(any === undefined ? [] : ["GET"]),
					...(get === undefined ? [] : ["GET", "HEAD"]),
					...(post === undefined ? [] : ["POST"]),
				],
				forPages: here.some((route) => route.forPages === true),
				withCredentials: here.some((route) => route.withCredentials === true),
				keepAlive: here.some((route) => route.keepAlive === true),
			});
		}
	}

	/** Paths of all routes. */
	get paths(): string[] {
		return [...this.#paths.keys()];
	}

	route(request: HttpRequest): RouteResult<R> {
		return this.#route(request) as RouteResult<R>;
	}

	/** The answer to a page that may not send this request; null = it may, or the request is not from a page. */
	#foreign(origin: string, request: HttpRequest): Reply | null {
		const { allowedOrigins } = this.#rules;
		if (origin !== "") {
			const host = request.header("host");
			return originAllowed(origin, host, allowedOrigins) ? null : originRefused(origin, host);
		}
		if (!isCrossSite(request.header("sec-fetch-site")) || allowsAll(allowedOrigins)) return null;
		return originRefused("other sites", request.header("host"));
	}

	#nothingAt(request: HttpRequest): Reply {
		const what = `there is nothing at ${request.method.slice(0, 20)} ${request.path.slice(0, 200)}`;
		const isWebSocket = this.#webSockets !== "" && request.header("upgrade").toLowerCase() === "websocket";
		return refusal("not_found", isWebSocket ? `${what}; WebSockets connect to ${this.#webSockets}` : what);
	}

	#route(request: HttpRequest): RouteResult {
		const { method } = request;
		const here = this.#paths.get(request.path);
		if (here === undefined) return this.#nothingAt(request);
		const origin = here.forPages ? request.header("origin") : "";
		const refused = here.forPages ? this.#foreign(origin, request) : null;
		if (refused !== null) return refused;
		const route = method === "OPTIONS" ? undefined : routeFor(method, here);
		if (route === undefined) return withCors(origin, notFor(request, here), here.withCredentials);
		const problem = route.query === undefined ? null : queryProblem(request.query, route.query);
		if (problem !== null) return finish(route, origin, refusal("bad_request", problem));
		switch (route.kind) {
			case "answer":
				return finish(route, origin, route.answer(request));
			case "body":
				return readBody(route, origin, request);
			case "stream":
				return openStream(route, origin, request);
			default:
				return route satisfies never;
		}
	}
}

/** The next step: the body must be read. */
export class BodyNeeded {
	readonly #route: BodyRoute;
	readonly #origin: string;
	readonly #take: BodyHandler;

	constructor(route: BodyRoute, origin: string, take: BodyHandler) {
		this.#route = route;
		this.#origin = origin;
		this.#take = take;
	}

	get bytesMax(): number {
		return this.#route.bodyBytesMax;
	}

	/** Call with the complete body. @param body valid until this returns. */
	whole(body: Uint8Array): Reply | Promise<Reply> | StreamNeeded {
		const taken = this.#take(body);
		return "opened" in taken ? streamFrom(this.#route, taken, this.#origin) : finish(this.#route, this.#origin, taken);
	}

	/** Call if the body was not read to its end. */
	refuse(problem: BodyProblem): Reply {
		return withCors(this.#origin, bodyRefusal(this.#route, problem), this.#route.withCredentials);
	}
}

/** The next step: the answer is a stream with the head `head`. */
export class StreamNeeded {
	readonly head: Reply;
	readonly start: StreamStart;

	constructor(head: Reply, start: StreamStart) {
		this.head = head;
		this.start = start;
	}
}

function only<R extends Route>(routes: readonly R[], method: Route["method"]): R | undefined {
	const [first, second] = routes.filter((route) => route.method === method);
	if (second !== undefined) throw new Error(`two routes for ${method ?? "any method"} ${second.path}`);
	return first;
}

function routeFor(method: string, { any, get, post }: PathRoutes): Route | undefined {
	if (any !== undefined) return any;
	return method === "POST" ? post : method === "GET" || method === "HEAD" ? get : undefined;
}

function notFor(request: HttpRequest, { methods, forPages, withCredentials, keepAlive }: PathRoutes): Reply {
	if (request.method === "OPTIONS") {
		const asked = withCredentials ? request.header("access-control-request-headers") : "";
		return { ...optionsReply(methods, forPages, asked || undefined), close: !keepAlive };
	}
	const most = methods.filter((name) => name !== "HEAD").join(" or ");
	return refusal("method_not_allowed", `use ${most}`, { headers: { Allow: allowHeader(methods) } });
}

function readBody(route: BodyRoute, origin: string, request: HttpRequest): RouteResult {
	const begun = route.begin(request);
	if (typeof begun !== "function") return finish(route, origin, begun);
	if (Number(request.header("content-length")) > route.bodyBytesMax)
		return withCors(origin, bodyRefusal(route, "too_large"), route.withCredentials);
	return new BodyNeeded(route, origin, begun);
}

function bodyRefusal({ bodyBytesMax, bodyHint }: BodyRoute, problem: BodyProblem): Reply {
	if (problem !== "too_large") return refusal(problem);
	const why = bodyHint === undefined ? "" : `; ${bodyHint}`;
	return refusal(problem, `the body is longer than ${bodyBytesMax} bytes${why}`);
}

function openStream(route: StreamRoute, origin: string, request: HttpRequest): RouteResult {
	const start = route.begin(request);
	if (!("opened" in start)) return finish(route, origin, start);
	const stream = streamFrom(route, start, origin);
	if (request.method !== "HEAD") return stream;
	// For HEAD, close the stream: nobody would read it.
	start.closed();
	return stream.head;
}

function streamFrom({ withCredentials }: BodyRoute | StreamRoute, start: StreamStart, origin: string): StreamNeeded {
	const head: Reply = { status: 200, body: "", type: start.type, headers: { ...noStore, ...start.headers }, close: true };
	return new StreamNeeded(withCors(origin, head, withCredentials), start);
}

/** Applies the route's options to a handler's answer. */
function finish(route: AnswerRoute | BodyRoute | StreamRoute, origin: string, reply: Reply | Promise<Reply>): Reply | Promise<Reply> {
	if (reply instanceof Promise) return reply.then((later) => finish(route, origin, later));
	const kept = route.keepAlive === true || reply.close ? reply : { ...reply, close: true };
	return withCors(origin, kept, route.withCredentials);
}

export const noStore = { "Cache-Control": "no-store" } as const;
