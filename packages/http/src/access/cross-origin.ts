import type { Reply } from "../routing/reply.ts";

/** How long browsers may cache a preflight answer, in seconds. Options may change. */
const preflightAgeSeconds = 600;

/** Headers that a page may send. */
const usualHeaders = "Content-Type, X-API-Key, Authorization";

/** The answer to OPTIONS. For pages it includes the CORS preflight answer, which allows JSON and a key from another origin. */
export function optionsReply(methods: readonly string[], forPages: boolean, headers = usualHeaders): Reply {
	const allow = { Allow: allowHeader(methods) };
	const cors = {
		"Access-Control-Allow-Methods": methods.join(", "),
		"Access-Control-Allow-Headers": headers,
		"Access-Control-Max-Age": String(preflightAgeSeconds),
	};
	return { status: 204, body: "", headers: forPages ? { ...allow, ...cors } : allow, close: false };
}

/** The value of the Allow header. */
export function allowHeader(methods: readonly string[]): string {
	return [...methods, "OPTIONS"].join(", ");
}

/** Lets the requesting page read the answer. @param origin must be allowed; "" = no page. @param withCredentials also for requests with cookies. */
export function withCors(origin: string, reply: Reply, withCredentials = false): Reply {
	if (origin === "") return reply;
	const page = { "Access-Control-Allow-Origin": origin, "Access-Control-Expose-Headers": "Retry-After", Vary: "Origin" };
	const cookies: Record<string, string> = withCredentials ? { "Access-Control-Allow-Credentials": "true" } : {};
	return { ...reply, headers: { ...reply.headers, ...page, ...cookies } };
}
