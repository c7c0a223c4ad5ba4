import { type Config, defaultConfig } from "@shardcast/config";
import { AddressTable } from "@shardcast/limits";
import { Scoreboard } from "@shardcast/scoreboard";
import { describe, expect, it } from "vitest";
import { noAddressSlot } from "../../../src/limits/admission.ts";
import { userKey } from "../../../src/limits/user-key.ts";
import { type CountedUser, UserLimit } from "../../../src/limits/user-limit.ts";
import { type CentrifugeClient, CentrifugeRig } from "../../support/centrifuge-rig.ts";
import { tokenOf, tokenSecret } from "../../support/tokens.ts";

/** One shard of several, with the count that they share. */
function shard(slot: number, table: AddressTable, userConnectionLimit: number, clients: CountedUser[] = []) {
	const row = Scoreboard.inMemory(1).row(0);
	const config = { userConnectionLimit };
	return { row, limit: new UserLimit({ config, slot, openTable: () => table, counters: row, clients: () => clients }) };
}
const client = (user = "ann"): CountedUser => ({ user, userSlot: noAddressSlot });

describe("connections of a user", () => {
	it("are limited over all shards; there is room for one more when one has left or its shard has died", () => {
		const table = AddressTable.inMemory(100, 2);
		const [one, other] = [shard(0, table, 3), shard(1, table, 3)];
		const [first, second] = [client(), client()];
		expect([one.limit.admit(first, "ann"), one.limit.admit(second, "ann"), other.limit.admit(client(), "ann")]).toEqual([true, true, true]);
		const refused = client();
		expect([one.limit.admit(refused, "ann"), other.limit.admit(client(), "ann")]).toEqual([false, false]);
		expect([refused.userSlot, one.row.get("refusedPerUser"), other.row.get("refusedPerUser")]).toEqual([noAddressSlot, 1, 1]);
		expect(other.limit.admit(client("bob"), "bob")).toBe(true);
		one.limit.left(first);
		one.limit.left(first);
		expect([other.limit.admit(client(), "ann"), other.limit.admit(client(), "ann")]).toEqual([true, false]);
		// As the supervisor does it.
		table.clear(1);
		expect([1, 2, 3].map(() => one.limit.admit(client(), "ann"))).toEqual([true, true, false]);
	});

	it("are not counted for anonymous clients, nor for anybody while the limit is off", () => {
		const table = AddressTable.inMemory(100, 1);
		const { limit } = shard(0, table, 1);
		expect([1, 2, 3].map(() => limit.admit(client(""), ""))).toEqual([true, true, true]);
		const unopened = new UserLimit({
			config: { userConnectionLimit: 0 },
			slot: 0,
			openTable: () => {
				throw new Error("opened");
			},
			counters: Scoreboard.inMemory(1).row(0),
			clients: () => [],
		});
		expect([1, 2].map(() => unopened.admit(client(), "ann"))).toEqual([true, true]);
		expect(() => unopened.prepare({ userConnectionLimit: 1 })).toThrow("opened");
	});

	it("count when the limit is enabled while they are open", () => {
		const clients = [client(), client(), client("bob"), client("")];
		const { limit } = shard(0, AddressTable.inMemory(100, 1), 0, clients);
		limit.prepare({ userConnectionLimit: 2 })();
		expect([limit.admit(client(), "ann"), limit.admit(client(), "bob"), limit.admit(client(), "bob")]).toEqual([false, true, false]);
		limit.left(clients[0]!);
		expect(limit.admit(client(), "ann")).toBe(true);
	});

	it("are admitted without being counted when the table is full, and this is reported by a counter", () => {
		const { limit, row } = shard(1, AddressTable.inMemory(100, 1), 1);
		expect([limit.admit(client(), "ann"), limit.admit(client(), "ann")]).toEqual([true, true]);
		expect(row.get("usersUncounted")).toBe(2);
	});

	it("have different keys for each user and purpose", () => {
		const long = "u".repeat(5000);
		const keys = ["ann", "bob", "", long, `${long}x`, "\u{1F600}"].flatMap((user) => [userKey(user), userKey(user, "publish")]);
		expect(new Set(keys).size).toBe(keys.length);
		expect(userKey("ann")).toBe(userKey("ann"));
	});
});

const secured = { clientInsecure: false, tokenHmacSecret: tokenSecret, channelNamespaces: [] };
const operation = (rate: number) => ({ enabled: true, buckets: [{ rate, intervalMs: 60_000 }] });
const { clientCommandRates, userCommandRates } = defaultConfig();
const off = { enabled: false, buckets: [] };

