import { createSocket } from "node:dgram";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Cluster, getJson, httpRequest, ManagedProcess, Scrape, waitFor } from "@shardcast/testkit";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { GatewayReport } from "../../src/monitor/gateway-report.ts";
import { FakeBackend, frameBytes } from "../support/fake-backend.ts";
import { type ReceivedMessage, RigClient } from "../support/gateway-rig.ts";

const main = join(import.meta.dirname, "../../../../apps/supervisor/dist/main.js");
const [link, control, file] = [0, 1, 4];
const within = { deadlineMs: 30_000 };
const processes = 3;
const clientsEach = 10;

/** A backend that sends CONTROL and FILE frames back, and answers pings. */
async function echo(): Promise<FakeBackend> {
	const backend = await FakeBackend.open();
	backend.onConnection = (connection) => {
		connection.onFrame = ({ frameClass, clientId, content }) => {
			const isPing = frameClass === link && content.toString() === '{"type":"ping"}';
			if (isPing) connection.socket.write(frameBytes(link, 0, '{"type":"pong"}'));
			if (frameClass === control || frameClass === file) connection.socket.write(frameBytes(frameClass, clientId, content));
		};
	};
	return backend;
}

const slotOf = (client: RigClient): number => client.id >>> 26;
const numbered = (number: number): Buffer => {
	const content = Buffer.alloc(64);
	content.writeUInt32BE(number);
	return content;
};

let backends: FakeBackend[] = [];
let clients: RigClient[] = [];
let program: ManagedProcess;
let cluster: Cluster;
let discoveryPort = 0;
let folder = "";

const fileOf = (folder: string): string => join(folder, "gateway.yaml");
const useInFile = (these: readonly FakeBackend[]): void =>
	writeFileSync(fileOf(folder), `gateway: {backends: [${these.map(({ port }) => `"127.0.0.1:${port}"`).join()}]}\n`);

/** A process that does not tell its part within half a second is left out: what is expected of all of them is waited for. */
const health = () => getJson<GatewayReport & { readonly status: string; readonly reasons: readonly string[] }>(`${cluster.httpUrl}/health`);
const scrape = () => Scrape.of(cluster.httpUrl);

/** The slot of the process that is connected to this backend: it alone reports it. */
async function ownerOf(backend: FakeBackend): Promise<number> {
	const { text } = await scrape();
	const up = new RegExp(`^shardcast_gateway_backend_up\\{backend="127\\.0\\.0\\.1:${backend.port}",shard="(\\d)"\\} 1$`, "gm");
	const owners = [...text.matchAll(up)].map(([, slot]) => Number(slot));
	if (owners.length !== 1) throw new Error(`${owners.length} processes are connected to ${backend.port}`);
	return owners[0]!;
}

/** The balancer gives each process about as many. */
async function connect(count: number): Promise<void> {
	const opened = Array.from({ length: count }, () => new RigClient(cluster.url));
	clients.push(...opened);
	await Promise.all(opened.map((client) => client.welcome()));
}

/** The numbers that a client got back, in order. */
const answers = (client: RigClient, backendId: number, frameClass: number): number[] =>
	client.frames
		.filter((frame) => frame.clientId !== 0 && frame.backendId === backendId && frame.frameClass === frameClass)
		.map(({ content }) => content.readUInt32BE());

const on = (slot: number): RigClient[] => clients.filter((client) => slotOf(client) === slot);

/** Sends the next number in both classes to both backends. */
function send(number: number, to: readonly RigClient[] = clients): void {
	for (const client of to)
		for (const backendId of [1, 2]) for (const frameClass of [control, file]) client.send(frameClass, backendId, numbered(number));
}

const hasAll = (client: RigClient, backendId: number, last: number): boolean =>
	[control, file].every((frameClass) => answers(client, backendId, frameClass).at(-1) === last);

/** Whether a backend was up when the client came. */
const cameUp = (client: RigClient, id: number): boolean =>
	(client.told[0]!.backends as readonly { readonly id: number; readonly up: boolean }[]).some((each) => each.id === id && each.up);

