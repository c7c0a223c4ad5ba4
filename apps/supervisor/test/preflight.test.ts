import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { defaultConfig, type NameOf } from "@shardcast/config";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { nodeVersionProblem } from "../src/node-version.ts";
import { chooseMode, onlyHandoff } from "../src/preflight/handoff.ts";
import { cpusOfNode } from "../src/preflight/numa.ts";
import { openFilesWarnings } from "../src/preflight/open-files.ts";
import { portProblem, portProblems } from "../src/preflight/ports.ts";
import { hasProgram } from "../src/preflight/programs.ts";
import { firstShardPort } from "../src/preflight/shard-ports.ts";
import { sharedMemoryProblem, sharedMemoryWarnings } from "../src/preflight/shared-memory.ts";

const name: NameOf = (key) => `--${key}`;
let folder: string;
beforeEach(() => {
	folder = mkdtempSync("/dev/shm/shardcast-preflight-");
});
afterEach(() => rmSync(folder, { recursive: true }));

it("a Node is too old or not judged by its number", () => {
	for (const version of ["20.11.0", "20.20.2", "21.7.0", "22.1.0", "24.0.0", "26.0.0"]) expect(nodeVersionProblem(version)).toBeNull();
	for (const version of ["18.20.0", "20.10.0", "2.0.0"])
		expect(nodeVersionProblem(version)).toBe(
			`Node ${version} is too old, it must be 20.11 or later; run it with Node 22: npx -y -p node@22 npm start`,
		);
});

describe("the shards' ports", () => {
	const ports = { basePort: 3002, lbAddr: ":3005" };

	it("are the described ones for up to three shards", () => {
		expect(firstShardPort(ports, 3, false, name)).toBe(3002);
	});

	it("move behind the balancer's when a fourth shard would take it and nobody has chosen them", () => {
		expect(firstShardPort(ports, 4, false, name)).toBe(3006);
		expect(firstShardPort(ports, 64, false, name)).toBe(3006);
	});

	it("are an error when somebody has", () => {
		expect(() => firstShardPort(ports, 4, true, name)).toThrow(
			"--lbAddr: port 3005 is that of shard 3; choose one outside of 3002 to 3005",
		);
	});

	it("must exist", () => {
		expect(() => firstShardPort({ ...ports, basePort: 65_534 }, 3, true, name)).toThrow(
			"--basePort: 3 shards from port 65534 would end at 65536; choose at most 65533",
		);
	});
});

describe("ports", () => {
	it("that are taken, or not of this machine, are told; others are free again after the look", async () => {
		const server = createServer();
		await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
		const { port } = server.address() as { port: number };
		const taken = { host: "127.0.0.1", port };
		expect(
			await portProblems([
				{ name: "--a", address: taken },
				{ name: "--a", address: taken },
				{ name: "--b", address: { host: "192.0.2.1", port } },
			]),
		).toEqual([
			`--a: port ${port} is taken; choose another or stop the program that has it`,
			"--b: this machine has no address 192.0.2.1; name one that it has",
		]);
		await new Promise((resolve) => server.close(resolve));
		expect(await portProblem(taken)).toBeNull();
		expect(await portProblem(taken)).toBeNull();
	});
});

describe("shared memory", () => {
	const config = (changes: object) => defaultConfig({ clusterDirectory: folder, ...changes });

	it("that is there, writable and large enough is no problem", () => {
		expect(sharedMemoryProblem(config({}), 3, name)).toBeNull();
	});

	it("that is missing, or is none, is one line", () => {
		const fix = "name a writable directory in a memory file system";
		expect(sharedMemoryProblem(config({ clusterDirectory: join(folder, "no") }), 3, name)).toBe(
			`--clusterDirectory: ${folder}/no does not exist; ${fix}`,
		);
		writeFileSync(join(folder, "file"), "");
		const long = join(folder, "a-folder-whose-name-is-too-long-for-sockets");
		mkdirSync(long);
		expect(sharedMemoryProblem(config({ clusterDirectory: long }), 3, name)).toMatch(
			/^--clusterDirectory: the path is \d+ bytes; the most is 51/,
		);
		expect(sharedMemoryProblem(config({ clusterDirectory: join(folder, "file") }), 3, name)).toBe(
			`--clusterDirectory: ${folder}/file is not a directory; ${fix}`,
		);
		expect(sharedMemoryProblem(config({ clusterDirectory: "/proc/self" }), 3, name)).toBe(
			`--clusterDirectory: /proc/self can't be written to; ${fix}`,
		);
	});

	it("that is on a disk is refused", () => {
		const sources = import.meta.dirname;
		expect(sharedMemoryProblem(config({ clusterDirectory: sources }), 3, name)).toBe(
			`--clusterDirectory: ${sources} is on a disk, not in memory; name a writable directory in a memory file system, such as /dev/shm`,
		);
	});

	it("where others may remove it is a warning", () => {
		const warnings = () => sharedMemoryWarnings(config({}), name);
		expect(warnings()).toEqual([]);
		chmodSync(folder, 0o1777);
		expect(warnings()).toEqual([]);
		chmodSync(folder, 0o777);
		expect(warnings()).toEqual([
			`--clusterDirectory: other users may rename and remove what is in ${folder}, this cluster too; chmod +t ${folder}`,
		]);
	});

	it("that is too small names the ring", () => {
		const rings = config({ ring: 1_048_576, maxPayloadBytes: 65_536 });
		expect(sharedMemoryProblem(rings, 64_000, name)).toMatch(
			/^--ring: 64000 rings and 32MiB of history \(--historyMemoryBytes\) need \d+MiB and .* has \d+\w+ free; give a smaller --ring, a/,
		);
		// Unless that much will be free, because a cluster that has it now ends before.
		expect(sharedMemoryProblem(rings, 64_000, name, { freedBytes: 1e15 })).toBeNull();
	});
});

