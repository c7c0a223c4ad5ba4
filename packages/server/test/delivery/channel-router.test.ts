import type { MessageDetails } from "@shardcast/bus";
import { ChannelLog, createLogBuffers, openLogBuffers, tryLock, unlock } from "@shardcast/channel-log";
import { Scoreboard } from "@shardcast/scoreboard";
import {
	channelList,
	createRecordHead,
	everybody,
	type Publishing,
	type PublishResult,
	publishAccepted,
	publishFull,
	RecordKind,
	readRecordHead,
} from "@shardcast/wire";
import { describe, expect, it } from "vitest";
import { HeldFrames } from "../../src/delivery/incoming/held-frames.ts";
import { ChannelRouter } from "../../src/delivery/publishing/channel-router.ts";
import { type HeldPublication, HistoryPublisher } from "../../src/delivery/publishing/history-publisher.ts";

function setup(heldBytesMax = 100_000, clientBytesMax = heldBytesMax) {
	const memories = openLogBuffers(createLogBuffers({ memoryBytes: 1_048_576 }));
	const clock = { ms: 0 };
	const log = new ChannelLog(memories, { slot: 0, incarnation: 1 });
	const reader = log.reader(0);
	const row = Scoreboard.inMemory(1).row(0);
	const held = new HeldFrames<HeldPublication>({ bytesMax: heldBytesMax, clientBytesMax });
	const plain: string[] = [];
	let plainResult: PublishResult = publishAccepted;
	const take = (_kind: RecordKind, sender: number, { names }: typeof everybody, payload: Uint8Array) => {
		plain.push(`${sender} ${names.join()} ${Buffer.from(payload)}`);
		return plainResult;
	};
	const history = new HistoryPublisher({
		log,
		held,
		plain: { publish: take },
		counters: row,
		life: 7,
		onHeld: () => {},
		nowMs: () => clock.ms,
	});
	const router = new ChannelRouter({
		plain: { publish: take, publishOrHold: take },
		history,
		limitsOf: (channel) => (channel.startsWith("kept") ? { size: 10, ttlMs: 60_000, metaTtlMs: 60_000 } : null),
	});
	const head = createRecordHead();
	const logged = (): string[] => {
		const texts: string[] = [];
		reader.read(1000, (_origin, u8, view, start, end) => {
			readRecordHead(view, start, end, head);
			texts.push(`${head.sender}/${head.senderShard} ${Buffer.from(u8.subarray(head.payloadStart, head.payloadEnd))}`);
		});
		return texts;
	};
	/** Another process holds all logs, or gives them back. */
	const lock = () => {
		for (const memory of memories) expect(tryLock(memory, 99)).toBe(true);
	};
	const free = () => {
		for (const memory of memories) unlock(memory);
	};
	const fail = (result: PublishResult = publishFull) => {
		plainResult = result;
	};
	const send = (names: readonly string[], text: string, sender = 0, details?: MessageDetails) =>
		router.publish(RecordKind.text, sender, channelList(names), Buffer.from(text), details);
	return { clock, router, history, row, held, plain, logged, lock, free, fail, send };
}

describe("messages, routed by their channels,", () => {
	it("go into the log of a channel with history, which gives them a position, and onto the bus otherwise", () => {
		const { router, plain, logged, send, row } = setup();
		expect(send(["kept"], "a", 5)).toEqual({ outcome: "accepted", position: { offset: 1, epoch: expect.any(String) } });
		expect(send(["other"], "b")).toBe(publishAccepted);
		expect(router.publishOrHold(RecordKind.text, 3, everybody, Buffer.from("c"))).toBe(publishAccepted);
		expect(logged()).toEqual(["5/7 a"]);
		expect(plain).toEqual(["0 other b", "3  c"]);
		expect(row.get("messagesIn")).toBe(1);
	});

	it("to several channels become one for each with history, and one for the others", async () => {
		const { plain, logged, send } = setup();
		expect(await send(["a", "kept1", "b", "kept2"], "x", 2)).toBe(publishAccepted);
		expect(plain).toEqual(["2 a,b x"]);
		expect(logged()).toEqual(["2/7 x", "2/7 x"]);
	});

	it("to several channels, one of them with history, have its position", async () => {
		const { send } = setup();
		await send(["kept"], "before");
		expect(await send(["a", "kept", "b"], "x")).toEqual({ outcome: "accepted", position: { offset: 2, epoch: expect.any(String) } });
	});

	it("are refused as a whole while the bus is full", () => {
		const { fail, send, logged } = setup();
		fail();
		expect(send(["a", "kept"], "x")).toBe(publishFull);
		expect(logged()).toEqual([]);
	});
});

