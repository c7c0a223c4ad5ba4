import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Config, defaultConfig, type NameOf } from "@shardcast/config";
import { effectiveUser } from "@shardcast/native";
import { availableCpus } from "@shardcast/process";
import { ClusterDirectory } from "@shardcast/scoreboard";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { clockFinding } from "../src/doctor/checks/clock.ts";
import { cpuFindings } from "../src/doctor/checks/cpus.ts";
import { kernelFindings } from "../src/doctor/checks/kernel.ts";
import { memoryFindings, runningBytes } from "../src/doctor/checks/memory.ts";
import { programFindings } from "../src/doctor/checks/programs.ts";
import { serviceFindings } from "../src/doctor/checks/services.ts";
import { type Finding, fromLine, ok, problem, warning } from "../src/doctor/finding.ts";
import type { Machine } from "../src/doctor/machine.ts";
import { doctorReport, reportText } from "../src/doctor/report.ts";
import { planTopology } from "../src/topology.ts";
import { fakeMachine } from "./support/fake-machine.ts";

const name: NameOf = (key) => `--${key}`;
let root: string;
beforeEach(() => {
	root = mkdtempSync(join(tmpdir(), "doctor-"));
});
afterEach(() => rmSync(root, { recursive: true }));

const notOk = (findings: readonly Finding[]) => findings.filter(({ status }) => status !== "ok");
const config = (changes: Partial<Config> = {}) => defaultConfig({ maxConnections: 10_000, shards: 2, ...changes });
const kernel = (changes: Readonly<Record<string, string | null>>, mode: "handoff" | "proxy" = "handoff", options: Partial<Config> = {}) =>
	kernelFindings(fakeMachine(root, changes), config(options), mode);
const cpus = (changes: Readonly<Record<string, string>>, shards = 0) => {
	const machine = fakeMachine(root, changes);
	return cpuFindings(
		machine,
		planTopology({ shards, shardsMin: 1, shardsMax: 64, cpus: [], numa: -1 }, availableCpus(root), null, name, () => 0),
	);
};
const wanted = { connections: 10_000, connectionsPerShard: 5000, mode: "handoff" } as const;

describe("doctor: the kernel", () => {
	it("finds nothing to change on a machine that is as it should be", () => {
		const findings = kernel({});
		expect(notOk(findings)).toEqual([]);
		expect(findings).toHaveLength(7);
	});

	it("leaves out what a container does not show", () => {
		const hidden = Object.fromEntries(["net/core/somaxconn", "net/ipv4/tcp_wmem", "fs/file-nr"].map((path) => [`proc/sys/${path}`, null]));
		expect(kernel({ ...hidden, "proc/net/netstat": null }).map(({ id }) => id)).toEqual([
			"tcp_syncookies",
			"conntrack",
			"ip_local_port_range",
		]);
	});

	it.each([
		["net/core/somaxconn", "128", "somaxconn", 'sysctl -w net.core.somaxconn="4096"'],
		["net/ipv4/tcp_syncookies", "0", "tcp_syncookies", 'sysctl -w net.ipv4.tcp_syncookies="1"'],
		["net/ipv4/tcp_wmem", "4096 16384 65536", "tcp_wmem", 'sysctl -w net.ipv4.tcp_wmem="4096 16384 262144"'],
		["net/netfilter/nf_conntrack_max", "8000", "conntrack", 'sysctl -w net.netfilter.nf_conntrack_max="20000"'],
		["fs/file-nr", "100 0 12000", "file-max", 'sysctl -w fs.file-max="40000"'],
	])("%s = %s is a warning with the command", (path, value, id, fix) => {
		const found = notOk(kernel({ [`proc/sys/${path}`]: `${value}\n` }));
		expect(found).toMatchObject([{ id, status: "warning" }]);
		expect(found[0].fix).toContain(fix);
		expect(found[0].why).not.toBe("");
	});

	it("says that queues have overflowed", () => {
		const [found] = notOk(kernel({ "proc/net/netstat": "TcpExt: TCPReqQFullDrop ListenOverflows\nTcpExt: 0 325\n" }));
		expect(found).toMatchObject({ id: "accept-overflows", found: "ListenOverflows 325, TCPReqQFullDrop 0" });
	});

	it("few ports matter in proxy mode only", () => {
		const few = { "proc/sys/net/ipv4/ip_local_port_range": "50000 53999" };
		expect(notOk(kernel(few))).toEqual([]);
		expect(notOk(kernel(few, "proxy"))).toMatchObject([
			{ id: "ip_local_port_range", found: expect.stringContaining("4000 ports for 5000 connections") },
		]);
	});

	it("garbage in a file is as if it was not there", () => {
		expect(kernel({ "proc/sys/net/core/somaxconn": "many", "proc/net/netstat": "TcpExt: a\n" }).map(({ id }) => id)).not.toContain(
			"somaxconn",
		);
	});
});

