import type { VisitOrigin } from "@shardcast/bus";
import { BusStream, type StreamBus, type StreamPeer } from "./bus-stream.ts";
import type { ChannelEnds, ChannelStreams, GatewayBus, StreamsListener } from "./gateway-bus.ts";
import { Peer, streamsOf } from "./peer.ts";
import { StreamCounts } from "./stream-counts.ts";
import { StreamList } from "./stream-list.ts";
import { createStreamHead, readStreamHead, StreamRecord, StreamStep, writeStreamHead } from "./stream-record.ts";

/** A record without bytes that must be sent. */
interface Note {
	readonly step: StreamStep;
	readonly to: StreamPeer;
	readonly stream: number;
	readonly fromOpener: boolean;
	readonly amount: number;
}

/** Those that are there. Only `hello` goes to all. */
const everyone: StreamPeer = { slot: -1, incarnation: 0 };

const recordsPerTurn = 64;
/** Channels that one process may have open here: twice as many as there may be backends. */
const channelsMax = 128;
const notesMax = 1024;
/** No doorbell rings when there is room in the ring again. */
const fullRetryMs = 1;

/**
 * Streams of bytes between the processes of a gateway, over the bus, and the loop that reads it. A process is known here from its `hello` on, which it
 * sends when it reads the bus, until its slot has no process or another one: then its streams end.
 *
 * One owner, the gateway's loop. Reading never waits for writing, so processes do not block each other. When the ring is full, what is to be written
 * waits, and is tried again each millisecond. Bounds: `channelsMax` for each process, `notesMax`; whatever another process writes, nothing here throws.
 */
export class BusStreams implements StreamBus {
	readonly counts = new StreamCounts();
	readonly dataBytesMax: number;
	readonly #bus: GatewayBus;
	readonly #listener: StreamsListener;
	readonly #peers = new Map<number, Peer>();
	/** The rings of other members as buffers. */
	readonly #rings = new Map<number, Buffer>();
	readonly #head = createStreamHead();
	readonly #sent = createStreamHead();
	#incarnation = 0;
	#number = 0;
	/** Streams that have something to write. */
	#ready = new StreamList();
	/** Those that are being written; the two take turns. */
	#flushing = new StreamList();
	readonly #notes: Note[] = [];
	#claimed = 0;
	#mustRing = false;
	#immediate: NodeJS.Immediate | null = null;
	#retry: NodeJS.Timeout | null = null;
	#isReading = false;
	#isStopped = true;

	constructor(bus: GatewayBus, listener: StreamsListener) {
		this.#bus = bus;
		this.#listener = listener;
		this.dataBytesMax = Math.min(StreamRecord.dataBytesMax, bus.link.recordBytesMax - StreamRecord.headBytes);
	}

	get slot(): number {
		return this.#bus.link.member;
	}

	get u8(): Uint8Array {
		return this.#bus.link.u8;
	}

