import { MovableAddress } from "../network/movable-address.ts";
import { waitFor } from "../wait.ts";
import { RedisServer } from "./redis-server.ts";

/**
 * A redis-server with a replica, behind one address that can be moved from one to the other. `stop` must be called.
 */
export class RedisPair {
	readonly master: RedisServer;
	readonly replica: RedisServer;
	readonly #address: MovableAddress;

	private constructor(master: RedisServer, replica: RedisServer, address: MovableAddress) {
		this.master = master;
		this.replica = replica;
		this.#address = address;
	}

	static async start(): Promise<RedisPair> {
		const master = await RedisServer.start({ args: ["--repl-diskless-sync-delay", "0"] });
		const replica = await RedisServer.start({ args: ["--replicaof", "127.0.0.1", String(master.port)] });
		await waitFor(async () => (await replica.ask("INFO", "replication")).includes("master_link_status:up"), {
			deadlineMs: 20_000,
			what: "a replica that has caught up",
		});
		return new RedisPair(master, replica, await MovableAddress.open(master.port));
	}

	get url(): string {
		return `redis://127.0.0.1:${this.#address.port}`;
	}

	/** Waits until the replica has everything. */
	async replicated(): Promise<void> {
		const offset = async (server: RedisServer) => /master_repl_offset:(\d+)/.exec(await server.ask("INFO", "replication"))![1];
		await waitFor(async () => (await offset(this.master)) === (await offset(this.replica)), { deadlineMs: 20_000, what: "replication" });
	}

	/** The replica stops following. What the address, still at the master, takes from now on is lost by `move`. */
	promote(): void {
		this.replica.order("REPLICAOF", "NO", "ONE");
	}

	/** The address leads to the replica. @param closing close the connections to the master, too. */
	move({ closing = true } = {}): void {
		this.#address.target = this.replica.port;
		if (closing) this.#address.cut();
	}

	async stop(): Promise<void> {
		await this.#address.close();
		await Promise.all([this.master.stop(), this.replica.stop()]);
	}
}