describe("a message with an idempotency key", () => {
	it("goes into its log once, and repeated ones get the position of the first", async () => {
		const { send, logged, row, lock, free, history } = setup();
		const first = send(["kept"], "a", 0, { idempotencyKey: "k" });
		expect(first).toMatchObject({ outcome: "accepted", position: { offset: 1 } });
		send(["kept"], "b");
		lock();
		const later = send(["kept"], "a", 0, { idempotencyKey: "k" });
		free();
		history.retry();
		expect(await later).toEqual({ ...(first as PublishResult), duplicate: true });
		expect(send(["kept-other"], "a", 0, { idempotencyKey: "k" })).toMatchObject({ outcome: "accepted", position: { offset: 1 } });
		expect(logged().sort()).toEqual(["0/0 a", "0/0 a", "0/0 b"]);
		expect(row.get("messagesIn")).toBe(3);
	});

	it("goes onto the bus once when the channel has no history; a refused one is not remembered", async () => {
		const { send, plain, fail, lock, free, history } = setup();
		fail();
		expect(send(["other"], "a", 0, { idempotencyKey: "k" })).toBe(publishFull);
		fail(publishAccepted);
		lock();
		const held = send(["other"], "b", 0, { idempotencyKey: "k" });
		free();
		history.retry();
		expect(await held).toBe(publishAccepted);
		expect(send(["other"], "c", 0, { idempotencyKey: "k" })).toEqual({ outcome: "accepted", duplicate: true });
		expect(send(["third"], "d", 0, { idempotencyKey: "k" })).toBe(publishAccepted);
		expect(plain).toEqual(["0 other a", "0 other b", "0 third d"]);
	});

	it("may have only one channel", () => {
		const { send } = setup();
		for (const names of [[], ["kept", "other"]])
			expect(send(names, "a", 0, { idempotencyKey: "k" })).toMatchObject({
				outcome: "invalid",
				detail: expect.stringContaining("one channel"),
			});
	});
});

