import { spawnSync } from "node:child_process";
import {
	chmodSync,
	chownSync,
	existsSync,
	mkdirSync,
	mkdtempSync,
	readFileSync,
	renameSync,
	rmSync,
	statSync,
	symlinkSync,
	writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BusError, ClusterDirectory } from "@shardcast/scoreboard";
import { canRunAsOtherUser, runAsOtherUser } from "@shardcast/testkit";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

describe("ClusterDirectory", () => {
	let base: string;

	beforeEach(() => {
		base = mkdtempSync(join(tmpdir(), "bus-directory-"));
	});
	afterEach(() => rmSync(base, { recursive: true, force: true }));

	const userId = process.getuid!();

	/** A directory as a cluster of another process would have left it. */
	function leave(pid: number, owner: object | string | null): string {
		const path = join(base, `shardcast-${userId}-${pid}-0123abcd`);
		mkdirSync(path, { mode: 0o700 });
		writeFileSync(join(path, "board"), "");
		const mode = 0o600;
		if (owner !== null) writeFileSync(join(path, "owner"), typeof owner === "string" ? owner : JSON.stringify(owner), { mode });
		return path;
	}

	function ownerOf(directory: ClusterDirectory): { pid: number; startTicks: number; pidNamespace: string } {
		return JSON.parse(readFileSync(join(directory.path, "owner"), "utf8"));
	}

	/** The pid of a process that has just ended. */
	const deadPid = () => spawnSync("true").pid;

	it("is named after user, process and chance, and only its owner may look into it", () => {
		const [first, second] = [ClusterDirectory.create(base), ClusterDirectory.create(base)];
		expect(first.path).toMatch(new RegExp(`shardcast-${userId}-${process.pid}-[0-9a-f]{8}$`));
		expect(second.path).not.toBe(first.path);
		expect(statSync(first.path).mode & 0o777).toBe(0o700);
		expect(ownerOf(first).pid).toBe(process.pid);
	});

	it("one that is opened has the same paths, short enough for a Unix socket", () => {
		const made = ClusterDirectory.create(base);
		const opened = ClusterDirectory.open(made.path);
		expect(opened.boardPath).toBe(made.boardPath);
		expect(opened.ringPath(3, 2)).toBe(join(made.path, "ring-3.2"));
		const longest = `/dev/shm/shardcast-${2 ** 32 - 1}-${2 ** 22}-01234567/handoff-63.sock`;
		expect(longest.length).toBeLessThan(108);
	});

	it("says what to do when the base cannot hold it", () => {
		const create = () => ClusterDirectory.create(join(base, "none"));
		expect(create).toThrow(BusError);
		expect(create).toThrow(/ENOENT.*--cluster-directory/);
	});

	it("removes what a killed cluster left, and says which", () => {
		const pid = deadPid();
		const path = leave(pid, { ...ownerOf(ClusterDirectory.create(base)), pid, startTicks: 1 });
		expect(ClusterDirectory.removeStale(base)).toEqual([path]);
		expect(existsSync(path)).toBe(false);
	});

	it("is not fooled by a pid that belongs to another process by now", () => {
		const owner = ownerOf(ClusterDirectory.create(base));
		const path = leave(process.pid, { ...owner, startTicks: owner.startTicks - 1 });
		expect(ClusterDirectory.removeStale(base)).toEqual([path]);
	});

	it("never removes a live cluster's: not ours, not another process's, not one that is being made", () => {
		const own = ClusterDirectory.create(base);
		const beingMade = leave(process.pid, null);
		const half = leave(process.ppid, "{");
		expect(ClusterDirectory.removeStale(base)).toEqual([]);
		for (const path of [own.path, beingMade, half]) expect(existsSync(path)).toBe(true);
	});

	it("removes one without an owner once the process in its name is gone", () => {
		const paths = [leave(deadPid(), null), leave(deadPid(), "no JSON")];
		expect(ClusterDirectory.removeStale(base).sort()).toEqual(paths.sort());
	});

	it("leaves the cluster of another container alone: its pids mean nothing here", () => {
		const path = leave(deadPid(), { pid: deadPid(), startTicks: 1, pidNamespace: "pid:[1]" });
		expect(ClusterDirectory.removeStale(base)).toEqual([]);
		expect(existsSync(path)).toBe(true);
	});

	it("leaves alone what only looks like one: another name, or a link", () => {
		const pid = deadPid();
		for (const name of [
			`shardcast-${userId}-${pid}-0123456`,
			`shardcast-x-${pid}-01234567`,
			"else",
			`x-shardcast-${userId}-${pid}-01234567`,
		])
			mkdirSync(join(base, name));
		const target = join(base, "target");
		mkdirSync(target);
		writeFileSync(join(target, "precious"), "");
		symlinkSync(target, join(base, `shardcast-${userId}-${pid}-89abcdef`));
		expect(ClusterDirectory.removeStale(base)).toEqual([]);
		expect(existsSync(join(target, "precious"))).toBe(true);
	});

	it.skipIf(!canRunAsOtherUser())("leaves alone a directory with our name that belongs to another user", () => {
		const path = leave(deadPid(), null);
		chownSync(path, 12_345, 12_345);
		expect(ClusterDirectory.removeStale(base)).toEqual([]);
		expect(existsSync(path)).toBe(true);
	});

	it("a base that is not there holds nothing", () => {
		expect(ClusterDirectory.removeStale(join(base, "none"))).toEqual([]);
		expect(ClusterDirectory.running(join(base, "none"))).toEqual({ own: [], others: [] });
	});

	it("finds those that run, by what their owner says of himself", () => {
		const own = ClusterDirectory.create(base);
		const owner = ownerOf(own);
		leave(deadPid(), null);
		// The pid is another process's by now, or one of another container.
		leave(process.pid, { ...owner, startTicks: owner.startTicks - 1 });
		leave(process.ppid, { ...owner, pidNamespace: "pid:[1]" });
		expect(ClusterDirectory.running(base)).toEqual({
			own: [{ path: own.path, supervisorPid: process.pid, uid: userId, isOwn: true }],
			others: [],
		});
	});

	it("a directory that others may write to, or read, is not believed", () => {
		const own = ClusterDirectory.create(base);
		chmodSync(own.path, 0o770);
		expect(ClusterDirectory.running(base).own).toEqual([]);
		expect(() => ClusterDirectory.open(own.path)).toThrow(/is open to others \(mode 770\)/);
		const stale = leave(deadPid(), null);
		chmodSync(stale, 0o701);
		expect(ClusterDirectory.removeStale(base)).toEqual([]);
	});

	it("nor is a link to one, nor a link in one", () => {
		const own = ClusterDirectory.create(base);
		const link = join(base, `shardcast-${userId}-${process.pid}-89abcdef`);
		symlinkSync(own.path, link);
		expect(() => ClusterDirectory.open(link)).toThrow(/is not a directory/);
		expect(ClusterDirectory.running(base).own.map(({ path }) => path)).toEqual([own.path]);
		renameSync(join(own.path, "owner"), join(base, "owner"));
		symlinkSync(join(base, "owner"), join(own.path, "owner"));
		expect(ClusterDirectory.running(base).own).toEqual([]);
	});

	it.skipIf(!canRunAsOtherUser())("another user's is not opened, whatever its name says", () => {
		chmodSync(base, 0o1777);
		const path = join(base, `shardcast-${userId}-${process.pid}-0123abcd`);
		const owner = JSON.stringify(ownerOf(ClusterDirectory.create(base)));
		const { uid } = runAsOtherUser(`umask 077; mkdir ${path}; echo '${owner}' > ${path}/owner`);
		expect(ClusterDirectory.running(base)).toMatchObject({ own: [{}], others: [{ path, uid, isOwn: false }] });
		expect(() => ClusterDirectory.open(path)).toThrow(new RegExp(`belongs to user ${uid}`));
	});
});
