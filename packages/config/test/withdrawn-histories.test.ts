import { describe, expect, it } from "vitest";
import { type Config, ConfigError, defaultConfig, WithdrawnHistories } from "../src/index.ts";

const plain = defaultConfig().channelWithoutNamespace;
const kept = { historySize: 10, historyTtlMs: 60_000 };
const withNamespaces = (...channelNamespaces: Config["channelNamespaces"]): Config => ({ ...defaultConfig(), channelNamespaces });
const [on, off, gone] = [
	withNamespaces({ ...plain, ...kept, name: "chat" }),
	withNamespaces({ ...plain, name: "chat" }),
	withNamespaces({ ...plain, ...kept, name: "other" }),
];

describe("a history that a reload has taken away", () => {
	it.each([
		["the history", off],
		["the namespace", gone],
	])("with %s: is not given back by another", (_what, without) => {
		const withdrawn = new WithdrawnHistories();
		withdrawn.prepare(on, without)();
		expect(() => withdrawn.prepare(without, on)).toThrow(ConfigError);
		expect(() => withdrawn.prepare(without, on)).toThrow(/history_size of the namespace "chat": .* restart shardcast/);
		expect(() => withdrawn.prepare(without, gone)).not.toThrow();
	});

	it("of channels without a namespace: likewise", () => {
		const withdrawn = new WithdrawnHistories();
		const without = defaultConfig();
		const had: Config = { ...without, channelWithoutNamespace: { ...plain, ...kept } };
		withdrawn.prepare(had, without)();
		expect(() => withdrawn.prepare(without, had)).toThrow(/history_size of channel\.without_namespace: /);
	});

	it("by a reload that failed: was not taken away", () => {
		const withdrawn = new WithdrawnHistories();
		withdrawn.prepare(on, off);
		expect(() => withdrawn.prepare(on, on)).not.toThrow();
	});
});

it("a first history, and one that changes its size, is no matter", () => {
	const withdrawn = new WithdrawnHistories();
	withdrawn.prepare(off, on)();
	withdrawn.prepare(on, withNamespaces({ ...plain, ...kept, historySize: 3, name: "chat" }))();
	expect(() => withdrawn.prepare(off, on)).not.toThrow();
});
