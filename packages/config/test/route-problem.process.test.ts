import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { routeProblem } from "../src/kafka/route-problem.ts";

describe("routeProblem", () => {
	let folder: string;
	beforeAll(() => {
		folder = mkdtempSync(join(tmpdir(), "shardcast-route-"));
	});
	afterAll(() => rmSync(folder, { recursive: true, force: true }));

	const cases: readonly [name: string, source: string, problem: string | null][] = [
		["a function, whatever else it starts", 'setInterval(() => {}, 1000);\nexport default () => "x";\n', null],
		["syntax", "const a = 1;\n\nconst = 2;\n", "F:3: SyntaxError: Unexpected token '='"],
		["throws", 'const a = 1;\nthrow new TypeError("no database");\n', "F:2: TypeError: no database"],
		["unknown name", "export default () => 1;\nconnect();\n", "F:2: ReferenceError: connect is not defined"],
		["throws in another file", 'import "./throws.mjs";\n', "D/throws.mjs:2: TypeError: no database"],
		[
			"missing package",
			'import "no-such-package";\n',
			"F: Error [ERR_MODULE_NOT_FOUND]: Cannot find package 'no-such-package' imported from F",
		],
		["no default", "export const route = () => 1;\n", "F: its default export is undefined, not a function"],
		["throws text", 'throw "no error";\n', "F: no error"],
		["never settles", "await new Promise(() => {});\n", "F: its top-level await never settles"],
	];
	it("tells file, line and error of a module that cannot be used, and nothing of one that can", async () => {
		const pathOf = (name: string) => join(folder, `${name.replaceAll(" ", "-")}.mjs`);
		for (const [name, source] of cases) writeFileSync(pathOf(name), source);
		const problems: (string | null)[] = [];
		// One after the other: nine processes that start at once may take longer than one is given.
		for (const [name] of cases) problems.push(await routeProblem(pathOf(name)));
		const named = problems.map((problem, index) => problem?.replaceAll(pathOf(cases[index]![0]), "F").replaceAll(folder, "D") ?? null);
		expect(named).toEqual(cases.map(([, , problem]) => problem));
	});

	it("does not wait for a process that the module has started", async () => {
		const path = join(folder, "grandchild.mjs");
		const pidFile = join(folder, "grandchild.pid");
		writeFileSync(
			path,
			[
				'import { spawn } from "node:child_process";',
				'import { writeFileSync } from "node:fs";',
				'const child = spawn("sleep", ["60"], { detached: true, stdio: ["ignore", "ignore", "inherit"] });',
				`writeFileSync(${JSON.stringify(pidFile)}, String(child.pid));`,
				'throw new Error("no database");',
			].join("\n"),
		);
		const beganMs = performance.now();
		try {
			expect(await routeProblem(path)).toBe(`${path}:5: Error: no database`);
		} finally {
			process.kill(Number(readFileSync(pidFile, "utf8")), "SIGKILL");
		}
		expect(performance.now() - beganMs).toBeLessThan(8000);
	}, 20_000);

	it("says so when this process may open no more files", () => {
		const script = `
			import { openSync } from "node:fs";
			import { routeProblem } from "@shardcast/config";
			try { for (;;) openSync("/dev/null"); } catch {}
			routeProblem("/nowhere.mjs").then((problem) => process.stdout.write(problem));
		`;
		const node = [process.execPath, "--input-type=module", "--eval", script];
		const { stdout, stderr } = spawnSync("/bin/sh", ["-c", 'ulimit -n 128; exec "$@"', "sh", ...node], {
			cwd: import.meta.dirname,
			// Node reads this file in the background, and warns if it has no files any more.
			env: { ...process.env, NODE_EXTRA_CA_CERTS: "" },
			encoding: "utf8",
			timeout: 20_000,
		});
		expect(stderr).toBe("");
		expect(stdout).toMatch(/^\/nowhere\.mjs: node cannot be started to load it: .*EMFILE/);
	});
});
