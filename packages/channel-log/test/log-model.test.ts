import { stressed } from "@shardcast/testkit";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { HistoryLimits, PublishOptions } from "../src/broker.ts";
import { LogLayout } from "../src/memory/log-descriptor.ts";
import { bytes, put, Rig, shown } from "./fixtures.ts";
import { Visited } from "./visited.ts";

/** One publication as a plain list keeps it. */
interface Kept {
	readonly offset: number;
	readonly message: string;
}

/** What a channel is, without shared memory: everything that was ever published in this epoch, and the limits of the last publication. */
interface Model {
	epoch: string;
	all: Kept[];
	removedTo: number;
	limits: HistoryLimits | null;
	usedMs: number;
	publishedMs: number;
	readonly keys: Map<string, { readonly offset: number; readonly epoch: string; readonly untilMs: number }>;
}

const tailFloat = LogLayout.tailOffset >> 3;
const channels = ["a", "b", "c", "d"];
const channelOf = fc.constantFrom(...channels);
const limitsOf: fc.Arbitrary<HistoryLimits> = fc.record({
	size: fc.integer({ min: 1, max: 12 }),
	ttlMs: fc.constantFrom(50, 200, 1000),
	metaTtlMs: fc.constantFrom(1000, 1500, 5000),
});
const stepOf = fc.oneof(
	{
		weight: 8,
		arbitrary: fc.record({
			do: fc.constant("publish" as const),
			channel: channelOf,
			member: fc.nat(2),
			length: fc.integer({ min: 0, max: 900 }),
			limits: limitsOf,
			key: fc.option(fc.constantFrom("k", "l", "m"), { freq: 3 }),
		}),
	},
	{
		weight: 5,
		arbitrary: fc.record({
			do: fc.constant("history" as const),
			channel: channelOf,
			member: fc.nat(2),
			since: fc.option(fc.integer({ min: 0, max: 30 })),
			limit: fc.option(fc.integer({ min: 0, max: 8 })),
			reverse: fc.boolean(),
		}),
	},
	{ weight: 3, arbitrary: fc.record({ do: fc.constant("pass" as const), ms: fc.constantFrom(1, 30, 100, 400, 1200) }) },
	{ weight: 1, arbitrary: fc.record({ do: fc.constant("remove" as const), channel: channelOf, member: fc.nat(2) }) },
	{ weight: 3, arbitrary: fc.record({ do: fc.constant("read" as const), max: fc.integer({ min: 0, max: 20 }) }) },
	{ weight: 1, arbitrary: fc.record({ do: fc.constant("fill" as const), count: fc.integer({ min: 1, max: 60 }) }) },
);
type Step = typeof stepOf extends fc.Arbitrary<infer T> ? T : never;

describe("ChannelLog against a plain model", () => {
	it("publishes, keeps, forgets and evicts as a list would; readers see everything once, in order", { tags: ["long"] }, () => {
		fc.assert(fc.property(fc.array(stepOf, { minLength: 20, maxLength: 150 }), check), { numRuns: stressed(60) });
	});
});

function isLost({ limits, usedMs }: Model, nowMs: number): boolean {
	return limits !== null && usedMs + limits.metaTtlMs <= nowMs;
}

