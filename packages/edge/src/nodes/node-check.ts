import { request } from "node:http";
import { connect } from "node:net";
import { localProxyHeader } from "@shardcast/http";
import type { TargetTls } from "@shardcast/relay";

/** What a node's /health says. */
export interface NodeHealth {
	readonly isServing: boolean;
	readonly isDraining: boolean;
	readonly connections: number;
	readonly maxConnections: number;
	/** Time until the answer, which a busy event loop makes long. */
	readonly tookMs: number;
}

export interface CheckTarget {
	readonly host: string;
	readonly port: number;
	/** The connection begins with a PROXY header. */
	readonly sendProxy: boolean;
	/** Null = the node is reached without TLS. */
	readonly tls: TargetTls | null;
	readonly timeoutMs: number;
}

/** A report of 64 shards has about 15 KB. */
const bodyBytesMax = 262_144;

/** Asks a node for /health. @throws Error whose message completes the sentence "it …". */
export function checkNode({ host, port, sendProxy, tls, timeoutMs }: CheckTarget): Promise<NodeHealth> {
	const beganMs = performance.now();
	return new Promise((resolve, reject) => {
		const fail = (why: string) => {
			clearTimeout(timer);
			asked.destroy();
			reject(new Error(why));
		};
		const timer = setTimeout(() => fail(`did not answer within ${timeoutMs} ms`), timeoutMs);
		const reading = { sendProxy, tls: tls !== null };
		const asked = request(
			{
				host,
				port,
				path: "/health",
				// Without an agent: it would make the connection itself.
				createConnection: () => {
					if (tls !== null) return tls.connect({ host, port });
					const socket = connect({ host, port });
					if (sendProxy) socket.write(localProxyHeader());
					return socket;
				},
			},
			(response) => {
				let text = "";
				response.setEncoding("utf8");
				response.on("data", (piece: string) => {
					text += piece;
					if (text.length > bodyBytesMax) fail("sent a longer report than any node");
				});
				response.on("error", (error) => fail(`broke off: ${error.message}`));
				response.on("end", () => {
					clearTimeout(timer);
					const health = read(text, performance.now() - beganMs);
					if (health === null) fail(strange(response.statusCode ?? 0, text, reading));
					else resolve({ ...health, isServing: health.isServing && response.statusCode === 200 });
				});
			},
		);
		asked.on("error", (error: NodeJS.ErrnoException) => fail(unreachable(error, reading)));
		asked.end();
	});
}

interface HowItWasAsked {
	readonly sendProxy: boolean;
	readonly tls: boolean;
}

/** What is wrong with an answer that is no report of a node: in most cases an option. */
function strange(status: number, text: string, { sendProxy, tls }: HowItWasAsked): string {
	const { error, nodes, connections } = parsed(text) as { error?: { code?: unknown }; nodes?: unknown; connections?: unknown };
	if (error?.code === "tls_required") return "wants TLS: give the edge --nodes-tls";
	if (error?.code === "proxy_header")
		return "wants a PROXY header: give the edge --send-proxy, and the node this edge in --trusted-proxies";
	if (Array.isArray(nodes) && connections !== undefined) return "is an edge, not a node: name the nodes themselves";
	const why = `answered ${status} without a report of its health; is it a node?`;
	return sendProxy && !tls && (status === 400 || status === 505) ? `${why} Perhaps it runs without --proxy-protocol` : why;
}

function unreachable({ code, message }: NodeJS.ErrnoException, { tls }: HowItWasAsked): string {
	if (tls && (code === "ECONNRESET" || code?.startsWith("ERR_SSL_") === true || code === "EPROTO"))
		return `cannot be reached with TLS: ${code}; does it have a certificate (--tls-cert)?`;
	return tls && code !== undefined && /CERT|SIGN|ISSUER|ALTNAME/.test(code)
		? `has a certificate that cannot be trusted: ${code}; see --nodes-tls-ca and --nodes-tls-name`
		: `cannot be reached: ${code ?? message}`;
}

/** Of JSON; {} = it is none. */
function parsed(text: string): object {
	try {
		const value: unknown = JSON.parse(text);
		return typeof value === "object" && value !== null ? value : {};
	} catch {
		return {};
	}
}

/** Null = a node has not written it. */
function read(text: string, tookMs: number): NodeHealth | null {
	const { status, draining, connections, maxConnections } = parsed(text) as Record<string, unknown>;
	if (typeof status !== "string" || !isCount(connections) || !isCount(maxConnections)) return null;
	return { isServing: status !== "unhealthy", isDraining: draining === true, connections, maxConnections, tookMs };
}

function isCount(value: unknown): value is number {
	return typeof value === "number" && Number.isFinite(value) && value >= 0;
}
