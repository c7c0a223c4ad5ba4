import { describe, expect, it } from "vitest";
import { ConfigError } from "../src/load/config-error.ts";
import { loadConfig } from "../src/load/load.ts";
import { type Config, type ConfigKey, optionOf } from "../src/options/options.ts";

function load(key: ConfigKey, raw: unknown): Config {
	return loadConfig({ flags: new Map([[key, { raw, layer: { kind: "flag", name: `--${optionOf(key).flag}` } }]]) }).config;
}

function mistake(key: ConfigKey, raw: unknown): string {
	try {
		load(key, raw);
		return "";
	} catch (error) {
		if (error instanceof ConfigError) return error.lines.join("\n");
		throw error;
	}
}

describe("thresholds of guards", () => {
	it.each(["80", "80%", "80 %", 80, " 80 "])("%j is 80 %%", (raw) => expect(load("guardMemory", raw).guardMemory).toBe(80));

	it.each(["0", "off", 0, "0%", false])("%j switches a guard off", (raw) => {
		expect(load("guardMemory", raw).guardMemory).toBe(0);
		expect(load("guardDescriptors", raw === "0%" ? "0" : raw).guardDescriptors).toBe(0);
		expect(load("guardLoopLagMs", raw === "0%" ? "0" : raw).guardLoopLagMs).toBe(0);
	});

	it.each([
		["guardMemory", "101", "is not a whole number of percent from 1% to 100%, or off"],
		["guardMemory", "0.9", "is not a whole number of percent from 1% to 100%, or off"],
		["guardMemory", "-5%", "is not a whole number of percent from 1% to 100%, or off"],
		["guardMemory", "on", "is not a whole number of percent from 1% to 100%, or off"],
		["guardLoopLagMs", "500", "has no unit; write 500s or 500ms"],
		["guardLoopLagMs", "5ms", "is not 0 or between 10ms and 1m"],
		["guardDescriptors", "5%", "is not a whole number from 0 to 100000"],
		["guardCpuWindowMs", "1s", "is not between 2s and 10m"],
		["guardHoldMs", "off", "is not a duration"],
	] as const)("%s: %s is refused", (key, raw, message) => {
		expect(mistake(key, raw)).toContain(`--${optionOf(key).flag}: "${raw}" ${message}`);
	});

	it("are written as they are read", () => {
		for (const [key, value, text] of [
			["guardCpu", 75, "75%"],
			["guardCpu", 0, "off"],
			["guardLoopLagMs", 500, "500ms"],
			["guardLoopLagMs", 0, "off"],
		] as const) {
			expect(optionOf(key).show(value)).toBe(text);
			expect(load(key, optionOf(key).toFile(value))[key]).toBe(value);
		}
		expect(optionOf("guardCpu").argument).toBe("<percent|off>");
	});
});
