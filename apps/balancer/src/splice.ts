import { connect, type Socket } from "node:net";

export interface SpliceHandlers {
	readonly onConnected: () => void;
	/** Called once. `wasConnected` is false when the shard's port did not answer: the client has not been touched then. */
	readonly onShardClosed: (wasConnected: boolean) => void;
}

/** A loopback dial ends at once unless the shard's accept queue is full. */
const dialMs = 1000;

/**
 * One proxied connection: what the client has sent so far goes to the shard, then both ways with back-pressure. Each side's
 * end is passed on to the other, so half-closed connections work; an error on one side closes both.
 */
export class Splice {
	readonly #client: Socket;
	readonly #shard: Socket;
	#isConnected = false;

	constructor(
		client: Socket,
		target: { readonly host: string; readonly port: number },
		sentSoFar: readonly Buffer[],
		handlers: SpliceHandlers,
	) {
		this.#client = client;
		const shard = connect({ ...target, noDelay: true, allowHalfOpen: true });
		this.#shard = shard;
		// A client that leaves before there is a shard; later, one whose connection is over or broken.
		client.once("close", this.#onClientClosed);
		shard.setTimeout(dialMs, () => shard.destroy());
		shard.once("connect", () => {
			shard.setTimeout(0);
			this.#isConnected = true;
			handlers.onConnected();
			for (const bytes of sentSoFar) shard.write(bytes);
			client.pipe(shard);
			shard.pipe(client);
		});
		// Errors are told by the "close" that follows them.
		shard.on("error", () => {});
		shard.once("close", () => {
			client.removeListener("close", this.#onClientClosed);
			// Closed without an end: broken. After an end the client still takes what is on its way to it.
			if (this.#isConnected && !client.writableEnded) client.destroy();
			handlers.onShardClosed(this.#isConnected);
		});
	}

	cut(): void {
		this.#client.destroy();
		this.#shard.destroy();
	}

	readonly #onClientClosed = (): void => {
		this.#shard.destroy();
	};
}
