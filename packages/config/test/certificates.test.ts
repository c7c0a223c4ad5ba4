import { execFileSync } from "node:child_process";
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { makeCertificate, type TestCertificate } from "@shardcast/testkit";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ConfigError } from "../src/load/config-error.ts";
import { defaultConfig, loadConfig } from "../src/load/load.ts";
import type { Config } from "../src/options/options.ts";
import { certificateFor, usesTls } from "../src/tls/certificate.ts";
import { loadCertificates } from "../src/tls/load-certificates.ts";
import { expiryWarning } from "../src/tls/read-pair.ts";

let folder: string;
let one: TestCertificate;
let other: TestCertificate;
beforeAll(() => {
	folder = mkdtempSync(join(tmpdir(), "certificates-"));
	one = makeCertificate(folder, { name: "one", serverNames: ["one.example", "*.one.example"] });
	other = makeCertificate(folder, { name: "other", serverNames: ["Other.example"] });
});
afterAll(() => rmSync(folder, { recursive: true }));

const standard = defaultConfig();
const load = (changes: Partial<Config>) => loadCertificates({ ...standard, ...changes }, (key) => `--${key}`);
const pair = ({ certFile, keyFile }: TestCertificate): Partial<Config> => ({ tlsCert: certFile, tlsKey: keyFile });

/** The lines of the error. */
function problems(changes: Partial<Config>): readonly string[] {
	try {
		load(changes);
	} catch (error) {
		if (error instanceof ConfigError) return error.lines;
		throw error;
	}
	return [];
}
function file(name: string, text: string): string {
	const path = join(folder, name);
	writeFileSync(path, text, { mode: 0o600 });
	return path;
}

