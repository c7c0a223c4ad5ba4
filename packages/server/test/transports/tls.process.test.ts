import { once } from "node:events";
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect as connectPlain, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect, type TLSSocket } from "node:tls";
import { silentLog } from "@shardcast/telemetry";
import {
	httpRequest,
	LibraryClient,
	makeCertificate,
	openDescriptors,
	postJson,
	Scrape,
	type TestCertificate,
	waitFor,
} from "@shardcast/testkit";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { WebSocket } from "ws";
import { createServer, type Server } from "../../src/library/server.ts";

let folder: string;
let first: TestCertificate;
let renewed: TestCertificate;
let other: TestCertificate;
let server: Server;
/** The files that the server was started with. */
const cert = () => join(folder, "cert.pem");
const key = () => join(folder, "key.pem");

function put({ certFile, keyFile }: TestCertificate): void {
	copyFileSync(certFile, cert());
	copyFileSync(keyFile, key());
	server?.control.reloadCertificates();
}

beforeAll(async () => {
	folder = mkdtempSync(join(tmpdir(), "tls-"));
	first = makeCertificate(folder, { name: "first", serverNames: ["first.example"] });
	renewed = makeCertificate(folder, { name: "renewed" });
	other = makeCertificate(folder, { name: "other", serverNames: ["other.example", "*.other.example"] });
	put(first);
	const tlsCertificates = [{ certFile: other.certFile, keyFile: other.keyFile, serverNames: [] }];
	const tls = { tlsCert: cert(), tlsKey: key(), tlsCertificates, webSocketCompression: true };
	server = createServer({ addr: "127.0.0.1:0", ...tls }, { log: silentLog(), statusLine: false });
	await server.run();
});
afterAll(async () => {
	await server.shutdown(2000);
	rmSync(folder, { recursive: true });
});

async function secure(servername?: string): Promise<TLSSocket> {
	const socket = connect({
		port: server.port,
		host: "127.0.0.1",
		rejectUnauthorized: false,
		...(servername !== undefined && { servername }),
	});
	await once(socket, "secureConnect");
	return socket;
}
/** The name in the certificate that a client gets. */
async function nameFor(servername?: string): Promise<string | undefined> {
	const socket = await secure(servername);
	const { subject } = socket.getPeerCertificate();
	socket.destroy();
	return subject.CN as string;
}
/** All that comes until the server closes. */
async function answerTo(bytes: string | Uint8Array, end = false): Promise<string> {
	const socket: Socket = connectPlain(server.port, "127.0.0.1");
	socket.on("error", () => {});
	if (end) socket.end(bytes);
	else socket.write(bytes);
	let text = "";
	socket.on("data", (piece) => {
		text += piece.toString("latin1");
	});
	await new Promise((resolve) => socket.once("close", resolve));
	return text;
}
const connections = async () => new Scrape(await server.control.metrics()).sum("shardcast_connections");

