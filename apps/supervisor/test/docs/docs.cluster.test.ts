import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { type Cluster, freePorts, startCluster } from "@shardcast/testkit";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type DocBlock, type DocPage, missingLine, readDocPages } from "../support/doc-blocks.ts";

const root = join(import.meta.dirname, "../../../..");
const bin = join(root, "apps/supervisor/dist/main.js");
const pages = readDocPages("README.md", "CONTRIBUTING.md");

/** Files and programs of the run; its own base for shared memory, so that `shardcast top` sees no other cluster of this machine. */
let scratch: string;
let sharedMemory: string;
beforeAll(() => {
	scratch = mkdtempSync(join(tmpdir(), "shardcast-docs-"));
	sharedMemory = mkdtempSync("/dev/shm/docs-");
	mkdirSync(join(scratch, "bin"));
	writeFileSync(join(scratch, "bin/shardcast"), `#!/bin/sh\nexec ${process.execPath} ${bin} "$@"\n`, { mode: 0o755 });
});

/** By the folder of its shared memory: pages with the same flags share one. */
const clusters = new Map<string, Promise<Cluster>>();
function folderFor({ clusterFlags }: DocPage): string {
	const folder = join(sharedMemory, createHash("sha1").update(clusterFlags.join(" ")).digest("hex").slice(0, 8));
	mkdirSync(folder, { recursive: true });
	return folder;
}
function clusterFor(page: DocPage): Promise<Cluster> {
	const folder = folderFor(page);
	const running = clusters.get(folder);
	if (running !== undefined) return running;
	const cluster = startCluster({ shards: 2, flags: ["--cluster-directory", folder, ...page.clusterFlags] });
	clusters.set(folder, cluster);
	return cluster;
}

afterAll(async () => {
	// One that did not start has failed its tests already, and must not keep the others from being stopped.
	for (const started of await Promise.allSettled(clusters.values())) if (started.status === "fulfilled") await started.value.stop();
	rmSync(scratch, { recursive: true });
	rmSync(sharedMemory, { recursive: true, force: true });
});

interface Ran {
	readonly code: number | null;
	readonly output: string;
	/** It still ran when its time was over. */
	readonly stayed: boolean;
}

/** How long something that `stays` must go on; anything else may take no longer than `endsMsMax`. */
const staysMs = 1500;
const endsMsMax = 20_000;

function run(page: DocPage, command: string, args: readonly string[], stays: boolean): Promise<Ran> {
	const child = spawn(command, args, {
		cwd: command === process.execPath && gatewayPages.has(page.file) ? join(root, "examples/gateway") : root,
		// A separate group, so that what it started in the background ends with it.
		detached: true,
		// Open for as long as it runs: an interactive program leaves when its input ends.
		stdio: ["pipe", "pipe", "pipe"],
		env: {
			...process.env,
			PATH: `${join(scratch, "bin")}:${join(root, "node_modules/.bin")}:${process.env.PATH}`,
			SHARDCAST_CLUSTER_DIRECTORY: folderFor(page),
			TMPDIR: scratch,
			PYTHONPATH: join(root, "examples/gateway"),
			PYTHONDONTWRITEBYTECODE: "1",
		},
	});
	let output = "";
	for (const stream of [child.stdout, child.stderr])
		stream.on("data", (data: Buffer) => {
			output += data.toString();
		});
	return new Promise((resolve) => {
		let stayed = false;
		const timer = setTimeout(
			() => {
				stayed = true;
				process.kill(-child.pid!, stays ? "SIGTERM" : "SIGKILL");
			},
			stays ? staysMs : endsMsMax,
		);
		child.once("exit", () => {
			clearTimeout(timer);
			endGroup(child.pid!);
		});
		child.once("close", (code) => resolve({ code, output, stayed }));
	});
}

/** Ends what a block started in the background. */
function endGroup(pid: number): void {
	try {
		process.kill(-pid, "SIGKILL");
	} catch (error) {
		if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
	}
}

