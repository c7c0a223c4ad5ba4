import {
	DeliveryChecker,
	type DeliveryReport,
	describeEnd,
	handshakeKey,
	RawSocket,
	type RawSocketHandler,
	type RawSocketTls,
	type SocketEnd,
} from "@shardcast/testkit";
import { monotonicMs } from "@shardcast/wire";
import type { Audience } from "../audience.ts";
import type { ClientProtocol, ServerEvents } from "../protocols/client-protocol.ts";
import { LatencyRecorder } from "../report/latency.ts";
import { Progress, type ProgressCounters } from "../report/progress-counters.ts";
import type { Target, TargetTls } from "../target.ts";
import type { NodeDeliveries } from "./protocol.ts";

interface FleetOptions {
	/** Number of this thread among the threads of the load test. */
	readonly thread: number;
	/** This fleet's clients are `firstClient … firstClient + clients - 1` of the audience. */
	readonly firstClient: number;
	readonly clients: number;
	/** The nodes, in the order of the audience's. */
	readonly targets: readonly Target[];
	readonly sourceAddresses: readonly string[];
	readonly audience: Audience;
	readonly protocol: ClientProtocol;
	readonly progress: ProgressCounters;
}

export interface RampPart {
	readonly startedMs: number;
	/** When the last connection of this fleet was open (or given up). */
	readonly endedMs: number;
	readonly opened: number;
	/** Of them, by node. */
	readonly openedByNode: readonly number[];
	/** How those ended that did not open, and how often each. */
	readonly failures: Readonly<Record<string, number>>;
}

const failuresMax = 50;

/**
 * The clients of one thread: opens them, receives, checks and times every message. All sockets read into one buffer, one
 * after the other, and nothing is allocated per read or message.
 */
export class Fleet implements RawSocketHandler, ServerEvents {
	readonly #options: FleetOptions;
	readonly #checker: DeliveryChecker;
	/** By node, as the next two. */
	readonly #latency: readonly LatencyRecorder[];
	readonly #openByNode: Uint32Array;
	readonly #receivedByNode: Float64Array;
	readonly #nodeOf: Uint8Array;
	readonly #readBuffer = Buffer.allocUnsafeSlow(256 * 1024);
	readonly #key = handshakeKey();
	readonly #sockets: (RawSocket | null)[];
	/** How connections ended without being asked to, and how often each: a bounded number of kinds. */
	readonly #failures = new Map<string, number>();
	/** What the server refused to clients that are open, and how often. */
	readonly #refusals = new Map<string, number>();
	/** 1 = the client counts as open: it gets everything from now on. */
	readonly #ready: Uint8Array;
	/** The frame that is being read, and whose it is. */
	#reading: RawSocket | null = null;
	#frame: Buffer;
	/** Clients whose end has been noted before it came. */
	readonly #noted = new Set<RawSocket>();
	/** That later connections may resume. */
	#session: Buffer | undefined;
	#next = 0;
	#connecting = 0;
	#inFlight = 0;
	#open = 0;
	#corrupted = 0;
	#closing = false;
	#changed: () => void = () => {};

	constructor(options: FleetOptions) {
		this.#options = options;
		this.#sockets = new Array<RawSocket | null>(options.clients).fill(null);
		this.#ready = new Uint8Array(options.clients);
		this.#latency = options.targets.map(() => new LatencyRecorder());
		this.#openByNode = new Uint32Array(options.targets.length);
		this.#receivedByNode = new Float64Array(options.targets.length);
		this.#nodeOf = Uint8Array.from({ length: options.clients }, (_, id) => options.audience.nodeOfClient(options.firstClient + id));
		this.#frame = this.#readBuffer;
		this.#checker = new DeliveryChecker(options.clients, options.audience.slots, options.firstClient);
	}

