import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { Webhook } from "../src/webhook.ts";
import { configOf, Receivers, secret } from "./support/receiver.ts";

const event = (n: number | string) => `"type":"subscribe","channel":"${n}"`;

function webhook(target: object = {}) {
	const receivers = new Receivers();
	const one = (more: object = {}) => configOf([{ name: "main", ...target, ...more }]).webhooks[0]!;
	const sent = new Webhook(one(), receivers.parts as never);
	return { receivers, webhook: sent, one };
}

/** One whose first event, `start`, is delivered. */
async function started(target: object = {}) {
	const made = webhook(target);
	made.receivers.nowMs += 60_000;
	made.webhook.tick();
	await made.receivers.accept();
	return made;
}

describe("a webhook", () => {
	it("begins with an event that says that a stream has begun", async () => {
		const { receivers, webhook: sent } = webhook();
		receivers.nowMs = 100;
		sent.tick();
		expect(receivers.requests[0]!.body).toEqual({
			stream: "s",
			time_ms: 1_700_000_000_100,
			dropped: 0,
			events: [{ id: "s-1", seq: 1, type: "start", time_ms: 1_700_000_000_000 }],
		});
		await receivers.accept();
		expect([sent.delivered, sent.waiting]).toEqual([1, 0]);
	});

	it("sends what comes within batch_delay in one request, and no later", async () => {
		const { receivers, webhook: sent } = await started({ batch_delay: "100ms" });
		sent.add(event(1));
		receivers.nowMs += 60;
		sent.add(event(2));
		sent.tick();
		expect(receivers.requests, "the time is not over").toHaveLength(1);
		receivers.nowMs += 40;
		sent.tick();
		expect(receivers.last).toEqual(["subscribe 1", "subscribe 2"]);
	});

	it("sends a full batch at once, and never more events in one than batch_max", async () => {
		const { receivers, webhook: sent } = await started({ batch_max: 3 });
		for (let n = 0; n < 7; n++) sent.add(event(n));
		sent.tick();
		expect(receivers.last).toEqual(["subscribe 0", "subscribe 1", "subscribe 2"]);
		await receivers.accept();
		expect(receivers.last, "the next one follows the reply").toEqual(["subscribe 3", "subscribe 4", "subscribe 5"]);
		await receivers.accept();
		expect(receivers.requests, "the rest waits for its time").toHaveLength(3);
	});

	it("has one request at a time under way, so that events keep their order", async () => {
		const { receivers, webhook: sent } = await started({ batch_max: 1 });
		for (let n = 0; n < 3; n++) sent.add(event(n));
		for (let n = 0; n < 5; n++) sent.tick();
		expect(receivers.requests, "start, and one more").toHaveLength(2);
	});

	it("sends what failed again, unchanged and before anything else, after pauses that double up to retry_max", async () => {
		const { receivers, webhook: sent } = await started({ retry_min: "100ms", retry_max: "300ms", batch_delay: 0 });
		sent.add(event(1));
		sent.tick();
		sent.add(event(2));
		const pauses: number[] = [];
		for (let attempt = 0; attempt < 4; attempt++) {
			const before = receivers.requests.length;
			await receivers.fail(attempt % 2 === 0 ? 500 : 0);
			let waited = 0;
			for (; receivers.requests.length === before; waited += 10) {
				receivers.nowMs += 10;
				sent.tick();
			}
			pauses.push(waited);
			expect(receivers.last, "the same events").toEqual(["subscribe 1"]);
		}
		expect(pauses).toEqual([100, 200, 300, 300]);
		await receivers.accept();
		expect(receivers.last).toEqual(["subscribe 2"]);
		await receivers.accept();
		expect(sent.requests).toEqual({ ok: 3, status: 2, unreachable: 2 });
		expect([sent.delivered, sent.waiting, sent.dropped]).toEqual([3, 0, 0]);
	});

	it("takes between half of a pause and all of it: receivers that come back are not met by all at once", async () => {
		const { receivers, webhook: sent } = await started({ retry_min: "100ms", batch_delay: 0 });
		receivers.clock.random = () => 0;
		const early = new Webhook(sent.options, { ...receivers.parts, random: () => 0 } as never);
		early.tick();
		await receivers.fail();
		receivers.nowMs += 49;
		early.tick();
		const before = receivers.requests.length;
		receivers.nowMs += 1;
		early.tick();
		expect(receivers.requests.length - before).toBe(1);
	});

	it.each([
		[204, "status"],
		[299, "status"],
		[0, "too_large"],
		[201, "too_large"],
	])("status %i with %s is delivered: the receiver has it", async (status, failure) => {
		const { receivers, webhook: sent } = await started();
		sent.add(event(1));
		receivers.nowMs += 1000;
		sent.tick();
		await receivers.fail(status, failure);
		expect([sent.delivered, sent.waiting]).toEqual([2, 0]);
	});

	it.each([
		[301, "redirect"],
		[400, "status"],
		[503, "status"],
		[0, "timeout"],
		[500, "too_large"],
	])("status %i with %s is not", async (status, failure) => {
		const { receivers, webhook: sent } = await started();
		sent.add(event(1));
		receivers.nowMs += 1000;
		sent.tick();
		await receivers.fail(status, failure);
		expect([sent.delivered, sent.waiting, sent.requests[failure]]).toEqual([1, 1, 1]);
	});

	it("drops the oldest when queue_max events wait, counts them, and tells the receiver of the gap", async () => {
		const { receivers, webhook: sent } = await started({ queue_max: 3, batch_max: 2 });
		for (let n = 2; n <= 3; n++) sent.add(event(n));
		sent.tick();
		for (let n = 4; n <= 8; n++) sent.add(event(n));
		expect(sent.dropped, "3 wait behind the request that is under way").toBe(2);
		await receivers.fail();
		receivers.nowMs += 60_000;
		sent.tick();
		await receivers.accept();
		const { dropped, events } = receivers.requests.at(-1)!.body;
		expect({ dropped, seqs: events.map(({ seq }) => seq) }).toEqual({ dropped: 2, seqs: [6, 7] });
		expect(
			receivers.told.filter((text) => text.includes("the oldest are dropped")),
			"in the log and for the console",
		).toHaveLength(2);
	});

	it("tells once that events are dropped, while it stays full, and again after it was half empty", async () => {
		const { receivers, webhook: sent } = await started({ queue_max: 4, batch_max: 1, batch_delay: 0 });
		const drops = () => receivers.told.filter((text) => text.includes("the oldest are dropped")).length / 2;
		sent.add(event(0));
		sent.tick();
		for (let n = 0; n < 4; n++) sent.add(event(n));
		expect(drops(), "full, and nothing is dropped").toBe(0);
		for (let n = 0; n < 5; n++) {
			sent.add(event(n));
			sent.add(event(n));
			await receivers.accept();
		}
		expect(drops(), "always full").toBe(1);
		for (let n = 0; n < 3; n++) await receivers.accept();
		for (let n = 0; n < 9; n++) sent.add(event(n));
		expect(drops()).toBe(2);
	});

	it("tells that events are dropped when they are too long to wait, though they are few", async () => {
		const { receivers, webhook: sent } = await started();
		const long = event("x".repeat(16 * 1024 * 1024));
		for (let n = 0; n < 5; n++) sent.add(long);
		expect(sent.dropped).toBe(2);
		expect(receivers.told[0]).toBe('webhook "main": 3 events wait (the most in 64 MiB); from now on the oldest are dropped');
	});

	it("tells once that it fails, and once that it is delivered again, without the address, the secret or what the receiver said", async () => {
		const { receivers, webhook: sent } = await started({ endpoint: "http://secret.host/path?key=hidden" });
		sent.add(event(1));
		for (let n = 0; n < 3; n++) {
			receivers.nowMs += 60_000;
			sent.tick();
			await receivers.fail();
		}
		receivers.nowMs += 60_000;
		sent.tick();
		await receivers.accept();
		const fails = 'webhook "main" cannot be delivered: unreachable (ECONNREFUSED); trying again, events that wait: 1';
		const again = 'webhook "main" is delivered again; events that wait: 0';
		expect(receivers.told).toEqual([fails, fails, again, again]);
		expect(receivers.told.join()).not.toMatch(/secret|hidden/);
	});

	it("signs with both secrets while one replaces the other, and the time is signed as well", async () => {
		const former = "another-secret-of-that-length";
		const { receivers, webhook: sent, one } = await started();
		const { isFromShardcast } = (await import("../../../examples/webhook-receiver.mjs" as string)) as {
			isFromShardcast: (headers: object, body: string, secret: string) => boolean;
		};
		const send = async () => {
			sent.add(event(1));
			receivers.nowMs = Math.max(Date.now() - 1_700_000_000_000, receivers.nowMs + 1000);
			sent.tick();
			await receivers.accept();
			const { headers, text } = receivers.requests.at(-1)!;
			return { headers, text };
		};
		const before = await send();
		expect(isFromShardcast(before.headers, before.text, secret), "the right secret").toBe(true);
		expect(isFromShardcast(before.headers, before.text, former), "another secret").toBe(false);
		expect(isFromShardcast(before.headers, `${before.text} `, secret), "another body").toBe(false);
		const later = { ...before.headers, "x-shardcast-timestamp": String(Number(before.headers["x-shardcast-timestamp"]) + 1) };
		expect(isFromShardcast(later, before.text, secret), "another time").toBe(false);
		expect(isFromShardcast({}, before.text, secret), "no signature").toBe(false);
		receivers.nowMs += 1;
		sent.change(one({ secret: former, former_secret: secret }));
		const after = await send();
		expect(isFromShardcast(after.headers, after.text, secret), "the former secret").toBe(true);
		expect(isFromShardcast(after.headers, after.text, former), "the new secret").toBe(true);
		expect(after.headers["x-shardcast-webhook"]).toBe("main");
	});

	it("is checked as the guide says: its example is the one that these tests use", () => {
		const read = (path: string) => readFileSync(join(import.meta.dirname, "../../..", path), "utf8");
		const example = /export function isFromShardcast[\s\S]*?\n\}\n/.exec(read("examples/webhook-receiver.mjs"))![0];
		expect(read("docs/how-to/webhooks.md")).toContain(example);
	});

	it("an old request is no valid one, though its signature is right", async () => {
		const { receivers, webhook: sent } = await started();
		sent.add(event(1));
		receivers.nowMs = Date.now() - 1_700_000_000_000 - 301_000;
		sent.tick();
		const { headers, text } = receivers.requests.at(-1)!;
		const { isFromShardcast } = await import("../../../examples/webhook-receiver.mjs" as string);
		expect(isFromShardcast(headers, text, secret)).toBe(false);
	});

	it("keeps what waits when its options change, and opens other connections only for another address or time", async () => {
		const { receivers, webhook: sent, one } = await started();
		sent.add(event(1));
		sent.change(one({ batch_max: 7 }));
		expect(receivers.retired).toBe(0);
		sent.change(one({ endpoint: "http://other" }));
		expect(receivers.retired).toBe(1);
		receivers.nowMs += 1000;
		sent.tick();
		expect(receivers.last).toEqual(["subscribe 1"]);
		expect(receivers.requests.at(-1)!.options.endpoint).toBe("http://other");
	});

	it("that stops ends the request to a former address as well", () => {
		const { receivers, webhook: sent, one } = webhook({ batch_delay: 0 });
		sent.tick();
		sent.change(one({ endpoint: "http://other" }));
		sent.stop();
		expect(receivers.stopped, "the new one, and the one with the request under way").toBe(2);
	});

	it("has events and namespaces of its choice, and events without a channel in any case", () => {
		const { one, receivers } = webhook();
		const wants = (target: object, type: never, namespace: string | null) =>
			new Webhook(one(target), receivers.parts as never).wants(type, namespace);
		expect(wants({}, "vacated" as never, "chat")).toBe(true);
		expect(wants({ events: ["occupied"] }, "vacated" as never, "chat")).toBe(false);
		expect(wants({ events: ["occupied"] }, "occupied" as never, "chat")).toBe(true);
	});

	it("tries at short intervals while the server stops, without waiting for more events", async () => {
		const { receivers, webhook: sent } = await started({ retry_min: "10s", batch_delay: "10s" });
		sent.add(event(1));
		sent.drain();
		expect(receivers.last).toEqual(["subscribe 1"]);
		await receivers.fail();
		receivers.nowMs += 250;
		sent.tick();
		expect(receivers.requests).toHaveLength(3);
		expect(sent.stop(), "not delivered").toBe(1);
		expect(receivers.stopped).toBe(1);
	});

	it("says how long its oldest event has waited", async () => {
		const { receivers, webhook: sent } = await started();
		expect(sent.oldestSeconds).toBe(0);
		sent.add(event(1));
		receivers.nowMs += 2000;
		sent.tick();
		receivers.nowMs += 2000;
		expect(sent.oldestSeconds, "also while it is under way").toBe(4);
	});
});
