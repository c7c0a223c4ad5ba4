import { once } from "node:events";
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect as connectPlain } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect } from "node:tls";
import {
	type Cluster,
	httpRequest,
	LibraryClient,
	makeCertificate,
	openDescriptors,
	postJson,
	Scrape,
	startCluster,
	type TestCertificate,
	waitFor,
} from "@shardcast/testkit";
import { Centrifuge } from "centrifuge";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import WebSocket from "ws";

const folder = mkdtempSync(join(tmpdir(), "tls-cluster-"));
const file = (name: string) => join(folder, name);
let first: TestCertificate;
let renewed: TestCertificate;
let other: TestCertificate;
beforeAll(() => {
	first = makeCertificate(folder, { name: "first" });
	renewed = makeCertificate(folder, { name: "renewed" });
	other = makeCertificate(folder, { name: "other", serverNames: ["other.example"] });
});
afterAll(() => rmSync(folder, { recursive: true }));

/** `centrifuge` has no option for certificates that have signed themselves. */
class Trusting extends WebSocket {
	constructor(url: string, protocols?: string | string[]) {
		super(url, protocols, { rejectUnauthorized: false });
	}
}

const adminKey = "correct-horse-battery";
const portOf = (url: string) => Number(new URL(url).port);

/** The name in the certificate that a client gets. */
async function nameAt(url: string, servername?: string): Promise<string> {
	const socket = connect({
		port: portOf(url),
		host: "127.0.0.1",
		rejectUnauthorized: false,
		...(servername !== undefined && { servername }),
	});
	await once(socket, "secureConnect");
	const { subject } = socket.getPeerCertificate();
	socket.destroy();
	return subject.CN as string;
}

function put({ certFile, keyFile }: TestCertificate): void {
	copyFileSync(certFile, file("cert.pem"));
	copyFileSync(keyFile, file("key.pem"));
}

async function plainAnswer(url: string): Promise<string> {
	const socket = connectPlain(portOf(url), "127.0.0.1");
	socket.end("GET /health HTTP/1.1\r\nHost: x\r\n\r\n");
	let text = "";
	for await (const piece of socket) text += String(piece);
	return text;
}

