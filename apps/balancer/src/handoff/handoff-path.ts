import { Socket } from "node:net";
import { proxyHeaderBytesMax } from "@shardcast/http";
import { addressText } from "@shardcast/limits";
import {
	acceptDescriptor,
	closeDescriptor,
	DescriptorChannel,
	duplicate,
	hasHungUp,
	NativeError,
	peek,
	peerAddress,
	sendAndClose,
} from "@shardcast/native";
import { openFiles, until } from "@shardcast/process";
import {
	backlog,
	type DataPath,
	DataPathLimits,
	DescriptorBudget,
	displaced,
	HeadParser,
	HeadStatus,
	headRefusal,
	type ListenAt,
	noPrefix,
	PlacementQueue,
	type ProxyPrefix,
	proxyPrefix,
	type Refusal,
	Refusals,
	type Responder,
	refusalAnswer,
} from "@shardcast/relay";
import type { SelectionKey } from "@shardcast/selection";
import { clientHelloBytesMax, monotonicMs, readClientHello } from "@shardcast/wire";
import { type Accepted, Listener } from "../listener.ts";
import type { Picker } from "../pick/picker.ts";
import { noKey, type PlacementKeys } from "../pick/placement-keys.ts";
import { placementRefusal, placementRules } from "../placement.ts";
import type { TlsEnd } from "../tls/tls-end.ts";
import type { Handoff } from "./handoff.ts";
import { WaitingHeads } from "./waiting-heads.ts";

/** The most connections accepted in one turn, so that a storm leaves the loop time for those already accepted. */
const acceptBatchMax = 128;

interface HandoffPathOptions {
	readonly responder: Responder;
	readonly picker: Picker;
	readonly keys: PlacementKeys;
	readonly handoff: Handoff;
	readonly headBytesMax: number;
	readonly headTimeoutMs: number;
	/** Each connection begins with a PROXY header. Like the request after it, it stays unread for the shard. */
	readonly proxyProtocol: boolean;
	/** Ends TLS for connections that no shard takes; all others stay encrypted up to their shard. Null = no TLS. */
	readonly tls: TlsEnd | null;
	/** How many descriptors this process may have open. */
	readonly descriptorsMax: number;
	/** Passes connections from a balancer that is replaced to the next one; null = that is not possible. */
	readonly successor: Successor | null;
}

/** Both ends of a socket that outlives this process. */
interface Successor {
	/** What a predecessor has left. */
	readonly left: Pick<DescriptorChannel, "receive">;
	readonly openChannel: () => Pick<DescriptorChannel, "send" | "close">;
}

/** A connection that waits for room in a shard. */
interface WaitingConnection {
	readonly fd: number;
	readonly sinceMs: number;
	readonly kind: RequestKind;
	readonly key: SelectionKey;
	readonly isHead: boolean;
}

/** The purpose of a connection, from its head. `encrypted`: only its shard can know. */
type RequestKind = "lasting" | "short" | "encrypted";

/**
 * Accept, peek, pick, hand over. Here a connection is just its descriptor, a number, until it is handed over or needs an answer. Peeking
 * leaves the bytes unread for the shard. One per process.
 */
export class HandoffPath implements DataPath {
	readonly #options: HandoffPathOptions;
	headTimeoutMs: number;
	readonly #responder: Responder;
	readonly #picker: Picker;
	readonly #handoff: Handoff;
	readonly #heads: WaitingHeads;
	readonly #unplaced: PlacementQueue<WaitingConnection>;
	readonly #budget: DescriptorBudget;
	/** The bytes of the last peek: a PROXY header, if there is one, and the head. */
	readonly #peeked: Buffer;
	/** The part of these bytes that starts with the request's head: all, unless there is a PROXY header. */
	#bytes: Buffer;
	/** The client's address in that header; null = none. */
	#announcedAddress: string | null = null;
	/** Parses heads that arrive in one piece, as nearly all do. */
	#parser = new HeadParser();
	#listener: Listener | null = null;
	#isStopping = false;

