import { describe, expect, it } from "vitest";
import { ChannelLog, type LogMember } from "../src/channel-log.ts";
import { type Feed, feedOf } from "../src/feed.ts";
import { LogLayout } from "../src/memory/log-descriptor.ts";
import type { LogMemory } from "../src/memory/log-memory.ts";
import { bytes, historyOf, limits, put, Rig, shown } from "./fixtures.ts";
import { Death, mortal, newLife, withMortalAtomics } from "./mortal-memory.ts";
import { Visited } from "./visited.ts";

const first: LogMember = { slot: 0, incarnation: 1 };

/** A record of Kafka, into the channel "channel" unless said otherwise. */
function feed(log: ChannelLog, of: Feed, offset: number, more: { leaderEpoch?: number; channel?: string; index?: number } = {}) {
	const { leaderEpoch = 0, channel = "channel", index = 0 } = more;
	return log.feed(channel, bytes(`k${offset}`), { history: limits, from: { feed: of, leaderEpoch, offset, index } });
}

const topic = () => feedOf("orders", "id-1", 0);

describe("records from Kafka in the log", () => {
	it("one partition: the offset is Kafka's + 1, gaps included, and the epoch stands for topic id and partition", () => {
		const log = new Rig().member();
		for (const offset of [7, 8, 11]) expect(feed(log, topic(), offset)).toBe("published");
		const { publications, position, given } = log.history("channel")!;
		expect(shown(publications)).toEqual(["8:k7", "9:k8", "12:k11"]);
		expect(publications.map(({ previousOffset }) => previousOffset)).toEqual([0, 8, 9]);
		expect(position).toEqual({ offset: 12, epoch: ChannelLog.epochOf(topic()) });
		expect(given).toMatchObject({ born: 8, removed: 0, epoch: position.epoch });
		expect(ChannelLog.epochOf(feedOf("orders", "id-1", 1))).not.toBe(position.epoch);
		expect(ChannelLog.epochOf(feedOf("orders", "id-2", 0))).not.toBe(position.epoch);
	});

	it("what subscribers are told before the first record is known as its former epoch afterwards", () => {
		const log = new Rig().member();
		const told = log.position("channel")!;
		expect(told.offset).toBe(0);
		feed(log, topic(), 41);
		expect(log.history("channel")!.given!.formerEpoch).toBe(told.epoch);
	});

	it("what one process has appended is known to all others, also in a channel whose row is gone", () => {
		const rig = new Rig();
		const [one, other] = [rig.member(0), rig.member(1)];
		const [ofOne, ofOther] = [topic(), topic()];
		expect(feed(one, ofOne, 1)).toBe("published");
		expect(feed(other, ofOther, 1)).toBe("known");
		expect(feed(other, ofOther, 2)).toBe("published");
		expect(feed(one, ofOne, 2)).toBe("known");
		rig.clock.nowMs += limits.metaTtlMs + 1;
		expect(feed(one, ofOne, 2)).toBe("known");
		expect(feed(other, topic(), 1)).toBe("known");
	});

	it("the channels of one record are appended one by one, each once", () => {
		const rig = new Rig();
		const [one, other] = [rig.member(0), rig.member(1)];
		// Both in one log.
		const names = Array.from({ length: 100 }, (_, n) => `c${n}`);
		const logOf = (name: string) => rig.memories.findIndex((memory) => tailOf(memory) > before.get(memory)! && name !== "");
		const before = new Map<LogMemory, number>();
		const byLog = new Map<number, string[]>();
		for (const name of names) {
			for (const memory of rig.memories) before.set(memory, tailOf(memory));
			put(one, name, "x");
			const log = logOf(name);
			byLog.set(log, [...(byLog.get(log) ?? []), name]);
		}
		const [a, b] = [...byLog.values()].find(({ length }) => length > 1)!;
		expect(feed(one, topic(), 5, { channel: a!, index: 0 })).toBe("published");
		// It dies here; another process comes by the same record.
		expect(feed(other, topic(), 5, { channel: a!, index: 0 })).toBe("known");
		expect(feed(other, topic(), 5, { channel: b!, index: 1 })).toBe("published");
		expect(feed(one, topic(), 5, { channel: b!, index: 1 })).toBe("known");
	});

	it("a second partition, or a publication of somebody else: the channel counts by itself from there on, in another epoch", () => {
		for (const publish of [
			(log: ChannelLog) => feed(log, feedOf("orders", "id-1", 1), 90),
			(log: ChannelLog) => put(log, "channel", "p"),
		]) {
			const log = new Rig().member();
			feed(log, topic(), 40);
			const { epoch } = log.position("channel")!;
			publish(log);
			const own = log.position("channel")!;
			expect(own.offset).toBe(1);
			expect(own.epoch).not.toBe(epoch);
			expect(log.history("channel")!.given).toBeUndefined();
			feed(log, topic(), 41);
			expect(log.position("channel")).toEqual({ offset: 2, epoch: own.epoch });
		}
	});

	it("a channel that had publications before the first record goes on counting", () => {
		const log = new Rig().member();
		put(log, "channel", "p");
		const { epoch } = log.position("channel")!;
		feed(log, topic(), 40);
		expect(historyOf(log, "channel")).toEqual(["1:p", "2:k40"]);
		expect(log.position("channel")!.epoch).toBe(epoch);
	});

	it("a topic that was recreated begins its own epoch with Kafka's offsets; what is left of the old one makes the channel count by itself", () => {
		const log = new Rig().member();
		const again = feedOf("orders", "id-2", 0);
		feed(log, topic(), 40);
		expect(feed(log, again, 0)).toBe("published");
		expect(log.position("channel")).toEqual({ offset: 1, epoch: ChannelLog.epochOf(again) });
		feed(log, again, 1);
		expect(historyOf(log, "channel")).toEqual(["1:k0", "2:k1"]);
		feed(log, topic(), 41);
		expect(log.history("channel")!.given).toBeUndefined();
		feed(log, again, 2);
		expect(historyOf(log, "channel")).toEqual(["1:k41", "2:k2"]);
	});

	it("a failed leader took records with it: what the next one wrote at their offsets is new, in another epoch", () => {
		const rig = new Rig();
		const [one, other] = [rig.member(0), rig.member(1)];
		for (const offset of [1, 2, 3]) feed(one, topic(), offset, { leaderEpoch: 4 });
		expect(feed(one, topic(), 2, { leaderEpoch: 5 })).toBe("published");
		// Read by a slower process from the leader that failed.
		expect(feed(other, topic(), 3, { leaderEpoch: 4 })).toBe("known");
		expect(feed(other, topic(), 2, { leaderEpoch: 5 })).toBe("known");
		expect(feed(other, topic(), 3, { leaderEpoch: 5 })).toBe("published");
		expect(log(one)).toEqual(["1:k2", "2:k3"]);
	});

	it("more partitions than the log has places for: the oldest gives way, and its channels still know what they have", () => {
		const rig = new Rig();
		const member = rig.member();
		const { feeds } = rig.memories[0]!;
		feed(member, topic(), 9);
		// Which log a channel is in is random. With more than six in the same one, its records would not fit any more.
		const names = Array.from({ length: 200 }, (_, n) => `c${n}`);
		const isNear = (name: string) => member.logOf(name) === member.logOf("channel");
		const channels = [...names.filter(isNear).slice(0, 3), ...names.filter((name) => !isNear(name)).slice(0, 9)];
		for (let n = 0; n < feeds * 20; n++) {
			rig.clock.nowMs++;
			feed(member, feedOf("t", "id", n), 0, { channel: channels[n % channels.length]! });
		}
		expect(member.counter("feedsReplaced")).toBeGreaterThan(0);
		expect(feed(member, topic(), 9)).toBe("known");
		expect(feed(member, topic(), 10)).toBe("published");
		expect(historyOf(member, "channel")).toEqual(["10:k9", "11:k10"]);
	});

	it("a process that dies at any store: the next one appends the record, or finds it, and never both", { tags: ["long"] }, () => {
		const outcomes = { known: 0, published: 0 };
		for (const kind of ["new", "follows", "recreated", "mixed"] as const) {
			for (let diesAt = 0; ; diesAt++) {
				const rig = new Rig();
				const other = rig.member(1);
				const reader = other.reader(1);
				const visited = new Visited(reader);
				const of = kind === "recreated" ? feedOf("orders", "id-2", 0) : kind === "mixed" ? feedOf("orders", "id-1", 1) : topic();
				if (kind !== "new") feed(other, topic(), 4);
				const life = newLife(diesAt);
				const mortals = rig.memories.map((memory) => mortal(memory, life));
				const dead = withMortalAtomics(() => {
					const dying = new ChannelLog(mortals, first, { nowMs: () => rig.clock.nowMs });
					try {
						feed(dying, of, 9);
						return false;
					} catch (error) {
						if (!(error instanceof Death)) throw error;
						return true;
					}
				});
				if (!dead) break;
				rig.keeper.memberDied(0, 1);
				const outcome = feed(other, of, 9);
				outcomes[outcome as keyof typeof outcomes]++;
				expect(feed(other, of, 9)).toBe("known");
				const expected = kind === "new" || kind === "recreated" ? ["10:k9"] : kind === "mixed" ? ["1:k9"] : ["5:k4", "10:k9"];
				expect(historyOf(other, "channel")).toEqual(expected);
				if (kind !== "mixed") expect(other.position("channel")!.epoch).toBe(ChannelLog.epochOf(of));
				visited.read();
				expect(visited.of("channel").filter((each) => each.endsWith(":k9"))).toHaveLength(1);
			}
		}
		expect(outcomes.known).toBeGreaterThan(20);
		expect(outcomes.published).toBeGreaterThan(50);
	});
});

function log(of: ChannelLog): string[] {
	return historyOf(of, "channel");
}

function tailOf({ floats }: LogMemory): number {
	return floats[LogLayout.tailOffset >> 3]!;
}
