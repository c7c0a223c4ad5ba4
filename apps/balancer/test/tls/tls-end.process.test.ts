import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { connect as connectPlain, createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect } from "node:tls";
import { type Certificate, defaultConfig, loadCertificates } from "@shardcast/config";
import { allowedOrigins, json, Router } from "@shardcast/http";
import { Answers, Refusals, Responder } from "@shardcast/relay";
import { httpRequest, makeCertificate, waitFor } from "@shardcast/testkit";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { TlsEnd } from "../../src/tls/tls-end.ts";

const folder = mkdtempSync(join(tmpdir(), "tls-end-"));
let certificates: readonly Certificate[];
beforeAll(() => {
	const one = makeCertificate(folder, { name: "one" });
	const other = makeCertificate(folder, { name: "other", serverNames: ["other.example"] });
	const others = [{ certFile: other.certFile, keyFile: other.keyFile, serverNames: [] }];
	certificates = loadCertificates(
		defaultConfig({ tlsCert: one.certFile, tlsKey: one.keyFile, tlsCertificates: others }),
		(name) => name,
	).certificates;
});
afterAll(() => rmSync(folder, { recursive: true }));

/** Every connection is one that no shard takes. */
class Rig {
	readonly counts = new Map<string, number>();
	readonly end: TlsEnd;
	readonly #server: Server;

	constructor(headTimeoutMs = 5000) {
		const config = defaultConfig();
		const answer = () => json(200, { status: "unhealthy" });
		const router = new Router([{ kind: "answer", method: "GET", path: "/health", answer }], { allowedOrigins: allowedOrigins([]) });
		const responder = new Responder({
			count: (counter, amount) => void this.counts.set(counter, (this.counts.get(counter) ?? 0) + amount),
			answers: new Answers(router, config.headBytesMax),
			trustedProxies: [],
			rules: () => null,
		});
		this.end = new TlsEnd({ certificates, responder, headBytesMax: config.headBytesMax, headTimeoutMs });
		this.#server = createServer({ allowHalfOpen: true }, (socket) => this.end.refuse(socket, Refusals.full, "127.0.0.1"));
	}

	async listen(): Promise<this> {
		this.#server.listen(0, "127.0.0.1");
		await once(this.#server, "listening");
		return this;
	}

	get port(): number {
		return (this.#server.address() as { port: number }).port;
	}

	get url(): string {
		return `https://127.0.0.1:${this.port}`;
	}

	stop(): void {
		this.end.close();
		this.#server.close();
	}
}

describe("the end of TLS in the balancer", () => {
	let rig: Rig;
	afterEach(() => rig.stop());

	it("answers what the balancer answers, and refuses anything else so that the client can read it", async () => {
		rig = await new Rig().listen();
		const health = await httpRequest(`${rig.url}/health`);
		expect([health.status, JSON.parse(health.body)]).toEqual([200, { status: "unhealthy" }]);
		const refused = await httpRequest(`${rig.url}/`);
		expect([refused.status, refused.headers["retry-after"]]).toEqual([503, "5"]);
		expect(JSON.parse(refused.body)).toMatchObject({ error: { code: "cluster_full" } });
		await waitFor(() => rig.end.pending === 0, { deadlineMs: 5_000, what: "the end of both" });
		expect(Object.fromEntries(rig.counts)).toEqual({ answered: 1, refusedBusy: 1 });
	});

	it("shows the certificate that the client asks for, and new ones after a change", async () => {
		rig = await new Rig().listen();
		const nameFor = async (servername?: string) => {
			const name = servername === undefined ? {} : { servername };
			const socket = connect({ port: rig.port, host: "127.0.0.1", rejectUnauthorized: false, ...name });
			await once(socket, "secureConnect");
			const { subject } = socket.getPeerCertificate();
			socket.destroy();
			return subject.CN;
		};
		expect([await nameFor(), await nameFor("Other.example")]).toEqual(["one", "other"]);
		rig.end.useCertificates(certificates.slice(1));
		expect(await nameFor()).toBe("other");
		await waitFor(() => rig.end.pending === 0, { deadlineMs: 5_000, what: "the end of all three" });
		expect(Object.fromEntries(rig.counts), "clients that leave without a request").toEqual({ closedEarly: 3 });
	});

	it("gives up on clients that speak no TLS, hang up, or take longer than --head-timeout", async () => {
		rig = await new Rig(200).listen();
		const ended = (bytes: Uint8Array, end: boolean) => {
			const socket = connectPlain(rig.port, "127.0.0.1").on("error", () => {});
			if (end) socket.end(bytes);
			else socket.write(bytes);
			return new Promise((resolve) => socket.resume().once("close", resolve));
		};
		await Promise.all([ended(Buffer.from("garbage"), false), ended(Buffer.from([22, 3, 1]), true), ended(Buffer.from([22, 3, 1]), false)]);
		await waitFor(() => rig.end.pending === 0, { deadlineMs: 5_000, what: "the end of all three" });
		expect(Object.fromEntries(rig.counts)).toEqual({ closedEarly: 3 });
	});
});
