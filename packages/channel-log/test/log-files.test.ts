import { mkdtempSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ChannelLog } from "../src/channel-log.ts";
import { historyOf, kept, put } from "./fixtures.ts";

let directory: string;
beforeEach(() => {
	directory = mkdtempSync("/dev/shm/shardcast-log-test-");
});
afterEach(() => rmSync(directory, { recursive: true }));

const takenBytes = (log: number) => statSync(join(directory, `log-${log}`)).blocks * 512;

describe("the logs of a cluster directory", () => {
	it("are the same for all who open them, and take memory as they fill, up to what they were given", { tags: ["long"] }, () => {
		const memoryBytes = 16 * 2 ** 20;
		ChannelLog.create(directory, { memoryBytes });
		const logs = [0, 1, 2, 3, 4, 5, 6, 7];
		const total = () => logs.map(takenBytes).reduce((sum, bytes) => sum + bytes);
		expect(total()).toBeLessThan(memoryBytes * 0.3);
		const [one, other] = [0, 1].map((slot) => ChannelLog.open(directory, { slot, incarnation: 1 })) as [ChannelLog, ChannelLog];
		expect(put(one, "channel", "a")).toBe(1);
		expect(put(other, "channel", "b")).toBe(2);
		expect(historyOf(one, "channel")).toEqual(["1:a", "2:b"]);
		const before = total();
		expect(before).toBeLessThan(memoryBytes * 0.4);
		for (let n = 0; n < 5000; n++) put(other, `channel-${n % 50}`, "#".repeat(4000));
		expect(total()).toBeGreaterThan(memoryBytes / 2);
		expect(total()).toBeLessThanOrEqual(memoryBytes + 8 * 4096);
		one.close();
		other.close();
	});

	it("are missing: an error that names the file", () => {
		expect(() => ChannelLog.open(directory, { slot: 0, incarnation: 1 })).toThrow(/log-0/);
	});

	it("that are gone refuse what needs more memory, and serve on", () => {
		ChannelLog.create(directory, { memoryBytes: 16 * 2 ** 20 });
		const log = ChannelLog.open(directory, { slot: 0, incarnation: 1 });
		put(log, "channel", "a");
		for (let index = 0; index < 8; index++) rmSync(join(directory, `log-${index}`));
		let sent = 0;
		while (log.publish("channel", new Uint8Array(1000), kept).outcome === "accepted") sent++;
		expect(log.publish("channel", new Uint8Array(1000), kept)).toEqual({ outcome: "full", reason: "memory" });
		expect(sent).toBeLessThan(1000);
		expect(log.position("channel")!.offset).toBe(sent + 1);
		log.close();
	});
});

it("a shard without siblings has its own logs", () => {
	const log = ChannelLog.inMemory({ memoryBytes: 2 ** 20 });
	put(log, "channel", "a");
	expect(historyOf(log, "channel")).toEqual(["1:a"]);
	log.close();
});
