import { type IncomingHttpHeaders, request } from "node:http";
import { request as secureRequest } from "node:https";
import { connect } from "node:net";
import { scaledDeadline } from "../wait.ts";

export interface HttpAnswer {
	readonly status: number;
	readonly headers: IncomingHttpHeaders;
	readonly body: string;
}

interface HttpOptions {
	readonly method?: string;
	readonly headers?: Readonly<Record<string, string>>;
	readonly body?: string | Uint8Array;
	/** As `waitFor` takes it; 5 s. */
	readonly deadlineMs?: number;
	/** Sent before the request, such as a PROXY header. */
	readonly opening?: string;
}

/** One request on a separate connection. A pool would keep sending requests to the process that answered the last one. An upgrade is closed. */
export function httpRequest(url: string, options: HttpOptions = {}): Promise<HttpAnswer> {
	const deadlineMs = scaledDeadline(options.deadlineMs ?? 5_000);
	return new Promise((resolve, reject) => {
		const outgoing = (url.startsWith("https:") ? secureRequest : request)(url, {
			method: options.method ?? "GET",
			headers: { connection: "close", ...options.headers },
			// Test certificates are self-signed.
			rejectUnauthorized: false,
			...(options.opening === undefined ? { agent: false } : { createConnection: () => opened(url, options.opening!) }),
		});
		const timer = setTimeout(() => outgoing.destroy(new Error(`${url}: no answer within ${deadlineMs} ms`)), deadlineMs);
		outgoing.on("error", (error) => {
			clearTimeout(timer);
			reject(error);
		});
		outgoing.on("upgrade", ({ headers }, socket) => {
			clearTimeout(timer);
			socket.destroy();
			resolve({ status: 101, headers, body: "" });
		});
		outgoing.on("response", (incoming) => {
			const chunks: Buffer[] = [];
			incoming.on("data", (chunk: Buffer) => chunks.push(chunk));
			incoming.on("error", reject);
			incoming.on("end", () => {
				clearTimeout(timer);
				resolve({ status: incoming.statusCode ?? 0, headers: incoming.headers, body: Buffer.concat(chunks).toString("utf8") });
			});
		});
		outgoing.end(options.body);
	});
}

function opened(url: string, opening: string) {
	const { hostname, port } = new URL(url);
	const socket = connect(Number(port), hostname);
	socket.write(opening);
	return socket;
}

/** The JSON response of `url`, whatever its status. */
export async function getJson<T>(url: string, deadlineMs?: number, opening?: string): Promise<T> {
	const answer = await httpRequest(url, { ...(deadlineMs !== undefined && { deadlineMs }), ...(opening !== undefined && { opening }) });
	return JSON.parse(answer.body) as T;
}

export function postJson(url: string, value: unknown): Promise<HttpAnswer> {
	return httpRequest(url, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(value) });
}
