import { urlHost } from "@shardcast/config";
import { waitFor } from "@shardcast/testkit";
import { describe, expect, it } from "vitest";
import { type Backend, Backends } from "../../src/backends/backends.ts";
import { BufferPool } from "../../src/buffers/buffer-pool.ts";
import { BackendDirectory } from "../../src/cluster/backend-directory.ts";
import { canonicalHost } from "../../src/discovery/announcement.ts";
import { FrameClass } from "../../src/frames/frame-descriptor.ts";
import { FrameDecision } from "../../src/frames/frame-reader.ts";
import { type FakeBackend, frameBytes } from "../support/fake-backend.ts";
import { closing, leavesNothing } from "../support/leaves-nothing.ts";
import { openBackend, quick } from "../support/link-rig.ts";

leavesNothing();
const within = (what: string) => ({ what, deadlineMs: 20_000 });

function rig(backendsMax?: number) {
	const events: string[] = [];
	const log = { info: () => {}, warn: () => {} };
	/** While false, the next frame of each connection waits, and nothing behind it is read. */
	const room = { isThere: true };
	const backends: Backends = new Backends({
		options: quick,
		pool: new BufferPool(),
		log,
		listener: {
			begin: () => (room.isThere ? FrameDecision.take : FrameDecision.wait),
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
	const directory = new BackendDirectory({
		...{ slots: [0], log, ...(backendsMax !== undefined && { backendsMax }) },
		onChange: (places) => backends.use(places),
	});
	/** @returns the backend; undefined = it is not used. */
	const add = (...[backend, origin]: Parameters<BackendDirectory["add"]>): Backend | undefined => {
		directory.add(backend, origin);
		const wanted = urlHost({ host: canonicalHost(backend.host), port: backend.port });
		return [...backends.all].find(({ address }) => address === wanted);
	};
	return { backends, directory, add, events, room };
}

const at = ({ port }: FakeBackend) => ({ host: "127.0.0.1", port });

describe("the backends of a gateway", () => {
	it("are dialled when they are added, have ids from 1, and find out which two connections belong together", async () => {
		const { backends, add, events } = rig();
		const [one, two] = [await openBackend(), await openBackend()];
		expect(add({ ...at(one), name: "camera" }, "static")?.link.id).toBe(1);
		expect(add(at(two), "static")?.link.id).toBe(2);
		await waitFor(() => [...backends.all].every(({ link }) => link.isUp), within("both are up"));
		expect(events.slice(0, 2)).toEqual(["added 1 camera", "added 2"]);
		expect(events.slice(2).sort()).toEqual(["up 1", "up 2"]);
		const gateways = await Promise.all(
			[one, two]
				.flatMap((each) => [each.connection("control"), each.connection("data")])
				.map(async (each) => (await each).messages[0]!.gateway),
		);
		expect(gateways[0]).toMatch(/^[\da-f]{16}$/);
		expect([gateways[1], gateways[3]]).toEqual([gateways[0], gateways[2]]);
		expect(gateways[2]).not.toBe(gateways[0]);
		expect(backends.get(2)?.address).toBe(`127.0.0.1:${two.port}`);
	});

	it("at two addresses are two, even if one backend is behind both: each has its own name of the gateway, and both stay up", async () => {
		const { backends, add } = rig();
		const backend = await openBackend();
		add({ host: "localhost", port: backend.port }, "static");
		add(at(backend), "discovered");
		await waitFor(() => backends.size === 2 && [...backends.all].every(({ link }) => link.isUp), within("both are up"));
		await waitFor(() => backend.open.filter(({ messages }) => messages.length > 0).length === 4, within("all say hello"));
		const pairs = new Map<unknown, unknown[]>();
		for (const { messages } of backend.open) {
			const { gateway, link, backend: id } = messages[0]!;
			pairs.set(gateway, [...(pairs.get(gateway) ?? []), `${link} of ${id}`].sort());
		}
		expect([...pairs.values()].sort()).toEqual([
			["control of 1", "data of 1"],
			["control of 2", "data of 2"],
		]);
	});

	it("tell all that are up who came and left", async () => {
		const { backends, add } = rig();
		const [one, two] = [await openBackend(), await openBackend()];
		for (const each of [one, two]) add(at(each), "static");
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
		const { backends, directory, add, events } = rig();
		const backend = await openBackend();
		const address = `127.0.0.1:${backend.port}`;
		const added = add(at(backend), "static");
		expect(add({ host: "::ffff:127.0.0.1", port: backend.port, name: "camera" }, "discovered")).toBe(added);
		expect(added?.name).toBe("camera");
		directory.remove(address, "discovered");
		directory.remove(address, "discovered");
		expect(backends.size).toBe(1);
		add(at(backend), "discovered");
		directory.remove(address, "static");
		expect(backends.size).toBe(1);
		directory.remove(address, "discovered");
		expect(backends.size).toBe(0);
		expect(events.filter((each) => /added|removed/.test(each))).toEqual(["added 1", "removed 1"]);
	});

	it("close the connections of one that is removed, and give it its former id when it is back", async () => {
		const { backends, directory, add, events } = rig();
		const [one, two] = [await openBackend(), await openBackend()];
		add(at(one), "discovered");
		await waitFor(() => backends.get(1)?.link.isUp && one.open.length === 2, within("it is up"));
		directory.remove(`127.0.0.1:${one.port}`, "discovered");
		await waitFor(() => one.open.length === 0 && backends.size === 0, within("it has no connection"));
		expect(events).toEqual(["added 1", "up 1", "down 1 stopped", "removed 1"]);
		expect(add(at(two), "discovered")?.link.id).toBe(2);
		expect(add(at(one), "discovered")?.link.id).toBe(1);
	});

	it("keep one that is removed until it has ended; when it is on the list again by then, it is connected again, with its former id", async () => {
		const { backends, directory, add, events, room } = rig();
		const backend = await openBackend();
		add(at(backend), "discovered");
		await waitFor(() => backends.get(1)?.link.isUp && backend.open.length === 2, within("it is up"));
		const { own } = backends.get(1)!;
		room.isThere = false;
		const data = await backend.connection("data");
		data.socket.write(frameBytes(FrameClass.FILE, 0, "the last"));
		directory.remove(`127.0.0.1:${backend.port}`, "discovered");
		expect([backends.size, backends.listed.length, backends.isLeaving(1), own!.isUp]).toEqual([1, 0, true, false]);
		add(at(backend), "discovered");
		directory.remove(`127.0.0.1:${backend.port}`, "discovered");
		add(at(backend), "discovered");
		expect([backends.listed.length, backends.get(1)?.own]).toEqual([1, own]);
		expect(events).toEqual(["added 1", "up 1"]);
		room.isThere = true;
		own!.resume("data");
		await waitFor(() => backends.get(1)?.link.isUp, within("it is up again"));
		expect(events).toEqual(["added 1", "up 1", "down 1 stopped", "removed 1", "added 1", "up 1"]);
		expect(backend.connections).toHaveLength(4);
	});

	it("that are being removed are no more than 64; the first of more ends at once", async () => {
		const { backends, events, room } = rig();
		const backend = await openBackend();
		const places = Array.from({ length: 65 }, (_, index) => ({
			...{ id: index + 1, host: "127.0.0.1", port: backend.port, address: `backend ${index}`, name: "", origins: [] as const, owner: 0 },
		}));
		backends.use(places);
		await waitFor(() => [...backends.all].every(({ link }) => link.isUp), within("all are up"));
		room.isThere = false;
		for (const { socket } of backend.open) socket.write(frameBytes(FrameClass.FILE, 0, "never read"));
		backends.use([]);
		expect([backends.size, events.at(-1)]).toEqual([64, "removed 1"]);
		backends.stop();
		expect(backends.size).toBe(0);
	});

	it("are no more than they may be", async () => {
		const { directory, add } = rig(2);
		const all = [await openBackend(), await openBackend(), await openBackend()];
		expect(all.map((each) => add(at(each), "static")?.link.id)).toEqual([1, 2, undefined]);
		expect(directory.refused).toBe(1);
		directory.remove(`127.0.0.1:${all[0]!.port}`, "static");
		expect(add(at(all[2]!), "static")?.link.id).toBe(3);
	});

	it("drain together", async () => {
		const { backends, add } = rig();
		const backend = await openBackend();
		add(at(backend), "static");
		await waitFor(() => backends.get(1)?.link.isUp, within("it is up"));
		await backends.drain(5000);
		await waitFor(() => backend.open.length === 0, within("no connection"));
	});
});
