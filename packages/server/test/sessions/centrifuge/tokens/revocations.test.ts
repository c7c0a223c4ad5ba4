import type { Config } from "@shardcast/config";
import { type Revocation, type RevocationChange, revokeQuestion, storeRevocationQuestion } from "@shardcast/control";
import { describe, expect, it, vi } from "vitest";
import { RepeatedChanges } from "../../../../src/sessions/centrifuge/tokens/repeated-changes.ts";
import { ShardRevocations } from "../../../../src/sessions/centrifuge/tokens/shard-revocations.ts";
import { type CentrifugeClient, CentrifugeRig } from "../../../support/centrifuge-rig.ts";
import { tokenOf, tokenSecret } from "../../../support/tokens.ts";

const config: Partial<Config> = { clientInsecure: false, tokenHmacSecret: tokenSecret };

async function connect(rig: CentrifugeRig, claims: object): Promise<CentrifugeClient> {
	const client = rig.open();
	client.send({ connect: { token: await tokenOf({ ...claims }) }, id: 1 });
	await vi.waitFor(() => expect(client.session.isGone || client.session.backlog === null, "connect is over").toBe(true), {
		timeout: 8_000,
		interval: 1,
	});
	return client;
}

async function change(rig: CentrifugeRig, request: RevocationChange): Promise<number> {
	expect(await rig.questions.ask(storeRevocationQuestion, request)).toBe("kept");
	return rig.questions.ask(revokeQuestion, request);
}

/** Two changes at the same moment through two shards: the list has them in one order, and this shard gets their orders in another. */
async function cross(rig: CentrifugeRig, first: RevocationChange, second: RevocationChange): Promise<void> {
	for (const request of [first, second]) await rig.questions.ask(storeRevocationQuestion, request);
	for (const request of [second, first]) await rig.questions.ask(revokeQuestion, request);
}

/** 0 = it is connected. */
const codeOf = ({ session }: CentrifugeClient) => session.leaving;

describe("a blocked user", () => {
	it("is disconnected with 3507 and cannot reconnect until it is unblocked", async () => {
		const rig = new CentrifugeRig(config);
		const [first, second, other] = [
			await connect(rig, { sub: "ann" }),
			await connect(rig, { sub: "ann" }),
			await connect(rig, { sub: "bob" }),
		];
		expect(await change(rig, { add: { kind: "user", id: "ann" } })).toBe(2);
		expect([await first.ended, (await second.ended).code, codeOf(other)]).toEqual([{ code: 3507, reason: "permission denied" }, 3507, 0]);
		expect((await (await connect(rig, { sub: "ann" })).ended).code, "it comes back").toBe(3507);
		await change(rig, { remove: { kind: "user", id: "ann" } });
		expect(codeOf(await connect(rig, { sub: "ann" }))).toBe(0);
	});

	it("may have an id of 255 bytes; a client with a longer one cannot connect", async () => {
		const rig = new CentrifugeRig(config);
		const [longest, longer] = ["x".repeat(255), "x".repeat(256)];
		const client = await connect(rig, { sub: longest });
		expect(codeOf(client), "255 bytes").toBe(0);
		expect(await change(rig, { add: { kind: "user", id: longest } }), "connections closed").toBe(1);
		expect((await client.ended).code).toBe(3507);
		expect((await (await connect(rig, { sub: longer })).ended).code, "256 bytes").toBe(3500);
		expect(rig.row.get("userIdsTooLong"), "shardcast_user_ids_too_long_total").toBe(1);
	});

	it("is refused by a shard that starts later", async () => {
		const rig = new CentrifugeRig(config);
		// The shard is not told.
		await rig.questions.ask(storeRevocationQuestion, { add: { kind: "user", id: "ann" } });
		const early = await connect(rig, { sub: "ann" });
		expect(codeOf(early)).toBe(0);
		await rig.endpoint.start();
		expect((await early.ended).code).toBe(3507);
		expect((await (await connect(rig, { sub: "ann" })).ended).code).toBe(3507);
	});
});

