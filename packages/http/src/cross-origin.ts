import type { Reply } from "./reply.ts";

/** A browser asks again after so long, in seconds: options may have changed by then. */
const preflightAgeSeconds = 600;

/** Those that a page may send. */
const usualHeaders = "Content-Type, X-API-Key, Authorization";

/** What a path allows; for pages also what a browser asks before one of another origin may send JSON or a key (CORS). */
export function optionsReply(methods: readonly string[], forPages: boolean, headers = usualHeaders): Reply {
	const allow = { Allow: allowed(methods) };
	const cors = {
		"Access-Control-Allow-Methods": methods.join(", "),
		"Access-Control-Allow-Headers": headers,
		"Access-Control-Max-Age": String(preflightAgeSeconds),
	};
	return { status: 204, body: "", headers: forPages ? { ...allow, ...cors } : allow, close: false };
}

/** The value of Allow. */
export function allowed(methods: readonly string[]): string {
	return [...methods, "OPTIONS"].join(", ");
}

/** Lets the page that asked read the answer. @param origin an allowed one; "" = no page. @param withCredentials also of a request with cookies. */
export function readableBy(origin: string, reply: Reply, withCredentials = false): Reply {
	if (origin === "") return reply;
	const page = { "Access-Control-Allow-Origin": origin, "Access-Control-Expose-Headers": "Retry-After", Vary: "Origin" };
	const cookies: Record<string, string> = withCredentials ? { "Access-Control-Allow-Credentials": "true" } : {};
	return { ...reply, headers: { ...reply.headers, ...page, ...cookies } };
}
