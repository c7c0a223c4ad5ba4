import { randomBytes } from "node:crypto";
import { lstatSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { isOwn, ownUser, pidNamespace, processStartTicks } from "@shardcast/native";
import { BusError, BusErrorCode } from "../bus-error.ts";
import { type FoundCluster, findClusters, isAlive, isDead, type Owner } from "./cluster-list.ts";

export interface RunningClusters {
	readonly own: readonly FoundCluster[];
	readonly others: readonly FoundCluster[];
}

/**
 * The directory of one running cluster: `shardcast-<uid>-<supervisor's pid>-<random>`, mode 0700, in shared memory.
 *
 * ```
 * owner                JSON: the process that made it
 * proxy-token          the secret by which shards know the balancer
 * board                the scoreboard
 * ring-<slot>.<n>      a member's ring, made for the n-th time
 * bell-<slot>          its doorbell
 * rates                what addresses may still do this second
 * addresses            connections of each address, once they are limited
 * handoff-<slot>.sock  where the balancer hands connections to it
 * kafka-positions      how far each shard has delivered each partition, when Kafka is used
 * log-<n>              one of the logs of channels with history
 * ```
 * The supervisor makes and removes it, everyone else opens it. One that a killed supervisor left behind is removed by
 * the next one to start.
 */
export class ClusterDirectory {
	readonly path: string;
	readonly boardPath: string;
	readonly ratesPath: string;
	/** There once the connections of each address have been limited. */
	readonly addressesPath: string;

	private constructor(path: string) {
		this.path = path;
		this.boardPath = join(path, "board");
		this.ratesPath = join(path, "rates");
		this.addressesPath = join(path, "addresses");
	}

	/** @throws BusError when `base` is not a directory that we may write to. */
	static create(base = "/dev/shm"): ClusterDirectory {
		const path = join(base, `shardcast-${ownUser()}-${process.pid}-${randomBytes(4).toString("hex")}`);
		const owner: Owner = { pid: process.pid, startTicks: processStartTicks(process.pid), pidNamespace: pidNamespace() };
		try {
			mkdirSync(path, { mode: 0o700 });
			writeFileSync(join(path, "owner"), JSON.stringify(owner), { mode: 0o600 });
			writeFileSync(join(path, "proxy-token"), randomBytes(24).toString("base64url"), { mode: 0o600 });
		} catch (error) {
			throw new BusError(
				BusErrorCode.badDirectory,
				`${base}: ${(error as Error).message}`,
				"give --cluster-directory a directory in memory that this user may write to",
			);
		}
		return new ClusterDirectory(path);
	}

	/**
	 * Opens the directory that the supervisor has made.
	 * @throws BusError when it is none, another user's, or open to others: its files may then be made up, or taken away while they are mapped.
	 */
	static open(path: string): ClusterDirectory {
		const status = lstatSync(path, { throwIfNoEntry: false });
		const fix = "name a directory that a cluster of this user has made";
		if (!status?.isDirectory()) throw new BusError(BusErrorCode.badDirectory, `${path} is no directory`, fix);
		if (!isOwn(status)) {
			const why =
				status.uid === ownUser() ? `is open to others (mode ${(status.mode & 0o777).toString(8)})` : `belongs to user ${status.uid}`;
			throw new BusError(BusErrorCode.badDirectory, `${path} ${why}`, fix);
		}
		return new ClusterDirectory(path);
	}

	/**
	 * Removes the directories of clusters that are certainly dead and returns their paths: this user's, and their supervisor's process
	 * gone, or its pid now another process's. Whatever cannot be told is left alone.
	 */
	static removeStale(base = "/dev/shm"): string[] {
		const stale = findClusters(base).filter((cluster) => cluster.isOwn && isDead(cluster));
		return stale.map(({ path }) => path).filter(removed);
	}

	/** The clusters that run: this user's, which may be opened, and how many look like other users'. */
	static running(base = "/dev/shm"): RunningClusters {
		const found = findClusters(base);
		return {
			own: found.filter((cluster) => cluster.isOwn && isAlive(cluster)),
			// Whether they really run is theirs to know.
			others: found.filter(({ uid, supervisorPid }) => uid !== ownUser() && processStartTicks(supervisorPid) !== null),
		};
	}

	/** The secret by which shards know the balancer: the same as long as the cluster runs. */
	get proxyToken(): string {
		return readFileSync(join(this.path, "proxy-token"), "latin1");
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

	/** For the supervisor, as the last thing it does. Processes that have files mapped keep them. */
	remove(): void {
		rmSync(this.path, { recursive: true, force: true });
	}
}

function removed(path: string): boolean {
	try {
		rmSync(path, { recursive: true, force: true });
		return true;
	} catch {
		// Not worth a start that fails; the next one tries again.
		return false;
	}
}
