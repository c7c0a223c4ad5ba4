import type { GuardedApp, Response } from "./sockets-app.ts";

export interface BodyReaderLimits {
	/** Longest single body. */
	readonly bodyBytesMax: number;
	/** Bodies that may be read at once. */
	readonly bodiesMax: number;
	/** Bytes of all bodies that may be held at once. */
	readonly bytesMax: number;
}

export interface BodyHandlers {
	/** The whole body; the bytes are gone when this returns. `isGone` tells, at any later time, whether the client is. */
	whole(body: Uint8Array, isGone: () => boolean): void;
	/** It got longer than `bodyBytesMax`. */
	tooLong(): void;
	/** There is no room for it now. */
	busy(): void;
}

/**
 * How much of a body that nobody wants is read and thrown away before the answer: a client that is still sending when the
 * connection is closed gets a reset, which can wipe out the answer before it is read.
 */
const discardedBytesMax = 1024 * 1024;

/**
 * Collects request bodies. One owner, the shard's loop. Bounds: `bodiesMax` at once and `bytesMax` in all; beyond either a
 * request is answered `busy`. A client that sends slowly is cut by uWebSockets.js (10 s without 16 KiB/s).
 */
export class BodyReader {
	readonly #app: Pick<GuardedApp, "receive">;
	readonly #limits: BodyReaderLimits;
	#count = 0;
	#bytes = 0;
	#whenNone: (() => void)[] = [];

	constructor(app: Pick<GuardedApp, "receive">, limits: BodyReaderLimits) {
		this.#app = app;
		this.#limits = limits;
	}

	/** Bodies of which a part is still to come. */
	get count(): number {
		return this.#count;
	}

	/** Exactly one of the handlers is called, or none when the client goes away. */
	read(response: Response, handlers: BodyHandlers): void {
		const { bodyBytesMax, bodiesMax, bytesMax } = this.#limits;
		if (this.#count >= bodiesMax) {
			this.discard(response, handlers.busy);
			return;
		}
		this.#count++;
		let chunks: Uint8Array[] = [];
		let bytes = 0;
		const release = (): void => {
			chunks = [];
			this.#bytes -= bytes;
			bytes = 0;
			if (--this.#count === 0) this.#tellNone();
		};
		collect(this.#app, response, {
			chunk: (chunk) => {
				if (bytes + chunk.byteLength > bodyBytesMax) return handlers.tooLong;
				if (this.#bytes + chunk.byteLength > bytesMax) return handlers.busy;
				// The chunk's memory is the library's again when this returns.
				chunks.push(new Uint8Array(chunk.slice(0)));
				bytes += chunk.byteLength;
				this.#bytes += chunk.byteLength;
				return null;
			},
			last: (chunk, isGone) => {
				if (bytes + chunk.byteLength > bodyBytesMax) handlers.tooLong();
				else handlers.whole(chunks.length === 0 ? new Uint8Array(chunk) : Buffer.concat([...chunks, new Uint8Array(chunk)]), isGone);
			},
			release,
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

	#tellNone(): void {
		const waiting = this.#whenNone;
		this.#whenNone = [];
		for (const resolve of waiting) resolve();
	}
}

interface Collector {
	/** A part, not the last; what to answer when no more is wanted. */
	chunk(chunk: ArrayBuffer): (() => void) | null;
	last(chunk: ArrayBuffer, isGone: () => boolean): void;
	/** Nothing more is kept. Called once, in every case. */
	release(): void;
}

function collect(app: Pick<GuardedApp, "receive">, response: Response, collector: Collector): void {
	let open = true;
	let gone = false;
	const isGone = () => gone;
	let answer: (() => void) | null = null;
	let discardedBytes = 0;
	app.receive(response, {
		aborted: () => {
			gone = true;
			if (open && answer === null) collector.release();
			open = false;
		},
		data: (chunk, isLast) => {
			if (!open) return;
			if (answer === null) {
				if (isLast) {
					open = false;
					try {
						collector.last(chunk, isGone);
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
}
