import { describeEnd, handshakeKey, Opcode, RawSocket, type RawSocketHandler, type SocketEnd } from "@shardcast/testkit";
import { sourceAddresses, type Target } from "../../target.ts";

interface ProtocolClientsOptions {
	readonly target: Target;
	readonly path: string;
	readonly connections: number;
	/** Sent by each client when it is open; it is ready when that has been answered. Null = it is ready at once. */
	readonly hello: ((client: number) => readonly string[]) | null;
}

const inFlightMax = 256;
const deadlineMs = 60_000;
const lineFeed = 0x0a;
/** Commands in one frame. */
const frameCommands = 20;

/**
 * Many clients that give commands in JSON and count the answers: as little as is possible on this side, since it shares the machine with the
 * servers. Each has one frame under way at most. Not for publications: these count as answers.
 */
export class ProtocolClients implements RawSocketHandler {
	readonly #options: ProtocolClientsOptions;
	readonly #readBuffer = Buffer.allocUnsafeSlow(256 * 1024);
	readonly #key = handshakeKey();
	readonly #addresses: readonly string[];
	readonly #sockets: RawSocket[] = [];
	/** Commands of each client that are not sent yet, and answers that are not here yet. */
	readonly #commands: (readonly string[])[] = [];
	readonly #unanswered: number[] = [];
	#busy = 0;
	#opening = 0;
	#isClosing = false;
	/** What each answer must have in it. */
	#expected = Buffer.alloc(0);
	#failure: Error | null = null;
	#changed: () => void = () => {};

	constructor(options: ProtocolClientsOptions) {
		this.#options = options;
		this.#addresses = sourceAddresses([options.target], options.connections);
	}

	/** Opens them all. @throws unless all are ready in a minute. */
	open(): Promise<void> {
		return this.#until(() => this.#sockets.length === this.#options.connections && this.#opening === 0 && this.#busy === 0);
	}

	/** Gives each client its commands, and waits for all answers. @param expected what each answer must have in it. @throws when one has not. */
	ask(commandsOf: (client: number) => readonly string[], expected = ""): Promise<void> {
		this.#expected = Buffer.from(expected);
		for (const socket of this.#sockets) this.#ask(socket, commandsOf(socket.id));
		return this.#until(() => this.#busy === 0);
	}

	async close(): Promise<void> {
		this.#isClosing = true;
		const open = this.#sockets.filter(({ tcp }) => !tcp.closed);
		const ended = open.map((socket) => new Promise((resolve) => socket.tcp.once("close", resolve)));
		for (const socket of open) socket.reset();
		await Promise.all(ended);
	}

	opened(socket: RawSocket): void {
		this.#opening--;
		const { hello } = this.#options;
		if (hello !== null) this.#ask(socket, hello(socket.id));
		this.#openMore();
		this.#changed();
	}

	message(socket: RawSocket, opcode: number, bytes: Buffer, start: number, end: number): void {
		if (end - start === 2) {
			socket.send(Opcode.text, Buffer.from("{}"));
			return;
		}
		const frame = bytes.subarray(start, end);
		const answers = opcode === Opcode.text ? count(frame, lineFeed) + 1 : 0;
		const isExpected = this.#expected.length === 0 || count(frame, this.#expected) === answers;
		if (answers === 0 || !isExpected || frame.includes('"error":')) this.#fail(`a client was answered ${frame.toString("utf8", 0, 200)}`);
		this.#unanswered[socket.id] -= answers;
		if (this.#unanswered[socket.id] > 0) return;
		this.#busy--;
		this.#ask(socket, this.#commands[socket.id]);
		this.#changed();
	}

	ended(_socket: RawSocket, end: SocketEnd): void {
		if (!this.#isClosing) this.#fail(`a connection was ${describeEnd(end)}`);
	}

	#ask(socket: RawSocket, commands: readonly string[]): void {
		this.#commands[socket.id] = commands.slice(frameCommands);
		if (commands.length === 0) return;
		const frame = commands.slice(0, frameCommands);
		this.#unanswered[socket.id] = frame.length;
		this.#busy++;
		socket.send(Opcode.text, Buffer.from(frame.join("\n")));
	}

	#openMore(): void {
		const { target, path, connections } = this.#options;
		while (this.#opening < inFlightMax && this.#sockets.length < connections && this.#failure === null) {
			const id = this.#sockets.length;
			const localAddress = this.#addresses[id % this.#addresses.length];
			this.#opening++;
			this.#unanswered.push(0);
			this.#commands.push([]);
			const options = { host: target.host, port: target.port, path, key: this.#key, readBuffer: this.#readBuffer, localAddress };
			this.#sockets.push(new RawSocket(id, options, this));
		}
	}

	#fail(message: string): void {
		this.#failure ??= new Error(message);
		this.#changed();
	}

	/** Resolves when `done`. @throws at the deadline, or when a client has failed. */
	async #until(done: () => boolean): Promise<void> {
		let timer: NodeJS.Timeout | undefined;
		await new Promise<void>((resolve) => {
			timer = setTimeout(() => this.#fail(`${this.#busy} clients have not been answered in ${deadlineMs} ms`), deadlineMs);
			this.#changed = () => {
				if (this.#failure !== null || done()) resolve();
			};
			this.#openMore();
			this.#changed();
		});
		clearTimeout(timer);
		this.#changed = () => {};
		if (this.#failure !== null) throw this.#failure;
	}
}

/** How often `what` is in there. */
function count(bytes: Buffer, what: Buffer | number): number {
	let found = 0;
	for (let at = bytes.indexOf(what); at >= 0; at = bytes.indexOf(what, at + 1)) found++;
	return found;
}

let id = 1;
/** A command with a new id. */
export function command(method: "connect" | "subscribe" | "unsubscribe" | "publish" | "rpc", request: object): string {
	return `{"id":${++id},"${method}":${JSON.stringify(request)}}`;
}
