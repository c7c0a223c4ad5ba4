import { createServer, type Server, type Socket } from "node:net";
import { GrowingBytes } from "@shardcast/http";
import { openFiles, until } from "@shardcast/process";
import { displaced, type Refusal, Refusals } from "./answer/refusal.ts";
import type { Responder } from "./answer/responder.ts";
import { backlog, type DataPath, DataPathLimits, type ListenAt } from "./data-path.ts";
import { DeadlineSet } from "./deadline-set.ts";
import { DescriptorBudget } from "./descriptor-budget.ts";
import { HeadParser, HeadStatus } from "./head/head.ts";
import { headRefusal } from "./head/head-refusal.ts";
import { proxyPrefix } from "./head/proxy-prefix.ts";
import { proxyHead } from "./pass/proxy-head.ts";
import { Splice } from "./pass/splice.ts";
import { PlacementQueue } from "./placement-queue.ts";
import type { Target, TargetRequest, Targets } from "./targets.ts";

/** Resolves once the loop has polled all its sockets. */
const turnOfLoop = () => new Promise<void>((resolve) => setImmediate(() => setImmediate(resolve)));

interface ProxyPathOptions {
	readonly responder: Responder;
	readonly targets: Targets;
	readonly headBytesMax: number;
	readonly headTimeoutMs: number;
	/** Each connection begins with a PROXY header. */
	readonly proxyProtocol: boolean;
	/** Turns an accepted connection into one that is decrypted here; null = no TLS. */
	readonly secure: ((socket: Socket) => Socket) | null;
	/** How many clients of remote shards per second are told to go when this process ends. */
	readonly leavePerSecond: () => number;
	/** How many descriptors this process may have open. A proxied connection takes two. */
	readonly descriptorsMax: number;
}

/** A client on its way to a target. */
interface ProxiedConnection {
	readonly socket: Socket;
	/**
	 * Address of the PROXY header, or of the connection itself. Read when the connection was accepted: a broken connection has none, and an
	 * address that the client claims must not replace it.
	 */
	address: string;
	readonly head: HeadParser;
	/** Received bytes, from the request's head on. */
	bytes: GrowingBytes;
	/** Its PROXY header has not arrived yet. */
	awaitsPrefix: boolean;
	/** The turn of the loop in which it was accepted. */
	readonly turn: number;
	/** Those that were dialled for it in vain. */
	readonly tried: Target[];
	readonly onData: (piece: Buffer) => void;
	readonly onEnd: () => void;
}

/** The splice between this client and its target. */
interface Spliced {
	readonly connection: ProxiedConnection;
	readonly target: Target;
	/** The splice has returned the client's connection. */
	isReleased: boolean;
}

/** A target that does not answer is skipped for a moment, so few attempts per client are enough. */
const dialsMax = 4;

/** Between two moments in which clients of remote shards are told to go. */
const leaveStepMs = 20;

/**
 * Accept, read the head, pick a target, dial it, splice. The balancer uses it where connections cannot be handed over, and the edge for nodes; needs
 * nothing native. One per process. Bounds: `DataPathLimits`, and as many connections as there are descriptors for.
 */
export class ProxyPath implements DataPath {
	readonly #options: ProxyPathOptions;
	readonly #responder: Responder;
	readonly #targets: Targets;
	readonly #waiting: DeadlineSet<ProxiedConnection>;
	readonly #unplaced: PlacementQueue<ProxiedConnection>;
	readonly #splices = new Map<Splice, Spliced>();
	/** Those of them to remote shards whose clients have not been told to go. */
	readonly #remote = new Set<Splice>();
	readonly #server: Server;
	readonly #budget: DescriptorBudget;
	/** Counts the loop's turns in which a connection was accepted. */
	#turn = 0;
	#turnEnds = false;
	/** Descriptors that do not belong to a client. */
	#openAtStart = 0;
	#isStopping = false;

