import { holderOf, type Position } from "@shardcast/channel-log";
import { RecordType } from "@shardcast/wire";
import { describe, expect, it } from "vitest";
import { noticeHoldMs, WantedChannels } from "../../src/redis/wanted-channels.ts";

const at = (offset: number): Position => ({ offset, epoch: "e" });

/** A shard that wants channels, and what it asked of whom. */
function start() {
	const clock = { nowMs: 1000 };
	/** Of the one log that matters here. */
	const log = { feeder: holderOf(1, 1) };
	const asked: string[] = [];
	const ring = { hasRoom: true };
	const wanted = new WantedChannels({
		log: { logOf: () => 0, feeder: () => log.feeder },
		records: {
			send: (type, slot, about) => {
				// Only then: the longest test sends 10,000, and an expectation takes longer than all the rest.
				if (type !== RecordType.follow) expect.fail(`a record of type ${type}`);
				const names = (about as readonly (readonly [string, Position | null])[]).map(([name, since]) =>
					since === null ? name : `${name} behind ${since.offset}`,
				);
				if (ring.hasRoom) asked.push(`${slot}: ${names.join(" ")}`);
				return ring.hasRoom;
			},
		},
		has: (channel) => !channel.startsWith("plain"),
		nowMs: () => clock.nowMs,
	});
	const takeAsked = () => asked.splice(0);
	return { clock, log, ring, wanted, takeAsked };
}

describe("WantedChannels", () => {
	it("asks the feeder of the log once, and knows the position from its answer on", () => {
		const { wanted, takeAsked } = start();
		wanted.subscribed("a");
		wanted.subscribed("a");
		wanted.subscribed("plain");
		expect(takeAsked()).toEqual(["1: a"]);
		expect(wanted.fedFrom("a")).toBeNull();
		wanted.followed("a", at(5), 1);
		expect(wanted.fedFrom("a")).toEqual(at(5));
		wanted.tick();
		expect(takeAsked()).toEqual([]);
	});

	it("waits a moment for other publishers of a channel that it was told of, and asks for the earliest publication", () => {
		const { clock, wanted, takeAsked } = start();
		// Its own publication is second in the channel. The first one was another machine's, which says so a moment later.
		wanted.noticed("a", at(1));
		clock.nowMs += noticeHoldMs - 1;
		wanted.tick();
		wanted.noticed("a", at(0));
		wanted.noticed("a", at(2));
		wanted.noticed("a", { offset: 0, epoch: "another" });
		expect(takeAsked()).toEqual([]);
		clock.nowMs += 1;
		wanted.tick();
		expect(takeAsked()).toEqual(["1: a behind 0"]);
		wanted.followed("a", at(7), 1);
		expect(wanted.fedFrom("a")).toEqual(at(7));
	});

	it.each<[what: string, waits: (wanted: WantedChannels) => unknown]>([
		["a subscriber", (wanted) => wanted.subscribed("a")],
		["a position", (wanted) => wanted.fedFrom("a")],
		["a command that waits", (wanted) => wanted.waits("a")],
	])("does not wait when a client does: %s", (_, waits) => {
		const { wanted, takeAsked } = start();
		wanted.noticed("a", at(1));
		expect(takeAsked()).toEqual([]);
		waits(wanted);
		expect(takeAsked()).toEqual(["1: a behind 1"]);
	});

	it("asks again when there is no answer for half a second, or the ring was full", () => {
		const { clock, ring, wanted, takeAsked } = start();
		ring.hasRoom = false;
		wanted.subscribed("a");
		expect(takeAsked()).toEqual([]);
		ring.hasRoom = true;
		wanted.tick();
		expect(takeAsked()).toEqual(["1: a"]);
		clock.nowMs += 400;
		wanted.tick();
		expect(takeAsked()).toEqual([]);
		clock.nowMs += 200;
		wanted.tick();
		expect(takeAsked()).toEqual(["1: a"]);
	});

	it("asks for all channels again, in one message, when another shard feeds the log, and ignores the answers of the former one", () => {
		const { log, wanted, takeAsked } = start();
		for (const channel of ["a", "b"]) {
			wanted.subscribed(channel);
			wanted.followed(channel, at(1), 1);
		}
		takeAsked();
		log.feeder = 0;
		wanted.tick();
		expect([wanted.fedFrom("a"), takeAsked()]).toEqual([null, []]);
		log.feeder = holderOf(2, 1);
		wanted.tick();
		expect(takeAsked()).toEqual(["2: a b"]);
		wanted.followed("a", at(7), 1);
		expect(wanted.fedFrom("a"), "an answer of the former feeder").toBeNull();
		wanted.followed("a", at(8), 2);
		expect(wanted.fedFrom("a")).toEqual(at(8));
	});

	it("those who wait for a channel continue when it is fed", async () => {
		const { wanted } = start();
		const waits = wanted.waits("a");
		expect(waits).not.toBeNull();
		wanted.followed("a", at(0), 1);
		await waits;
		expect(wanted.waits("a")).toBeNull();
	});

	it("a channel with a new epoch is unknown until the feeder answers again", () => {
		const { wanted, takeAsked } = start();
		wanted.subscribed("a");
		wanted.followed("a", at(3), 1);
		takeAsked();
		wanted.restarted("a");
		expect(wanted.fedFrom("a")).toBeNull();
		wanted.tick();
		expect(takeAsked()).toEqual(["1: a"]);
	});

	it("renews subscribed channels, and drops those that only a command has used after 30 s", () => {
		const { clock, wanted, takeAsked } = start();
		wanted.subscribed("kept");
		wanted.fedFrom("asked for");
		for (const channel of ["kept", "asked for"]) wanted.followed(channel, at(1), 1);
		takeAsked();
		clock.nowMs += 30_001;
		wanted.tick();
		expect([takeAsked(), wanted.size]).toEqual([["1: kept"], 1]);
		wanted.unsubscribed("kept");
		clock.nowMs += 30_001;
		wanted.tick();
		expect(wanted.size).toBe(0);
	});

	it("holds at most 10,000 channels without subscribers, and drops the oldest", () => {
		const { wanted } = start();
		wanted.subscribed("kept");
		for (let index = 0; index < 10_000; index++) wanted.fedFrom(`asked for ${index}`);
		expect(wanted.size).toBe(10_001);
		wanted.followed("asked for 0", at(1), 1);
		wanted.followed("asked for 1", at(1), 1);
		wanted.fedFrom("one more");
		expect(wanted.size).toBe(10_001);
		wanted.followed("kept", at(1), 1);
		expect([wanted.fedFrom("kept"), wanted.fedFrom("asked for 1")], "the others stay").toEqual([at(1), at(1)]);
	});

	it("follows the channels with subscribers after a reload", () => {
		const { wanted, takeAsked } = start();
		wanted.subscribed("old");
		wanted.renew(["new", "plain"]);
		expect(takeAsked()).toEqual(["1: old", "1: new"]);
		wanted.unsubscribed("new");
		expect(wanted.size).toBe(2);
	});
});
