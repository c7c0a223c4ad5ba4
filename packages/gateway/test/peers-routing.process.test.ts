import { Scoreboard } from "@shardcast/scoreboard";
import { waitFor } from "@shardcast/testkit";
import { beforeEach, describe, expect, it } from "vitest";
import { FrameClass } from "../src/frames/frame-descriptor.ts";
import { gatewayReport } from "../src/monitor/gateway-report.ts";
import { type FakeBackend, frameBytes, type ReceivedFrame } from "./support/fake-backend.ts";
import { type HubClient, HubsRig } from "./support/hubs-rig.ts";
import { leavesNothing } from "./support/leaves-nothing.ts";
import { openBackend } from "./support/link-rig.ts";

leavesNothing();
const within = (what: string) => ({ what, deadlineMs: 20_000 });
const numbers = (count: number): string[] => Array.from({ length: count }, (_, index) => `${index}`);
const ofClass = (frames: readonly ReceivedFrame[], frameClass: number) => frames.filter((frame) => frame.frameClass === frameClass);

/** Ids in the news of clients on a control connection. */
function clientsOf(control: { readonly messages: readonly { readonly type: string; readonly [name: string]: unknown }[] }): number[] {
	const there = new Set<number>();
	for (const { type, client, clients } of control.messages) {
		if (type === "clients") for (const id of clients as number[]) there.add(id);
		else if (type === "client_joined") there.add(client as number);
		else if (type === "client_left") there.delete(client as number);
	}
	return [...there].sort((one, two) => one - two);
}

const ids = (clients: readonly HubClient[]): number[] => clients.map(({ id }) => id).sort((one, two) => one - two);

