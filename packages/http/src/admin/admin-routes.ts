import { type Reply, refusal } from "../routing/reply.ts";
import type { HttpRequest } from "../routing/request.ts";
import type { AnswerRoute, BodyRoute } from "../routing/route.ts";

/** A call of the admin interface, which the supervisor answers. Sent to it as JSON by the processes that clients reach. */
export interface AdminCall {
	readonly kind: keyof typeof adminPaths;
	readonly query: string;
	/** "" where there is none. */
	readonly body: string;
	/** Who calls, for people. */
	readonly who: string;
	/** Longest time that the answer may wait for events. */
	readonly waitMsMax: number;
}

/** The supervisor's answer. */
export type AdminAnswer = Pick<Reply, "status" | "headers"> & { readonly body: string };

/** Grows when a client that knows only the old interface would misunderstand the new one. */
export const adminPaths = {
	/** GET: the verbs, with their arguments. */
	verbs: "/admin/v1/verbs",
	/** GET: the verb `status`. */
	status: "/admin/v1/status",
	/** POST: starts a verb. */
	run: "/admin/v1/run",
	/** GET: the events of an operation. */
	operation: "/admin/v1/operation",
} as const;

/** The version of the server, in each answer. */
export const adminVersionHeader = "X-Shardcast-Version";

/** Longest body of a call. */
export const adminBodyBytesMax = 16_384;

interface AdminRoutesParts {
	/** Whether a caller may use it: who it is, or why not. */
	readonly admit: (request: HttpRequest) => string | Reply;
	/** Rejects when the supervisor cannot be asked. */
	readonly answer: (call: AdminCall) => Promise<AdminAnswer>;
	/** Longest time that an answer may wait for events. */
	readonly waitMsMax: number;
}

/** Most calls of a process that wait for their answers; more are refused. */
const callsMax = 32;

/**
 * The admin interface over HTTP, the same on the supervisor's socket, the balancer's port and, with TLS, the shards'. No page of another site can use it: a
 * key is needed in a header, which pages can send to their own site only. There are no cookies.
 */
export function adminRoutes({ admit, answer, waitMsMax }: AdminRoutesParts): (AnswerRoute | BodyRoute)[] {
	let waiting = 0;
	const call = async (call: Omit<AdminCall, "waitMsMax">): Promise<Reply> => {
		if (waiting >= callsMax) return refusal("unavailable", `${callsMax} calls of the admin interface wait already; try again`);
		waiting++;
		try {
			return { ...(await answer({ ...call, waitMsMax })), close: false };
		} catch (error) {
			return refusal("unavailable", `the supervisor does not answer: ${(error as Error).message}`);
		} finally {
			waiting--;
		}
	};
	const get = (kind: Exclude<keyof typeof adminPaths, "run">, query: readonly string[]): AnswerRoute => ({
		kind: "answer",
		method: "GET",
		path: adminPaths[kind],
		query,
		answer: (request) => {
			const who = admit(request);
			return typeof who === "string" ? call({ kind, query: request.query, body: "", who }) : who;
		},
	});
	return [
		get("verbs", []),
		get("status", []),
		get("operation", ["id", "after", "wait"]),
		{
			kind: "body",
			method: "POST",
			path: adminPaths.run,
			query: [],
			bodyBytesMax: adminBodyBytesMax,
			bodyHint: "a verb and its arguments are much shorter",
			begin: (request) => {
				const who = admit(request);
				if (typeof who !== "string") return who;
				return (body) => call({ kind: "run", query: "", body: Buffer.from(body).toString(), who });
			},
		},
	];
}
