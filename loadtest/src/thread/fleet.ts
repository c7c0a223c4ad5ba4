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
import { type Audience, foreignSender } from "../audience.ts";
import type { ClientProtocol, ServerEvents } from "../protocols/client-protocol.ts";
import { LatencyRecorder } from "../report/latency.ts";
import { Progress, type ProgressCounters } from "../report/progress-counters.ts";
import type { Target, TargetTls } from "../target.ts";
import type { IntervalRecorder } from "./interval-recorder.ts";
import { Lives } from "./lives.ts";
import type { NodeDeliveries } from "./protocol.ts";
import type { SentLog } from "./sent-log.ts";

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
	/** Clients come and go while messages are sent. */
	readonly staged?: FleetStages | null;
	/** Sent with each request to open a WebSocket. */
	readonly headers?: Readonly<Record<string, string>>;
}

export interface FleetStages {
	/** Clients that are opened by `ramp`, before the stages begin. */
	readonly openAtStart: number;
	/** What was sent so long before a client is closed, it must have got. */
	readonly leavingMs: number;
}

/** Connections tried since the ramp began. */
export interface ConnectReport {
	readonly attempted: number;
	readonly opened: number;
	readonly openedByNode: readonly number[];
	/** How those ended that did not open, and how often each. */
	readonly failures: Readonly<Record<string, number>>;
	/** How long opening took, as text that travels between threads. */
	readonly latency: string;
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
/** Of losses that only a test with stages can have. */
const examplesMax = 5;

/**
 * The clients of one thread: opens them, receives, checks and times every message. All sockets read into one buffer, one
 * after the other, and nothing is allocated per read or message.
 */
export class Fleet implements RawSocketHandler, ServerEvents {
	readonly #options: FleetOptions;
	readonly #checker: DeliveryChecker;
	/** By node, as the next three. */
	readonly #latency: readonly LatencyRecorder[];
	readonly #connectLatency = new LatencyRecorder();
	/** When each client began to connect. */
	readonly #startedMs: Float64Array;
	/** In a test with stages. */
	readonly #lives: Lives | null;
	/** Clients that were tried and not closed by this side, the newest last: with stages, the next to leave. */
	readonly #newest: number[] = [];
	/** While a load is measured. */
	intervals: IntervalRecorder | null = null;
	readonly #openByNode: Uint32Array;
	/** Since the ramp began, of which some have ended. */
	readonly #openedByNode: Uint32Array;
	readonly #receivedByNode: Float64Array;
	readonly #nodeOf: Uint8Array;
	readonly #readBuffer = Buffer.allocUnsafeSlow(256 * 1024);
	readonly #key = handshakeKey();
	readonly #sockets: (RawSocket | null)[];
	/** How connections ended that never opened, and how often each: a bounded number of kinds. */
	readonly #notOpened = new Map<string, number>();
	/** How open connections ended without being asked to. */
	readonly #brokenOff = new Map<string, number>();
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
	/** Clients that may be tried by now: with stages, not all at once. */
	#allowed = 0;
	/** No client before this one is connecting. */
	#oldest = 0;
	#left = 0;
	#halted = false;
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
		this.#startedMs = new Float64Array(options.clients);
		this.#lives = options.staged ? new Lives(options.clients, options.firstClient, options.audience, options.staged.leavingMs) : null;
		this.#latency = options.targets.map(() => new LatencyRecorder());
		this.#openByNode = new Uint32Array(options.targets.length);
		this.#openedByNode = new Uint32Array(options.targets.length);
		this.#receivedByNode = new Float64Array(options.targets.length);
		this.#nodeOf = Uint8Array.from({ length: options.clients }, (_, id) => options.audience.nodeOfClient(options.firstClient + id));
		this.#frame = this.#readBuffer;
		this.#checker = new DeliveryChecker(options.clients, options.audience.slots, options.firstClient);
	}

