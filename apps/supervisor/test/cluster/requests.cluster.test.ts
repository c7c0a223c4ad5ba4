import { connect } from "node:net";
import { type Cluster, LibraryClient, postJson, startCluster } from "@shardcast/testkit";
import { fuzzed, fuzzTimeoutMs, judgeRequests, requestStreams, seed } from "@shardcast/testkit/fuzz";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

// The whole way of a request: a publication through balancer and shard is one to Node's parser too. In a body there may be a request that
// publishes something else, so a message with that text means that somebody can act in the name of another client of a proxy in front.

const path = "/api/publish?channel=fuzz";
const binary = "Content-Type: application/octet-stream";
const streams = requestStreams({
	targets: [path],
	lines: [binary],
	smuggled: `POST ${path} HTTP/1.1\r\nHost: a\r\n${binary}\r\nContent-Length: 8\r\n\r\nsmuggled`,
});

/** Sends the pieces, then the end of the connection, and waits for its end. */
function exchange(port: number, pieces: readonly string[]): Promise<void> {
	return new Promise((resolve) => {
		const socket = connect({ port, host: "127.0.0.1", noDelay: true, allowHalfOpen: true });
		const write = (index: number): void => {
			if (socket.destroyed) return;
			if (index === pieces.length) socket.end();
			else socket.write(pieces[index]!, "latin1", () => setImmediate(() => write(index + 1)));
		};
		// Who refuses may close with bytes unread.
		socket.on("error", () => {});
		socket.on("end", () => socket.end());
		socket.on("close", () => resolve());
		socket.resume();
		write(0);
	});
}

describe.each(["handoff", "proxy"])(`any requests to a cluster in %s mode (seed ${seed})`, (mode) => {
	let cluster: Cluster;
	let observer: LibraryClient;
	let published = 0;
	beforeAll(async () => {
		cluster = await startCluster({ shards: 1, flags: ["--lb-mode", mode, "--allowed-origins", "*"] });
		observer = await LibraryClient.open(`${cluster.url}/?channels=fuzz`);
	});
	afterAll(async () => {
		await observer.close();
		await cluster.stop();
	});

	/** What was published since the last call. */
	const messages = async (): Promise<string[]> => {
		const last = new Promise<void>((resolve) => {
			observer.onMessage = ({ binary }) => !binary && resolve();
		});
		await postJson(`${cluster.httpUrl}/api/publish`, { channel: "fuzz", data: "behind all" });
		await last;
		const texts = observer.messages.slice(published).filter(({ binary }) => binary);
		published = observer.messages.length;
		return texts.map(({ bytes }) => bytes.toString("latin1"));
	};

	it("publish what Node's parser reads in them, and nothing else", { timeout: fuzzTimeoutMs(0.5) }, async () => {
		let all = 0;
		await fc.assert(
			fc.asyncProperty(streams, async ({ text, pieces }) => {
				await exchange(Number(new URL(cluster.httpUrl).port), pieces);
				const ours = await messages();
				all += ours.length;
				let { requests, isRefused } = await judgeRequests(Buffer.from(text, "latin1"));
				// uWebSockets.js does not wait for the empty line behind the last chunk.
				if (!isRefused && requests.at(-1)?.body === null)
					({ requests, isRefused } = await judgeRequests(Buffer.from(`${text}\r\n`, "latin1")));
				// Node reads nothing behind these.
				if (/\r\nconnection:[^\r\n]*(?:close|upgrade)|HTTP\/1\.0|(?:CONNECT|PRI) /i.test(text)) return;
				const theirs = requests.filter(({ method, body }) => method === "POST" && body !== null).map(({ body }) => body);
				// Each is one of theirs, in order; some of theirs may be refused here. A proxy in front passes on nothing from what it refuses on.
				let at = 0;
				const extra = ours.filter((body) => {
					const found = theirs.indexOf(body, at);
					if (found >= 0) at = found + 1;
					return found < 0;
				});
				if (extra.length > 0 && !isRefused) expect(ours, JSON.stringify(text)).toEqual(theirs);
			}),
			fuzzed(100, 0.5),
		);
		expect(all, "some are published").toBeGreaterThan(5);
	});
});
