import { setImmediate as nextTurn } from "node:timers/promises";
import { defaultConfig } from "@shardcast/config";
import { expect, it } from "vitest";
import { connectionTokenRules, TokenVerifier } from "../../../../src/sessions/centrifuge/tokens/token-verifier.ts";
import { VerificationTurns } from "../../../../src/sessions/centrifuge/tokens/verification-turns.ts";
import { tokenOf, tokenSecret } from "../../../support/tokens.ts";

it("16 checks run at once; the others start in later turns, in order, at most 16 in each", async () => {
	const turns = new VerificationTurns();
	const begun: number[] = [];
	for (let check = 0; check < 40; check++) {
		const wait = turns.begin();
		if (wait === null) begun.push(check);
		else void wait.then(() => begun.push(check));
	}
	expect([begun.length, turns.waiting]).toEqual([16, 24]);
	for (let ended = 0; ended < 16; ended++) turns.end();
	await Promise.resolve();
	expect(begun.length, "not in the same turn").toBe(16);
	await nextTurn();
	expect(begun).toEqual(Array.from({ length: 32 }, (_, check) => check));
	turns.end();
	await nextTurn();
	expect([begun.length, turns.waiting]).toEqual([33, 7]);
});

it("a thousand simultaneous tokens leave turns to other work, and all are verified, invalid ones as well", { tags: ["long"] }, async () => {
	const turns = new VerificationTurns();
	const verifier = new TokenVerifier(connectionTokenRules(defaultConfig({ tokenHmacSecret: tokenSecret })), {}, turns);
	const [valid, forged] = [await tokenOf({ sub: "ann" }), await tokenOf({ sub: "ann" }, "another-secret-of-32-bytes-or-more")];
	let left = 1000;
	const results = Array.from({ length: left }, async (_, index) => {
		const verified = await verifier.verify(index % 10 === 0 ? forged : valid);
		left--;
		return typeof verified === "string" ? verified : verified.user;
	});
	let others = 0;
	while (left > 0) {
		await nextTurn();
		others++;
	}
	expect(others, "turns of the loop meanwhile").toBeGreaterThanOrEqual(1000 / 16 - 1);
	expect((await Promise.all(results)).filter((result) => result === "ann").length).toBe(900);
	expect(turns.waiting).toBe(0);
	// All places are free again.
	expect(Array.from({ length: 16 }, () => turns.begin())).toEqual(Array.from({ length: 16 }, () => null));
});
