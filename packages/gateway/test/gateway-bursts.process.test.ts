import { waitFor } from "@shardcast/testkit";
import { describe, expect, it, vi } from "vitest";
import { frameBytes } from "./support/fake-backend.ts";
import { gatewayRigs, type RigClient } from "./support/gateway-rig.ts";

const [control, file] = [1, 4];
const { start } = gatewayRigs();
const within = { deadlineMs: 10_000 };

/** Sends numbered frames at once. */
function burst(client: RigClient, count: number, frameClass: number, backend: number): void {
	client.burst(() => {
		for (let index = 0; index < count; index++) {
			const content = Buffer.alloc(16);
			content.writeUInt32BE(index);
			client.send(frameClass, backend, content);
		}
	});
}

describe("bursts from a client", () => {
	it.each([
		["CONTROL", control, "control"],
		["FILE", file, "data"],
	] as const)("of %s pass, each frame once and in order, when the backend reads", async (_name, frameClass, kind) => {
		const rig = await start();
		const client = await rig.client();
		const connection = await rig.backends[0]!.connection(kind);
		burst(client, 2000, frameClass, 1);
		const got = () => connection.frames.filter((frame) => frame.frameClass === frameClass);
		await waitFor(() => got().length === 2000 || client.closed !== null, { ...within, what: "all frames" });
		expect(client.closed).toBeNull();
		expect(got().map(({ content }) => content.readUInt32BE(0))).toEqual(Array.from({ length: 2000 }, (_, index) => index));
	});

	it("of 35,000 take turns: no more than 64 in a turn of the event loop, and all of them arrive, even if the client goes meanwhile", async () => {
		const rig = await start();
		const [flood, other] = [await rig.client(), await rig.client()];
		const connection = await rig.backends[0]!.connection("control");
		const { fromClients } = rig.gateway.hub;
		const take = fromClients.take.bind(fromClients);
		const perTurn: number[] = [0];
		vi.spyOn(fromClients, "take").mockImplementation((client, message) => {
			if (client.id === flood.id) perTurn[perTurn.length - 1]!++;
			take(client, message);
		});
		let isCounting = true;
		const nextTurn = (): void => {
			perTurn.push(0);
			if (isCounting) setImmediate(nextTurn);
		};
		nextTurn();
		burst(flood, 35_000, control, 1);
		flood.socket.close();
		other.send(control, 1, "other");
		const got = () => connection.frames.filter(({ frameClass }) => frameClass === control);
		await waitFor(() => got().length === 35_001, { ...within, what: "all frames" });
		isCounting = false;
		// An immediate of the gateway may run before or after the one that counts.
		expect(perTurn.reduce((most, count) => Math.max(most, count), 0)).toBeLessThanOrEqual(128);
		const ofFlood = got().filter(({ content }) => content.length > 5);
		expect(ofFlood.map(({ content }) => content.readUInt32BE(0))).toEqual(Array.from({ length: 35_000 }, (_, index) => index));
		expect(await rig.metric("shardcast_gateway_deferred_frames_total")).toBeGreaterThan(1000);
		expect(rig.gateway.hub.pool.inUse).toBe(0);
	});

	it("of which one that waited for its turn cannot be handled: its client is closed with 1011, and nobody else", async () => {
		const rig = await start();
		const [flood, other] = [await rig.client(), await rig.client()];
		const connection = await rig.backends[0]!.connection("control");
		const { fromClients } = rig.gateway.hub;
		const take = fromClients.take.bind(fromClients);
		let handled = 0;
		vi.spyOn(fromClients, "take").mockImplementation((client, message) => {
			if (client.id === flood.id && ++handled === 200) throw new Error("a bug");
			take(client, message);
		});
		burst(flood, 1000, control, 1);
		expect(await flood.closing()).toEqual({ code: 1011, reason: "internal error" });
		other.send(control, 1, "other");
		await waitFor(() => connection.frames.some(({ content }) => content.toString() === "other"), {
			...within,
			what: "the other client's frame",
		});
		expect(handled, "frames of the client, none after the one that failed").toBe(200);
		expect(await rig.metric("shardcast_gateway_callback_errors_total")).toBe(1);
		expect(await rig.metric("shardcast_gateway_deferred_frames_total")).toBeGreaterThan(200);
	});

	it("to a backend that is not there: the client that reads is told of each, and stays", async () => {
		const rig = await start();
		const client = await rig.client();
		burst(client, 500, control, 77);
		await waitFor(() => client.told.filter(({ type }) => type === "refused").length === 500 || client.closed !== null, {
			...within,
			what: "all refusals",
		});
		expect(client.closed).toBeNull();
	});

	it("that wait when their backend goes: the client is told of each, and stays", async () => {
		const rig = await start();
		const client = await rig.client();
		const data = await rig.backends[0]!.connection("data");
		data.socket.pause();
		const big = Buffer.alloc(128 * 1024);
		let count = 0;
		while (rig.report.queues.to_backends_data!.waiting < 120) {
			client.send(file, 1, big);
			// Else more would be on its way than the client's share of the buffers.
			const sent = ++count;
			await waitFor(() => rig.report.frames.from_clients === sent, { ...within, what: "the gateway has the frame", everyMs: 1 });
		}
		data.socket.destroy();
		await waitFor(() => client.told.filter(({ type }) => type === "refused").length >= 120 || client.closed !== null, {
			...within,
			what: "all refusals",
		});
		expect(client.closed).toBeNull();
	});
});

