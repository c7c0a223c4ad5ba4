import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { defaultConfig } from "@shardcast/config";
import { exportJWK, generateKeyPair, SignJWT } from "jose";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { connectionTokenRules, TokenVerifier } from "../../../../src/sessions/centrifuge/tokens/token-verifier.ts";
import { CentrifugeRig } from "../../../support/centrifuge-rig.ts";
import { tokenOf, tokenSecret } from "../../../support/tokens.ts";

const rules = connectionTokenRules(defaultConfig({ tokenHmacSecret: tokenSecret }));

describe("a key set", () => {
	let set: Server;
	let endpoint: string;
	/** What it answers; null = status 500. */
	let keys: object[] | null;
	/** By path, in its place. */
	let sets: Record<string, object[]>;
	let requests: number;
	beforeEach(async () => {
		requests = 0;
		keys = [];
		sets = {};
		set = createServer((request, response) => {
			requests++;
			const asked = sets[request.url!] ?? keys;
			response.writeHead(asked === null ? 500 : 200, { "content-type": "application/json" }).end(JSON.stringify({ keys: asked }));
		});
		await new Promise<void>((resolve) => set.listen(0, "127.0.0.1", resolve));
		endpoint = `http://127.0.0.1:${(set.address() as AddressInfo).port}/keys`;
	});
	afterEach(async () => {
		set.closeAllConnections();
		await new Promise((resolve) => set.close(resolve));
	});

	async function signedBy(alg: string, kid: string) {
		const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true });
		const key = { ...(await exportJWK(publicKey)), kid, alg };
		return { key, privateKey, token: await new SignJWT({ sub: "ann" }).setProtectedHeader({ alg, kid }).sign(privateKey) };
	}

	it("gives the public keys, once for all tokens; what is signed with none of them, or with a secret, is invalid", async () => {
		const [rsa, ed, other] = [await signedBy("RS256", "1"), await signedBy("EdDSA", "2"), await signedBy("ES256", "3")];
		keys = [rsa.key, ed.key];
		const verifier = new TokenVerifier({ ...rules, jwksEndpoint: endpoint });
		const all = await Promise.all([rsa.token, ed.token, rsa.token].map((token) => verifier.verify(token)));
		expect(all).toMatchObject([{ user: "ann" }, { user: "ann" }, { user: "ann" }]);
		expect(await verifier.verify(other.token)).toBe("invalid");
		expect(await verifier.verify(await tokenOf({ sub: "ann" }))).toBe("invalid");
		expect(requests).toBe(1);
	});

	it("with a new key is fetched again for it, at most every 30 s, and a key that is gone is valid no more after ten minutes", async () => {
		vi.useFakeTimers({ toFake: ["Date"] });
		try {
			const [old, next, other] = [await signedBy("RS256", "1"), await signedBy("RS256", "2"), await signedBy("RS256", "3")];
			keys = [old.key];
			const verifier = new TokenVerifier({ ...rules, jwksEndpoint: endpoint });
			expect(await verifier.verify(old.token)).toMatchObject({ user: "ann" });
			keys = [next.key];
			expect(await verifier.verify(next.token), "within 30 s").toBe("invalid");
			expect(requests).toBe(1);
			vi.advanceTimersByTime(31_000);
			expect(await verifier.verify(next.token), "after 30 s").toMatchObject({ user: "ann" });
			expect(await verifier.verify(old.token), "its key has been taken out").toBe("invalid");
			expect(await verifier.verify(other.token)).toBe("invalid");
			expect(requests).toBe(2);
			keys = [other.key];
			vi.advanceTimersByTime(601_000);
			expect(await verifier.verify(next.token), "after ten minutes").toBe("invalid");
			expect(requests).toBe(3);
		} finally {
			vi.useRealTimers();
		}
	});

	it("whose address has a name in it is one for each issuer: a key of one is never used for another", async () => {
		const [a, b] = [await signedBy("ES256", "same"), await signedBy("ES256", "same")];
		sets = { "/keys/a": [a.key], "/keys/b": [b.key] };
		const names = { jwksEndpoint: `${endpoint}/{{ tenant }}`, issuerRegex: "^https://idp/(?P<tenant>.+)$" };
		const verifier = new TokenVerifier({ ...rules, ...names });
		const token = (key: typeof a, iss: string) =>
			new SignJWT({ sub: "ann", iss }).setProtectedHeader({ alg: "ES256", kid: "same" }).sign(key.privateKey);
		expect(await verifier.verify(await token(a, "https://idp/a"))).toMatchObject({ user: "ann" });
		expect(await verifier.verify(await token(b, "https://idp/b"))).toMatchObject({ user: "ann" });
		expect(await verifier.verify(await token(a, "https://idp/b")), "the key of another issuer").toBe("invalid");
		const asked = requests;
		for (const iss of ["https://idp/..", "https://idp/a/../b", "https://idp/a?x", "https://evil/a", ""])
			expect(await verifier.verify(await token(a, iss)), iss).toBe("invalid");
		expect(requests, "nothing was asked for").toBe(asked);
	});

	it("of more than 1 MiB is refused: the client may try again", async () => {
		const failures: unknown[] = [];
		const { key, token } = await signedBy("ES256", "1");
		keys = [key, { kty: "oct", k: "x".repeat(1024 * 1024) }];
		const verifier = new TokenVerifier({ ...rules, jwksEndpoint: endpoint }, { unavailable: (error) => failures.push(error) });
		expect(await verifier.verify(token)).toBe("unavailable");
		expect(failures).toEqual([expect.objectContaining({ message: expect.stringContaining("more than 1048576 bytes") })]);
	});

	it("that cannot be fetched makes no token invalid: the client may try again", async () => {
		keys = null;
		const failures: unknown[] = [];
		const { key, token } = await signedBy("ES256", "1");
		const verifier = new TokenVerifier({ ...rules, jwksEndpoint: endpoint }, { unavailable: (error) => failures.push(error) });
		expect(await verifier.verify(token)).toBe("unavailable");
		expect(failures).toHaveLength(1);
		keys = [key];
		expect(await verifier.verify(token)).toMatchObject({ user: "ann" });
	});

	it("that cannot be fetched is error 100 to connect, and the connection may be tried again", async () => {
		keys = null;
		const rig = new CentrifugeRig({ clientInsecure: false, tokenJwksEndpoint: endpoint });
		const client = rig.open();
		client.send({ connect: { token: (await signedBy("ES256", "1")).token }, id: 1 });
		await client.settled();
		expect(client.replies()).toMatchObject([{ id: 1, error: { code: 100, temporary: true } }]);
	});
});
