import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePorts, getJson, httpRequest } from "@shardcast/testkit";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parse } from "yaml";
import { type Ended, run } from "./commands.ts";
import { deploy } from "./metric-names.ts";

const root = join(deploy, "..");
let state: string;
let base: number;

beforeAll(async () => {
	state = mkdtempSync(join(tmpdir(), "shardcast-local-"));
	base = await freePorts(3);
});
afterAll(async () => {
	await local("down");
	rmSync(state, { recursive: true });
});

const local = (...args: string[]): Promise<Ended> =>
	run(process.execPath, [join(deploy, "local/multi.mjs"), ...args], {
		env: { SHARDCAST_LOCAL_STATE: state, SHARDCAST_BASE_PORT: String(base) },
	});
const up = (): Promise<Ended> => local("up", "--shards", "1", "--lb-addr", `127.0.0.1:${base + 2}`);
const url = (): string => `http://127.0.0.1:${base + 2}`;

describe("local/multi.mjs", () => {
	it("up comes back once every shard serves, a second up changes nothing, down stops in order", async () => {
		const started = await up();
		expect(started.status, started.output).toBe(0);
		expect((await httpRequest(`${url()}/ready`)).status).toBe(200);
		const { balancer } = await getJson<{ balancer: { pid: number } }>(`${url()}/health`);

		expect((await up()).output).toContain("runs already");
		expect((await getJson<{ balancer: { pid: number } }>(`${url()}/health`)).balancer.pid).toBe(balancer.pid);
		expect((await local("status")).status).toBe(0);

		const stopped = await local("down");
		expect(stopped.status, stopped.output).toBe(0);
		expect(stopped.output).toContain("nothing was cut off");
		expect(() => process.kill(balancer.pid, 0)).toThrow();
		expect((await local("status")).status).toBe(1);
		expect((await local("down")).output).toContain("does not run");
	});

	it("a cluster that cannot start says why, ends with its exit status, and leaves nothing that looks like one", async () => {
		const taken = createServer().listen(base + 2, "127.0.0.1");
		try {
			await new Promise((resolve) => taken.once("listening", resolve));
			const { status, output } = await up();
			expect(status).toBe(2);
			expect(output).toMatch(/did not start[\s\S]*--lb-addr/);
			expect((await local("status")).status).toBe(1);
		} finally {
			taken.close();
		}
	});
});

describe("Taskfile.yml", () => {
	const { tasks } = parse(readFileSync(join(root, "Taskfile.yml"), "utf8")) as {
		tasks: Readonly<
			Record<string, { readonly desc?: string; readonly cmd?: string; readonly cmds?: readonly { cmd: string; for?: string[] }[] }>
		>;
	};
	const { scripts } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { scripts: Readonly<Record<string, string>> };

	it("has the tasks that people are told of, each with a sentence", () => {
		const names = [
			"local:multi:up",
			"local:multi:test",
			"local:multi:down",
			"local:cluster:up",
			"local:cluster:test",
			"local:cluster:down",
			"test",
			"bench",
			"kafka:up",
			"kafka:down",
			"demo",
		];
		expect(Object.keys(tasks)).toEqual(expect.arrayContaining(names));
		for (const [name, { desc }] of Object.entries(tasks)) expect(desc, name).toMatch(/^[A-Z]/);
	});

	it("runs all benchmarks, and the README names them", () => {
		const benchmarks = Object.keys(scripts).flatMap((name) => (name.startsWith("bench:") ? [name.slice("bench:".length)] : []));
		expect(tasks.bench!.cmds![0]!.for!.toSorted()).toEqual(benchmarks.toSorted());
		const readme = readFileSync(join(root, "README.md"), "utf8");
		expect(benchmarks.filter((name) => !new RegExp(`:${name}\\b`).test(readme))).toEqual([]);
	});

	it("calls only npm scripts that there are", () => {
		const commands = Object.values(tasks).flatMap(({ cmd, cmds }) => [
			...(cmd === undefined ? [] : [cmd]),
			...(cmds ?? []).flatMap((each) => (each.for ?? []).map((item) => each.cmd.replace("{{.ITEM}}", item))),
		]);
		const called = commands.flatMap((command) => /^npm (?:run (?:--silent )?)?([\w:]+)/.exec(command)?.[1] ?? []);
		expect(called.length).toBeGreaterThan(10);
		expect(called.filter((name) => scripts[name] === undefined)).toEqual([]);
	});
});