describe("doctor: CPUs", () => {
	it("one shard per CPU, and no quota", () => {
		const findings = cpus({});
		expect(notOk(findings)).toEqual([]);
		expect(findings[0].found).toBe("4 shards on 4 of the CPUs 0-3 (CPU affinity)");
	});

	it("more shards than CPUs", () => {
		expect(notOk(cpus({}, 6))).toMatchObject([{ id: "cpus", fix: "--shards 4, or 0 for one per CPU" }]);
	});

	it("a quota that is no whole number, and no CPUs for itself", () => {
		const found = notOk(cpus({ "sys/fs/cgroup/cpu.max": "150000 100000\n" }));
		expect(found.map(({ id }) => id)).toEqual(["cpu-quota", "cpu-manager"]);
		expect(found[0].fix).toContain("docker run --cpus 2");
		expect(found[1].fix).toContain("cpuManagerPolicy: static");
	});

	it("a whole quota with as many CPUs is fine", () => {
		const own = { "sys/fs/cgroup/cpu.max": "200000 100000\n", "proc/self/status": "Cpus_allowed_list:\t2-3\n" };
		expect(notOk(cpus(own))).toEqual([]);
	});

	it("throttling counts if it is more than one period in a hundred", () => {
		const stat = (times: number) => ({ "sys/fs/cgroup/cpu.stat": `nr_periods 1000\nnr_throttled ${times}\n` });
		expect(notOk(cpus(stat(9)))).toEqual([]);
		expect(notOk(cpus(stat(200)))).toMatchObject([
			{ id: "cpu-throttled", found: "throttled in 200 of 1000 periods since the start of the control group" },
		]);
	});
});

describe("doctor: the clock", () => {
	const clock = (state: ReturnType<Machine["clock"]>) => clockFinding(fakeMachine(root, {}, { clock: () => state }));

	it("is synchronised, is not, or nobody knows", () => {
		expect(clock({ isSynchronised: true, errorMsMax: 1.5 })).toMatchObject({
			status: "ok",
			found: "the clock is synchronised, and wrong by 2 ms at most",
		});
		expect(clock({ isSynchronised: false, errorMsMax: 16_000_000 })).toMatchObject({
			status: "warning",
			fix: expect.stringContaining("timedatectl set-ntp true"),
		});
		expect(clock(null)).toMatchObject({ status: "warning", fix: expect.stringContaining("on the host") });
	});
});

describe("doctor: memory", () => {
	let folder: string;
	beforeEach(() => {
		folder = mkdtempSync("/dev/shm/shardcast-doctor-");
	});
	afterEach(() => rmSync(folder, { recursive: true }));
	const memory = (changes: Partial<Config> = {}, answers: Partial<Machine> = {}) =>
		memoryFindings(fakeMachine(root, {}, answers), config({ clusterDirectory: folder, ...changes }), 2, name);

	it("is enough", () => {
		expect(notOk(memory())).toEqual([]);
	});

	it("is too little, or nearly", () => {
		expect(notOk(memory({}, { memoryBytes: 500 * 1024 ** 2 }))).toMatchObject([{ id: "memory", status: "warning" }]);
		expect(notOk(memory({}, { memoryBytes: 200 * 1024 ** 2 }))).toMatchObject([{ id: "memory", status: "problem" }]);
	});

	it("the folder is on a disk, as the start would say", () => {
		expect(notOk(memory({ clusterDirectory: root })).find(({ id }) => id === "shared-memory")).toMatchObject({
			status: "problem",
			found: `--clusterDirectory: ${root} is on a disk, not in memory`,
			fix: "name a writable directory in a memory file system, such as /dev/shm",
		});
	});

	it("what a running cluster of this user has taken counts as room", () => {
		expect(runningBytes(folder)).toBe(0);
		expect(runningBytes(join(folder, "no"))).toBe(0);
		const cluster = ClusterDirectory.create(folder);
		writeFileSync(join(cluster.path, "ring-0.1"), Buffer.alloc(1_048_576));
		expect(runningBytes(folder)).toBeGreaterThanOrEqual(1_048_576);
		expect(runningBytes(folder)).toBeLessThan(1_100_000);
	});

	it("names what dead clusters have left, and leaves it there", () => {
		// No process has a pid this high.
		const left = join(folder, `shardcast-${effectiveUser()}-99999999-0123abcd`);
		mkdirSync(left, { mode: 0o700 });
		writeFileSync(join(left, "board"), "x");
		expect(notOk(memory())).toMatchObject([{ id: "leftovers", status: "warning", fix: expect.stringContaining(`rm -r ${left}`) }]);
		expect(readdirSync(left)).toEqual(["board"]);
	});
});