describe("a shard that starts while users are blocked all the time", () => {
	it("refuses those of the list and the new ones, and fetches the list again", async () => {
		const list: Revocation[] = [{ kind: "user", id: "ann" }];
		let tell: (change: RevocationChange | "all") => unknown = () => undefined;
		let fetches = 0;
		const ask = async () => {
			const entries = [...list];
			fetches++;
			await tell({ add: { kind: "user", id: `new ${fetches}` } });
			await tell({ remove: { kind: "user", id: "bob" } });
			return entries;
		};
		list.push({ kind: "user", id: "bob" });
		const revocations = new ShardRevocations({ ask: ask as never, log: { warn: () => undefined }, clients: () => [] });
		revocations.answers({ add: (_question: unknown, answer: typeof tell) => (tell = answer) } as never);
		await revocations.start();
		expect(
			["ann", "new 1", "bob"].map((user) => revocations.isBlocked(user)),
			"ann and new 1 are blocked, bob is not",
		).toEqual([true, true, false]);
		for (let second = 0; second < 10; second++) {
			revocations.everySecond();
			await new Promise(setImmediate);
		}
		expect(fetches, "fetches, as long as each meets a change").toBeGreaterThan(9);
	});
});

describe("an unblocked user", () => {
	it("can also connect through a shard that was starting at that time", async () => {
		const rig = new CentrifugeRig(config);
		const { revocations } = rig.endpoint;
		await rig.questions.ask(storeRevocationQuestion, { add: { kind: "user", id: "ann" } });
		await rig.endpoint.start();
		expect(revocations.isBlocked("ann")).toBe(true);
		// The shard is not told, since it does not serve yet.
		await rig.questions.ask(storeRevocationQuestion, { remove: { kind: "user", id: "ann" } });
		revocations.everySecond();
		await vi.waitFor(() => expect(revocations.isBlocked("ann")).toBe(false), { timeout: 8000 });
	});
});

describe("a revoked token", () => {
	it("by its jti is refused at connect, refresh and subscribe", async () => {
		const rig = new CentrifugeRig(config);
		const client = await connect(rig, { sub: "ann", jti: "t2" });
		client.replies();
		expect(await change(rig, { add: { kind: "token", id: "t1" } })).toBe(0);
		expect(codeOf(client), "a client with another token stays").toBe(0);
		expect((await (await connect(rig, { sub: "ann", jti: "t1" })).ended).code).toBe(3500);
		expect(codeOf(await connect(rig, { sub: "ann", jti: "t2" }))).toBe(0);
		client.send({ subscribe: { channel: "$a", token: await tokenOf({ sub: "ann", channel: "$a", jti: "t1" }) }, id: 2 });
		await client.settled();
		expect(client.replies()).toMatchObject([{ error: { code: 103 } }]);
		client.send({ refresh: { token: await tokenOf({ sub: "ann", jti: "t1" }) }, id: 3 });
		expect((await client.ended).code).toBe(3500);
	});

	it("is refused if it was issued before the time set for its user", async () => {
		const rig = new CentrifugeRig(config);
		await change(rig, { add: { kind: "user_tokens", id: "ann", before: 100 } });
		expect((await (await connect(rig, { sub: "ann", iat: 99 })).ended).code).toBe(3500);
		expect((await (await connect(rig, { sub: "ann" })).ended).code).toBe(3500);
		expect([codeOf(await connect(rig, { sub: "ann", iat: 100 })), codeOf(await connect(rig, { sub: "bob", iat: 99 }))]).toEqual([0, 0]);
	});

	it("closes its own connections, whichever user has them, and no others", async () => {
		const rig = new CentrifugeRig(config);
		const clients = [
			await connect(rig, { sub: "ann", jti: "t1" }),
			await connect(rig, { sub: "bob", jti: "t1" }),
			await connect(rig, { sub: "ann", jti: "t2" }),
			await connect(rig, { sub: "ann" }),
		];
		expect(await change(rig, { add: { kind: "token", id: "t1" } }), "connections closed").toBe(2);
		expect(await clients[0]!.ended).toEqual({ code: 3500, reason: "invalid token" });
		expect(clients.map(codeOf)).toEqual([3500, 3500, 0, 0]);
		expect(rig.ended, "shardcast_revoked_ended_total").toEqual({ connection: 2, subscription: 0 });
	});

	it("closes the connections with older tokens of its user", async () => {
		const rig = new CentrifugeRig({ ...config, allowAnonymousConnect: true });
		const clients = [
			await connect(rig, { sub: "ann", iat: 99 }),
			await connect(rig, { sub: "ann" }),
			await connect(rig, { sub: "ann", iat: 100 }),
			await connect(rig, { sub: "bob", iat: 99 }),
			rig.connected(),
		];
		expect(await change(rig, { add: { kind: "user_tokens", id: "ann", before: 100 } })).toBe(2);
		expect(clients.map(codeOf)).toEqual([3500, 3500, 0, 0, 0]);
	});

	it("closes a client that has refreshed with it", async () => {
		const rig = new CentrifugeRig(config);
		const client = await connect(rig, { sub: "ann", jti: "t1" });
		client.send({ refresh: { token: await tokenOf({ sub: "ann", jti: "t2" }) }, id: 2 });
		await client.settled();
		expect(await change(rig, { add: { kind: "token", id: "t1" } }), "the token before").toBe(0);
		expect(await change(rig, { add: { kind: "token", id: "t2" } }), "the token now").toBe(1);
		expect((await client.ended).code).toBe(3500);
	});

	it("ends the subscriptions that it granted; the connection stays open", async () => {
		const rig = new CentrifugeRig(config);
		const client = await connect(rig, { sub: "ann", jti: "t1" });
		client.send({ subscribe: { channel: "$a", token: await tokenOf({ sub: "ann", channel: "$a", jti: "s1" }) }, id: 2 });
		client.send({ subscribe: { channel: "$b", token: await tokenOf({ sub: "ann", channel: "$b", jti: "s2" }) }, id: 3 });
		await client.settled();
		client.replies();
		expect(await change(rig, { add: { kind: "token", id: "s1" } })).toBe(1);
		expect(client.replies()).toEqual([{ push: { channel: "$a", unsubscribe: { code: 2000, reason: "server unsubscribe" } } }]);
		expect([codeOf(client), client.session.channels]).toEqual([0, ["$b"]]);
		expect(rig.ended, "shardcast_revoked_ended_total").toEqual({ connection: 0, subscription: 1 });
	});

	it("is refused when it is revoked while the connect waits", async () => {
		const rig = new CentrifugeRig(config);
		const client = rig.open();
		client.send({ connect: { token: await tokenOf({ sub: "ann", jti: "t1" }) }, id: 1 });
		const { tokens, revocations } = rig.endpoint;
		const { verify } = tokens.connection;
		tokens.connection.verify = async (token) => {
			const verified = await verify.call(tokens.connection, token);
			revocations.change({ add: { kind: "token", id: "t1" } });
			return verified;
		};
		const late = rig.open();
		late.send({ connect: { token: await tokenOf({ sub: "ann", jti: "t1" }) }, id: 1 });
		expect([(await client.ended).code, (await late.ended).code]).toEqual([3500, 3500]);
	});

	it("is not served by a shard that starts later", async () => {
		const rig = new CentrifugeRig(config);
		await rig.questions.ask(storeRevocationQuestion, { add: { kind: "token", id: "t1" } });
		const early = await connect(rig, { sub: "ann", jti: "t1" });
		expect(codeOf(early)).toBe(0);
		await rig.endpoint.start();
		expect((await early.ended).code).toBe(3500);
	});
});

