import { handshakeKey, Opcode, RawSocket } from "@shardcast/testkit";
import { type RawMessage, RawOracle, type Tally } from "../oracle.ts";

interface Client {
	socket: RawSocket | null;
	/** Number of its connection: the first has 0. */
	connection: number;
	/** A sender's next number within its connection. */
	next: number;
	oracle: RawOracle | null;
}

const sendEveryMs = 50;

/** Raw clients, some of which send numbered messages to all. One that loses its connection comes back at once. */
export class RawClients {
	readonly #clients: Client[];
	readonly #senders: number;
	readonly #target: { readonly host: string; readonly port: number; readonly path: string };
	readonly #run: string;
	readonly #tally: Tally;
	readonly #key = handshakeKey();
	readonly #readBuffer = Buffer.allocUnsafeSlow(65_536);
	readonly #sending: NodeJS.Timeout;
	#isClosed = false;
	/** How often one was refused or lost its connection. */
	interruptions = 0;

	/** @param run is in each message, so that those of others are not taken for theirs. */
	constructor(url: string, count: number, senders: number, run: string, tally: Tally) {
		const { hostname, port } = new URL(url);
		this.#target = { host: hostname, port: Number(port), path: "/" };
		this.#senders = senders;
		this.#run = run;
		this.#tally = tally;
		this.#clients = Array.from({ length: count }, () => ({ socket: null, connection: -1, next: 0, oracle: null }));
		for (let id = 0; id < count; id++) this.#connect(id);
		this.#sending = setInterval(() => this.#send(), sendEveryMs);
	}

	get count(): number {
		return this.#clients.length;
	}

	get areOpen(): boolean {
		return this.#clients.every(({ socket }) => socket?.isOpen === true);
	}

	/** What each sender sends next: given to `haveFrom` later, tells whether all that was sent by now has come. */
	marks(): RawMessage[] {
		return this.#clients.slice(0, this.#senders).map(({ connection, next }, sender) => ({ sender, connection, sequence: next }));
	}

	/** Each client has, from each other one that sends, the message with this number or, if that one has a new connection, any of it. */
	haveFrom(marks: readonly RawMessage[]): boolean {
		return this.#clients.every(
			({ oracle }, id) =>
				oracle !== null &&
				marks.every(({ sender, connection, sequence }) => {
					const { connection: now } = this.#clients[sender]!;
					return sender === id || (now === connection ? oracle.nextOf(sender, now) > sequence : oracle.nextOf(sender, now) > 0);
				}),
		);
	}

	close(): void {
		this.#isClosed = true;
		clearInterval(this.#sending);
		for (const { socket } of this.#clients) socket?.tcp.destroy();
	}

	#send(): void {
		for (let sender = 0; sender < this.#senders; sender++) {
			const client = this.#clients[sender]!;
			// One that is not being read holds its messages back, as an application would.
			if (client.socket?.isOpen !== true || client.socket.tcp.writableLength > 65_536) continue;
			client.socket.send(Opcode.text, Buffer.from(`${this.#run}:${sender}:${client.connection}:${client.next++}`));
		}
	}

	#connect(id: number): void {
		if (this.#isClosed) return;
		const options = { ...this.#target, key: this.#key, readBuffer: this.#readBuffer };
		this.#clients[id]!.socket = new RawSocket(id, options, this);
	}

	opened({ id }: RawSocket): void {
		const client = this.#clients[id]!;
		client.connection++;
		client.next = 0;
		client.oracle = new RawOracle(this.#tally, `raw client ${id} connection ${client.connection}`, this.marks());
	}

	message({ id }: RawSocket, _opcode: number, bytes: Buffer, start: number, end: number): void {
		const [run, sender, connection, sequence] = bytes.toString("utf8", start, end).split(":");
		if (run !== this.#run) return;
		const message = { sender: Number(sender), connection: Number(connection), sequence: Number(sequence) };
		if (message.sender === id) this.#tally.add("leaked", `raw client ${id} got its own message back`);
		else this.#clients[id]!.oracle?.saw(message);
	}

	ended({ id }: RawSocket): void {
		this.#clients[id]!.oracle = null;
		if (this.#isClosed) return;
		this.interruptions++;
		setTimeout(() => this.#connect(id), 50 + 200 * Math.random());
	}
}
