import { waitFor } from "@shardcast/testkit";
import { beforeEach, describe, expect, it } from "vitest";
import { FrameClass } from "../src/frames/frame-descriptor.ts";
import { type FakeBackend, frameBytes } from "./support/fake-backend.ts";
import { type HubClient, HubsRig } from "./support/hubs-rig.ts";
import { leavesNothing } from "./support/leaves-nothing.ts";
import { openBackend } from "./support/link-rig.ts";

leavesNothing();
const within = (what: string) => ({ what, deadlineMs: 20_000 });
const numbers = (count: number): string[] => Array.from({ length: count }, (_, index) => `${index}`);
const refused = ({ told }: HubClient): number => told.filter(({ type }) => type === "refused").length;
const changes = ({ told }: HubClient): unknown[] => told.filter(({ type }) => type === "backend").map(({ up }) => up);

describe("a backend that is removed from a gateway of several processes", () => {
	let backend: FakeBackend;
	beforeEach(async () => {
		backend = await openBackend();
	});

	/** Tells the processes one after the other, since they need not hear it at the same time. */
	async function tell(rig: HubsRig, order: readonly number[], pauseMs: number, places = rig.places): Promise<void> {
		for (const slot of order) {
			rig.hub(slot).useBackends(places);
			await new Promise((resolve) => setTimeout(resolve, pauseMs));
		}
	}

	/** One slow client of each of two processes, and so many FILE frames of 50 KB for both. The first process is the owner. */
	async function withFullClients(count: number) {
		const rig = new HubsRig({ config: { clientQueueFrames: 8, stalledClientTimeoutMs: 60_000 } });
		rig.use([backend], [0]);
		await rig.up();
		const clients = [rig.client(0), rig.client(1)];
		for (const client of clients) client.isSlow = true;
		const data = await backend.connection("data");
		for (const number of numbers(count)) data.socket.write(frameBytes(FrameClass.FILE, 0, number.padEnd(50_000)));
		const { link } = rig.hub(0).backends.get(1)!;
		await waitFor(() => link.counts.readingStopped.paused > 0, within("the clients are full"));
		return { rig, clients };
	}

	it.each([
		{ order: [0, 1, 2], pauseMs: 0 },
		{ order: [1, 2, 0], pauseMs: 0 },
		{ order: [0, 1, 2], pauseMs: 200 },
		{ order: [1, 2, 0], pauseMs: 200 },
	])("has got each frame of each client, or that client is told: $order with pauses of $pauseMs ms", async ({ order, pauseMs }) => {
		const rig = new HubsRig({
			members: 3,
			config: { clientQueueFrames: 4096, backendQueueFrames: 8, backendPriorityFrames: 8, bufferMemoryBytes: 2 ** 31 },
		});
		rig.use([backend], [0]);
		await rig.up();
		const clients = [rig.client(0), rig.client(1), rig.client(2)];
		const [control, data] = [await backend.connection("control"), await backend.connection("data")];
		for (const { socket } of [control, data]) socket.pause();
		const count = 60;
		for (const client of clients)
			for (const frameClass of [FrameClass.CONTROL, FrameClass.FILE])
				for (const number of numbers(count)) client.send(frameClass, 1, number.padEnd(60_000));
		const { queue } = rig.hub(0).backends.get(1)!.link.outbox;
		await waitFor(() => queue.heldCount > 8 && rig.hub(1).backends.get(1)!.link.outbox.queue.dataCount > 0, within("the owner is full"));
		expect(clients.map(({ closed }) => closed)).toEqual([null, null, null]);
		await tell(rig, order, pauseMs, []);
		for (const { socket } of [control, data]) socket.resume();
		await waitFor(() => rig.hubs.every((hub) => hub!.backends.size === 0), within("it is gone"));
		const got = ({ id }: HubClient): number =>
			[control, data].flatMap(({ frames }) => frames).filter(({ clientId }) => clientId === id).length;
		await waitFor(() => clients.every((client) => got(client) + refused(client) >= 2 * count), within("all frames"));
		expect(clients.map((client) => got(client) + refused(client))).toEqual(clients.map(() => 2 * count));
		expect(clients.slice(1).every((client) => refused(client) > 0)).toBe(true);
		await waitFor(() => clients.every((client) => changes(client).at(-1) === false), within("the news"));
		expect(rig.hub(0).peers!.counts).toMatchObject({ unrefused: 0, backlog: 0 });
		await rig.idle();
	});

	it.each([[[0, 1]], [[1, 0]]])("loses nothing of what it had sent to clients of both, told in the order %s", async (order) => {
		const count = 200;
		const { rig, clients } = await withFullClients(count);
		await tell(rig, order, 100, []);
		for (const client of clients) client.isSlow = false;
		await waitFor(() => rig.hubs.every((hub) => hub!.backends.size === 0), within("it is gone"));
		for (const client of clients) {
			await waitFor(() => client.texts.length >= count, within("all frames"));
			expect(client.texts.map((text) => text.trim())).toEqual(numbers(count));
			await waitFor(() => changes(client).length > 0, within("the news"));
			expect(changes(client)).toEqual([false]);
		}
		await rig.idle();
	});

	it.each([
		{ owner: 0, order: [0, 1] },
		{ owner: 1, order: [0, 1] },
		{ owner: 1, order: [1, 0] },
	])("is connected by process $owner when it is back before its end, told in the order $order", async ({ owner, order }) => {
		const { rig, clients } = await withFullClients(100);
		const { places } = rig;
		await tell(rig, order, 20, []);
		rig.places = places.map((place) => ({ ...place, owner }));
		await tell(rig, order, 20);
		expect(rig.hubs.map((hub) => hub!.backends.get(1)!.link.isUp)).toEqual([false, false]);
		for (const client of clients) client.isSlow = false;
		await rig.up();
		expect(rig.hubs.map((hub) => hub!.backends.get(1)!.link.isOwn)).toEqual([owner === 0, owner === 1]);
		for (const client of clients) {
			expect(client.texts.map((text) => text.trim())).toEqual(numbers(100));
			await waitFor(() => changes(client).at(-1) === true, within("it is up"));
			client.send(FrameClass.CONTROL, 1, `from ${client.id}`);
		}
		const control = await backend.connection("control");
		await waitFor(() => clients.every(({ id }) => control.story.includes(`from ${id}`)), within("frames of both"));
		const news = backend.open.find(({ kind }) => kind === "control")!.messages.map(({ type }) => type);
		expect(news, "clients that are there all the time").not.toContain("client_left");
		await rig.idle();
	});

	it("is given up when its owner dies meanwhile, and comes back with another one", async () => {
		const rig = new HubsRig({ config: { clientQueueFrames: 8, stalledClientTimeoutMs: 60_000 } });
		rig.use([backend], [0]);
		await rig.up();
		const [near, client] = [rig.client(0), rig.client(1)];
		near.isSlow = true;
		const data = await backend.connection("data");
		for (const number of numbers(100)) data.socket.write(frameBytes(FrameClass.FILE, 0, number.padEnd(50_000)));
		const { places } = rig;
		await waitFor(() => rig.hub(0).backends.get(1)!.link.counts.readingStopped.paused > 0, within("a client is full"));
		await tell(rig, [0, 1], 20, []);
		rig.kill(0);
		await waitFor(() => rig.hub(1).backends.size === 0, within("it is gone"));
		rig.places = places.map((place) => ({ ...place, owner: 1 }));
		await tell(rig, [1], 0);
		await waitFor(() => changes(client).at(-1) === true, within("it is up"));
	});
});
