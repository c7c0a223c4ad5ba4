import { defaultConfig } from "@shardcast/config";
import { clientsFossilDecoder, stressed } from "@shardcast/testkit";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { CentrifugeClient } from "../../../support/centrifuge-rig.ts";
import { ShardRig } from "../../../support/shard-rig.ts";

const { channelWithoutNamespace: plain } = defaultConfig();
const kept = { ...plain, historySize: 100, historyTtlMs: 60_000, forceRecovery: true };
const applyDelta = clientsFossilDecoder();

interface Pub {
	readonly data: unknown;
	readonly offset?: number;
	readonly delta?: boolean;
}
type Reply = { readonly push?: { readonly pub?: Pub }; readonly subscribe?: { readonly delta?: boolean; readonly publications?: Pub[] } };

/** Publications since the last call, as they came. */
const pubs = (client: CentrifugeClient): Pub[] => (client.replies() as Reply[]).flatMap(({ push }) => push?.pub ?? []);
const subscribe = (client: CentrifugeClient, more: object, channel = "c"): unknown => {
	client.send({ subscribe: { channel, flag: 1, ...more }, id: 2 });
	return client.replies()[0];
};

describe("a tag filter", () => {
	const market = { ...kept, allowTagsFilter: true };
	const btc = { key: "t", cmp: "eq", val: "BTC" };

	it("lets matching publications through, live and recovered; others still advance the position", () => {
		const rig = new ShardRig({ channelWithoutNamespace: market });
		const [all, some] = [rig.connected(), rig.connected()];
		subscribe(all, {});
		const { subscribe: first } = subscribe(some, { tf: btc }) as { subscribe: { epoch: string; offset: number } };
		for (const [data, t] of [
			[1, "BTC"],
			[2, "ETH"],
			[3, "BTC"],
			[4, "ETH"],
		] as const)
			rig.send("c", String(data), { tags: { t } });
		rig.send("c", "5");
		expect(pubs(all).map(({ data }) => data)).toEqual([1, 2, 3, 4, 5]);
		expect(pubs(some).map(({ data, offset }) => [data, offset])).toEqual([
			[1, 1],
			[3, 3],
		]);
		some.send({ unsubscribe: { channel: "c" }, id: 3 });
		some.replies();
		const { epoch } = first;
		expect(subscribe(some, { tf: btc, recover: true, epoch, offset: 1 })).toMatchObject({
			subscribe: { recovered: true, offset: 1, publications: [{ data: 3, offset: 3 }] },
		});
		some.send({ unsubscribe: { channel: "c" }, id: 3 });
		some.replies();
		const nothing = subscribe(some, { tf: btc, recover: true, epoch, offset: 3 });
		expect(nothing).toMatchObject({ subscribe: { recovered: true, offset: 5 } });
		expect(nothing).not.toHaveProperty("subscribe.publications");
	});

	it("is evaluated once for each publication and distinct filter, and a publication is encoded once for all subscribers that get it", () => {
		const rig = new ShardRig({ channelWithoutNamespace: { ...plain, allowTagsFilter: true } });
		const clients = Array.from({ length: 6 }, () => rig.connected());
		for (const [index, client] of clients.entries())
			subscribe(client, index === 0 ? {} : { tf: index < 4 ? btc : { key: "t", cmp: "ex" } });
		const [audience] = clients.map(({ session }) => session.subscriptions.get("c")!.audience);
		expect(new Set(clients.map(({ session }) => session.subscriptions.get("c")!.audience)).size).toBe(3);
		const frames: Uint8Array[] = [];
		const { encoder } = audience!;
		const encode = encoder!.encode.bind(encoder);
		encoder!.encode = (record) => {
			const frame = encode(record)!;
			frames.push(frame);
			return frame;
		};
		rig.send("c", "1", { tags: { t: "BTC" } });
		for (const client of clients) expect(pubs(client)).toHaveLength(1);
		// Each audience has asked for it, and got the same bytes.
		expect(frames).toHaveLength(3);
		expect(new Set(frames).size).toBe(1);
		rig.fanOut.count();
		expect(rig.row.get("deliveries")).toBe(6);
		for (const client of clients) client.transport.peer.leave(1000);
		expect(rig.kept).toBe(0);
	});

	it.each<[object, object]>([
		[plain, btc],
		[market, { key: "t", cmp: "like", val: "x" }],
		[market, {}],
	])("that is not allowed or malformed gives 107", (channelWithoutNamespace, tf) => {
		const rig = new ShardRig({ channelWithoutNamespace: channelWithoutNamespace as typeof plain });
		const client = rig.connected();
		expect(subscribe(client, { tf })).toMatchObject({ error: { code: 107 } });
		expect(client.session.channels).toEqual([]);
	});
});