function check(steps: readonly Step[]): void {
	const rig = new Rig();
	const logs = [0, 1, 2].map((slot) => rig.member(slot));
	const reader = logs[0]!.reader(0);
	const visited = new Visited(reader);
	const models = new Map<string, Model>();
	const model = (channel: string): Model => {
		const known = models.get(channel);
		const nowMs = rig.clock.nowMs;
		const wasLost = known !== undefined && isLost(known, nowMs);
		if (known !== undefined && known.all.length > 0 && !wasLost) return known;
		// Until its first publication a channel has the epoch that it would get, which changes when a row of its bucket is recycled.
		const { epoch, offset } = logs[0]!.position(channel)!;
		expect(offset).toBe(0);
		if (wasLost) expect(epoch).not.toBe(known.epoch);
		const made: Model = { epoch, all: [], removedTo: 0, limits: null, usedMs: nowMs, publishedMs: nowMs, keys: known?.keys ?? new Map() };
		models.set(channel, made);
		return made;
	};
	/** All publications, in order, for the reader. */
	const published = new Map<string, string[]>();

	for (const step of steps) {
		const nowMs = rig.clock.nowMs;
		switch (step.do) {
			case "publish": {
				const known = model(step.channel);
				const message = `${known.all.length} ${"-".repeat(step.length)}`;
				const options: PublishOptions = {
					history: step.limits,
					...(step.key === null ? {} : { idempotency: { key: step.key, ttlMs: 300 } }),
				};
				const result = logs[step.member]!.publish(step.channel, bytes(message), options);
				const first = step.key === null ? undefined : known.keys.get(step.key);
				if (first !== undefined && first.untilMs > nowMs) {
					expect(result).toEqual({ outcome: "accepted", duplicate: true, position: { offset: first.offset, epoch: first.epoch } });
					break;
				}
				if (result.outcome === "full") {
					// The reader has not read: nothing was written.
					expect(result.reason).toBe("readers");
					visited.read(reader);
					break;
				}
				const offset = known.all.length + 1;
				expect(result).toEqual({ outcome: "accepted", position: { offset, epoch: known.epoch } });
				if (known.limits !== null && known.publishedMs + known.limits.ttlMs <= nowMs) known.removedTo = known.all.length;
				known.all.push({ offset, message });
				known.publishedMs = nowMs;
				known.limits = step.limits;
				known.usedMs = nowMs;
				if (step.key !== null) known.keys.set(step.key, { offset, epoch: known.epoch, untilMs: nowMs + 300 });
				published.set(step.channel, [...(published.get(step.channel) ?? []), `${offset}:${message}`]);
				break;
			}
			case "history": {
				const known = model(step.channel);
				const since = step.since === null ? undefined : { offset: step.since, epoch: known.epoch };
				const history = logs[step.member]!.history(step.channel, {
					...(since === undefined ? {} : { since }),
					...(step.limit === null ? {} : { limit: step.limit }),
					reverse: step.reverse,
				})!;
				known.usedMs = Math.max(known.usedMs, nowMs);
				expect(history.position).toEqual({ offset: known.all.length, epoch: known.epoch });
				const limits = known.limits ?? { size: 0, ttlMs: 0 };
				const alive = known.all
					.slice(-limits.size)
					.filter(({ offset }) => limits.size > 0 && offset > known.removedTo && known.publishedMs + limits.ttlMs > nowMs);
				// What is gone for want of memory is the oldest; how much that is depends on all channels of the log.
				const held = logs[step.member]!.history(step.channel)!.publications.length;
				const wanted = alive
					.slice(alive.length - held)
					.filter(({ offset }) => since === undefined || (step.reverse ? offset < since.offset : offset > since.offset));
				if (step.reverse) wanted.reverse();
				expect(shown(history.publications)).toEqual(
					wanted.slice(0, step.limit ?? wanted.length).map(({ offset, message }) => `${offset}:${message}`),
				);
				expect(held).toBeLessThanOrEqual(alive.length);
				if (held < alive.length) expect(rig.memories.some(({ floats, dataBytes }) => floats[tailFloat]! > dataBytes)).toBe(true);
				break;
			}
			case "pass":
				rig.clock.nowMs += step.ms;
				break;
			case "remove": {
				const known = model(step.channel);
				expect(logs[step.member]!.removeHistory(step.channel)).toBe(true);
				known.removedTo = known.all.length;
				break;
			}
			case "read":
				visited.read(reader, step.max);
				for (const channel of channels) {
					// A snapshot as of what the reader has visited.
					const seen = visited.of(channel);
					const { publications } = logs[1]!.history(channel, { asOf: reader })!;
					const known = models.get(channel);
					if (known !== undefined && !isLost(known, nowMs)) known.usedMs = Math.max(known.usedMs, nowMs);
					expect(shown(publications)).toEqual(publications.length === 0 ? [] : seen.slice(-publications.length));
				}
				break;
			case "fill":
				for (let n = 0; n < step.count; n++) {
					visited.read(reader);
					put(logs[0]!, `filling ${n % 16}`, "#".repeat(1000));
				}
				break;
			default:
				step satisfies never;
		}
	}
	visited.read(reader);
	for (const [channel, messages] of published) expect(visited.of(channel)).toEqual(messages);
}
