import { request as httpRequest, type RequestOptions } from "node:http";
import { request as httpsRequest } from "node:https";
import { userInfo } from "node:os";
import { adminPaths, adminVersionHeader } from "@shardcast/http";
import type { EventPage, OperationOutcome } from "../verb-runs.ts";

/** Longest answer of a cluster: a page of events. */
const answerBytesMax = 16_777_216;
/** How long an answer may take beyond the time that the call says it may wait. */
const answerMs = 10_000;

export interface Endpoint {
	/** For messages. */
	readonly name: string;
	readonly isSocket: boolean;
	readonly options: RequestOptions;
	readonly isEncrypted: boolean;
}

/** An operation and its events, as the cluster tells them. */
export interface OperationState extends EventPage {
	readonly id: string;
	readonly verb: string;
	readonly command: string;
	/** Null while it runs. */
	readonly outcome: OperationOutcome | null;
}

/** There was no answer. The message names the place and, where it can be known, the fix. */
export class Unreachable extends Error {
	/** It may be there in a moment: it was there before, or is restarted. */
	readonly mayReturn: boolean;

	constructor(message: string, mayReturn: boolean) {
		super(message);
		this.mayReturn = mayReturn;
	}
}

/** The answer is an error. */
export class AnsweredError extends Error {
	readonly status: number;

	constructor(message: string, status: number) {
		super(message);
		this.status = status;
	}
}

export function socketEndpoint(path: string): Endpoint {
	// It tells whom sudo has run it for; the system tells the rest. A header takes ASCII.
	const operator = (process.env.SUDO_USER ?? userName()).replace(/[^\x20-\x7e]/g, "?");
	const headers = { host: "shardcast", "x-shardcast-operator": operator };
	return { name: path, isSocket: true, isEncrypted: false, options: { socketPath: path, headers } };
}

function userName(): string {
	try {
		return userInfo().username;
	} catch {
		// A user without an entry, as in many containers.
		return "";
	}
}

export function urlEndpoint(url: URL, key: string): Endpoint {
	const isEncrypted = url.protocol === "https:";
	const options = {
		hostname: url.hostname.replace(/^\[|\]$/g, ""),
		port: url.port || (isEncrypted ? 443 : 80),
		headers: { "x-admin-key": key },
	};
	return { name: url.origin, isSocket: false, isEncrypted, options };
}

/** Calls the admin interface of one cluster. One call at a time. */
export class AdminClient {
	readonly #endpoint: Endpoint;
	/** Of the cluster, as its last answer says; "" = unknown. */
	version = "";

	constructor(endpoint: Endpoint) {
		this.#endpoint = endpoint;
	}

	/** Starts a verb. @throws Unreachable or AnsweredError. */
	run(verb: string, args: Readonly<Record<string, unknown>>): Promise<OperationState> {
		return this.#call("POST", adminPaths.run, 0, JSON.stringify({ verb, arguments: args, wait: 0 }));
	}

	/** Waits for events. @throws Unreachable or AnsweredError. */
	follow(id: string, after: number, waitMs: number): Promise<OperationState> {
		return this.#call("GET", `${adminPaths.operation}?id=${encodeURIComponent(id)}&after=${after}&wait=${waitMs}`, waitMs, "");
	}

	async #call(method: string, path: string, waitMs: number, body: string): Promise<OperationState> {
		const { status, text } = await this.#exchange(method, path, waitMs + answerMs, body);
		let answer: unknown;
		try {
			answer = JSON.parse(text);
		} catch {
			throw new AnsweredError(this.#notUnderstood(status), status);
		}
		const { error, id } = answer as { readonly error?: { readonly message?: unknown }; readonly id?: unknown };
		if (typeof error?.message === "string") {
			// Whoever is kept out is not told the version.
			const isKnown = this.version !== "" || status === 401 || status === 403 || status === 429;
			throw new AnsweredError(isKnown ? error.message : `${error.message} (${this.#notUnderstood(status)})`, status);
		}
		if (typeof id !== "string") throw new AnsweredError(this.#notUnderstood(status), status);
		return answer as OperationState;
	}

	/** Something else listens there, or another version. */
	#notUnderstood(status: number): string {
		const { name } = this.#endpoint;
		return `${name} answers ${status}, but not as the admin interface of this version does; use the \`shardcast\` command that belongs to the cluster`;
	}

	#exchange(method: string, path: string, deadlineMs: number, body: string): Promise<{ readonly status: number; readonly text: string }> {
		const { options, isEncrypted } = this.#endpoint;
		const headers = {
			...options.headers,
			...(body !== "" && { "content-type": "application/json", "content-length": Buffer.byteLength(body) }),
		};
		return new Promise((resolve, reject) => {
			const send = isEncrypted ? httpsRequest : httpRequest;
			const signal = AbortSignal.timeout(deadlineMs);
			const fail = (error: Error): void => reject(this.#unreachable(error, signal.aborted, deadlineMs));
			const request = send({ ...options, method, path, headers, agent: false, signal }, (response) => {
				const parts: Buffer[] = [];
				let length = 0;
				response.on("data", (part: Buffer) => {
					length += part.length;
					if (length > answerBytesMax) request.destroy(new Error("the answer is too long"));
					else parts.push(part);
				});
				response.once("error", fail);
				response.once("end", () => {
					const version = response.headers[adminVersionHeader.toLowerCase()];
					if (typeof version === "string") this.version = version;
					resolve({ status: response.statusCode ?? 0, text: Buffer.concat(parts).toString() });
				});
			});
			request.once("error", fail);
			request.end(body);
		});
	}

	#unreachable(error: NodeJS.ErrnoException, isLate: boolean, deadlineMs: number): Unreachable {
		const { name, isSocket } = this.#endpoint;
		if (isLate)
			return new Unreachable(
				`${name} has not answered for ${deadlineMs / 1000} s; the supervisor hangs, or the machine is overloaded`,
				true,
			);
		switch (error.code) {
			case "ENOENT":
				return new Unreachable(
					`there is no socket ${name}: no cluster runs with it; start one with \`shardcast multi\`, or give the right --admin-socket`,
					false,
				);
			case "EACCES":
			case "EPERM":
				return new Unreachable(
					`this user may not use ${name}: run the command as the user of the cluster, or as root, such as with sudo`,
					false,
				);
			case "ECONNREFUSED":
				return isSocket
					? new Unreachable(
							`nobody listens on ${name}: its supervisor was killed, or is stopping; start it again with \`shardcast multi\``,
							false,
						)
					: new Unreachable(`${name}: connection refused; is this the address of the balancer?`, true);
			default:
				return new Unreachable(`${name}: ${error.message}`, error.code === "ECONNRESET" || error.code === "EPIPE");
		}
	}
}
