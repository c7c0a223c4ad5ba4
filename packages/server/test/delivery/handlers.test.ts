import { Scoreboard } from "@shardcast/scoreboard";
import { waitFor } from "@shardcast/testkit";
import { type Publishing, publishAccepted, RecordKind } from "@shardcast/wire";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { Handlers } from "../../src/delivery/incoming/handlers.ts";
import type { MessageContext, MessageHandler, Middleware, Next } from "../../src/delivery/incoming/middleware.ts";

function setup(deadlineMs = 1000, onError?: (error: unknown) => void) {
	const row = Scoreboard.inMemory(1).row(0);
	const errors: string[] = [];
	const handlers = new Handlers({
		counters: row,
		payloadBytesMax: 100,
		deadlineMs,
		limits: { bytesMax: 1e7, senderBytesMax: 1e7, senderMessagesMax: 5000 },
		onError: onError ?? ((error) => errors.push((error as Error).message)),
	});
	const published: string[] = [];
	const context = (payload: Uint8Array): MessageContext => ({ source: "http", kind: RecordKind.text, channels: [], address: "", payload });
	const publish = (payload: Uint8Array): Publishing => {
		published.push(Buffer.from(payload).toString());
		return publishAccepted;
	};
	const take = (text: string | Uint8Array, sender: object = {}) =>
		handlers.take(sender, context(typeof text === "string" ? Buffer.from(text) : text), publish);
	return { handlers, row, errors, published, take };
}

const turn = (): Promise<void> => new Promise(setImmediate);

