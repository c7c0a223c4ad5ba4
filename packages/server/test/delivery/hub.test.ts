import { channelList, everybody } from "@shardcast/wire";
import { describe, expect, it } from "vitest";
import { ChannelAudiences } from "../../src/sessions/centrifuge/audience/channel-audiences.ts";
import { type Framing, webSocketJson, webSocketProtobuf } from "../../src/sessions/centrifuge/framing.ts";
import { ChannelSets } from "../../src/sessions/raw/channel-sets.ts";
import { AudienceBench, type AudienceRig, audienceContract } from "../contracts/audience-contract.ts";
import { type FakeTransport, withoutTopics } from "../support/fake-transport.ts";

function enterRaw(channelSets: ChannelSets): AudienceRig["enter"] {
	return (channels) => {
		const set = channelSets.enter(channelList(channels))!;
		return { audiences: [set.audience], left: () => channelSets.leave(set) };
	};
}

describe("the channel sets of raw clients", () => {
	audienceContract(() => {
		const provider = new ChannelSets(everybody, 1000);
		return {
			provider,
			enter: enterRaw(provider),
			expected: (own, { channels, text }) => (channels.length === 0 || channels.some((name) => own.includes(name)) ? [text] : []),
			encoded: () => 0,
			groups: () => 0,
			kept: () => provider.count + provider.channelCount + provider.filtered.clients,
		};
	});
});

describe("several kinds of sessions on one shard", () => {
	it("share a channel: each client gets a message once in its own protocol, and each protocol encodes it once, whatever the transport", () => {
		const raw = new ChannelSets(everybody, 1000);
		const channels = new ChannelAudiences();
		const bench = new AudienceBench([raw, channels]);
		let encoded = 0;
		const counting = (framing: Framing): Framing => ({
			...framing,
			frame: (messages) => {
				encoded++;
				return framing.frame(messages);
			},
		});
		const [json, protobuf] = [counting(webSocketJson), counting(webSocketProtobuf)];
		const clients = Array.from({ length: 12 }, () => bench.client());
		const [a, b, c] = [clients.slice(0, 4), clients.slice(4, 8), clients.slice(8, 12)];
		for (const client of a) bench.join({ enter: enterRaw(raw) }, client, ["x", "y"]);
		for (const client of b) bench.hub.subscribe(client, channels.of("x", json));
		for (const [index, client] of c.entries())
			bench.hub.subscribe(index < 2 ? withoutTopics(client) : client, channels.of("x", index % 2 === 0 ? json : protobuf));
		bench.publish(["x"], "hello");
		const received = (some: FakeTransport[]) => some.map(({ peer }) => peer.received());
		const asJson = ['{"push":{"channel":"x","pub":{"data":"hello"}}}'];
		expect(received(a)).toEqual(a.map(() => ["hello"]));
		expect(received(b)).toEqual(b.map(() => asJson));
		const asProtobuf = [expect.stringMatching(/^binary:.*hello/s)];
		expect(received(c)).toEqual([asJson, asProtobuf, asJson, asProtobuf]);
		expect(encoded).toBe(2);
		expect(bench.row.get("deliveries")).toBe(12);
		expect(bench.hub.reach("x")).toBe(12);
		bench.publish(["y"], "only raw");
		expect(encoded).toBe(2);
		expect(bench.row.get("deliveries")).toBe(16);
		for (const { peer } of clients) peer.received().length = 0;
		bench.publish(["x"], "from a raw client", a[0]);
		expect(clients.map(({ peer }) => peer.received().length)).toEqual([0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]);
		expect(bench.row.get("deliveries")).toBe(27);
	});

	it("a kind without clients is skipped, and an audience is plain again once its clients without topics have left", () => {
		const raw = new ChannelSets(everybody, 1000);
		const channels = new ChannelAudiences();
		const bench = new AudienceBench([raw, channels]);
		channels.select = () => expect.unreachable();
		const set = raw.enter(everybody)!;
		const [withTopics, listed] = [bench.client(), withoutTopics(bench.client())];
		bench.hub.subscribe(withTopics, set.audience);
		bench.publish([], "to one");
		expect(set.audience.isPlain).toBe(true);
		bench.hub.subscribe(listed, set.audience);
		expect(set.audience.isPlain).toBe(false);
		bench.hub.unsubscribe(listed, set.audience);
		expect(set.audience.isPlain).toBe(true);
	});
});
