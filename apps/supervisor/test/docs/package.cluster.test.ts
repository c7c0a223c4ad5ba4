// @module-tag long
import { execFile } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { freePorts, LibraryClient, ManagedProcess } from "@shardcast/testkit";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const root = join(import.meta.dirname, "../../../..");
const run = promisify(execFile);
const npm = (args: readonly string[], cwd: string) => run("npm", [...args], { cwd, timeout: 100_000 });

/** What a program with types writes; it must compile under `strict` and run. */
const program = `
import { createServer, defaultConfig, type Server } from "shardcast";

const server: Server = createServer(defaultConfig({ addr: "127.0.0.1:0" }), { statusLine: false });
await server.run();
const port: number = server.port;
console.log(port > 0 ? "listening" : "not listening");
await server.shutdown();
`;

/** What a page or a program with the Centrifuge client writes. */
const consumer = `
import { Centrifuge } from "centrifuge";
import { type DurableMessage, durableSubscription } from "shardcast/client";

const client = new Centrifuge("ws://127.0.0.1:1/connection/websocket", { websocket: class {} });
const handle = async ({ data, offset }: DurableMessage<{ id: string }>) => console.log(data.id, offset);
const subscription = durableSubscription<{ id: string }>(client, "orders:new", { consumer: "billing", onMessage: handle });
console.log(subscription.subscription.state);
await subscription.close();
`;

describe("the package that npm pack makes, installed in an empty folder", () => {
	const folder = mkdtempSync(join(tmpdir(), "shardcast-package-"));
	let names: string[] = [];

	beforeAll(async () => {
		// `npm test` has built already, and tests beside this one run what was built.
		await npm(["pack", "--ignore-scripts", "--silent", "--pack-destination", folder], root);
		const tarball = readdirSync(folder).find((name) => name.endsWith(".tgz"))!;
		names = (await run("tar", ["tzf", join(folder, tarball)])).stdout.trim().split("\n");
		writeFileSync(join(folder, "package.json"), JSON.stringify({ name: "empty", private: true, type: "module" }));
		await npm(["install", "--prefer-offline", "--no-audit", "--no-fund", "--silent", `./${tarball}`], folder);
	});
	afterAll(() => rmSync(folder, { recursive: true, force: true }));

	it("holds what runs, and neither sources, tests nor other people's code", () => {
		expect(names).toContain("package/cli.js");
		expect(names).toContain("package/node_modules/@shardcast/http/console/index.html");
		const others = names.filter((name) => /^package\/node_modules\/(?!@shardcast\/)/.test(name));
		expect(others).toEqual([]);
		expect(names.filter((name) => /\/(src|test)\/|testkit|loadtest|\.tsbuildinfo$/.test(name))).toEqual([]);
	});

	it("shardcast multi serves: what one client says, the other hears", async () => {
		const port = await freePorts(3);
		const args = ["multi", "--shards", "2", "--lb-addr", `127.0.0.1:${port}`, "--base-port", String(port + 1)];
		const cluster = await ManagedProcess.start(join(folder, "node_modules/.bin/shardcast"), args);
		try {
			await cluster.waitForOutput(/clients {3}ws:/, 20_000);
			const [one, other] = [await LibraryClient.open(`ws://127.0.0.1:${port}`), await LibraryClient.open(`ws://127.0.0.1:${port}`)];
			one.send("hello");
			await other.waitForMessages(1);
			expect(other.texts()).toEqual(["hello"]);
			cluster.signal("SIGTERM");
			expect((await cluster.exited).code).toBe(0);
		} finally {
			if (cluster.status() === null) await cluster.stop("SIGKILL");
		}
	});

	it('import { durableSubscription } from "shardcast/client" compiles with types and runs', async () => {
		writeFileSync(join(folder, "consumer.ts"), consumer);
		await npm(["install", "--prefer-offline", "--no-audit", "--no-fund", "--silent", "centrifuge@5.8.0"], folder);
		const language = ["--module", "nodenext", "--target", "es2023", "--lib", "es2023,dom", "--strict", "--skipLibCheck"];
		await run(process.execPath, [join(root, "node_modules/typescript/bin/tsc"), ...language, "consumer.ts"], { cwd: folder });
		const { stdout } = await run(process.execPath, ["consumer.js"], { cwd: folder, timeout: 20_000 });
		expect(stdout).toMatch(/^subscribing$/m);
	});

	it('import { createServer } from "shardcast" compiles with types and runs', async () => {
		writeFileSync(join(folder, "program.ts"), program);
		const types = ["--types", "node", "--typeRoots", join(root, "node_modules/@types")];
		const language = ["--module", "nodenext", "--target", "es2023", "--strict", "--skipLibCheck", ...types];
		await run(process.execPath, [join(root, "node_modules/typescript/bin/tsc"), ...language, "program.ts"], { cwd: folder });
		const { stdout } = await run(process.execPath, ["program.js"], { cwd: folder, timeout: 20_000 });
		expect(stdout).toMatch(/^listening$/m);
	});
});
