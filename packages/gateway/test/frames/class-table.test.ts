import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { FrameClass } from "../../src/frames/frame-descriptor.ts";

const read = (path: string): string => readFileSync(join(import.meta.dirname, "../../../..", path), "utf8");

/** The class table of the protocol's page. */
function documented(): object {
	const [, section = ""] = read("docs/reference/gateway-protocol.md").split("\n## Classes\n");
	const [table = "", rest] = section.split("\n\n**Priority.**");
	expect(rest, "what follows the table").toBeDefined();
	return Object.fromEntries(
		[...table.matchAll(/^\| 0x([0-9a-f]{2}) \| ([A-Z]+) \|/gm)].map(([, value, name]) => [name, Number.parseInt(value!, 16)]),
	);
}

function ofJavaScript(): object {
	const [, list = ""] = /^export const FrameClass = Object\.freeze\(\{(.*)\}\);$/m.exec(read("examples/gateway/gateway-backend.mjs")) ?? [];
	return Object.fromEntries([...list.matchAll(/(\w+): (\w+)/g)].map(([, name, value]) => [name, Number(value)]));
}

function ofPython(): object {
	const [, names = "", count] = /^([A-Z]+(?:, [A-Z]+)+) = range\((\d+)\)$/m.exec(read("examples/gateway/gateway_backend.py")) ?? [];
	return Object.fromEntries(Array.from({ length: Number(count) }, (_, value) => [names.split(", ")[value], value]));
}

describe("the classes of frames", () => {
	it.each([
		["the protocol's page", documented],
		["the library in JavaScript", ofJavaScript],
		["the library in Python", ofPython],
	])("are the same in %s", (_, classes) => {
		expect(classes()).toEqual(FrameClass);
	});
});
