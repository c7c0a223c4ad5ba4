import { createServer, connect as open, type Server, type Socket } from "node:net";
import { freePorts } from "../network/ports.ts";
import { waitFor } from "../wait.ts";
import { RedisServer } from "./redis-server.ts";

/**
 * A redis-server with a replica, behind one address that can be moved from one to the other, as a load balancer or a DNS name does. `stop` must be called.
 */
export class RedisPair {
	readonly master: RedisServer;
	readonly replica: RedisServer;
	readonly #port: number;
	readonly #forwarder: Server;
	readonly #sockets = new Set<Socket>();
	#target: RedisServer;

	private constructor(master: RedisServer, replica: RedisServer, port: number) {
		this.master = master;
		this.replica = replica;
		this.#port = port;
		this.#target = master;
		this.#forwarder = createServer((client) => {
			const server = open(this.#target.port, "127.0.0.1");
			for (const [one, other] of [
				[client, server],
				[server, client],
			] as const) {
				this.#sockets.add(one);
				one.pipe(other);
				one.on("error", () => other.destroy());
				one.on("close", () => {
					this.#sockets.delete(one);
					other.destroy();
				});
			}
		}).listen(port, "127.0.0.1");
	}

	static async start(): Promise<RedisPair> {
		const master = await RedisServer.start({ args: ["--repl-diskless-sync-delay", "0"] });
		const replica = await RedisServer.start({ args: ["--replicaof", "127.0.0.1", String(master.port)] });
		await waitFor(() => replica.order("INFO", "replication").includes("master_link_status:up"), {
			deadlineMs: 20_000,
			what: "a replica that has caught up",
		});
		return new RedisPair(master, replica, await freePorts());
	}

	get url(): string {
		return `redis://127.0.0.1:${this.#port}`;
	}

	/** Waits until the replica has everything. */
	async replicated(): Promise<void> {
		const offset = (server: RedisServer) => /master_repl_offset:(\d+)/.exec(server.order("INFO", "replication"))![1];
		await waitFor(() => offset(this.master) === offset(this.replica), { deadlineMs: 20_000, what: "replication" });
	}

	/** The replica stops following. What the address, still at the master, takes from now on is lost by `move`. */
	promote(): void {
		this.replica.order("REPLICAOF", "NO", "ONE");
	}

	/** The address leads to the replica. @param closing close the connections to the master, too. */
	move({ closing = true } = {}): void {
		this.#target = this.replica;
		if (closing) for (const socket of this.#sockets) socket.destroy();
	}

	async stop(): Promise<void> {
		for (const socket of this.#sockets) socket.destroy();
		await new Promise((resolve) => this.#forwarder.close(resolve));
		await Promise.all([this.master.stop(), this.replica.stop()]);
	}
}
