import { describe, expect, it } from "vitest";
import { loadConfig } from "../src/index.ts";
import { type ConfigKey, optionOf } from "../src/options/options.ts";

const load = (given: Partial<Record<ConfigKey, string>>) => {
	const found = Object.entries(given).map(
		([key, raw]) => [key as ConfigKey, { raw, layer: { kind: "flag", name: `--${optionOf(key as ConfigKey).flag}` } }] as const,
	);
	return loadConfig({ flags: new Map(found), file: undefined, environment: {} }).config;
};
const problem = (given: Partial<Record<ConfigKey, string>>): string => {
	try {
		load(given);
		return "";
	} catch (error) {
		return (error as Error).message;
	}
};

describe("options of the gateway", () => {
	it("backends have one spelling, IPv6 and names included", () => {
		expect(load({ gatewayBackends: "127.0.0.1:9001, [::1]:9002,camera.example.com:9003" }).gatewayBackends).toEqual([
			"127.0.0.1:9001",
			"[::1]:9002",
			"camera.example.com:9003",
		]);
	});

	it.each([
		[{ gatewayBackends: "a" }, '--backends: "a" has no port of a backend; write a:9001'],
		[{ gatewayBackends: ":9001" }, '--backends: ":9001" has no host of a backend; write 127.0.0.1:9001'],
		[{ gatewayBackends: "a:1:2" }, '--backends: "a:1:2" is not the address of a backend; write 127.0.0.1:9001 or [::1]:9001'],
		[
			{ gatewayBackends: "a:1, 5,b" },
			'--backends: "5" has no host of a backend; write 127.0.0.1:9001\n--backends: "b" has no port of a backend; write b:9001',
		],
		[{ gatewayBackends: "a:1 b:1" }, '--backends: "a:1 b:1" is not the address of a backend; write 127.0.0.1:9001 or [::1]:9001'],
		[{ gatewayBackends: "a:1,a:1" }, "--backends: a:1 is listed twice"],
		[
			{ gatewayBackends: Array.from({ length: 65 }, (_, index) => `a:${index + 1}`).join() },
			"--backends: there are 65 backends; the most is 64",
		],
		[
			{ discover: "true", discoverySecret: "a-secret-of-16-ch", discoveryNetworks: "10.0.0.0/8" },
			"--discovery-networks: with --discovery-secret only signed announcements count, from anywhere; leave one of the two out",
		],
		[{ adminKey: "ключключключключ" }, "--admin-key: the value must have no characters other than those of ASCII"],
		[{ discover: "true", discoverySecret: "short" }, "--discovery-secret: the value must have at least 16 characters and no white space"],
		[
			{ clientQueueBytes: "1MiB" },
			"--client-queue-bytes: a frame of 8MiB (--max-frame) would not fit; give at least that, or a smaller --max-frame",
		],
		[{ clientQueueBytes: "1MiB", maxFrameBytes: "1MiB" }, ""],
		[
			{ backendReconnectMinMs: "40s" },
			"--backend-reconnect-min: 40s is longer than the longest pause, 30s (--backend-reconnect-max); give at most that",
		],
		// With less, a frame of 8 MiB would be more than a client's share, always.
		[{ bufferMemoryBytes: "16MiB" }, '--buffer-memory: "16MiB" is not between 32MiB and 16GiB'],
		[{ backendBandwidth: "1000" }, '--backend-bandwidth: "1000" is not 0 or between 1KiB and 10GiB'],
		[{ clientBandwidth: "0", backendBandwidth: "1KiB" }, ""],
		[{ maxFrameBytes: "9MiB" }, '--max-frame: "9MiB" is not between 512B and 8MiB'],
	] as const)("%j: %s", (given, line) => {
		expect(problem(given)).toBe(line);
	});
});
