import { describe, expect, it } from "vitest";
import { CentrifugeRig } from "../../support/centrifuge-rig.ts";

const call = (id: number) => ({ rpc: { method: "shared", data: 1 }, id });

describe("commands of several clients that wait for the same thing", () => {
	it("are each answered to the client that sent them", async () => {
		const rig = new CentrifugeRig();
		let answer!: (value: unknown) => void;
		const shared = new Promise((resolve) => {
			answer = resolve;
		});
		rig.endpoint.handlers.onRpc("shared", () => shared);
		const clients = [rig.connected(), rig.connected(), rig.connected()];
		for (const [index, client] of clients.entries()) client.send(call(index + 2));
		answer("done");
		for (const client of clients) await client.settled();
		expect(clients.map((client) => client.replies())).toEqual([2, 3, 4].map((id) => [{ id, rpc: { data: "done" } }]));
	});

	it("also when one of them is closed by its answer, and when a defect strikes between the replies to a frame", async () => {
		const rig = new CentrifugeRig();
		let answer!: (value: unknown) => void;
		const shared = new Promise((resolve) => {
			answer = resolve;
		});
		rig.endpoint.handlers.onRpc("shared", () => shared);
		rig.endpoint.handlers.onMessage(() => {});
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
