import { describe, expect, it } from "vitest";
import { binaryPayload, numberOf, senderOf } from "../src/protocols/binary-payload.ts";
import { Progress, ProgressCounters } from "../src/report/progress-counters.ts";
import type { MessageSource } from "../src/thread/message-source.ts";
import { Pacer } from "../src/thread/pacer.ts";

/** Takes everything, except while `full` says no. */
class FakeSource implements MessageSource {
	readonly taken: [sender: number, number: number][] = [];
	full: (offered: number) => boolean = () => false;
	#offered = 0;
	async open(): Promise<void> {}
	send(sender: number, payload: Buffer): boolean {
		if (this.full(this.#offered++)) return false;
		expect(senderOf(payload, 0)).toBe(sender);
		this.taken.push([sender, numberOf(payload, 0)]);
		return true;
	}
	async flush(): Promise<void> {}
	refusals(): Record<string, number> {
		return {};
	}
	async close(): Promise<void> {}
}

describe("Pacer", () => {
	it("sends rate × duration messages round the senders, each numbered from 0, going on in the next load", async () => {
		const [source, progress] = [new FakeSource(), new ProgressCounters({ threads: 1 })];
		const pacer = new Pacer(source, 3, progress, 0);
		const first = await pacer.run({ rate: 1000, bytes: 64, durationMs: 50 });
		expect(first.sent).toBe(50);
		expect([...first.sentBySender]).toEqual([17, 17, 16]);
		expect(first.endedMs - first.startedMs).toBeGreaterThan(45);
		const second = await pacer.run({ rate: 1000, bytes: 64, durationMs: 10 });
		expect([...second.sentBySender]).toEqual([20, 20, 20]);
		for (let sender = 0; sender < 3; sender++) {
			expect(source.taken.filter(([by]) => by === sender).map(([, number]) => number)).toEqual(
				Array.from({ length: 20 }, (_, number) => number),
			);
		}
		expect(progress.total(Progress.sent)).toBe(60);
	});

	it("offers the same message again when the source is full, and sends late what it could not send in time", {
		tags: ["long"],
	}, async () => {
		const source = new FakeSource();
		source.full = (offered) => offered >= 10 && offered < 40;
		const report = await new Pacer(source, 1, new ProgressCounters({ threads: 1 }), 0).run({ rate: 1000, bytes: 64, durationMs: 100 });
		expect(report.sent).toBe(100);
		expect(source.taken.map(([, number]) => number)).toEqual(Array.from({ length: 100 }, (_, number) => number));
		expect(report.lateMsMax).toBeGreaterThan(20);
	});

	it("gives up when the source never takes anything again, and says how many it sent", { tags: ["long"] }, async () => {
		const source = new FakeSource();
		source.full = (offered) => offered >= 5;
		const pacer = new Pacer(source, 1, new ProgressCounters({ threads: 1 }), 0, binaryPayload, 100);
		const report = await pacer.run({ rate: 1000, bytes: 64, durationMs: 20 });
		expect(report.sent).toBe(5);
		expect(report.endedMs - report.startedMs).toBeGreaterThanOrEqual(120);
		expect(report.endedMs - report.startedMs).toBeLessThan(2_000);
	});

	it("follows a rate that changes, sender by sender, and says what was sent when", async () => {
		const source = new FakeSource();
		const rateStages = [
			{ from: 0, to: 1000, ms: 100 },
			{ from: 0, to: 0, ms: 50 },
		];
		const pacer = new Pacer(source, 2, new ProgressCounters({ threads: 1 }), 0, binaryPayload, 2_000, (sender) => sender);
		const { sent, sentBySender, log, startedMs, endedMs } = await pacer.run({ rate: 1, rateStages, bytes: 64, durationMs: 1 });
		expect(sent).toBe(50);
		expect([...sentBySender]).toEqual([25, 25]);
		expect(endedMs - startedMs).toBeGreaterThan(90);
		expect(log).toMatchObject({ startMs: startedMs, sent: 50, senders: 2 });
		expect(log.counts.at(-1)).toBe(50);
	});

	it("ends early when it is halted, even in a pause", async () => {
		const pacer = new Pacer(new FakeSource(), 1, new ProgressCounters({ threads: 1 }), 0);
		const rateStages = [
			{ from: 1000, to: 1000, ms: 20 },
			{ from: 0, to: 0, ms: 60_000 },
			{ from: 1, to: 1, ms: 60_000 },
		];
		const load = pacer.run({ rate: 1, rateStages, bytes: 64, durationMs: 1 });
		pacer.halt();
		expect((await load).sent).toBeLessThanOrEqual(20);
	});
});
