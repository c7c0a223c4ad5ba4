import { defaultConfig } from "@shardcast/config";
import { describe, expect, it } from "vitest";
import { LiveConfig } from "../../src/lifecycle/live-config.ts";
import type { ClientSession } from "../../src/sessions/client-session.ts";

const client = () => ({ bufferedBytesMax: 0 }) as ClientSession;

describe("the smallest buffer limit of any client", () => {
	it("follows --max-buffered down and up again while there are no clients", () => {
		const live = new LiveConfig(defaultConfig({ maxBufferedBytes: 8_000_000 }));
		live.prepare(defaultConfig({ maxBufferedBytes: 65_536 }))();
		expect(live.bufferedBytesLeast).toBe(65_536);
		live.prepare(defaultConfig({ maxBufferedBytes: 8_000_000 }))();
		expect(live.bufferedBytesLeast).toBe(8_000_000);
	});

	it("stays low until the last client with the low limit has disconnected", () => {
		const live = new LiveConfig(defaultConfig({ maxBufferedBytes: 8_000_000 }));
		const [early, low, alsoLow, late] = [client(), client(), client(), client()];
		live.entered(early);
		live.prepare(defaultConfig({ maxBufferedBytes: 65_536 }))();
		live.entered(low);
		live.entered(alsoLow);
		live.prepare(defaultConfig({ maxBufferedBytes: 9_000_000 }))();
		live.entered(late);
		live.left(low);
		expect(live.bufferedBytesLeast).toBe(65_536);
		live.left(alsoLow);
		expect(live.bufferedBytesLeast).toBe(8_000_000);
		live.left(early);
		expect(live.bufferedBytesLeast).toBe(9_000_000);
		live.left(late);
		expect(live.bufferedBytesLeast).toBe(9_000_000);
	});

	it("is not affected by a client that failed while it was opened", () => {
		const live = new LiveConfig(defaultConfig({ maxBufferedBytes: 8_000_000 }));
		live.left(client());
		expect(live.bufferedBytesLeast).toBe(8_000_000);
	});
});

it("changes nothing before the new options are committed", () => {
	const live = new LiveConfig(defaultConfig({ apiKey: "a-secret-of-some-length" }));
	const { config, mayPublish, namespaces, allowedOrigins } = live;
	const commit = live.prepare(defaultConfig({ channelNamespaces: [], allowedOrigins: ["https://a.example"], clientPublish: "off" }));
	expect([live.config, live.mayPublish, live.namespaces, live.allowedOrigins]).toEqual([config, mayPublish, namespaces, allowedOrigins]);
	commit();
	expect(live.config.allowedOrigins).toEqual(["https://a.example"]);
});

describe("the options of a channel", () => {
	it("follow a reload from the next use on, and stay the same object while they do not change", () => {
		const live = new LiveConfig(defaultConfig());
		const before = live.namespaces;
		live.prepare(defaultConfig({ batch: 128, channelNamespaces: [] }))();
		expect(live.namespaces).toBe(before);
		expect(live.namespaces.of("chat:1").error).toBe(102);
		const chat = { name: "chat", ...defaultConfig().channelWithoutNamespace, historySize: 5, historyTtlMs: 1000 };
		live.prepare(defaultConfig({ channelNamespaces: [chat] }))();
		expect(live.namespaces.of("chat:1")).toMatchObject({ error: null, history: { size: 5 } });
	});
});