	/**
	 * Opens all clients, or with stages those that are there from the start, at most `inFlight` at a time; those that have no answer at
	 * the deadline are given up. Can be done again after `close`.
	 */
	async ramp(inFlight: number, deadlineMs: number): Promise<RampPart> {
		const startedMs = monotonicMs();
		this.#closing = false;
		this.#next = this.#oldest = this.#left = 0;
		this.#openedByNode.fill(0);
		this.#newest.length = 0;
		this.#notOpened.clear();
		this.#brokenOff.clear();
		this.#allowed = this.#options.staged?.openAtStart ?? this.#options.clients;
		this.#inFlight = inFlight;
		await this.#until(
			() => (this.#next === this.#allowed && this.#connecting === 0) || this.#halted,
			deadlineMs,
			() => this.#connectMore(),
		);
		const endedMs = monotonicMs();
		const late = this.#connecting + (this.#allowed - this.#next);
		if (late > 0) {
			if (!this.#halted) this.#failed(`no answer within ${deadlineMs} ms`, late);
			this.#next = this.#allowed;
			this.#inFlight = 0;
			for (const socket of this.#sockets) if (socket !== null && this.#ready[socket.id] === 0) socket.reset();
		}
		return { startedMs, endedMs, opened: this.#open, openedByNode: [...this.#openByNode], failures: Object.fromEntries(this.#notOpened) };
	}

	/**
	 * With stages: so many clients are to be open or connecting now. Opens new ones, or closes the newest; a client that failed or was
	 * closed by the server is not replaced.
	 */
	want(count: number): void {
		this.#allowed = Math.min(this.#options.clients, Math.max(this.#next, this.#left + count));
		while (this.#next - this.#left > count && this.#newest.length > 0) this.#leave(this.#newest.pop()!);
		this.#connectMore();
	}

	/** Connections that have had no answer for so long are given up. */
	giveUpAfter(connectMs: number): void {
		const ms = monotonicMs() - connectMs;
		for (; this.#oldest < this.#next && this.#startedMs[this.#oldest] < ms; this.#oldest++) {
			const socket = this.#sockets[this.#oldest];
			if (socket === null || this.#ready[this.#oldest] === 1 || this.#noted.has(socket)) continue;
			this.#failed(`no answer within ${connectMs} ms`, 1);
			this.#noted.add(socket);
			socket.reset();
		}
	}

	/** Opens no more connections, and ends a ramp. */
	halt(): void {
		this.#halted = true;
		this.#allowed = this.#next;
		this.#changed();
	}

	get connecting(): number {
		return this.#connecting;
	}

	/** Connections tried so far; their latencies are told once. */
	takeConnects(): ConnectReport {
		const failures = Object.fromEntries(this.#notOpened);
		const openedByNode = [...this.#openedByNode];
		return { attempted: this.#next, opened: sumOf(openedByNode), openedByNode, failures, latency: this.#connectLatency.take() };
	}

	/** Messages that the clients should have got by the end, with what has been sent, and have not. With stages. */
	outstanding(sent: ArrayLike<number>, log: SentLog): number {
		let missing = 0;
		this.#eachDue(sent, log, (id, slot, { from, to }) => {
			missing += Math.max(0, to - Math.max(from, this.#checker.nextOf(id, slot)));
		});
		return missing;
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
		socket.send(protocol.opcode, protocol.publish(audience.channelNumber(audience.channelOfClient(client)), payload));
		return true;
	}

	/** What the server refused to clients that were open, by reason. */
	refusals(): Readonly<Record<string, number>> {
		return Object.fromEntries(this.#refusals);
	}

	/** What has been received since the fleet began, given what each sender has sent. */
	report(sent: ArrayLike<number>, log: SentLog): DeliveryReport {
		const { audience, firstClient } = this.#options;
		const lives = this.#lives;
		const report = this.#checker.report((id, slot) => {
			if (lives === null) return audience.expected(firstClient + id, slot, sent);
			// What a client has missed before its first message, or altogether, the checker does not know: it follows.
			return lives.firstOf(id, slot) === null ? 0 : lives.due(id, slot, sent, log, this.#checker).to;
		});
		let missed = 0;
		const examples: string[] = [];
		this.#eachDue(sent, log, (id, slot, { from, to }) => {
			const lost = Math.max(0, Math.min(to, lives?.firstOf(id, slot) ?? to) - from);
			if (lost > 0 && examples.length < examplesMax)
				examples.push(`client ${firstClient + id} lost the first ${lost} after it came, of sender ${slot}`);
			missed += lost;
		});
		if (this.#corrupted > 0) examples.push(`${this.#corrupted} messages were not what was sent`);
		return {
			...report,
			lost: report.lost + missed,
			unexpected: report.unexpected + this.#corrupted,
			examples: [...report.examples, ...examples],
		};
	}

	/** With stages: what each client must have got of each slot. */
	#eachDue(
		sent: ArrayLike<number>,
		log: SentLog,
		seen: (id: number, slot: number, due: { readonly from: number; readonly to: number }) => void,
	): void {
		const { clients, audience } = this.#options;
		if (this.#lives === null) return;
		for (let id = 0; id < clients; id++)
			for (let slot = 0; slot < audience.slots; slot++) seen(id, slot, this.#lives.due(id, slot, sent, log, this.#checker));
	}

	/** Latencies since the last call, by node. */
	takeLatency(): string[] {
		return this.#latency.map((recorder) => recorder.take());
	}

	/** Deliveries to the clients of each node, given what each sender has sent. */
	byNode(sent: ArrayLike<number>, log: SentLog): NodeDeliveries[] {
		const { audience, firstClient, clients, targets } = this.#options;
		const expected = targets.map(() => 0);
		if (this.#lives === null) {
			for (let id = 0; id < clients; id++)
				for (let slot = 0; slot < audience.slots; slot++) expected[this.#nodeOf[id]] += audience.expected(firstClient + id, slot, sent);
		} else
			this.#eachDue(sent, log, (id, _slot, { from, to }) => {
				expected[this.#nodeOf[id]] += to - from;
			});
		return expected.map((count, node) => ({ expected: count, received: this.#receivedByNode[node] }));
	}

	/** Connections that ended after they were open without being closed by this side, since the ramp. */
	brokenOff(): Readonly<Record<string, number>> {
		return Object.fromEntries(this.#brokenOff);
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
		const hello = protocol.hello(audience.channelNumber(audience.channelOfClient(firstClient + socket.id)));
		if (hello === null) this.#isReady(socket);
		else socket.send(protocol.opcode, hello);
	}

	#isReady(socket: RawSocket): void {
		const now = monotonicMs();
		this.#connectLatency.record(now - this.#startedMs[socket.id]);
		this.#lives?.joined(socket.id, now);
		this.#ready[socket.id] = 1;
		this.#open++;
		this.#openedByNode[this.#nodeOf[socket.id]]++;
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
		const channel = audience.channelNumber(audience.channelOfClient(firstClient + socket.id));
		if (opcode === protocol.opcode) protocol.read(bytes, start, end, channel, this);
		else this.garbage();
	}

	publication(start: number, end: number): void {
		const { audience, firstClient, progress, thread, protocol } = this.#options;
		const { payload } = protocol;
		const socket = this.#reading!;
		const bytes = this.#frame;
		const node = this.#nodeOf[socket.id];
		const isPayload = payload.isPayload(bytes, start, end);
		const sender = isPayload ? audience.ownSender(payload.senderOf(bytes, start)) : -1;
		if (sender === foreignSender) return;
		progress.add(thread, Progress.received, 1);
		this.#receivedByNode[node]++;
		if (!isPayload) {
			this.#corrupted++;
			return;
		}
		const slot = audience.slotOf(firstClient + socket.id, sender);
		if (slot < 0) this.#checker.stray(socket.id, `a message of sender ${sender}, which was not meant for it`);
		else {
			const number = payload.numberOf(bytes, start);
			this.#lives?.saw(socket.id, slot, number, this.#checker);
			this.#checker.saw(socket.id, slot, number);
		}
		const now = monotonicMs();
		const latencyMs = now - payload.sentMsOf(bytes, start);
		this.#latency[node].record(latencyMs);
		this.intervals?.record(now, latencyMs);
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
			this.#failed(`refused by the protocol: ${reason}`, 1);
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
			if (!this.#closing && !this.#lives?.hasLeft(socket.id)) count(this.#brokenOff, kindOf(describeEnd(end)), 1);
		} else {
			this.#connecting--;
			if (this.#inFlight > 0 && !this.#noted.delete(socket)) this.#failed(describeEnd(end), 1);
			this.#connectMore();
		}
		this.#changed();
	}

	#connectMore(): void {
		while (this.#connecting < this.#inFlight && this.#next < this.#allowed) this.#connect(this.#next++);
	}

	#connect(id: number): void {
		const { targets, sourceAddresses, audience, protocol, firstClient, staged, headers } = this.#options;
		const client = firstClient + id;
		const target = targets[this.#nodeOf[id]];
		this.#connecting++;
		this.#startedMs[id] = monotonicMs();
		if (staged) this.#newest.push(id);
		this.#sockets[id] = new RawSocket(
			id,
			{
				host: target.host,
				name: target.name,
				port: target.port,
				path: protocol.path(target.path, audience.channelNumber(audience.channelOfClient(client))),
				headers: { ...headers, ...protocol.headers },
				key: this.#key,
				readBuffer: this.#readBuffer,
				...(target.tls !== null && { tls: this.#secured(target.tls) }),
				...(sourceAddresses.length === 0 ? {} : { localAddress: sourceAddresses[client % sourceAddresses.length] }),
			},
			this,
		);
	}

	/** With stages: the load test closes a client, or stops to open it. */
	#leave(id: number): void {
		this.#left++;
		this.#lives!.left(id, monotonicMs());
		const socket = this.#sockets[id];
		if (socket === null) return; // it failed, or was closed by the server
		if (this.#ready[id] === 1) socket.close();
		else {
			this.#noted.add(socket);
			socket.reset();
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

	#failed(what: string, times: number): void {
		const { progress, thread } = this.#options;
		progress.add(thread, Progress.failed, times);
		count(this.#notOpened, kindOf(what), times);
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

const sumOf = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0);

/** Node adds the local port to some messages, which would make each of them one of a kind. */
const kindOf = (what: string): string => what.replace(/ - Local \(.*\)$/, "");

/** Counts it under its kind: a bounded number of kinds. */
function count(kinds: Map<string, number>, kind: string, times: number): void {
	const name = kinds.has(kind) || kinds.size < failuresMax ? kind : "other";
	kinds.set(name, (kinds.get(name) ?? 0) + times);
}