	/**
	 * Opens all clients, at most `inFlight` at a time; those that have no answer at the deadline are given up. Can be done
	 * again after `close`.
	 */
	async ramp(inFlight: number, deadlineMs: number): Promise<RampPart> {
		const startedMs = monotonicMs();
		this.#closing = false;
		this.#next = 0;
		this.#inFlight = inFlight;
		await this.#until(
			() => this.#next === this.#options.clients && this.#connecting === 0,
			deadlineMs,
			() => this.#connectMore(),
		);
		const endedMs = monotonicMs();
		const late = this.#connecting + (this.#options.clients - this.#next);
		if (late > 0) {
			this.#note(`no answer within ${deadlineMs} ms`, late);
			this.#next = this.#options.clients;
			this.#inFlight = 0;
			for (const socket of this.#sockets) if (socket !== null && this.#ready[socket.id] === 0) socket.reset();
		}
		const failures = Object.fromEntries(this.#failures);
		this.#failures.clear();
		return { startedMs, endedMs, opened: this.#open, openedByNode: [...this.#openByNode], failures };
	}

	/** The socket of a client of this fleet, by its number in the audience; null when it is not open. */
	socketOf(client: number): RawSocket | null {
		const socket = this.#sockets[client - this.#options.firstClient] ?? null;
		return socket?.isOpen ? socket : null;
	}

	/** A frame of the protocol with which a client publishes. */
	publishes(client: number, payload: Buffer): boolean {
		const { protocol, audience } = this.#options;
		const socket = this.socketOf(client);
		if (socket === null) return false;
		socket.send(protocol.opcode, protocol.publish(audience.channelOfClient(client), payload));
		return true;
	}

	/** What the server refused to clients that were open, by reason. */
	refusals(): Readonly<Record<string, number>> {
		return Object.fromEntries(this.#refusals);
	}

	/** What has been received since the fleet began, given what each sender has sent. */
	report(sent: ArrayLike<number>): DeliveryReport {
		const { audience, firstClient } = this.#options;
		const report = this.#checker.report((client, slot) => audience.expected(firstClient + client, slot, sent));
		if (this.#corrupted === 0) return report;
		return {
			...report,
			unexpected: report.unexpected + this.#corrupted,
			examples: [...report.examples, `${this.#corrupted} messages were not what was sent`],
		};
	}

	/** Latencies since the last call, by node. */
	takeLatency(): string[] {
		return this.#latency.map((recorder) => recorder.take());
	}

	/** Deliveries to the clients of each node, given what each sender has sent. */
	byNode(sent: ArrayLike<number>): NodeDeliveries[] {
		const { audience, firstClient, clients, targets } = this.#options;
		const expected = targets.map(() => 0);
		for (let id = 0; id < clients; id++)
			for (let slot = 0; slot < audience.slots; slot++) expected[this.#nodeOf[id]] += audience.expected(firstClient + id, slot, sent);
		return expected.map((count, node) => ({ expected: count, received: this.#receivedByNode[node] }));
	}

	/** Connections that ended after the ramp without being closed by this side. */
	brokenOff(): Readonly<Record<string, number>> {
		return Object.fromEntries(this.#failures);
	}

	/** Closes every connection, with the closing handshake or with RST; what is not gone at the deadline is reset. */
	async close(how: "handshake" | "reset", deadlineMs: number): Promise<void> {
		this.#closing = true;
		for (const socket of this.#sockets) {
			if (how === "reset") socket?.reset();
			else socket?.close();
		}
		await this.#until(() => this.#open === 0, deadlineMs);
		for (const socket of this.#sockets) socket?.reset();
		await this.#until(() => this.#open === 0, deadlineMs);
	}

	opened(socket: RawSocket): void {
		const { protocol, audience, firstClient } = this.#options;
		const hello = protocol.hello(audience.channelOfClient(firstClient + socket.id));
		if (hello === null) this.#isReady(socket);
		else socket.send(protocol.opcode, hello);
	}

	#isReady(socket: RawSocket): void {
		this.#ready[socket.id] = 1;
		this.#open++;
		this.#openByNode[this.#nodeOf[socket.id]]++;
		this.#connecting--;
		this.#options.progress.add(this.#options.thread, Progress.opened, 1);
		this.#connectMore();
		this.#changed();
	}

	message(socket: RawSocket, opcode: number, bytes: Buffer, start: number, end: number): void {
		const { audience, firstClient, protocol } = this.#options;
		this.#reading = socket;
		this.#frame = bytes;
		if (opcode === protocol.opcode) protocol.read(bytes, start, end, audience.channelOfClient(firstClient + socket.id), this);
		else this.garbage();
	}

	publication(start: number, end: number): void {
		const { audience, firstClient, progress, thread, protocol } = this.#options;
		const { payload } = protocol;
		const socket = this.#reading!;
		const bytes = this.#frame;
		const node = this.#nodeOf[socket.id];
		progress.add(thread, Progress.received, 1);
		this.#receivedByNode[node]++;
		if (!payload.isPayload(bytes, start, end)) {
			this.#corrupted++;
			return;
		}
		const sender = payload.senderOf(bytes, start);
		const slot = audience.slotOf(firstClient + socket.id, sender);
		if (slot < 0) this.#checker.stray(socket.id, `a message of sender ${sender}, which was not meant for it`);
		else this.#checker.saw(socket.id, slot, payload.numberOf(bytes, start));
		this.#latency[node].record(monotonicMs() - payload.sentMsOf(bytes, start));
	}

	subscribed(): void {
		const socket = this.#reading!;
		if (this.#ready[socket.id] === 0) this.#isReady(socket);
		else this.garbage();
	}

	refused(reason: string): void {
		const socket = this.#reading!;
		if (this.#ready[socket.id] === 1) count(this.#refusals, reason, 1);
		else {
			this.#note(`refused by the protocol: ${reason}`, 1);
			this.#noted.add(socket);
			socket.reset();
		}
	}

	ping(): void {
		const { protocol } = this.#options;
		if (protocol.pong !== null) this.#reading!.send(protocol.opcode, protocol.pong);
	}

	garbage(): void {
		const { progress, thread } = this.#options;
		progress.add(thread, Progress.received, 1);
		this.#corrupted++;
	}

	ended(socket: RawSocket, end: SocketEnd): void {
		this.#sockets[socket.id] = null;
		if (this.#ready[socket.id] === 1) {
			this.#ready[socket.id] = 0;
			this.#open--;
			this.#openByNode[this.#nodeOf[socket.id]]--;
			this.#options.progress.add(this.#options.thread, Progress.ended, 1);
			if (!this.#closing) this.#note(describeEnd(end), 1);
		} else {
			this.#connecting--;
			if (this.#inFlight > 0 && !this.#noted.delete(socket)) this.#note(describeEnd(end), 1);
			this.#connectMore();
		}
		this.#changed();
	}

	#connectMore(): void {
		const { targets, sourceAddresses, audience, protocol, firstClient, clients } = this.#options;
		while (this.#connecting < this.#inFlight && this.#next < clients) {
			const id = this.#next++;
			const client = firstClient + id;
			const target = targets[this.#nodeOf[id]];
			this.#connecting++;
			this.#sockets[id] = new RawSocket(
				id,
				{
					host: target.host,
					port: target.port,
					path: protocol.path(target.path, audience.channelOfClient(client)),
					headers: protocol.headers,
					key: this.#key,
					readBuffer: this.#readBuffer,
					...(target.tls !== null && { tls: this.#secured(target.tls) }),
					...(sourceAddresses.length === 0 ? {} : { localAddress: sourceAddresses[client % sourceAddresses.length] }),
				},
				this,
			);
		}
	}

	#secured({ verify, ca, resumes }: TargetTls): RawSocketTls {
		const checks = { verify, ca: ca ?? undefined };
		if (!resumes) return checks;
		return {
			...checks,
			session: this.#session,
			onSession: (session) => {
				this.#session = session;
			},
		};
	}

	#note(what: string, times: number): void {
		// Node adds the local port to some messages, which would make each of them one of a kind.
		count(this.#failures, what.replace(/ - Local \(.*\)$/, ""), times);
	}

	/** Resolves when `done` or at the deadline, asked after every change of a socket's state. */
	async #until(done: () => boolean, deadlineMs: number, begin: () => void = () => {}): Promise<void> {
		let timer: NodeJS.Timeout | undefined;
		await new Promise<void>((resolve) => {
			timer = setTimeout(resolve, deadlineMs);
			this.#changed = () => {
				if (done()) resolve();
			};
			begin();
			this.#changed();
		});
		clearTimeout(timer);
		this.#changed = () => {};
	}
}

/** Counts it under its kind: a bounded number of kinds. */
function count(kinds: Map<string, number>, kind: string, times: number): void {
	const name = kinds.has(kind) || kinds.size < failuresMax ? kind : "other";
	kinds.set(name, (kinds.get(name) ?? 0) + times);
}
