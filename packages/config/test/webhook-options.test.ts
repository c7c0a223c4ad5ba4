import { describe, expect, it } from "vitest";
import { ConfigError } from "../src/load/config-error.ts";
import { loadConfig } from "../src/load/load.ts";
import { formatConfig } from "../src/load/print.ts";

const whole = { name: "main", endpoint: "https://backend.example/hook", secret: "a-secret-of-16-characters" };

function load(...targets: readonly object[]) {
	return loadConfig({ environment: { SHARDCAST_WEBHOOKS: JSON.stringify(targets) } });
}

function mistakesIn(...targets: readonly object[]): readonly string[] {
	try {
		load(...targets);
		return [];
	} catch (error) {
		if (error instanceof ConfigError) return error.lines;
		throw error;
	}
}

describe("the options of webhooks", () => {
	it("have defaults, and there is none by default", () => {
		expect(loadConfig({}).config).toMatchObject({ webhooks: [], webhookVacatedDelayMs: 5000 });
		expect(load(whole).config.webhooks).toEqual([
			{
				...whole,
				formerSecret: undefined,
				events: [],
				namespaces: [],
				timeoutMs: 5000,
				batchMax: 500,
				batchDelayMs: 100,
				queueMax: 100_000,
				retryMinMs: 500,
				retryMaxMs: 30_000,
			},
		]);
	});

	it.each([
		["a secret that is missing", { secret: undefined }, '"main" has no secret, by which its receiver knows who sends'],
		["a secret that is too short", { secret: "short" }, "must have at least 16 characters and no white space"],
		["an endpoint of another kind", { endpoint: "ftp://x" }, "is not a URL that begins with https:// or http://"],
		["an empty endpoint", { endpoint: "" }, "is not a URL that begins with https:// or http://"],
		["a password in the endpoint", { endpoint: "https://me:pass@x" }, "has a user or a password in it"],
		[
			"an event that there is not",
			{ events: ["publish"] },
			'has "publish", which is not an event of webhooks: connect, disconnect, subscribe',
		],
		["a namespace that there is not", { namespaces: ["chat"] }, 'there is no namespace "chat"; add it to channel.namespaces'],
		["pauses in the wrong order", { retry_min: "2m" }, "retry_min, 2m, is longer than retry_max, 30s"],
		["no events at once", { batch_max: 0 }, "is not a whole number from 1 to 10000"],
	])("name %s", (_what, wrong, told) => {
		expect(mistakesIn({ ...whole, ...wrong }).join("\n")).toContain(told);
	});

	it("at the bound: 16 targets, and none of the same name", () => {
		const targets = (count: number) => Array.from({ length: count }, (_, n) => ({ ...whole, name: `n${n}` }));
		expect(mistakesIn(...targets(16))).toEqual([]);
		expect(mistakesIn(...targets(17)).join()).toContain("there are 17 webhooks; the most is 16");
		expect(mistakesIn(whole, whole)).toHaveLength(1);
	});

	it("are printed without the secrets", () => {
		const former = "former-secret-of-that-length";
		const printed = formatConfig(load({ ...whole, former_secret: former }));
		expect(printed).toContain("https://backend.example/hook");
		expect(printed).not.toMatch(new RegExp(`${whole.secret}|${former}`));
	});
});