	constructor(options: ProxyPathOptions) {
		this.#options = options;
		this.#responder = options.responder;
		this.#targets = options.targets;
		this.#budget = new DescriptorBudget(options.descriptorsMax);
		this.#waiting = new DeadlineSet({
			lifetimeMs: options.headTimeoutMs,
			itemsMax: DataPathLimits.headsMax,
			expire: (connection) => this.#refuse(connection, Refusals.headTimeout),
		});
		this.#unplaced = new PlacementQueue({
			waitMs: options.targets.waitMs,
			heldUpMs: options.targets.heldUpMs,
			areHeldUp: (connection) => options.targets.areHeldUp(this.#requestOf(connection)),
			itemsMax: DataPathLimits.placementMax,
			look: () => options.targets.look(),
			place: (connection) => this.#place(connection),
			placed: () => {},
			refuse: (connection) => this.#refuse(connection, this.#targets.refusal(this.#requestOf(connection), this.#isStopping)),
		});
		this.#server = createServer({ noDelay: true, allowHalfOpen: true }, (socket) => this.#admit(socket));
	}

	set headTimeoutMs(value: number) {
		this.#waiting.lifetimeMs = value;
	}

	get pending(): number {
		return this.#waiting.size + this.#unplaced.size + this.#responder.leaving;
	}

	open(at: ListenAt): Promise<number> {
		this.#targets.open();
		return new Promise((resolve, reject) => {
			this.#server.once("error", reject);
			this.#server.listen({ ...at, backlog }, () => {
				this.#server.removeListener("error", reject);
				this.#openAtStart = openFiles() ?? 0;
				this.#server.on("error", () => this.#responder.count("acceptErrors", 1));
				const bound = this.#server.address();
				resolve(bound !== null && typeof bound === "object" ? bound.port : 0);
			});
		});
	}

	tick(): void {
		this.#targets.look();
		if (this.#targets.mayTakeBack) this.#takeBack();
	}

	/**
	 * Gives WebSockets that a target has not answered to another one: the client has received nothing, and its request has had no effect. A
	 * publish request waits instead, since it might take effect twice.
	 */
	#takeBack(): void {
		const waiting = [...this.#splices].filter(([, { connection, target }]) => connection.head.isUpgrade && target.isStandingStill);
		for (const [splice, spliced] of waiting) {
			if (this.#unplaced.size >= DataPathLimits.placementMax) return;
			if (!splice.giveBack()) continue;
			spliced.isReleased = true;
			this.#responder.count("takenBack", 1);
			this.#unplaced.add(spliced.connection);
		}
	}

	async drain(deadlineMs: number): Promise<number> {
		this.#isStopping = true;
		this.#server.close();
		// Reads what is in the kernel's buffers now: a client that has not sent a byte has no request to lose.
		await turnOfLoop();
		for (const { socket } of this.#waiting.take(({ bytes }) => bytes.length === 0)) socket.destroy();
		const leaving = this.#leaveRemote(deadlineMs);
		await until(() => this.pending === 0 && this.#splices.size === 0, deadlineMs);
		clearInterval(leaving);
		return this.close();
	}

	/** Shards of this machine tell their own clients, at the same rate, and so that all are told in the first half of the time. */
	#leaveRemote(deadlineMs: number): NodeJS.Timeout {
		const perSecond = Math.max(this.#options.leavePerSecond(), this.#remote.size / (deadlineMs / 2000) || 0);
		let due = 0;
		const tell = (): void => {
			due += (perSecond * leaveStepMs) / 1000;
			for (const splice of this.#remote) {
				if (due < 1) return;
				this.#remote.delete(splice);
				splice.leave();
				due--;
			}
			due = 0;
		};
		return setInterval(tell, leaveStepMs);
	}

	close(): number {
		this.#isStopping = true;
		this.#server.close();
		const connections = [...this.#waiting.take(), ...this.#unplaced.take()];
		for (const { socket } of connections) socket.destroy();
		const splices = [...this.#splices.keys()];
		for (const splice of splices) splice.cut();
		return connections.length + splices.length + this.#responder.close();
	}

	#admit(accepted: Socket): void {
		this.#responder.count("accepted", 1);
		const address = accepted.remoteAddress;
		if (address === undefined) {
			this.#responder.count("closedEarly", 1);
			accepted.destroy();
			return;
		}
		const socket = this.#options.secure?.(accepted) ?? accepted;
		const connection: ProxiedConnection = {
			socket,
			address,
			head: new HeadParser(),
			bytes: new GrowingBytes(),
			awaitsPrefix: this.#options.proxyProtocol,
			turn: this.#currentTurn(),
			tried: [],
			onData: (piece) => this.#onData(connection, piece),
			onEnd: () => this.#onEarlyEnd(connection),
		};
		// A client without room is refused only when its request is known: /health must be answered even when no client fits.
		if (this.#isFull() && !this.#displaceOldest()) this.#responder.cutOldest();
		if (this.#isFull()) {
			this.#responder.turnAway(socket, Refusals.descriptors, false);
			return;
		}
		this.#waiting.add(connection);
		socket.on("data", connection.onData);
		socket.on("end", connection.onEnd);
		socket.on("close", connection.onEnd);
		// Without a listener an error would crash the process; "close" follows it.
		socket.on("error", () => {});
	}

	/**
	 * Makes room by dropping the connection that has waited longest without sending its request. A client that opens connections and sends nothing
	 * thus displaces its own. False when all have just arrived, or when the loop has not yet read what they sent.
	 */
	#displaceOldest(): boolean {
		const { oldest } = this.#waiting;
		if (oldest === null || this.#turn - oldest.turn < 2 || this.#waiting.takeOldest(DataPathLimits.displacedMs) === null) return false;
		this.#release(oldest);
		this.#responder.turnAway(oldest.socket, displaced, oldest.head.isHead);
		return true;
	}

	#currentTurn(): number {
		if (!this.#turnEnds) {
			this.#turnEnds = true;
			setImmediate(() => {
				this.#turnEnds = false;
				this.#turn++;
			});
		}
		return this.#turn;
	}

	/** Whether there is no room even for a request that is answered here. */
	#isFull(): boolean {
		return this.#descriptorsNeeded() >= this.#budget.answeredMax;
	}

	/** How many descriptors there will be when all accepted connections have their second one. */
	#descriptorsNeeded(): number {
		return this.#openAtStart + 2 * (this.#splices.size + this.#unplaced.size) + this.#waiting.size + this.#responder.leaving;
	}

	/** The client closed before its head was complete. */
	#onEarlyEnd(connection: ProxiedConnection): void {
		if (!this.#waiting.delete(connection)) return;
		this.#responder.count("closedEarly", 1);
		connection.socket.destroy();
	}

	#onData(connection: ProxiedConnection, piece: Buffer): void {
		const { head } = connection;
		const { headBytesMax } = this.#options;
		connection.bytes.append(piece);
		if (connection.awaitsPrefix && !this.#skipPrefix(connection)) return;
		const { bytes } = connection;
		head.parse(bytes.buffer, bytes.length);
		const refusal = headRefusal(head, bytes.length, headBytesMax);
		if (refusal !== null) this.#refuse(connection, refusal);
		else if (head.status === HeadStatus.complete) this.#settle(connection);
	}

	/** False while the PROXY header and the first byte after it have not arrived, and when the connection was refused. */
	#skipPrefix(connection: ProxiedConnection): boolean {
		const { bytes, address } = connection;
		const prefix = proxyPrefix(bytes.buffer, bytes.length, this.#responder.isTrusted(address));
		if (prefix.status === "refused") this.#refuse(connection, prefix.refusal);
		if (prefix.status !== "complete") return false;
		connection.awaitsPrefix = false;
		connection.address = prefix.address ?? address;
		connection.bytes = new GrowingBytes();
		if (bytes.length > prefix.bytes) connection.bytes.append(bytes.all().subarray(prefix.bytes));
		return connection.bytes.length > 0;
	}

	#settle(connection: ProxiedConnection): void {
		const { socket, head, bytes } = connection;
		if (this.#responder.isOurs(head, bytes.buffer)) {
			this.#release(connection);
			this.#responder.answer(
				socket,
				Buffer.from(bytes.buffer.subarray(0, head.bytes)),
				this.#clientAddress(connection, bytes.buffer, head),
				{ early: Buffer.from(bytes.all().subarray(head.bytes)), unread: 0, bytes: Math.max(0, head.contentLength) },
			);
			return;
		}
		this.#release(connection);
		const refusal = this.#hasDescriptors() ? this.#judge(connection, bytes.buffer, head) : Refusals.descriptors;
		if (refusal !== null) {
			this.#refuse(connection, refusal);
			return;
		}
		this.#targets.look();
		if (!this.#place(connection)) this.#unplaced.add(connection);
	}

	#judge(connection: ProxiedConnection, bytes: Buffer, head: HeadParser): Refusal | null {
		return this.#responder.judge(head, bytes, () => connection.address);
	}

	#clientAddress({ address }: ProxiedConnection, bytes: Buffer, head: HeadParser): string {
		return this.#responder.clientAddress(head, bytes, address);
	}

	/** Whether there are two descriptors for one more proxied connection; connections without a request make room for it. */
	#hasDescriptors(): boolean {
		const enough = () => this.#descriptorsNeeded() + 2 <= this.#budget.heldMax;
		while (!enough() && this.#displaceOldest());
		return enough();
	}

	/** Stops waiting for the connection's head, and stops reading from it for now. */
	#release(connection: ProxiedConnection): void {
		this.#waiting.delete(connection);
		const { socket, onData, onEnd } = connection;
		socket.off("data", onData).off("end", onEnd).off("close", onEnd).pause();
	}

	#refuse(connection: ProxiedConnection, refusal: Refusal): void {
		this.#release(connection);
		this.#responder.refuse(connection.socket, refusal, connection.head.isHead);
	}

	#place(connection: ProxiedConnection): boolean {
		if (connection.socket.destroyed) {
			this.#responder.count("closedEarly", 1);
			return true;
		}
		const target = this.#targets.pick(this.#requestOf(connection));
		if (target === null) return false;
		this.#dial(connection, target);
		return true;
	}

	#requestOf(connection: ProxiedConnection): TargetRequest {
		const { head, tried, bytes } = connection;
		return { head, bytes: bytes.buffer, tried, address: () => this.#clientAddress(connection, bytes.buffer, head) };
	}

	#dial(connection: ProxiedConnection, target: Target): void {
		const { socket, head, bytes } = connection;
		const { headBytesMax } = this.#options;
		const { token, preface, isLastHop, dialMs, answerMs, idleMs, onIdle, tls: targetTls } = target.link;
		let lasting = 0;
		const count = (connections: number, more: number) => {
			lasting += more;
			target.count(connections, more);
		};
		count(1, head.isLasting ? 1 : 0);
		const spliced = { connection, target, isReleased: false };
		const splice = new Splice(socket, {
			target,
			targetTls,
			head,
			bytes: bytes.all(),
			headBytesMax,
			dialMs,
			answerMs,
			idleMs,
			onIdle,
			isLastHop,
			preface: preface?.(connection.address) ?? null,
			rewrite: (all, request) => {
				const client = this.#clientAddress(connection, all, request);
				return proxyHead(all, request, { peer: connection.address, client, token, isLastHop });
			},
			judge: (all, request) => {
				const refusal = this.#judge(connection, all, request);
				if (refusal === null && request.isLasting) count(0, 1);
				return refusal;
			},
			onConnected: () => {
				this.#responder.count("proxied", 1);
				target.connected();
			},
			onRefused: (refusal, isHead) => {
				spliced.isReleased = true;
				this.#responder.refuse(socket, refusal, isHead);
			},
			onUnserved: (why) => {
				spliced.isReleased = true;
				this.#responder.count("takenBack", 1);
				target.unserved();
				// One that cannot serve is not shunned: a client whose token it cannot check, for example, must not keep it from all others.
				if (why !== "unavailable") target.shun("broken");
				this.#elsewhere(connection, target);
			},
			onTargetClosed: (how) => {
				count(-1, -lasting);
				this.#splices.delete(splice);
				this.#remote.delete(splice);
				// Another machine may look well to whoever asks for /health, and break each connection: it would always have the fewest.
				if (how === "broken" && isLastHop) target.shun(how);
				if (how === "unreached") this.#onDialFailed(connection, target);
				else if (!socket.destroyed && !spliced.isReleased) this.#responder.closeGracefully(socket);
			},
		});
		this.#splices.set(splice, spliced);
		if (isLastHop) this.#remote.add(splice);
	}

	#onDialFailed(connection: ProxiedConnection, target: Target): void {
		if (!connection.socket.destroyed) {
			this.#responder.count("dialErrors", 1);
			target.shun("unreached");
		}
		this.#elsewhere(connection, target);
	}

	/** The client has received nothing: another target may take it. */
	#elsewhere(connection: ProxiedConnection, target: Target): void {
		if (connection.socket.destroyed) {
			this.#responder.count("closedEarly", 1);
			return;
		}
		if (connection.tried.push(target) === dialsMax) {
			this.#refuse(connection, this.#targets.unreachable);
			return;
		}
		this.#targets.look();
		if (!this.#place(connection)) this.#unplaced.add(connection);
	}
}
