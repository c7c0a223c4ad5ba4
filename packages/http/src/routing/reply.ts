import { STATUS_CODES } from "node:http";
import { type ErrorCode, httpErrors, retrySpreadSeconds } from "./errors.ts";

/** An answer to an HTTP request. */
export interface Reply {
	readonly status: number;
	/** JSON unless `type` says otherwise. */
	readonly body: string | Uint8Array;
	readonly type?: string;
	readonly headers: Readonly<Record<string, string>>;
	/** Whether the connection is closed afterwards. */
	readonly close: boolean;
}

interface RefusalOptions {
	/** Overrides the table: the connection stays usable if the request was read to its end. */
	readonly close?: boolean;
	readonly headers?: Readonly<Record<string, string>>;
}

/**
 * `{"error":{"code":…,"message":…}}`, with Retry-After for temporary errors.
 * @param message for people; by default that of the table.
 */
export function refusal(code: ErrorCode, message: string = httpErrors[code].message, options: RefusalOptions = {}): Reply {
	const { status, retryAfterSeconds, close } = httpErrors[code];
	const seconds = retryAfterSeconds + Math.floor(Math.random() * ((retrySpreadSeconds[code] ?? 0) + 1));
	const retry: Record<string, string> = seconds > 0 ? { "Retry-After": String(seconds) } : {};
	return {
		status,
		body: jsonLine({ error: { code, message } }),
		headers: { ...retry, ...options.headers },
		close: options.close ?? close,
	};
}

/** Refuses a page of another site, and says how to allow it. */
export function originRefused(origin: string, host: string): Reply {
	const page = `pages of ${origin.slice(0, 200)} may not use ${host === "" ? "this server" : host.slice(0, 200)}`;
	return refusal("origin_not_allowed", `${page}: list the origin in --allowed-origins`);
}

export function json(status: number, value: unknown, headers: Readonly<Record<string, string>> = {}): Reply {
	return { status, body: jsonLine(value), headers, close: false };
}

/** JSON with a line break, so that answers to several requests are on separate lines in a terminal. */
export function jsonLine(value: unknown): string {
	return `${JSON.stringify(value)}\n`;
}

/** "200 OK" */
export function statusLine(status: number): string {
	return `${status} ${STATUS_CODES[status] ?? ""}`;
}

/** Whether an answer with this status has no type, length and body. */
export function isBodiless(status: number): boolean {
	return status === 204 || status === 304;
}

/** A complete answer, for a connection without an HTTP library. The connection is closed afterwards. */
export function replyBytes(reply: Reply, isHead = false): Buffer {
	const lines = [`HTTP/1.1 ${statusLine(reply.status)}`, ...headerPairs(reply).map(([name, value]) => `${name}: ${value}`)];
	return Buffer.concat([Buffer.from(`${lines.join("\r\n")}\r\nConnection: close\r\n\r\n`), Buffer.from(isHead ? "" : reply.body)]);
}

/** The headers of a reply, with Content-Type and Content-Length, without Connection. */
export function headerPairs({ status, body, type, headers }: Reply): [string, string][] {
	const own = Object.entries(headers);
	if (isBodiless(status)) return own;
	return [["Content-Type", type ?? jsonType], ["Content-Length", String(Buffer.byteLength(body))], ...own];
}

export const jsonType = "application/json";
