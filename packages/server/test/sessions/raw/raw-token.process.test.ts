import { once } from "node:events";
import { createServer, type ServerResponse } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { type Config, defaultConfig } from "@shardcast/config";
import { LibraryClient, waitFor } from "@shardcast/testkit";
import { exportJWK, generateKeyPair, SignJWT } from "jose";
import { afterEach, expect, it } from "vitest";
import { startShards, type TestShards } from "../../harness.ts";
import { tokenOf, tokenSecret } from "../../support/tokens.ts";

let running: TestShards | undefined;
const start = async (config: Partial<Config>): Promise<TestShards> => {
	running = await startShards(1, { config });
	return running;
};
afterEach(async () => {
	await running?.stop();
	running = undefined;
});
const channelNamespaces = [
	{ ...defaultConfig().channelWithoutNamespace, name: "chat", allowSubscribeForClient: true, allowPublishForSubscriber: true },
];

it("a raw client with a token is upgraded and served; one without gets 401, one for a channel that it may not use 403", async () => {
	const cluster = await start({ tokenHmacSecret: tokenSecret, rawTokenCookie: "jwt", channelNamespaces, lbAffinityFrom: ["query:team"] });
	const { url, row } = cluster.shards[0];
	const token = await tokenOf({ sub: "ann" });
	const [byQuery, byHeader, byCookie] = [
		// The shard leaves alone what a balancer or an edge has chosen it by.
		await cluster.client(0, `/?channels=chat:1&token=${token}&user=ann&team=red`),
		await cluster.client(0, "/ws?channels=chat:1", { authorization: `Bearer ${token}` }),
		await cluster.client(0, "/?channels=chat:1", { cookie: `jwt=${token}` }),
	];
	byQuery.send("hello");
	await Promise.all([byHeader.waitForMessages(1), byCookie.waitForMessages(1)]);
	expect([byHeader.texts(), byCookie.texts()]).toEqual([["hello"], ["hello"]]);
	await expect(LibraryClient.open(`${url}/`)).rejects.toThrow(/401/);
	await expect(LibraryClient.open(`${url}/?token=wrong`)).rejects.toThrow(/401/);
	await expect(LibraryClient.open(`${url}/?channels=other&token=${token}`)).rejects.toThrow(/403/);
	await waitFor(() => row.connections === 3, { deadlineMs: 2000, what: "the refused connections to end" });
	expect([row.webSockets, row.get("callbackErrors")]).toEqual([3, 0]);
	expect([row.get("refusedUnauthorized"), row.get("refusedForbidden")], "401 and 403, counted").toEqual([2, 1]);
});

it("one that disconnects while the keys are fetched leaves nothing behind, and one that stays is admitted", async () => {
	const { publicKey, privateKey } = await generateKeyPair("ES256", { extractable: true });
	const asked: ServerResponse[] = [];
	const keys = createServer((_request, response) => asked.push(response));
	keys.listen(0, "127.0.0.1");
	await once(keys, "listening");
	try {
		const tokenJwksEndpoint = `http://127.0.0.1:${(keys.address() as AddressInfo).port}/`;
		const cluster = await start({ tokenJwksEndpoint, channelNamespaces, maxConnectionsPerIp: 1 });
		const { row, url } = cluster.shards[0];
		const token = await new SignJWT({ sub: "ann" }).setProtectedHeader({ alg: "ES256", kid: "1" }).sign(privateKey);
		const early = connect(row.port, "127.0.0.1");
		early.write(
			`GET /?token=${token} HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n`,
		);
		await waitFor(() => asked.length === 1, { deadlineMs: 2000, what: "the keys to be asked for" });
		await expect(LibraryClient.open(`${url}/?token=${token}`), "its place is taken").rejects.toThrow(/429/);
		early.destroy();
		await waitFor(() => row.connections === 0, { deadlineMs: 2000, what: "its end" });
		const staying = cluster.client(0, `/?token=${token}`);
		asked[0]!.writeHead(200, { "content-type": "application/json" });
		asked[0]!.end(JSON.stringify({ keys: [{ ...(await exportJWK(publicKey)), kid: "1", alg: "ES256" }] }));
		await (await staying).close();
		expect(row.get("callbackErrors")).toBe(0);
	} finally {
		keys.closeAllConnections();
		keys.close();
	}
});
