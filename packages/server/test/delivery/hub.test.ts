import { channelList, everybody } from "@shardcast/wire";
import { describe, expect, it } from "vitest";
import { ChannelSets } from "../../src/sessions/raw/channel-sets.ts";
import type { TopicTransport, Transport } from "../../src/transports/transport.ts";
import { AudienceBench, type AudienceRig, audienceContract } from "../contracts/audience-contract.ts";
import { ChannelAudiences, type Variant } from "../support/channel-audiences.ts";
import { type FakeTransport, withoutTopics } from "../support/fake-transport.ts";

function joinRaw(channelSets: ChannelSets, client: Transport, channels: readonly string[]): () => void {
	const set = channelSets.enter(channelList(channels))!;
	channelSets.subscribe(client as TopicTransport, set);
	return () => {
		channelSets.unsubscribe(client as TopicTransport, set);
		channelSets.leave(set);
	};
}

const variant = (name: string, isBinary = false): Variant => ({
	name,
	isBinary,
	encode: (channel, payload) => Buffer.from(`${name}(${channel},${Buffer.from(payload)})`),
});
const json = variant("json");

function channelRig(as: (client: FakeTransport) => Transport): AudienceRig {
	const provider = new ChannelAudiences();
	return {
		provider,
		join: (client, channels) => {
			const own = as(client as FakeTransport);
			for (const channel of channels) provider.subscribe(own, { channel, variant: json });
			return () => {
				for (const channel of channels) provider.unsubscribe(own, { channel, variant: json });
			};
		},
		expected: (own, { channels, text }) => channels.filter((name) => own.includes(name)).map((name) => `json(${name},${text})`),
		encoded: () => provider.encoded,
		groups: (clients, channels) => channels.filter((name) => clients.some((own) => own.includes(name))).length,
		kept: () => provider.count,
	};
}

describe("the channel sets of raw clients", () => {
	audienceContract(() => {
		const provider = new ChannelSets(everybody, 1000);
		return {
			provider,
			join: (client, channels) => joinRaw(provider, client, channels),
			expected: (own, { channels, text }) => (channels.length === 0 || channels.some((name) => own.includes(name)) ? [text] : []),
			encoded: () => 0,
			groups: () => 0,
			kept: () => provider.count + provider.channelCount + provider.filtered.size,
		};
	});
});

describe("audiences by channel and variant, on WebSockets", () => {
	audienceContract(() => channelRig((client) => client));
});

describe("audiences by channel and variant, on other transports", () => {
	audienceContract(() => channelRig(withoutTopics));
});

describe("several kinds of sessions on one shard", () => {
	it("share a channel: each client gets a message once in its own protocol, and each protocol encodes it once, whatever the transport", () => {
		const raw = new ChannelSets(everybody, 1000);
		const channels = new ChannelAudiences();
		const bench = new AudienceBench([raw, channels]);
		const clients = Array.from({ length: 12 }, () => bench.client());
		const [a, b, c] = [clients.slice(0, 4), clients.slice(4, 8), clients.slice(8, 12)];
		for (const client of a) joinRaw(raw, client, ["x", "y"]);
		for (const client of b) channels.subscribe(client, { channel: "x", variant: json });
		const binary = variant("binary", true);
		for (const [index, client] of c.entries())
			channels.subscribe(index < 2 ? withoutTopics(client) : client, { channel: "x", variant: index % 2 === 0 ? json : binary });
		bench.publish(["x"], "hello");
		const received = (some: FakeTransport[]) => some.map(({ peer }) => peer.received());
		expect(received(a)).toEqual(a.map(() => ["hello"]));
		expect(received(b)).toEqual(b.map(() => ["json(x,hello)"]));
		expect(received(c)).toEqual([["json(x,hello)"], ["binary:binary(x,hello)"], ["json(x,hello)"], ["binary:binary(x,hello)"]]);
		expect(channels.encoded).toBe(2);
		expect(bench.row.get("deliveries")).toBe(12);
		expect(bench.hub.reach("x")).toBe(12);
		bench.publish(["y"], "only raw");
		expect(channels.encoded).toBe(2);
		expect(bench.row.get("deliveries")).toBe(16);
	});
});
