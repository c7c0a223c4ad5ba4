import { describeEnd, handshakeKey, RawSocket, type RawSocketHandler, type SocketEnd, waitFor } from "@shardcast/testkit";
import type { Target } from "../../target.ts";

interface SlowClient {
	readonly socket: RawSocket;
	received: number;
	/** Value of `received` when the stall began. */
	receivedBefore: number;
	end: SocketEnd | null;
}

const openMs = 10_000;
const endedMs = 15_000;
/** The servers' code for a client that reads too slowly. */
const slowCode = 3008;

/**
 * Clients that stop reading, and resume on request. They receive all messages and send none. The messages that a client still gets after
 * a stall show how long the server kept buffering for it: everything up to the first message without room, and nothing after it.
 */
export class SlowClients implements RawSocketHandler {
	readonly #clients: SlowClient[] = [];
	#opened = 0;
	#ended = 0;

	private constructor() {}

	/** With `path`, for what it asks for instead of what the target's does. */
	static async open(target: Target, count: number, path = target.path): Promise<SlowClients> {
		const all = new SlowClients();
		const key = handshakeKey();
		const readBuffer = Buffer.allocUnsafeSlow(256 * 1024);
		for (let id = 0; id < count; id++) {
			const socket = new RawSocket(id, { host: target.host, port: target.port, path, key, readBuffer }, all);
			all.#clients.push({ socket, received: 0, receivedBefore: 0, end: null });
		}
		await waitFor(() => all.#opened + all.#ended === count, { deadlineMs: openMs, what: `${count} slow clients to open` });
		if (all.#ended > 0) throw new Error(`a slow client ${describeEnd(all.#clients.find(({ end }) => end !== null)!.end!)}`);
		return all;
	}

	get count(): number {
		return this.#clients.length;
	}

	/** Local ports, by which the kernel's list of sockets names them. */
	get ports(): number[] {
		return this.#clients.map(({ socket }) => socket.tcp.localPort ?? 0);
	}

	stall(): void {
		for (const client of this.#clients) {
			client.socket.tcp.pause();
			client.receivedBefore = client.received;
		}
	}

	resume(): void {
		for (const { socket } of this.#clients) socket.tcp.resume();
	}

	/** Waits until each has been closed for being slow. @throws when one was not, or ended in another way. */
	async allClosedAsSlow(): Promise<void> {
		await waitFor(() => this.#ended === this.count, { deadlineMs: endedMs, what: `the close of ${this.count} slow clients` });
		const other = this.#clients.find(({ end }) => end?.kind !== "closed" || end.code !== slowCode);
		if (other !== undefined) throw new Error(`a slow client was ${describeEnd(other.end!)}, not with ${slowCode}`);
	}

	/** Those that are not connected any more, however they ended. */
	get gone(): number {
		return this.#ended;
	}

	closedAsSlow(): number {
		return this.#clients.filter(({ end }) => end?.kind === "closed" && end.code === slowCode).length;
	}

	/** Messages of all of them together. */
	get receivedBeforeStall(): number {
		return this.#clients.reduce((sum, { receivedBefore }) => sum + receivedBefore, 0);
	}

	/** Messages that each was sent from the beginning of the stall to its close. */
	messagesBorne(): number[] {
		return this.#clients.map(({ received, receivedBefore }) => received - receivedBefore);
	}

	close(): void {
		for (const { socket, end } of this.#clients) if (end === null) socket.reset();
	}

	opened(): void {
		this.#opened++;
	}

	message(socket: RawSocket): void {
		this.#clients[socket.id]!.received++;
	}

	ended(socket: RawSocket, end: SocketEnd): void {
		this.#clients[socket.id]!.end = end;
		this.#ended++;
	}
}
