import { setImmediate as nextTurn } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { BufferPool } from "../../src/buffers/buffer-pool.ts";
import { ClientTurn, ClientTurns } from "../../src/clients/client-turns.ts";
import { FrameClass } from "../../src/frames/frame-descriptor.ts";
import { HeldBudget } from "../../src/lanes/held-frames.ts";
import { GatewayCounts } from "../../src/monitor/gateway-counts.ts";

/** Messages of 13 bytes with their masks and heads, as many as one read of uWebSockets.js brings at most. */
const readMessages = 34_952;

function message(number: number, frameClass: number = FrameClass.CONTROL, bytes = 13): Buffer {
	const content = Buffer.alloc(bytes);
	content[8] = frameClass;
	content.writeUInt32BE(number, 9);
	return content;
}

function rig({ pool = new BufferPool(), bytesMax = 2 ** 24, onHandle = (_name: string, _number: number): void => {} } = {}) {
	const counts = new GatewayCounts();
	const handled: { readonly name: string; readonly number: number }[] = [];
	const failures: { readonly name: string; readonly error: unknown }[] = [];
	const client = (name: string) => ({
		name,
		isGone: false,
		turn: new ClientTurn(),
		queues: { budget: new HeldBudget(64, bytesMax), share: pool.clientShare() },
	});
	const turns = new ClientTurns<ReturnType<typeof client>>({
		...{ framesPerTurn: 64, payloadBytesMax: 8 * 2 ** 20, pool, counts },
		handle: ({ name }, bytes) => {
			const number = bytes.length < 13 ? -1 : bytes.readUInt32BE(9);
			handled.push({ name, number });
			onHandle(name, number);
		},
		failed: (client, error) => {
			failures.push({ name: client.name, error });
			client.isGone = true;
		},
	});
	const send = (to: ReturnType<typeof client>, from: number, until: number) => {
		for (let number = from; number < until; number++) turns.take(to, message(number));
	};
	const done = async (): Promise<void> => {
		while (turns.waiting > 0) await nextTurn();
	};
	const numbersOf = (wanted: string) => handled.filter(({ name }) => name === wanted).map(({ number }) => number);
	return { pool, counts, handled, failures, client, turns, send, done, numbersOf };
}

const upTo = (count: number) => Array.from({ length: count }, (_, index) => index);

