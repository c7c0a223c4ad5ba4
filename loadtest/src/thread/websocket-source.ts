import { setTimeout as sleep } from "node:timers/promises";
import type { Fleet } from "./fleet.ts";
import type { MessageSource } from "./message-source.ts";

/** What may wait in one sender's socket for the server to read on; then that sender pauses. */
const waitingBytesMax = 1 << 20;

/** Sends through the fleet's own clients: sender n is client n, with the channel that it was opened with. */
export class WebSocketSource implements MessageSource {
	readonly #fleet: Fleet;
	readonly #senders: number;

	constructor(fleet: Fleet, senders: number) {
		this.#fleet = fleet;
		this.#senders = senders;
	}

	/** The ramp has opened the connections; a sender that has lost its own sends nothing, which shows in the verdict. */
	async open(): Promise<void> {}

	send(sender: number, payload: Buffer): boolean {
		const socket = this.#fleet.socketOf(sender);
		if (socket === null || socket.tcp.writableLength > waitingBytesMax) return false;
		return this.#fleet.publishes(sender, payload);
	}

	async flush(deadlineMs: number): Promise<void> {
		const waiting = (sender: number): number => this.#fleet.socketOf(sender)?.tcp.writableLength ?? 0;
		const endsMs = performance.now() + deadlineMs;
		for (let sender = 0; sender < this.#senders; sender++) while (waiting(sender) > 0 && performance.now() < endsMs) await sleep(5);
	}

	/** The fleet has the answers, if the protocol has any; what a shard does not take of a raw client ends in the close of the sender. */
	refusals(): Readonly<Record<string, number>> {
		return {};
	}

	/** The fleet closes its clients. */
	async close(): Promise<void> {}
}