describe("a server with TLS", () => {
	it("serves WebSockets and requests", async () => {
		expect(server.url).toBe(`wss://127.0.0.1:${server.port}`);
		const [one, two] = [await LibraryClient.open(server.url), await LibraryClient.open(server.url)];
		one.send("over TLS");
		await two.waitForMessages(1);
		const url = server.url.replace("wss", "https");
		expect((await httpRequest(`${url}/ready`)).status).toBe(200);
		expect((await postJson(`${url}/api/publish`, { data: "published" })).status).toBe(200);
		await two.waitForMessages(2);
		expect(two.texts()).toEqual(["over TLS", "published"]);
		await one.close();
		await two.close();
	});

	it("chooses the certificate by the client's server name, ignoring case", async () => {
		expect(await nameFor("first.example")).toBe("first");
		expect(await nameFor("Other.Example")).toBe("other");
		expect(await nameFor("a.other.example")).toBe("other");
		expect(await nameFor("nobody.example")).toBe("first");
		expect(await nameFor()).toBe("first");
	});

	it("compresses for clients of each certificate, and not for those that do not offer it", async () => {
		const open = async (servername: string, perMessageDeflate: boolean) => {
			const options = { servername, perMessageDeflate, rejectUnauthorized: false };
			const socket = new WebSocket(server.url, options);
			await once(socket, "open");
			const got = once(socket, "message").then(([bytes]) => String(bytes));
			return { socket, got };
		};
		const clients = await Promise.all([open("first.example", true), open("other.example", true), open("first.example", false)]);
		try {
			expect(clients.map(({ socket }) => socket.extensions)).toEqual(["permessage-deflate", "permessage-deflate", ""]);
			const connected = clients.map(({ socket }) => (socket as unknown as { _socket: TLSSocket })._socket);
			expect(connected.map((socket) => socket.getPeerCertificate().subject.CN)).toEqual(["first", "other", "first"]);
			const read = () => connected.map((socket) => socket.bytesRead);
			const [before, data] = [read(), "over TLS ".repeat(1000)];
			await postJson(`${server.url.replace("wss", "https")}/api/publish`, { data });
			expect(await Promise.all(clients.map(({ got }) => got))).toEqual([data, data, data]);
			const bytes = read().map((after, index) => after - before[index]!);
			expect(
				bytes.map((count) => count < 1000),
				`bytes on the wire: ${bytes}`,
			).toEqual([true, true, false]);
		} finally {
			for (const { socket } of clients) socket.terminate();
		}
	});

	it("speaks TLS 1.2 and 1.3, and nothing older", async () => {
		const versionOf = (maxVersion: "TLSv1.1" | "TLSv1.2" | "TLSv1.3") =>
			new Promise((resolve) => {
				const options = { minVersion: "TLSv1", maxVersion, ciphers: "ALL:@SECLEVEL=0", rejectUnauthorized: false } as const;
				const socket = connect({ port: server.port, host: "127.0.0.1", ...options });
				socket.on("error", (error) => resolve((error as NodeJS.ErrnoException).code));
				socket.on("secureConnect", () => {
					resolve(socket.getProtocol());
					socket.destroy();
				});
			});
		expect(await versionOf("TLSv1.3")).toBe("TLSv1.3");
		expect(await versionOf("TLSv1.2")).toBe("TLSv1.2");
		expect(await versionOf("TLSv1.1")).toMatch(/ALERT|PROTOCOL/);
	});

	it("gives new connections a renewed certificate, and connected clients miss nothing", async () => {
		const staying = await LibraryClient.open(server.url);
		const sender = await LibraryClient.open(server.url);
		let sent = 0;
		const sending = setInterval(() => sender.send(String(sent++)), 5);
		try {
			put(renewed);
			expect(await nameFor(), "after the renewal").toBe("renewed");
			expect(await nameFor("other.example"), "the one that has not changed").toBe("other");
			const late = await LibraryClient.open(server.url);
			writeFileSync(key(), "half a key");
			server.control.reloadCertificates();
			expect(await nameFor(), "after a pair that cannot be used").toBe("renewed");
			await late.waitForMessages(5);
			await late.close();
		} finally {
			clearInterval(sending);
			put(first);
		}
		await staying.waitForMessages(sent);
		expect(staying.texts()).toEqual(Array.from({ length: sent }, (_, n) => String(n)));
		expect(await nameFor()).toBe("first");
		await staying.close();
		await sender.close();
		const scrape = new Scrape(await server.control.metrics());
		expect(scrape.sum("shardcast_tls_reloads_total", { result: "applied" })).toBe(2);
		expect(scrape.sum("shardcast_tls_reloads_total", { result: "rejected" })).toBe(1);
		expect(scrape.sum("shardcast_tls_certificate_expiry_timestamp_seconds", { certificate: cert() })).toBeGreaterThan(Date.now() / 1000);
	});

	it("tells plain HTTP clients to use HTTPS, and counts them", async () => {
		const refused = async () => new Scrape(await server.control.metrics()).sum("shardcast_connections_refused_total", { reason: "no_tls" });
		const before = await refused();
		expect(await answerTo("GET /health HTTP/1.1\r\nHost: x\r\n\r\n")).toMatch(/^HTTP\/1\.1 400 [\s\S]*"code":"tls_required"/);
		expect(await answerTo("\0\0garbage")).toMatch(/^HTTP\/1\.1 400 /);
		expect(await refused()).toBe(before + 2);
	});

	it("leaves no descriptor behind after handshakes that fail, stall or are cut off, and after plain connections", async () => {
		await waitFor(async () => (await connections()) === 0, { deadlineMs: 5_000, what: "the end of earlier connections" });
		const before = openDescriptors(process.pid);
		const hello = Buffer.from([22, 3, 1, 0, 200, 1, 0, 0, 196, 3, 3]);
		const whole = Buffer.concat([hello, Buffer.alloc(194, 7)]);
		for (let round = 0; round < 20; round++) {
			expect(await answerTo(hello, true), "a client that hangs up in its first message").toBe("");
			expect(await answerTo(whole), "a first message that makes no sense gets a TLS alert at most").not.toContain("HTTP");
			const broken = connectPlain(server.port, "127.0.0.1");
			broken.on("error", () => {});
			await once(broken, "connect");
			broken.resetAndDestroy();
			(await secure()).destroy();
		}
		// Only now: on a busy machine, the message of any client may come that late.
		server.control.reload({ headTimeoutMs: 300 });
		const began = performance.now();
		expect(await answerTo(hello), "a first message that does not come whole is waited for as long as --head-timeout says").toMatch(/ 408 /);
		expect(performance.now() - began).toBeGreaterThan(250);
		await waitFor(async () => (await connections()) === 0 && openDescriptors(process.pid) <= before, {
			deadlineMs: 5_000,
			what: "the end of all these connections",
		});
	});
});