describe("bandwidth", () => {
	it("CONTROL passes at once in both directions while FILE waits, and FILE keeps its order", async () => {
		const rig = await start({ clientBandwidth: 20_000 });
		const client = await rig.client();
		const [controls, data] = [await rig.backends[0]!.connection("control"), await rig.backends[0]!.connection("data")];
		for (let index = 0; index < 3; index++) {
			data.socket.write(frameBytes(file, client.id, Buffer.alloc(40_000, index)));
			client.send(file, 1, Buffer.alloc(40_000, index));
		}
		const files = ({ frames }: Pick<typeof data, "frames">) =>
			frames.filter(({ frameClass }) => frameClass === file).map(({ content }) => content[0]);
		await waitFor(() => files(client).length === 1 && files(data).length === 1, { ...within, what: "the first FILE" });
		const beganMs = performance.now();
		controls.socket.write(frameBytes(control, client.id, "down"));
		client.send(control, 1, "up");
		const has = ({ frames }: Pick<typeof data, "frames">) => frames.some(({ frameClass }) => frameClass === control);
		await waitFor(() => has(client) && has(controls), { ...within, what: "CONTROL" });
		// The next FILE may pass after a second.
		expect(performance.now() - beganMs).toBeLessThan(700);
		expect([files(client), files(data)]).toEqual([[0], [0]]);
		await waitFor(() => files(client).length === 3 && files(data).length === 3, { ...within, what: "all FILE" });
		expect([files(client), files(data)]).toEqual([
			[0, 1, 2],
			[0, 1, 2],
		]);
	});

	it("a reload that lifts the limit lets go what waits in both directions", async () => {
		const rig = await start({ clientBandwidth: 1000 });
		const client = await rig.client();
		const data = await rig.backends[0]!.connection("data");
		for (let index = 0; index < 3; index++) {
			data.socket.write(frameBytes(file, client.id, Buffer.alloc(100_000)));
			client.send(file, 1, Buffer.alloc(100_000));
		}
		const files = () => [client, data].map(({ frames }) => frames.filter(({ frameClass }) => frameClass === file).length);
		await waitFor(() => files().join() === "1,1", { ...within, what: "the first frames" });
		await waitFor(() => rig.report.frames.from_clients === 3, { ...within, what: "all of the client's" });
		rig.gateway.reload({ ...rig.gateway.config, clientBandwidth: 0 });
		await waitFor(() => files().join() === "3,3", { ...within, what: "the frames that waited" });
	});

	it("a reload that lifts the limit lets go what a client that has gone has sent", async () => {
		const rig = await start({ clientBandwidth: 1000 });
		const client = await rig.client();
		const data = await rig.backends[0]!.connection("data");
		for (let index = 0; index < 20; index++) client.send(file, 1, Buffer.alloc(1000));
		await waitFor(() => rig.report.frames.from_clients === 20, { ...within, what: "all of the client's" });
		client.socket.close();
		await waitFor(() => rig.report.clients.open === 0, { ...within, what: "no client" });
		rig.gateway.reload({ ...rig.gateway.config, clientBandwidth: 0 });
		const files = () => data.frames.filter(({ frameClass }) => frameClass === file).length;
		await waitFor(() => files() === 20, { ...within, what: "all frames" });
		expect(rig.report.dropped.client_closed).toBe(0);
	});

	it("a client that sends much more than the limit is closed, and told why", async () => {
		const rig = await start({ clientBandwidth: 1000, clientQueueFrames: 4 });
		const client = await rig.client();
		burst(client, 200, file, 1);
		for (let index = 0; index < 10; index++) client.send(file, 1, Buffer.alloc(1000));
		expect(await client.closing()).toEqual({
			code: 1013,
			reason: "too many frames wait for their turn in the bandwidth limit; send more slowly",
		});
		expect(rig.report.clients.closed.over_bandwidth).toBe(1);
	});

	it("a client is not stalled while the gateway's limit keeps frames from it", async () => {
		const rig = await start({ clientBandwidth: 25_000, clientQueueFrames: 4, stalledClientTimeoutMs: 200 });
		const client = await rig.client();
		const data = await rig.backends[0]!.connection("data");
		for (let index = 0; index < 8; index++) data.socket.write(frameBytes(file, client.id, Buffer.alloc(10_000)));
		await waitFor(() => client.frames.length === 8 || client.closed !== null, { ...within, what: "frames" });
		expect(client.closed).toBeNull();
	});
});