describe("a gateway of several processes", () => {
	let backends: FakeBackend[];
	beforeEach(async () => {
		backends = [await openBackend(), await openBackend()];
	});

	it("connects each backend once, and tells it the clients of all processes", async () => {
		const rig = new HubsRig({ members: 3 });
		const early = [0, 1, 2].map((slot) => rig.client(slot));
		rig.use(backends, [0, 1]);
		await rig.up();
		const late = [0, 1, 2].map((slot) => rig.client(slot));
		for (const backend of backends) {
			const control = await backend.connection("control");
			await waitFor(() => clientsOf(control).length === 6, within("all clients"));
			expect(clientsOf(control)).toEqual(ids([...early, ...late]));
			expect(backend.connections.map(({ kind }) => kind).sort()).toEqual(["control", "data"]);
		}
		late[2]!.leave();
		early[1]!.leave();
		for (const backend of backends) {
			const control = await backend.connection("control");
			await waitFor(() => clientsOf(control).length === 4, within("two have left"));
			expect(clientsOf(control)).toEqual(ids([early[0]!, early[2]!, late[0]!, late[1]!]));
		}
		expect(late[2]!.told[0]).toMatchObject({
			type: "welcome",
			backends: [
				{ id: 1, up: true },
				{ id: 2, up: true },
			],
		});
	});

	it("tells a backend of many clients in messages that are no longer than --max-frame", async () => {
		const rig = new HubsRig({ config: { maxFrameBytes: 512 } });
		const clients = Array.from({ length: 120 }, (_, index) => rig.client(index % 2));
		rig.use(backends, [0, 1]);
		await rig.up();
		for (const backend of backends) {
			const control = await backend.connection("control");
			await waitFor(() => clientsOf(control).length === clients.length, within("all clients"));
			expect(clientsOf(control)).toEqual(ids(clients));
			for (const { content } of control.frames) expect(1 + content.length).toBeLessThanOrEqual(512);
		}
	});

	it("passes each CONTROL and FILE frame on once, in order, both ways, between all clients and backends", async () => {
		const rig = new HubsRig({ members: 3, capacityBytes: 64 * 1024, config: { clientQueueFrames: 2048 } });
		rig.use(backends, [0, 1]);
		await rig.up();
		const clients = [0, 0, 1, 1, 2, 2].map((slot) => rig.client(slot));
		const count = 100;
		const ports = await Promise.all(
			backends.map(async (backend) => ({ control: await backend.connection("control"), data: await backend.connection("data") })),
		);
		for (const number of numbers(count)) {
			for (const client of clients)
				for (const backend of [1, 2]) {
					client.send(FrameClass.CONTROL, backend, number);
					client.send(FrameClass.FILE, backend, number.padEnd(500));
				}
			for (const { control, data } of ports)
				for (const { id } of clients) {
					control.socket.write(frameBytes(FrameClass.CONTROL, id, number));
					data.socket.write(frameBytes(FrameClass.FILE, id, number.padEnd(500)));
				}
			await new Promise((resolve) => setImmediate(resolve));
		}
		const all = clients.length * count;
		for (const { control, data } of ports) {
			await waitFor(() => ofClass(control.frames, FrameClass.CONTROL).length >= all && data.frames.length > all, within("to backends"));
			for (const { id } of clients) {
				const texts = (frames: readonly ReceivedFrame[], frameClass: number) =>
					ofClass(frames, frameClass)
						.filter(({ clientId }) => clientId === id)
						.map(({ content }) => content.toString().trim());
				expect(texts(control.frames, FrameClass.CONTROL)).toEqual(numbers(count));
				expect(texts(data.frames, FrameClass.FILE)).toEqual(numbers(count));
			}
		}
		for (const client of clients) {
			await waitFor(() => client.texts.length >= 4 * count, within("to clients"));
			for (const backendId of [1, 2])
				for (const frameClass of [FrameClass.CONTROL, FrameClass.FILE]) {
					const texts = client.messages
						.filter((message) => message.frameClass === frameClass && message.backendId === backendId)
						.map(({ content }) => content.toString().trim());
					expect(texts).toEqual(numbers(count));
				}
			expect(client.closed).toBeNull();
		}
		await rig.idle();
	});

	it("passes a broadcast on to each client once, and a frame for all backends to each of them once", async () => {
		const rig = new HubsRig({ members: 3 });
		rig.use(backends, [0, 1]);
		await rig.up();
		const clients = [0, 0, 1, 1, 2, 2].map((slot) => rig.client(slot));
		const control = await backends[1]!.connection("control");
		const data = await backends[1]!.connection("data");
		for (const number of numbers(50)) {
			control.socket.write(frameBytes(FrameClass.CONTROL, 0, number));
			data.socket.write(frameBytes(FrameClass.FILE, 0, number));
		}
		for (const client of clients) await waitFor(() => client.texts.length >= 100, within("broadcasts"));
		for (const { messages } of clients)
			for (const frameClass of [FrameClass.CONTROL, FrameClass.FILE])
				expect(messages.filter((message) => message.frameClass === frameClass).map(({ content }) => content.toString())).toEqual(
					numbers(50),
				);
		for (const client of clients) client.send(FrameClass.CONTROL, 0, `from ${client.id}`);
		const from = clients.map(({ id }) => `from ${id}`).sort();
		for (const backend of backends) {
			const { frames } = await backend.connection("control");
			const texts = () => ofClass(frames, FrameClass.CONTROL).map(({ content }) => content.toString());
			await waitFor(() => texts().length >= 6, within("frames for all backends"));
			expect(texts().sort()).toEqual(from);
		}
		await rig.idle();
	});

	it("holds only the connection whose frames a slow client of another process does not take", async () => {
		const rig = new HubsRig({ config: { clientQueueFrames: 8, stalledClientTimeoutMs: 60_000 } });
		rig.use(backends, [0, 0]);
		await rig.up();
		const [slow, far, near] = [rig.client(1), rig.client(1), rig.client(0)];
		slow.isSlow = true;
		const data = await backends[0]!.connection("data");
		const control = await backends[0]!.connection("control");
		const other = await backends[1]!.connection("data");
		const piece = Buffer.alloc(64 * 1024, "x");
		let written = 0;
		while (written < 2000 && data.socket.write(frameBytes(FrameClass.FILE, slow.id, piece))) {
			written++;
			if (written % 20 === 0) await new Promise((resolve) => setImmediate(resolve));
		}
		await waitFor(() => rig.hub(0).fromBackends.pausesOf(rig.hub(0).backends.get(1)!.link) > 0, within("the connection is not read"));
		for (const { id } of [far, near, slow]) control.socket.write(frameBytes(FrameClass.CONTROL, id, "control"));
		for (const { id } of [far, near]) other.socket.write(frameBytes(FrameClass.FILE, id, "file of the other backend"));
		for (const client of [far, near]) await waitFor(() => client.texts.length === 2, within("what passes it"));
		data.socket.write(frameBytes(FrameClass.FILE, near.id, "file"));
		await new Promise((resolve) => setTimeout(resolve, 50));
		expect(near.texts).not.toContain("file");
		slow.isSlow = false;
		await waitFor(() => near.texts.includes("file"), within("the rest"));
		const files = () => slow.messages.filter(({ frameClass }) => frameClass === FrameClass.FILE).length;
		await waitFor(() => files() >= written, within("all for the slow one"));
		expect([written, written + 1]).toContain(files());
		expect(slow.texts).toContain("control");
		await rig.idle();
	});

	it("holds only what goes to a backend that does not read, for clients of another process as well", async () => {
		const rig = new HubsRig({
			config: { clientQueueFrames: 4096, clientQueueBytes: 2 ** 30, backendQueueFrames: 8, backendQueueBytes: 2 ** 20 },
		});
		backends[0]!.isReading = false;
		rig.use(backends, [0, 0]);
		await rig.up();
		const [one, two] = [rig.client(1), rig.client(1)];
		const piece = Buffer.alloc(200 * 1024, "x");
		const count = 80;
		for (let sent = 0; sent < count; sent++) {
			one.send(FrameClass.FILE, 1, piece);
			if (sent % 10 === 0) await new Promise((resolve) => setImmediate(resolve));
		}
		const heldAt = (slot: number) => rig.hub(slot).backends.get(1)!.link.outbox.queue.heldCount;
		await waitFor(() => heldAt(0) === 8 && heldAt(1) > 0, within("frames are held in both processes"));
		two.send(FrameClass.FILE, 2, "to the other one");
		one.send(FrameClass.CONTROL, 2, "to the other one, too");
		const other = { control: await backends[1]!.connection("control"), data: await backends[1]!.connection("data") };
		await waitFor(
			() => other.data.story.includes("to the other one") && other.control.story.includes("to the other one, too"),
			within("they pass"),
		);
		expect(one.closed).toBeNull();
		for (const connection of backends[0]!.connections) connection.read();
		const data = await backends[0]!.connection("data");
		await waitFor(() => ofClass(data.frames, FrameClass.FILE).length === count, within("the rest"));
		expect(one.told.filter(({ type }) => type === "refused")).toEqual([]);
		await rig.idle();
	});

	it("refuses what was on its way to a backend that breaks, and all of it is either there or refused", async () => {
		const rig = new HubsRig({ config: { clientQueueFrames: 4096, backendReconnectMinMs: 300, backendReconnectMaxMs: 300 } });
		rig.use(backends, [0, 0]);
		await rig.up();
		// Each has less than its share of the buffers.
		const clients = [rig.client(1), rig.client(1), rig.client(1)];
		const client = clients[0]!;
		const control = await backends[0]!.connection("control");
		control.socket.pause();
		const piece = "x".repeat(30_000);
		let count = 0;
		while (rig.hub(1).backends.get(1)!.link.outbox.queue.heldCount < 150) {
			clients[count++ % 3]!.send(FrameClass.CONTROL, 1, piece);
			await new Promise((resolve) => setImmediate(resolve));
		}
		await waitFor(() => rig.hub(0).backends.get(1)!.link.outbox.queue.controlCount > 0, within("it waits at the owner"));
		backends[0]!.cut();
		await waitFor(() => client.told.some(({ type, up }) => type === "backend" && up === false), within("the client hears of it"));
		client.send(FrameClass.CONTROL, 1, "late");
		await waitFor(() => client.told.some(({ type, up }) => type === "backend" && up === true), within("it is up again"));
		client.send(FrameClass.CONTROL, 1, "again");
		await waitFor(async () => (await backends[0]!.connection("control")).story.includes("again"), within("the next frame"));
		const refused = clients.flatMap(({ told }) => told.filter(({ type }) => type === "refused"));
		expect(refused.every((each) => each.backend === 1 && each.class === FrameClass.CONTROL && each.reason === "backend_down")).toBe(true);
		const taken = ofClass(control.frames, FrameClass.CONTROL).length;
		// What the kernel had taken for a backend that did not read it is not known.
		const inKernel = count + 1 - taken - refused.length;
		expect(refused.length).toBeGreaterThan(100);
		expect(inKernel * piece.length).toBeLessThan(16 * 2 ** 20);
		await rig.idle();
	});

	it("connects a backend from another process when its owner has gone, and clients there stay", async () => {
		const rig = new HubsRig({ members: 3 });
		rig.use(backends, [0, 1]);
		await rig.up();
		const gone = rig.client(0);
		const clients = [rig.client(1), rig.client(2)];
		const { connections } = backends[0]!;
		await waitFor(() => connections.some((each) => each.kind === "control" && clientsOf(each).length === 3), within("all clients"));
		rig.kill(0);
		for (const client of clients) await waitFor(() => client.told.some(({ id, up }) => id === 1 && up === false), within("it is down"));
		clients[0]!.send(FrameClass.CONTROL, 1, "lost");
		await waitFor(() => clients[0]!.told.some(({ type }) => type === "refused"), within("it is refused"));
		rig.use(backends, [2, 1]);
		for (const client of clients) await waitFor(() => client.told.some(({ id, up }) => id === 1 && up === true), within("it is up"));
		const control = await backends[0]!.connection("control");
		await waitFor(() => clientsOf(control).length === 2, within("the clients that are left"));
		expect(clientsOf(control)).toEqual(ids(clients));
		expect(clientsOf(control)).not.toContain(gone.id);
		for (const client of clients) client.send(FrameClass.CONTROL, 1, `from ${client.id}`);
		await waitFor(() => ofClass(control.frames, FrameClass.CONTROL).length === 2, within("frames"));
		rig.start(0);
		await rig.up();
		expect(backends[0]!.open.length).toBe(2);
		await rig.idle();
	});

	it("tells a backend that the clients of a process that has gone have left", async () => {
		const rig = new HubsRig();
		rig.use(backends, [0, 0]);
		await rig.up();
		const stays = rig.client(0);
		for (let count = 0; count < 250; count++) rig.client(1);
		const control = await backends[0]!.connection("control");
		await waitFor(() => clientsOf(control).length === 251, within("all clients"));
		rig.kill(1);
		await waitFor(() => clientsOf(control).length === 1, within("they have left"));
		expect(clientsOf(control)).toEqual([stays.id]);
		control.socket.write(frameBytes(FrameClass.CONTROL, 0, "to all"));
		await waitFor(() => stays.texts.includes("to all"), within("the rest goes on"));
		await rig.idle();
	});

	it("drains what is on its way through another process before that one closes its connection", async () => {
		const rig = new HubsRig({ config: { clientQueueFrames: 4096 } });
		rig.use(backends, [0, 0]);
		await rig.up();
		const client = rig.client(1);
		const count = 200;
		for (const number of numbers(count)) client.send(FrameClass.FILE, 1, number.padEnd(10_000));
		const data = await backends[0]!.connection("data");
		client.leave();
		await Promise.all([rig.hub(0).drain(10_000), rig.hub(1).drain(10_000)]);
		await waitFor(() => data.isClosed, within("it is closed"));
		expect(ofClass(data.frames, FrameClass.FILE).map(({ content }) => content.toString().trim())).toEqual(numbers(count));
		expect(rig.hub(0).streams!.open + rig.hub(1).streams!.open).toBe(0);
		await rig.idle();
	});

	it("drops the oldest VIDEO towards a process that does not read, counts it, and holds nothing", async () => {
		const rig = new HubsRig({ config: { backendQueueFrames: 16, videoWindow: 1000 } });
		rig.use([backends[0]!], [0]);
		await rig.up();
		const [far, near] = [rig.client(1), rig.client(0)];
		const data = await backends[0]!.connection("data");
		await waitFor(() => far.told.length > 0, within("the welcome"));
		rig.hung.add(1);
		const count = 400;
		for (const number of numbers(count)) {
			data.socket.write(frameBytes(FrameClass.VIDEO, 0, number.padEnd(30_000)));
			await new Promise((resolve) => setImmediate(resolve));
		}
		await waitFor(() => near.texts.at(-1)?.trim() === `${count - 1}`, within("the newest for its own client"));
		expect(rig.hub(0).peers!.queues.data.dropped).toBeGreaterThan(300);
		expect(rig.hub(0).fromBackends.pausesOf(rig.hub(0).backends.get(1)!.link)).toBe(0);
		rig.hung.delete(1);
		await waitFor(() => far.texts.at(-1)?.trim() === `${count - 1}`, within("the newest for the other one's client"));
		expect(far.texts.length + rig.hub(0).peers!.queues.data.dropped).toBe(count);
		await rig.idle();
	});

	it("drops frames with the id of a client of another process than the one that sent them, and goes on", async () => {
		const rig = new HubsRig({ members: 3 });
		rig.use([backends[0]!], [0]);
		await rig.up();
		const [mine, other] = [rig.client(1), rig.client(2)];
		const { link } = rig.hub(1).backends.get(1)!;
		const forged = rig.hub(1).pool.take(5)!;
		forged.fill(Buffer.from([FrameClass.CONTROL, 1, 2, 3, 4]));
		for (const id of [other.id, 0]) {
			forged.seal(id, 1);
			expect(link.send(forged, mine.client.queues.budget)).toBe("queued");
			await waitFor(() => forged.references === 1, within("it is sent"));
		}
		forged.release();
		link.clientJoined(other.id + 1);
		mine.send(FrameClass.CONTROL, 1, "true");
		const control = await backends[0]!.connection("control");
		await waitFor(() => control.story.includes("true"), within("the next frame"));
		expect(ofClass(control.frames, FrameClass.CONTROL).length).toBe(1);
		expect(clientsOf(control)).toEqual(ids([mine, other]));
		expect(rig.hub(0).peers!.counts.foreignClient).toBe(3);
		await rig.idle();
	});

	it("tells a client that was too slow how a backend is now, and not how it was with its former owner", async () => {
		const rig = new HubsRig({ config: { clientQueueFrames: 2, stalledClientTimeoutMs: 60_000 } });
		rig.use(backends, [0, 1]);
		await rig.up();
		const client = rig.client(1);
		const hub = rig.hub(1);
		client.isSlow = true;
		const control = await backends[1]!.connection("control");
		control.socket.write(frameBytes(FrameClass.CONTROL, client.id, "x".repeat(100_000)));
		for (const number of numbers(3)) control.socket.write(frameBytes(FrameClass.CONTROL, client.id, number));
		await waitFor(() => client.client.queues.output.holdsSources, within("its queue is full"));
		rig.kill(0);
		await waitFor(() => !hub.backends.get(1)!.link.isUp, within("it is down"));
		rig.use(backends, [1, 1]);
		client.isSlow = false;
		const told = () => client.told.filter(({ type, id }) => type === "backend" && id === 1).map(({ up }) => up);
		await waitFor(() => told().includes(true), within("it is up"));
		const { streams } = hub;
		const tick = streams!.tick.bind(streams);
		let ticks = 0;
		streams!.tick = () => {
			ticks++;
			tick();
		};
		await waitFor(() => ticks >= 2, within("what was not told"));
		expect(told().at(-1)).toBe(true);
	});

	it("counts VIDEO for which the owner of its backend had no buffer", async () => {
		const rig = new HubsRig();
		rig.use([backends[0]!], [0]);
		await rig.up();
		rig.hub(0).pool.takeVideo = () => null;
		const client = rig.client(1);
		client.send(FrameClass.VIDEO, 1, "dropped");
		client.send(FrameClass.FILE, 1, "passed");
		const data = await backends[0]!.connection("data");
		await waitFor(() => data.story.includes("passed"), within("the other frame"));
		const row = Scoreboard.inMemory(1).row(0);
		expect(gatewayReport({ hub: rig.hub(0), row, list: null }).dropped.no_buffer).toBe(1);
		expect(gatewayReport({ hub: rig.hub(1), row, list: null }).dropped.no_buffer).toBe(0);
	});

	it("keeps the newest VIDEO of another process's client when a backend does not read, and counts the rest", async () => {
		const rig = new HubsRig({ config: { bufferMemoryBytes: 32 * 2 ** 20 } });
		rig.use([backends[0]!], [0]);
		await rig.up();
		const data = await backends[0]!.connection("data");
		data.socket.pause();
		const client = rig.client(1);
		const remote = rig.hub(1).backends.get(1)!.link;
		const { pool } = rig.hub(0);
		const { counters } = rig.hub(0).backends.get(1)!.link.outbox.queue;
		let sent = 0;
		const sendMany = async (): Promise<void> => {
			for (const end = sent + 50; sent < end; ) {
				client.send(FrameClass.VIDEO, 1, `${sent++}`.padEnd(200_000));
				await waitFor(() => remote.outbox.isEmpty, within("it is sent"));
			}
		};
		while (pool.replaced === 0) await sendMany();
		await sendMany();
		await waitFor(() => counters.data.offered === sent, within("all have come to the owner"));
		data.socket.resume();
		await waitFor(() => data.story.at(-1)?.trim() === `${sent - 1}`, within("the newest"));
		const got = ofClass(data.frames, FrameClass.VIDEO).map(({ content }) => Number(content.toString()));
		expect(got).toEqual([...got].sort((one, two) => one - two));
		expect(counters.data.dropped).toBe(sent - got.length);
		expect(gatewayReport({ hub: rig.hub(0), row: Scoreboard.inMemory(1).row(0), list: null }).dropped.no_buffer).toBe(0);
		await rig.idle();
	});

	it("does not wait for a process that has ended its part and gone, while a backend does not read what that sent", async () => {
		const rig = new HubsRig({ config: { clientQueueFrames: 4096, backendQueueFrames: 8, backendPriorityFrames: 8 } });
		backends[0]!.isReading = false;
		rig.use([backends[0]!], [0]);
		await rig.up();
		const [near, far] = [rig.client(0), rig.client(1)];
		const { queue } = rig.hub(0).backends.get(1)!.link.outbox;
		const remote = rig.hub(1).backends.get(1)!.link;
		const piece = "x".repeat(30_000);
		const full = () => queue.counters.control.holding === 8 && queue.counters.data.holding === 8;
		while (!full()) {
			if (queue.counters.control.holding < 8) far.send(FrameClass.CONTROL, 1, piece);
			if (queue.counters.data.holding < 8) far.send(FrameClass.FILE, 1, piece);
			await waitFor(() => remote.outbox.isEmpty, within("it is sent"));
			await new Promise((resolve) => setImmediate(resolve));
		}
		for (const frameClass of [FrameClass.CONTROL, FrameClass.FILE])
			for (const text of numbers(5)) far.send(frameClass, 1, text.padEnd(30_000));
		await waitFor(() => remote.outbox.isEmpty, within("the last is sent"));
		await rig.hub(1).drain(200);
		rig.kill(1);
		const [first, second] = backends[0]!.connections;
		for (const number of numbers(200)) for (const { socket } of [first!, second!]) socket.write(frameBytes(FrameClass.CONTROL, 0, number));
		await waitFor(() => near.texts.length === 400, within("what the backend sends to all"));
		for (const connection of backends[0]!.connections) connection.read();
		const data = await backends[0]!.connection("data");
		const control = await backends[0]!.connection("control");
		await waitFor(() => data.story.at(-1)?.trim() === "4" && control.story.includes("client_left"), within("the rest"));
		expect(control.story.map((each) => each.trim())).toContain("4");
		await rig.idle();
	});

	it("refuses what waits in a stream for a backend as soon as that has ended one of its connections", async () => {
		const rig = new HubsRig({
			config: { clientQueueFrames: 4096, backendPriorityFrames: 8 },
			link: { finishMs: 60_000, finishMsMax: 60_000 },
		});
		backends[0]!.isReading = false;
		rig.use([backends[0]!], [0]);
		await rig.up();
		const client = rig.client(1);
		const { link } = rig.hub(0).backends.get(1)!;
		const remote = rig.hub(1).backends.get(1)!.link;
		const { control } = link.outbox.queue.counters;
		let sent = 0;
		const send = async (): Promise<void> => {
			client.send(FrameClass.CONTROL, 1, "x".repeat(30_000));
			sent++;
			await waitFor(() => remote.outbox.isEmpty, within("it is sent"));
		};
		while (control.holding < 8) await send();
		for (let more = 0; more < 5; more++) await send();
		const inStream = sent - control.offered;
		expect(inStream).toBeGreaterThan(3);
		backends[0]!.connections[0]!.socket.end();
		const refused = () => client.told.filter(({ type, reason }) => type === "refused" && reason === "backend_down").length;
		await waitFor(() => link.counts.undelivered > 0 && refused() === link.counts.undelivered + inStream, within("all are refused"));
		expect(link.counts.ends.lost).toBe(0);
	});

	it("refuses each frame that an owner had not got when it died, and keeps none", async () => {
		const rig = new HubsRig({ config: { clientQueueFrames: 4096 } });
		rig.use([backends[0]!], [0]);
		await rig.up();
		const client = rig.client(1);
		const { link } = rig.hub(1).backends.get(1)!;
		await waitFor(() => link.outbox.isEmpty, within("what it is told"));
		const before = link.counts.sentBytes;
		rig.hung.add(0);
		const bytes = 30_000;
		const count = 40;
		for (let sent = 0; sent < count; sent++) client.send(FrameClass.CONTROL, 1, "x".repeat(bytes));
		// The rest of one that was begun is still there.
		const window = () => link.counts.sentBytes - before;
		await waitFor(() => window() > 8 * bytes && link.outbox.queue.controlCount < count - 8, within("the window is full"));
		rig.kill(0);
		const refused = () => client.told.filter(({ type, reason }) => type === "refused" && reason === "backend_down").length;
		await waitFor(() => !link.isUp, within("the owner is missed"));
		expect(link.counts.undelivered).toBe(count - Math.floor(window() / (bytes + 13)));
		await waitFor(() => refused() === link.counts.undelivered, within("the client is told"));
		await rig.idle();
	});

	it("drains an owner while the other processes go on: they send what they have, and it takes no more", async () => {
		const rig = new HubsRig({ config: { clientQueueFrames: 4096 } });
		rig.use([backends[0]!], [0]);
		await rig.up();
		const client = rig.client(1);
		const data = await backends[0]!.connection("data");
		// Of more in one turn, the rest may come after the owner takes no more, and is refused.
		const count = 60;
		for (const number of numbers(count)) client.send(FrameClass.FILE, 1, number.padEnd(10_000));
		const beganMs = performance.now();
		await rig.hub(0).drain(120_000);
		expect(performance.now() - beganMs).toBeLessThan(60_000);
		await waitFor(() => data.isClosed, within("it is closed"));
		expect(ofClass(data.frames, FrameClass.FILE).map(({ content }) => content.toString().trim())).toEqual(numbers(count));
		// It hears so from the owner, over the bus.
		const downs = () => client.told.filter((message) => message.type === "backend" && !message.up);
		await waitFor(() => downs().length > 0, within("the client is told"));
		expect(downs()).toMatchObject([{ id: 1 }]);
		expect(client.told.at(-1)).toEqual(downs()[0]);
		client.send(FrameClass.FILE, 1, "late");
		await waitFor(() => client.told.at(-1)?.type === "refused", within("it is refused"));
		await rig.idle();
	});
});
