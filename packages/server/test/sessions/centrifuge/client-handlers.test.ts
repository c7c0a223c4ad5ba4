import { describe, expect, it, vi } from "vitest";
import { type ClientMessage, RpcError } from "../../../src/sessions/centrifuge/client-handlers.ts";
import { CentrifugeRig } from "../../support/centrifuge-rig.ts";
import { tokenOf, tokenSecret } from "../../support/tokens.ts";

const call = (method: string, data: unknown, id = 2) => ({ rpc: { method, data }, id });

describe("rpc", () => {
	it("108 without any handler; 104 for a method without one", () => {
		const rig = new CentrifugeRig();
		const client = rig.connected();
		client.send(call("sum", [1]));
		rig.endpoint.set.handlers.onRpc("sum", () => 1);
		client.send(call("product", [1], 3));
		expect(client.replies()).toMatchObject([
			{ id: 2, error: { code: 108 } },
			{ id: 3, error: { code: 104 } },
		]);
		expect(() => rig.endpoint.set.handlers.onRpc("sum", () => 2)).toThrow("already");
	});

	it("passes the data and the caller to the handler, and its answer to the client", async () => {
		const rig = new CentrifugeRig({ tokenHmacSecret: tokenSecret });
		const seen: unknown[] = [];
		rig.endpoint.set.handlers.onRpc("sum", ({ json, from, method }) => {
			seen.push(json(), from, method);
			return (json() as number[]).reduce((sum, each) => sum + each, 0);
		});
		rig.endpoint.set.handlers.onRpc("raw", ({ data }) => Buffer.concat([data, Buffer.from(" ")]));
		rig.endpoint.set.handlers.onRpc("text", () => Buffer.from("no JSON"));
		rig.endpoint.set.handlers.onRpc("nothing", () => {});
		const client = rig.open();
		client.send({ connect: { token: await tokenOf({ sub: "ann", info: { a: 1 }, meta: { b: 2 } }) }, id: 1 });
		await client.settled();
		client.replies();
		client.send(call("sum", [1, 2]), call("raw", { x: 1 }, 3), call("text", 0, 4), call("nothing", 0, 5));
		await client.settled();
		expect(client.replies()).toEqual([
			{ id: 2, rpc: { data: 3 } },
			{ id: 3, rpc: { data: { x: 1 } } },
			{ id: 4, rpc: { data: "no JSON" } },
			{ id: 5, rpc: {} },
		]);
		expect(seen).toEqual([[1, 2], { client: client.session.id, user: "ann", info: { a: 1 }, meta: { b: 2 } }, "sum"]);
	});

	it("later commands of the client wait for the answer, others' do not", async () => {
		const rig = new CentrifugeRig();
		let answer!: (value: unknown) => void;
		rig.endpoint.set.handlers.onRpc("slow", () => new Promise((resolve) => (answer = resolve)));
		const [client, other] = [rig.connected(), rig.connected()];
		client.send(call("slow", 1), { subscribe: { channel: "a" }, id: 3 });
		other.send({ subscribe: { channel: "a" }, id: 2 });
		expect([client.replies(), other.replies()]).toEqual([[], [{ id: 2, subscribe: {} }]]);
		answer("done");
		await client.settled();
		expect(client.replies()).toEqual([
			{ id: 2, rpc: { data: "done" } },
			{ id: 3, subscribe: {} },
		]);
	});

	it("an RpcError reaches the client as it is, any other error as 100; the connection stays open", async () => {
		const rig = new CentrifugeRig();
		rig.endpoint.set.handlers.onRpc("refuses", () => {
			throw new RpcError(400, "sold out", { temporary: true });
		});
		rig.endpoint.set.handlers.onRpc("fails", () => Promise.reject(new Error("secret")));
		rig.endpoint.set.handlers.onRpc("loops", () => {
			const loop: { self?: unknown } = {};
			loop.self = loop;
			return loop;
		});
		const client = rig.connected();
		client.send(call("refuses", 1), call("fails", 1, 3), call("loops", 1, 4));
		await client.settled();
		expect(client.replies()).toEqual([
			{ id: 2, error: { code: 400, message: "sold out", temporary: true } },
			{ id: 3, error: { code: 100, message: "internal server error", temporary: true } },
			{ id: 4, error: { code: 100, message: "internal server error", temporary: true } },
		]);
		expect(rig.row.get("handlerErrors")).toBe(2);
		expect(() => new RpcError(100, "x")).toThrow(RangeError);
	});

	it("100 when a handler does not settle in time, and the commands behind it continue", async () => {
		vi.useFakeTimers();
		try {
			const rig = new CentrifugeRig();
			rig.endpoint.set.handlers.onRpc("never", () => new Promise(() => {}));
			const client = rig.connected();
			client.send(call("never", 1), { unsubscribe: { channel: "a" }, id: 3 });
			await vi.advanceTimersByTimeAsync(9000);
			expect(client.replies()).toEqual([]);
			await vi.advanceTimersByTimeAsync(2000);
			expect(client.replies()).toMatchObject([
				{ id: 2, error: { code: 100 } },
				{ id: 3, unsubscribe: {} },
			]);
			expect(rig.row.get("handlerTimeouts")).toBe(1);
		} finally {
			vi.useRealTimers();
		}
	});

	it("111 above --message-rate, and when 1024 are running", () => {
		const slow = new CentrifugeRig({ messageRate: 1 });
		slow.endpoint.set.handlers.onRpc("m", () => new Promise(() => {}));
		const [one, two] = [slow.connected(), slow.connected()];
		one.send({ publish: { channel: "a", data: 1 }, id: 2 }, call("m", 1, 3));
		two.send(call("m", 1));
		expect(one.replies()).toMatchObject([{ id: 2 }, { id: 3, error: { code: 111, temporary: true } }]);
		expect(two.replies()).toEqual([]);
		const rig = new CentrifugeRig();
		rig.endpoint.set.handlers.onRpc("m", () => new Promise(() => {}));
		const clients = Array.from({ length: 1025 }, () => rig.session());
		const { rpc } = rig.endpoint.set.handlers;
		const outcomes = clients.map((session) => rpc(session, { method: "m", data: new Uint8Array(0) }));
		expect(outcomes.slice(0, 1024).every((outcome) => outcome instanceof Promise)).toBe(true);
		expect(outcomes[1024]).toEqual({ fails: 111 });
		expect(rig.row.get("handlersFull")).toBe(1);
	});

	it("nothing is sent to, or kept of, a client that disconnects while its handler runs", async () => {
		const rig = new CentrifugeRig();
		let answer!: (value: unknown) => void;
		rig.endpoint.set.handlers.onRpc("slow", () => new Promise((resolve) => (answer = resolve)));
		const client = rig.connected();
		client.send(call("slow", 1));
		client.transport.peer.leave(1000);
		answer(1);
		await new Promise((resolve) => setImmediate(resolve));
		expect(client.replies()).toEqual([]);
		expect(rig.kept).toBe(0);
	});
});