describe("limits of clients of the Centrifuge protocol", () => {
	const rig = (values: Partial<Config>) => new CentrifugeRig({ ...secured, ...values });
	const connect = async (rig: CentrifugeRig, sub: string): Promise<CentrifugeClient> => {
		const client = rig.open();
		client.send({ connect: { token: await tokenOf({ sub }) }, id: 1 });
		await client.settled();
		return client;
	};
	const outcome = async (client: CentrifugeClient) => (client.session.leaving === 0 ? client.replies() : (await client.ended).code);

	it("a user's connection beyond client.user_connection_limit is closed with 3504; its slot is released", async () => {
		const limited = rig({ userConnectionLimit: 2 });
		const clients = [await connect(limited, "ann"), await connect(limited, "ann"), await connect(limited, "bob")];
		for (const each of clients) expect(await outcome(each)).toMatchObject([{ connect: {}, id: 1 }]);
		expect(await outcome(await connect(limited, "ann"))).toBe(3504);
		expect(limited.row.get("refusedPerUser")).toBe(1);
		clients[0]!.session.closed(1000);
		expect(await outcome(await connect(limited, "ann"))).toMatchObject([{ connect: {} }]);
		expect(await outcome(await connect(limited, "ann"))).toBe(3504);
		limited.reload({ userConnectionLimit: 0 });
		expect(await outcome(await connect(limited, "ann"))).toMatchObject([{ connect: {} }]);
	});

	it("a command beyond client.rate_limit.client_command gets error 111, for each connection separately, until there is room", () => {
		const limited = new CentrifugeRig({
			clientCommandRates: { ...clientCommandRates, enabled: true, publish: operation(2), subscribe: operation(1), default: operation(1) },
		});
		const ask = (client: CentrifugeClient, command: object) => {
			client.send({ ...command, id: 5 });
			return client.replies();
		};
		const error = { id: 5, error: { code: 111, message: "too many requests", temporary: true } };
		const publish = { publish: { channel: "a", data: {} } };
		const [one, other] = [limited.connected(), limited.connected()];
		expect([1, 2, 3].map(() => ask(one, publish))).toEqual([[{ id: 5, publish: {} }], [{ id: 5, publish: {} }], [error]]);
		expect(ask(other, publish)).toEqual([{ id: 5, publish: {} }]);
		expect(ask(one, { subscribe: { channel: "a" } })).toMatchObject([{ subscribe: {} }]);
		expect(ask(one, { subscribe: { channel: "b" } })).toEqual([error]);
		limited.seconds += 30;
		expect([1, 2].map(() => ask(one, publish))).toEqual([[{ id: 5, publish: {} }], [error]]);
		expect(limited.row.get("commandsOverClientRate")).toBe(3);
		// Counted by default, and never refused.
		for (const channel of ["a", "b", "c"]) expect(ask(one, { unsubscribe: { channel } })).toEqual([{ id: 5, unsubscribe: {} }]);
		expect(limited.row.get("commandsOverClientRate")).toBe(5);
	});

	it("a message beyond it closes the client with 3013, since it has no reply", async () => {
		const limited = new CentrifugeRig({ clientCommandRates: { ...clientCommandRates, enabled: true, send: { ...off, enabled: true } } });
		limited.endpoint.set.handlers.onMessage(() => {});
		const client = limited.connected();
		client.send({ send: { data: 1 } });
		expect(client.session.leaving).toBe(0);
		limited.reload({ clientCommandRates: { ...clientCommandRates, enabled: true, send: operation(1) } });
		client.send({ send: { data: 1 } }, { send: { data: 2 } });
		expect((await client.ended).code).toBe(3013);
	});

	it("a command beyond client.rate_limit.user_command gets error 111, over all connections and shards of a user", async () => {
		const limited = rig({ userCommandRates: { ...userCommandRates, enabled: true, presence: operation(3), connect: operation(2) } });
		const [one, other] = [await connect(limited, "ann"), await connect(limited, "ann")];
		const third = await connect(limited, "ann");
		expect(third.replies()).toMatchObject([{ id: 1, error: { code: 111, temporary: true } }]);
		const bob = await connect(limited, "bob");
		const ask = async (client: CentrifugeClient) => {
			client.replies();
			client.send({ presence: { channel: "a" }, id: 2 });
			await client.settled();
			return (client.replies() as { error?: { code: number } }[])[0]?.error?.code;
		};
		const answers = [];
		for (const client of [one, other, one, other, one]) answers.push(await ask(client));
		expect(answers).toEqual([108, 108, 108, 111, 111]);
		expect(await ask(bob)).toBe(108);
		expect(limited.row.get("commandsOverUserRate")).toBe(3);
		limited.seconds += 20;
		expect([await ask(one), await ask(other)]).toEqual([108, 111]);
	});

	it("anonymous clients have no limits per user", () => {
		const limited = new CentrifugeRig({ userCommandRates: { ...userCommandRates, enabled: true, default: operation(1) } });
		const client = limited.connected();
		client.send(...[1, 2, 3].map((id) => ({ publish: { channel: "a", data: {} }, id })));
		expect(client.replies()).toEqual([1, 2, 3].map((id) => ({ id, publish: {} })));
	});
});
