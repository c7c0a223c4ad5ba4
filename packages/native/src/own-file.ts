import { constants, fstatSync, type Stats } from "node:fs";
import { NativeError } from "./native-error.ts";

/** Flags for each open, so that it neither follows a link nor waits for a pipe that another user may have placed there. */
export const safeOpenFlags = constants.O_NOFOLLOW | constants.O_NONBLOCK;

const othersMask = 0o077;

/**
 * Whether a file belongs to this user and is not accessible to others. Cluster directories are in a folder shared by all users, where
 * anybody can create one that looks like ours. Its contents could be forged, or truncated while they are mapped.
 */
export function isOwn({ uid, mode }: Pick<Stats, "uid" | "mode">): boolean {
	return uid === effectiveUser() && (mode & othersMask) === 0;
}

/** The effective user, who owns the files that this process creates. */
export function effectiveUser(): number {
	return process.geteuid?.() ?? 0;
}

/**
 * Checks an open file by its descriptor, since its name may refer to another file by now.
 * @throws NativeError when it is not of type `kind`, belongs to another user, or is accessible to others.
 */
export function requireOwn(fd: number, path: string, kind: "file" | "fifo"): Stats {
	const stats = fstatSync(fd);
	const is = kind === "file" ? stats.isFile() : stats.isFIFO();
	if (!is)
		throw new NativeError("EINVAL", "open", `${path} is not a ${kind === "file" ? "regular file" : "pipe"}`, "no cluster has created it");
	if (isOwn(stats)) return stats;
	const whose =
		stats.uid === effectiveUser() ? `is open to other users (mode ${(stats.mode & 0o777).toString(8)})` : `belongs to user ${stats.uid}`;
	throw new NativeError("EACCES", "open", `${path} ${whose}`);
}