const text = (number: number) => JSON.stringify({ ticker: "BTC-USD", note: "somewhere in Zürich, as always", number });

/** What the library makes of publications. */
class DeltaClient {
	#last: Uint8Array = new Uint8Array(0);

	take({ data, delta }: Pub): string {
		const bytes = Buffer.from(data as string);
		this.#last = delta ? applyDelta(this.#last, bytes) : bytes;
		return Buffer.from(this.#last).toString();
	}
}

describe("deltas", () => {
	const fossil = { ...kept, allowedDeltaTypes: ["fossil"], deltaPublish: true };

	it("start with a whole publication; later subscribers do not affect earlier ones", () => {
		const rig = new ShardRig({ channelWithoutNamespace: fossil });
		const [early, late, whole] = [rig.connected(), rig.connected(), rig.connected()];
		expect(subscribe(early, { delta: "fossil" })).toMatchObject({ subscribe: { delta: true } });
		subscribe(whole, {});
		const send = (number: number) => {
			rig.send("c", text(number));
		};
		send(1);
		send(2);
		subscribe(late, { delta: "fossil" });
		send(3);
		send(4);
		const deltas = (client: CentrifugeClient) => {
			const reader = new DeltaClient();
			return pubs(client).map((pub) => [pub.delta === true, reader.take(pub)]);
		};
		expect(deltas(early)).toEqual([
			[false, text(1)],
			[true, text(2)],
			[true, text(3)],
			[true, text(4)],
		]);
		expect(deltas(late)).toEqual([
			[false, text(3)],
			[true, text(4)],
		]);
		expect(pubs(whole).map(({ data }) => data)).toEqual([1, 2, 3, 4].map((number) => JSON.parse(text(number)) as unknown));
		for (const client of [early, late, whole]) client.transport.peer.leave(1000);
		expect([rig.kept, rig.endpoint.subscribers.audiences.deltaBytes]).toEqual([0, 0]);
	});

	it("are sent to subscribers that ask for them, if they are allowed and there is a history; not with a filter or with exclude_publisher", () => {
		const rig = new ShardRig({
			channelWithoutNamespace: { ...fossil, allowTagsFilter: true },
			channelNamespaces: [
				{ ...fossil, name: "plain", allowedDeltaTypes: [] },
				{ ...fossil, name: "nothing", historySize: 0, historyTtlMs: 0, forceRecovery: false },
				{ ...fossil, name: "excludes", excludePublisher: true },
			],
		});
		const client = rig.connected();
		for (const channel of ["plain:c", "nothing:c", "excludes:c"])
			expect(subscribe(client, { delta: "fossil" }, channel)).not.toHaveProperty("subscribe.delta");
		expect(subscribe(client, { delta: "other" }, "other")).not.toHaveProperty("subscribe.delta");
		expect(subscribe(client, { delta: "fossil", tf: { key: "a", cmp: "ex" } }, "filtered")).not.toHaveProperty("subscribe.delta");
		expect(subscribe(client, {}, "none")).not.toHaveProperty("subscribe.delta");
	});

	it("are sent for publications that allow them, if they are shorter", () => {
		const rig = new ShardRig({ channelWithoutNamespace: { ...fossil, deltaPublish: false } });
		const client = rig.connected();
		subscribe(client, { delta: "fossil" });
		const send = (payload: string, delta: boolean) => {
			rig.send("c", payload, { delta });
		};
		send(text(1), true);
		send(text(2), false);
		send(text(3), true);
		send("4", true);
		send("not JSON, but long enough to be worth a delta", true);
		send("not JSON, but long enough to be worth a delta!", true);
		const got = pubs(client);
		expect(got.map(({ delta = false }) => delta)).toEqual([false, false, true, false, false, false]);
		expect(got[4]!.data).toBe('"not JSON, but long enough to be worth a delta"');
		expect(rig.endpoint.subscribers.audiences.deltaBytes).toBe(46);
	});

	it("continue after a recovery, from the last recovered publication", () => {
		const rig = new ShardRig({ channelWithoutNamespace: fossil });
		const [stays, returns] = [rig.connected(), rig.connected()];
		const epoch = (subscribe(stays, { delta: "fossil" }) as { subscribe: { epoch: string } }).subscribe.epoch;
		for (const number of [1, 2, 3]) rig.send("c", text(number));
		const reply = subscribe(returns, { delta: "fossil", recover: true, epoch, offset: 1 }) as Reply;
		const reader = new DeltaClient();
		expect(reply.subscribe!.publications!.map((pub) => [pub.delta, reader.take(pub)])).toEqual([
			[undefined, text(2)],
			[undefined, text(3)],
		]);
		rig.send("c", text(4));
		expect(pubs(returns).map((pub) => [pub.delta, reader.take(pub)])).toEqual([[true, text(4)]]);
	});

	it("let every client reconstruct what was published, whoever subscribes and unsubscribes", { tags: ["long"] }, () => {
		const action = fc.oneof(
			{
				weight: 4,
				arbitrary: fc.record({ kind: fc.constant("publish" as const), number: fc.nat(300), delta: fc.boolean(), turn: fc.boolean() }),
			},
			{ weight: 3, arbitrary: fc.record({ kind: fc.constantFrom("come", "leave", "return", "close"), client: fc.nat(3) }) },
		);
		fc.assert(
			fc.property(fc.array(action, { maxLength: 40 }), (actions) => {
				const rig = new ShardRig({ channelWithoutNamespace: { ...fossil, deltaPublish: false } });
				const epoch = rig.log.position("c")!.epoch;
				const clients = Array.from({ length: 4 }, () => ({
					client: rig.connected(),
					reader: new DeltaClient(),
					got: [] as string[],
					offset: 0,
				}));
				const published: string[] = [];
				let delivered: string[] = [];
				for (const one of actions) {
					if (one.kind === "publish") {
						const payload = one.number < 20 ? String(one.number) : text(one.number);
						published.push(payload);
						void rig.publish("c", payload, { delta: one.delta });
						if (one.turn) {
							rig.deliver();
							delivered = [...published];
						}
					} else {
						const state = clients[one.client]!;
						const isIn = state.client.session.subscriptions.has("c");
						if (one.kind === "leave" && isIn) {
							state.client.send({ unsubscribe: { channel: "c" }, id: 3 });
							state.client.replies();
						} else if (one.kind === "close") {
							state.client.transport.peer.leave(1000);
							state.client = rig.connected();
						} else if (!isIn && one.kind !== "leave") {
							const recover = one.kind === "return";
							const reply = subscribe(state.client, { delta: "fossil", ...(recover && { recover, epoch, offset: state.offset }) }) as Reply;
							state.reader = new DeltaClient();
							if (!recover) {
								state.got = [...delivered];
								state.offset = delivered.length;
							}
							for (const pub of reply.subscribe!.publications ?? []) {
								state.got.push(state.reader.take(pub));
								state.offset = pub.offset!;
							}
						}
					}
					for (const state of clients) {
						if (!state.client.session.subscriptions.has("c")) continue;
						for (const pub of pubs(state.client)) {
							state.got.push(state.reader.take(pub));
							state.offset = pub.offset!;
						}
						expect(state.got).toEqual(delivered);
					}
				}
				for (const { client } of clients) client.transport.peer.leave(1000);
				expect([rig.kept, rig.endpoint.subscribers.audiences.deltaBytes]).toEqual([0, 0]);
			}),
			{ numRuns: stressed(60) },
		);
	});
});
