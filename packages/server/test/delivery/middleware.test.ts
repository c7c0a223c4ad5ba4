import { MemoryBus } from "@shardcast/bus";
import { Scoreboard } from "@shardcast/scoreboard";
import { waitFor } from "@shardcast/testkit";
import { createRecordHead, everybody, RecordKind, readRecordHead } from "@shardcast/wire";
import { describe, expect, it } from "vitest";
import { Handlers } from "../../src/delivery/incoming/handlers.ts";
import { HeldFrames } from "../../src/delivery/incoming/held-frames.ts";
import { Incoming } from "../../src/delivery/incoming/incoming.ts";
import { Publisher } from "../../src/delivery/publishing/publisher.ts";
import { RawFrames } from "../../src/sessions/raw/raw-frames.ts";
import type { RawSession } from "../../src/sessions/raw/raw-session.ts";
import { SenderIds } from "../../src/sessions/sender-ids.ts";

function incoming(payloadBytesMax = 100) {
	const link = new MemoryBus({ members: 1, capacityBytes: 65_536 }).link(0);
	const row = Scoreboard.inMemory(1).row(0);
	const limits = { bytesMax: 100_000, senderBytesMax: 3000, senderMessagesMax: 1000 };
	const handlers = new Handlers({ counters: row, payloadBytesMax, deadlineMs: 1000, limits, onError: () => {} });
	const held = new HeldFrames({ bytesMax: 0, clientBytesMax: 0 });
	const publisher = new Publisher({ ring: link, held, counters: row, onCommit: () => {}, hurry: () => {}, onUrgent: () => {} });
	const closed: number[] = [];
	const senders = new SenderIds<RawSession>();
	const options = { payloadBytesMax, mayPublish: () => true };
	const all = new Incoming({ publisher, announcer: publisher, handlers });
	const parts = { incoming: all, senders, counters: row, nowMs: () => 0 };
	const client = {
		channelSet: { channels: everybody },
		sender: 0,
		leaving: 0,
		address: "1.1.1.1",
		close: (code: number) => closed.push(code),
	} as unknown as RawSession;
	const published = (): string[] => {
		const head = createRecordHead();
		const texts: string[] = [];
		link.read(1000, (_origin, u8, view, start, end) => {
			readRecordHead(view, start, end, head);
			texts.push(Buffer.from(u8.subarray(head.payloadStart, head.payloadEnd)).toString());
		});
		return texts;
	};
	const frame = (text: string) => new Uint8Array(Buffer.from(text)).buffer as ArrayBuffer;
	return {
		row,
		handlers,
		closed,
		client,
		published,
		frame,
		options,
		make: (rate = 0) => {
			const frames = new RawFrames(Object.assign(options, parts), { perSecond: rate, clientsMax: 10 });
			return { frame: frames.take.bind(frames), publish: all.publish.bind(all) };
		},
	};
}

