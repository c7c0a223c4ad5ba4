import { Namespaces } from "@shardcast/channels";
import { defaultConfig } from "@shardcast/config";
import { channelList, createRecordHead, RecordKind, readRecordHead, recordBytes, writeRecordHead } from "@shardcast/wire";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Audience } from "../../../../src/hub/audience.ts";
import { Hub } from "../../../../src/hub/hub.ts";
import { PatternAudiences } from "../../../../src/sessions/centrifuge/audience/pattern-audiences.ts";
import { webSocketJson } from "../../../../src/sessions/centrifuge/framing.ts";
import { type AudienceRig, audienceContract } from "../../../contracts/audience-contract.ts";
import { RecordingSession } from "../../../contracts/transport-contract.ts";
import type { CentrifugeClient } from "../../../support/centrifuge-rig.ts";
import { counted } from "../../../support/counted-framing.ts";
import { FakeTopics, FakeTransport } from "../../../support/fake-transport.ts";
import { ShardRig } from "../../../support/shard-rig.ts";

const { channelWithoutNamespace: plain } = defaultConfig();
const open = { ...plain, allowWildcard: true };

function setup() {
	const namespaces = new Namespaces(defaultConfig({ channelWithoutNamespace: open, channelNamespaces: [{ ...open, name: "ns" }] }));
	const patterns = new PatternAudiences((name) => namespaces.segments(name));
	const hub = new Hub();
	hub.add(patterns);
	const topics = new FakeTopics();
	const head = createRecordHead();
	/** Patterns that a message reaches. */
	const reached = (...channels: readonly string[]): string[] => {
		const list = channelList(channels);
		const u8 = new Uint8Array(recordBytes(list, 0));
		const view = new DataView(u8.buffer);
		writeRecordHead(view, u8, 0, RecordKind.text, 0, 0, list);
		readRecordHead(view, 0, u8.length, head);
		return hub
			.select(u8, view, head)
			.map((audience) => byAudience.get(audience)!)
			.sort();
	};
	const byAudience = new Map<Audience, string>();
	const join = (pattern: string): (() => void) => {
		const audience = patterns.of(pattern, webSocketJson);
		byAudience.set(audience, pattern);
		const client = new FakeTransport(topics, new RecordingSession());
		hub.subscribe(client, audience);
		return () => hub.unsubscribe(client, audience);
	};
	return { patterns, reached, join };
}

describe("audiences of patterns", () => {
	audienceContract((): AudienceRig => {
		const provider = new PatternAudiences((name) => name.split("."));
		const framing = counted();
		return {
			provider,
			enter: (channels) => ({ audiences: channels.map((channel) => provider.of(channel, framing)) }),
			// Once for each pattern, with the first channel that it matches.
			expected: (own, { channels, text }) =>
				channels.filter((name) => own.includes(name)).map((channel) => JSON.stringify({ push: { channel, pub: { data: text, channel } } })),
			encoded: () => framing.encoded,
			groups: (clients, channels) => channels.filter((name) => clients.some((own) => own.includes(name))).length,
			kept: () => provider.audienceCount,
		};
	});
});

describe("patterns", () => {
	it.each([
		["BTC.*", ["BTC.trade", "BTC.x"], ["BTC", "BTC.a.b", "ETH.trade", "ns:BTC.trade", "$BTC.trade"]],
		["*.trade", ["BTC.trade", "ETH.trade"], ["trade", "a.BTC.trade", "BTC.trades"]],
		["*", ["a", "*"], ["a.b", "$a", "#42", "a#42", "ns:a"]],
		["ns:*.b", ["ns:a.b"], ["a.b", "ns:a", "$ns:a.b", "other:a.b"]],
		["$ns:*", ["$ns:a"], ["ns:a"]],
		["a.*.*.d", ["a.b.c.d", "a...d"], ["a.b.d"]],
	])("%s matches %j, and not %j", (pattern, matching, others) => {
		const { join, reached } = setup();
		join(pattern);
		for (const channel of matching) expect(reached(channel), channel).toEqual([pattern]);
		for (const channel of others) expect(reached(channel), channel).toEqual([]);
	});

	it("match the same as a comparison with each of them, whoever subscribes and unsubscribes", () => {
		const part = fc.constantFrom("a", "b", "*");
		const pattern = fc.array(part, { minLength: 1, maxLength: 4 }).map((parts) => parts.join("."));
		const channel = fc.array(fc.constantFrom("a", "b", "c"), { minLength: 1, maxLength: 4 }).map((parts) => parts.join("."));
		const matches = (one: string, name: string) =>
			one.split(".").length === name.split(".").length &&
			one.split(".").every((each, index) => each === "*" || each === name.split(".")[index]);
		fc.assert(
			fc.property(
				fc.array(fc.oneof(fc.record({ pattern }), fc.record({ channel }), fc.record({ leaves: fc.nat(10) })), { maxLength: 40 }),
				(steps) => {
					const { join, reached, patterns } = setup();
					const joined: { readonly pattern: string; readonly leave: () => void }[] = [];
					for (const step of steps) {
						if ("pattern" in step) joined.push({ pattern: step.pattern, leave: join(step.pattern) });
						else if ("leaves" in step) joined.splice(step.leaves, 1)[0]?.leave();
						else
							expect(reached(step.channel)).toEqual(
								[...new Set(joined.map((one) => one.pattern))].filter((one) => matches(one, step.channel)).sort(),
							);
					}
					for (const { leave } of joined) leave();
					expect([patterns.audienceCount, patterns.subscriptions]).toEqual([0, 0]);
				},
			),
		);
	});

	it("that do not match do not slow down a publication", { tags: ["long"] }, () => {
		const { join, reached, patterns } = setup();
		const cost = (channel: string): number => {
			const before = patterns.lookups;
			reached(channel);
			return patterns.lookups - before;
		};
		join("BTC.*");
		const alone = cost("BTC.trade");
		for (let index = 0; index < 2000; index++) for (const pattern of [`P${index}.*`, `*.p${index}`, `BTC.x${index}.*`]) join(pattern);
		// Those with "*" first are looked at once, all together.
		expect([alone, cost("BTC.trade")]).toEqual([6, 8]);
		expect(cost("BTC.trade"), "it is remembered").toBe(0);
		expect(reached("P77.p12")).toEqual(["*.p12", "P77.*"]);
	});

	it("deliver a message to several channels once", () => {
		const { join, reached } = setup();
		join("BTC.*");
		join("*.x");
		expect(reached("BTC.x", "BTC.y", "ETH.x")).toEqual(["*.x", "BTC.*"]);
	});
});

