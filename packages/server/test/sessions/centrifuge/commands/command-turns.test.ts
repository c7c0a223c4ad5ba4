import { defaultConfig } from "@shardcast/config";
import { describe, expect, it } from "vitest";
import { CentrifugeRig } from "../../../support/centrifuge-rig.ts";

const call = (id: number) => ({ rpc: { method: "shared", data: 1 }, id });

describe("commands of several clients that wait for the same thing", () => {
	it("are each answered to the client that sent them", async () => {
		const rig = new CentrifugeRig();
		let answer!: (value: unknown) => void;
		const shared = new Promise((resolve) => {
			answer = resolve;
		});
		rig.endpoint.set.handlers.onRpc("shared", () => shared);
		const clients = [rig.connected(), rig.connected(), rig.connected()];
		for (const [index, client] of clients.entries()) client.send(call(index + 2));
		answer("done");
		for (const client of clients) await client.settled();
		expect(clients.map((client) => client.replies())).toEqual([2, 3, 4].map((id) => [{ id, rpc: { data: "done" } }]));
	});

	it("also when the answer closes one of them, and when a defect occurs between the replies to a frame", async () => {
		const rig = new CentrifugeRig();
		let answer!: (value: unknown) => void;
		const shared = new Promise((resolve) => {
			answer = resolve;
		});
		rig.endpoint.set.handlers.onRpc("shared", () => shared);
		rig.endpoint.set.handlers.onMessage(() => {});
		const [left, other, broken] = [rig.connected(), rig.connected(), rig.connected()];
		left.send(call(2));
		left.send("no command");
		other.send(call(3));
		answer("done");
		for (const client of [left, other]) await client.settled();
		expect((await left.ended).code).toBe(3501);
		expect([left.replies(), other.replies()]).toEqual([[{ id: 2, rpc: { data: "done" } }], [{ id: 3, rpc: { data: "done" } }]]);

		rig.incoming = {
			fromClient: () => {
				throw new Error("a defect");
			},
		};
		expect(() => broken.send({ subscribe: { channel: "a" }, id: 2 }, { publish: { channel: "a", data: 1 }, id: 3 })).toThrow("a defect");
		other.send({ subscribe: { channel: "b" }, id: 4 });
		expect(other.replies()).toEqual([{ id: 4, subscribe: {} }]);
	});
});

describe("a frame with many commands", () => {
	const rules = {
		channelWithoutNamespace: { ...defaultConfig().channelWithoutNamespace, historySize: 40, historyTtlMs: 60_000 },
	};
	const history = (id: number) => ({ history: { channel: "a", limit: -1 }, id });
	const ids = [2, 3, 4, 5, 6];

	it("is divided among turns of the loop; its client's later frames wait behind it, and those of other clients run in between", async () => {
		const rig = new CentrifugeRig({}, null, -1);
		const [busy, other] = [rig.open(), rig.open()];
		busy.send({ connect: {}, id: 1 }, ...ids.map((id) => ({ unsubscribe: { channel: "a" }, id })));
		busy.send({ unsubscribe: { channel: "a" }, id: 7 });
		other.send({ connect: {}, id: 1 });
		expect([busy.replies(), other.replies()]).toEqual([[], []]);
		while (other.transport.peer.received().length === 0) await new Promise(setImmediate);
		expect(busy.session.backlog).not.toBeNull();
		await busy.settled();
		expect((busy.replies() as { id: number }[]).map(({ id }) => id)).toEqual([1, ...ids, 7]);
	});

	it("gets the next 256 KiB of replies when the client has read those before", async () => {
		const rig = new CentrifugeRig(rules);
		const client = rig.connected();
		const data = Buffer.from(JSON.stringify("x".repeat(10_000)));
		for (let count = 0; count < 30; count++) rig.log.publish("a", data, { history: { size: 40, ttlMs: 60_000, metaTtlMs: 60_000 } });
		client.transport.peer.pause();
		const many = Array.from({ length: 12 }, (_, index) => index + 2);
		client.send(...many.map(history));
		await new Promise((resolve) => setTimeout(resolve, 30));
		expect(client.session.backlog).not.toBeNull();
		client.transport.peer.resume();
		await client.settled();
		const frames = client.frames() as { id: number }[][];
		expect(frames.map((replies) => replies.length)).toEqual([4, 4, 4]);
		expect(frames.flat().map(({ id }) => id)).toEqual(many);
		expect(client.session.leaving).toBe(0);
	});
});
