import { type Config, defaultConfig } from "@shardcast/config";
import { RecordType } from "@shardcast/wire";
import { describe, expect, it } from "vitest";
import { JoinAudiences } from "../../../../src/sessions/centrifuge/audience/join-audiences.ts";
import { webSocketJson } from "../../../../src/sessions/centrifuge/framing.ts";
import { audienceContract } from "../../../contracts/audience-contract.ts";
import { type CentrifugeClient, CentrifugeRig } from "../../../support/centrifuge-rig.ts";
import { tokenOf, tokenSecret } from "../../../support/tokens.ts";

const plain = defaultConfig().channelWithoutNamespace;

function setup(options: Partial<typeof plain>, settings: Partial<Config> = {}) {
	return new CentrifugeRig({ channelWithoutNamespace: { ...plain, ...options }, tokenHmacSecret: tokenSecret, ...settings });
}

async function connected(rig: CentrifugeRig, claims: object, query = ""): Promise<CentrifugeClient> {
	const client = rig.open(query);
	client.send({ connect: { token: await tokenOf({ ...claims }) }, id: 1 });
	await client.settled();
	client.replies();
	return client;
}

const subscribe = { subscribe: { channel: "a" }, id: 2 };
const asking = { subscribe: { channel: "a", join_leave: true }, id: 2 };

describe("joins and leaves", () => {
	it("reach all subscribers where they are forced: a join also the joining client, a leave the remaining ones", async () => {
		const rig = setup({ joinLeave: true, forcePushJoinLeave: true });
		const [ann, bob] = [await connected(rig, { sub: "ann", info: { n: 1 } }), await connected(rig, { sub: "bob" })];
		const info = { client: ann.session.id, user: "ann", conn_info: { n: 1 } };
		bob.send(subscribe);
		rig.deliverJoins();
		bob.replies();
		ann.send(subscribe);
		expect(ann.replies()).toEqual([{ id: 2, subscribe: {} }]);
		rig.deliverJoins();
		for (const client of [ann, bob]) expect(client.replies()).toEqual([{ push: { channel: "a", join: { info } } }]);
		ann.send({ unsubscribe: { channel: "a" }, id: 3 });
		rig.deliverJoins();
		expect(ann.replies()).toEqual([{ id: 3, unsubscribe: {} }]);
		expect(bob.replies()).toEqual([{ push: { channel: "a", leave: { info } } }]);
	});

	it("are announced for each connection of a user, and one that closes leaves each of its channels once", async () => {
		const rig = setup({ joinLeave: true });
		const all = [await connected(rig, { sub: "ann" }), await connected(rig, { sub: "ann" })] as const;
		for (const client of all) client.send(subscribe, { subscribe: { channel: "b" }, id: 3 });
		expect(rig.announced.splice(0)).toEqual(["join a ann", "join b ann", "join a ann", "join b ann"]);
		all[0].transport.peer.leave(1000);
		expect(rig.announced.splice(0)).toEqual(["leave a ann", "leave b ann"]);
		all[1].session.close(3001);
		expect(rig.announced.splice(0)).toEqual(["leave a ann", "leave b ann"]);
		expect(rig.kept).toBe(0);
	});

	it("reach only subscribers that ask for them and may see presence", async () => {
		const rig = setup(
			{ joinLeave: true, allowSubscribeForClient: true, allowPresenceForSubscriber: true },
			{ clientInsecure: false, allowAnonymousConnect: true },
		);
		const [asks, does, comes] = [
			await connected(rig, { sub: "1" }),
			await connected(rig, { sub: "2" }),
			await connected(rig, { sub: "3" }),
		];
		asks.send(asking);
		does.send(subscribe);
		rig.deliverJoins();
		for (const client of [asks, does]) client.replies();
		comes.send(subscribe);
		rig.deliverJoins();
		expect(asks.replies()).toMatchObject([{ push: { join: { info: { user: "3" } } } }]);
		expect(does.replies()).toEqual([]);
		const blind = setup({ joinLeave: true, allowSubscribeForClient: true }, { clientInsecure: false });
		const [askedInVain, other] = [await connected(blind, { sub: "1" }), await connected(blind, { sub: "2" })];
		askedInVain.send(asking);
		other.send(subscribe);
		blind.deliverJoins();
		expect(askedInVain.replies()).toEqual([{ id: 2, subscribe: {} }]);
	});

	it("are not sent where the namespace does not enable them, or only for clients whose token does", async () => {
		const rig = setup({ forcePushJoinLeave: true });
		const ann = await connected(rig, { sub: "ann" });
		ann.send(asking);
		expect(rig.announced).toEqual([]);
		const override = { join_leave: { value: true }, force_push_join_leave: { value: true } };
		const bob = await connected(rig, { sub: "bob", subs: { a: { override } } });
		rig.deliverJoins();
		expect(rig.announced).toEqual(["join a bob"]);
		expect(bob.replies()).toMatchObject([{ push: { channel: "a", join: {} } }]);
		expect(ann.replies()).toEqual([{ id: 2, subscribe: {} }]);
	});

	it("reach clients of both encodings", async () => {
		const rig = setup({ joinLeave: true, forcePushJoinLeave: true });
		const json = await connected(rig, { sub: "ann" });
		json.send(subscribe);
		const protobuf = rig.open("cf_protocol=protobuf");
		protobuf.session.state = "connected";
		protobuf.session.id = "p";
		protobuf.session.subscribe("a", 8 | 16, null);
		json.replies();
		rig.deliverJoins();
		expect(json.replies()).toMatchObject([{ push: { join: { info: { user: "ann" } } } }, { push: { join: { info: { client: "p" } } } }]);
		expect(protobuf.transport.peer.received().map((frame) => frame.startsWith("binary:"))).toEqual([true, true]);
	});
});

it("joins and leaves are not counted as unknown records, and reach nobody if nobody has subscribed", async () => {
	const rig = setup({ joinLeave: true });
	const client = await connected(rig, { sub: "ann" });
	client.send(subscribe);
	rig.deliverJoins();
	expect([rig.row.get("recordsUnknown"), rig.row.get("deliveries")]).toEqual([0, 0]);
	expect(RecordType.join).not.toBe(RecordType.leave);
});

describe("the audiences of joins and leaves", () => {
	audienceContract(() => {
		const provider = new JoinAudiences();
		let encoded = 0;
		const framing: typeof webSocketJson = {
			...webSocketJson,
			encode: (reply) => {
				encoded++;
				return webSocketJson.encode(reply);
			},
		};
		return {
			provider,
			getsJoins: true,
			enter: (channels) => ({ audiences: channels.map((channel) => provider.of(channel, framing)) }),
			expected: (own, { channels, text }) =>
				channels
					.filter((name) => own.includes(name))
					.map((channel) => JSON.stringify({ push: { channel, join: { info: { user: text, client: "c" } } } })),
			encoded: () => encoded,
			groups: (clients, channels) => channels.filter((name) => clients.some((own) => own.includes(name))).length,
			kept: () => provider.channelCount,
		};
	});
});
