import { waitFor } from "@shardcast/testkit";
import { describe, expect, it } from "vitest";
import { FakeBackend, frameBytes } from "./support/fake-backend.ts";
import { type GatewayRig, gatewayRigs, type RigClient } from "./support/gateway-rig.ts";

const [control, video, file] = [1, 2, 4];
const { start } = gatewayRigs();
const within = (what: string) => ({ what, deadlineMs: 20_000 });
const [kibibyte, mebibyte] = [1024, 2 ** 20];

/** A gateway with as little memory as there may be, and two backends, of which the first does not read its data connection after the hello. */
async function withStalledBackend(config: Parameters<typeof start>[0] = {}): Promise<GatewayRig> {
	const first = await FakeBackend.open();
	first.onConnection = ({ socket, frames }) =>
		socket.once("data", () => frames.some(({ content }) => content.includes('"link":"data"')) && socket.pause());
	const rig = await start({ bufferMemoryBytes: 32 * mebibyte, ...config }, [first, await FakeBackend.open()]);
	await rig.backends[0]!.connection("data");
	return rig;
}

/** Sends FILE to a backend until a frame of it waits in the gateway because nothing else helps. */
async function fillSockets(rig: GatewayRig): Promise<void> {
	const filler = await rig.client();
	while (rig.report.queues.to_backends_data!.waiting < 2) {
		expect(filler.closed).toBeNull();
		filler.send(file, 1, Buffer.alloc(128 * kibibyte));
		await read(rig, filler);
	}
}

/** Waits until the gateway has handled all that a client has sent, or has closed it. */
async function read(rig: GatewayRig, client: RigClient): Promise<void> {
	const before = rig.report.dropped.link_from_client!;
	client.send(0, 0);
	const isGone = () => rig.gateway.hub.clients.get(client.id)?.isGone ?? true;
	await waitFor(() => rig.report.dropped.link_from_client! > before || isGone(), within("the gateway has read it"));
}

/** That a client and a backend that have nothing to do with it go on as if nothing was. */
async function expectOthersGoOn(rig: GatewayRig, other: RigClient, backend: number, sizes: readonly number[]): Promise<void> {
	const at = rig.backends[backend - 1]!;
	for (const [frameClass, kind] of [
		[control, "control"],
		[file, "data"],
	] as const) {
		const connection = await at.connection(kind);
		for (const size of sizes) {
			const before = connection.frames.length;
			other.send(frameClass, backend, Buffer.alloc(size));
			await waitFor(() => connection.frames.length > before || other.closed !== null, within(`${kind}, ${size} bytes to the backend`));
			expect(other.closed).toBeNull();
			const had = other.frames.length;
			connection.socket.write(frameBytes(frameClass, other.id, Buffer.alloc(size)));
			await waitFor(() => other.frames.length > had || other.closed !== null, within(`${kind}, ${size} bytes to the client`));
		}
	}
	expect(other.closed).toBeNull();
}

