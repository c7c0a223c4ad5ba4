import { describe, expect, it } from "vitest";
import { holderOf, tryLock, unlock } from "../src/memory/log-lock.ts";
import { kept, Rig } from "./fixtures.ts";

const idempotency = { key: "k", ttlMs: 1000 };

describe("a message of a channel without history", () => {
	it("goes out once for each key and channel, whichever member publishes, until the key is too old", () => {
		const rig = new Rig();
		const [first, second] = [rig.member(0), rig.member(1)];
		let sent = 0;
		const send = () => ++sent > 0;
		expect(first.once("a", idempotency, send)).toBe("published");
		expect(second.once("a", idempotency, send)).toBe("duplicate");
		expect(second.once("b", idempotency, send)).toBe("published");
		expect(second.once("a", { key: "l", ttlMs: 1000 }, send)).toBe("published");
		expect(sent).toBe(3);
		rig.clock.nowMs += 1001;
		expect(second.once("a", idempotency, send)).toBe("published");
		expect(first.counter("duplicates")).toBe(1);
	});

	it("is not remembered when it did not go out, and leaves the log free whatever happens", () => {
		const rig = new Rig();
		const log = rig.member();
		expect(log.once("a", idempotency, () => false)).toBe("refused");
		const fail = () => {
			throw new Error("no ring");
		};
		expect(() => log.once("a", idempotency, fail)).toThrow("no ring");
		expect(log.once("a", idempotency, () => true)).toBe("published");
	});

	it("waits for a log that is locked", () => {
		const rig = new Rig();
		for (const memory of rig.memories) expect(tryLock(memory, holderOf(5, 1))).toBe(true);
		const log = rig.member();
		expect(log.once("a", idempotency, () => true)).toBe("locked");
		for (const memory of rig.memories) unlock(memory);
		expect(log.once("a", idempotency, () => true)).toBe("published");
	});

	it("shares its keys with publications that have a history: they stand for offset 0", () => {
		const log = new Rig().member();
		log.once("a", idempotency, () => true);
		expect(log.publish("a", new Uint8Array(1), { ...kept, idempotency })).toMatchObject({ duplicate: true, position: { offset: 0 } });
	});
});