	/** Open streams. */
	get open(): number {
		let count = 0;
		for (const { opened, accepted } of this.#peers.values()) count += opened.size + accepted.size;
		return count;
	}

	isThere(slot: number): boolean {
		return this.#peers.has(slot);
	}

	start(): void {
		if (!this.#isStopped) return;
		this.#incarnation = this.#bus.incarnationOf(this.slot);
		this.#isStopped = false;
		this.#bus.link.onWake(this.#turn);
		this.#note(StreamStep.hello, everyone, 0, false);
		this.#turn();
	}

	/** Breaks all streams; the bus is not read any more. The owner of the bus link closes it soon: others wait for this member until then. */
	stop(): void {
		if (this.#isStopped) return;
		for (const peer of this.#peers.values()) for (const stream of streamsOf(peer)) stream.reset();
		this.#writeNotes();
		this.#ring();
		this.#isStopped = true;
		this.#bus.link.onWake(() => {});
		if (this.#immediate !== null) clearImmediate(this.#immediate);
		if (this.#retry !== null) clearTimeout(this.#retry);
	}

	/** Call it every fraction of a second: finds processes that have gone, and makes up for a doorbell that did not ring. */
	tick(): void {
		if (!this.#isStopped && (this.#hasLost() || this.#bus.link.overslept())) this.#turn();
	}

	/** Opens a channel to a process; null if it is not there. */
	openChannel(slot: number, backendId: number, { control, data }: ChannelEnds): ChannelStreams | null {
		const peer = this.#peers.get(slot);
		if (peer === undefined) return null;
		do this.#number = (this.#number + 2) >>> 0;
		while (peer.opened.has(this.#number) || peer.opened.has(this.#number + 1));
		const number = this.#number;
		if (!this.#note(StreamStep.open, peer, number, true, backendId)) return null;
		return this.#add(peer, number, true, { control, data });
	}

	claim(stream: BusStream, step: StreamStep, amount: number, bytes: number): number {
		// What was noted before must not be overtaken: the opening of this very stream may be among it.
		if (this.#notes.length > 0 && !this.#writeNotes()) return -1;
		const { peer, number, isOpener } = stream;
		return this.#claim(step, peer, number, isOpener, amount, bytes);
	}

	commit(): void {
		this.#bus.link.commit();
		this.counts.sentRecords++;
		this.counts.sentBytes += this.#claimed;
		this.#mustRing = true;
	}

	tellReset({ peer, number, isOpener }: BusStream): void {
		this.#note(StreamStep.reset, peer, number, isOpener);
	}

	ready(stream: BusStream): void {
		this.#ready.add(stream);
		if (this.#retry === null) this.#soon();
	}

	flushNow(stream: BusStream): void {
		if (this.#retry !== null || stream.flush() !== "done") this.ready(stream);
		this.#ring();
	}

	remove(stream: BusStream): void {
		const { opened, accepted } = stream.peer as Peer;
		(stream.isOpener ? opened : accepted).delete(stream.number);
	}

	violated(): void {
		this.counts.violations++;
	}

	readonly #turn = (): void => {
		if (this.#immediate !== null) clearImmediate(this.#immediate);
		this.#immediate = null;
		if (this.#isStopped) return;
		const { link, beforeTurn } = this.#bus;
		link.awake();
		beforeTurn();
		const hasLost = this.#hasLost();
		this.#isReading = true;
		const records = link.read(recordsPerTurn, this.#visit);
		// What they had written before they went is read.
		if (hasLost && records < recordsPerTurn) this.#loseGone();
		this.#isReading = false;
		const isDone = this.#flush();
		this.#ring();
		if (records >= recordsPerTurn || !isDone || !link.sleep()) this.#soon();
	};

	#soon(): void {
		if (!this.#isReading && !this.#isStopped) this.#immediate ??= setImmediate(this.#turn);
	}

	/** @returns false if there is more to write now. */
	#flush(): boolean {
		if (this.#retry !== null) return true;
		if (!this.#writeNotes()) return true;
		const streams = this.#ready;
		this.#ready = this.#flushing;
		this.#flushing = streams;
		let isFull = false;
		for (let stream = streams.next(); stream !== null; stream = streams.next()) {
			// Those that could not write come first next time.
			const result: ReturnType<BusStream["flush"]> = isFull ? "full" : stream.flush();
			isFull = result === "full";
			if (result !== "done") this.#ready.add(stream);
		}
		return this.#ready.isEmpty || isFull;
	}

	#ring(): void {
		if (!this.#mustRing) return;
		this.#mustRing = false;
		this.#bus.link.ringWaiters();
	}

	#full(): void {
		this.counts.ringFull++;
		this.#retry ??= setTimeout(() => {
			this.#retry = null;
			this.#turn();
		}, fullRetryMs);
	}

	#claim(step: StreamStep, to: StreamPeer, stream: number, fromOpener: boolean, amount: number, bytes: number): number {
		const { link } = this.#bus;
		const at = link.claim(StreamRecord.headBytes + bytes);
		if (at < 0) {
			this.#full();
			return -1;
		}
		const head = this.#sent;
		head.step = step;
		head.target = to.slot;
		head.fromOpener = fromOpener;
		head.stream = stream;
		head.originIncarnation = this.#incarnation;
		head.targetIncarnation = to.incarnation;
		head.amount = amount;
		this.#claimed = bytes;
		return writeStreamHead(link.view, at, head);
	}

	/** @returns false if too many wait. Of `hello` there is one for each process at most. */
	#note(step: StreamStep, to: StreamPeer, stream: number, fromOpener: boolean, amount = 0): boolean {
		if (this.#notes.length >= notesMax && step !== StreamStep.hello) {
			this.counts.unsent++;
			return false;
		}
		this.#notes.push({ step, to, stream, fromOpener, amount });
		if (this.#retry === null) this.#soon();
		return true;
	}

	/** @returns whether all were written. */
	#writeNotes(): boolean {
		while (this.#notes.length > 0) {
			const { step, to, stream, fromOpener, amount } = this.#notes[0]!;
			if (this.#claim(step, to, stream, fromOpener, amount, 0) < 0) return false;
			this.commit();
			this.#notes.shift();
		}
		return true;
	}

	#add(peer: Peer, number: number, isOpener: boolean, { control, data }: ChannelEnds): ChannelStreams {
		const streams = {
			control: new BusStream(this, peer, number, isOpener, control),
			data: new BusStream(this, peer, number + 1, isOpener, data),
		};
		const all = isOpener ? peer.opened : peer.accepted;
		all.set(number, streams.control);
		all.set(number + 1, streams.data);
		return streams;
	}

	/** Whether a process has gone that is known here. */
	#hasLost(): boolean {
		for (const peer of this.#peers.values()) if (this.#isGone(peer)) return true;
		return false;
	}

	#loseGone(): void {
		for (const peer of [...this.#peers.values()]) if (this.#isGone(peer)) this.#lose(peer);
	}

	#isGone({ slot, incarnation }: Peer): boolean {
		return this.#bus.incarnationOf(slot) !== incarnation;
	}

	#lose(peer: Peer): void {
		this.#peers.delete(peer.slot);
		this.counts.lost++;
		for (const stream of streamsOf(peer)) stream.lost();
	}

	readonly #visit: VisitOrigin = (origin, u8, view, start, end) => {
		const { counts } = this;
		if (origin === this.slot) return;
		const head = this.#head;
		if (!readStreamHead(view, start, end, head)) {
			counts.malformed++;
			return;
		}
		const isForAll = head.target === -1 && head.step === StreamStep.hello;
		if (head.target !== this.slot && !isForAll) return;
		counts.receivedRecords++;
		if (!isForAll && head.targetIncarnation !== this.#incarnation) {
			counts.stale++;
			return;
		}
		const { originIncarnation } = head;
		if (head.step === StreamStep.hello) {
			if (originIncarnation !== 0 && originIncarnation === this.#bus.incarnationOf(origin))
				this.#hello(origin, originIncarnation, isForAll);
			else counts.stale++;
			return;
		}
		const peer = this.#peers.get(origin);
		if (peer?.incarnation !== originIncarnation) counts.stale++;
		else if (head.step === StreamStep.open) this.#accept(peer, head.stream, head.amount);
		else this.#step(peer, this.#ringOf(origin, u8), start + StreamRecord.headBytes, end);
	};

	#hello(slot: number, incarnation: number, mustAnswer: boolean): void {
		const known = this.#peers.get(slot);
		const peer = known?.incarnation === incarnation ? known : new Peer(slot, incarnation);
		const isAnswered = this.#notes.some(({ step, to }) => step === StreamStep.hello && to.slot === slot && to.incarnation === incarnation);
		if (mustAnswer && !isAnswered) this.#note(StreamStep.hello, peer, 0, false);
		if (peer === known) return;
		if (known !== undefined) this.#lose(known);
		this.#peers.set(slot, peer);
		this.counts.found++;
		this.#listener.onFound(slot);
	}

	#accept(peer: Peer, number: number, backendId: number): void {
		const isPossible = number % 2 === 0 && !peer.accepted.has(number) && peer.accepted.size < 2 * channelsMax;
		const ends = isPossible ? this.#listener.onOpen(peer.slot, backendId) : null;
		if (ends !== null) {
			this.#listener.accepted(peer.slot, backendId, this.#add(peer, number, false, ends));
			return;
		}
		this.counts.refused++;
		for (const stream of [number, number + 1]) this.#note(StreamStep.reset, peer, stream, false);
	}

	/** A step of a stream, whose head has been read. */
	#step(peer: Peer, bytes: Buffer, from: number, to: number): void {
		const { step, stream: number, fromOpener, amount } = this.#head;
		const stream = (fromOpener ? peer.accepted : peer.opened).get(number);
		if (stream === undefined) {
			this.counts.stale++;
			return;
		}
		switch (step) {
			case StreamStep.data:
				this.counts.receivedBytes += to - from;
				stream.receivedData(bytes, from, to);
				break;
			case StreamStep.credit:
				stream.receivedCredit(amount);
				break;
			case StreamStep.end:
				stream.receivedEnd();
				break;
			case StreamStep.reset:
				stream.lost();
				break;
			default:
				this.counts.malformed++;
		}
	}

	/** The ring that a record is in, as a buffer: without making one for each record. */
	#ringOf(origin: number, u8: Uint8Array): Buffer {
		let ring = this.#rings.get(origin);
		if (ring === undefined || ring.buffer !== u8.buffer || ring.byteOffset !== u8.byteOffset || ring.length !== u8.length) {
			ring = Buffer.from(u8.buffer, u8.byteOffset, u8.byteLength);
			this.#rings.set(origin, ring);
		}
		return ring;
	}
}
