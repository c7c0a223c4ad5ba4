import { once } from "node:events";
import type { Socket } from "node:net";
import {
	allowedCpus,
	type Cluster,
	getJson,
	httpRequest,
	LibraryClient,
	postJson,
	RawClient,
	startCluster,
	waitFor,
} from "@shardcast/testkit";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { WebSocket } from "ws";
import { Fleet, flawless } from "../support/fleet.ts";

const shards = 3;

for (const mode of ["handoff", "proxy"] as const)
	describe(`a cluster of ${shards} shards, ${mode}`, () => {
		let cluster: Cluster;
		beforeAll(async () => {
			cluster = await startCluster({ shards, flags: ["--lb-mode", mode, "--websocket-compression"] });
		});
		afterAll(async () => {
			expect((await cluster.stop()).code, cluster.log()).toBe(0);
		});
		const times = (count: number, url: string): string[] => Array.from({ length: count }, () => url);

		it("every client hears every message exactly once, in order, whichever shard it is on", async () => {
			const fleet = new Fleet();
			await fleet.listen([
				...times(90, cluster.url),
				...times(4, cluster.shardUrl(0)),
				...times(4, cluster.shardUrl(1)),
				...times(4, cluster.shardUrl(2)),
			]);
			for (let sender = 0; sender < 4; sender++) await fleet.addSender(cluster.url);
			await fleet.addSender(cluster.shardUrl(2));
			for (let burst = 0; burst < 20; burst++) {
				fleet.send(10);
				await new Promise((resolve) => setImmediate(resolve));
			}
			await fleet.settle();
			expect(fleet.report()).toMatchObject({ ...flawless, received: 102 * 5 * 200 });
			// Senders hear the other senders, never themselves.
			await fleet.settle([]);
			fleet.senders.forEach((client, sender) => {
				const own = client.texts().filter((text) => text.startsWith(`${sender}:`));
				expect(own).toEqual([]);
			});
			await waitFor(() => fleet.senders.every(({ messages }) => messages.length === 4 * 200), {
				deadlineMs: 5_000,
				what: "the senders to hear each other",
			});
			await fleet.close();
		});

		it("compresses for clients that offer it, through the balancer and on a shard's port, and reads what they compress", async () => {
			const open = async (url: string) => {
				const socket = new WebSocket(url, { perMessageDeflate: { threshold: 0 } });
				await once(socket, "open");
				return { socket, got: once(socket, "message").then(([bytes]) => String(bytes)) };
			};
			const [sender, ...listeners] = await Promise.all([cluster.url, cluster.url, cluster.shardUrl(1)].map(open));
			const plain = await LibraryClient.open(cluster.url);
			const extensions = [sender!, ...listeners].map(({ socket }) => socket.extensions);
			expect(extensions).toEqual(["permessage-deflate", "permessage-deflate", "permessage-deflate"]);
			const read = () => listeners.map(({ socket }) => (socket as unknown as { _socket: Socket })._socket.bytesRead);
			const [before, text] = [read(), "to all ".repeat(2000)];
			sender!.socket.send(text);
			expect(await Promise.all(listeners.map(({ got }) => got))).toEqual([text, text]);
			expect((await plain.waitForMessages(1))[0]!.bytes.toString()).toBe(text);
			for (const [index, after] of read().entries()) expect(after - before[index]!, "bytes of 14000 that repeat").toBeLessThan(1000);
			for (const { socket } of [sender!, ...listeners]) socket.terminate();
			await plain.close();
		});

		it.each([
			["GET", "/health", 200],
			["HEAD", "/health", 200],
			["GET", "/ready", 200],
			["GET", "/ready?verbose", 200],
			["GET", "/metrics", 200],
			["POST", "/health", 405],
			["DELETE", "/metrics", 405],
			["OPTIONS", "/ready", 204],
			["GET", "/ready/", 404],
			["GET", "/nowhere", 404],
			["POST", "/", 426],
			["PROPFIND", "/", 426],
			["HEAD", "/", 426],
			["HEAD", "/nowhere", 404],
			["OPTIONS", "/", 204],
			["OPTIONS", "/ws", 204],
			["OPTIONS", "/connection/websocket", 204],
			["OPTIONS", "/nowhere", 404],
			["PROPFIND", "/health", 405],
			["PROPFIND", "/nowhere", 404],
			["BREW", "/health", 405],
			["BREW", "/nowhere", 404],
			["GET", "/api/publish", 405],
			["OPTIONS", "/api/publish", 204],
			["POST", "/api/publish", 400],
		])("balancer and shard answer %s %s alike: %i, the same head, the same error", async (method, path, status) => {
			const answerOf = async (url: string) => {
				const { headers, body, ...rest } = await httpRequest(url + path, {
					method,
					body: method === "POST" ? "[]" : "",
					// Which side ends the connection is part of the answer, except where it would be kept.
					headers: { connection: path === "/api/publish" ? "close" : "keep-alive" },
				});
				// Those that the HTTP libraries add, and the length of what changes by itself.
				const { date, "content-length": length, "transfer-encoding": coding, uwebsockets, ...ours } = headers;
				const error = status >= 400 && method !== "HEAD" ? (JSON.parse(body) as object) : typeof body;
				if (method === "HEAD") expect(body).toBe("");
				return { ...rest, headers: ours, error };
			};
			const answers = async () => {
				const [balancer, shard] = await Promise.all([answerOf(cluster.httpUrl), answerOf(cluster.shardUrl(1).replace(/^ws/, "http"))]);
				expect(balancer.status).toBe(status);
				expect(balancer).toEqual(shard);
				return true;
			};
			// A process that is late, on a busy machine, is missing in the metrics of whoever asked it.
			await waitFor(answers, { deadlineMs: 5_000, what: "the same answer of both" });
		});

		it("connections through the balancer spread evenly, and close again to none", async () => {
			const spread = async () => {
				const clients = await Promise.all(times(60, cluster.url).map((url) => RawClient.open(url)));
				const countsAll = async () => {
					const found = await cluster.health();
					expect(found.connections).toBe(60);
					return found;
				};
				const health = await waitFor(countsAll, { deadlineMs: 5_000, what: "60 connections in /health" });
				expect(health.mode).toBe(mode);
				await Promise.all(clients.map((client) => client.close()));
				const closed = async () => (await cluster.health()).connections === 0;
				await waitFor(closed, { deadlineMs: 5_000, what: "no connections in /health" });
				// One that arrives just while the balancer looks is counted twice rather than not at all, and the next goes elsewhere.
				for (const { connections } of health.shards) expect(Math.abs(connections - 20)).toBeLessThanOrEqual(1);
				return true;
			};
			// A shard whose heartbeat is late gets none meanwhile.
			await waitFor(spread, { deadlineMs: 15_000, what: "20 connections on each shard" });
		});

		it("text and binary arrive as what they were, byte for byte, empty and 64 KiB ones too", async () => {
			const [one, other] = [await LibraryClient.open(`${cluster.url}/ws`), await LibraryClient.open(cluster.shardUrl(1))];
			const all = Buffer.from(Uint8Array.from({ length: 256 }, (_, byte) => byte));
			const frames = ["grüße 👋", all, "", Buffer.alloc(0), "x".repeat(65_536), Buffer.alloc(65_536, 7)];
			for (const frame of frames) one.send(frame);
			const got = await other.waitForMessages(frames.length);
			expect(got.map(({ binary }) => binary)).toEqual(frames.map((frame) => typeof frame !== "string"));
			expect(got.map(({ bytes }) => bytes.equals(Buffer.from(frames[got.findIndex((entry) => entry.bytes === bytes)]!)))).toEqual(
				frames.map(() => true),
			);
			expect(one.messages).toEqual([]);
			await Promise.all([one.close(), other.close()]);
		});

		it("channels limit what a client gets and who gets what it sends; a client without channels gets everything", async () => {
			const open = (query: string, shard: number): Promise<LibraryClient> => LibraryClient.open(`${cluster.shardUrl(shard)}/ws${query}`);
			const [ab, b, c, everything] = [
				await open("?channels=a,b", 0),
				await open("?channels=b", 1),
				await open("?channels=c", 2),
				await open("", 1),
			];
			const both = await open("?channels=b,a", 2);
			ab.send("to a and b");
			await both.waitForMessages(1);
			c.send("to c");
			everything.send("to everybody");
			const published = await postJson(`${cluster.httpUrl}/api/publish`, { channel: "b", data: { n: 1 } });
			expect(published.status, published.body).toBe(200);
			await everything.waitForMessages(3);
			await both.waitForMessages(3);
			await b.waitForMessages(3);
			await ab.waitForMessages(2);
			await c.waitForMessages(1);
			// A last message to all, so that what should not have come has had its chance.
			await postJson(`${cluster.httpUrl}/api/publish`, { data: "end" });
			for (const client of [ab, b, c, everything, both])
				await waitFor(() => client.texts().at(-1) === "end", { deadlineMs: 5_000, what: "the last message" });
			expect(both.texts().sort()).toEqual(["end", "to a and b", "to everybody", '{"n":1}'].sort());
			expect(b.texts().sort()).toEqual(["end", "to a and b", "to everybody", '{"n":1}'].sort());
			expect(ab.texts().sort()).toEqual(["end", "to everybody", '{"n":1}'].sort());
			expect(c.texts().sort()).toEqual(["end", "to everybody"].sort());
			expect(everything.texts().sort()).toEqual(["end", "to a and b", "to c", '{"n":1}'].sort());
			await Promise.all([ab, b, c, everything, both].map((client) => client.close()));
		});

		it("publishes over HTTP on the balancer's port and on each shard's, and refuses what is wrong with the reason", async () => {
			const client = await LibraryClient.open(cluster.url);
			const bases = [cluster.httpUrl, ...[0, 1, 2].map((shard) => cluster.shardUrl(shard).replace("ws:", "http:"))];
			for (const base of bases) expect((await postJson(`${base}/api/publish`, { data: base })).status).toBe(200);
			const binary = await httpRequest(`${cluster.httpUrl}/api/publish?channel=x`, {
				method: "POST",
				headers: { "content-type": "application/octet-stream" },
				body: Buffer.from([0, 255, 1]),
			});
			expect(binary.status, binary.body).toBe(200);
			const got = await client.waitForMessages(5);
			// Different shards published them, so in which order they come is open.
			expect(got.filter(({ binary }) => binary).map(({ bytes }) => bytes)).toEqual([Buffer.from([0, 255, 1])]);
			expect(
				got
					.filter(({ binary }) => !binary)
					.map(({ bytes }) => bytes.toString())
					.sort(),
			).toEqual([...bases].sort());
			const wrong = async (body: string): Promise<number> =>
				(await httpRequest(`${cluster.httpUrl}/api/publish`, { method: "POST", headers: { "content-type": "application/json" }, body }))
					.status;
			expect(await wrong("{")).toBe(400);
			expect(await wrong('{"channel": 1, "data": 2}')).toBe(400);
			expect(await wrong(JSON.stringify({ data: "x".repeat(70_000) }))).toBe(413);
			await client.close();
		});

		it("each shard is a separate process, pinned to a separate core as long as there are enough, on consecutive ports", async () => {
			const health = await cluster.health();
			const available = allowedCpus(process.pid);
			for (const shard of health.shards) {
				expect(shard.port).toBe(cluster.basePort + shard.id);
				expect(allowedCpus(shard.pid)).toBe(String(shard.core));
			}
			expect(new Set(health.shards.map(({ pid }) => pid)).size).toBe(shards);
			const cores = new Set(health.shards.map(({ core }) => core));
			expect(cores.size, `available: ${available}`).toBeGreaterThan(1);
		});

		it("/health and /ready say the same on the balancer's port and on a shard's", async () => {
			const direct = cluster.shardUrl(1).replace("ws:", "http:");
			for (const base of [cluster.httpUrl, direct]) {
				// A shard that is late with its heartbeat, on a busy machine, is told of meanwhile.
				const isWell = async () => {
					expect((await getJson<{ status: string }>(`${base}/health`)).status).toBe("healthy");
					expect(await getJson(`${base}/ready`)).toMatchObject({ ready: true });
					return true;
				};
				await waitFor(isWell, { deadlineMs: 5_000, what: `a healthy cluster by ${base}` });
			}
		});
	});

