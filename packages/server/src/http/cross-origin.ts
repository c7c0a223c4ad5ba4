import type { HttpReply } from "./http-reply.ts";

/** A browser asks again after so long, in seconds: settings may have changed by then. */
const preflightAgeSeconds = 600;

/** What a browser asks before a page of another origin may send JSON or a key (CORS). Whether it may at all has been looked at. */
export function preflight(): HttpReply {
	return {
		status: 204,
		body: "",
		headers: {
			Allow: "POST, OPTIONS",
			"Access-Control-Allow-Methods": "POST",
			"Access-Control-Allow-Headers": "Content-Type, X-API-Key, Authorization",
			"Access-Control-Max-Age": String(preflightAgeSeconds),
		},
		close: false,
	};
}

/** Lets the page that asked read the answer. @param origin an allowed one; "" = no page. */
export function readableBy(origin: string, reply: HttpReply): HttpReply {
	if (origin === "") return reply;
	const page = { "Access-Control-Allow-Origin": origin, "Access-Control-Expose-Headers": "Retry-After", Vary: "Origin" };
	return { ...reply, headers: { ...reply.headers, ...page } };
}
