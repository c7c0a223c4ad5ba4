import { randomBytes } from "node:crypto";
import { lstatSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pidNamespace, processStartTicks } from "@shardcast/native";
import { BusError, BusErrorCode } from "./bus-error.ts";

/** What the file `owner` holds, as JSON. A pid alone would be given to another process some day. */
interface Owner {
	readonly pid: number;
	readonly startTicks: number | null;
	readonly pidNamespace: string;
}

const userId = process.getuid?.() ?? 0;
const namePattern = /^shardcast-(\d+)-(\d+)-[0-9a-f]{8}$/;

/**
 * The directory of one running cluster: `shardcast-<uid>-<supervisor's pid>-<random>`, mode 0700, in shared memory.
 *
 * ```
 * owner                JSON: who made it
 * board                the scoreboard
 * ring-<slot>.<n>      a member's ring, made for the n-th time
 * bell-<slot>          its doorbell
 * handoff-<slot>.sock  where the balancer hands connections to it
 * ```
 * The supervisor makes and removes it, everyone else opens it. One that a killed supervisor left behind is removed by
 * the next one to start.
 */
export class ClusterDirectory {
	readonly path: string;
	readonly boardPath: string;
	/** There once the connections of each address have been limited. */
	readonly addressesPath: string;

	private constructor(path: string) {
		this.path = path;
		this.boardPath = join(path, "board");
		this.addressesPath = join(path, "addresses");
	}

	/** @throws BusError when `base` is not a directory that we may write to. */
	static create(base = "/dev/shm"): ClusterDirectory {
		const path = join(base, `shardcast-${userId}-${process.pid}-${randomBytes(4).toString("hex")}`);
		const owner: Owner = { pid: process.pid, startTicks: processStartTicks(process.pid), pidNamespace: pidNamespace() };
		try {
			mkdirSync(path, { mode: 0o700 });
			writeFileSync(join(path, "owner"), JSON.stringify(owner), { mode: 0o600 });
		} catch (error) {
			throw new BusError(
				BusErrorCode.badDirectory,
				`${base}: ${(error as Error).message}`,
				"give --cluster-directory a directory in memory that this user may write to",
			);
		}
		return new ClusterDirectory(path);
	}

	/** Opens the directory that the supervisor has made. */
	static open(path: string): ClusterDirectory {
		return new ClusterDirectory(path);
	}

	/**
	 * Removes the directories of clusters that are certainly dead and returns their paths: ours by user id, and their
	 * supervisor's process gone, or its pid now another process's. Whatever cannot be told is left alone.
	 */
	static removeStale(base = "/dev/shm"): string[] {
		const removed: string[] = [];
		for (const name of namesIn(base)) {
			const match = namePattern.exec(name);
			if (match === null) continue;
			const path = join(base, name);
			const status = lstatSync(path, { throwIfNoEntry: false });
			if (status === undefined || !status.isDirectory() || status.uid !== userId) continue;
			if (!isDead(readOwner(path), Number(match[2]))) continue;
			rmSync(path, { recursive: true, force: true });
			removed.push(path);
		}
		return removed;
	}

	ringPath(slot: number, generation: number): string {
		return join(this.path, `ring-${slot}.${generation}`);
	}

	bellPath(slot: number): string {
		return join(this.path, `bell-${slot}`);
	}

	handoffPath(slot: number): string {
		return join(this.path, `handoff-${slot}.sock`);
	}

	/** For the supervisor, as the last thing it does. Those who have files mapped keep them. */
	remove(): void {
		rmSync(this.path, { recursive: true, force: true });
	}
}

/** A directory without a readable owner was abandoned, or is being made: its name tells whose process to look for. */
function isDead(owner: Owner | null, pidInName: number): boolean {
	if (owner === null) return processStartTicks(pidInName) === null;
	// Of a process in another container with which we share the directory we know nothing.
	if (owner.pidNamespace !== pidNamespace()) return false;
	return processStartTicks(owner.pid) !== owner.startTicks;
}

function readOwner(path: string): Owner | null {
	try {
		const owner: unknown = JSON.parse(readFileSync(join(path, "owner"), "utf8"));
		return isOwner(owner) ? owner : null;
	} catch {
		return null;
	}
}

function isOwner(value: unknown): value is Owner {
	return typeof value === "object" && value !== null && "pid" in value && "startTicks" in value && "pidNamespace" in value;
}

function namesIn(base: string): string[] {
	try {
		return readdirSync(base);
	} catch {
		return [];
	}
}
