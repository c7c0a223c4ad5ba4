import { constants, fstatSync, type Stats } from "node:fs";
import { NativeError } from "./native-error.ts";

/** Added to the flags of each open: neither a link nor a pipe that somebody has put there is followed or waited for. */
export const openWarily = constants.O_NOFOLLOW | constants.O_NONBLOCK;

const othersMask = 0o077;

/**
 * Whether something is this user's and nobody else may use it. The directories of clusters lie among those of all users, where
 * anybody may put one that looks like ours: what is in it may be made up, or be taken away while it is mapped.
 */
export function isOwn({ uid, mode }: Pick<Stats, "uid" | "mode">): boolean {
	return uid === ownUser() && (mode & othersMask) === 0;
}

/** Files are made in the name of the effective user. */
export function ownUser(): number {
	return process.geteuid?.() ?? 0;
}

/**
 * Looks at what was opened, not at its name, which may mean something else by now.
 * @throws NativeError when it is not `kind`, another user's, or open to others.
 */
export function requireOwn(fd: number, path: string, kind: "file" | "fifo"): Stats {
	const stats = fstatSync(fd);
	const is = kind === "file" ? stats.isFile() : stats.isFIFO();
	if (!is) throw new NativeError("EINVAL", "open", `${path} is no ${kind === "file" ? "regular file" : "pipe"}`, "no cluster has made it");
	if (isOwn(stats)) return stats;
	const whose =
		stats.uid === ownUser() ? `is open to other users (mode ${(stats.mode & 0o777).toString(8)})` : `belongs to user ${stats.uid}`;
	throw new NativeError("EACCES", "open", `${path} ${whose}`);
}
