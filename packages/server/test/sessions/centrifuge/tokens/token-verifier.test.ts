import { defaultConfig } from "@shardcast/config";
import { CompactSign, exportSPKI, generateKeyPair, SignJWT } from "jose";
import { describe, expect, it } from "vitest";
import { expiry } from "../../../../src/sessions/centrifuge/commands/expiry.ts";
import { verifyConnectionToken } from "../../../../src/sessions/centrifuge/tokens/connection-token.ts";
import { connectionTokenRules, subscriptionTokenRules, TokenVerifier } from "../../../../src/sessions/centrifuge/tokens/token-verifier.ts";
import { tokenOf, tokenSecret } from "../../../support/tokens.ts";

const rules = connectionTokenRules(defaultConfig({ tokenHmacSecret: tokenSecret }));
const past = Math.floor(Date.now() / 1000) - 10;

describe("keys", () => {
	it.each([
		["RS256", "rsaPublicKey"],
		["ES256", "ecdsaPublicKey"],
		["ES384", "ecdsaPublicKey"],
	] as const)("%s is checked with the public key for it, and no other algorithm with that key", async (alg, option) => {
		const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true });
		const pem = await exportSPKI(publicKey);
		const verifier = new TokenVerifier({ ...rules, hmacSecret: undefined, [option]: pem });
		const token = await new SignJWT({ sub: "ann" }).setProtectedHeader({ alg }).sign(privateKey);
		expect(await verifier.verify(token)).toMatchObject({ user: "ann" });
		// The public key, which everybody knows, as the secret.
		expect(await verifier.verify(await tokenOf({ sub: "ann" }, pem))).toBe("invalid");
		expect(await new TokenVerifier(rules).verify(token)).toBe("invalid");
	});

	it("for subscription tokens are those for connection tokens until separate ones are enabled", () => {
		const subscriptions = { subscriptionTokenHmacSecret: "another-secret", subscriptionTokenUserIdClaim: "uid" };
		expect(subscriptionTokenRules(defaultConfig({ tokenHmacSecret: tokenSecret, ...subscriptions }))).toEqual(rules);
		const own = subscriptionTokenRules(defaultConfig({ tokenHmacSecret: tokenSecret, subscriptionTokenEnabled: true, ...subscriptions }));
		expect(own).toMatchObject({ hmacSecret: "another-secret", userIdClaim: "uid" });
	});
});