describe("handlers", () => {
	const tracing =
		(seen: string[], name: string, waits = false): Middleware =>
		async (_context, next) => {
			seen.push(`${name} before`);
			if (waits) await turn();
			await next();
			seen.push(`${name} after`);
		};
	const tracingAtOnce =
		(seen: string[], name: string): Middleware =>
		(_context, next) => {
			seen.push(`${name} before`);
			const waits = next();
			seen.push(`${name} after`);
			return waits;
		};

	it.each(["text", "binary"] as const)("a payload that is not a Uint8Array loses the message, of kind %s", (kind) => {
		const { handlers, errors, published } = setup();
		handlers.use((context, next) => {
			context.payload = "text" as unknown as Uint8Array;
			return next();
		});
		const context = { source: "http" as const, kind: RecordKind[kind], channels: [], address: "", payload: Buffer.from("x") };
		handlers.take({}, context, () => {
			published.push("x");
			return publishAccepted;
		});
		expect({ published, errors }).toEqual({ published: [], errors: ["a handler put a string into payload; it must be a Uint8Array"] });
	});

	const invalid = Buffer.from([0xff]);
	it.each<[string, (handlers: Handlers) => void, string]>([
		[
			"that the last handler put in",
			(handlers) => handlers.setLast((message) => Object.assign(message, { payload: invalid })),
			"not UTF-8",
		],
		["that the last handler changed", (handlers) => handlers.setLast(({ payload }) => payload.fill(0xff)), "not UTF-8"],
		[
			"that is too long, of the last handler",
			(handlers) => handlers.setLast((message) => Object.assign(message, { payload: Buffer.alloc(101) })),
			"of 101 bytes",
		],
		[
			"whose kind a handler changed",
			(handlers) =>
				handlers.use((message, next) => {
					Object.assign(message, { kind: RecordKind.binary, payload: invalid });
					return next();
				}),
			"not UTF-8",
		],
		[
			"that reads differently the second time",
			(handlers) => {
				handlers.use((message, next) => {
					let reads = 0;
					Object.defineProperty(message, "payload", { get: () => (reads++ === 0 ? Buffer.from("fine") : invalid) });
					return next();
				});
				handlers.setLast(() => {});
			},
			"not UTF-8",
		],
	])("a payload %s is checked against the limits", (_, change, problem) => {
		const { handlers, take, published, errors } = setup();
		change(handlers);
		expect(take("x")).toEqual({ outcome: "failed" });
		expect([published, errors]).toEqual([[], [expect.stringContaining(problem)]]);
	});

	it("the last handler sees no message that will not be published", () => {
		const { handlers, take } = setup();
		let seen = 0;
		handlers.setLast(() => seen++);
		handlers.use((message, next) => {
			message.payload = invalid;
			return next();
		});
		expect([take("x"), seen]).toEqual([{ outcome: "failed" }, 0]);
	});

	it("a payload that is not a Uint8Array loses the message of an asynchronous handler as well", async () => {
		const { handlers, take, published, errors } = setup();
		handlers.use((message, next) => {
			message.payload = "text" as unknown as Uint8Array;
			return turn().then(next);
		});
		expect(await take("x")).toEqual({ outcome: "failed" });
		expect([published, errors]).toEqual([[], ["a handler put a string into payload; it must be a Uint8Array"]]);
	});

	it("a frozen context loses the message of an asynchronous handler that fails, and nothing else", async () => {
		const { handlers, take, errors } = setup();
		handlers.use((message) => {
			Object.freeze(message);
			return turn().then(() => Promise.reject(new Error("nobody may hear this")));
		});
		expect(await take("x")).toEqual({ outcome: "failed" });
		expect(errors).toHaveLength(1);
		await turn();
	});

	it("are nested in the order in which they were added; the last one sees what the others let through", () => {
		const { handlers, take, published } = setup();
		const seen: string[] = [];
		expect(handlers.isEmpty).toBe(true);
		handlers.setLast(() => seen.push("last"));
		handlers.use(tracingAtOnce(seen, "outer"));
		handlers.use(tracingAtOnce(seen, "inner"));
		expect(handlers.isEmpty).toBe(false);
		expect(take("x")).toBe(publishAccepted);
		expect(seen).toEqual(["outer before", "inner before", "last", "inner after", "outer after"]);
		expect(published).toEqual(["x"]);
	});

	it("are nested as well when some of them are asynchronous", async () => {
		const { handlers, take, published } = setup();
		const seen: string[] = [];
		handlers.use(tracing(seen, "outer"));
		handlers.use(tracingAtOnce(seen, "middle"));
		handlers.use(tracing(seen, "inner", true));
		handlers.setLast(() => seen.push("last"));
		const result = take("x");
		expect(published).toEqual([]);
		expect(await result).toBe(publishAccepted);
		const before = ["outer before", "middle before", "inner before"];
		expect(seen).toEqual([...before, "middle after", "last", "inner after", "outer after"]);
	});

	it("create no promise and no copy while all are synchronous", () => {
		const { handlers, take } = setup();
		const given: Uint8Array[] = [];
		handlers.use(({ payload }, next) => {
			given.push(payload);
			return next();
		});
		const bytes = Buffer.from("x");
		expect(take(bytes, {})).toBe(publishAccepted);
		expect(given[0]).toBe(bytes);
		expect(handlers.waiting).toBe(0);
	});

	it("own their bytes when they wait: an async function from the start, others when they read again", async () => {
		const { handlers, take, published } = setup();
		const seen: string[] = [];
		const text = (bytes: Uint8Array) => Buffer.from(bytes).toString();
		handlers.use((message, next) =>
			turn().then(() => {
				seen.push(text(message.payload));
				return next();
			}),
		);
		const first = Buffer.from("first");
		const taken = take(first);
		first.fill("X");
		expect(await taken).toBe(publishAccepted);

		const other = setup();
		other.handlers.use(async ({ payload }, next) => {
			await turn();
			seen.push(text(payload));
			await next();
		});
		const second = Buffer.from("second");
		const takenToo = other.take(second);
		second.fill("X");
		await takenToo;
		expect([seen, published, other.published]).toEqual([["first", "second"], ["first"], ["second"]]);
	});

	it("cannot publish a message twice, nor after their deadline", async () => {
		const { handlers, take, published, errors, row } = setup();
		let kept: Next | undefined;
		handlers.use((_context, next) => {
			kept = next;
		});
		expect(take("x")).toEqual({ outcome: "stopped" });
		expect(() => kept!()).toThrow(/too late/);

		const twice = setup();
		twice.handlers.use((_context, next) => {
			next();
			next();
		});
		expect(twice.take("x"), "it has been published nevertheless").toBe(publishAccepted);
		expect(twice.errors).toEqual(["a handler called next() twice for one message"]);
		expect([...published, ...twice.published]).toEqual(["x"]);
		expect([errors.length, row.get("handlerErrors"), twice.row.get("handlerErrors")]).toEqual([0, 0, 1]);
	});

	it.each<[string, Middleware]>([
		["waits for it", async (_context, next) => next()],
		["returns it", (_context, next) => next()],
		["does not wait for it", (_context, next) => void next()],
		["is done before it", async (_context, next) => void next()],
	])("a rejected promise loses its one message when the outer handler %s", async (_, outside) => {
		const { handlers, take, published, errors, row } = setup();
		handlers.use(outside);
		handlers.use(async ({ payload }, next) => {
			await turn();
			if (payload.length === 3) throw new Error("three bytes");
			await next();
		});
		const sender = {};
		const results = await Promise.all(["one", "four", "two", "more"].map((text) => take(text, sender)));
		expect(results).toEqual(["failed", "accepted", "failed", "accepted"].map((outcome) => ({ outcome })));
		expect([published, errors, row.get("handlerErrors")]).toEqual([["four", "more"], ["three bytes", "three bytes"], 2]);
	});

	it.each(["before", "after"])(
		"an unawaited failure of an inner handler counts when it happens %s the outer handler ends",
		async (when) => {
			const { handlers, take, errors, row } = setup();
			let endOutside = () => {};
			let failInside = () => {};
			handlers.use((_context, next) => {
				void next();
				return new Promise((resolve) => {
					endOutside = resolve;
				});
			});
			handlers.use(
				() =>
					new Promise((_, reject) => {
						failInside = () => reject(new Error("inside"));
					}),
			);
			const result = take("x");
			const steps = [failInside, endOutside];
			for (const step of when === "before" ? steps : steps.reverse()) {
				step();
				await turn();
			}
			expect(await result).toEqual({ outcome: "failed" });
			expect([row.get("handlerErrors"), errors]).toEqual([1, ["inside"]]);
		},
	);

	it.each<[string, (inside: Promise<void>) => unknown]>([
		["catch", (inside) => inside.catch(() => {})],
		["then", (inside) => inside.then(undefined, () => {})],
		["allSettled", (inside) => Promise.allSettled([inside])],
		["race", (inside) => Promise.race([inside, new Promise(() => {})]).catch(() => {})],
	])("an error that an outer handler catches with %s is not counted, even if it ends later", async (_, caught) => {
		const { handlers, take, row } = setup();
		handlers.use(async (_context, next) => {
			await caught(next()!);
			await turn();
		});
		handlers.use(async () => {
			await turn();
			throw new Error("caught");
		});
		expect(await take("x")).toEqual({ outcome: "stopped" });
		expect(row.get("handlerErrors")).toBe(0);
	});

	it("an error that an outer handler catches is not counted", async () => {
		const { handlers, take, row } = setup();
		handlers.use(async (_context, next) => {
			await next()?.catch(() => {});
		});
		handlers.use(async () => {
			throw new Error("caught");
		});
		expect(await take("x")).toEqual({ outcome: "stopped" });
		expect(row.get("handlerErrors")).toBe(0);
	});

	it("one that never settles loses its message after the deadline, and the ones behind it go on", async () => {
		vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
		onTestFinished(() => void vi.useRealTimers());
		const deadlineMs = 200;
		const { handlers, take, published, errors, row } = setup(deadlineMs);
		let late: Next | undefined;
		handlers.use(({ payload }, next) => {
			if (payload.length > 1) return next();
			late = next;
			return new Promise(() => {});
		});
		const sender = {};
		const results = [take("x", sender)];
		// Those behind have their own time, from when they arrived.
		vi.advanceTimersByTime(20);
		results.push(take("behind", sender), take("too", sender));
		expect(handlers.waiting).toBe(3);
		await vi.advanceTimersByTimeAsync(deadlineMs - 20);
		expect(await Promise.all(results)).toEqual([{ outcome: "failed" }, publishAccepted, publishAccepted]);
		expect([row.get("handlerTimeouts"), row.get("handlerErrors"), errors]).toEqual([1, 0, ["a handler took longer than 200 ms"]]);
		expect(() => late!()).toThrow(/too late/);
		expect(published).toEqual(["behind", "too"]);
		await handlers.whenNone();
		expect(handlers.waiting).toBe(0);
	});

	it("the deadline of a message counts from its arrival: 40 that hang cost one deadline, not 40", { tags: ["long"] }, async () => {
		const deadlineMs = 100;
		const { handlers, take, row } = setup(deadlineMs);
		let calls = 0;
		handlers.use(() => {
			calls++;
			return new Promise(() => {});
		});
		const sender = {};
		const startedMs = performance.now();
		const results = await Promise.all(Array.from({ length: 40 }, () => take("x", sender)));
		expect(performance.now() - startedMs).toBeLessThan(10 * deadlineMs);
		expect(results).toEqual(Array(40).fill({ outcome: "failed" }));
		expect(row.get("handlerTimeouts")).toBe(40);
		expect(calls, "most have never been given to a handler").toBeLessThan(10);
		await handlers.whenNone();
	});

	it("waiting messages of one sender are limited; another sender still has room", { tags: ["long"] }, async () => {
		const { handlers, take, row, published } = setup(10_000);
		let open = () => {};
		const opened = new Promise<void>((resolve) => {
			open = resolve;
		});
		handlers.use((_message, next) => opened.then(next));
		const sender = {};
		const results = Array.from({ length: 5000 }, () => take("", sender));
		expect(take("", sender)).toEqual({ outcome: "full" });
		results.push(take("of another", {}));
		expect(row.get("handlersFull")).toBe(1);
		open();
		await Promise.all(results);
		await handlers.whenNone();
		expect(published).toHaveLength(5001);
		expect(await take("room again", sender)).toBe(publishAccepted);
	});

	it("wait for Kafka only with the result: the next message does not wait for it", async () => {
		const { handlers, published } = setup();
		handlers.use(async (_context, next) => next());
		const sender = {};
		let acknowledge = () => {};
		const result = new Promise<typeof publishAccepted>((resolve) => {
			acknowledge = () => resolve(publishAccepted);
		});
		const send = (text: string, publish: () => Publishing) =>
			handlers.take(
				sender,
				{ source: "websocket", kind: RecordKind.text, channels: [], address: "", payload: Buffer.from(text) },
				(payload) => {
					published.push(Buffer.from(payload).toString());
					return publish();
				},
			);
		const first = send("first", () => result);
		expect(await send("second", () => publishAccepted)).toBe(publishAccepted);
		expect(published).toEqual(["first", "second"]);
		acknowledge();
		expect(await first).toBe(publishAccepted);
	});

	it("keep the order when a handler itself publishes, and that message waits as well", async () => {
		const { handlers, take, published } = setup();
		const program = {};
		const open = new Map<string, () => void>();
		handlers.use(async ({ payload }, next) => {
			const text = Buffer.from(payload).toString();
			if (text === "A") void take("audit of A", program);
			if (text !== "C") await new Promise<void>((resolve) => open.set(text, resolve));
			await next();
		});
		const results = [take("A", program)];
		open.get("audit of A")!();
		await waitFor(() => published.length === 1, { deadlineMs: 1000, what: "the message from inside" });
		await turn();
		results.push(take("C", program));
		await turn();
		expect(published, "C waits behind A").toEqual(["audit of A"]);
		open.get("A")!();
		expect(await Promise.all(results)).toEqual([publishAccepted, publishAccepted]);
		await handlers.whenNone();
		expect([published, handlers.waiting]).toEqual([["audit of A", "A", "C"], 0]);
	});

	it.each(["at once", "when it has waited"])("a thrown value that cannot be inspected loses one message, thrown %s", async (when) => {
		const { proxy, revoke } = Proxy.revocable({}, {});
		revoke();
		const { handlers, take, row, published } = setup(1000, (error) => void (error as Error).message);
		handlers.use((context, next) => {
			if (context.payload.length > 1) return next();
			if (when === "at once") throw proxy;
			return turn().then(() => {
				throw proxy;
			});
		});
		const sender = {};
		expect(await Promise.all([take("x", sender), take("behind", sender)])).toEqual([{ outcome: "failed" }, publishAccepted]);
		await handlers.whenNone();
		expect([row.get("handlerErrors"), published]).toEqual([1, ["behind"]]);
	});

	it("a last handler that fails asynchronously is counted and logged; the message has been published", async () => {
		const { handlers, take, row, errors, published } = setup();
		handlers.setLast((async () => {
			await turn();
			throw new Error("too late to stop it");
		}) as MessageHandler);
		expect(take("x")).toBe(publishAccepted);
		await waitFor(() => errors.length > 0, { deadlineMs: 1000, what: "the failure" });
		expect([row.get("handlerErrors"), errors, published]).toEqual([1, ["too late to stop it"], ["x"]]);
	});

	it("keep the order of 5,000 messages behind one that waits, without blocking the loop", async () => {
		const { handlers, take, published } = setup();
		let turns = 0;
		handlers.use((message, next) => (Buffer.from(message.payload).toString() === "0" ? turn().then(next) : next()));
		const sender = {};
		const results = Array.from({ length: 5000 }, (_, index) => take(`${index}`, sender));
		const counting = setInterval(() => turns++, 0);
		const all = await Promise.all(results.slice(0, 3000));
		expect(all.every((result) => result === publishAccepted)).toBe(true);
		await handlers.whenNone();
		clearInterval(counting);
		expect(published).toEqual(Array.from({ length: 5000 }, (_, index) => `${index}`));
		expect(turns).toBeGreaterThan(0);
	});
});
