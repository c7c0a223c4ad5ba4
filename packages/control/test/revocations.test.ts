import { describe, expect, it } from "vitest";
import { Revocations } from "../src/revocations/revocations.ts";

const token = { user: "ann", jti: "t", iat: 100 };

describe("revocations", () => {
	it("refuse a blocked user until it is unblocked, or the time is over", () => {
		let now = 1000;
		const revocations = new Revocations(() => now);
		revocations.add({ kind: "user", id: "ann" });
		expect([revocations.isBlocked("ann"), revocations.isBlocked("bob"), revocations.refusal(token)]).toEqual([true, false, null]);
		revocations.remove("user", "ann");
		expect(revocations.isBlocked("ann")).toBe(false);
		revocations.add({ kind: "user", id: "ann", until: 1010 });
		now = 1009;
		expect(revocations.isBlocked("ann")).toBe(true);
		now = 1010;
		expect(revocations.isBlocked("ann")).toBe(false);
		expect(revocations.count("user")).toBe(0);
	});

	it("refuse a token by its id, and the older tokens of a user", () => {
		const revocations = new Revocations(() => 1000);
		revocations.add({ kind: "token", id: "t" });
		expect(revocations.refusal(token)).toBe("it is revoked");
		expect(revocations.refusal({ ...token, jti: "u" })).toBeNull();
		revocations.add({ kind: "user_tokens", id: "ann", before: 100 });
		const of = (iat: unknown, user = "ann") => revocations.refusal({ user, jti: "u", iat });
		expect([of(99), of(undefined)]).toEqual(Array(2).fill("the tokens of its user from that time are revoked"));
		expect([of(100), of(99, "bob")]).toEqual([null, null]);
	});

	it("are replaced by those of a list", () => {
		const revocations = new Revocations(() => 1000);
		revocations.add({ kind: "user", id: "ann" });
		revocations.replace([{ kind: "user", id: "bob" }]);
		expect([revocations.isBlocked("ann"), revocations.isBlocked("bob")]).toEqual([false, true]);
	});

	it("are bounded; those that have expired make room", () => {
		let now = 1000;
		const revocations = new Revocations(() => now, 2);
		expect(revocations.add({ kind: "user", id: "a", until: 1001 })).toBe(true);
		expect(revocations.add({ kind: "token", id: "a" })).toBe(true);
		expect(revocations.add({ kind: "user", id: "b" })).toBe(false);
		expect(revocations.add({ kind: "token", id: "a" }), "one that is there").toBe(true);
		now = 1001;
		expect(revocations.add({ kind: "user", id: "b" })).toBe(true);
		expect(revocations.list).toHaveLength(2);
	});
});