describe("doctor: programs", () => {
	const programs = async (changes: Readonly<Record<string, string | null>>, answers: Partial<Machine> = {}) =>
		notOk(await programFindings(fakeMachine(root, changes, answers), wanted));

	it("all there; without taskset a warning; an old Node is a problem, one near its end a warning", async () => {
		expect(await programs({})).toEqual([]);
		rmSync(join(root, "bin"), { recursive: true });
		expect(await programs({ "bin/taskset": null })).toMatchObject([{ id: "taskset", status: "warning", fix: "install util-linux" }]);
		expect((await programs({}, { nodeVersion: "18.20.0" }))[0]).toMatchObject({
			id: "node",
			status: "problem",
			fix: expect.stringContaining("Node 22"),
		});
		expect((await programs({}, { nodeVersion: "20.20.0" }))[0]).toMatchObject({ id: "node", status: "warning" });
	});

	it("says how many open files are missing", async () => {
		expect(
			await programs({ "proc/self/limits": "Max open files            1024                 4096                 files\n" }),
		).toMatchObject([
			{
				id: "open-files",
				found: "a process may open 4096 files, and a shard with 5000 connections needs 5200",
				fix: expect.stringContaining("ulimit -n, LimitNOFILE="),
			},
		]);
	});
});

describe("doctor: services", () => {
	it("says which can be reached: Kafka, Redis, PostgreSQL, backends, receivers of webhooks", async () => {
		const server = createServer((socket) => socket.destroy());
		await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
		const { port } = server.address() as { port: number };
		try {
			const closed = port === 1 ? 2 : 1;
			const machine = fakeMachine(root);
			const findings = await serviceFindings(
				config({
					kafkaBrokers: [`127.0.0.1:${port}`, `127.0.0.1:${closed}`],
					redisAddress: `redis://user:secret@127.0.0.1:${closed}`,
					postgresAddress: `postgres://app:secret@[::1]:${closed}/app`,
					tokenJwksEndpoint: "https://no-such-host.invalid/keys",
				}),
				machine,
			);
			expect(findings.map(({ id, status }) => [id, status])).toEqual([
				[`service:127.0.0.1:${port}`, "ok"],
				[`service:127.0.0.1:${closed}`, "problem"],
				[`service:[::1]:${closed}`, "problem"],
				["service:no-such-host.invalid:443", "warning"],
			]);
			expect(findings[1]).toMatchObject({
				found: `a Kafka broker at 127.0.0.1:${closed} can't be reached: nothing listens there`,
				fix: "start it, open the firewall, or correct kafka.brokers",
			});
			expect(JSON.stringify(findings)).not.toContain("secret");
		} finally {
			server.close();
		}
	});

	it("nothing is named, nothing is looked at", async () => {
		expect(await serviceFindings(config(), fakeMachine(root))).toEqual([]);
	});
});

describe("the doctor's report", () => {
	const subject = { id: "a", area: "kernel", why: "it matters" } as const;

	it("is as bad as its worst finding", () => {
		const status = (...findings: Finding[]) => doctorReport("1", findings).status;
		expect(status(ok(subject, "x"))).toBe("ok");
		expect(status(ok(subject, "x"), warning(subject, "y", "z"))).toBe("warning");
		expect(status(problem(subject, "x", "y"), warning(subject, "y", "z"))).toBe("problem");
	});

	it("says of everything that is not ok why it matters and what to change", () => {
		const findings = [ok({ ...subject, area: "CPUs" }, "enough"), warning(subject, "little", "get more"), problem(subject, "none", "")];
		expect(reportText(doctorReport("1.2.3", findings)).split("\n")).toEqual([
			"shardcast 1.2.3: this machine, for a cluster with these options",
			"",
			"CPUs",
			"  ok       enough",
			"",
			"kernel",
			"  warning  little",
			"           why: it matters",
			"           fix: get more",
			"  problem  none",
			"           why: it matters",
			"",
			"1 problem, 1 warning, 1 ok",
			"",
		]);
	});

	it("divides a line of the start into what is found and what to do", () => {
		expect(fromLine(subject, "problem", "--a: is wrong; do b; or c")).toMatchObject({ found: "--a: is wrong", fix: "do b; or c" });
		expect(fromLine(subject, "warning", "just so")).toMatchObject({ found: "just so", fix: "" });
	});
});
