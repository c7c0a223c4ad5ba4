import { waitFor } from "@shardcast/testkit";
import { describe, expect, it } from "vitest";
import { gatewayRigs } from "./support/gateway-rig.ts";

const [control, file] = [1, 4];
const { start } = gatewayRigs();
const within = { deadlineMs: 20_000 };
const numbers = (count: number) => Array.from({ length: count }, (_, index) => index);
const content = (index: number, bytes: number) => `${index} `.padEnd(bytes, "x");
const numberIn = (text: { toString(): string }) => Number(text.toString().split(" ")[0]);

describe("a gateway that drains", () => {
	it("passes on what waits for bandwidth, also of a client that has gone", async () => {
		const rig = await start({ clientBandwidth: 1000, shutdownTimeoutMs: 20_000 });
		const [stays, goes] = [await rig.client(), await rig.client()];
		const data = await rig.backends[0]!.connection("data");
		for (const client of [stays, goes]) for (const index of numbers(20)) client.send(file, 1, content(index, 1000));
		await waitFor(() => rig.report.frames.from_clients === 40, { ...within, what: "frames" });
		goes.socket.close();
		await waitFor(() => rig.report.clients.open === 1, { ...within, what: "one client" });
		expect(data.frames.length, "frames before the end").toBeLessThan(10);
		expect(await rig.gateway.drain()).toBe(0);
		await waitFor(() => data.isClosed, { ...within, what: "the end" });
		for (const { id } of [stays, goes])
			expect(data.frames.filter(({ clientId }) => clientId === id).map((frame) => numberIn(frame.content))).toEqual(numbers(20));
	});

	it("gives a backend that reads late every CONTROL and FILE frame of clients that are closed, and tells it that each has left", async () => {
		const rig = await start({
			shutdownTimeoutMs: 40_000,
			clientQueueFrames: 64,
			clientQueueBytes: 32 * 2 ** 20,
			bufferMemoryBytes: 2 ** 30,
		});
		const [sender, ...others] = [await rig.client(), await rig.client(), await rig.client()];
		const links = { control: await rig.backends[0]!.connection("control"), data: await rig.backends[0]!.connection("data") };
		await waitFor(() => links.control.messages.length === 5, { ...within, what: "three clients" });
		for (const { socket } of Object.values(links)) socket.pause();
		// Kernels take some of it; the rest waits in queues of the gateway, and as held frames.
		for (const index of numbers(100)) sender.send(control, 1, content(index, 50_000));
		for (const index of numbers(150)) sender.send(file, 1, content(index, 50_000));
		await waitFor(() => rig.report.frames.to_backends === 250, { ...within, what: "frames" });
		expect(rig.report.queues.to_backends_control!.waiting).toBeGreaterThan(0);
		expect(rig.report.queues.to_backends_data!.waiting).toBeGreaterThan(0);
		const cutOff = rig.gateway.drain();
		for (const client of [sender, ...others]) expect(await client.closing()).toEqual({ code: 1001, reason: "shutdown" });
		for (const { socket } of Object.values(links)) socket.resume();
		expect(await cutOff).toBe(0);
		await waitFor(() => links.control.isClosed && links.data.isClosed, { ...within, what: "the end" });
		for (const [kind, frameClass, count] of [
			["control", control, 100],
			["data", file, 150],
		] as const) {
			const got = links[kind].frames.filter((frame) => frame.frameClass === frameClass);
			expect(got.map((frame) => numberIn(frame.content))).toEqual(numbers(count));
		}
		const left = links.control.messages.filter(({ type }) => type === "client_left").map(({ client }) => client);
		expect(left.sort()).toEqual([sender, ...others].map(({ id }) => id).sort());
		expect(rig.report.backends[0]).toMatchObject({ undelivered: 0, ends: { stopped: 1, lost: 0 } });
	});
});