describe("messages for a log that another process holds", () => {
	it("wait for it in order, and are answered when they have been appended", async () => {
		const { lock, free, send, held, history, logged } = setup();
		lock();
		const results = ["a", "b", "c"].map((text) => send(["kept"], text));
		expect(held.count).toBe(3);
		history.retry();
		expect(held.count).toBe(3);
		free();
		// Not before those that wait.
		const later = send(["kept"], "d");
		history.retry();
		expect(logged()).toEqual(["0/0 a", "0/0 b", "0/0 c", "0/0 d"]);
		const offsets = (await Promise.all([...results, later])).map((result) => result.outcome === "accepted" && result.position?.offset);
		expect(offsets).toEqual([1, 2, 3, 4]);
		expect(held.count).toBe(0);
	});

	it("are refused when too many bytes wait", async () => {
		const { lock, send, row } = setup(1000);
		lock();
		void send(["kept"], "x".repeat(500));
		expect(await send(["kept"], "x".repeat(500))).toEqual({ outcome: "full", reason: "locked" });
		expect(row.get("backpressured")).toBe(1);
	});

	it("are refused when they have waited for four seconds, the oldest first", async () => {
		const { lock, send, history, row, clock, held } = setup();
		lock();
		const first = send(["kept"], "a");
		clock.ms += 2000;
		const second = send(["kept"], "b");
		clock.ms += 2000;
		history.retry();
		expect(await first).toEqual({ outcome: "full", reason: "locked" });
		expect(held.count).toBe(1);
		clock.ms += 2000;
		history.retry();
		expect(await second).toEqual({ outcome: "full", reason: "locked" });
		expect([held.count, row.get("backpressured")]).toEqual([0, 2]);
	});

	it("of one client of the protocol do not take another one's share", async () => {
		const { lock, free, router, history } = setup(2000, 1000);
		lock();
		const publish = (holder: object, text: string) =>
			router.publishOrHold(RecordKind.text, 0, channelList(["kept"]), Buffer.from(text), { holder });
		const [flood, other] = [{}, {}];
		const ofFlood = [publish(flood, "x".repeat(800)), publish(flood, "x".repeat(800))];
		const mine = publish(other, "mine");
		expect(await ofFlood[1]).toMatchObject({ outcome: "full" });
		free();
		history.retry();
		expect((await Promise.all([ofFlood[0], mine])).map((result) => result!.outcome)).toEqual(["accepted", "accepted"]);
	});
});

it("a message that is too long for a history is refused with the reason, and those behind it are not", () => {
	const { router, logged } = setup();
	const publish = (bytes: number) => router.publishOrHold(RecordKind.text, 0, channelList(["kept"]), Buffer.alloc(bytes));
	expect(publish(1_000_000)).toEqual({ outcome: "too_large", detail: expect.stringContaining("give more --history-memory") });
	expect(publish(10)).toMatchObject({ outcome: "accepted", position: { offset: 1 } });
	expect(logged()).toHaveLength(1);
});

describe("messages for a log that is full because a reader is behind", () => {
	it("of clients wait, others are refused", async () => {
		const { router, history, held, logged, row } = setup(10_000_000);
		const payload = Buffer.alloc(5000);
		const isFull = (result: Publishing) => {
			if (!("outcome" in result) || result.outcome === "accepted") return false;
			expect(result).toEqual({ outcome: "full", reason: "readers" });
			return true;
		};
		const publish = (hold: boolean) =>
			hold
				? router.publishOrHold(RecordKind.text, 1, channelList(["kept"]), payload)
				: router.publish(RecordKind.text, 1, channelList(["kept"]), payload);
		let count = 0;
		while (!isFull(publish(false))) count++;
		expect(count).toBeGreaterThan(5);
		const waits = publish(true);
		expect(held.count).toBe(1);
		expect(row.get("backpressured")).toBe(2);
		logged();
		history.retry();
		expect(await waits).toMatchObject({ outcome: "accepted", position: { offset: count + 1 } });
	});

	it("are refused when they have waited for four seconds", async () => {
		const { router, history, clock, send } = setup(10_000_000);
		while ((send(["kept"], "x".repeat(5000)) as PublishResult).outcome === "accepted");
		const waits = router.publishOrHold(RecordKind.text, 1, channelList(["kept"]), Buffer.alloc(5000));
		clock.ms += 4000;
		history.retry();
		expect(await waits).toEqual({ outcome: "full", reason: "readers" });
	});
});

it("when all idempotency keys are in use, also a client is refused at once: it would wait for minutes, and all others behind it", () => {
	const { router, held, logged } = setup();
	const results: Publishing[] = [];
	for (let n = 0; n < 20_000; n++) {
		const result = router.publishOrHold(RecordKind.text, 0, channelList(["kept"]), Buffer.from("x"), { idempotencyKey: `${n}` });
		if (result instanceof Promise || result.outcome !== "accepted") results.push(result);
		if (results.length === 2) break;
		if (n % 50 === 0) logged();
	}
	expect(results[0]).toEqual({ outcome: "full", reason: "keys" });
	expect(held.count).toBe(0);
});