describe("--lb-mode", () => {
	const works = () => null;
	const fails = () => "not permitted";
	const choose = (lbMode: "auto" | "handoff" | "proxy", probe: () => string | null, remoteShards: readonly string[] = []) =>
		chooseMode({ lbMode, clusterDirectory: folder, remoteShards }, name, probe);

	it("auto is handoff where that works, else proxy with the reason", () => {
		expect(choose("auto", works).mode).toBe("handoff");
		expect(choose("auto", fails)).toEqual({ mode: "proxy", why: "descriptors can't be passed here: not permitted" });
	});

	it("auto is proxy when there are shards of other machines, to which nothing can be handed over", () => {
		expect(choose("auto", works, ["10.0.0.7:3005"])).toEqual({ mode: "proxy", why: "for the shards of other machines (--remoteShards)" });
	});

	it("is what was asked for, or an error", () => {
		expect(choose("proxy", works)).toEqual({ mode: "proxy", why: "set by --lbMode" });
		expect(choose("handoff", works).mode).toBe("handoff");
		expect(() => choose("handoff", fails)).toThrow("--lbMode: handoff is not possible here (not permitted); use proxy or auto");
	});

	it("is handoff for processes of a gateway, or an error", () => {
		expect(onlyHandoff({ clusterDirectory: folder }, name, works).mode).toBe("handoff");
		expect(() => onlyHandoff({ clusterDirectory: folder }, name, fails)).toThrow(
			"--shards: connections can't be passed from process to process here (not permitted); leave it out",
		);
	});

	it("really passes a descriptor on this machine, and leaves nothing behind", () => {
		expect(chooseMode({ lbMode: "handoff", clusterDirectory: folder, remoteShards: [] }, name).mode).toBe("handoff");
	});
});

describe("--numa", () => {
	it("reads the node's CPUs", () => {
		mkdirSync(join(folder, "sys/devices/system/node/node1"), { recursive: true });
		writeFileSync(join(folder, "sys/devices/system/node/node1/cpulist"), "2-3,6\n");
		expect(cpusOfNode(1, name, folder)).toEqual([2, 3, 6]);
		expect(() => cpusOfNode(3, name, folder)).toThrow("--numa: node 3 does not exist; this machine has node 1");
		expect(() => cpusOfNode(0, name, join(folder, "none"))).toThrow(
			"--numa: node 0 does not exist; this machine has no NUMA nodes, leave the option out",
		);
	});
});

describe("open files", () => {
	const limit = (hard: number | string): string => {
		const path = join(folder, "limits");
		writeFileSync(
			path,
			`Limit   Soft Limit   Hard Limit   Units\nMax open files            1024                 ${hard}                 files\n`,
		);
		return path;
	};

	it("that a shard may run out of before it is full are a warning with the number that it needs", () => {
		const wanted = { connections: 8000, connectionsPerShard: 4000, mode: "handoff" } as const;
		expect(openFilesWarnings(wanted, limit(4200))).toEqual([]);
		expect(openFilesWarnings(wanted, limit(4199))).toEqual([
			"a process may open 4199 files, and a shard with 4000 connections needs 4200; raise it (ulimit -n, LimitNOFILE=) or give more --shards; as it is, each takes 3999 clients and answers 503 to the others",
		]);
	});

	it("of the balancer in proxy mode count twice, for it holds both ends of every connection", () => {
		const wanted = { connections: 12_000, connectionsPerShard: 6000, mode: "proxy" } as const;
		expect(openFilesWarnings(wanted, limit(24_200))).toEqual([]);
		expect(openFilesWarnings(wanted, limit(20_000))).toEqual([
			"a process may open 20000 files, and the balancer, which in proxy mode holds both ends of 12000 connections, needs 24200; raise it (ulimit -n, LimitNOFILE=) or lower --max-connections to 9900: for more there may be no room, and they are answered 503 or, if they wait, 408",
		]);
		expect(openFilesWarnings({ ...wanted, mode: "handoff" }, limit(20_000))).toEqual([]);
		expect(openFilesWarnings(wanted, limit(4096))).toHaveLength(2);
	});

	it("without a limit, or without one that is known, are no matter", () => {
		const wanted = { connections: 1e9, connectionsPerShard: 1e9, mode: "proxy" } as const;
		expect(openFilesWarnings(wanted, limit("unlimited"))).toEqual([]);
		expect(openFilesWarnings(wanted, join(folder, "none"))).toEqual([]);
	});
});

it("finds programs in PATH", () => {
	writeFileSync(join(folder, "tool"), "", { mode: 0o755 });
	writeFileSync(join(folder, "text"), "", { mode: 0o644 });
	expect(hasProgram("tool", `/nowhere:${folder}`)).toBe(true);
	expect(hasProgram("text", folder)).toBe(false);
	expect(hasProgram("tool", "")).toBe(false);
});