describe("certificates", () => {
	it("are read with their keys and the names in them", () => {
		const { certificates, warnings } = load({
			...pair(one),
			tlsCertificates: [{ certFile: other.certFile, keyFile: other.keyFile, serverNames: [] }],
		});
		expect(warnings).toEqual([]);
		expect(certificates.map(({ serverNames }) => serverNames)).toEqual([["one.example", "*.one.example"], ["other.example"]]);
		expect(certificates[0]!.chain).toBe(readFileSync(one.certFile, "utf8"));
		expect(certificates[0]!.expiresMs / 86_400_000 - Date.now() / 86_400_000).toBeCloseTo(30, 1);
		const for_ = (name: string | null) => certificateFor(certificates, name).path;
		expect(for_("ONE.example")).toBe(one.certFile);
		expect(for_("other.EXAMPLE")).toBe(other.certFile);
		expect(for_("a.one.example")).toBe(one.certFile);
		expect(for_("a.other.example"), "a name that nobody has").toBe(one.certFile);
		expect(for_(null)).toBe(one.certFile);
	});

	it("may have names that are given, and may lie in one file with the key", () => {
		const both = file("both.pem", readFileSync(other.keyFile, "utf8") + readFileSync(other.certFile, "utf8"));
		const { certificates } = load({ ...pair(one), tlsCertificates: [{ certFile: both, keyFile: "", serverNames: ["Given.example"] }] });
		expect(certificates[1]!.serverNames).toEqual(["given.example"]);
	});

	it("are not read while TLS is off", () => {
		expect(load({ tlsEnabled: false, tlsCert: "/nowhere" }).certificates).toEqual([]);
		expect(usesTls(defaultConfig())).toBe(false);
		expect(usesTls(defaultConfig({ tlsCert: "x" }))).toBe(true);
	});

	it("that OpenSSL takes and the WebSocket library does not are refused", { tags: ["long"] }, () => {
		const exponent = makeCertificate(folder, { name: "exponent", key: ["rsa:2048", "-pkeyopt", "rsa_keygen_pubexp:8589934593"] });
		expect(problems(pair(exponent))).toEqual([
			`--tlsKey: ${exponent.keyFile} has an RSA key with a public exponent of 34 bits; use 65537, as is usual`,
		]);
		const usage = (name: string, keyUsage: string, key?: string[]) =>
			makeCertificate(folder, { name, extensions: [`keyUsage=${keyUsage}`], ...(key && { key }) });
		const wrong = usage("usage", "critical,keyEncipherment");
		expect(problems(pair(wrong))).toEqual([
			`--tlsCert: ${wrong.certFile} has an ECDSA key that it does not allow to sign; its key usage must have digitalSignature`,
		]);
		for (const right of [
			usage("signs", "digitalSignature"),
			usage("both", "keyEncipherment,digitalSignature"),
			usage("rsa", "keyEncipherment", ["rsa:2048"]),
		])
			expect(problems(pair(right)), right.certFile).toEqual([]);
	});

	it("that are missing, cut, swapped or in another format are refused in one line each that names the file and the fix", {
		tags: ["long"],
	}, () => {
		const cut = file("cut.crt", readFileSync(one.certFile, "utf8").slice(0, 300));
		const cutKey = file("cut.key", readFileSync(one.keyFile, "utf8").slice(0, 100));
		const der = file("der.crt", "");
		writeFileSync(der, execFileSync("openssl", ["x509", "-in", one.certFile, "-outform", "der"]));
		const junk = file("junk.crt", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
		const cases: [Partial<Config>, string][] = [
			[{ tlsCert: "/nowhere/a.crt", tlsKey: one.keyFile }, "--tlsCert: /nowhere/a.crt does not exist; name a file that does"],
			[{ tlsCert: folder, tlsKey: one.keyFile }, `--tlsCert: ${folder} is not a regular file; name one`],
			[{ tlsCert: one.certFile, tlsKey: "/nowhere/a.key" }, "--tlsKey: /nowhere/a.key does not exist; name a file that does"],
			[
				{ tlsCert: one.keyFile, tlsKey: one.certFile },
				`--tlsCert: ${one.keyFile} has a private key and no certificate; have the two files been swapped?`,
			],
			[
				{ tlsCert: one.certFile, tlsKey: other.certFile },
				`--tlsKey: ${other.certFile} has a certificate and no private key; have the two files been swapped?`,
			],
			[pair({ ...one, keyFile: "" }), `--tlsKey: ${one.certFile} has no private key; name the file that has it`],
			[{ tlsCert: one.certFile, tlsKey: other.keyFile }, `--tlsKey: ${other.keyFile} is not the key of the certificate in ${one.certFile}`],
			[{ tlsCert: cut, tlsKey: one.keyFile }, `--tlsCert: ${cut} ends in the middle of a certificate`],
			[{ tlsCert: one.certFile, tlsKey: cutKey }, `--tlsKey: ${cutKey} has a private key that can't be read: `],
			[{ tlsCert: der, tlsKey: one.keyFile }, `--tlsCert: ${der} is in DER, not in PEM; convert it with openssl x509 -inform der`],
			[{ tlsCert: junk, tlsKey: one.keyFile }, `--tlsCert: ${junk} has a certificate that can't be read, number 1 of 1: `],
		];
		for (const [changes, line] of cases) expect(problems(changes), line).toEqual([expect.stringContaining(line)]);
	});

	it("with a key that is encrypted need its passphrase", () => {
		const sealed = makeCertificate(folder, { name: "sealed", passphrase: "open sesame".replace(" ", "-") });
		expect(problems(pair(sealed))).toEqual([expect.stringContaining("is encrypted; give its passphrase in SHARDCAST_TLS_KEY_PASSPHRASE")]);
		expect(problems({ ...pair(sealed), tlsKeyPassphrase: "wrong" })).toEqual([
			expect.stringContaining("can't be decrypted; is the passphrase"),
		]);
		expect(load({ ...pair(sealed), tlsKeyPassphrase: "open-sesame" }).certificates[0]!.key).toContain("-----BEGIN PRIVATE KEY-----");
	});

	it("with a key that the library for WebSockets does not take are refused", { tags: ["long"] }, () => {
		const edwards = makeCertificate(folder, { name: "edwards", key: ["ed25519"] });
		expect(problems(pair(edwards))).toEqual([expect.stringContaining("has a key of type ed25519; use RSA or ECDSA")]);
		const short = makeCertificate(folder, { name: "short", key: ["rsa:1024"] });
		expect(problems(pair(short))).toEqual([`--tlsKey: ${short.keyFile} has an RSA key of 1024 bits; use 2048 or more`]);
		const curve = makeCertificate(folder, { name: "curve", key: ["ec", "-pkeyopt", "ec_paramgen_curve:secp256k1"] });
		expect(problems(pair(curve))).toEqual([expect.stringContaining("has a key on the curve secp256k1; use P-256, P-384 or P-521")]);
		expect(load(pair(makeCertificate(folder, { name: "rsa", key: ["rsa:2048"] }))).certificates).toHaveLength(1);
	});

	it("besides the first need a name, and the first needs to be there", { tags: ["long"] }, () => {
		const nameless = makeCertificate(folder, { name: "nameless" });
		const certFiles = { certFile: nameless.certFile, keyFile: nameless.keyFile, serverNames: [] };
		expect(problems({ ...pair(one), tlsCertificates: [certFiles] })).toEqual([
			expect.stringContaining("has no server names; give some in server_names"),
		]);
		const many = Array.from({ length: 32 }, () => certFiles);
		expect(problems({ ...pair(one), tlsCertificates: many })).toEqual(["--tlsCertificates: there are 32; the most is 31"]);
		const start = (env: Record<string, string>) => () => loadConfig({ environment: env });
		expect(start({ SHARDCAST_TLS: "true" })).toThrow(/SHARDCAST_TLS: there is no certificate; name its file in --tls-cert/);
		expect(start({ SHARDCAST_TLS_KEY: "x" })).toThrow(/SHARDCAST_TLS_KEY: there is no first certificate/);
		const proxied = { SHARDCAST_TLS_CERT: "x", SHARDCAST_PROXY_PROTOCOL: "true", SHARDCAST_TRUSTED_PROXIES: "10.0.0.1" };
		expect(start(proxied)).toThrow(/SHARDCAST_PROXY_PROTOCOL: PROXY headers and TLS do not go together here/);
	});

	it("that will trouble clients are warned of: a key for everybody, an end that is near, a wrong order, a name that is taken", () => {
		const open = makeCertificate(folder, { name: "open", days: 3 });
		chmodSync(open.keyFile, 0o644);
		const chain = file("chain.crt", readFileSync(open.certFile, "utf8") + readFileSync(other.certFile, "utf8"));
		const twin = { certFile: one.certFile, keyFile: one.keyFile, serverNames: ["other.example"] };
		const { warnings } = load({
			tlsCert: chain,
			tlsKey: open.keyFile,
			tlsCertificates: [{ certFile: other.certFile, keyFile: other.keyFile, serverNames: [] }, twin],
		});
		expect(warnings).toEqual([
			expect.stringMatching(/chain\.crt expires on \d{4}-\d\d-\d\d, in [23] days$/),
			expect.stringContaining("the second certificate has not issued the first"),
			`--tlsCert: ${open.keyFile} may be read by every user of this machine; run chmod o= on it`,
			expect.stringContaining(`clients of other.example get the certificate in ${other.certFile}, which comes first`),
		]);
		const day = 86_400_000;
		expect(expiryWarning("a.crt", 20 * day, 5 * day)).toBeNull();
		expect(expiryWarning("a.crt", 20 * day, 6 * day)).toEqual(["a.crt expires on 1970-01-21, in 14 days"]);
		expect(expiryWarning("a.crt", 20 * day, 20 * day)).toEqual(["a.crt expired on 1970-01-21: clients refuse it"]);
	});
});