describe("turns of clients", () => {
	it("no more than 64 messages of a client come before those of others, however many came at once", async () => {
		const { handled, client, send, done, numbersOf } = rig();
		const [flood, other] = [client("flood"), client("other")];
		send(flood, 0, readMessages);
		send(other, 0, 1);
		expect(handled.findIndex(({ name }) => name === "other")).toBe(64);
		for (let turn = 1; turn <= 3; turn++) {
			await nextTurn();
			send(other, turn, turn + 1);
			expect(numbersOf("flood").length, `turn ${turn}`).toBeLessThanOrEqual(64 * (turn + 1));
			expect(numbersOf("other")).toEqual(upTo(turn + 1));
		}
		await done();
		expect(numbersOf("flood")).toEqual(upTo(readMessages));
	});

	it("what comes meanwhile waits behind it, each message once and in order, and all memory is free afterwards", async () => {
		const { pool, counts, client, send, done, numbersOf, turns } = rig();
		const [first, second] = [client("first"), client("second")];
		send(first, 0, 1000);
		send(second, 0, 200);
		await nextTurn();
		send(first, 1000, 1010);
		turns.take(first, message(1010, FrameClass.FILE, 300_000));
		send(first, 1011, 1100);
		await nextTurn();
		expect(Math.abs(numbersOf("first").length - numbersOf("second").length)).toBeLessThanOrEqual(64);
		await done();
		expect(numbersOf("first")).toEqual(upTo(1100));
		expect(numbersOf("second")).toEqual(upTo(200));
		expect(counts.deferred).toBe(936 + 136 + 100);
		expect([pool.inUse, first.queues.budget.bytes, first.queues.share.bytes, turns.waiting]).toEqual([0, 0, 0, 0]);
	});

	it("64 messages in each turn wait for nothing and take no buffer", async () => {
		const { counts, client, send, numbersOf } = rig();
		const one = client("one");
		for (let turn = 0; turn < 10; turn++) {
			send(one, 64 * turn, 64 * (turn + 1));
			expect(numbersOf("one").length).toBe(64 * (turn + 1));
			await nextTurn();
			await nextTurn();
		}
		expect(counts.deferred).toBe(0);
	});

	it("what a client sent before it closed is handled", async () => {
		const { pool, client, send, done, numbersOf } = rig();
		const one = client("one");
		send(one, 0, 1000);
		await nextTurn();
		one.isGone = true;
		await done();
		expect(numbersOf("one")).toEqual(upTo(1000));
		expect(pool.inUse).toBe(0);
	});

	it("when one message closes its client, none after it is handled, and they are counted", async () => {
		const { pool, counts, client, send, done, numbersOf } = rig({
			onHandle: (_, number) => {
				if (number === 500) one.isGone = true;
			},
		});
		const one = client("one");
		send(one, 0, 1000);
		await done();
		expect(numbersOf("one")).toEqual(upTo(501));
		expect(counts.dropped.client_closed).toBe(499);
		expect([pool.inUse, one.queues.budget.bytes]).toEqual([0, 0]);
	});

	it("when one makes room for the next by closing its client, that one is not handled either", async () => {
		const { pool, counts, client, send, done, numbersOf } = rig({
			bytesMax: 1300,
			onHandle: (_, number) => {
				if (number === 64) one.isGone = true;
			},
		});
		const one = client("one");
		send(one, 0, 165);
		await done();
		expect(numbersOf("one")).toEqual(upTo(65));
		expect(counts.dropped.client_closed).toBe(100);
		expect([pool.inUse, one.queues.budget.bytes]).toEqual([0, 0]);
	});

	it("one that waited and cannot be handled closes its client, and no other: nothing is left of it", async () => {
		const problem = new Error("a bug");
		const { pool, counts, failures, client, send, done, numbersOf } = rig({
			onHandle: (name, number) => {
				if (name === "bad" && number === 100) throw problem;
			},
		});
		const [bad, other] = [client("bad"), client("other")];
		send(bad, 0, 300);
		send(other, 0, 300);
		await done();
		expect(failures).toEqual([{ name: "bad", error: problem }]);
		expect(numbersOf("bad")).toEqual(upTo(101));
		expect(numbersOf("other")).toEqual(upTo(300));
		expect(counts.dropped.client_closed).toBe(199);
		expect([pool.inUse, bad.queues.budget.bytes]).toEqual([0, 0]);
	});

	it("a message that finds no room to wait has those before it handled at once, of every class: nothing is lost, and nobody is closed", async () => {
		const { client, turns, send, done, numbersOf } = rig({ bytesMax: 1300 });
		const [flood, film] = [client("flood"), client("film")];
		send(film, 0, 64);
		for (let number = 64; number < 300; number++) turns.take(film, message(number, FrameClass.VIDEO));
		for (const bytes of [Buffer.alloc(3), message(0, FrameClass.LINK), message(0, 77)]) turns.take(film, bytes);
		expect(numbersOf("film"), "100 wait").toEqual([...upTo(200), -1, 0, 0]);
		send(flood, 0, 164);
		expect(numbersOf("flood").length).toBe(64);
		send(flood, 164, 165);
		expect(numbersOf("flood"), "the oldest makes room").toEqual(upTo(65));
		turns.take(flood, message(165, FrameClass.FILE, 2000));
		expect(numbersOf("flood"), "none can wait behind it").toEqual(upTo(166));
		await done();
		expect(numbersOf("film").filter((number) => number >= 200)).toEqual(upTo(300).slice(200));
	});

	it("a client that goes on sending without an end has at most a mebibyte that waits", async () => {
		const { counts, client, send, done, numbersOf } = rig();
		const flood = client("flood");
		send(flood, 0, 100_000);
		expect(flood.turn.bytes).toBeLessThanOrEqual(2 ** 20);
		expect(flood.turn.bytes).toBeGreaterThan(2 ** 20 - 13);
		await done();
		expect(numbersOf("flood")).toEqual(upTo(100_000));
		expect(counts.deferred).toBe(100_000 - 64);
	});

	it("messages that find no buffer are handled as they come", async () => {
		const { client, send, done, numbersOf } = rig({ pool: new BufferPool({ memoryBytesMax: 2 ** 17 }) });
		send(client("flood"), 0, 10_000);
		await done();
		expect(numbersOf("flood")).toEqual(upTo(10_000));
	});

	it("hurries before a stop: what waits is handled before anything else happens, also if it stops meanwhile", async () => {
		const { client, send, turns, handled } = rig({ onHandle: (_, number) => void (number === 5000 && turns.stop()) });
		send(client("one"), 0, 6000);
		turns.hurry();
		await nextTurn();
		expect(handled.length).toBe(5001);
	});

	it("after a stop nothing is handled, and all memory is free", async () => {
		const { pool, client, send, turns, handled } = rig();
		send(client("one"), 0, 1000);
		turns.stop();
		await nextTurn();
		await nextTurn();
		expect(handled.length).toBe(64);
		expect(pool.inUse).toBe(0);
	});
});