describe("a cluster that is full", () => {
	it("answers 503 with Retry-After and a reason only when every shard is full, and takes clients again when one leaves", async () => {
		const cluster = await startCluster({ shards: 2, flags: ["--max-connections", "20"] });
		try {
			const clients = await Promise.all(Array.from({ length: 20 }, () => RawClient.open(cluster.url)));
			const counted = async () => expect((await cluster.health()).shards.map(({ connections }) => connections)).toEqual([10, 10]);
			await waitFor(counted, { deadlineMs: 5_000, what: "ten connections on each shard" });
			await expect(RawClient.open(cluster.url)).rejects.toThrow(/503/);
			const refused = await httpRequest(`${cluster.httpUrl}/`, {
				headers: {
					connection: "Upgrade",
					upgrade: "websocket",
					"sec-websocket-version": "13",
					"sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
				},
			});
			expect(refused.status).toBe(503);
			expect(Number(refused.headers["retry-after"])).toBeGreaterThan(0);
			expect(JSON.parse(refused.body)).toMatchObject({ error: { message: expect.stringMatching(/20/) } });
			expect((await cluster.health()).status).toBe("degraded");
			await clients.pop()!.close();
			await waitFor(() => RawClient.open(cluster.url).then((client) => clients.push(client)), {
				deadlineMs: 5_000,
				what: "a place after one has left",
			});
			await Promise.all(clients.map((client) => client.close()));
		} finally {
			await cluster.stop();
		}
	});
});
