import { chmodSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePorts, getJson, haproxyForTests, postgresForTests, redisForTests } from "@shardcast/testkit";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Ended, run } from "./commands.ts";
import { deploy } from "./metric-names.ts";

const installed = [redisForTests(), postgresForTests(), haproxyForTests()].every(Boolean);

describe.skipIf(!installed)("local/cluster.mjs", () => {
	let state: string;
	let port: number;
	const sharedMemory = (): string[] => readdirSync("/dev/shm").filter((name) => name.startsWith("shardcast-local-cluster-"));
	const before = sharedMemory();
	const local = (...args: string[]): Promise<Ended> =>
		run(process.execPath, [join(deploy, "local/cluster.mjs"), ...args], { env: { SHARDCAST_LOCAL_STATE: state }, timeoutMs: 120_000 });
	const up = (): Promise<Ended> => local("up", "--port", String(port));

	beforeAll(async () => {
		state = mkdtempSync(join(tmpdir(), "shardcast-local-"));
		// PostgreSQL is another user when this is root.
		chmodSync(state, 0o711);
		port = await freePorts(3);
	});
	afterAll(async () => {
		await local("down");
		rmSync(state, { recursive: true });
	});

	it("refuses a bad flag and a port that is taken, and leaves nothing behind", async () => {
		expect(await local("up", "--no-such-flag")).toMatchObject({ status: 2, output: expect.stringContaining("--no-such-flag") });
		expect(await local("up", "--port", "high")).toMatchObject({ status: 2, output: expect.stringContaining('--port: "high"') });
		expect(await local("test")).toMatchObject({ status: 1, output: expect.stringContaining("does not run") });
		const taken = createServer().listen(port + 1, "127.0.0.1");
		try {
			await new Promise((resolve) => taken.once("listening", resolve));
			const { status, output } = await up();
			expect(status).toBe(1);
			expect(output).toContain(`cannot listen on 127.0.0.1:${port + 1} (EADDRINUSE)`);
			expect(readdirSync(state)).toEqual([]);
		} finally {
			await new Promise((resolve) => taken.close(resolve));
		}
	});

	it("up starts three nodes, a second up changes nothing, test counts every message, down leaves nothing behind", {
		timeout: 180_000,
		tags: ["long"],
	}, async () => {
		const started = await up();
		expect(started.status, started.output).toBe(0);
		const { nodes } = await getJson<{ nodes: { id: string; address: string }[] }>(`http://127.0.0.1:${port}/cluster/nodes`);
		expect(nodes.map(({ id, address }) => `${id} ${address}`).sort()).toEqual([1, 2, 3].map((n) => `n${n} 127.0.0.1${n}:${port}`));
		expect(await up()).toEqual({ status: 0, output: `local cluster: runs already: http://127.0.0.1:${port}\n` });

		const tested = await local("test");
		expect(tested.status, tested.output).toBe(0);
		for (const source of ["n1 +10", "n2 +10", "n3 +10", "outbox "])
			expect(tested.output).toMatch(new RegExp(`^${source} +100 +3000 +0 +0 `, "m"));

		expect(await local("down")).toEqual({ status: 0, output: "local cluster: stopped; its data is deleted\n" });
		expect(readdirSync(state)).toEqual([]);
		expect(sharedMemory()).toEqual(before);
		expect(await stillTaken()).toEqual([]);
		expect((await local("down")).output).toContain("does not run");
	});

	/** Addresses at which something still listens. */
	async function stillTaken(): Promise<string[]> {
		const left: string[] = [];
		for (const [host, at] of [11, 12, 13]
			.map((n) => [`127.0.0.${n}`, port] as const)
			.concat([0, 1, 2].map((n) => ["127.0.0.1", port + n] as const)))
			await new Promise<void>((resolve) => {
				const server = createServer();
				server.once("error", () => {
					left.push(`${host}:${at}`);
					resolve();
				});
				server.listen(at, host, () => server.close(() => resolve()));
			});
		return left;
	}
});
