import { closeSync, constants, fstatSync, lstatSync, openSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { isOwn, openWarily, pidNamespace, processStartTicks } from "@shardcast/native";

/** What the file `owner` holds, as JSON. A pid alone would be given to another process some day. */
export interface Owner {
	readonly pid: number;
	readonly startTicks: number | null;
	readonly pidNamespace: string;
}

/** A directory that looks like a cluster's. */
export interface FoundCluster {
	readonly path: string;
	/** As its name says. */
	readonly supervisorPid: number;
	/** The user who made it. */
	readonly uid: number;
	/** It is this user's, and nobody else may write to it or read it: what is in it can be believed. */
	readonly isOwn: boolean;
}

const namePattern = /^shardcast-\d+-(\d+)-[0-9a-f]{8}$/;
const ownerBytesMax = 4096;

/** The clusters' directories in `base`, whose they may be. Links are none. */
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

/** Whether the supervisor of one of this user's clusters is certainly gone, or its pid now another process's. */
export function isDead({ path, supervisorPid }: FoundCluster): boolean {
	const owner = readOwner(path);
	// Without a readable owner it was abandoned, or is being made: its name tells whose process to look for.
	if (owner === null) return processStartTicks(supervisorPid) === null;
	// Of a process in another container with which we share the directory we know nothing.
	if (owner.pidNamespace !== pidNamespace()) return false;
	return processStartTicks(owner.pid) !== owner.startTicks;
}

/** Whether the supervisor of one of this user's clusters certainly lives. */
export function isAlive({ path }: FoundCluster): boolean {
	const owner = readOwner(path);
	return owner !== null && owner.pidNamespace === pidNamespace() && processStartTicks(owner.pid) === owner.startTicks;
}

function readOwner(path: string): Owner | null {
	try {
		const fd = openSync(join(path, "owner"), constants.O_RDONLY | openWarily);
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
