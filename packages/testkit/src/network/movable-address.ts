import { createServer, connect as open, type Server, type Socket } from "node:net";
import { freePorts } from "./ports.ts";

/** An address that leads to one server of this machine and can be moved to another, as a load balancer or a DNS name does. `close` must be called. */
export class MovableAddress {
	readonly port: number;
	/** The port to which new connections lead. */
	target: number;
	readonly #forwarder: Server;
	readonly #sockets = new Set<Socket>();

	private constructor(port: number, target: number) {
		this.port = port;
		this.target = target;
		this.#forwarder = createServer((client) => {
			const server = open(this.target, "127.0.0.1");
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

	static async open(target: number): Promise<MovableAddress> {
		return new MovableAddress(await freePorts(), target);
	}

	/** Closes the connections that there are. */
	cut(): void {
		for (const socket of this.#sockets) socket.destroy();
	}

	async close(): Promise<void> {
		this.cut();
		await new Promise((resolve) => this.#forwarder.close(resolve));
	}
}