const toldOf = (client: RigClient, id: number): unknown[] =>
	client.told.filter((told) => told.type === "backend" && told.id === id).map(({ up }) => up);

const isAscending = (numbers: readonly number[]): boolean => numbers.every((number, index) => index === 0 || number > numbers[index - 1]!);

beforeAll(async () => {
	backends = [await echo(), await echo()];
	folder = mkdtempSync(join(tmpdir(), "gateway-"));
	useInFile(backends);
	const args = ["gateway", "127.0.0.1:0", "--config", fileOf(folder), "--shards", String(processes), "--discover", "--discovery-port", "0"];
	program = await ManagedProcess.start(main, [...args, "--log-format", "json", "--monitor-interval", "500ms"], { env: {} });
	const [, port] = await program.waitForOutput(
		/shardcast gateway, pid \d+: ws:\/\/127\.0\.0\.1:(\d+), .*:\1\/console; .*; 3 processes on CPUs/,
		60_000,
	);
	cluster = new Cluster(program, 0, Number(port));
	discoveryPort = Number(/UDP port (\d+)/.exec(program.log())![1]);
	await cluster.ready();
	await waitFor(async () => (await health()).backends.filter(({ isUp }) => isUp).length === 2, { ...within, what: "both backends" });
	const spread = async () => {
		await connect(processes * clientsEach);
		if (Array.from({ length: processes }, (_, slot) => on(slot)).every(({ length }) => length > clientsEach / 2)) return true;
		for (const { socket } of clients.splice(0)) socket.terminate();
		return false;
	};
	// A process whose heartbeat is late gets no clients meanwhile.
	await waitFor(spread, { ...within, what: "clients on all processes" });
	// The other processes hear of a backend after its owner.
	const knows = (client: RigClient) => [1, 2].every((id) => toldOf(client, id).at(-1) ?? cameUp(client, id));
	await waitFor(() => clients.every(knows), { ...within, what: "both backends on all processes" });
});

afterAll(async () => {
	for (const { socket } of clients) socket.terminate();
	await program?.stop("SIGKILL").catch(() => {});
	await Promise.all(backends.map((backend) => backend.close()));
	rmSync(folder, { recursive: true });
});

