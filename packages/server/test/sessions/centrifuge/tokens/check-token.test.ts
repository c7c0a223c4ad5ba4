import { generateKeyPairSync, type KeyPairKeyObjectResult } from "node:crypto";
import { defaultConfig } from "@shardcast/config";
import { describe, expect, it } from "vitest";
import { checkToken } from "../../../../src/sessions/centrifuge/tokens/check-token.ts";
import { SigningKeyError, signingKey, signToken } from "../../../../src/sessions/centrifuge/tokens/token-signer.ts";
import { tokenSecret } from "../../../support/tokens.ts";

const config = defaultConfig({ tokenHmacSecret: tokenSecret });
const hmac = signingKey({ secret: tokenSecret });
const now = () => Math.floor(Date.now() / 1000);

let rsa: KeyPairKeyObjectResult | undefined;
/** One pair for all tests: to find its primes takes some tenths of a second. */
const rsaKeys = (): KeyPairKeyObjectResult => {
	rsa ??= generateKeyPairSync("rsa", { modulusLength: 2048 });
	return rsa;
};

describe("a checked token", () => {
	it("is valid for a user, or for an anonymous user and one channel", async () => {
		const exp = now() + 60;
		const token = await signToken({ sub: "ann", exp }, hmac, "1");
		expect(await checkToken(token, config)).toEqual({
			kind: "connection",
			header: { alg: "HS256", typ: "JWT", kid: "1" },
			claims: { sub: "ann", exp },
			problem: null,
			user: "ann",
			expiresAt: exp,
		});
		const subscription = await signToken({ channel: "$a" }, hmac);
		expect(await checkToken(subscription, config)).toMatchObject({ kind: "subscription", problem: null, user: "" });
	});

	it.each<[string, object, object, RegExp]>([
		["of another secret", { sub: "ann" }, { tokenHmacSecret: "another-secret-of-32-bytes-or-more" }, /^signature verification failed$/],
		["without a key here", { sub: "ann" }, { tokenHmacSecret: undefined }, /^there is no key for it$/],
		["that has expired", { exp: 1000 }, {}, /^it expired at 1970-01-01T00:16:40\.000Z$/],
		["whose expire_at has passed", { expire_at: 1000 }, {}, /^it expired at 1970-01-01T00:16:40\.000Z$/],
		["that is not valid yet", { nbf: 4_000_000_000 }, {}, /^it is not valid before 2096/],
		["for another audience", { aud: "web" }, { tokenAudience: "app" }, /^aud does not contain the audience$/],
		["for a numeric user", { sub: 42 }, {}, /^the user is not a string$/],
		["whose info is too long", { info: "x".repeat(20_000) }, {}, /^info has more than 16384 bytes$/],
		["without a user, which is not allowed", {}, { disallowAnonymousTokens: true }, /disallow_anonymous_connection_tokens/],
		["for a channel without a namespace", { channel: "x:1" }, {}, /"x:1" cannot be subscribed to \(error 102\)/],
		[
			"for a key set that is not there",
			{ sub: "ann" },
			{ tokenJwksEndpoint: "http://127.0.0.1:1/" },
			/no key for the algorithm|could not be fetched/,
		],
	])("is invalid: %s", async (_what, claims, changes, problem) => {
		const checked = await checkToken(await signToken({ ...claims }, hmac), defaultConfig({ tokenHmacSecret: tokenSecret, ...changes }));
		expect(checked.problem).toMatch(problem);
		expect(checked.claims, "it is shown all the same").toEqual(claims);
	});

	it("that is signed with an algorithm without a key is refused, naming the algorithms with keys", async () => {
		const { privateKey } = rsaKeys();
		const checked = await checkToken(await signToken({ sub: "ann" }, { algorithm: "RS256", key: privateKey }), config);
		expect(checked.problem).toBe("there is no key for the algorithm in its header; there are keys for HS256, HS384, HS512");
	});

	it("that cannot be decoded is refused", async () => {
		expect(await checkToken("garbage", config)).toMatchObject({
			header: null,
			claims: null,
			problem: expect.stringContaining("not a JSON Web Token"),
		});
	});
});

describe("a private key", () => {
	const pemOf = (key: { export(options: { type: "pkcs8"; format: "pem" }): string | Buffer }) =>
		String(key.export({ type: "pkcs8", format: "pem" }));

	it.each([
		["RS256", rsaKeys],
		["ES256", () => generateKeyPairSync("ec", { namedCurve: "P-256" })],
		["ES384", () => generateKeyPairSync("ec", { namedCurve: "P-384" })],
		["ES512", () => generateKeyPairSync("ec", { namedCurve: "P-521" })],
	] as const)("signs with %s, and the server verifies it with the public one", async (algorithm, generate) => {
		const { publicKey, privateKey } = generate();
		const key = signingKey({ pem: pemOf(privateKey) });
		expect(key.algorithm).toBe(algorithm);
		const pem = String(publicKey.export({ type: "spki", format: "pem" }));
		const keys = algorithm === "RS256" ? { tokenRsaPublicKey: pem } : { tokenEcdsaPublicKey: pem };
		const token = await signToken({ sub: "ann" }, key);
		expect(await checkToken(token, defaultConfig(keys))).toMatchObject({ problem: null, user: "ann" });
	});

	it("of type Ed25519 signs with EdDSA, which servers verify with a key set", () => {
		expect(signingKey({ pem: pemOf(generateKeyPairSync("ed25519").privateKey) }).algorithm).toBe("EdDSA");
	});

	it("that is invalid, public or of another type is refused with the reason", () => {
		const { publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
		const publicPem = String(publicKey.export({ type: "spki", format: "pem" }));
		for (const pem of ["", "secret", publicPem]) expect(() => signingKey({ pem })).toThrow(/is not a private key in PEM/);
		const other = pemOf(generateKeyPairSync("x25519").privateKey);
		expect(() => signingKey({ pem: other })).toThrow(SigningKeyError);
	});
});
