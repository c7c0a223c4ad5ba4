import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Cluster, freePorts, LibraryClient, Scrape, startCluster, waitFor } from "@shardcast/testkit";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

interface Event {
	readonly id: string;
	readonly seq: number;
	readonly type: string;
	readonly client?: string;
	readonly channel?: string;
	readonly code?: number;
}

const { isFromShardcast } = (await import("../../../../examples/webhook-receiver.mjs" as string)) as {
	isFromShardcast: (headers: object, body: Buffer, secret: string) => boolean;
};
const secret = "a-secret-of-16-characters";

/** A receiver that can fail, be too slow, and be away. It keeps what it has read, whatever it answers. */
class Receiver {
	mode: "ok" | "fails" | "hangs" = "ok";
	readonly problems: string[] = [];
	/** By path, then by id. */
	readonly #events = new Map<string, Map<string, Event>>();
	#server: Server | null = null;
	port = 0;

	async listen(): Promise<void> {
		const server = createServer((request, response) => void this.#take(request, response));
		this.#server = server;
		// One that nobody else gets while it is away.
		if (this.port === 0) this.port = await freePorts();
		await new Promise<void>((resolve) => server.listen(this.port, "127.0.0.1", resolve));
	}

	async die(): Promise<void> {
		const server = this.#server;
		this.#server = null;
		server?.closeAllConnections();
		await new Promise((resolve) => (server === null ? resolve(null) : server.close(resolve)));
	}

	of(path: string): Event[] {
		return [...(this.#events.get(path)?.values() ?? [])];
	}

	count(path: string, type: string): number {
		return this.of(path).filter((event) => event.type === type).length;
	}

	async #take(request: IncomingMessage, response: ServerResponse): Promise<void> {
		const parts: Buffer[] = [];
		for await (const part of request) parts.push(part as Buffer);
		const body = Buffer.concat(parts);
		if (!isFromShardcast(request.headers, body, secret)) this.problems.push(`a request without a valid signature: ${body}`);
		const path = request.url!;
		const known = this.#events.get(path) ?? new Map<string, Event>();
		this.#events.set(path, known);
		for (const event of (JSON.parse(body.toString()) as { events: Event[] }).events) {
			const before = known.get(event.id);
			if (before === undefined) known.set(event.id, event);
			else if (JSON.stringify(before) !== JSON.stringify(event)) this.problems.push(`${event.id} is told in two ways`);
		}
		if (this.mode !== "hangs") response.writeHead(this.mode === "ok" ? 204 : 500).end();
	}
}

describe("webhooks of a cluster of 2 shards", () => {
	const receiver = new Receiver();
	let cluster: Cluster;
	let directory: string;
	const file = () => join(directory, "shardcast.yaml");
	const target = (path: string, more = "") =>
		`{ name: ${path}, endpoint: "http://127.0.0.1:${receiver.port}/${path}", secret: ${secret}, timeout: 500ms, batch_max: 10, batch_delay: 20ms, retry_min: 20ms, retry_max: 200ms${more} }`;
	const settings = (...targets: string[]) =>
		`webhooks:\n  vacated_delay: 300ms\n  targets:\n${targets.map((one) => `    - ${one}\n`).join("")}`;
	beforeAll(async () => {
		directory = mkdtempSync(join(tmpdir(), "shardcast-"));
		await receiver.listen();
		writeFileSync(file(), settings(target("main")));
		cluster = await startCluster({ shards: 2, flags: ["--config", file()] });
	});
	afterAll(async () => {
		await cluster.stop();
		await receiver.die();
		rmSync(directory, { recursive: true });
	});

	const told = (type: string, count: number) =>
		waitFor(() => receiver.count("/main", type) >= count, {
			deadlineMs: 20_000,
			what: `${count} events ${type}; ${JSON.stringify(receiver.of("/main").slice(-5))}`,
		});
	const requests = async (result: string) =>
		(await Scrape.of(cluster.httpUrl)).sum("shardcast_webhook_requests_total", { webhook: "main", result });
	const failed = (result: string) =>
		waitFor(async () => (await requests(result)) > 0, { deadlineMs: 20_000, everyMs: 100, what: `a request that ends with ${result}` });

	it("each event comes once, through failures, time-outs, a receiver that is away, and a shard that is killed", {
		timeout: 120_000,
	}, async () => {
		const open = (shard: number, name: string) => LibraryClient.open(`${cluster.shardUrl(shard)}/ws?channels=room,${name}`);
		const first = await Promise.all(Array.from({ length: 20 }, (_, n) => open(n % 2, `first-${n}`)));
		await told("connect", 20);

		receiver.mode = "fails";
		const second = await Promise.all(Array.from({ length: 10 }, (_, n) => open(1, `second-${n}`)));
		await failed("status");
		receiver.mode = "hangs";
		await Promise.all(first.slice(18).map((client) => client.close()));
		await failed("timeout");
		receiver.mode = "ok";
		await told("disconnect", 2);

		await receiver.die();
		await Promise.all([open(0, "last"), open(0, "last")]);
		await cluster.kill9(0);
		const third = await Promise.all(Array.from({ length: 5 }, (_, n) => open(1, `third-${n}`)));
		await failed("unreachable");
		await receiver.listen();
		// Of the killed shard: 9 of the first clients, and two that came just before.
		await told("disconnect", 2 + 9 + 2);
		await told("vacated", 2 + 9 + 1);
		await told("connect", 20 + 10 + 2 + 5);
		await told("subscribe", 2 * (20 + 10 + 2 + 5));
		await told("occupied", 2 + 20 + 10 + 5);

		const events = receiver.of("/main");
		expect(receiver.problems).toEqual([]);
		expect(
			events.map(({ seq }) => seq).sort((a, b) => a - b),
			"none is lost",
		).toEqual(events.map((_, index) => index + 1));
		expect(receiver.count("/main", "connect")).toBe(20 + 10 + 2 + 5);
		expect(receiver.count("/main", "subscribe")).toBe(2 * (20 + 10 + 2 + 5));
		const channels = (type: string) => events.flatMap((event) => (event.type === type ? event.channel! : [])).sort();
		const names = (kind: string, length: number) => Array.from({ length }, (_, n) => `${kind}-${n}`);
		expect(channels("occupied")).toEqual([...names("first", 20), "last", "room", ...names("second", 10), ...names("third", 5)].sort());
		expect(channels("vacated"), "of the killed shard, and of two that left").toEqual(
			[...names("first", 20).filter((_, n) => n % 2 === 0 || n === 19), "last"].sort(),
		);

		writeFileSync(file(), settings(target("main"), target("second", ", events: [disconnect]")));
		cluster.process.signal("SIGHUP");
		await waitFor(() => receiver.count("/second", "start") === 1, { deadlineMs: 10_000, what: "the webhook that is added" });
		// An answer of the receiver is counted when it has come.
		let scrape = await Scrape.of(cluster.httpUrl);
		const of = (result: string) => scrape.sum("shardcast_webhook_events_total", { webhook: "main", result });
		await waitFor(
			async () => {
				scrape = await Scrape.of(cluster.httpUrl);
				return of("delivered") >= receiver.of("/main").length;
			},
			{ deadlineMs: 10_000, what: "all that was received to be counted" },
		);
		expect(
			scrape
				.names()
				.filter((name) => name.startsWith("shardcast_webhook_"))
				.sort(),
			"metrics of webhooks",
		).toEqual(
			["events_too_long_total", "events_total", "oldest_seconds", "requests_total", "waiting_events"].map(
				(name) => `shardcast_webhook_${name}`,
			),
		);
		expect([of("delivered"), of("dropped")]).toEqual([receiver.of("/main").length, 0]);

		// The drain tells of those that are still there, and of their channels.
		const stopped = await cluster.stop();
		expect(stopped.code, cluster.log()).toBe(0);
		const all = receiver.of("/main");
		const ends = (type: string) => all.filter((event) => event.type === type).map(({ client, channel }) => client ?? channel);
		expect(ends("disconnect").sort(), "each that came has left once").toEqual(ends("connect").sort());
		expect(ends("vacated").sort(), "each channel that was occupied is vacated once").toEqual(ends("occupied").sort());
		expect(all.map(({ seq }) => seq).sort((a, b) => a - b)).toEqual(all.map((_, index) => index + 1));
		const left = first.filter((_, n) => n % 2 === 1 && n < 18).length + second.length + third.length;
		expect(receiver.of("/second").map(({ type }) => type)).toEqual(["start", ...Array.from({ length: left }, () => "disconnect")]);
		expect(receiver.problems).toEqual([]);
		expect(cluster.log()).not.toContain(secret);
	});
});