describe("send", () => {
	it("reaches the handler in order, without an answer; its exceptions are only counted", async () => {
		const rig = new CentrifugeRig();
		const seen: unknown[] = [];
		rig.endpoint.set.handlers.onMessage(async ({ json }: ClientMessage) => {
			await null;
			seen.push(json());
			if (json() === 2) throw new Error("secret");
		});
		const client = rig.connected();
		client.send({ send: { data: 1 } }, { send: { data: 2 } }, { send: { data: 3 } }, { unsubscribe: { channel: "a" }, id: 2 });
		await client.settled();
		expect(seen).toEqual([1, 2, 3]);
		expect(client.replies()).toEqual([{ id: 2, unsubscribe: {} }]);
		expect(rig.row.get("handlerErrors")).toBe(1);
	});

	it("3508 without a handler; 3013 above --message-rate", async () => {
		const without = new CentrifugeRig().connected();
		without.send({ send: { data: 1 } });
		expect((await without.ended).code).toBe(3508);
		const rig = new CentrifugeRig({ messageRate: 1 });
		rig.endpoint.set.handlers.onMessage(() => {});
		const client = rig.connected();
		client.send({ send: { data: 1 } }, { send: { data: 2 } });
		expect((await client.ended).code).toBe(3013);
	});
});
