import { isDeepStrictEqual } from "node:util";
import type { Log } from "@shardcast/telemetry";
import { type RevocationChange, RevocationFile } from "./revocation-file.ts";
import { type Revocation, Revocations } from "./revocations.ts";

/**
 * - `unwritten`: it is in effect, but is lost when the whole server restarts.
 * - `alone`: it is in effect on this node, but the other nodes could not be told.
 */
export type RevocationOutcome = "kept" | "full" | "unwritten" | "alone";

export interface RevocationStoreParts {
	/** Folder in which they survive a restart of the whole server; "" = none. */
	readonly folder: string;
	readonly log: Pick<Log, "error" | "info">;
}

/** The list of revocations, in the process that all shards ask. With a folder it survives the end of that process. */
export class RevocationStore {
	readonly #parts: RevocationStoreParts;
	readonly #kept = new Revocations();
	readonly #file: RevocationFile | null;
	#warnedNotStored = false;

	/** Loads the list from the folder. Never throws; see `RevocationFile.load`. */
	constructor(parts: RevocationStoreParts) {
		this.#parts = parts;
		const { folder, log } = parts;
		this.#file = folder === "" ? null : new RevocationFile({ folder, log, count: () => this.#kept.size, list: () => this.list });
		const changes = this.#file?.load() ?? [];
		for (const change of changes) this.#apply(change);
		if (this.list.length > 0) log.info(`${this.list.length} blocked users and revoked tokens from ${this.#file!.path} are in force`);
	}

	get list(): readonly Revocation[] {
		return this.#kept.list;
	}

	/** Whether the change would change nothing. */
	has(change: RevocationChange): boolean {
		const { kind, id } = "add" in change ? change.add : change.remove;
		const entry = this.#kept.get(kind, id);
		return "add" in change ? entry !== null && isDeepStrictEqual(entry, change.add) : entry === null;
	}

	/** Applies a change. Resolves when it is on disk, if there is a folder. */
	async change(change: RevocationChange): Promise<RevocationOutcome> {
		if (!this.#apply(change)) return "full";
		const { log } = this.#parts;
		if (this.#file === null) {
			if (!this.#warnedNotStored)
				log.info(
					"blocked users and revoked tokens hold until this server ends; to keep them, name a folder with channel.durable_store.path",
				);
			this.#warnedNotStored = true;
			return "kept";
		}
		try {
			await this.#file.write(change);
			return "kept";
		} catch (error) {
			log.error({ error }, `a blocked user or revoked token could not be written to ${this.#file.path}: it holds until this server ends`);
			return "unwritten";
		}
	}

	/** False = too many entries. */
	#apply(change: RevocationChange): boolean {
		if ("add" in change) return this.#kept.add(change.add);
		this.#kept.remove(change.remove.kind, change.remove.id);
		return true;
	}
}
