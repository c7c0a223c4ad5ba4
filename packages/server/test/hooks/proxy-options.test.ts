import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { defaultConfig, type ProxyTlsOptions } from "@shardcast/config";
import { silentLog } from "@shardcast/telemetry";
import { afterEach, beforeEach, expect, it } from "vitest";
import { Hooks } from "../../src/hooks/hooks.ts";
import { backendOptions } from "../../src/hooks/proxy-options.ts";

let directory: string;
beforeEach(() => {
	directory = mkdtempSync(join(tmpdir(), "proxy-options-"));
});
afterEach(() => rmSync(directory, { recursive: true }));

const { connectProxy } = defaultConfig();
const withTls = (tls: Partial<ProxyTlsOptions>) => ({
	...connectProxy,
	enabled: true,
	endpoint: "https://backend.example/",
	http: { ...connectProxy.http, tls: { ...connectProxy.http.tls, enabled: true, ...tls } },
});

it("certificates are given as they are, or as the file that they are in", () => {
	const file = join(directory, "ca.pem");
	writeFileSync(file, "from a file");
	const pem = "-----BEGIN CERTIFICATE-----\nx";
	expect(backendOptions("chat", withTls({ serverCa: file, cert: pem, serverName: "b" })).tls).toEqual({
		ca: "from a file",
		cert: pem,
		servername: "b",
	});
	expect(backendOptions("chat", { ...withTls({ serverCa: file, enabled: false }) }).tls).toEqual({});
	const missing = join(directory, "none.pem");
	expect(() => backendOptions("chat", withTls({ key: missing }))).toThrow(
		`http.tls of the proxy chat: the file ${missing} cannot be read (ENOENT); give another`,
	);
});

it("a reload brings another certificate from the same file, and keeps what is counted", () => {
	const file = join(directory, "ca.pem");
	writeFileSync(file, "first");
	const config = defaultConfig({ connectProxy: withTls({ serverCa: file }) });
	const hooks = new Hooks(config, silentLog());
	const first = hooks.connect!;
	hooks.prepare(config)();
	expect(hooks.connect, "nothing has changed").toBe(first);
	first.backend.counts.replies = 7;
	writeFileSync(file, "second");
	hooks.prepare(config)();
	expect([hooks.connect!.backend.options.tls, hooks.connect!.backend.counts.replies]).toEqual([{ ca: "second" }, 7]);
	hooks.stop();
});
