import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { defaultConfig } from "@shardcast/config";
import { exportJWK, generateKeyPair, SignJWT } from "jose";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { connectionTokenRules, TokenVerifier } from "../../../src/sessions/centrifuge/tokens/token-verifier.ts";
import { CentrifugeRig } from "../../support/centrifuge-rig.ts";
import { tokenOf, tokenSecret } from "../../support/tokens.ts";

const rules = connectionTokenRules(defaultConfig({ tokenHmacSecret: tokenSecret }));

describe("a key set", () => {
	let set: Server;
	let endpoint: string;
	/** What it answers; null = status 500. */
	let keys: object[] | null;
	let requests: number;
	beforeEach(async () => {
		requests = 0;
		keys = [];
		set = createServer((_request, response) => {
			requests++;
			response.writeHead(keys === null ? 500 : 200, { "content-type": "application/json" }).end(JSON.stringify({ keys }));
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
		return { key, token: await new SignJWT({ sub: "ann" }).setProtectedHeader({ alg, kid }).sign(privateKey) };
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