describe("opposite changes at the same moment", () => {
	const block: RevocationChange = { add: { kind: "user", id: "ann" } };
	const unblock: RevocationChange = { remove: { kind: "user", id: "ann" } };

	it("end on each shard as in the list, whichever order comes last", async () => {
		const rig = new CentrifugeRig(config);
		const { revocations } = rig.endpoint;
		await cross(rig, block, unblock);
		expect(revocations.isBlocked("ann"), "unblocked in the list").toBe(false);
		await cross(rig, unblock, block);
		expect(revocations.isBlocked("ann"), "blocked in the list").toBe(true);
		expect((await (await connect(rig, { sub: "ann" })).ended).code).toBe(3507);
	});

	it("are found for 15 s, and for any user when there are more than 10,000 in that time", () => {
		let nowMs = 0;
		const repeats = new RepeatedChanges(() => nowMs);
		expect([repeats.has(block), repeats.has({ add: { kind: "token", id: "ann" } }), repeats.has(unblock)]).toEqual([false, false, true]);
		nowMs = 15_000;
		expect(repeats.has(unblock), "after 15 s").toBe(true);
		nowMs = 45_000;
		expect(repeats.has(unblock), "after 45 s").toBe(false);
		for (let count = 1; count < 10_000; count++) repeats.has({ remove: { kind: "user", id: `u${count}` } });
		expect(repeats.has({ remove: { kind: "user", id: "another" } }), "after 10,000").toBe(true);
	});

	it("are found for 15 s after the last change of a user, not the first", () => {
		let nowMs = 0;
		const repeats = new RepeatedChanges(() => nowMs);
		const found = [0, 16_000, 31_000, 32_000].map((ms) => {
			nowMs = ms;
			return repeats.has(block);
		});
		expect(found, "changes after 0, 16, 31 and 32 s").toEqual([false, true, true, true]);
	});
});
