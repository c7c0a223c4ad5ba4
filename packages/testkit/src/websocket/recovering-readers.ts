import { waitFor } from "../wait.ts";
import { Opcode } from "./frames.ts";
import { handshakeKey } from "./handshake.ts";
import { describeEnd, RawSocket, type SocketEnd } from "./raw-socket.ts";

interface RecoveringReadersOptions {
	/** Of the balancer. */
	readonly url: string;
	readonly count: number;
	/** Its history must be kept. */
	readonly channel: string;
	/** A client that was told to reconnect waits for a random part of this. */
	readonly pauseMsMax?: number;
	/** Clients that connect per second at the start; default 2000. */
	readonly openPerSecond?: number;
}

interface Reader {
	socket: RawSocket | null;
	offset: number;
	epoch: string | null;
	subscribed: boolean;
}

const faultsMax = 20;
const tickMs = 20;

/**
 * Clients of one channel that speak the Centrifuge protocol and recover: whoever is told to reconnect does so, and asks for what it has missed. They check
 * that each publication arrives once and in order, keep none, and note when they connected, and what has refused them.
 */
export class RecoveringReaders {
	readonly #options: RecoveringReadersOptions;
	readonly #readers: Reader[] = [];
	readonly #key = handshakeKey();
	readonly #readBuffer = Buffer.allocUnsafeSlow(65_536);
	/** When each connection after the first of a client was begun. */
	readonly reconnectsMs: number[] = [];
	/** By close code. */
	readonly closes = new Map<number, number>();
	/** At most a few of what went wrong: gaps, repetitions, refusals, connections that broke. */
	readonly faults: string[] = [];
	/** Number of all that went wrong. */
	faultsCount = 0;
	#closed = false;

	private constructor(options: RecoveringReadersOptions) {
		this.#options = options;
	}

	/** Resolves when all are subscribed. Call `close` at the end. */
	static async open(options: RecoveringReadersOptions, deadlineMs = 30_000): Promise<RecoveringReaders> {
		const readers = new RecoveringReaders(options);
		const perTick = Math.max(1, Math.round(((options.openPerSecond ?? 2000) * tickMs) / 1000));
		const opening = setInterval(() => {
			for (let each = 0; each < perTick && readers.#readers.length < options.count; each++) {
				const reader: Reader = { socket: null, offset: 0, epoch: null, subscribed: false };
				readers.#connect(readers.#readers.push(reader) - 1);
			}
		}, tickMs);
		try {
			await readers.allSubscribed(deadlineMs);
		} catch (error) {
			readers.close();
			throw error;
		} finally {
			clearInterval(opening);
		}
		return readers;
	}

	/** Rejects when they are not within the deadline. */
	async allSubscribed(deadlineMs: number): Promise<void> {
		const { count } = this.#options;
		const subscribed = () => this.#readers.filter((reader) => reader.subscribed).length;
		await waitFor(() => subscribed() === count, { deadlineMs, what: `${count} subscribed readers` }).catch((error: Error) => {
			throw new Error(`${error.message}; ${subscribed()} are; ${this.faults.join("; ")}`);
		});
	}

	/** Waits until all have everything up to this offset. */
	async haveRead(offset: number, deadlineMs: number): Promise<void> {
		const behind = () => this.#readers.filter((reader) => reader.offset < offset).length;
		await waitFor(() => behind() === 0, { deadlineMs, what: `all publications up to ${offset}` }).catch((error: Error) => {
			throw new Error(`${error.message}; ${behind()} readers are behind; ${this.faults.join("; ")}`);
		});
	}

	/** The most reconnects that began within any period of this length. */
	mostReconnectsWithin(periodMs: number): number {
		const times = this.reconnectsMs.toSorted((a, b) => a - b);
		let [most, first] = [0, 0];
		for (let last = 0; last < times.length; last++) {
			while (times[last]! - times[first]! >= periodMs) first++;
			most = Math.max(most, last - first + 1);
		}
		return most;
	}

	close(): void {
		this.#closed = true;
		for (const { socket } of this.#readers) socket?.tcp.destroy();
	}

	#fault(text: string): void {
		this.faultsCount++;
		if (this.faults.length < faultsMax) this.faults.push(text);
	}

	#connect(id: number): void {
		if (this.#closed) return;
		const { hostname, port } = new URL(this.#options.url);
		const options = {
			host: hostname,
			port: Number(port),
			path: "/connection/websocket?cf_ws_frame_ping_pong=true",
			key: this.#key,
			readBuffer: this.#readBuffer,
			messageBytesMax: 4 << 20,
		};
		this.#readers[id]!.socket = new RawSocket(id, options, this);
	}

	opened(socket: RawSocket): void {
		const { epoch, offset } = this.#readers[socket.id]!;
		const { channel } = this.#options;
		const since = epoch === null ? { channel } : { channel, recover: true, offset, epoch };
		socket.send(Opcode.text, Buffer.from(`{"id":1,"connect":{}}\n{"id":2,"subscribe":${JSON.stringify(since)}}`));
	}

	message({ id }: RawSocket, _opcode: number, bytes: Buffer, start: number, end: number): void {
		for (const line of bytes.toString("utf8", start, end).split("\n")) if (line !== "") this.#reply(id, JSON.parse(line) as Reply);
	}

	#reply(id: number, { error, subscribe, push }: Reply): void {
		const reader = this.#readers[id]!;
		if (error !== undefined) this.#fault(`reader ${id}: ${error.code} ${error.message}`);
		if (push?.pub !== undefined) this.#publication(id, reader, push.pub);
		if (push?.unsubscribe !== undefined) this.#fault(`reader ${id} was unsubscribed: ${push.unsubscribe.code}`);
		if (subscribe === undefined) return;
		if (reader.epoch === null) reader.offset = subscribe.offset ?? 0;
		else if (subscribe.recovered !== true) this.#fault(`reader ${id} did not recover since ${reader.offset}`);
		reader.epoch = subscribe.epoch;
		for (const publication of subscribe.publications ?? []) this.#publication(id, reader, publication);
		reader.subscribed = true;
	}

	#publication(id: number, reader: Reader, { offset }: { readonly offset: number }): void {
		if (offset !== reader.offset + 1) this.#fault(`reader ${id} got ${offset} after ${reader.offset}`);
		reader.offset = offset;
	}

	ended({ id }: RawSocket, end: SocketEnd): void {
		if (this.#closed) return;
		const reader = this.#readers[id]!;
		reader.subscribed = false;
		// Only the code by which a server asks for it makes a client come back without a fault.
		if (end.kind !== "closed" || end.code < 3000 || end.code >= 3500) this.#fault(`reader ${id}: ${describeEnd(end)}`);
		if (end.kind === "closed") this.closes.set(end.code, (this.closes.get(end.code) ?? 0) + 1);
		setTimeout(
			() => {
				if (this.#closed) return;
				this.reconnectsMs.push(performance.now());
				this.#connect(id);
			},
			(this.#options.pauseMsMax ?? 500) * Math.random(),
		);
	}
}

interface Reply {
	readonly error?: { readonly code: number; readonly message: string };
	readonly subscribe?: {
		readonly offset?: number;
		readonly epoch: string;
		readonly recovered?: boolean;
		readonly publications?: readonly { readonly offset: number }[];
	};
	readonly push?: { readonly pub?: { readonly offset: number }; readonly unsubscribe?: { readonly code: number } };
}