describe("a gateway of three processes", () => {
	it("passes CONTROL and FILE on once and in order both ways, for clients on all processes, over one pair of connections to each backend", async () => {
		for (let slot = 0; slot < processes; slot++) expect(on(slot).length).toBeGreaterThan(clientsEach / 2);
		expect(new Set(clients.map(({ id }) => id)).size).toBe(clients.length);
		for (let number = 0; number < 20; number++) send(number);
		await waitFor(() => clients.every((client) => [1, 2].every((id) => hasAll(client, id, 19))), { ...within, what: "all answers" });
		const all = Array.from({ length: 20 }, (_, index) => index);
		for (const client of clients)
			for (const id of [1, 2]) for (const frameClass of [control, file]) expect(answers(client, id, frameClass)).toEqual(all);
		for (const backend of backends) {
			expect(backend.open.map(({ kind }) => kind).sort()).toEqual(["control", "data"]);
			const { messages } = await backend.connection("control");
			const joined = messages.flatMap(({ type, client, clients: list }) => (type === "clients" ? (list as number[]) : (client ?? [])));
			expect([...joined].sort()).toEqual(clients.map(({ id }) => id).sort());
		}
	});

	it("gives a frame for all to each client once, on whichever process it is", async () => {
		const [backend] = backends;
		const { socket } = await backend!.connection("control");
		for (let number = 0; number < 5; number++) socket.write(frameBytes(control, 0, `all ${number}`));
		const texts = ({ frames }: RigClient): string[] => frames.filter(forAll).map(({ content }) => content.toString());
		await waitFor(() => clients.every((client) => texts(client).at(-1) === "all 4"), { ...within, what: "the broadcasts" });
		for (const client of clients) expect(texts(client)).toEqual(["all 0", "all 1", "all 2", "all 3", "all 4"]);
	});

	it("finds backends that announce themselves, for all its processes, and says goodbye to them", async () => {
		const backend = await echo();
		backends.push(backend);
		const announcer = createSocket("udp4");
		const announce = (more: object = {}) => {
			const said = {
				shardcast: "backend",
				version: 1,
				port: backend.port,
				name: "arm",
				...more,
			};
			announcer.send(JSON.stringify(said), discoveryPort, "127.0.0.1");
		};
		try {
			announce();
			await waitFor(() => clients.every((client) => toldOf(client, 3).includes(true)), { ...within, what: "the backend" });
			const [first] = clients;
			first!.send(control, 3, "you");
			await waitFor(() => first!.texts.includes("you"), { ...within, what: "its answer" });
			announce({ leaving: true });
			await waitFor(() => clients.every((client) => toldOf(client, 3).at(-1) === false), { ...within, what: "the goodbye" });
			await expect.poll(async () => (await health()).backends.map(({ id }) => id)).toEqual([1, 2]);
		} finally {
			announcer.close();
		}
	});

	it("takes a backend from its file on SIGHUP, and leaves one that is not there any more", async () => {
		const backend = await echo();
		const [one, two] = backends;
		try {
			useInFile([one!, two!, backend]);
			process.kill(program.pid, "SIGHUP");
			await waitFor(() => clients.every((client) => toldOf(client, 4).includes(true)), { ...within, what: "the backend" });
			useInFile([one!, two!]);
			process.kill(program.pid, "SIGHUP");
			await waitFor(() => clients.every((client) => toldOf(client, 4).at(-1) === false), { ...within, what: "its end" });
			await waitFor(() => backend.open.length === 0, { ...within, what: "the end of its connections" });
		} finally {
			await backend.close();
		}
	});

	it("shows the sums of its processes in /health, /metrics, the report, the console and shardcast top", async () => {
		const figures = async () => {
			const now = await health();
			return [now.status, now.clients.open, now.clients.max, now.frames.from_clients];
		};
		await expect.poll(figures).toEqual(["healthy", clients.length, 12_000, clients.length * 80 + 1]);
		expect(await cluster.pids().then((pids) => [...pids.keys()])).toEqual(["supervisor", "balancer", "shard 0", "shard 1", "shard 2"]);
		expect((await scrape()).sum("shardcast_gateway_clients")).toBe(clients.length);
		expect((await scrape()).sum("shardcast_gateway_peers", { shard: "2" })).toBe(processes - 1);
		expect((await scrape()).sum("shardcast_gateway_peer_records_total", { direction: "sent" })).toBeGreaterThan(clients.length);
		expect((await scrape()).sum("websocket_active_connections", { shard: "1" })).toBe(on(1).length);
		await program.waitForOutput(new RegExp(`gateway: clients ${clients.length} of 12000, backends up 2 of 2`), 30_000);
		expect((await httpRequest(`${cluster.httpUrl}/console`)).body).toContain("gateway.js");
		await expect.poll(() => getJson(`${cluster.httpUrl}/console/gateway.json`)).toMatchObject({ clients: { open: clients.length } });
		const top = await ManagedProcess.start(main, ["top", "--once", "--pid", String(program.pid)], { env: {} });
		await top.waitForOutput(new RegExp(`${clients.length} of 12000 connections`), 30_000);
		await top.exited;
	});

	it("after kill -9 of the process that is connected to a backend, another one is; the other clients stay, and nothing comes twice", async () => {
		const doomed = await ownerOf(backends[0]!);
		const isSafe = (await ownerOf(backends[1]!)) !== doomed;
		expect(isSafe).toBe(true);
		const toldBefore = new Map(clients.map((client) => [client, toldOf(client, 1).length]));
		const toldSince = (client: RigClient) => toldOf(client, 1).slice(toldBefore.get(client));
		let number = 20;
		const sender = setInterval(
			() =>
				send(
					number++,
					clients.filter(({ closed }) => closed === null),
				),
			20,
		);
		let lasting: RigClient[];
		try {
			await waitFor(() => number > 30, { ...within, what: "load" });
			await cluster.kill9(doomed);
			lasting = clients.filter((client) => slotOf(client) !== doomed);
			await waitFor(() => lasting.every((client) => toldSince(client).at(-1) === true), { ...within, what: "the backend is up again" });
			const after = number + 5;
			await waitFor(() => number > after, { ...within, what: "load" });
		} finally {
			clearInterval(sender);
		}
		const last = number - 1;
		await waitFor(() => lasting.every((client) => [1, 2].every((id) => hasAll(client, id, last))), { ...within, what: "answers" });
		const all = Array.from({ length: number }, (_, index) => index);
		for (const client of lasting) {
			expect(client.closed).toBe(null);
			expect(toldSince(client)).toEqual([false, true]);
			for (const frameClass of [control, file]) {
				// What was under way at the process that died may be lost, but its order holds, and what went another way is there.
				expect(isAscending(answers(client, 1, frameClass))).toBe(true);
				expect(answers(client, 2, frameClass)).toEqual(all);
			}
		}
		await expect.poll(() => ownerOf(backends[0]!)).not.toBe(doomed);
		const gone = on(doomed);
		await waitFor(() => gone.every(({ closed }) => closed !== null), { ...within, what: "the end of its clients" });
		clients = lasting;
		const backend = await backends[1]!.connection("control");
		const left = () => new Set(backend.messages.filter(({ type }) => type === "client_left").map(({ client }) => client));
		await waitFor(() => gone.every(({ id }) => left().has(id)), { ...within, what: "the backends know that they have left" });
		await waitFor(async () => (await health()).status === "healthy", { ...within, what: "the process serves again" });
		await connect(clientsEach);
		expect(on(doomed).length).toBeGreaterThan(0);
	});

	it("goes on while a process is paused, which is killed and started again", { tags: ["long"] }, async () => {
		const owners = await Promise.all(backends.slice(0, 2).map(ownerOf));
		await expect.poll(async () => (await health()).backends.map(({ process }) => process)).toEqual(owners);
		const idle = [0, 1, 2].find((slot) => !owners.includes(slot))!;
		const pid = (await cluster.pids()).get(`shard ${idle}`)!;
		const { restarts } = (await cluster.health()).shards[idle]!;
		process.kill(pid, "SIGSTOP");
		const isBack = async () => {
			const { status, shards } = await cluster.health();
			return status === "healthy" && shards[idle]!.restarts > restarts;
		};
		await waitFor(isBack, { ...within, what: "its restart" });
		clients = clients.filter((client) => slotOf(client) !== idle);
		send(1_000_000);
		await waitFor(() => clients.every((client) => [1, 2].every((id) => hasAll(client, id, 1_000_000))), { ...within, what: "answers" });
		for (const client of clients) expect(client.closed).toBe(null);
	});

	it("on SIGTERM delivers what is under way, closes clients with 1001 and backends cleanly, and leaves no file", async () => {
		const links = await Promise.all(backends.slice(0, 2).map((backend) => backend.connection("control")));
		const seen = links.map(({ frames }) => frames.length);
		for (let number = 0; number < 10; number++)
			for (const client of clients) for (const id of [1, 2]) client.send(control, id, numbered(2_000_000 + number));
		// Once the gateway has them, they reach the backends.
		await waitFor(() => links.some(({ frames }, index) => frames.length > seen[index]!), { ...within, what: "the first of them" });
		const status = await cluster.stop(30_000);
		expect(status.code).toBe(0);
		for (const client of clients) expect(await client.closing()).toEqual({ code: 1001, reason: "shutdown" });
		await waitFor(() => backends.every(({ open }) => open.length === 0), { ...within, what: "the connections have ended" });
		const left = links.map(({ messages }) => messages.filter(({ type }) => type === "client_left").length);
		expect(left.every((count) => count >= clients.length)).toBe(true);
		expect(program.log()).toContain("shutdown complete: nothing was cut off");
	});
});

function forAll({ clientId, content }: ReceivedMessage): boolean {
	return clientId === 0 && content.toString().startsWith("all");
}
