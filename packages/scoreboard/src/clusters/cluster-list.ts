import { closeSync, constants, fstatSync, lstatSync, openSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { isOwn, pidNamespace, processStartTicks, safeOpenFlags } from "@shardcast/native";

/** Contents of the file `owner`, as JSON. A pid alone could be reused for another process. */
export interface Owner {
	readonly pid: number;
	readonly startTicks: number | null;
	readonly pidNamespace: string;
}

/** A directory with a cluster's name. */
export interface FoundCluster {
	readonly path: string;
	/** From its name. */
	readonly supervisorPid: number;
	/** The user who created it. */
	readonly uid: number;
	/** Whether it belongs to this user and is not accessible to others, so that its contents can be trusted. */
	readonly isOwn: boolean;
}

const namePattern = /^shardcast-\d+-(\d+)-[0-9a-f]{8}$/;
const ownerBytesMax = 4096;

/** All cluster directories in `base`, of any user. Does not follow links. */
export function findClusters(base: string): FoundCluster[] {
	const found: FoundCluster[] = [];
	for (const name of namesIn(base)) {
		const match = namePattern.exec(name);
		if (match === null) continue;
		const path = join(base, name);
		const status = lstatSync(path, { throwIfNoEntry: false });
		if (status?.isDirectory()) found.push({ path, supervisorPid: Number(match[1]), uid: status.uid, isOwn: isOwn(status) });
	}
	return found;
}

/** Whether the supervisor of one of this user's clusters is certainly gone, or its pid was reused. */
export function isDead({ path, supervisorPid }: FoundCluster): boolean {
	const owner = readOwner(path);
	// Without a readable owner file it was abandoned, or is being created. The pid in its name decides.
	if (owner === null) return processStartTicks(supervisorPid) === null;
	// A process in another container that shares the directory cannot be checked.
	if (owner.pidNamespace !== pidNamespace()) return false;
	return processStartTicks(owner.pid) !== owner.startTicks;
}

/** Whether the supervisor of one of this user's clusters is certainly running. */
export function isAlive({ path }: FoundCluster): boolean {
	const owner = readOwner(path);
	return owner !== null && owner.pidNamespace === pidNamespace() && processStartTicks(owner.pid) === owner.startTicks;
}

function readOwner(path: string): Owner | null {
	try {
		const fd = openSync(join(path, "owner"), constants.O_RDONLY | safeOpenFlags);
		try {
			const status = fstatSync(fd);
			if (!status.isFile() || !isOwn(status) || status.size > ownerBytesMax) return null;
			const owner: unknown = JSON.parse(readFileSync(fd, "utf8"));
			return isOwner(owner) ? owner : null;
		} finally {
			closeSync(fd);
		}
	} catch {
		return null;
	}
}

function isOwner(value: unknown): value is Owner {
	if (typeof value !== "object" || value === null) return false;
	const { pid, startTicks, pidNamespace } = value as Partial<Record<keyof Owner, unknown>>;
	return Number.isInteger(pid) && (startTicks === null || Number.isInteger(startTicks)) && typeof pidNamespace === "string";
}

function namesIn(base: string): string[] {
	try {
		return readdirSync(base);
	} catch {
		return [];
	}
}
