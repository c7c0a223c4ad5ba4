import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Certificate, type Config, ConfigError, defaultConfig, loadCertificates } from "@shardcast/config";
import { makeCertificate, type TestCertificate } from "@shardcast/testkit";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { CertificateWatch, noCertificateReloads } from "../src/certificate-watch.ts";

let folder: string;
let first: TestCertificate;
let second: TestCertificate;
beforeAll(() => {
	folder = mkdtempSync(join(tmpdir(), "certificate-watch-"));
	first = makeCertificate(folder, { name: "first" });
	second = makeCertificate(folder, { name: "second" });
});
afterAll(() => rmSync(folder, { recursive: true }));

describe("the certificates of a running server", () => {
	const logged: string[] = [];
	const told: string[] = [];
	const applied: (readonly Certificate[])[] = [];
	const reloads = noCertificateReloads();
	/** Thrown when certificates are applied. */
	let refusal: Error | null;
	let nowMs = 0;
	let apply: () => void | Promise<void>;
	let config: Config;
	let watch: CertificateWatch;
	let cert: string;
	let key: string;
	const put = ({ certFile, keyFile }: TestCertificate) => {
		copyFileSync(certFile, cert);
		copyFileSync(keyFile, key);
	};
	beforeEach(() => {
		for (const list of [logged, told, applied]) list.length = 0;
		Object.assign(reloads, noCertificateReloads());
		refusal = null;
		apply = () => {};
		cert = join(folder, "cert.pem");
		key = join(folder, "key.pem");
		put(first);
		config = defaultConfig({ tlsCert: cert, tlsKey: key });
		const log = (text: unknown) => void logged.push(String(text));
		watch = new CertificateWatch({
			config: () => config,
			certificates: loadCertificates(config, (name) => name).certificates,
			reloads,
			name: (name) => name,
			apply: (certificates) => {
				if (refusal !== null) throw refusal;
				applied.push(certificates);
				return apply();
			},
			log: { info: log, warn: log, error: log },
			tell: (level, text) => void told.push(`${level}: ${text}`),
			nowMs: () => nowMs,
		});
		watch.look();
		watch.look();
	});

	it("are replaced when their files have changed and have stayed so from one look to the next", () => {
		expect(applied, "nothing has changed").toEqual([]);
		put(second);
		watch.look();
		expect(applied, "it may be half-written").toEqual([]);
		watch.look();
		expect(applied.map(([each]) => each!.chain)).toEqual([readFileSync(second.certFile, "utf8")]);
		watch.look();
		expect(reloads).toEqual({ applied: 1, rejected: 0 });
		expect(told).toEqual([expect.stringMatching(/^info: TLS certificates reloaded: new connections get .*cert\.pem, which expires on /)]);
	});

	it("stay when only half of a pair has come, which is said once, and are replaced when the other half has", () => {
		copyFileSync(second.certFile, cert);
		for (let looks = 0; looks < 4; looks++) watch.look();
		expect(applied).toEqual([]);
		expect(logged).toEqual([
			`TLS certificates not reloaded, the old ones stay: tlsKey: ${key} is not the key of the certificate in ${cert}`,
		]);
		expect(told).toEqual([`bad: ${logged[0]}`]);
		copyFileSync(second.keyFile, key);
		watch.look();
		watch.look();
		expect(applied).toHaveLength(1);
		expect(reloads).toEqual({ applied: 1, rejected: 1 });
	});

	it("stay while a file is being written", () => {
		const text = readFileSync(second.certFile, "utf8");
		for (let length = 0; length < text.length; length += 100) {
			writeFileSync(cert, text.slice(0, length));
			watch.look();
		}
		expect([applied, logged]).toEqual([[], []]);
	});

	it("are read at once on SIGHUP, which says nothing while they are the same", () => {
		watch.reload();
		expect([applied, logged, reloads.applied]).toEqual([[], [], 0]);
		put(second);
		watch.reload();
		expect(applied).toHaveLength(1);
		rmSync(cert);
		watch.reload();
		expect(logged.at(-1)).toContain(`${cert} does not exist`);
		expect(reloads).toEqual({ applied: 1, rejected: 1 });
	});

	it("stay when a process does not accept the new ones, and the server goes on", () => {
		refusal = new Error("the disk is full");
		put(second);
		watch.look();
		watch.look();
		expect(reloads).toEqual({ applied: 0, rejected: 1 });
		expect(logged).toEqual(["TLS certificates not reloaded, the old ones stay: the disk is full"]);
		refusal = null;
		watch.reload();
		expect(reloads, "they were not taken for those in use").toEqual({ applied: 1, rejected: 1 });
	});

	it("stay when a process says later that it does not accept the new ones; SIGHUP meanwhile does not apply them twice", async () => {
		let settle: { accept(): void; refuse(error: Error): void } | null = null;
		apply = () => new Promise((accept, refuse) => (settle = { accept, refuse }));
		put(second);
		watch.reload();
		watch.reload();
		expect([applied.length, logged], "nothing is said before the answer").toEqual([1, []]);
		settle!.refuse(new Error("shard 1: the library does not take it"));
		await expect.poll(() => reloads, { message: "counted as rejected" }).toEqual({ applied: 0, rejected: 1 });
		expect(logged).toEqual(["TLS certificates not reloaded, the old ones stay: shard 1: the library does not take it"]);
		watch.reload();
		expect(applied, "it is tried again").toHaveLength(2);
		settle!.accept();
		await expect.poll(() => reloads, { message: "counted as applied" }).toEqual({ applied: 1, rejected: 1 });
		expect(told.at(-1)).toMatch(/^info: TLS certificates reloaded/);
	});

	it("that a process was too busy to accept are tried again after a minute, then two, although their files do not change", () => {
		refusal = new Error("shard 1: no answer within 5000 ms");
		put(second);
		const rejectedAt: number[] = [];
		for (let second = 0; second < 200; second++) {
			nowMs = second * 1000;
			const before = reloads.rejected;
			watch.look();
			if (reloads.rejected > before) rejectedAt.push(second);
		}
		expect(rejectedAt, "seconds of the tries").toEqual([1, 61, 181]);
		refusal = null;
		nowMs = 181_000 + 240_000;
		watch.look();
		watch.look();
		expect(reloads, "when the process answers again").toEqual({ applied: 1, rejected: 3 });
	});

	it("follow new option values, all or none", () => {
		const next = defaultConfig({ tlsCert: second.certFile, tlsKey: second.keyFile });
		const commit = watch.prepare(next);
		expect(applied, "nothing is in force before").toEqual([]);
		config = next;
		commit();
		expect(applied).toHaveLength(1);
		expect(() => watch.prepare(defaultConfig({ tlsCert: second.certFile, tlsKey: first.keyFile }))).toThrow(ConfigError);
		expect(() => watch.prepare(defaultConfig())).toThrow("tlsCert: TLS is on; only a restart changes that");
		expect(applied).toHaveLength(1);
		config = { ...next, tlsCertificates: [{ certFile: first.certFile, keyFile: first.keyFile, serverNames: ["other.example"] }] };
		watch.prepare(config)();
		expect(applied.map((certificates) => certificates.length)).toEqual([1, 2]);
	});
});