describe("a client that subscribes to a pattern", () => {
	const subscribe = (client: CentrifugeClient, more: object): unknown => {
		client.send({ subscribe: { flag: 1, ...more }, id: 2 });
		return client.replies()[0];
	};

	it("gets publications of matching channels, with their names, in addition to its other subscriptions", () => {
		const kept = { ...open, historySize: 10, historyTtlMs: 60_000, forceRecovery: true, presence: true };
		const rig = new ShardRig({ channelWithoutNamespace: kept, channelNamespaces: [{ ...open, name: "ns" }] });
		const client = rig.connected();
		expect(subscribe(client, { channel: "BTC.*", recover: true, epoch: "e", offset: 3 })).toEqual({
			id: 2,
			subscribe: { was_recovering: true },
		});
		expect(subscribe(client, { channel: "ns:*" })).toEqual({ id: 2, subscribe: {} });
		expect(subscribe(client, { channel: "BTC.trade" })).toMatchObject({ subscribe: { recoverable: true } });
		rig.send("BTC.trade", "1", { tags: { a: "b" } });
		rig.send("ns:x", "2");
		rig.send("ETH.trade", "3");
		expect(client.replies()).toEqual([
			{ push: { channel: "BTC.trade", pub: { data: 1, offset: 1, tags: { a: "b" } } } },
			{ push: { channel: "BTC.*", pub: { data: 1, tags: { a: "b" }, channel: "BTC.trade" } } },
			{ push: { channel: "ns:*", pub: { data: 2, channel: "ns:x" } } },
		]);
		client.send({ unsubscribe: { channel: "BTC.*" }, id: 3 });
		client.replies();
		rig.send("BTC.other", "4");
		expect(client.replies()).toEqual([]);
		client.transport.peer.leave(1000);
		expect([rig.kept, rig.endpoint.subscribers.patterns.audienceCount]).toEqual([0, 0]);
	});

	it("needs allow_wildcard, and loses its subscription when that is disabled", () => {
		const rig = new ShardRig({ channelNamespaces: [{ ...open, name: "ns" }] });
		const client = rig.connected();
		expect(subscribe(client, { channel: "BTC.*" })).toMatchObject({ error: { code: 108 } });
		expect(subscribe(client, { channel: "BTC.a*" })).toEqual({ id: 2, subscribe: {} });
		expect(subscribe(client, { channel: "ns:*" })).toEqual({ id: 2, subscribe: {} });
		expect(subscribe(client, { channel: "no:*" })).toMatchObject({ error: { code: 102 } });
		rig.reload({ channelNamespaces: [{ ...plain, name: "ns" }] });
		expect(client.replies()).toEqual([{ push: { channel: "ns:*", unsubscribe: { code: 2000, reason: "server unsubscribe" } } }]);
	});

	it("cannot publish to it or read its history or presence; a filter and more than 8 segments are errors", () => {
		const rig = new ShardRig({
			channelWithoutNamespace: { ...open, presence: true, historySize: 10, historyTtlMs: 60_000, allowTagsFilter: true },
		});
		const client = rig.connected();
		client.send(
			{ publish: { channel: "a.*", data: 1 }, id: 3 },
			{ history: { channel: "a.*", limit: 1 }, id: 4 },
			{ presence: { channel: "a.*" }, id: 5 },
			{ presence_stats: { channel: "a.*" }, id: 6 },
			{ subscribe: { channel: "a.*", tf: { key: "a", cmp: "ex" } }, id: 7 },
			{ subscribe: { channel: "a.b.c.d.e.f.g.h.*" }, id: 8 },
		);
		expect(client.replies().map((reply) => (reply as { error: { code: number } }).error.code)).toEqual([107, 108, 108, 108, 107, 107]);
	});
});
