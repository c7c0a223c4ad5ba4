import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { defaultConfig } from "@shardcast/config";
import type { RemoteReport } from "@shardcast/control";
import { waitFor } from "@shardcast/testkit";
import { afterEach, describe, expect, it, vi } from "vitest";
import { type RemoteConfig, RemoteShards } from "../../src/remote/remote-shards.ts";

/** A machine that answers /health. */
class FakeMachine {
	health: object = {};
	checks = 0;
	readonly #server: Server;

	private constructor() {
		this.#server = createServer((_, response) => {
			this.checks++;
			response.writeHead(200, { Connection: "close" }).end(JSON.stringify(this.health));
		});
	}

	static async start(port = 0): Promise<FakeMachine> {
		const machine = new FakeMachine();
		machine.#server.listen(port, "127.0.0.1");
		await once(machine.#server, "listening");
		machine.health = { status: "healthy", draining: false, connections: 7, maxConnections: 100 };
		return machine;
	}

	get port(): number {
		return (this.#server.address() as AddressInfo).port;
	}

	async stop(): Promise<void> {
		if (!this.#server.listening) return;
		this.#server.close();
		await once(this.#server, "close");
	}
}

const machines: FakeMachine[] = [];
let remotes: RemoteShards | null = null;
afterEach(async () => {
	vi.useRealTimers();
	remotes?.stop();
	for (const machine of machines.splice(0)) await machine.stop();
});
async function machine(port = 0): Promise<FakeMachine> {
	const made = await FakeMachine.start(port);
	machines.push(made);
	return made;
}

function start(items: readonly string[], changes: Partial<RemoteConfig> = {}) {
	const logged: { readonly fields: object; readonly text: string }[] = [];
	const reports: RemoteReport[] = [];
	const log = (fields: unknown, text?: unknown) => void logged.push({ fields: fields as object, text: String(text) });
	const made = new RemoteShards({
		config: defaultConfig({ remoteShards: items, remoteCheckIntervalMs: 50, remoteCheckTimeoutMs: 5000, ...changes }),
		firstSlot: 64,
		onLost: () => {},
		report: (report) => reports.push(report),
		log: { info: log, warn: log },
	});
	remotes = made;
	made.start();
	const becomes = (status: string, at = 0) =>
		waitFor(
			() => {
				made.look(performance.now());
				return made.states[at]?.status === status;
			},
			{ deadlineMs: 10_000, what: `remote shard ${at} to be ${status}` },
		);
	return { made, logged, reports, becomes };
}

describe("remote shards", () => {
	it("one that is well and does not serve WebSockets: the log and an event say so at the next heartbeat, then once a minute", async () => {
		const first = await machine();
		const { made, logged, reports, becomes } = start([`127.0.0.1:${first.port}`]);
		await becomes("healthy");
		vi.useFakeTimers({ toFake: ["performance"] });
		const row = made.rows[0]!;
		const lines = () => logged.filter(({ text }) => text.includes("503")).map(({ text }) => text);
		made.tick();
		expect(lines()).toEqual([]);
		const text = (what: string) =>
			`remote shard 127.0.0.1:${first.port} answered ${what} with a status such as 503 or 404, not in time, or not in HTTP: other shards were tried`;
		row.unserved++;
		made.tick();
		row.unserved++;
		vi.advanceTimersByTime(59_000);
		made.tick();
		expect(lines()).toEqual([text("1 WebSocket")]);
		row.unserved++;
		vi.advanceTimersByTime(2000);
		made.tick();
		vi.advanceTimersByTime(100_000);
		made.tick();
		expect(lines()).toEqual([text("1 WebSocket"), text("2 WebSockets")]);
		expect(reports.flatMap(({ events }) => events).filter((event) => event.text.includes("503"))).toHaveLength(2);
	});

	it("one that goes and comes back: log for the audit, report with events, and why it gets no clients", async () => {
		const first = await machine();
		const { port } = first;
		const id = `127.0.0.1:${port}`;
		const { made, logged, reports, becomes } = start([`${id}=3`]);
		expect(made.states).toEqual([{ id, status: "starting", reason: "has not answered yet", connections: 0, max: 0, open: 0, weight: 3 }]);
		await becomes("healthy");
		expect(made.states).toEqual([{ id, status: "healthy", connections: 7, max: 100, open: 0, weight: 3 }]);
		await first.stop();
		await becomes("unavailable");
		expect(made.states[0]).toMatchObject({ reason: "cannot be reached: ECONNREFUSED" });
		await machine(port);
		await becomes("healthy");
		expect(logged).toEqual([
			{ fields: { audit: "remote_shard", remote: id, state: "up" }, text: `remote shard ${id} gets clients, weight 3` },
			{
				fields: { audit: "remote_shard", remote: id, state: "down", problem: "cannot be reached: ECONNREFUSED" },
				text: `remote shard ${id} gets no new clients: it cannot be reached: ECONNREFUSED`,
			},
			{ fields: { audit: "remote_shard", remote: id, state: "up" }, text: `remote shard ${id} gets clients, weight 3` },
		]);
		expect(reports.flatMap(({ events }) => events.map(({ level }) => level))).toEqual(["info", "warn", "info"]);
		expect(reports.at(-1)!.states[0]!.status).toBe("healthy");
		expect(made.readings.shards[0]).toMatchObject({ id, isUp: true, weight: 3 });
		expect(made.readings.shards[0]!.checks.failed).toBeGreaterThanOrEqual(2);
	});

	it("with --remote-check-misses 1 the first miss is enough", async () => {
		const one = await machine();
		const { made, becomes } = start([`127.0.0.1:${one.port}`], { remoteCheckMisses: 1 });
		await becomes("healthy");
		await one.stop();
		await becomes("unavailable");
		expect(made.readings.shards[0]!.checks.failed).toBe(1);
	});

	it("the port of one shard: its own figures and state count, not those of the whole machine", async () => {
		const one = await machine();
		const shard = { port: one.port, status: "healthy", connections: 3, max: 50 };
		one.health = {
			status: "degraded",
			draining: false,
			connections: 7,
			maxConnections: 100,
			shards: [{ port: 1, status: "draining" }, shard],
		};
		const { made, becomes } = start([`127.0.0.1:${one.port}`]);
		await becomes("healthy");
		expect(made.states[0]).toMatchObject({ connections: 3, max: 50 });
		one.health = { ...one.health, shards: [{ ...shard, status: "draining" }] };
		await becomes("draining");
		one.health = { ...one.health, shards: [{ ...shard, status: "unhealthy" }] };
		await becomes("unavailable");
	});

	it("a machine that lives on its own remote shards gets none: they would go to a third one, or come back", async () => {
		const one = await machine();
		one.health = {
			...{ status: "degraded", draining: false, connections: 0, maxConnections: 100 },
			shards: [{ port: 1, status: "unhealthy", connections: 0, max: 100 }],
			remoteShards: [{ id: "x", status: "healthy" }],
		};
		const { becomes } = start([`127.0.0.1:${one.port}`]);
		await becomes("unavailable");
	});

	it("other lists and weights hold from then on; who stays keeps its figures and its number", async () => {
		const [one, two] = [await machine(), await machine()];
		const { made, becomes, logged } = start([`127.0.0.1:${one.port}`]);
		await becomes("healthy");
		const [row] = made.rows;
		row!.proxiedOpen = 5;
		const before = made.changes;
		made.use({ remoteShards: [`127.0.0.1:${two.port}`, `127.0.0.1:${one.port}=9`] });
		expect(made.changes).toBeGreaterThan(before);
		const kept = made.rows.find((each) => each === row);
		expect(kept?.remote.known.weight).toBe(9);
		await becomes("healthy", 1);
		made.use({ remoteShards: [`127.0.0.1:${two.port}=0`] });
		expect(made.states).toMatchObject([{ id: `127.0.0.1:${two.port}`, weight: 0 }]);
		expect(made.rows[0]!.slot).toBe(65);
		await becomes("draining");
		expect(made.states[0]!.reason).toBe("gets no new clients: its weight is 0");
		expect(logged.at(-1)!.text).toBe(`remote shard 127.0.0.1:${one.port} was removed from the list: its connections go on`);
	});

	it("connections are reported at most once a second, and only when something has changed", async () => {
		const one = await machine();
		const { made, reports, becomes } = start([`127.0.0.1:${one.port}`]);
		await becomes("healthy");
		const before = reports.length;
		for (let beat = 0; beat < 50; beat++) {
			made.rows[0]!.proxiedOpen = beat;
			made.tick();
		}
		expect(reports.length - before).toBeLessThanOrEqual(1);
		await waitFor(
			() => {
				made.tick();
				return reports.at(-1)!.states[0]!.open === 49;
			},
			{ deadlineMs: 10_000, what: "the last number" },
		);
	});

	it.each([
		[{ error: { code: "tls_required" } }, "wants TLS: set --remote-tls here"],
		[
			{ error: { code: "proxy_header" } },
			"wants a PROXY header: set --remote-send-proxy here, and this machine in --trusted-proxies there",
		],
		[{ nodes: [], connections: 1 }, "is an edge, not a shard: name the machines themselves"],
	])("what answers %j: which option is missing", async (health, reason) => {
		const one = await machine();
		one.health = health;
		const { made, becomes } = start([`127.0.0.1:${one.port}`]);
		await becomes("unavailable");
		expect(made.states[0]!.reason).toBe(reason);
	});
});
