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
	/**
	 * The port may be that of one shard, whose figures count then. What the machine passes on to others does not count: its own shards must serve.
	 */
	readonly ofShards: boolean;
	readonly hints: CheckHints;
}

/** Which options are wrong when the two sides do not agree, as people are told. */
interface CheckHints {
	/** Completes "wants TLS: …". */
	readonly tls: string;
	/** Completes "wants a PROXY header: …". */
	readonly proxyHeader: string;
	/** Completes "has a certificate that cannot be trusted: ENOTFOUND; see …". */
	readonly certificate: string;
	/** Completes "is an edge, not …". */
	readonly edge: string;
}

export const edgeHints: CheckHints = {
	tls: "give the edge --nodes-tls",
	proxyHeader: "give the edge --send-proxy, and the node this edge in --trusted-proxies",
	certificate: "--nodes-tls-ca and --nodes-tls-name",
	edge: "a node: name the nodes themselves",
};

/** A report of 64 shards has about 15 KB. */
const bodyBytesMax = 262_144;

/** Asks a node for /health. @throws Error whose message completes the sentence "it …". */
export function checkNode({ host, port, sendProxy, tls, timeoutMs, ofShards, hints }: CheckTarget): Promise<NodeHealth> {
	const beganMs = performance.now();
	return new Promise((resolve, reject) => {
		const fail = (why: string) => {
			clearTimeout(timer);
			asked.destroy();
			reject(new Error(why));
		};
		const timer = setTimeout(() => fail(`did not answer within ${timeoutMs} ms`), timeoutMs);
		const reading = { sendProxy, tls: tls !== null, hints };
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
					const health = read(text, performance.now() - beganMs, ofShards ? port : null);
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
	readonly hints: CheckHints;
}

/** What is wrong with an answer that is no report of a node: in most cases an option. */
function strange(status: number, text: string, { sendProxy, tls, hints }: HowItWasAsked): string {
	const { error, nodes, connections } = parsed(text) as { error?: { code?: unknown }; nodes?: unknown; connections?: unknown };
	if (error?.code === "tls_required") return `wants TLS: ${hints.tls}`;
	if (error?.code === "proxy_header") return `wants a PROXY header: ${hints.proxyHeader}`;
	if (Array.isArray(nodes) && connections !== undefined) return `is an edge, not ${hints.edge}`;
	const why = `answered ${status} without a report of its health; is it a node?`;
	return sendProxy && !tls && (status === 400 || status === 505) ? `${why} Perhaps it runs without --proxy-protocol` : why;
}

/** What is wrong when there is no whole answer. */
function unreachable({ code, message }: NodeJS.ErrnoException, { tls, hints }: HowItWasAsked): string {
	// Errors of Node's HTTP parser: something has answered.
	if (code?.startsWith("HPE_")) return `does not answer in HTTP (${code})`;
	if (tls && (code === "ECONNRESET" || code?.startsWith("ERR_SSL_") === true || code === "EPROTO"))
		return `cannot be reached with TLS: ${code}; does it have a certificate (--tls-cert)?`;
	return tls && code !== undefined && /CERT|SIGN|ISSUER|ALTNAME/.test(code)
		? `has a certificate that cannot be trusted: ${code}; see ${hints.certificate}`
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

/** Null = a node has not written it. @param shardPort null = what the whole node says counts. */
function read(text: string, tookMs: number, shardPort: number | null): NodeHealth | null {
	const { status, draining, connections, maxConnections, shards } = parsed(text) as Record<string, unknown>;
	if (typeof status !== "string" || !isCount(connections) || !isCount(maxConnections)) return null;
	const isServing = status !== "unhealthy";
	const isDraining = draining === true;
	if (shardPort === null || !Array.isArray(shards)) return { isServing, isDraining, connections, maxConnections, tookMs };
	const known = shards as readonly (Partial<ShardReport> | null)[];
	const one = known.find((shard) => shard?.port === shardPort);
	if (one == null || !isCount(one.connections) || !isCount(one.max))
		return { isServing: isServing && known.some(takesClients), isDraining, connections, maxConnections, tookMs };
	const { connections: own, max } = one;
	const leaves = one.status === "draining";
	return { isServing: leaves || takesClients(one), isDraining: isDraining || leaves, connections: own, maxConnections: max, tookMs };
}

interface ShardReport {
	readonly port: unknown;
	readonly status: unknown;
	readonly connections: unknown;
	readonly max: unknown;
}

function takesClients(shard: Partial<ShardReport> | null): boolean {
	return shard?.status === "healthy" || shard?.status === "degraded";
}

function isCount(value: unknown): value is number {
	return typeof value === "number" && Number.isFinite(value) && value >= 0;
}
