import type { Config } from "@shardcast/config";
import { keepRevocationQuestion, type RevocationChange, revokeQuestion } from "@shardcast/control";
import { describe, expect, it, vi } from "vitest";
import { type CentrifugeClient, CentrifugeRig } from "../../support/centrifuge-rig.ts";
import { tokenOf, tokenSecret } from "../../support/tokens.ts";

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
	expect(await rig.questions.ask(keepRevocationQuestion, request)).toBe(true);
	return rig.questions.ask(revokeQuestion, request);
}

/** 0 = it is connected. */
const codeOf = ({ session }: CentrifugeClient) => session.leaving;

describe("a user that is blocked", () => {
	it("is disconnected with 3507 and cannot come back until it is unblocked", async () => {
		const rig = new CentrifugeRig(config);
		const [first, second, other] = [
			await connect(rig, { sub: "ann" }),
			await connect(rig, { sub: "ann" }),
			await connect(rig, { sub: "bob" }),
		];
		expect(await change(rig, { add: { kind: "user", id: "ann" } })).toBe(2);
		expect([await first.ended, (await second.ended).code, codeOf(other)]).toEqual([{ code: 3507, reason: "permission denied" }, 3507, 0]);
		expect((await (await connect(rig, { sub: "ann" })).ended).code).toBe(3500);
		await change(rig, { remove: { kind: "user", id: "ann" } });
		expect(codeOf(await connect(rig, { sub: "ann" }))).toBe(0);
	});

	it("is refused by a shard that starts later", async () => {
		const rig = new CentrifugeRig(config);
		// The shard is not told.
		await rig.questions.ask(keepRevocationQuestion, { add: { kind: "user", id: "ann" } });
		const early = await connect(rig, { sub: "ann" });
		expect(codeOf(early)).toBe(0);
		await rig.endpoint.start();
		expect((await early.ended).code).toBe(3507);
		expect((await (await connect(rig, { sub: "ann" })).ended).code).toBe(3500);
	});
});

describe("a token that is revoked", () => {
	it("by its jti is refused at connect, refresh and subscribe; its connection stays", async () => {
		const rig = new CentrifugeRig(config);
		const client = await connect(rig, { sub: "ann", jti: "t1" });
		client.replies();
		expect(await change(rig, { add: { kind: "token", id: "t1" } })).toBe(0);
		expect(codeOf(client)).toBe(0);
		expect((await (await connect(rig, { sub: "ann", jti: "t1" })).ended).code).toBe(3500);
		expect(codeOf(await connect(rig, { sub: "ann", jti: "t2" }))).toBe(0);
		client.send({ subscribe: { channel: "$a", token: await tokenOf({ sub: "ann", channel: "$a", jti: "t1" }) }, id: 2 });
		await client.settled();
		expect(client.replies()).toMatchObject([{ error: { code: 103 } }]);
		client.send({ refresh: { token: await tokenOf({ sub: "ann", jti: "t1" }) }, id: 3 });
		expect((await client.ended).code).toBe(3500);
	});

	it("with those of its user from a time on", async () => {
		const rig = new CentrifugeRig(config);
		await change(rig, { add: { kind: "user_tokens", id: "ann", before: 100 } });
		expect((await (await connect(rig, { sub: "ann", iat: 99 })).ended).code).toBe(3500);
		expect((await (await connect(rig, { sub: "ann" })).ended).code).toBe(3500);
		expect([codeOf(await connect(rig, { sub: "ann", iat: 100 })), codeOf(await connect(rig, { sub: "bob", iat: 99 }))]).toEqual([0, 0]);
	});
});