describe("buffers that somebody keeps", () => {
	it.each([
		["small", 100, 3000, 64, [300, 3000]],
		["large", 60, mebibyte - 1, 3, [300, 200 * kibibyte, mebibyte - 1]],
	] as const)(
		"by a backend that does not read, with many clients that send it %s frames: other clients and backends go on",
		async (_, clients, size, each, sizes) => {
			const rig = await withStalledBackend();
			const other = await rig.client();
			await fillSockets(rig);
			const senders: RigClient[] = [];
			for (let count = 0; count < clients; count++) senders.push(await rig.client());
			for (const sender of senders) {
				sender.burst(() => {
					for (let sent = 0; sent < each; sent++) sender.send(file, 1, Buffer.alloc(size));
				});
				await read(rig, sender);
			}
			expect(rig.report.buffers.overShare).toBeGreaterThan(0);
			await expectOthersGoOn(rig, other, 2, sizes);
			// What is full is its data connection.
			const first = await rig.backends[0]!.connection("control");
			other.send(control, 1, "urgent");
			await waitFor(() => first.story.includes("urgent"), within("CONTROL to the backend that does not read its data connection"));
			const closed = senders.filter(({ closed }) => closed !== null);
			expect(closed.length).toBeGreaterThan(0);
			expect(new Set(closed.map(({ closed }) => closed!.code))).toEqual(new Set([1013]));
		},
	);

	it("by one client, above its bandwidth: other clients of the same backend go on", async () => {
		const rig = await start({ bufferMemoryBytes: 40 * mebibyte, clientBandwidth: 100 * kibibyte });
		const [greedy, other] = [await rig.client(), await rig.client()];
		const data = await rig.backends[0]!.connection("data");
		// Each takes a buffer of 8 MiB. The first one passes, and the others wait for a quarter of a minute.
		for (let sent = 0; sent < 6; sent++) greedy.send(file, 1, Buffer.alloc(1.5 * mebibyte));
		await read(rig, greedy);
		other.send(file, 1, Buffer.alloc(1.5 * mebibyte));
		const fromOther = () => data.frames.filter(({ clientId }) => clientId === other.id).length;
		await waitFor(() => fromOther() === 1 || other.closed !== null, within("FILE of the other client"));
		expect(other.closed).toBeNull();
	});

	it("by clients that do not read: other clients and backends go on", async () => {
		const rig = await start({ bufferMemoryBytes: 32 * mebibyte, stalledClientTimeoutMs: 60_000 }, 2);
		const other = await rig.client();
		const stalled: RigClient[] = [];
		for (let count = 0; count < 4; count++) stalled.push(await rig.client());
		for (const client of stalled) client.pause();
		const { socket } = await rig.backends[0]!.connection("data");
		const isShort = () => rig.report.backends[0]!.stopped.buffer! > 0;
		for (let round = 0; round < 200 && !isShort(); round++) {
			for (const { id } of stalled)
				for (const frameClass of [file, video]) socket.write(frameBytes(frameClass, id, Buffer.alloc(250 * kibibyte)));
			await waitFor(() => socket.writableLength < mebibyte || isShort(), within("the gateway reads"));
		}
		expect(isShort()).toBe(true);
		await expectOthersGoOn(rig, other, 2, [300, 200 * kibibyte, mebibyte - 1]);
		// Of the same backend its control connection goes on, too.
		(await rig.backends[0]!.connection("control")).socket.write(frameBytes(control, other.id, "urgent"));
		await waitFor(() => other.texts.includes("urgent"), within("CONTROL of the backend whose clients do not read"));
	});

	it("by clients that take nothing: they are closed, and the backend that waits for buffers goes on", async () => {
		const rig = await start({ bufferMemoryBytes: 32 * mebibyte, stalledClientTimeoutMs: 500 });
		const [idle, other] = [await rig.client(), await rig.client()];
		const stalled = await Promise.all([1, 2, 3, 4].map(() => rig.client()));
		for (const client of stalled) client.pause();
		const { socket } = await rig.backends[0]!.connection("data");
		const isShort = () => rig.report.backends[0]!.stopped.buffer! > 0;
		for (let round = 0; round < 200 && !isShort(); round++) {
			for (const { id } of stalled) socket.write(frameBytes(file, id, Buffer.alloc(250 * kibibyte)));
			await waitFor(() => socket.writableLength < mebibyte || isShort(), within("the gateway reads"));
		}
		socket.write(frameBytes(file, other.id, "after"));
		await waitFor(() => other.texts.includes("after"), within("FILE for another client"));
		expect(rig.report.clients.closed.stalled).toBeGreaterThan(0);
		expect([idle.closed, other.closed]).toEqual([null, null]);
	});

	it("by frames that backends only announce: nothing is taken for them, and others go on", async () => {
		const rig = await start({ bufferMemoryBytes: 32 * mebibyte }, 9);
		const other = await rig.client();
		for (const backend of rig.backends.slice(0, 8))
			for (const kind of ["control", "data"] as const) {
				const { socket } = await backend.connection(kind);
				socket.write(frameBytes(file, other.id, Buffer.alloc(8 * mebibyte - 1)).subarray(0, 2000));
			}
		await waitFor(() => rig.report.backends.slice(0, 8).every(({ receivedBytes }) => receivedBytes === 4000), within("the announcements"));
		expect(rig.report.buffers.tiers.at(-1)!.inUse).toBe(0);
		await expectOthersGoOn(rig, other, 9, [300, 200 * kibibyte, 7 * mebibyte]);
	});
});
