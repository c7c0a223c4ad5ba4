import { type BodyProblem, GrowingBytes } from "@shardcast/http";
import type { AddressKey } from "@shardcast/limits";
import type { Counters } from "@shardcast/scoreboard";
import { type BodySlot, BodySlots } from "../../limits/body-slots.ts";
import type { GuardedApp, Response } from "./sockets-app.ts";

export interface BodyReaderOptions {
	/** Longest body of any route. */
	readonly bodyBytesMax: number;
	readonly counters: Pick<Counters, "add">;
}

/** Whether the client of a request is gone, from its body on: the library has one callback for that. */
export interface Aborts {
	readonly isGone: boolean;
	/** Called when it goes, once the body is there. */
	onGone: (() => void) | null;
}

export interface BodyHandlers {
	/** The whole body; the bytes are gone when this returns. */
	whole(body: Uint8Array, aborts: Aborts): void;
	/** It got too long; there is no room for it now; or it came more slowly than any other, and another body needed its room. */
	failed(problem: BodyProblem): void;
}

/**
 * How much of a body that nobody wants is read and thrown away before the answer: a client that is still sending when the
 * connection is closed gets a reset, which can wipe out the answer before it is read.
 */
const discardedBytesMax = 1024 * 1024;

const bodiesMax = 256;
/** Half: an address that stalls what it sends leaves as much to all others. */
const bodiesPerAddressMax = 128;
const bytesAllMin = 64 * 1024 * 1024;
/** A body of 64 KiB has come by then at 2 Mbit/s. */
const graceMs = 250;

/**
 * Collects request bodies. One that comes whole, as nearly all do, is passed on as it lies in the library's memory, and takes no room here.
 *
 * One owner, the shard's loop. Bounds: `BodySlots` for those that come in parts; when it is full the slowest body is answered `too_slow`, or the
 * new one `unavailable`. A client that sends slowly, or nothing, is cut by uWebSockets.js in any case (10 s without 16 KiB/s).
 */
export class BodyReader {
	readonly #app: Pick<GuardedApp, "receive">;
	readonly #slots: BodySlots;
	#count = 0;
	#whenNone: (() => void)[] = [];

	constructor(app: Pick<GuardedApp, "receive">, options: BodyReaderOptions) {
		this.#app = app;
		const { bodyBytesMax, counters } = options;
		const bytesMax = Math.max(bytesAllMin, bodyBytesMax);
		this.#slots = new BodySlots({
			slotsMax: bodiesMax,
			slotsPerAddressMax: bodiesPerAddressMax,
			bytesMax,
			graceMs,
			nowMs: () => performance.now(),
			counters,
		});
	}

	/** Bodies of which a part, or all, is still to come. */
	get count(): number {
		return this.#count;
	}

	/**
	 * Exactly one of the handlers is called, or none when the client goes away.
	 * @param address of the client; asked for when its body comes in parts.
	 */
	read(response: Response, address: () => AddressKey, bodyBytesMax: number, handlers: BodyHandlers): void {
		// One buffer, not a list: a client may cut its body into chunks of one byte, and each object costs hundreds.
		let held = new GrowingBytes();
		let slot: BodySlot | null = null;
		const evicted = (): void => {
			held = new GrowingBytes();
			stop();
			this.#done();
			handlers.failed("too_slow");
		};
		this.#count++;
		const stop = collect(this.#app, response, {
			chunk: (chunk) => {
				slot ??= this.#slots.take(address(), evicted);
				if (slot === null) return () => handlers.failed("unavailable");
				if (slot.bytes + chunk.byteLength > bodyBytesMax) return () => handlers.failed("too_large");
				if (!this.#slots.grow(slot, chunk.byteLength)) return () => handlers.failed("unavailable");
				// The chunk's memory is the library's again when this returns.
				held.append(held.length === 0 ? Buffer.from(new Uint8Array(chunk)) : Buffer.from(chunk));
				return null;
			},
			last: (chunk, aborts) => {
				if (held.length + chunk.byteLength > bodyBytesMax) return handlers.failed("too_large");
				if (held.length === 0) return handlers.whole(new Uint8Array(chunk), aborts);
				held.append(Buffer.from(chunk));
				handlers.whole(held.all(), aborts);
			},
			release: () => {
				held = new GrowingBytes();
				if (slot !== null) this.#slots.release(slot);
				this.#done();
			},
		});
	}

	/** Reads what is left of a body, keeps none of it, then answers; at once when there is too much of it. */
	discard(response: Response, answer: () => void): void {
		collect(this.#app, response, { chunk: () => answer, last: answer, release: () => {} });
	}

	/** Resolves when no body is being read. */
	whenNone(): Promise<void> {
		if (this.#count === 0) return Promise.resolve();
		return new Promise((resolve) => this.#whenNone.push(resolve));
	}

	#done(): void {
		if (--this.#count > 0) return;
		for (const resolve of this.#whenNone.splice(0)) resolve();
	}
}

interface Collector {
	/** A part, not the last; what to answer when no more is wanted. */
	chunk(chunk: ArrayBuffer): (() => void) | null;
	last(chunk: ArrayBuffer, aborts: Aborts): void;
	/** Nothing more is kept. Called once, unless it was stopped. */
	release(): void;
}

/** @returns what stops it: from then on nothing is called any more, the collector's release included. */
function collect(app: Pick<GuardedApp, "receive">, response: Response, collector: Collector): () => void {
	let open = true;
	const aborts = { isGone: false, onGone: null as (() => void) | null };
	let answer: (() => void) | null = null;
	let discardedBytes = 0;
	app.receive(response, {
		aborted: () => {
			aborts.isGone = true;
			if (open && answer === null) collector.release();
			open = false;
			aborts.onGone?.();
		},
		data: (chunk, isLast) => {
			if (!open) return;
			if (answer === null) {
				if (isLast) {
					open = false;
					try {
						collector.last(chunk, aborts);
					} finally {
						collector.release();
					}
					return;
				}
				answer = collector.chunk(chunk);
				if (answer !== null) collector.release();
			}
			if (answer === null) return;
			discardedBytes += chunk.byteLength;
			if (!isLast && discardedBytes <= discardedBytesMax) return;
			open = false;
			answer();
		},
	});
	return () => {
		open = false;
	};
}