describe("a cluster with TLS", () => {
	let cluster: Cluster;
	beforeAll(async () => {
		put(first);
		const options = [
			"http_server:",
			"  tls:",
			`    cert_pem_file: ${file("cert.pem")}`,
			`    key_pem_file: ${file("key.pem")}`,
			`    certificates: [{cert_pem_file: ${other.certFile}, key_pem_file: ${other.keyFile}}]`,
			"client: {insecure: true}",
			`admin_interface: {key: ${adminKey}}`,
			"limits: {max_connections: 8, head_timeout: 3s}",
		].join("\n");
		writeFileSync(file("shardcast.yaml"), options);
		cluster = await startCluster({ shards: 2, tls: true, flags: ["--config", file("shardcast.yaml")] });
	});
	afterAll(async () => {
		expect((await cluster.stop()).code).toBe(0);
	});

	it("brings encrypted clients to every shard, where they get everything, and answers what the balancer answers without TLS", async () => {
		const clients = await Promise.all(Array.from({ length: 6 }, () => LibraryClient.open(cluster.url)));
		// The request itself is a connection of one of them.
		const connections = (await cluster.health()).shards.map((shard) => shard.connections);
		expect(connections.toSorted(), "six clients on two shards, and the request itself").toEqual([3, 4]);
		clients[0]!.send("to all");
		for (const client of clients.slice(1)) await client.waitForMessages(1);
		expect((await postJson(`${cluster.httpUrl}/api/publish`, { data: 1 })).status).toBe(200);
		for (const client of clients) await client.waitForMessages(1);
		const page = await httpRequest(`${cluster.httpUrl}/console`);
		expect([page.status, page.headers["content-type"]]).toEqual([200, "text/html; charset=utf-8"]);
		expect((await httpRequest(`${cluster.httpUrl}/console/console.js`)).status).toBe(200);
		expect((await Scrape.of(cluster.httpUrl)).text).toContain("shardcast_tls_certificate_expiry_timestamp_seconds{");
		await Promise.all(clients.map((client) => client.close()));
	});

	it("takes admin commands with the key, on whichever shard they arrive", async () => {
		const status = `${cluster.httpUrl}/admin/v1/status`;
		expect((await httpRequest(status)).status).toBe(401);
		// One after the other, so that both shards get some.
		for (let count = 0; count < 4; count++) {
			const answer = await httpRequest(status, { headers: { "x-admin-key": adminKey } });
			expect([answer.status, JSON.parse(answer.body)]).toMatchObject([200, { verb: "status", outcome: "done" }]);
		}
		const run = await httpRequest(`${cluster.httpUrl}/admin/v1/run`, {
			method: "POST",
			headers: { authorization: `Bearer ${adminKey}` },
			body: '{"verb":"kick","arguments":{"user":"nobody"}}',
		});
		expect(JSON.parse(run.body)).toMatchObject({ verb: "kick", who: "127.0.0.1 with the admin key", outcome: "done" });
	});

	it("serves the centrifuge client over wss", async () => {
		const client = new Centrifuge(`${cluster.url}/connection/websocket`, { websocket: Trusting });
		const subscription = client.newSubscription("news");
		const got = new Promise((resolve) => subscription.on("publication", ({ data }) => resolve(data)));
		const subscribed = new Promise((resolve) => subscription.on("subscribed", resolve));
		subscription.subscribe();
		client.connect();
		await subscribed;
		await postJson(`${cluster.httpUrl}/api/publish`, { channel: "news", data: { n: 1 } });
		expect(await got).toEqual({ n: 1 });
		client.disconnect();
	});

	it("renews certificates in all its processes by SIGHUP and by a change of the files, and no client loses anything", async () => {
		const clients = await Promise.all(Array.from({ length: 4 }, () => LibraryClient.open(cluster.url)));
		let sent = 0;
		const sending = setInterval(() => clients[0]!.send(String(sent++)), 10);
		const everywhere = async (name: string) => {
			const names = await Promise.all([nameAt(cluster.url), nameAt(cluster.shardUrl(0)), nameAt(cluster.shardUrl(1))]);
			return names.every((each) => each === name);
		};
		try {
			put(renewed);
			cluster.process.signal("SIGHUP");
			await waitFor(() => everywhere("renewed"), { deadlineMs: 5_000, what: "the renewed certificate after SIGHUP" });
			expect(await nameAt(cluster.url, "other.example")).toBe("other");
			put(first);
			await waitFor(() => everywhere("first"), { deadlineMs: 8_000, what: "the first certificate after its files came back" });
			writeFileSync(file("key.pem"), "");
			cluster.process.signal("SIGHUP");
			await waitFor(() => /TLS certificates not reloaded, the old ones stay: [^"]*key\.pem has no private key/.test(cluster.log()), {
				deadlineMs: 5_000,
				what: "the line about the empty key",
			});
			expect(await everywhere("first")).toBe(true);
			put(first);
		} finally {
			clearInterval(sending);
		}
		for (const client of clients.slice(1)) {
			await client.waitForMessages(sent);
			expect(client.texts()).toEqual(Array.from({ length: sent }, (_, n) => String(n)));
		}
		await Promise.all(clients.map((client) => client.close()));
	});

	it("full, it takes short requests and answers clients 503, each encrypted; plain HTTP gets 400 on every port", async () => {
		const clients = await Promise.all(Array.from({ length: 8 }, () => LibraryClient.open(cluster.url)));
		await expect(LibraryClient.open(cluster.url)).rejects.toThrow(/503/);
		expect((await postJson(`${cluster.httpUrl}/api/publish`, { data: 1 })).status).toBe(200);
		await Promise.all(clients.map((client) => client.close()));
		for (const url of [cluster.url, cluster.shardUrl(0)]) expect(await plainAnswer(url)).toMatch(/^HTTP\/1\.1 400 [\s\S]*tls_required/);
	});

	it("waits for handshakes that do not come as long as for request heads, and keeps no descriptor of them", async () => {
		const balancer = (await cluster.pids()).get("balancer")!;
		const before = openDescriptors(balancer);
		const stalled = Array.from({ length: 20 }, () => connectPlain(portOf(cluster.url), "127.0.0.1").on("error", () => {}));
		for (const socket of stalled) socket.write(Buffer.from([22, 3, 1]));
		await Promise.all(stalled.map((socket) => new Promise((resolve) => socket.resume().once("close", resolve))));
		await waitFor(() => openDescriptors(balancer) <= before, { deadlineMs: 5_000, what: "the end of the balancer's connections" });
		// A busy balancer may be missing in an answer.
		const refused = async () =>
			(await Scrape.of(cluster.httpUrl)).sum("shardcast_balancer_connections_total", { outcome: "refused_head_timeout" });
		await waitFor(async () => (await refused()) >= 20, { deadlineMs: 5_000, what: "20 connections that were refused" });
	});

	it("gives a shard that is started again the certificate that is in force", async () => {
		const before = cluster.log().length;
		put(renewed);
		cluster.process.signal("SIGHUP");
		// All processes have it then; one that dies before would bring back the old one.
		await cluster.process.waitUntil(
			() => cluster.log().slice(before).includes("TLS certificates reloaded"),
			"the renewed certificate in all processes",
			5_000,
		);
		await cluster.kill9(0);
		await waitFor(async () => (await cluster.health()).shards[0]!.restarts === 1, { deadlineMs: 10_000, what: "the restart of shard 0" });
		await cluster.ready();
		expect(await nameAt(cluster.shardUrl(0))).toBe("renewed");
	});
});
