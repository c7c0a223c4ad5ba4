import { request } from "node:http";
import { connect } from "node:net";
import { localProxyHeader } from "@shardcast/http";

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
	readonly timeoutMs: number;
}

/** A report of 64 shards has about 15 KB. */
const bodyBytesMax = 262_144;

/** Asks a node for /health. @throws Error whose message completes the sentence "it …". */
export function checkNode({ host, port, sendProxy, timeoutMs }: CheckTarget): Promise<NodeHealth> {
	const beganMs = performance.now();
	return new Promise((resolve, reject) => {
		const fail = (why: string) => {
			clearTimeout(timer);
			asked.destroy();
			reject(new Error(why));
		};
		const timer = setTimeout(() => fail(`did not answer within ${timeoutMs} ms`), timeoutMs);
		const asked = request(
			{
				host,
				port,
				path: "/health",
				// Without an agent: it would make the connection itself.
				createConnection: () => {
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
					if (health === null) fail(`answered ${response.statusCode} without a report of its health; is it a node?`);
					else resolve({ ...health, isServing: health.isServing && response.statusCode === 200 });
				});
			},
		);
		asked.on("error", (error: NodeJS.ErrnoException) => fail(`cannot be reached: ${error.code ?? error.message}`));
		asked.end();
	});
}

/** Null = a node has not written it. */
function read(text: string, tookMs: number): NodeHealth | null {
	try {
		const { status, draining, connections, maxConnections } = JSON.parse(text) as Record<string, unknown>;
		if (typeof status !== "string" || !isCount(connections) || !isCount(maxConnections)) return null;
		return { isServing: status !== "unhealthy", isDraining: draining === true, connections, maxConnections, tookMs };
	} catch {
		return null;
	}
}

function isCount(value: unknown): value is number {
	return typeof value === "number" && Number.isFinite(value) && value >= 0;
}
