// @module-tag long
import { createHmac } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type ConfigKey, configKeys, environmentName, optionOf } from "@shardcast/config";
import { type Cluster, httpRequest, LibraryClient, ManagedProcess, RawClient, startCluster, waitFor } from "@shardcast/testkit";
import { afterAll, beforeAll, expect, it } from "vitest";

/** Every option that is a secret, now and later. */
const secretKeys = configKeys.filter((key) => optionOf(key).secret);
const secretOf = (key: ConfigKey) => `canary-of-${key}-7f3a9c`;
/** Secrets with a form. Nobody listens at the addresses: the clients of Redis and PostgreSQL log errors. */
const formed: Partial<Record<ConfigKey, string>> = {
	redisAddress: `redis://user:${secretOf("redisAddress")}@127.0.0.1:1`,
	postgresAddress: `postgres://user:${secretOf("postgresAddress")}@127.0.0.1:1/app`,
	otlpHeaders: `x-key=${secretOf("otlpHeaders")}`,
};
const env = Object.fromEntries(secretKeys.map((key) => [environmentName(key), formed[key] ?? secretOf(key)]));
const main = join(import.meta.dirname, "../../dist/main.js");
/** In tokens that are sent, valid and not: whoever reads a token can be its user. */
const inToken = "canary-in-a-token-7f3a9c";

const part = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
function tokenOf(claims: object, secret: string): string {
	const signed = `${part({ alg: "HS256" })}.${part(claims)}`;
	return `${signed}.${createHmac("sha256", secret).update(signed).digest("base64url")}`;
}

/** Secrets within a list of the file, and what a reload brings. */
const listed = {
	key: "canary-of-a-key-1a9c",
	former: "canary-of-a-former-key-1a9c",
	next: "canary-of-a-next-key-1a9c",
	webhook: "canary-of-a-webhook-1a9c",
	header: "canary-of-a-header-1a9c",
};
const fileWith = (key: string, former: string) => `log: { level: debug }
client: { subscription_token: { enabled: true } }
proxies: [{ name: nobody, endpoint: "http://127.0.0.1:1/", http: { static_headers: { authorization: ${listed.header} } } }]
rpc: { without_namespace: { proxy_enabled: true, proxy_name: nobody } }
http_api: { keys: [{ name: backend, key: ${key}, former_key: ${former}, methods: [publish] }] }
webhooks: { targets: [{ name: nobody, endpoint: "http://127.0.0.1:1/", secret: ${listed.webhook}, former_secret: ${listed.webhook}-former }] }
`;

let cluster: Cluster;
let directory: string;
let file: string;
beforeAll(async () => {
	directory = mkdtempSync(join(tmpdir(), "shardcast-"));
	file = join(directory, "shardcast.yaml");
	writeFileSync(file, fileWith(listed.key, listed.former));
	cluster = await startCluster({
		shards: 2,
		env,
		// Nobody listens there: Kafka's client logs errors.
		flags: ["--config", file, "--kafka-brokers", "127.0.0.1:1", "--kafka-topics", "x", "--kafka-sasl", "plain", "--kafka-username", "u"],
	});
});
afterAll(async () => {
	await cluster.stop();
	rmSync(directory, { recursive: true });
});

