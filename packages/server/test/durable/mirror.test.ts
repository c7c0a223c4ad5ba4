import { setTimeout as pause } from "node:timers/promises";
import { defaultConfig } from "@shardcast/config";
import type { StoredChannel, StoredPublication } from "@shardcast/durable-store";
import { describe, expect, it } from "vitest";
import { Mirror } from "../../src/durable/mirror.ts";
import type { CentrifugeClient } from "../support/centrifuge-rig.ts";
import { ShardRig } from "../support/shard-rig.ts";

const { channelWithoutNamespace: plain } = defaultConfig();
const kept = { ...plain, historySize: 10, historyTtlMs: 600_000 };
const limits = { size: 10, ttlMs: 600_000, metaTtlMs: 600_000 };
const epochs = { epoch0: 1, epoch1: 2 };

interface Reply {
	readonly push?: { readonly pub?: { readonly data: number }; readonly unsubscribe?: { readonly code: number } };
}

/** What a client has got, as "3" for publication 3, and "ends 2500". */
function got(client: CentrifugeClient): string[] {
	return (client.replies() as Reply[]).flatMap(({ push }) => {
		if (push?.pub !== undefined) return [String(push.pub.data)];
		return push?.unsubscribe === undefined ? [] : [`ends ${push.unsubscribe.code}`];
	});
}

/** A store in memory whose publications a test removes, a shard that mirrors it, and a client that recovers. */
function start() {
	const rig = new ShardRig({ channelWithoutNamespace: kept });
	const publications = new Map<number, StoredPublication>();
	let last = 1;
	let epoch1 = epochs.epoch1;
	const stored = (): StoredChannel => ({ ...epochs, epoch1, last, first: 2 });
	const failures: unknown[] = [];
	/** So many losses find no room in the log. */
	let refusals = 0;
	const mirror = new Mirror({
		store: {
			channel: stored,
			open: async () => stored(),
			readLate: (_channel, after, limit) =>
				[...publications]
					.filter(([offset]) => offset > after)
					.slice(0, limit)
					.map(([, publication]) => publication),
		},
		log: {
			position: (channel) => rig.log.position(channel),
			mirror: (channel, data, options) => {
				if (options.hidden !== "gap" || refusals === 0) return rig.log.mirror(channel, data, options);
				refusals--;
				return "readers";
			},
		},
		failed: (error) => failures.push(error),
	});
	return {
		rig,
		failures,
		refuseLoss: () => {
			refusals++;
		},
		store: (data: Uint8Array = Buffer.from(String(last + 1))) => {
			last++;
			publications.set(last, { offset: last, data, senderId: 0, senderLife: 0 } as unknown as StoredPublication);
		},
		expire: (offset: number) => publications.delete(offset),
		/** Removes the channel from the store, which begins another epoch. */
		restart: () => {
			publications.clear();
			last = 7;
			epoch1++;
		},
		/** So many other channels are used that the log forgets this one. */
		forget: () => {
			// It does not count as a use, as `position` does.
			for (let other = 0; other < 100_000 && rig.log.summary("a") !== null; other++) {
				rig.log.publish(`other ${other}`, Buffer.from("-"), { history: limits });
				rig.deliver();
			}
			expect(rig.log.summary("a")).toBe(null);
		},
		/** Mirrors, and delivers. */
		bring: async () => {
			mirror.due("a", limits);
			const untilMs = performance.now() + 5000;
			while (rig.log.position("a")?.offset !== last && performance.now() < untilMs) await pause(2);
			rig.deliver();
			expect(failures).toEqual([]);
		},
		subscribed: () => {
			const client = rig.connected();
			client.send({ subscribe: { channel: "a", recoverable: true, positioned: true }, id: 2 });
			client.replies();
			return client;
		},
	};
}

describe("Mirror", () => {
	it("subscribers with a position are told of publications that expired before they were brought, even if later ones are there", async () => {
		const { store, expire, bring, subscribed } = start();
		await bring();
		const client = subscribed();
		store();
		await bring();
		for (let count = 0; count < 5; count++) store();
		for (const offset of [3, 4, 5]) expire(offset);
		await bring();
		expect(got(client)).toEqual(["2", "ends 2500"]);
	});

	it("a hole in the middle is told, too, and what is before it is delivered first", async () => {
		const { store, expire, bring, subscribed } = start();
		await bring();
		const client = subscribed();
		for (let count = 0; count < 5; count++) store();
		expire(4);
		await bring();
		expect(got(client)).toEqual(["2", "3", "ends 2500"]);
	});

	it("subscribers are told if the log has forgotten the channel, and the store has what the log never had", async () => {
		const { store, bring, subscribed, forget } = start();
		await bring();
		const client = subscribed();
		store();
		await bring();
		forget();
		store();
		await bring();
		expect(got(client)).toEqual(["2", "ends 2500"]);
	});

	it("a channel that the log has forgotten goes on if the log has had everything", async () => {
		const { store, bring, subscribed, forget } = start();
		await bring();
		const client = subscribed();
		store();
		await bring();
		forget();
		await bring();
		store();
		await bring();
		expect(got(client)).toEqual(["2", "3"]);
	});

	it("subscribers are told of another epoch before they get anything of it", async () => {
		const { store, bring, subscribed, restart } = start();
		await bring();
		const client = subscribed();
		store();
		await bring();
		restart();
		store();
		await bring();
		store();
		await bring();
		expect(got(client)).toEqual(["2", "ends 2500"]);
	});

	it("subscribers are told of an epoch that the log has meanwhile had from elsewhere, even if it has had all of the store's before", async () => {
		const { rig, store, bring, subscribed } = start();
		await bring();
		store();
		await bring();
		// The channel was not durable for a while.
		rig.log.mirror("a", new Uint8Array(0), { history: limits, offset: 5, epoch0: 8, epoch1: 9, hidden: "position" });
		rig.deliver();
		const client = subscribed();
		await bring();
		store();
		await bring();
		expect(got(client)).toEqual(["ends 2500"]);
	});

	it("a loss for which the log has no room yet is told before later publications", async () => {
		const { store, bring, subscribed, refuseLoss } = start();
		await bring();
		const client = subscribed();
		store();
		// Longer than a log takes.
		store(new Uint8Array(64 * 1024 * 1024));
		store();
		refuseLoss();
		await bring();
		expect(got(client)).toEqual(["2", "ends 2500"]);
	});
});
