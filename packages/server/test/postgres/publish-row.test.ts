import type { OutboxRow } from "@shardcast/postgres";
import { type Publishing, type PublishResult, RecordKind } from "@shardcast/wire";
import { describe, expect, it } from "vitest";
import { publishRow } from "../../src/postgres/publish-row.ts";

const row: OutboxRow = {
	...{
		id: "1",
		createdAt: "1790000000.000001",
		channel: "news",
		data: '{"a": 1}',
		bytes: null,
		tags: null,
		idempotencyKey: "outbox:x:1",
		delta: false,
		skipHistory: false,
	},
	size: 8,
};

function publish(changes: Partial<OutboxRow>, result: Publishing = { outcome: "accepted" }) {
	const published: unknown[] = [];
	const incoming = {
		publish: (...[kind, channels, payload, , source, details]: readonly unknown[]) => {
			const { names } = channels as { names: readonly string[] };
			published.push([kind, names, Buffer.from(payload as Uint8Array).toString("latin1"), source, details]);
			return result;
		},
	};
	return { answer: publishRow({ incoming, payloadBytesMax: 100 }, { ...row, ...changes }), published };
}

describe("publishRow", () => {
	it("publishes what the row says, byte for byte, with its key", () => {
		const details = { tags: undefined, idempotencyKey: "outbox:x:1" };
		expect(publish({}).published).toEqual([[RecordKind.text, ["news"], '{"a": 1}', "outbox", details]]);
		expect(publish({ data: '"a \\"text\\""' }).published).toEqual([[RecordKind.text, ["news"], 'a "text"', "outbox", details]]);
		expect(publish({ data: null, bytes: Buffer.from([0, 255]) }).published).toEqual([
			[RecordKind.binary, ["news"], "\x00\xff", "outbox", details],
		]);
		const all = publish({ tags: '{"t": "v"}', delta: true, skipHistory: true });
		expect(all.published).toEqual([
			[RecordKind.text, ["news"], '{"a": 1}', "outbox", { ...details, tags: { t: "v" }, delta: true, skipHistory: true }],
		]);
	});

	it("a row that breaks a rule is dead, with the reason, and is not published", () => {
		const cases: readonly (readonly [Partial<OutboxRow>, RegExp])[] = [
			[{ channel: "" }, /channel/],
			[{ channel: "x".repeat(300) }, /255/],
			[{ tags: '{"t": 1}' }, /"tags" must be an object of strings/],
			[{ data: `"${"x".repeat(101)}"` }, /the message is 101 bytes; the most is 100/],
			[{ data: '"\\ud800"' }, /"data" is not well-formed Unicode/],
		];
		for (const [changes, reason] of cases) {
			const { answer, published } = publish(changes);
			expect(answer, JSON.stringify(changes).slice(0, 60)).toEqual({ outcome: "dead", reason: expect.stringMatching(reason) });
			expect(published).toEqual([]);
		}
		expect(publish({ data: `"${"x".repeat(100)}"` }).answer, "100 bytes fit").toEqual({ outcome: "published" });
	});

	it("tells what is done, what is dead, and what has to wait", async () => {
		const cases: readonly (readonly [PublishResult, unknown])[] = [
			[{ outcome: "accepted" }, { outcome: "published" }],
			[{ outcome: "accepted", duplicate: true }, { outcome: "duplicate" }],
			[{ outcome: "stopped" }, { outcome: "dead", reason: "a handler did not let this message through" }],
			[
				{ outcome: "too_large", detail: "long" },
				{ outcome: "dead", reason: "long" },
			],
			[
				{ outcome: "invalid", detail: "no JSON" },
				{ outcome: "dead", reason: "no JSON" },
			],
			[{ outcome: "failed" }, { outcome: "later", reason: "a handler failed", triesMax: 5 }],
			[
				{ outcome: "full", reason: "keys" },
				{ outcome: "later", reason: "keys" },
			],
			[
				{ outcome: "unacknowledged", reason: "broker", detail: "no answer" },
				{ outcome: "later", reason: "no answer" },
			],
		];
		for (const [result, expected] of cases) {
			expect(publish({}, result).answer, result.outcome).toEqual(expected);
			expect(await publish({}, Promise.resolve(result)).answer, `${result.outcome}, later`).toEqual(expected);
		}
	});
});
