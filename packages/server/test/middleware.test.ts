import { MemoryBus } from "@shardcast/bus";
import { RateLimit } from "@shardcast/limits";
import { Scoreboard } from "@shardcast/scoreboard";
import { createRecordHead, everybody, RecordKind, readRecordHead } from "@shardcast/wire";
import { describe, expect, it } from "vitest";
import { HeldFrames } from "../src/delivery/held-frames.ts";
import { Incoming } from "../src/delivery/incoming.ts";
import { type MessageContext, type Middleware, MiddlewareChain } from "../src/delivery/middleware.ts";
import { Publisher } from "../src/delivery/publisher.ts";
import type { RawSession } from "../src/sessions/raw/raw-session.ts";
import { SenderIds } from "../src/sessions/raw/sender-ids.ts";

const context = (): MessageContext => ({ source: "http", kind: RecordKind.text, channels: [], address: "", payload: Buffer.from("x") });

describe("B7: handlers", () => {
	it("are nested in the order in which they were added", () => {
		const chain = new MiddlewareChain();
		const seen: string[] = [];
		const tracing =
			(name: string): Middleware =>
			(_context, next) => {
				seen.push(`${name} before`);
				next();
				seen.push(`${name} after`);
			};
		expect(chain.isEmpty).toBe(true);
		chain.use(tracing("outer"));
		chain.use(tracing("inner"));
		chain.run(context(), () => seen.push("published"));
		expect(seen).toEqual(["outer before", "inner before", "published", "inner after", "outer after"]);
	});

	it("cannot publish a message twice, nor after its bytes are gone", () => {
		const chain = new MiddlewareChain();
		let kept: (() => void) | undefined;
		chain.use((_context, next) => {
			kept = next;
		});
		let published = 0;
		chain.run(context(), () => published++);
		expect(() => kept!()).toThrow(/after it had returned/);

		const twice = new MiddlewareChain();
		twice.use((_context, next) => {
			next();
			next();
		});
		expect(() => twice.run(context(), () => published++)).toThrow(/twice/);
		expect(published).toBe(1);
	});
});

function incoming(payloadBytesMax = 100) {
	const link = new MemoryBus({ members: 1, capacityBytes: 65_536 }).link(0);
	const row = Scoreboard.inMemory(1).row(0);
	const middleware = new MiddlewareChain();
	const held = new HeldFrames({ bytesMax: 0, clientBytesMax: 0 });
	const publisher = new Publisher({ ring: link, held, counters: row, onCommit: () => {}, onFull: () => {} });
	const closed: number[] = [];
	const senders = new SenderIds<RawSession>();
	const settings = { payloadBytesMax, clientsMayPublish: true };
	const parts = { senders, publisher, middleware, counters: row, nowMs: () => 0, onHandlerError: () => {} };
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
		link.drain(1000, (_origin, u8, view, start, end) => {
			readRecordHead(view, start, end, head);
			texts.push(Buffer.from(u8.subarray(head.payloadStart, head.payloadEnd)).toString());
		});
		return texts;
	};
	const frame = (text: string) => new Uint8Array(Buffer.from(text)).buffer as ArrayBuffer;
	return {
		row,
		middleware,
		closed,
		client,
		published,
		frame,
		settings,
		make: (rate = 0) => new Incoming(Object.assign(settings, { ...parts, rate: new RateLimit<RawSession>(rate, 10) })),
	};
}

describe("what comes in", () => {
	it("B7: an exception of a handler costs that one message", () => {
		const { make, middleware, client, published, frame, row } = incoming();
		const all = make();
		middleware.use(({ payload }, next) => {
			if (Buffer.from(payload).toString() === "bad") throw new Error("broken handler");
			next();
		});
		for (const text of ["one", "bad", "two"]) all.frame(client, frame(text), false);
		expect(published()).toEqual(["one", "two"]);
		expect(row.get("handlerErrors")).toBe(1);
		expect(all.publish(RecordKind.text, everybody, Buffer.from("bad"), { address: "" })).toEqual({ outcome: "failed" });
		expect(all.publish(RecordKind.text, everybody, Buffer.from("good"), { address: "" })).toEqual({ outcome: "taken" });
		expect(row.get("handlerErrors")).toBe(2);
	});

	it("3507: a client that may only receive is closed at its first frame, and no handler sees it; others may publish", () => {
		const { make, middleware, client, published, frame, closed, settings } = incoming();
		const all = make();
		let handled = 0;
		middleware.use((_message, next) => {
			handled++;
			next();
		});
		all.frame(client, frame("while it may"), false);
		settings.clientsMayPublish = false;
		all.frame(client, frame("forged"), false);
		all.frame(client, frame("x".repeat(10_000)), true);
		expect(closed).toEqual([3507, 3507]);
		expect(all.publish(RecordKind.text, everybody, Buffer.from("over HTTP"), { address: "" })).toEqual({ outcome: "taken" });
		expect(published()).toEqual(["while it may", "over HTTP"]);
		expect(handled).toBe(2);
	});

	it("a handler that makes a text message no UTF-8 breaks that message, not the clients", () => {
		const { make, middleware, client, published, frame, row } = incoming();
		const all = make();
		middleware.use((message, next) => {
			if (message.payload.length === 1) message.payload = new Uint8Array([0xff]);
			else message.payload[0] = 0xff;
			next();
		});
		all.frame(client, frame("a"), false);
		all.frame(client, frame("ab"), false);
		expect(all.publish(RecordKind.text, everybody, Buffer.from("a"), { address: "" })).toEqual({ outcome: "failed" });
		expect(published()).toEqual([]);
		expect(row.get("handlerErrors")).toBe(3);
		expect(all.publish(RecordKind.binary, everybody, Buffer.from("a"), { address: "" })).toEqual({ outcome: "taken" });
	});

	it("lets handlers stop and change messages, within the limit of their size", () => {
		const { make, middleware, client, published, frame, row } = incoming(10);
		const all = make();
		middleware.use((message, next) => {
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

	it("closes a client for a frame that is too long (1009), above its rate (1008) and when nothing can be held (1013)", () => {
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

	it("hears nothing more from a client that is being closed", () => {
		const { make, client, frame, published } = incoming();
		client.leaving = 3008;
		make().frame(client, frame("late"), false);
		expect(published()).toEqual([]);
	});
});
