import type { Config } from "@shardcast/config";
import type { AddressTable } from "@shardcast/limits";
import type { Counters } from "@shardcast/scoreboard";
import type { Commit } from "../lifecycle/feature.ts";
import { noAddressSlot } from "./admission.ts";
import { userKey } from "./user-key.ts";

/** A client that counts as a connection of its user. */
export interface CountedUser {
	/** "" = anonymous or not known yet. */
	readonly user: string;
	/** Its slot, -1 = not counted. Written only by `UserLimit`. */
	userSlot: number;
}

interface UserLimitParts {
	readonly config: Pick<Config, "userConnectionLimit">;
	readonly slot: number;
	/** Opened when the limit is first enabled. Counts connections by user, in the same way as by address. */
	readonly openTable: () => AddressTable;
	readonly counters: Pick<Counters, "add">;
	/** All clients, to be counted when the limit is enabled. */
	readonly clients: () => readonly CountedUser[];
}

/**
 * `client.user_connection_limit`: connections of one user, over all shards. The counts are in shared memory; the supervisor clears those of a
 * dead shard. Anonymous users are not counted.
 *
 * Owned by the shard's loop. While it is off, no user is looked up.
 */
export class UserLimit {
	readonly #parts: UserLimitParts;
	#table: AddressTable | null = null;
	#max = 0;

	constructor(parts: UserLimitParts) {
		this.#parts = parts;
		this.prepare(parts.config)();
	}

	/** See `Feature.reload`. @throws Error when the table cannot be opened. */
	prepare({ userConnectionLimit }: Pick<Config, "userConnectionLimit">): Commit {
		if (userConnectionLimit > 0) this.#table ??= this.#parts.openTable();
		return () => {
			this.#max = userConnectionLimit;
			if (this.#max === 0 || this.#table === null) return;
			for (const client of this.#parts.clients())
				if (client.user !== "" && client.userSlot === noAddressSlot) this.#enter(this.#table, client, client.user);
		};
	}

	/** Counts a client that connects as this user. False = the user has reached the limit, and the client is not counted. */
	admit(client: CountedUser, user: string): boolean {
		if (this.#max === 0 || this.#table === null || user === "") return true;
		// Counts itself before it reads the other counts, as the other shards do, so that no two shards admit the last one.
		this.#enter(this.#table, client, user);
		if (client.userSlot === noAddressSlot || this.#table.total(userKey(user)) <= this.#max) return true;
		this.left(client);
		this.#parts.counters.add("refusedPerUser", 1);
		return false;
	}

	/** Does nothing for a client that is not counted. */
	left(client: CountedUser): void {
		if (client.userSlot === noAddressSlot) return;
		this.#table?.leave(client.userSlot);
		client.userSlot = noAddressSlot;
	}

	#enter(table: AddressTable, client: CountedUser, user: string): void {
		client.userSlot = table.enter(this.#parts.slot, userKey(user));
		if (client.userSlot === noAddressSlot) this.#parts.counters.add("usersUncounted", 1);
	}
}
