import { defaultConfig } from "@shardcast/config";
import { presenceLimits } from "@shardcast/control";
import { describe, expect, it, vi } from "vitest";
import type { CentrifugeSession } from "../../../../src/sessions/centrifuge/centrifuge-session.ts";
import { Presence } from "../../../../src/sessions/centrifuge/presence.ts";
import { CentrifugeRig } from "../../../support/centrifuge-rig.ts";
import { tokenOf, tokenSecret } from "../../../support/tokens.ts";

const rules = { channelWithoutNamespace: { ...defaultConfig().channelWithoutNamespace, presence: true }, tokenHmacSecret: tokenSecret };

/** A subscriber as presence sees it. */
const subscriber = (index: number, info: Uint8Array | null = null) =>
	({ id: `c-${index}`, user: `u-${index % 100}`, info, channelInfo: () => null }) as unknown as CentrifugeSession;

function present(count: number, info: Uint8Array | null = null): Presence {
	const presence = new Presence();
	for (let index = 0; index < count; index++) presence.join("a", subscriber(index, info));
	return presence;
}

describe("a channel with many clients", () => {
	it("lists 10,000, and counts each user once", () => {
		const presence = present(10_000);
		expect(presence.clients("a")).toHaveLength(10_000);
		expect(presence.part("a")).toMatchObject({ clients: 10_000, users: { length: 100 } });
	});

	it("is too large for an answer with more than 32,768 clients, or 16 MiB of their info", { tags: ["long"] }, () => {
		expect(present(presenceLimits.clients).clients("a")).toHaveLength(32_768);
		expect(present(presenceLimits.clients + 1).clients("a")).toBeNull();
		expect(present(1025, Buffer.alloc(16_384, "1")).clients("a")).toBeNull();
	});

	it("then gives 106 for presence, but still answers presence_stats", async () => {
		const rig = new CentrifugeRig(rules);
		const client = rig.connected();
		for (let index = 0; index < 32_769; index++) rig.endpoint.subscribers.presence.join("a", subscriber(index));
		client.send({ presence: { channel: "a" }, id: 2 }, { presence_stats: { channel: "a" }, id: 3 });
		await client.settled();
		expect(client.replies()).toMatchObject([
			{ id: 2, error: { code: 106 } },
			{ id: 3, presence_stats: { num_clients: 32_769, num_users: 100 } },
		]);
	});

	it("is queried once for simultaneous requests, and not again for a moment; a small one is queried each time", async () => {
		const rig = new CentrifugeRig(rules);
		const asked = vi.spyOn(rig.questions, "ask");
		const clients = [rig.connected(), rig.connected()];
		const askAll = async (channel: string): Promise<number> => {
			asked.mockClear();
			for (const client of clients) client.send({ presence: { channel }, id: 2 });
			for (const client of clients) await client.settled();
			return asked.mock.calls.length;
		};
		for (let index = 0; index < 101; index++) rig.endpoint.subscribers.presence.join("large", subscriber(index));
		for (let index = 0; index < 100; index++) rig.endpoint.subscribers.presence.join("small", subscriber(index));
		const nowMs = performance.now();
		const clock = vi.spyOn(performance, "now").mockReturnValue(nowMs);
		expect([await askAll("large"), await askAll("large"), await askAll("small"), await askAll("small")]).toEqual([1, 0, 1, 1]);
		clock.mockReturnValue(nowMs + 300);
		expect(await askAll("large")).toBe(1);
	});
});

it("counts several connections of a user as several clients and one user, until the last one closes", async () => {
	const rig = new CentrifugeRig(rules);
	const connect = async (sub: string) => {
		const client = rig.open();
		client.send({ connect: { token: await tokenOf({ sub }) }, id: 1 });
		await client.settled();
		client.send({ subscribe: { channel: "a" }, id: 2 });
		client.replies();
		return client;
	};
	const [first, second, other] = [await connect("ann"), await connect("ann"), await connect("bob")];
	const stats = async () => {
		other.send({ presence_stats: { channel: "a" }, id: 3 });
		await other.settled();
		return (other.replies()[0] as { presence_stats: object }).presence_stats;
	};
	expect(await stats()).toEqual({ num_clients: 3, num_users: 2 });
	first.transport.peer.leave(1000);
	expect(await stats()).toEqual({ num_clients: 2, num_users: 2 });
	second.send({ unsubscribe: { channel: "a" }, id: 4 });
	expect(await stats()).toEqual({ num_clients: 1, num_users: 1 });
});