/** The ports that the documents speak of, as they are in this run. */
async function onOurPorts(code: string, page: DocPage): Promise<string> {
	if (gatewayPages.has(page.file)) return onFreePorts(code);
	if (!/\b(300[2-5]|9002)\b/.test(code)) return code;
	const { basePort, httpUrl } = await clusterFor(page);
	const ports: Record<string, number> = { 3005: Number(new URL(httpUrl).port), 9002: await freePorts() };
	for (let shard = 0; shard < 3; shard++) ports[3002 + shard] = basePort + shard;
	return code.replace(/\b(300[2-5]|9002)\b/g, (port) => String(ports[port]));
}

/** They need no cluster, but ports for a gateway, a backend, its page and announcements. Their JavaScript runs beside the library that it imports. */
const gatewayPages = new Set(["docs/how-to/gateway.md", "docs/reference/gateway-backends.md"]);
async function onFreePorts(code: string): Promise<string> {
	const [gateway, backend, web, discovery] = [await freePorts(), await freePorts(), await freePorts(), await freePorts()];
	return code
		.replace(/\bgateway 3020\b/g, `gateway 3020 --discovery-port ${discovery}`)
		.replace(/\bdemo\.mjs\b/g, `demo.mjs --port ${backend} --web ${web}`)
		.replace(/\b(3020|9001|9999)\b/g, (port) => String({ 3020: gateway, 9001: backend, 9999: discovery }[port]));
}

/** A server's command line as one that only checks its options. */
function asCheck(code: string): string {
	return code.replace(/^(.*?)(npm start( --)?|(npx )?shardcast (multi|single))/gm, "$1shardcast config check");
}

/** `npx` looks for a local program first; finding it in PATH saves its half second. */
function withoutNpx(code: string): string {
	return code.replace(/\bnpx (?=shardcast|wscat)/g, "");
}

async function test(block: DocBlock, page: DocPage): Promise<string> {
	const { language, marker, options } = block;
	if (!gatewayPages.has(page.file)) await clusterFor(page);
	const stays = options.has("stays");
	const wanted = Number(options.get("exit") ?? 0);
	const judge = ({ code, output, stayed }: Ran): string => {
		if (stays) expect(stayed, `it ended with ${code}:\n${output}`).toBe(true);
		else expect(code, output).toBe(wanted);
		return output;
	};
	if (language === "json") {
		expect(() => JSON.parse(block.code)).not.toThrow();
		return "";
	}
	if (language === "yaml") {
		const file = join(scratch, `${basename(page.file)}-${block.line}.yaml`);
		writeFileSync(file, block.code);
		return judge(await run(page, "bash", ["-c", `shardcast config check --config ${file}`], stays));
	}
	if (language === "js")
		return judge(await run(page, process.execPath, ["--input-type=module", "-e", await onOurPorts(block.code, page)], stays));
	if (language === "python" && process.env.CI !== "true" && spawnSync("python3", ["--version"]).status !== 0) {
		console.warn(`SKIPPED: ${page.file}, line ${block.line} needs Python: apt-get install python3`);
		return "";
	}
	if (language === "python") return judge(await run(page, "python3", ["-c", await onOurPorts(block.code, page)], stays));
	const code = marker === "check" ? asCheck(block.code) : await onOurPorts(block.code, page);
	if (marker === "check") expect(code, "what is checked starts a server").toContain("config check");
	return judge(await run(page, "bash", ["-euo", "pipefail", "-c", withoutNpx(code)], stays));
}

describe("the documentation", () => {
	it("marks each of its blocks", () => {
		expect(pages.flatMap(({ mistakes }) => mistakes)).toEqual([]);
	});

	for (const page of pages) {
		const runs = page.blocks.filter(({ marker }) => marker === "test" || marker === "check");
		if (runs.length === 0) continue;
		describe(page.file, { tags: page.file === "README.md" ? [] : ["long"] }, () => {
			for (const block of runs) {
				it(`line ${block.line}: ${block.code.trim().split("\n")[0]!.slice(0, 80)}`, async () => {
					const output = await test(block, page);
					const next = page.blocks[page.blocks.indexOf(block) + 1];
					if (next?.marker !== "output") return;
					expect(missingLine(next.code, output), `a line of the output that the page shows, in:\n${output}`).toBeNull();
				});
			}
		});
	}
});