it("no secret and no token is in a log, an answer, a metric, the console, the arguments of a process or shared memory", async () => {
	expect(secretKeys.length, "options that are secrets").toBeGreaterThanOrEqual(5);
	const { httpUrl, url } = cluster;
	const read = new Map<string, string>();
	const ask = async (what: string, path: string, init: Parameters<typeof httpRequest>[1] = {}) => {
		const { status, headers, body } = await httpRequest(httpUrl + path, init);
		read.set(what, `${status} ${JSON.stringify(headers)} ${body}`);
		return status;
	};
	const key = secretOf("apiKey");
	const token = tokenOf({ sub: "ann", jti: inToken }, secretOf("tokenHmacSecret"));
	const forged = tokenOf({ sub: "ann", jti: inToken }, "not-the-secret");
	const post = (headers: Record<string, string>, body: string) => ({ method: "POST", headers, body });

	// What goes right.
	expect(await ask("publish", "/api/publish", post({ "x-api-key": key }, '{"data":1}'))).toBe(200);
	const client = await RawClient.open(`${url}/?token=${token}`);
	expect(await ask("console", `/console?token=${secretOf("consoleToken")}`)).toBe(200);
	// What goes wrong.
	expect(await ask("wrong body", "/api/publish", post({ "x-api-key": key }, `{"data":`))).toBe(400);
	expect(await ask("wrong query", "/api/publish?chanel=1", post({ authorization: `Bearer ${key}` }, "{}"))).toBe(400);
	expect(await ask("named key", "/api/publish", post({ "x-api-key": listed.former }, `{"data":1}`))).toBe(200);
	expect(await ask("wrong key", "/api/publish", post({ "x-api-key": `${key}x` }, "{}"))).toBe(401);
	expect(await ask("a key of the list, for another method", "/api/info", post({ "x-api-key": listed.key }, "{}"))).toBe(403);
	expect(await ask("wrong API call", "/api/disconnect", post({ "x-api-key": key }, "[]"))).toBe(200);
	expect(await ask("wrong console token", `/console?token=${secretOf("consoleToken")}x`)).toBe(403);
	for (const path of [`/?token=${forged}`, `/?channels=x:1&token=${token}`, `/?tokn=1&token=${token}`]) {
		const refused = await LibraryClient.open(url + path).catch((error: Error) => error.message);
		expect(refused).toMatch(/40[013]/);
		read.set(`refused ${path.slice(0, 12)}`, String(refused));
	}
	const protocol = await RawClient.open(`${url}/connection/websocket`);
	protocol.send(`{"id":1,"connect":{"token":"${forged}"}}`);
	expect((await protocol.closed).code).toBe(3500);
	read.set("protocol", JSON.stringify(await protocol.closed) + protocol.texts().join());
	await cluster.kill9(0);
	await waitFor(() => /shard.0.*restart|restart.*shard.0|ended/i.test(cluster.log()), {
		deadlineMs: 10_000,
		what: "the log to tell of the dead shard",
	});
	writeFileSync(file, fileWith(listed.next, listed.key));
	cluster.process.signal("SIGHUP");
	await waitFor(() => /configuration reloaded/.test(cluster.log()), { deadlineMs: 10_000, what: "the reload" });
	const inEnvironment = { ...env, [environmentName("apiKeys")]: JSON.stringify([{ name: "backend", key: secretOf("apiKeys") }]) };
	for (const [name, environment] of Object.entries({ file: env, environment: inEnvironment }))
		for (const flags of [[], ["--json"]]) {
			const printed = await ManagedProcess.start(main, ["config", "print", "--config", file, ...flags], { env: environment });
			expect((await printed.exited).code).toBe(0);
			read.set(`config print ${flags} of the ${name}`, printed.log());
		}
	writeFileSync(file, `client: { token: { hmac_secret_key: "${secretOf("tokenHmacSecret")} " } }\nx: 1\n`);
	cluster.process.signal("SIGHUP");
	await waitFor(() => /not reloaded/.test(cluster.log()), { deadlineMs: 10_000, what: "the reload to be refused" });
	await cluster.ready();

	// A busy supervisor may be too late for an answer of /metrics.
	for (const path of ["/health", "/ready", "/metrics"])
		await waitFor(async () => (await ask(path, path)) === 200, { deadlineMs: 10_000, what: `200 of ${path}` });
	const events = await fetch(`${httpUrl}/api/console/events`, { headers: { authorization: `Bearer ${secretOf("consoleToken")}` } });
	const { value } = await events.body!.getReader().read();
	read.set("console feed", Buffer.from(value!).toString());
	for (const [name, pid] of await cluster.pids()) read.set(`arguments of the ${name}`, readFileSync(`/proc/${pid}/cmdline`, "latin1"));
	for (const shared of cluster.sharedDirectories())
		for (const entry of readdirSync(shared, { withFileTypes: true }))
			if (entry.isFile()) read.set(`shared memory: ${entry.name}`, readFileSync(join(shared, entry.name), "latin1"));
	await client.close();
	read.set("log", cluster.log());

	expect([...read.keys()]).toEqual(expect.arrayContaining(["log", "arguments of the shard 1", "console feed", "/metrics"]));
	expect(read.get("log"), "it says why the token is invalid").toContain("a client's token is invalid");
	const secrets = [
		...secretKeys.map(secretOf),
		secretOf("apiKeys"),
		...Object.values(listed),
		inToken,
		// Not the header, which says only how it is signed.
		...[token, forged].flatMap((each) => each.split(".").slice(1)),
	];
	const found = [...read].flatMap(([what, text]) =>
		secrets.filter((secret) => text.includes(secret)).map((secret) => `${what}: ${secret}`),
	);
	expect(found, "places where a secret can be read").toEqual([]);
});