describe("incoming messages", () => {
	it("an exception of a handler loses that one message", () => {
		const { make, handlers, client, published, frame, row } = incoming();
		const all = make();
		handlers.use(({ payload }, next) => {
			if (Buffer.from(payload).toString() === "bad") throw new Error("broken handler");
			next();
		});
		for (const text of ["one", "bad", "two"]) all.frame(client, frame(text), false);
		expect(published()).toEqual(["one", "two"]);
		expect(row.get("handlerErrors")).toBe(1);
		expect(all.publish(RecordKind.text, everybody, Buffer.from("bad"), { address: "" })).toEqual({ outcome: "failed" });
		expect(all.publish(RecordKind.text, everybody, Buffer.from("good"), { address: "" })).toEqual({ outcome: "accepted" });
		expect(row.get("handlerErrors")).toBe(2);
	});

	it("3507: a client that may only receive is closed at its first frame, and no handler sees it; others may publish", () => {
		const { make, handlers, client, published, frame, closed, options } = incoming();
		const all = make();
		let handled = 0;
		handlers.use((_message, next) => {
			handled++;
			next();
		});
		all.frame(client, frame("while it may"), false);
		options.mayPublish = () => false;
		all.frame(client, frame("forged"), false);
		all.frame(client, frame("x".repeat(10_000)), true);
		expect(closed).toEqual([3507, 3507]);
		expect(all.publish(RecordKind.text, everybody, Buffer.from("over HTTP"), { address: "" })).toEqual({ outcome: "accepted" });
		expect(published()).toEqual(["while it may", "over HTTP"]);
		expect(handled).toBe(2);
	});

	it("a handler that turns a text into invalid UTF-8 loses that message, and does not affect clients", () => {
		const { make, handlers, client, published, frame, row } = incoming();
		const all = make();
		handlers.use((message, next) => {
			if (message.payload.length === 1) message.payload = new Uint8Array([0xff]);
			else message.payload[0] = 0xff;
			next();
		});
		all.frame(client, frame("a"), false);
		all.frame(client, frame("ab"), false);
		expect(all.publish(RecordKind.text, everybody, Buffer.from("a"), { address: "" })).toEqual({ outcome: "failed" });
		expect(published()).toEqual([]);
		expect(row.get("handlerErrors")).toBe(3);
		expect(all.publish(RecordKind.binary, everybody, Buffer.from("a"), { address: "" })).toEqual({ outcome: "accepted" });
	});

	it("may be stopped and changed by handlers, within the size limit", () => {
		const { make, handlers, client, published, frame, row } = incoming(10);
		const all = make();
		handlers.use((message, next) => {
			const text = Buffer.from(message.payload).toString();
			if (text === "stop") return;
			message.payload = Buffer.from(text === "long" ? "x".repeat(11) : text.toUpperCase());
			next();
		});
		for (const text of ["hello", "stop", "long"]) all.frame(client, frame(text), false);
		expect(published()).toEqual(["HELLO"]);
		expect(row.get("handlerErrors")).toBe(1);
		expect(all.publish(RecordKind.text, everybody, Buffer.from("stop"), { address: "" })).toEqual({ outcome: "stopped" });
	});

	it("close their client when they are too long (1009), above its rate (1008) or cannot be held (1013)", () => {
		const { make, client, closed, frame, row, published } = incoming();
		make().frame(client, frame("x".repeat(101)), false);
		make().frame(client, frame("x".repeat(100)), false);
		expect(closed).toEqual([1009]);
		const limited = make(2);
		for (let count = 0; count < 3; count++) limited.frame(client, frame("x"), false);
		expect(closed).toEqual([1009, 1008]);
		expect(row.get("rateLimited")).toBe(1);
		const all = make();
		for (let count = 0; count < 10_000 && closed.length === 2; count++) all.frame(client, frame("x".repeat(100)), true);
		expect(closed).toEqual([1009, 1008, 1013]);
		expect(published().length).toBeGreaterThan(0);
	});

	it("are ignored from a client that is being closed", () => {
		const { make, client, frame, published } = incoming();
		client.leaving = 3008;
		make().frame(client, frame("late"), false);
		expect(published()).toEqual([]);
	});

	it("keep a client's order behind a handler that waits, let others pass, and are copied", async () => {
		const { make, handlers, client, published, frame } = incoming();
		const all = make();
		const open: (() => void)[] = [];
		handlers.use(({ payload }, next) => {
			if (payload[0] !== "w".charCodeAt(0)) return next();
			return new Promise<void>((resolve) => open.push(resolve)).then(next);
		});
		const other = { ...client, sender: 0 } as RawSession;
		for (const text of ["wait 1", "behind 1", "wait 2", "behind 2"]) {
			const bytes = frame(text);
			all.frame(client, bytes, false);
			new Uint8Array(bytes).fill(0x58);
		}
		all.frame(other, frame("another client"), false);
		expect(await all.publish(RecordKind.text, everybody, Buffer.from("over HTTP"), { address: "" })).toEqual({ outcome: "accepted" });
		expect(published()).toEqual(["another client", "over HTTP"]);
		open[0]!();
		await waitFor(() => open.length === 2, { deadlineMs: 1000, what: "the second one" });
		expect(published()).toEqual(["wait 1", "behind 1"]);
		open[1]!();
		await handlers.whenNone();
		expect(published()).toEqual(["wait 2", "behind 2"]);
		all.frame(client, frame("at once"), false);
		expect(published(), "nobody waits any more").toEqual(["at once"]);
	});

	it("from the application keep their order", async () => {
		const { make, handlers, published } = incoming();
		const all = make();
		handlers.use(async ({ payload }, next) => {
			if (payload.length > 1) await new Promise((resolve) => setTimeout(resolve, 20));
			await next();
		});
		const program = { address: "" };
		const say = (text: string) => all.publish(RecordKind.text, everybody, Buffer.from(text), program, "host");
		expect(await Promise.all(["long", "a", "b", "longer", "c"].map(say))).toEqual(Array(5).fill({ outcome: "accepted" }));
		expect(published()).toEqual(["long", "a", "b", "longer", "c"]);
	});

	it("1013: a client that sends more than may wait is closed, an HTTP publisher is told that there is no space", async () => {
		const { make, handlers, client, frame, closed, row, published } = incoming();
		const all = make();
		let open = () => {};
		const opened = new Promise<void>((resolve) => {
			open = resolve;
		});
		handlers.use((_message, next) => opened.then(next));
		// Each counts with 256 bytes besides its own 100; 3,000 are allowed.
		for (let count = 0; count < 8; count++) all.frame(client, frame("x".repeat(100)), true);
		expect(closed).toEqual([]);
		all.frame(client, frame("x".repeat(100)), true);
		expect(closed).toEqual([1013]);
		const answers = Array.from({ length: 400 }, () => all.publish(RecordKind.text, everybody, Buffer.from("x"), { address: "" }));
		expect(answers.at(-1)).toEqual({ outcome: "full" });
		const refused = answers.filter((answer) => !(answer instanceof Promise)).length;
		expect(row.get("handlersFull")).toBe(1 + refused);
		open();
		await handlers.whenNone();
		expect(published()).toHaveLength(8 + 400 - refused);
	});

	it("of a client that has disconnected are published without a sender", async () => {
		const { make, handlers, client, frame, published } = incoming();
		const all = make();
		handlers.use(async (_message, next) => next());
		all.frame(client, frame("last words"), false);
		Object.assign(client, { sender: 0, leaving: 1006, channelSet: null });
		await handlers.whenNone();
		expect(published()).toEqual(["last words"]);
	});
});
