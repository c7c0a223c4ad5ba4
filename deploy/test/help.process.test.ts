import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { run } from "./commands.ts";

const { scripts } = JSON.parse(readFileSync("package.json", "utf8")) as { scripts: Readonly<Record<string, string>> };

/** What people start by hand: each npm script that runs a program of ours, once, and each script below deploy/. */
const programs: readonly (readonly [string, readonly string[]])[] = [
	...[...new Set(Object.values(scripts))]
		.filter((command) => command.startsWith("node "))
		.map((command) => [command, [process.execPath, ...command.split(" ").slice(1)]] as const),
	...readdirSync("deploy")
		// These two are parts of the others.
		.filter((name) => name.endsWith(".sh") && name !== "engine.sh" && name !== "help.sh")
		.map((name) => [`deploy/${name}`, ["bash", `deploy/${name}`]] as const),
];

describe("what is started by hand", () => {
	it.concurrent.each(programs)(
		"%s --help says how it is used, and does nothing else",
		{ tags: ["long"] },
		async (_, [command, ...args]) => {
			const { status, output } = await run(command!, [...args, "--help"]);
			expect(output).toMatch(/^usage: /im);
			expect(output.length).toBeLessThan(20_000);
			expect(status, output).toBe(0);
		},
	);

	it.concurrent.each(programs)(
		"%s refuses a flag that it does not know, by its name",
		{ tags: ["long"] },
		async (_, [command, ...args]) => {
			const { status, output } = await run(command!, [...args, "--no-such-flag"]);
			expect(output).toContain("--no-such-flag");
			expect(status, output).toBe(2);
		},
	);
});
