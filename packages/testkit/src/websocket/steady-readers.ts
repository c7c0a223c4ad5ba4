import { waitFor } from "../wait.ts";
import { handshakeKey } from "./handshake.ts";
import { describeEnd, RawSocket, type SocketEnd } from "./raw-socket.ts";

const openMs = 10_000;
const everyMs = 10;

/**
 * Clients that read a fixed number of bytes per second, as behind a slow network. They check that messages arrive once and in order, by the u32
 * (little-endian, from 0) at the start of each message, and keep none of them.
 */
export class SteadyReaders {
	readonly #sockets: RawSocket[] = [];
	readonly #read: number[] = [];
	readonly #mayRead: number[] = [];
	readonly #ends: string[] = [];
	#opened = 0;
	#timer: NodeJS.Timeout | undefined;

	private constructor() {}

	/** Opens one client per URL. Call `close` at the end. */
	static async open(urls: readonly string[], bytesPerSecond: number): Promise<SteadyReaders> {
		const readers = new SteadyReaders();
		const [key, readBuffer] = [handshakeKey(), Buffer.allocUnsafeSlow(65_536)];
		urls.forEach((text, id) => {
			const { hostname, port, pathname, search } = new URL(text);
			readers.#read.push(0);
			readers.#mayRead.push(0);
			const options = { host: hostname, port: Number(port), path: pathname + search, key, readBuffer };
			readers.#sockets.push(new RawSocket(id, options, readers));
		});
		readers.#timer = setInterval(() => {
			readers.#mayRead.fill((bytesPerSecond / 1000) * everyMs);
			for (const { tcp } of readers.#sockets) tcp.resume();
		}, everyMs);
		try {
			await waitFor(() => readers.#opened + readers.#ends.length === urls.length, { deadlineMs: openMs, what: `${urls.length} readers` });
			readers.#throwIfEnded();
		} catch (error) {
			readers.close();
			throw error;
		}
		return readers;
	}

	/** Waits until each has read that many messages. @throws at once when one has been closed, or got a message twice or out of order. */
	async haveRead(messages: number, deadlineMs: number): Promise<void> {
		await waitFor(() => this.#ends.length > 0 || this.#read.every((read) => read >= messages), {
			deadlineMs,
			what: `${messages} messages at ${this.#read.length} readers`,
		}).catch((error: unknown) => {
			throw new Error(`${(error as Error).message}; they have ${this.#read.join(", ")}`);
		});
		this.#throwIfEnded();
	}

	close(): void {
		clearInterval(this.#timer);
		for (const { tcp } of this.#sockets) tcp.destroy();
	}

	#throwIfEnded(): void {
		if (this.#ends.length > 0)
			throw new Error(`${this.#ends.length} of ${this.#sockets.length} readers ended; the first: ${this.#ends[0]}`);
	}

	opened(): void {
		this.#opened++;
	}

	message({ id, tcp }: RawSocket, _opcode: number, bytes: Buffer, start: number, end: number): void {
		const sequence = bytes.readUInt32LE(start);
		if (sequence !== this.#read[id]) this.#ends.push(`message ${sequence} came after ${this.#read[id]} messages`);
		this.#read[id]!++;
		this.#mayRead[id]! -= end - start;
		if (this.#mayRead[id]! <= 0) tcp.pause();
	}

	ended({ id }: RawSocket, end: SocketEnd): void {
		this.#ends.push(`${describeEnd(end)} after ${this.#read[id]} messages`);
	}
}
