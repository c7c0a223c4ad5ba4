import { copyFileSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { defaultConfig, type ProxyTlsOptions } from "@shardcast/config";
import { silentLog } from "@shardcast/telemetry";
import { makeCertificate } from "@shardcast/testkit";
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

it("an error about a file that has disappeared names the option, not the file", () => {
	const missing = join(directory, "none.pem");
	const begun = () => backendOptions("chat", withTls({ serverCa: missing }));
	expect(begun).toThrow("http.tls.server_ca_pem of the proxy chat: is not PEM, and the file that it names does not exist");
	expect(begun).not.toThrow(missing);
});

it("a reload reads a new certificate from the same file, and keeps the counters", { tags: ["long"] }, () => {
	const [first, second] = ["first", "second"].map((name) => makeCertificate(directory, { name }).certFile) as [string, string];
	const file = join(directory, "ca.pem");
	copyFileSync(first, file);
	const config = defaultConfig({ connectProxy: withTls({ serverCa: file }) });
	const hooks = new Hooks(config, silentLog());
	const before = hooks.connect!;
	hooks.prepare(config)();
	expect(hooks.connect, "nothing has changed").toBe(before);
	before.backend.counts.replies = 7;
	copyFileSync(second, file);
	hooks.prepare(config)();
	expect([hooks.connect!.backend.options.tls, hooks.connect!.backend.counts.replies]).toEqual([{ ca: readFileSync(second, "utf8") }, 7]);
	hooks.stop();
});