describe("claims", () => {
	it.each<[string, object, object, object | string]>([
		["an audience", { audience: "app" }, { aud: "app" }, { user: "" }],
		["one of several audiences", { audience: "app" }, { aud: ["web", "app"] }, { user: "" }],
		["another audience", { audience: "app" }, { aud: "web" }, "invalid"],
		["no audience", { audience: "app" }, {}, "invalid"],
		["an audience that matches", { audienceRegex: "^app-" }, { aud: ["x", "app-1"] }, { user: "" }],
		["an audience that does not match", { audienceRegex: "^app-" }, { aud: "x" }, "invalid"],
		["an issuer", { issuer: "idp" }, { iss: "idp" }, { user: "" }],
		["another issuer", { issuer: "idp" }, { iss: "x" }, "invalid"],
		["an issuer that matches", { issuerRegex: "^https://" }, { iss: "https://idp" }, { user: "" }],
		["an issuer that does not match", { issuerRegex: "^https://" }, { iss: "idp" }, "invalid"],
		["another issuer, and expired as well", { issuer: "idp" }, { iss: "x", exp: past }, "invalid"],
		["expired", {}, { exp: past }, "expired"],
		["a user in another claim", { userIdClaim: "uid" }, { sub: "x", uid: "ann" }, { user: "ann" }],
		["a user who is a number there", { userIdClaim: "uid" }, { uid: 42 }, { user: "42" }],
		["a user who is no text", {}, { sub: 42 }, "invalid"],
		["a user id of 255 bytes", {}, { sub: "x".repeat(255) }, { user: "x".repeat(255) }],
		["a user id of 256 bytes", {}, { sub: "x".repeat(256) }, "invalid"],
		["a user id of 128 characters in 256 bytes", {}, { sub: "ä".repeat(128) }, "invalid"],
	])("%s", async (_what, changes, claims, expected) => {
		const verified = await new TokenVerifier({ ...rules, ...changes }).verify(await tokenOf({ ...claims } as never));
		if (typeof expected === "string") expect(verified).toBe(expected);
		else expect(verified).toMatchObject(expected);
	});

	it("the operator is told why a token is invalid, without its contents", async () => {
		const reasons: string[] = [];
		const told = { invalid: (why: string) => reasons.push(why) };
		const verifier = new TokenVerifier({ ...rules, audience: "app" }, told);
		await verifier.verify(await tokenOf({ sub: "ann", aud: "app" }, "another-secret-that-is-long-enough-for-it"));
		await verifier.verify("garbage");
		await verifier.verify(await tokenOf({ sub: "ann" }));
		await verifyConnectionToken(verifier, await tokenOf({ sub: "ann", aud: "app", b64info: 7 } as never));
		await new TokenVerifier({ ...rules, hmacSecret: undefined }, told).verify("garbage");
		expect(reasons).toEqual([
			"signature verification failed",
			"it is not a JSON Web Token: three parts in Base64url, with dots between them",
			"aud does not contain the audience",
			expect.stringContaining("b64info"),
			"there is no key for it",
		]);
	});

	it("of a connection: info, meta, subscriptions with their options", async () => {
		const claims = {
			sub: "ann",
			info: { name: "Ann" },
			meta: { tenant: 7 },
			channels: ["ignored"],
			subs: { a: { info: { x: 1 }, data: [1], override: { presence: { value: true } } }, b: {} },
		};
		const found = await verifyConnectionToken(new TokenVerifier(rules), await tokenOf(claims));
		const text = (bytes: Uint8Array | null) => bytes && Buffer.from(bytes).toString();
		if (typeof found === "string") throw new Error(found);
		expect([text(found.info), text(found.meta)]).toEqual(['{"name":"Ann"}', '{"tenant":7}']);
		expect([...found.subscriptions.keys()]).toEqual(["a", "b"]);
		expect(text(found.subscriptions.get("a")!.info)).toBe('{"x":1}');
		expect(text(found.subscriptions.get("a")!.data)).toBe("[1]");
		expect(found.subscriptions.get("a")!.override).toEqual({ presence: true });
	});

	it.each<[string, object]>([
		["the token of a subscription", { channel: "a" }],
		["channels that are no list", { channels: "a" }],
		["channels that are no names", { channels: [1] }],
		["subs that are no object", { subs: ["a"] }],
		["a subscription that is no object", { subs: { a: true } }],
		["an expire_at that is no number", { expire_at: "soon" }],
	])("%s: no connection", async (_what, claims) => {
		expect(await verifyConnectionToken(new TokenVerifier(rules), await tokenOf({ ...claims }))).toBe("invalid");
	});

	it("bytes that are not JSON become a JSON string for clients of the JSON protocol", async () => {
		const b64info = Buffer.from("just text").toString("base64");
		const found = await verifyConnectionToken(new TokenVerifier(rules), await tokenOf({ b64info }));
		expect(Buffer.from((found as { info: Uint8Array }).info).toString()).toBe('"just text"');
	});
});

describe("invalid claims of a backend", () => {
	it("an expiry in milliseconds, or infinite: the time to live fits into its 32 bits", () => {
		expect(expiry(Date.now() + 3_600_000, Date.now() / 1000)).toEqual({ expires: true, ttl: 0xffff_ffff });
		expect(expiry(1e300, 1000)).toEqual({ expires: true, ttl: 0xffff_ffff });
		expect(expiry(1010, 1000)).toEqual({ expires: true, ttl: 10 });
	});

	it("info and meta that are nested too deeply are refused", async () => {
		const deep = `${"[".repeat(20_000)}${"]".repeat(20_000)}`;
		for (const name of ["info", "meta"]) {
			const token = await new CompactSign(Buffer.from(`{"sub":"ann","${name}":${deep}}`))
				.setProtectedHeader({ alg: "HS256" })
				.sign(Buffer.from(tokenSecret));
			expect(await verifyConnectionToken(new TokenVerifier(rules), token)).toBe("invalid");
		}
	});
});