	constructor(options: HandoffPathOptions) {
		this.#options = options;
		this.headTimeoutMs = options.headTimeoutMs;
		this.#responder = options.responder;
		this.#picker = options.picker;
		this.#handoff = options.handoff;
		this.#budget = new DescriptorBudget(options.descriptorsMax);
		this.#peeked = Buffer.allocUnsafeSlow(peekBytes(options));
		this.#bytes = this.#peeked;
		this.#heads = new WaitingHeads({
			headsMax: DataPathLimits.headsMax,
			timeoutMs: () => this.headTimeoutMs,
			nowMs: monotonicMs,
			begin: () => this.#picker.look(),
			look: (head) => {
				head.seen = this.#examine(head.fd, head.sinceMs, head.parser, head.seen);
				return head.seen >= 0;
			},
			end: () => this.#handoff.flush(),
			expire: ({ fd, parser }) => this.#refuse(fd, Refusals.headTimeout, parser.isHead),
		});
		this.#unplaced = new PlacementQueue({
			...placementRules(this.#picker),
			areHeldUp: () => this.#picker.allSilent,
			place: (connection) => this.#place(connection, connection.kind !== "short"),
			placed: () => this.#handoff.flush(),
			refuse: (connection) => this.#giveUp(connection),
		});
	}

	get pending(): number {
		return this.#heads.size + this.#unplaced.size + this.#handoff.waiting + this.#responder.leaving + (this.#options.tls?.pending ?? 0);
	}

	async open(at: ListenAt): Promise<number> {
		this.#listener = await Listener.open(at, (listenFd, connection) => this.#onConnection(listenFd, connection));
		this.#takeLeft();
		return this.#listener.port;
	}

	/** Takes back a connection that its shard has not received. */
	takeBack(fd: number, sinceMs: number): void {
		if (fd > this.#budget.answeredMax) {
			this.#turnAway(fd, Refusals.descriptors);
			return;
		}
		if (this.#options.tls !== null) {
			this.#unplaced.add({ fd, sinceMs, kind: "encrypted", key: this.#options.keys.ofUnreadable(() => peerText(fd)), isHead: false });
			return;
		}
		const head = this.#parsed(fd);
		const key = head.status === HeadStatus.complete ? this.#keyOf(fd, head) : noKey;
		this.#unplaced.add({ fd, sinceMs, kind: head.isLasting ? "lasting" : "short", key, isHead: head.isHead });
	}

	/** Its head is still unread. If the client has disconnected in the meantime, it is placed like any other, and its shard notices. */
	#parsed(fd: number): HeadParser {
		const parser = this.#parser;
		parser.reset();
		const length = this.#peek(fd);
		if (length <= 0) return parser;
		const prefix = this.#skipPrefix(fd, length);
		if (prefix.status === "complete" && length > prefix.bytes) parser.parse(this.#bytes, length - prefix.bytes);
		return parser;
	}

	/** Whether `takeBack` has room for all connections that a message may carry: without enough descriptors the kernel drops them all. */
	get hasRoom(): boolean {
		const count = DescriptorChannel.descriptorsMax;
		if (this.#isStopping || this.#unplaced.size + count > DataPathLimits.placementMax) return false;
		return (openFiles() ?? 0) + count <= this.#budget.answeredMax;
	}

	tick(): void {
		this.#picker.look();
		const { candidates } = this.#picker;
		this.#handoff.settle(candidates);
		this.#handoff.takeBack(candidates);
	}

	async drain(deadlineMs: number, replaced = false): Promise<number> {
		if (replaced) {
			// What is in the kernel's queue waits there for the successor.
			this.#listener?.close();
			this.#listener = null;
			this.#leave();
		}
		this.#isStopping = true;
		if (this.#listener !== null) {
			// These clients have connected and would otherwise get a reset.
			this.#picker.look();
			this.#acceptUpTo(backlog, this.#listener.fd);
			this.#handoff.flush();
			this.#listener.close();
			this.#listener = null;
		}
		// A client that has not sent a byte has no request to lose.
		if (!replaced) for (const { fd } of this.#heads.take((head) => head.seen === 0)) closeDescriptor(fd);
		await until(() => this.pending === 0, deadlineMs);
		return this.close();
	}

	/** Leaves the connections that wait here to the successor: nothing was read from them. Those that the socket cannot hold are finished here. */
	#leave(): void {
		const { successor } = this.#options;
		if (successor === null) return;
		const channel = successor.openChannel();
		const waiting = [...this.#heads.take(), ...this.#unplaced.take()];
		const size = DescriptorChannel.descriptorsMax;
		let at = 0;
		for (; at < waiting.length; at += size) {
			const fds = waiting.slice(at, at + size).map(({ fd }) => fd);
			if (!channel.send(fds)) break;
			for (const fd of fds) closeDescriptor(fd);
			this.#responder.count("leftToSuccessor", fds.length);
		}
		channel.close();
		for (const { fd, sinceMs } of waiting.slice(at)) this.#heads.add(fd, sinceMs, new HeadParser(), 0);
	}

	/** Takes over what a predecessor has left. */
	#takeLeft(): void {
		const { successor } = this.#options;
		if (successor === null) return;
		this.#picker.look();
		const nowMs = monotonicMs();
		for (let fds = successor.left.receive(); fds.length > 0; fds = successor.left.receive()) for (const fd of fds) this.#admit(fd, nowMs);
		this.#handoff.flush();
	}

	close(): number {
		this.#isStopping = true;
		this.#listener?.close();
		this.#listener = null;
		const fds = [...this.#heads.take(), ...this.#unplaced.take()].map(({ fd }) => fd);
		for (const fd of fds) closeDescriptor(fd);
		return fds.length + this.#handoff.close() + this.#responder.close() + (this.#options.tls?.close() ?? 0);
	}

	#onConnection(listenFd: number, connection: Accepted | null): void {
		this.#picker.look();
		if (connection === null) this.#responder.count("acceptErrors", 1);
		else this.#takeOver(connection);
		this.#acceptUpTo(acceptBatchMax, listenFd);
		this.#handoff.flush();
	}

	/** From here on it is a bare descriptor, like the others. */
	#takeOver(connection: Accepted): void {
		let fd: number;
		try {
			fd = duplicate(connection.fd);
		} catch (error) {
			if (!(error instanceof NativeError)) throw error;
			this.#responder.count("acceptErrors", 1);
			return;
		} finally {
			connection.close();
		}
		this.#admit(fd, monotonicMs());
	}

	#acceptUpTo(most: number, listenFd: number): void {
		const nowMs = monotonicMs();
		for (let taken = 0; taken < most; taken++) {
			let fd: number;
			try {
				fd = acceptDescriptor(listenFd);
			} catch (error) {
				if (!(error instanceof NativeError)) throw error;
				this.#responder.count("acceptErrors", 1);
				return;
			}
			if (fd === -1) return;
			this.#admit(fd, nowMs);
			// Placed connections leave at the end of the turn; the rest of the queue waits for that.
			if (fd > this.#budget.answeredMax) return;
		}
	}

	#admit(fd: number, sinceMs: number): void {
		this.#responder.count("accepted", 1);
		const parser = this.#parser;
		parser.reset();
		const seen = this.#examine(fd, sinceMs, parser, 0);
		if (seen < 0) return;
		const kept = fd > this.#budget.heldMax ? this.#replaceOldest(fd) : fd;
		if (kept < 0) return;
		this.#parser = new HeadParser();
		this.#heads.add(kept, sinceMs, parser, seen);
	}

	/**
	 * Makes room for a connection that has to wait for its head, by dropping the one that has waited longest. A client that opens connections and
	 * sends nothing thus displaces its own. @returns the new descriptor of the connection, which may be kept; -1 when it was turned away.
	 */
	#replaceOldest(fd: number): number {
		const oldest = this.#heads.takeOldest(DataPathLimits.displacedMs);
		if (oldest === null) return this.#turnAway(fd, Refusals.descriptors);
		// Its head may have arrived since the last check.
		if (this.#examine(oldest.fd, oldest.sinceMs, oldest.parser, oldest.seen) >= 0)
			this.#turnAway(oldest.fd, displaced, oldest.parser.isHead);
		// The lowest free number: that of the oldest, or one below, unless the oldest was just handed to a shard and is still open.
		let kept: number;
		try {
			kept = duplicate(fd);
		} catch (error) {
			if (!(error instanceof NativeError)) throw error;
			return this.#turnAway(fd, Refusals.descriptors);
		}
		closeDescriptor(fd);
		return kept > this.#budget.heldMax ? this.#turnAway(kept, Refusals.descriptors) : kept;
	}

	/** @returns how many bytes of an incomplete head there are; -1 when the connection needs nothing more. */
	#examine(fd: number, sinceMs: number, parser: HeadParser, seen: number): number {
		const length = this.#peek(fd);
		if (length === 0) return this.#closedEarly(fd);
		if (length === -1) return seen;
		if (length === seen) return hasHungUp(fd) ? this.#closedEarly(fd) : seen;
		if (this.#options.tls !== null) return this.#examineHello(fd, sinceMs, length);
		const prefix = this.#skipPrefix(fd, length);
		if (prefix.status === "refused") return this.#refuse(fd, prefix.refusal, false);
		if (prefix.status === "incomplete" || length === prefix.bytes) return length;
		const headLength = length - prefix.bytes;
		parser.parse(this.#bytes, headLength);
		const refusal = headRefusal(parser, headLength, this.#options.headBytesMax);
		if (refusal !== null) return this.#refuse(fd, refusal, parser.isHead);
		if (parser.status !== HeadStatus.complete) return length;
		this.#settle(fd, sinceMs, parser);
		return -1;
	}

	/** Like `#examine`, for TLS. It waits for the handshake here, since the shard would wait longer. */
	#examineHello(fd: number, sinceMs: number, length: number): number {
		const { status } = readClientHello(this.#peeked, length);
		if (status === "incomplete") return length;
		const { keys } = this.#options;
		if (status === "complete")
			this.#placeOrWait({ fd, sinceMs, kind: "encrypted", key: keys.ofUnreadable(() => peerText(fd)), isHead: false });
		else this.#refuse(fd, Refusals.noTls, false);
		return -1;
	}

	/** Finds the start of the request in the peeked bytes, and reads a PROXY header before it. Costs nothing if none is required. */
	#skipPrefix(fd: number, length: number): ProxyPrefix {
		if (!this.#options.proxyProtocol) return noPrefix;
		const prefix = proxyPrefix(this.#peeked, length, this.#responder.isTrusted(peerText(fd)));
		if (prefix.status !== "complete") return prefix;
		this.#bytes = this.#peeked.subarray(prefix.bytes);
		this.#announcedAddress = prefix.address;
		return prefix;
	}

	/** Address of the connection examined last: that of its PROXY header, or of the connection itself. */
	#peer(fd: number): string {
		return this.#announcedAddress ?? peerText(fd);
	}

	/** Like `peek`, and 0 when the peer has broken the connection. */
	#peek(fd: number): number {
		try {
			return peek(fd, this.#peeked);
		} catch (error) {
			if (error instanceof NativeError) return 0;
			throw error;
		}
	}

	#closedEarly(fd: number): -1 {
		this.#responder.count("closedEarly", 1);
		closeDescriptor(fd);
		return -1;
	}

	#settle(fd: number, sinceMs: number, head: HeadParser): void {
		const { isLasting, isHead } = head;
		if (this.#responder.isOurs(head, this.#bytes)) {
			if (fd > this.#budget.answeredMax) {
				this.#turnAway(fd, Refusals.descriptors, isHead);
				return;
			}
			const address = this.#clientOf(fd, head);
			// A client may close its sending side after the request and still wait for the response.
			// All was only peeked at, with a PROXY header before the head, if there is one.
			const unread = this.#bytes.byteOffset - this.#peeked.byteOffset + head.bytes;
			this.#responder.answer(new Socket({ fd, allowHalfOpen: true }), Buffer.from(this.#bytes.subarray(0, head.bytes)), address, {
				...{ early: nothingEarly, unread, bytes: Math.max(0, head.contentLength) },
			});
			return;
		}
		const refusal = this.#responder.judge(head, this.#bytes, () => this.#peer(fd));
		if (refusal !== null) {
			this.#refuse(fd, refusal, isHead);
			return;
		}
		this.#placeOrWait({ fd, sinceMs, kind: isLasting ? "lasting" : "short", key: this.#keyOf(fd, head), isHead });
	}

	#refusal(): Refusal {
		return placementRefusal(this.#picker, this.#picker.candidates, this.#isStopping);
	}

	/** What places the connection whose head was parsed last. */
	#keyOf(fd: number, head: HeadParser): SelectionKey {
		return this.#options.keys.of(head, this.#bytes, () => this.#clientOf(fd, head));
	}

	#clientOf(fd: number, head: HeadParser): string {
		return this.#responder.clientAddress(head, this.#bytes, this.#peer(fd));
	}

	#placeOrWait(connection: WaitingConnection): void {
		const { fd, kind, isHead } = connection;
		// A connection that is handed over at once needs no place here; one that has to wait does.
		const mayWait = fd <= this.#budget.heldMax;
		if (!mayWait && this.#handoff.isBehind) this.#turnAway(fd, Refusals.descriptors, isHead);
		else if (!this.#place(connection, kind !== "short")) {
			if (mayWait) this.#unplaced.add(connection);
			else this.#turnAway(fd, this.#refusal(), isHead);
		}
	}

	/** Handles a connection for which no shard has room as a client. With TLS it may be a short request; if not, a shard refuses it. */
	#giveUp(connection: WaitingConnection): void {
		const { fd, kind, isHead } = connection;
		if (kind === "encrypted" && this.#place(connection, false)) this.#handoff.flush();
		else this.#refuse(fd, this.#refusal(), isHead);
	}

	#place({ fd, sinceMs, key }: WaitingConnection, isLasting: boolean): boolean {
		const candidate = this.#picker.pick(isLasting, key);
		if (candidate === null) return false;
		this.#handoff.put(candidate, fd, sinceMs);
		return true;
	}

	#refuse(fd: number, refusal: Refusal, isHead: boolean): -1 {
		const { tls } = this.#options;
		// Without a complete handshake there can be no answer.
		if (fd > this.#budget.heldMax || (tls !== null && refusal.code === "head_timeout")) return this.#turnAway(fd, refusal, isHead);
		if (tls !== null && refusal.code !== "tls_required") {
			const address = peerText(fd);
			tls.refuse(new Socket({ fd, allowHalfOpen: true }), refusal, address);
			return -1;
		}
		this.#responder.refuse(new Socket({ fd }), refusal, isHead);
		return -1;
	}

	/** Refuses without waiting for the client to disconnect: there is no descriptor for that, nor for a TLS handshake. */
	#turnAway(fd: number, refusal: Refusal, isHead = false): -1 {
		this.#responder.count(refusal.counter, 1);
		const isReadable = this.#options.tls === null || refusal.code === "tls_required";
		sendAndClose(fd, isReadable ? refusalAnswer(refusal, isHead) : nothing, this.#peeked);
		return -1;
	}
}

const nothing = new Uint8Array(0);
const nothingEarly = Buffer.alloc(0);

/** Most bytes to peek at. */
function peekBytes({ headBytesMax, proxyProtocol, tls }: HandoffPathOptions): number {
	if (tls !== null) return clientHelloBytesMax;
	return headBytesMax + (proxyProtocol ? proxyHeaderBytesMax : 0);
}

/** "" when the client is gone. */
function peerText(fd: number): string {
	return addressText(peerAddress(fd));
}
