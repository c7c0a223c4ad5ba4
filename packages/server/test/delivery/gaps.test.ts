import { defaultConfig } from "@shardcast/config";
import { describe, expect, it, vi } from "vitest";
import type { CentrifugeClient } from "../support/centrifuge-rig.ts";
import { ShardRig } from "../support/shard-rig.ts";

const { channelWithoutNamespace: plain } = defaultConfig();
const kept = { ...plain, historySize: 10, historyTtlMs: 600_000 };
const history = { size: 10, ttlMs: 600_000, metaTtlMs: 600_000 };
const nothing = new Uint8Array(0);

interface Reply {
	readonly push?: {
		readonly channel: string;
		readonly pub?: { readonly data: number; readonly offset: number };
		readonly unsubscribe?: { readonly code: number };
	};
}

/** What a client has got, as "c 3" for publication 3 of channel c, and "c ends 2500". */
function got(client: CentrifugeClient): string[] {
	return (client.replies() as Reply[]).flatMap(({ push }) => {
		if (push?.pub !== undefined) return [`${push.channel} ${push.pub.data}`];
		return push?.unsubscribe === undefined ? [] : [`${push.channel} ends ${push.unsubscribe.code}`];
	});
}

/** A shard with one client for each channel that recovers, and one of channel a that has no position. The logs mirror a store. */
function start() {
	const rig = new ShardRig({ channelWithoutNamespace: kept });
	const subscribed = (channel: string, recovers: boolean): CentrifugeClient => {
		const client = rig.connected();
		client.send({ subscribe: { channel, ...(recovers && { recoverable: true, positioned: true }) }, id: 2 });
		client.replies();
		return client;
	};
	const epoch = { epoch0: 1, epoch1: 2 };
	return {
		rig,
		subscribed,
		clients: { a: subscribed("a", true), b: subscribed("b", true), plain: subscribed("a", false) },
		bring: (channel: string, offset: number) => rig.log.mirror(channel, Buffer.from(String(offset)), { history, offset, ...epoch }),
		lose: (channel: string, offset: number) => rig.log.mirror(channel, nothing, { history, offset, ...epoch, hidden: "gap" }),
		/** The log learns a position, and nothing is lost. */
		move: (channel: string, offset: number) => rig.log.mirror(channel, nothing, { history, offset, ...epoch, hidden: "position" }),
	};
}

describe("publications that are lost", () => {
	it("subscribers with a position get what is before them, then the end of the subscription, and nothing behind them, in one turn", () => {
		const { rig, clients, bring, lose } = start();
		bring("a", 1);
		bring("b", 1);
		bring("a", 2);
		lose("a", 4);
		bring("b", 2);
		bring("a", 5);
		bring("b", 3);
		rig.deliver();
		expect(got(clients.a)).toEqual(["a 1", "a 2", "a ends 2500"]);
		expect(got(clients.b)).toEqual(["b 1", "b 2", "b 3"]);
		expect(got(clients.plain)).toEqual(["a 1", "a 2", "a 5"]);
	});

	it("the end comes with the turn even if no later publication does; many channels end at once", () => {
		const { rig, clients, bring, lose } = start();
		for (const channel of ["a", "b"]) {
			bring(channel, 1);
			lose(channel, 3);
		}
		rig.deliver();
		expect(got(clients.a)).toEqual(["a 1", "a ends 2500"]);
		expect(got(clients.b)).toEqual(["b 1", "b ends 2500"]);
		expect(got(clients.plain)).toEqual(["a 1"]);
	});

	it("losses of many channels with publications in between: each subscription ends in its place, and clients are visited twice at most", () => {
		const { rig, clients, subscribed, bring, lose } = start();
		const channels = Array.from({ length: 20 }, (_, index) => `many${index}`);
		const others = channels.map((channel) => subscribed(channel, true));
		const visited = vi.spyOn(rig.sessions, "all", "get");
		for (const channel of ["a", ...channels]) {
			lose(channel, 3);
			bring(channel, 4);
		}
		rig.deliver();
		expect(visited.mock.calls.length).toBe(2);
		expect(others.map(got)).toEqual(channels.map((channel) => [`${channel} ends 2500`]));
		expect(got(clients.a)).toEqual(["a ends 2500"]);
		expect(got(clients.plain)).toEqual(["a 4"]);
		expect(got(clients.b)).toEqual([]);
	});

	it("a client that subscribes between two losses of a turn is told of the second one; one that has disconnected is left alone", () => {
		const { rig, clients, subscribed, bring, lose } = start();
		const leaves = subscribed("c", true);
		for (const channel of ["a", "b"]) {
			lose(channel, 3);
			bring(channel, 4);
		}
		rig.deliver();
		const comes = subscribed("c", true);
		leaves.session.close(3000);
		lose("c", 3);
		bring("c", 4);
		rig.deliver();
		expect([got(clients.b), got(comes), got(leaves)]).toEqual([["b ends 2500"], ["c ends 2500"], []]);
	});

	it("a loss in a channel in which nobody has a position visits no client, even if some get its publications", () => {
		const { rig, clients, bring, lose } = start();
		const visited = vi.spyOn(rig.sessions, "all", "get");
		// Like raw clients, which have no positions.
		rig.hub.add({ subscriptions: 1, select: () => {}, reach: () => 1, emptied: () => {} });
		lose("c", 3);
		bring("c", 4);
		rig.deliver();
		expect(visited).not.toHaveBeenCalled();
		expect(got(clients.a)).toEqual([]);
	});

	it("a position that is set without a loss ends nothing", () => {
		const { rig, clients, bring, move } = start();
		move("a", 7);
		bring("a", 8);
		rig.deliver();
		expect(got(clients.a)).toEqual(["a 8"]);
	});

	it("a client that resubscribes behind a loss is not told that it has everything", () => {
		const { rig, clients, bring, lose } = start();
		bring("a", 1);
		lose("a", 3);
		bring("a", 4);
		rig.deliver();
		const { epoch } = rig.log.position("a")!;
		clients.a.replies();
		clients.a.send({ subscribe: { channel: "a", recover: true, epoch, offset: 1 }, id: 3 });
		const [reply] = clients.a.replies() as { readonly subscribe: { readonly recovered?: boolean } }[];
		expect(reply!.subscribe.recovered ?? false).toBe(false);
	});
});
