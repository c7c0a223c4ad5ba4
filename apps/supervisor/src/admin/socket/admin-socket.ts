import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { chmodSync, existsSync, linkSync, lstatSync, renameSync, type Stats, statSync, symlinkSync, unlinkSync } from "node:fs";
import type { Server } from "node:http";
import { connect } from "node:net";
import { dirname } from "node:path";
import { StartupError } from "@shardcast/process";

/** Nobody but its user, and root, may connect. */
const othersMask = 0o177;
/** A process that takes longer to accept a connection is alive: only a missing one is refused at once. */
const probeMs = 2000;

/**
 * The Unix socket on which the supervisor listens, mode 0600. A socket that a killed process has left is replaced; one that answers is not. The path belongs to
 * this process until `close`.
 */
export class AdminSocket {
	readonly path: string;
	readonly #server: Server;
	/** To remove only what this process has made. */
	readonly #made: Pick<Stats, "ino" | "dev">;

	private constructor(path: string, server: Server) {
		this.path = path;
		this.#server = server;
		this.#made = lstatSync(path);
	}

	/**
	 * @param option its name, for messages.
	 * @throws StartupError when the path is taken, or no socket can be made there.
	 */
	static async listen(server: Server, path: string, option: string): Promise<AdminSocket> {
		refuseOpenFolder(path, option);
		try {
			await bind(server, path);
		} catch (error) {
			if (codeOf(error) !== "EADDRINUSE") throw cannot(path, option, error);
			await removeStale(path, option);
			// Another supervisor may have been quicker.
			await bind(server, path).catch((again: unknown) => {
				throw codeOf(again) === "EADDRINUSE" ? taken(path, option) : cannot(path, option, again);
			});
		}
		return new AdminSocket(path, server);
	}

	/** Lets the commands find it where they look first. Removed together with the folder. */
	linkFrom(path: string): void {
		if (path !== this.path) symlinkSync(this.path, path);
	}

	/** Closes all connections, and removes the socket. May be called at the end of the process. */
	close(): void {
		// Node removes what is at the path, even if another process has made it.
		const foreign = this.#moveForeignAside();
		this.#server.close();
		this.#server.closeAllConnections();
		if (foreign !== null) renameSync(foreign, this.path);
	}

	/** @returns where it is now; null = there is nothing of another process at the path, or this one could not remove it. */
	#moveForeignAside(): string | null {
		const found = lstatSync(this.path, { throwIfNoEntry: false });
		if (found === undefined || (found.ino === this.#made.ino && found.dev === this.#made.dev)) return null;
		const aside = asideOf(this.path);
		try {
			renameSync(this.path, aside);
			return aside;
		} catch {
			// Who may not rename it may not remove it either.
			return null;
		}
	}
}

/** Where everybody may replace files of others, a link could take the socket's place before its mode is set, or commands could reach another's socket. */
function refuseOpenFolder(path: string, option: string): void {
	const folder = dirname(path);
	const mode = statSync(folder, { throwIfNoEntry: false })?.mode ?? 0;
	if ((mode & 0o002) === 0 || (mode & 0o1000) !== 0) return;
	throw new StartupError(
		`${option}: every user may replace files in ${folder}; give a path in a folder of this user, or set the sticky bit: chmod +t ${folder}`,
		{ flag: option },
	);
}

/** With the mode from the start: there is no moment in which another user can connect. */
async function bind(server: Server, path: string): Promise<void> {
	const before = process.umask(othersMask);
	try {
		// A path is bound before `listen` returns.
		server.listen(path);
	} finally {
		process.umask(before);
	}
	// Rejects when it cannot listen.
	await once(server, "listening");
	chmodSync(path, 0o600);
}

/** @throws StartupError when the path is not a socket, or a process listens there. */
async function removeStale(path: string, option: string): Promise<void> {
	const found = lstatSync(path, { throwIfNoEntry: false });
	if (found === undefined) return;
	if (!found.isSocket())
		throw new StartupError(`${option}: ${path} exists and is not a socket; give another path, or remove it`, { flag: option });
	if (await answers(path)) throw taken(path, option);
	// Moved first: if another supervisor has replaced it since, this is the new one, and goes back.
	const aside = asideOf(path);
	try {
		renameSync(path, aside);
	} catch (error) {
		if (codeOf(error) === "ENOENT") return;
		throw cannot(path, option, error);
	}
	// A new one may have the same inode number.
	const isNew = lstatSync(aside).mtimeMs !== found.mtimeMs || (await answers(aside));
	if (isNew) linkSync(aside, path);
	unlinkSync(aside);
	if (isNew) throw taken(path, option);
}

function asideOf(path: string): string {
	return `${path}.${randomBytes(4).toString("hex")}`;
}

/** Whether a process listens there, even one that hangs. */
async function answers(path: string): Promise<boolean> {
	const socket = connect(path);
	try {
		await once(socket, "connect", { signal: AbortSignal.timeout(probeMs) });
		return true;
	} catch (error) {
		return !["ECONNREFUSED", "ENOENT"].includes(codeOf(error));
	} finally {
		socket.destroy();
	}
}

function taken(path: string, option: string): StartupError {
	return new StartupError(`${option}: another process listens on ${path}; stop it, or give each cluster another path`, { flag: option });
}

function cannot(path: string, option: string, error: unknown): StartupError {
	// For Node, a missing folder is EACCES, too.
	const fix = existsSync(dirname(path)) ? "let this user write to its folder" : "make its folder first";
	return new StartupError(`${option}: ${(error as Error).message}; ${fix}, or give another path`, { flag: option, cause: error });
}

function codeOf(error: unknown): string {
	return (error as NodeJS.ErrnoException).code ?? "";
}
