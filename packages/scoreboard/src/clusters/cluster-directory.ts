import { randomBytes } from "node:crypto";
import { lstatSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { effectiveUser, isOwn, pidNamespace, processStartTicks } from "@shardcast/native";
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
 * owner                JSON: the process that created it
 * proxy-token          the secret by which shards recognise the balancer
 * board                the scoreboard
 * ring-<slot>.<n>      a member's ring, the n-th one of the slot
 * bell-<slot>          its doorbell
 * rates                the rate limits of addresses
 * addresses            the number of connections per address, if it is limited
 * handoff-<slot>.sock  socket on which the balancer hands connections to it
 * balancer.sock        socket in which a balancer that is replaced leaves connections to its successor
 * kafka-positions      how far each shard has delivered each partition, if Kafka is used
 * events-<slot>        what its clients do, if there is a webhook
 * log-<n>              one of the logs of channels with history
 * ```
 * The supervisor creates and removes it; all others open it. If a supervisor was killed, the next one to start removes its directory.
 */
export class ClusterDirectory {
	readonly path: string;
	readonly boardPath: string;
	readonly ratesPath: string;
	/** Exists only after connections per address have been limited. */
	readonly addressesPath: string;

	private constructor(path: string) {
		this.path = path;
		this.boardPath = join(path, "board");
		this.ratesPath = join(path, "rates");
		this.addressesPath = join(path, "addresses");
	}

	/** @throws BusError when `base` is not a writable directory. */
	static create(base = "/dev/shm"): ClusterDirectory {
		const path = join(base, `shardcast-${effectiveUser()}-${process.pid}-${randomBytes(4).toString("hex")}`);
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
	 * Opens the directory that the supervisor has created.
	 * @throws BusError when it is not a directory, belongs to another user, or is accessible to others: its files could be forged, or truncated
	 * while they are mapped.
	 */
	static open(path: string): ClusterDirectory {
		const status = lstatSync(path, { throwIfNoEntry: false });
		const fix = "name the directory of a cluster of this user";
		if (!status?.isDirectory()) throw new BusError(BusErrorCode.badDirectory, `${path} is not a directory`, fix);
		if (!isOwn(status)) {
			const why =
				status.uid === effectiveUser() ? `is open to others (mode ${(status.mode & 0o777).toString(8)})` : `belongs to user ${status.uid}`;
			throw new BusError(BusErrorCode.badDirectory, `${path} ${why}`, fix);
		}
		return new ClusterDirectory(path);
	}

	/**
	 * Removes the directories of this user's dead clusters and returns their paths. A cluster is dead if its supervisor's process is gone, or
	 * its pid was reused. Directories in doubt are kept.
	 */
	static removeStale(base = "/dev/shm"): string[] {
		return ClusterDirectory.stale(base).filter(removed);
	}

	/** Those that `removeStale` would remove. */
	static stale(base = "/dev/shm"): string[] {
		const stale = findClusters(base).filter((cluster) => cluster.isOwn && isDead(cluster));
		return stale.map(({ path }) => path);
	}

	/** Running clusters: those of this user, which can be opened, and the number of clusters that seem to belong to other users. */
	static running(base = "/dev/shm"): RunningClusters {
		const found = findClusters(base);
		return {
			own: found.filter((cluster) => cluster.isOwn && isAlive(cluster)),
			// An estimate: other users' owner files are not readable.
			others: found.filter(({ uid, supervisorPid }) => uid !== effectiveUser() && processStartTicks(supervisorPid) !== null),
		};
	}

	/** The secret by which shards recognise the balancer. Does not change while the cluster runs. */
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

	get balancerPath(): string {
		return join(this.path, "balancer.sock");
	}

	/** Called by the supervisor before it exits. Processes keep files that they have mapped. */
	remove(): void {
		rmSync(this.path, { recursive: true, force: true });
	}
}

function removed(path: string): boolean {
	try {
		rmSync(path, { recursive: true, force: true });
		return true;
	} catch {
		// No reason to fail a start; the next one tries again.
		return false;
	}
}
