import { waitFor } from "@shardcast/testkit";
import { describe, expect, it } from "vitest";
import { Backends } from "../../src/backends/backends.ts";
import { BufferPool } from "../../src/buffers/buffer-pool.ts";
import { FrameDecision } from "../../src/frames/frame-reader.ts";
import type { FakeBackend } from "../support/fake-backend.ts";
import { closing, leavesNothing } from "../support/leaves-nothing.ts";
import { openBackend, quick } from "../support/link-rig.ts";

leavesNothing();
const within = (what: string) => ({ what, deadlineMs: 20_000 });

function rig(backendsMax?: number) {
	const events: string[] = [];
	const backends: Backends = new Backends({
		options: quick,
		pool: new BufferPool(),
		log: { info: () => {}, warn: () => {} },
		...(backendsMax !== undefined && { backendsMax }),
		listener: {
			begin: () => FrameDecision.take,
			onFrame: () => {},
			onUp: ({ id }) => events.push(`up ${id}`),
			onDown: ({ id }, why) => events.push(`down ${id} ${why}`),
			onUndelivered: () => {},
			clients: () => [7],
			onAdded: ({ link, name }) => events.push(`added ${link.id} ${name}`.trim()),
			onNamed: ({ name }) => events.push(`named ${name}`),
			onRemoved: ({ link }) => events.push(`removed ${link.id}`),
		},
	});
	closing(async () => backends.stop());
	return { backends, events };
}

const at = ({ port }: FakeBackend) => ({ host: "127.0.0.1", port });

describe("the backends of a gateway", () => {
	it("are dialled when they are added, have ids from 1, and all know which gateway it is", async () => {
		const { backends, events } = rig();
		const [one, two] = [await openBackend(), await openBackend()];
		expect(backends.add({ ...at(one), name: "camera" }, "static")?.link.id).toBe(1);
		expect(backends.add(at(two), "static")?.link.id).toBe(2);
		await waitFor(() => [...backends.all].every(({ link }) => link.isUp), within("both are up"));
		expect(events.slice(0, 2)).toEqual(["added 1 camera", "added 2"]);
		expect(events.slice(2).sort()).toEqual(["up 1", "up 2"]);
		const gateways = [await one.connection("control"), await two.connection("data")].map(({ messages }) => messages[0]!.gateway);
		expect(gateways).toEqual([backends.gatewayId, backends.gatewayId]);
		expect(backends.gatewayId).toMatch(/^[\da-f]{16}$/);
		expect(backends.get(2)?.address).toBe(`127.0.0.1:${two.port}`);
	});

	it("tell all that are up who came and left", async () => {
		const { backends } = rig();
		const [one, two] = [await openBackend(), await openBackend()];
		for (const each of [one, two]) backends.add(at(each), "static");
		await waitFor(() => [...backends.all].every(({ link }) => link.isUp), within("both are up"));
		backends.clientJoined(8);
		backends.clientLeft(7);
		for (const each of [one, two]) {
			const control = await each.connection("control");
			await waitFor(() => control.messages.length === 4, within("all messages"));
			expect(control.messages.slice(1)).toEqual([
				{ type: "clients", clients: [7] },
				{ type: "client_joined", client: 8 },
				{ type: "client_left", client: 7 },
			]);
		}
	});

	it("keep one that is known from the command line when discovery loses it, and the other way round", async () => {
		const { backends, events } = rig();
		const backend = await openBackend();
		const address = `127.0.0.1:${backend.port}`;
		const added = backends.add(at(backend), "static");
		expect(backends.add({ host: "::ffff:127.0.0.1", port: backend.port, name: "camera" }, "discovered")).toBe(added);
		expect(added?.name).toBe("camera");
		backends.remove(address, "discovered");
		backends.remove(address, "discovered");
		expect(backends.size).toBe(1);
		backends.add(at(backend), "discovered");
		backends.remove(address, "static");
		expect(backends.size).toBe(1);
		backends.remove(address, "discovered");
		expect(backends.size).toBe(0);
		expect(events.filter((each) => /added|removed/.test(each))).toEqual(["added 1", "removed 1"]);
	});

	it("close the connections of one that is removed, and give it its former id when it is back", async () => {
		const { backends, events } = rig();
		const [one, two] = [await openBackend(), await openBackend()];
		backends.add(at(one), "discovered");
		await waitFor(() => backends.get(1)?.link.isUp && one.open.length === 2, within("it is up"));
		backends.remove(`127.0.0.1:${one.port}`, "discovered");
		await waitFor(() => one.open.length === 0, within("it has no connection"));
		expect(events).toEqual(["added 1", "up 1", "down 1 stopped", "removed 1"]);
		expect(backends.add(at(two), "discovered")?.link.id).toBe(2);
		expect(backends.add(at(one), "discovered")?.link.id).toBe(1);
	});

	it("are no more than they may be", async () => {
		const { backends } = rig(2);
		const all = [await openBackend(), await openBackend(), await openBackend()];
		expect(all.map((each) => backends.add(at(each), "static")?.link.id)).toEqual([1, 2, undefined]);
		expect(backends.refused).toBe(1);
		backends.remove(`127.0.0.1:${all[0]!.port}`, "static");
		expect(backends.add(at(all[2]!), "static")?.link.id).toBe(3);
	});

	it("drain together", async () => {
		const { backends } = rig();
		const backend = await openBackend();
		backends.add(at(backend), "static");
		await waitFor(() => backends.get(1)?.link.isUp, within("it is up"));
		await backends.drain(5000);
		await waitFor(() => backend.open.length === 0, within("no connection"));
	});
});
