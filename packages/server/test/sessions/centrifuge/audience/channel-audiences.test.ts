import { describe, expect, it } from "vitest";
import { ChannelAudiences } from "../../../../src/sessions/centrifuge/audience/channel-audiences.ts";
import { webSocketJson } from "../../../../src/sessions/centrifuge/framing.ts";
import { AudienceBench, type AudienceRig, audienceContract } from "../../../contracts/audience-contract.ts";
import { counted } from "../../../support/counted-framing.ts";

function rig(): AudienceRig {
	const provider = new ChannelAudiences();
	const framing = counted();
	return {
		provider,
		enter: (channels) => ({ audiences: channels.map((channel) => provider.of(channel, framing)) }),
		expected: (own, { channels, text }) =>
			channels.filter((name) => own.includes(name)).map((channel) => JSON.stringify({ push: { channel, pub: { data: text } } })),
		encoded: () => framing.encoded,
		groups: (clients, channels) => channels.filter((name) => clients.some((own) => own.includes(name))).length,
		kept: () => provider.channelCount,
	};
}

it("channels are searched by a part of their name, and listed by their number of subscribers", () => {
	const provider = new ChannelAudiences();
	for (let channel = 0; channel < 500; channel++) {
		const audience = provider.of(`chat:${channel}`, webSocketJson);
		audience.size = channel % 100;
	}
	expect(provider.list("chat:", 2).map(({ subscribers }) => subscribers)).toEqual([99, 99]);
	expect(provider.list("t:49", 3)).toEqual([
		{ name: "chat:499", subscribers: 99 },
		{ name: "chat:498", subscribers: 98 },
		{ name: "chat:497", subscribers: 97 },
	]);
	expect(provider.list("dialog", 3)).toEqual([]);
});

describe("audiences of the Centrifuge protocol", () => {
	audienceContract(rig);
});

describe("a publication for JSON clients", () => {
	it.each([
		['{"a": [1, 2.50e1, "é"]}', '{"a": [1, 2.50e1, "é"]}'],
		['{"a":\n1}', '{"a":1}'],
		["12345678901234567890", "12345678901234567890"],
		["not JSON", '"not JSON"'],
		['{"a":1} x', '"{\\"a\\":1} x"'],
		["", '""'],
	])("contains JSON unchanged, and anything else as a string: %s", (payload, data) => {
		const provider = new ChannelAudiences();
		const bench = new AudienceBench([provider]);
		const client = bench.client();
		bench.hub.subscribe(client, provider.of("c", webSocketJson));
		bench.publish(["c"], payload);
		expect(client.peer.received()).toEqual([`{"push":{"channel":"c","pub":{"data":${data}}}}`]);
	});
});
